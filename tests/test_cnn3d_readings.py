"""The open readings of paper 4, what a trial of its search trains and tests, and ``fer search``."""

import argparse
from dataclasses import asdict, replace

import numpy as np
import pytest
import torch

from fer_lib.claims import ambiguities
from fer_lib.cli import search as cli_search
from fer_lib.data.corpus import Corpus
from fer_lib.errors import FerError
from fer_lib.learn.training import Part
from fer_lib.papers.cnn3d import clips, search, trainer
from fer_lib.papers.cnn3d.network import C1, C2
from fer_lib.papers.cnn3d.readings import BUDGETS, PAPER, Readings
from fer_lib.papers.cnn3d.trainer import Evaluation, class_weighted

REGISTER = ambiguities("cnn3d").dropna(subset="knob").set_index("knob")


@pytest.fixture(scope="module")
def sequences():
    return clips.load("synthetic", size=32, synthetic={"n_subjects": 3, "per_expression": 1})


def test_fields_are_the_registers_knobs_with_its_defaults():
    defaults = asdict(Readings())
    assert set(defaults) == set(REGISTER.index)
    for knob, value in defaults.items():
        assert value == REGISTER.loc[knob, "default"], knob
        assert type(value) is type(REGISTER.loc[knob, "default"]), knob


def test_oulu_has_folds_of_its_own(sequences):
    corpus = replace(sequences.corpus, card=replace(sequences.corpus.card, name="oulu_casia"))
    folds = Readings().ten_folds(corpus, 3)
    assert [len(set(corpus.subjects[fold.test])) for fold in folds] == [1, 1, 1]
    random = Readings(oulu_folds="random").ten_folds(corpus, 3)
    assert any(len(set(corpus.subjects[fold.test])) > 1 for fold in random)


def test_recipes_are_the_papers():
    one, two = Readings().recipe(C1), Readings().recipe(C2)
    assert (one.epochs, one.batch_size, one.optimiser) == (16, 30, "adam")
    assert (one.lookahead, two.lookahead) == (None, (5, 0.5))
    assert {recipe.learning_rate(epoch) for recipe in (one, two) for epoch in range(16)} == {1e-4}
    assert Readings(epoch_selection="fold").recipe(C1) == replace(one, checkpoint="best_test")


def test_class_weights_are_inverse_to_frequency():
    labels = torch.tensor([0] * 6 + [1] * 3 + [3])
    weights = torch.tensor([1 / 6, 1 / 3, 0, 1])  # but for a factor, which the weighted mean cancels
    logits = torch.randn(10, 4)
    loss, same = class_weighted(Part(labels, labels), 4)(logits, labels)
    by_hand = -(weights[labels] * logits.log_softmax(1)[torch.arange(10), labels]).sum()
    assert loss.item() == pytest.approx((by_hand / weights[labels].sum()).item(), rel=1e-5)
    assert same is logits


# --- trials --------------------------------------------------------------------------------------

ALL = BUDGETS["smoke"] | {"search": BUDGETS["smoke"]["search"] | {"subjects": None, "epochs": 1}}


def test_trials_search_without_the_subjects_that_test_what_is_found(sequences):
    nested = Evaluation(sequences, Readings(), ALL)
    held_out = Readings().ten_folds(sequences.corpus, 3)[0].test
    assert not set(nested.sequences.corpus.ids) & set(sequences.corpus.ids[held_out])
    assert [len(fold.test) for fold in nested.folds] == [7, 7]
    lost = list(nested(replace(C2, class_weights=True)))
    assert all(0 <= part <= 0.5 and (14 * part) == pytest.approx(round(14 * part)) for part in lost)
    assert lost == list(nested(replace(C2, class_weights=True)))  # same seed, same numbers


def oulu(sequences, n_subjects):
    """Return drawn sequences as if they were Oulu-CASIA's: six of each subject."""
    index = np.tile(np.flatnonzero(sequences.corpus.labels < 6)[:6], n_subjects)
    names = np.array([f"P{i:03}" for i in range(n_subjects)]).repeat(6)
    ids = np.array([f"{name}_{i}" for i, name in enumerate(names)])
    base = sequences.corpus
    card = replace(base.card, name="oulu_casia")
    corpus = Corpus(base.images[index], base.labels[index], clips.SIX, card, ids, subjects=names)
    pixels = {name: getattr(sequences, name)[index] for name in ("frames", "equalised", "lengths")}
    return replace(sequences, corpus=corpus, **pixels)


