"""Chapter 5 at budget smoke: what its evidence must show."""

import nbformat
import pytest

from fer_lib import claims
from fer_lib.judge import order
from fer_lib.learn import metrics
from fer_lib.papers.lkrnet import network as lkrnet


@pytest.fixture(scope="module")
def smoke(smoke_of):
    return smoke_of("lkrnet")


def accuracy(run, model):
    rows = run.predictions(model)
    return metrics.accuracy(rows["labels"], rows["probabilities"].argmax(1))


def test_all_four_networks_are_tested_on_the_same_images(smoke):
    ids = [smoke.predictions(name)["ids"] for name in lkrnet.NETWORKS]
    assert all((other == ids[0]).all() for other in ids)
    assert "Our method@subject" in smoke.models()
    held, random = (smoke.info["certificates"][name] for name in ("subject", "random"))
    assert held["subjects_shared"] == 0 < random["subjects_shared"]


def test_fewer_cells_say_less_of_the_mask(smoke):
    table = smoke.table("masks")
    assert table["cells"].tolist() == ["44×44", "11×11", "5×5", "2×2", "1×1"]
    assert table["said by a constant"].is_monotonic_increasing
    assert table["said by a constant"].iloc[0] < 0.5 < 0.95 < table["said by a constant"].iloc[3]
    assert table["largest weight"].is_monotonic_decreasing
    assert table["pooled as the maps"].iloc[3] < table["said by a constant"].iloc[3]


def test_the_mask_is_tried_elsewhere_otherwise_and_switched_off(smoke):
    table = smoke.table("mask_stages")
    assert table["mask"].tolist() == [
        *("before_pool5", "mask of ones", "alpha=0.2", "alpha=0.4", "after_pool5", "before_pool4")
    ]
    assert table["cells"].tolist() == ["2×2", "2×2", "2×2", "2×2", "1×1", "5×5"]
    assert table["hits"].iloc[0] == pytest.approx(accuracy(smoke, "Our method"), abs=0.01)


def test_every_network_that_a_claim_asks_for_has_predictions_and_curves(smoke):
    trained = set(smoke.curves()["model"])
    for claim in claims.load("lkrnet").order:
        if claim.decided_by == "running" and claim.corpus == "fer2013":
            named = order.models(claim, smoke) if "contrast" not in str(claim.test) else ["VGG19"]
            assert {*named} <= {*smoke.models()} & trained


def test_lambda_is_swept(smoke):
    table = smoke.table("lambda")
    assert table["lambda"].tolist() == [0, 0.2, 0.4]
    assert table["silhouette"].between(-1, 1).all()
    assert table[["kNN accuracy", "trustworthiness of t-SNE"]].stack().between(0, 1).all()
    drawn = smoke.embeddings()
    assert {f"lambda {w}_tsne" for w in ("0", "0.2", "0.4")} <= set(drawn)


def test_grad_cam_is_a_figure_for_every_network_and_stage(smoke):
    table = smoke.table("energy")
    assert len(table) == 3 * len(lkrnet.NETWORKS)
    assert table["share"].between(0, 1).all()
    assert (table["low"] <= table["share"]).all()
    assert (table["share"] <= table["high"]).all()
    assert table["area"].nunique() == 1
    assert table["area"].between(0.05, 0.6).all()
    assert table["empty"].lt(len(smoke.predictions("VGG19")["ids"])).any()


def test_drawn_faces_stand_alone_in_the_table_of_classes(smoke):
    """The paper's figures are shown as the paper's, never beside those of drawn faces."""
    texts = [
        "".join(output.get("data", {}).get("text/html", ""))
        for cell in nbformat.read(smoke.path / "notebook.ipynb", 4).cells
        for output in cell.get("outputs", [])
    ]
    assert sum(">printed<" in text for text in texts) >= 2
    assert not any("this run<" in text for text in texts if ">printed<" in text)
