"""How the networks of paper 3 are trained: samples, targets, folds, and what neighbours in features know."""

import numpy as np
import pytest
import torch

from fer_lib.files import UnitFolder
from fer_lib.learn.recipes import Recipe
from fer_lib.learn.units import train_unit
from fer_lib.papers.cspp import corpora, trainer
from fer_lib.papers.cspp.trainer import EXPRESSION, PERSON, Trainer, located, neighbours


@pytest.fixture(scope="module")
def corpus():
    return corpora.as_used(
        corpora.datasets.load("synthetic", **corpora.OPTIONS["synthetic"] | {"n_subjects": 4})
    )


@pytest.fixture
def made(corpus, tmp_path):
    readings = {"intensity_norm": "local_contrast", "eye_noise_sigma": 3.0, "padding": "same", "hidden": 256}
    readings |= {"spp_low": [3, 2, 1], "activation": "tanh", "use_batchnorm": False}
    readings["eye_detector"] = "haar"
    faces, missed = located(corpus, "haar", torch.device("cpu"))
    assert missed == 0  # of drawn faces the eyes are known
    recipe = Recipe(1, 64, true_class_target=0.9)
    return Trainer(corpus, faces, UnitFolder(tmp_path), recipe, readings, 0, width=0.05, factor=3)


def test_six_expressions_and_the_last_frames_of_each_sequence(corpus):
    assert len(corpus.classes) == 6
    assert len(corpus) == corpora.FRAMES * len(np.unique(corpus.sequences))


def test_as_many_folds_as_people_leave_one_out(corpus):
    alone = corpora.folds(corpus, 4, "subject", 0)
    assert all(len(np.unique(corpus.subjects[fold.test])) == 1 for fold in alone)
    assert [fold.name[:10] for fold in corpora.folds(corpus, 2, "random", 0)] == ["k2-random-"] * 2


def test_noisy_samples_are_multiples_of_the_training_part(made):
    index = np.arange(10, 20)
    part = made.noisy(index, 4)
    assert len(part) == 40
    assert torch.equal(part.labels, made.take(index).labels)


def test_only_the_network_without_label_smoothing_learns_hard_targets(made, monkeypatch):
    seen = {}

    def watched(store, **job):
        seen[job["unit"].partition(" k2")[0]] = job["recipe"].true_class_target
        return train_unit(store, **job)

    monkeypatch.setattr(trainer.side_by_side, "train_unit", watched)
    fold = corpora.folds(made.corpus, 2, "subject", 0)[0]
    made.train([(name, fold) for name in ("C-SPP", "C-SPP without label smoothing")])
    assert seen == {"C-SPP": 0.9, "C-SPP without label smoothing": None}


def test_models_of_all_folds_are_applied_to_another_corpus(made, monkeypatch):
    answers = iter(np.eye(6)[[np.full(len(made.corpus), says) for says in (0, 1)]])
    monkeypatch.setattr(trainer.training, "predict", lambda *_, **__: next(answers))
    monkeypatch.setattr(Trainer, "trained", lambda *_: None)
    noted = []
    made.recorder.add_predictions = lambda *values: noted.append(values)
    made.recorder.add_samples = lambda frame: noted.append(frame)
    folds = corpora.folds(made.corpus, 2, "subject", 0)
    found = made.transfer({"C-SPP": ["first", "second"]}, folds, made.corpus, "others")["C-SPP"]
    shares = [(made.corpus.labels == says).mean() for says in (0, 1)]
    assert found["models"] == pytest.approx(shares)
    assert found["accuracy"] == pytest.approx(np.mean(shares))
    assert found["low"] <= found["accuracy"] <= found["high"]
    assert [values[0] for values in noted[:2]] == ["C-SPP@across"] * 2
    assert set(noted[2]["fold"]) == {folds[0].name}


def test_neighbours_know_what_the_features_hold():
    labels, who = np.tile(np.arange(3), 20), np.repeat(np.arange(10), 6)
    rng = np.random.default_rng(0)

    def features(codes):
        return np.eye(10)[codes] + 0.01 * rng.standard_normal((60, 10))

    table = neighbours({"a": features(labels), "b": features(who)}, labels, who).set_index("features")
    assert table.loc["a", EXPRESSION] == 100
    assert table.loc["b", PERSON] == 100
    assert table.loc["chance"].tolist() == pytest.approx([100 / 3, 10])


def test_of_one_person_there_is_nothing_to_ask():
    labels = np.arange(12) % 3
    table = neighbours({"a": np.eye(12)}, labels, np.zeros(12, int))
    assert table[[EXPRESSION, PERSON]].isna().all(axis=None)
