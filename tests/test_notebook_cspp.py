"""Chapter 3 at budget smoke: what its evidence must show."""

import re

import numpy as np
import pytest

from fer_lib import claims
from fer_lib.judge import order
from fer_lib.learn import metrics
from fer_lib.papers.cspp import network as cspp
from fer_lib.show import plots


@pytest.fixture(scope="module")
def smoke(smoke_of):
    return smoke_of("cspp")


def accuracy(run, model):
    rows = run.predictions(model)
    return metrics.accuracy(rows["labels"], rows["probabilities"].argmax(1))


def test_all_networks_are_tested_on_the_same_faces(smoke):
    first, *others = (smoke.predictions(name) for name in (*cspp.NETWORKS, *cspp.ABLATIONS))
    assert all(np.array_equal(rows["ids"], first["ids"]) for rows in others)


def test_every_claim_of_order_that_runs_decide_finds_its_networks(smoke):
    trained = set(smoke.curves()["model"])
    for claim in claims.load("cspp").order:
        if claim.decided_by == "running":
            named = {re.sub("@cross_ck_to_.*", "@across", name) for name in order.models(claim, smoke)}
            assert named <= {*smoke.models()}
            assert {name.removesuffix("@across") for name in named} <= trained


def test_nobody_is_on_both_sides_of_the_papers_protocol(smoke):
    held, random = (smoke.info["certificates"][name] for name in ("subject", "random"))
    assert held["subjects_shared"] == 0 < random["subjects_shared"]
    assert random["sequences_shared"] > 0
    samples = smoke.samples()
    by_person = samples[samples["fold"].str.contains("subject") & ~samples["ids"].str.startswith("synthetic")]
    assert (by_person.groupby("subject")["fold"].nunique() == 1).all()


def test_each_habit_of_the_inflation_experiment_is_a_step(smoke):
    table = smoke.table("inflation")
    assert table["step"].tolist() == [
        "people held out, last epoch",
        "+ random folds",
        "+ 3 frames per sequence",
        "+ best test epoch",
    ]
    gained = table["gain"].iloc[1:]
    assert table["accuracy"].iloc[-1] == pytest.approx(table["accuracy"].iloc[0] + gained.sum(), abs=0.01)
    assert gained.iloc[-1] >= 0  # the best of a fold's epochs cannot be worse than its last
    assert np.isnan(table["gain_low"].iloc[-1])  # of two folds
    assert table["accuracy"].iloc[2] == pytest.approx(accuracy(smoke, "C-SPP@random"), abs=0.01)
    assert plots.waterfall(table).axes


def test_models_of_the_folds_are_applied_to_the_other_corpus(smoke):
    rows = smoke.predictions("C-SPP@across")
    facts = smoke.info["across_datasets"]["synthetic, others"]
    folds = np.unique(rows["fold"])
    assert len(folds) == len(facts["models"]) == smoke.info["plan"]["folds"]
    hits = rows["probabilities"].argmax(1) == rows["labels"]
    means = [hits[rows["fold"] == fold].mean() for fold in folds]
    assert np.mean(means) == pytest.approx(facts["accuracy"], abs=0.01)
    assert not set(rows["ids"]) & set(smoke.predictions("C-SPP")["ids"])


def test_neighbours_are_compared_with_chance(smoke):
    table = smoke.table("neighbours").set_index("features")
    assert list(table.index) == ["pixels", "Benchmark", "C-SPP", "chance"]
    assert table.to_numpy().min() >= 0
    assert table.to_numpy().max() <= 100
