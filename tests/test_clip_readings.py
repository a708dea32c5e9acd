"""The open readings of paper 4 and the trials of its search: every knob changes what is built."""

from dataclasses import asdict, replace

import numpy as np
import pytest
import torch

from fer_lib import cli_search
from fer_lib.claims import ambiguities
from fer_lib.data.corpus import Corpus
from fer_lib.errors import FerError
from fer_lib.learn.layers import Dropout, count_parameters
from fer_lib.papers.cnn3d import data as clip_data
from fer_lib.papers.cnn3d import search
from fer_lib.papers.cnn3d import trials as clip_trials
from fer_lib.papers.cnn3d.network import C1, C2
from fer_lib.papers.cnn3d.readings import LEARNING_RATE, Readings

REGISTER = ambiguities("cnn3d").set_index("knob")


@pytest.fixture(scope="module")
def sequences():
    return clip_data.load("synthetic", size=32, synthetic={"n_subjects": 3, "per_expression": 1})


def other(knob):
    """Return a value of the knob that is not its default."""
    default, values = REGISTER.loc[knob, ["default", "values"]]
    if values:  # the last one: the middle one of epoch_selection trains as the default does
        return next(value for value in reversed(values) if value != default)
    return not default if isinstance(default, bool) else 2 * default


def test_fields_are_the_registers_knobs_with_its_defaults():
    defaults = asdict(Readings())
    assert list(defaults) == list(REGISTER.index)
    for knob, value in defaults.items():
        assert value == REGISTER.loc[knob, "default"], knob
        assert type(value) is type(REGISTER.loc[knob, "default"]), knob


def facts(readings, sequences, configuration):
    """What a reading can change of network, batch, training part, recipe and loss, as comparable text."""
    torch.manual_seed(0)
    model = readings.network(configuration, 7, 32, 0.03)
    torch.manual_seed(1)
    drawn = readings.network(configuration, 7, 32, 0.03).classify.weight
    index = np.arange(7)
    part = readings.training_part(sequences, index, seed=3)
    feed = readings.feed(sequences, configuration)
    torch.manual_seed(2)
    rotated = feed(part.take(torch.arange(12)), True)[0]
    loss = readings.loss(configuration, sequences, index[:3], part.take(torch.arange(len(part) - 3)))
    value = loss(torch.linspace(0, 1, 49).view(7, 7), torch.arange(7))[0].item() if loss else None
    norms = [m.momentum for m in model.modules() if isinstance(m, torch.nn.BatchNorm3d)]
    rates = [m.p for m in model.modules() if isinstance(m, Dropout)]
    pools = [getattr(m, "count_include_pad", None) for m in model.modules()]
    recipe = readings.recipe(configuration).describe()
    texts = (str(list(dict(model.named_modules()))), str(model), norms, rates, pools, drawn.sum().item())
    return (*texts, count_parameters(model), len(part), rotated.sum().item(), str(recipe), value)


HERE = {  # knob -> configuration on which it shows
    **dict.fromkeys(("initializer", "lookahead_lr"), C2),
    "class_weight_counts": replace(C1, class_weights=True),
    "second_conv_width": replace(C1, second_conv=True),
}
ELSEWHERE = {
    *("clahe_stage", "oulu_color", "face_box", "short_pad", "oulu_camera"),  # of the data: load
    *("loso_average", "fold_rule", "fold_average", "search_protocol", "oulu_n", "oulu_folds"),  # of folds
    *("transfer", "significance_test"),  # of the chapter
}


@pytest.mark.parametrize("knob", sorted(set(REGISTER.index) - ELSEWHERE))
def test_every_knob_changes_what_is_built(knob, sequences):
    configuration = HERE.get(knob, C1)
    changed = Readings(**{knob: other(knob)})
    assert facts(changed, sequences, configuration) != facts(Readings(), sequences, configuration)


