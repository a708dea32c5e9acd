"""The matrix at budget smoke: what its evidence must show."""

import json

import nbformat
import numpy as np
import pytest

from fer_lib.evidence.provenance import notebook_path, parameters
from fer_lib.learn import metrics
from fer_lib.play import matrix
from fer_lib.play.zoo import NETWORKS


@pytest.fixture(scope="module")
def smoke(smoke_of):
    return smoke_of("matrix")


def accuracy(run, model):
    rows = run.predictions(model)
    return metrics.accuracy(rows["labels"], rows["probabilities"].argmax(1))


def test_parameters_are_commented_literals_one_per_line():
    given = parameters(notebook_path("matrix"))
    assert list(given)[:5] == ["dataset", "budget", "seed", "device", "data_dir"]
    (cell,) = [
        c
        for c in nbformat.read(notebook_path("matrix"), 4).cells
        if "parameters" in c.metadata.get("tags", [])
    ]
    assert len(cell.source.splitlines()) == len(given)


def test_the_executed_notebook_is_clean(smoke):
    outputs = [
        output
        for cell in nbformat.read(smoke.path / "notebook.ipynb", 4).cells
        for output in cell.get("outputs", [])
    ]
    assert not any(output.output_type == "error" or output.get("name") == "stderr" for output in outputs)
    assert "Synthetic data" in str(outputs[0])
    assert "Changed from budget paper" in str(outputs[0])
    assert sum("image/png" in output.get("data", {}) for output in outputs) >= 4


def test_all_models_are_tested_on_the_same_unseen_people(smoke):
    rows = [smoke.predictions(name) for name in NETWORKS]
    for other in rows:
        assert (other["ids"] == rows[0]["ids"]).all()
        assert (other["fold"] == rows[0]["fold"]).all()
        assert np.allclose(other["probabilities"].sum(1), 1, atol=0.01)
    (certificate,) = smoke.info["certificates"].values()
    assert certificate["subjects_shared"] == 0


def test_costs_belong_to_the_predictions(smoke):
    costs = smoke.table("costs").set_index("model")
    assert list(costs.index) == list(NETWORKS)
    for name, row in costs.iterrows():
        assert row["accuracy"] == pytest.approx(accuracy(smoke, name))
        assert row["low"] <= row["accuracy"] <= row["high"]
        counted = matrix.multiply_adds(name, len(smoke.info["classes"]), row["width"])
        assert (row["parameters"], row["multiply_adds"]) == counted
    assert (costs[["training_seconds", "images_per_second", "milliseconds"]] > 0).all(axis=None)


def test_every_model_is_disturbed_under_every_condition(smoke):
    table = smoke.table("robustness")
    counts = table.groupby(["model", "condition"])["severity"].nunique().unstack()
    assert counts.shape == (len(NETWORKS), 5)
    assert (counts == 1 + len(smoke.info["plan"]["severities"])).all(axis=None)
    clear = table[table["severity"] == 0].groupby("model")["accuracy"].nunique()
    assert (clear == 1).all()


def test_transfer_is_to_people_nobody_trained_on(smoke):
    table = smoke.table("transfer").set_index("model")
    assert set(table.index) == set(NETWORKS)
    facts = smoke.info["transfer"]["synthetic"]
    rows = smoke.predictions("C2@synthetic")
    assert rows["probabilities"].shape[1] == len(facts["classes"])
    assert not set(rows["ids"]) & set(smoke.predictions("C2")["ids"])
    hits = rows["probabilities"].argmax(1) == rows["labels"]
    by_fold = [hits[rows["fold"] == fold].mean() for fold in np.unique(rows["fold"])]
    assert np.mean(by_fold) == pytest.approx(table.loc["C2", "accuracy"])


def test_the_run_says_what_it_is(smoke):
    info = json.loads((smoke.path / "run.json").read_text("utf-8"))
    assert info["protocol"] is None  # no claim can be set against it
    assert info["common_protocol"] == "subject"
    assert info["not_run"] == []
    assert {own["epochs"] for own in info["recipes"].values()} == {info["plan"]["epochs"]}
    assert info["recipes"]["C-SPP"]["optimiser"] == "sgd"
