"""Chapter 1 at budget smoke: what its evidence must show."""

from types import SimpleNamespace

import nbformat
import numpy as np
import pytest

from fer_lib.data import datasets, splits
from fer_lib.errors import FerError
from fer_lib.evidence.provenance import notebook_path
from fer_lib.learn import metrics
from fer_lib.learn.training import Recipe


def code_cells():
    return [
        cell.source for cell in nbformat.read(notebook_path("cnn_sift"), 4).cells if cell.cell_type == "code"
    ]


def first_cells(**readings):
    """Run the notebook up to its banner with some parameters changed; return its names."""
    parameters, setup = code_cells()[:2]
    names = {}
    exec(parameters, names)
    names |= readings
    exec(setup, names)
    return names


@pytest.mark.parametrize(
    "dataset, budget, said, unsaid",
    [
        (
            "ckplus",
            "full",
            ["1 of 10 repeats only"],
            "images",
        ),
        ("fer2013", "full", ["60 epochs, not 300"], "images only"),
        ("fer2013", "smoke", ["800 training and 200 test images only"], "folds"),
        ("fer2013", "probe", ["3,000 training and 2,200 test images only", "at most 50,000 desc"], "folds"),
        ("ckplus", "paper", [], ""),
    ],
)
def test_the_banner_says_what_the_budget_left_out(dataset, budget, said, unsaid):
    changes = "; ".join(first_cells(dataset=dataset, budget=budget)["changes"])
    assert all(phrase in changes for phrase in said)
    assert unsaid not in changes if unsaid else not changes


def test_a_probe_trains_what_its_network_starts_from():
    assert first_cells(budget="probe", sift_training="finetune")["NETWORKS"] == ("C2", "S2")
    assert first_cells(budget="probe")["NETWORKS"] == ("S2",)


@pytest.mark.parametrize("reading", [{"dropout_rates": "truncated_c1"}, {"ensemble_weights": "validation"}])
def test_a_probe_refuses_readings_that_it_cannot_show(reading):
    with pytest.raises(FerError, match="give another budget"):
        first_cells(budget="probe", **reading)


def test_sizes_of_a_small_corpus_are_parts_of_it_and_draws_are_pooled():
    names = first_cells(budget="full")
    corpus = datasets.synthetic.generate(n_subjects=6, per_expression=1)
    fold = splits.kfold(corpus, 2, accept_leaks=True)[0]
    drawn, recorded, rng = [], {}, np.random.default_rng(0)

    def averages(done, small):
        drawn.append((small.name, len(small.train)))
        return {model: rng.random((len(small.test), 7)) for model in names["paper"].AVERAGES}

    names |= {"corpus": corpus, "first": fold, "recipe": Recipe(epochs=5, batch_size=8), "averages": averages}
    names["AVERAGES"] = names["paper"].AVERAGES
    names |= {"plan": names["plan"] | {"draws": 2}, "train_all": lambda *args, **options: None}
    kept = {}

    def add_predictions(model, probabilities, labels, ids, fold):
        kept.setdefault(model, []).append(fold)
        return {"probabilities": probabilities}

    recorder = {"add_table": recorded.__setitem__, "add_figure": lambda *args: None}
    names["recorder"] = SimpleNamespace(**recorder, add_predictions=add_predictions)
    for source in code_cells():
        if source.startswith(("GAINS", "measured", "wide")):
            exec(source, names)
    half = len(fold.train) // 2
    assert kept[f"CNN-SIFT@n={half}"] == ["draw0", "draw1"]
    assert drawn == [(f"n{n}-d{draw}", n) for n in (len(fold.train) // 4, half) for draw in (0, 1)]
    sizes = recorded["sizes"].set_index(["n", "model"])
    assert sizes.index.is_unique
    assert sizes["steps"].between(230, 270).all()
    assert (sizes["low"] < sizes["accuracy"]).all()
    assert (sizes["accuracy"] < sizes["high"]).all()
    line = names["wide"].iloc[1]
    gain = 100 * (sizes.loc[(half, "CNN-SIFT"), "accuracy"] - sizes.loc[(half, "CNN-ONLY"), "accuracy"])
    assert line["CNN-SIFT minus CNN-ONLY"].startswith(f"{gain:+.1f} [")
    assert line["optimiser steps"] == sizes.loc[(half, "CNN-SIFT"), "steps"]


@pytest.fixture(scope="module")
def smoke(smoke_of):
    return smoke_of("cnn_sift")


def test_smoke_scores_far_above_chance_and_below_perfect(smoke):
    rows = smoke.predictions("CNN-SIFT-AVG")
    score = metrics.accuracy(rows["labels"], rows["probabilities"].argmax(1))
    assert 3 / 7 < score < 1


def test_unseen_subjects_are_harder(smoke):
    """Averaged over the six networks: a single one of two folds is within its noise."""

    def mean(suffix):
        rows = [smoke.predictions(name + suffix) for name in ("C1", "C2", "C3", "S1", "S2", "S3")]
        return np.mean([metrics.accuracy(r["labels"], r["probabilities"].argmax(1)) for r in rows])

    assert mean("@subject") < mean("")
    held = smoke.info["certificates"]["subject"]
    assert held["subjects_shared"] == 0 < smoke.info["certificates"]["random"]["subjects_shared"]


def test_averages_are_means_of_their_members(smoke):
    rows = {name: smoke.predictions(name) for name in smoke.models()}
    for average, members in {"CNN-ONLY": ("C1", "C2", "C3"), "CNN-SIFT": ("S1", "S2", "S3")}.items():
        mean = np.mean([rows[name]["probabilities"] for name in members], axis=0)
        np.testing.assert_allclose(rows[average]["probabilities"], mean, atol=2e-3)
        assert (rows[average]["ids"] == rows[members[0]]["ids"]).all()