def test_folds_by_reading(sequences):
    def tests(**knobs):
        return [fold.test.tolist() for fold in Readings(**knobs).ten_folds(sequences.corpus, 2)]

    assert tests() != tests(fold_rule="blocks")
    folds, averaging = Readings().search_folds(sequences.corpus)
    assert (len(folds), averaging) == (3, "pooled")
    assert Readings(loso_average="subjects").search_folds(sequences.corpus)[1] == "folds"


def test_oulu_has_folds_of_its_own(sequences):
    card = replace(sequences.corpus.card, name="oulu_casia")
    corpus = replace(sequences.corpus, card=card)
    folds, averaging = Readings().search_folds(corpus, 3)
    assert [len(set(corpus.subjects[fold.test])) for fold in folds] == [1, 1, 1]
    assert averaging == "folds"
    assert Readings(fold_average="pooled").search_folds(corpus, 3)[1] == "pooled"
    assert len(Readings(search_protocol="loso").search_folds(corpus, 2)[0]) == 3
    random = Readings(oulu_folds="random").ten_folds(corpus, 3)
    assert any(len(set(corpus.subjects[fold.test])) > 1 for fold in random)


def test_recipes_are_the_papers():
    one, two = Readings().recipe(C1), Readings().recipe(C2)
    assert (one.epochs, one.batch_size, one.lr, one.optimiser) == (16, 30, 1e-4, "adam")
    assert (one.lookahead, two.lookahead) == (None, (5, 0.5))
    assert one.lr == two.lr == LEARNING_RATE
    faster = Readings(lookahead_lr=0.001).recipe(C2)
    assert faster.lr == pytest.approx(0.001)
    cosine = Readings(lr_schedule="cosine").recipe(C1, epochs=4)
    assert cosine.learning_rate(0) == 1e-4
    assert cosine.learning_rate(2) == pytest.approx(5e-5)


def test_trials_search_without_the_subjects_that_test_what_is_found(sequences):
    plan = replace(clip_trials.PLANS["smoke"], subjects=None)
    nested = clip_trials.Trials(sequences, Readings(), plan)
    held_out = Readings().ten_folds(sequences.corpus, 3)[0].test
    assert not set(nested.sequences.corpus.ids) & set(sequences.corpus.ids[held_out])
    assert nested.total == len(nested.sequences) == 14
    everything = clip_trials.Trials(sequences, Readings(), plan, everything=True)
    assert everything.total == 21
    results = list(nested.evaluate(replace(C2, class_weights=True)))
    assert [n for _, n in results] == [7, 7]
    assert all(0 <= right <= n for right, n in results)
    assert results == list(nested.evaluate(replace(C2, class_weights=True)))  # same seed, same numbers


def oulu(sequences, n_subjects):
    """Return drawn sequences as if they were Oulu-CASIA's: six of each subject."""
    index = np.tile(np.flatnonzero(sequences.corpus.labels < 6)[:6], n_subjects)
    names = np.array([f"P{i:03}" for i in range(n_subjects)]).repeat(6)
    ids = np.array([f"{name}_{i}" for i, name in enumerate(names)])
    base = sequences.corpus
    card = replace(base.card, name="oulu_casia")
    corpus = Corpus(base.images[index], base.labels[index], base.classes, card, ids, subjects=names)
    pixels = {name: getattr(sequences, name)[index] for name in ("frames", "equalised", "lengths")}
    return replace(sequences, corpus=corpus, **pixels)


@pytest.mark.parametrize("everything", [False, True])
@pytest.mark.parametrize("oulu_n", [480, 400])
def test_oulu_is_searched_on_as_many_folds_as_there_are_subjects(sequences, oulu_n, everything):
    corpus, readings = oulu(sequences, 12), Readings(oulu_n=oulu_n if everything else 480)
    small = clip_trials.Trials(corpus, readings, clip_trials.PLANS["smoke"], everything=everything)
    assert small.total == len(small.folds) == 3
    assert clip_trials.threshold("oulu_casia", clip_trials.PLANS["paper"]) is None
    assert clip_trials.threshold("ckplus", clip_trials.PLANS["paper"]) == search.THRESHOLD