def test_oulu_of_400_is_searched_on_what_the_first_fold_leaves(sequences):
    corpus, readings = oulu(sequences, 80), Readings(oulu_n=400)
    nested = Evaluation(corpus, readings, PAPER)  # 360 of the 400, which are not drawn from again
    assert len(nested.folds) == 10
    assert sum(len(fold.test) for fold in nested.folds) == 360
    held_out = readings.ten_folds(corpus.corpus)[0].test
    assert not set(nested.sequences.corpus.subjects) & set(corpus.corpus.subjects[held_out])
    assert len(Evaluation(oulu(sequences, 12), Readings(), BUDGETS["smoke"]).folds) == 3
    assert search.threshold_of("oulu_casia", "paper") is None
    assert search.threshold_of("ckplus", "paper") == search.THRESHOLD


def test_errors_of_oulu_weigh_by_fold_and_others_by_clip(sequences, monkeypatch):
    def two_wrong(model, part, *_, **__):
        answers = torch.eye(7)[part.labels]
        answers[:2] = answers[:2].roll(1, dims=1)
        return answers.numpy()

    monkeypatch.setattr(trainer.training, "fit", lambda *_, **__: None)
    monkeypatch.setattr(trainer.training, "predict", two_wrong)
    assert list(Evaluation(sequences, Readings(), ALL)(C1)) == pytest.approx([2 / 14] * 2)
    by_fold = Evaluation(oulu(sequences, 13), Readings(), ALL)
    sizes = [len(fold.test) for fold in by_fold.folds]
    assert list(by_fold(C1)) == pytest.approx([2 / size / len(sizes) for size in sizes])
    assert set(sizes) == {6, 12}  # ten folds of eleven subjects


def test_studies_that_differ_have_files_of_their_own():
    def name(readings, seed=0):
        return search.journal_of(search.task("ckplus", "paper", readings, seed)).name

    assert name(Readings(), seed=3) == "ckplus-paper-seed3.journal"
    both = name(Readings(oulu_n=400, epoch_selection="fold"))
    assert both == "ckplus-paper-seed0,epoch_selection=fold,oulu_n=400.journal"


# --- fer search ----------------------------------------------------------------------------------


def command(*words):
    parser = argparse.ArgumentParser()
    cli_search.add(parser.add_subparsers())
    arguments = parser.parse_args(["search", *map(str, words)])
    return arguments.action(arguments)


def test_search_from_the_command_line(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(Readings, "load", lambda *_: None)
    monkeypatch.setattr(trainer, "Evaluation", lambda *_: lambda _: [0.2])
    journal = tmp_path / "j.journal"
    assert command("run", "synthetic", "--trials", 2, "--journal", journal, "-p", "epoch_selection=fold") == 0
    assert "has its 2 trials; 2 of them were made here" in capsys.readouterr().out
    assert command("status", "--journal", journal) == 0
    said = capsys.readouterr().out
    assert "synthetic, budget smoke" in said
    assert "trials: 2 complete" in said
    assert "best: 80.00% with lookahead=" in said
    with pytest.raises(FerError, match="budget='smoke', not 'full'"):
        command("run", "synthetic", "--budget", "full", "--journal", journal)


@pytest.mark.parametrize(
    "words, message",
    [
        (("run", "fer2013"), "cnn3d cannot use fer2013"),
        (("run", "synthetic", "--budget", "tiny"), "budget"),
        (("run", "synthetic", "-p", "epoch_selectio=fold"), "Did you mean 'epoch_selection'"),
        (("run", "synthetic", "-p", "epoch_selection=first"), "last, fold"),
        (("run", "synthetic", "--trials", "0"), "at least one"),
        (("status", "--journal", "nowhere.journal"), "no study"),
    ],
)
def test_mistakes_on_the_command_line(words, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(FerError, match=message):
        command(*words)
    assert not list(tmp_path.iterdir())