def test_totals_count_what_the_folds_of_oulu_test(sequences):
    corpus, plan = oulu(sequences, 80), clip_trials.PLANS["paper"]
    readings = Readings(oulu_n=400, fold_average="pooled")
    everything = clip_trials.Trials(corpus, readings, plan, everything=True)
    assert [len(fold.test) for fold in everything.folds] == [40] * 10
    assert everything.total == 400
    nested = clip_trials.Trials(corpus, readings, plan)  # 360 of the 400, which are not drawn from again
    assert (len(nested.folds), nested.total) == (10, 360)
    held_out = readings.ten_folds(corpus.corpus)[0].test
    assert not set(nested.sequences.corpus.subjects) & set(corpus.corpus.subjects[held_out])


def test_a_study_that_saw_the_first_fold_is_known():
    own = clip_trials.task("ckplus", "paper", Readings(), seed=1)
    assert clip_trials.seen(own, own) == []
    assert clip_trials.seen(own | {"readings": asdict(Readings(drop_last=True))}, own) == []
    for other, why in (
        (own | {"everything": True}, "everything=True, not False"),
        (own | {"seed": 2}, "seed=2, not 1"),
        (own | {"readings": asdict(Readings(fold_rule="blocks"))}, "fold_rule='blocks', not 'dealt'"),
    ):
        assert clip_trials.seen(other, own) == [why]
    assert len(clip_trials.seen({}, own)) == 7
    random = clip_trials.task("oulu_casia", "paper", Readings(oulu_folds="random"))
    assert clip_trials.seen(random, random) == ["its folds are not by subject"]


def test_studies_that_differ_have_files_of_their_own():
    def name(readings, **more):
        return clip_trials.journal(clip_trials.task("ckplus", "paper", readings, **more)).name

    assert name(Readings(), seed=3) == "ckplus-paper-seed3.journal"
    assert name(Readings(), everything=True) == "ckplus-paper-seed0,everything.journal"
    both = name(Readings(oulu_n=400, fold_rule="blocks"), everything=True)
    assert both == "ckplus-paper-seed0,everything,fold_rule=blocks,oulu_n=400.journal"


# --- fer search ----------------------------------------------------------------------------------


def command(*words):
    import argparse

    parser = argparse.ArgumentParser()
    cli_search.add(parser.add_subparsers())
    arguments = parser.parse_args(["search", *map(str, words)])
    return arguments.action(arguments)


def test_search_from_the_command_line(tmp_path, capsys):
    journal = tmp_path / "j.journal"
    assert (
        command("run", "synthetic", "--trials", 2, "--journal", journal, "-p", "second_conv_width=half") == 0
    )
    assert "has its 2 trials; 2 of them were made here" in capsys.readouterr().out
    assert command("status", "--journal", journal) == 0
    said = capsys.readouterr().out
    assert "at work: nobody" in said
    assert "synthetic, budget smoke" in said
    assert command("status", "--journal", journal, "--json") == 0
    assert '"trials"' in capsys.readouterr().out
    assert len(search.trials(journal)) == 2
    with pytest.raises(FerError, match="budget='smoke', not 'full'"):
        command("run", "synthetic", "--budget", "full", "--journal", journal)


@pytest.mark.parametrize(
    "words, message",
    [
        (("run", "fer2013"), "dataset"),
        (("run", "synthetic", "--budget", "tiny"), "budget"),
        (("run", "synthetic", "-p", "filter=c3d"), "Did you mean 'filters'"),
        (("run", "synthetic", "-p", "filters=c4d"), "c3d, half"),
        (("run", "synthetic", "--trials", "-1"), "at least one"),
        (("status", "--journal", "nowhere.journal"), "no study"),
    ],
)
def test_mistakes_on_the_command_line(words, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(FerError, match=message):
        command(*words)
    assert not list(tmp_path.iterdir())
