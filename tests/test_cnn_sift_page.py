"""The page of paper ``cnn_sift`` says what the evidence says."""

import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from fer_lib.judge.answers import Answer

BOOK = Path(__file__).resolve().parents[1] / "book"
MODELS = ["C2", "S2", "CNN-ONLY", "CNN-SIFT", "CNN-SIFT-AVG"]


@pytest.fixture
def page(monkeypatch):
    """Import the page's helper as the page does, from its own folder."""
    monkeypatch.syspath_prepend(str(BOOK))
    import cnn_sift_page

    row = {"accuracy": 60.0, "low": 58.0, "high": 62.0, "n": 3589}
    other = {"C1": 57.0, "C3": 55.5}
    monkeypatch.setattr(
        cnn_sift_page,
        "subsets",
        lambda run, model: pd.DataFrame([row | {"accuracy": other.get(model, 60.0)}]),
    )
    ends = {"CNN-SIFT": (-1.0, 1.5), "S2": (-4.0, -1.0), "CNN-SIFT-AVG": (0.1, 1.7)}
    leads = {name: Answer(sum(pair) / 2, *pair, 3589) for name, pair in ends.items()}
    monkeypatch.setattr(cnn_sift_page, "gain", lambda run, better, worse: leads[better])
    yield cnn_sift_page
    for name in ("cnn_sift_page", "overview", "markup"):
        sys.modules.pop(name, None)


def fake(models=MODELS, sizes=True):
    frame = pd.DataFrame({"n": [213, 213, 4000, 4000], "model": ["CNN-ONLY", "CNN-SIFT"] * 2})
    frame["accuracy"] = [0.25, 0.27, 0.30, 0.29]
    return SimpleNamespace(
        **{"dataset": "fer2013", "budget": "short", "seed": 0, "variant": ""},
        info={"changes": ["5 epochs, not 300"], "plan": {"steps": 60}, "units_resumed": 6},
        models=lambda: list(models),
        table=lambda name: frame if sizes else pd.DataFrame(),
        predictions=lambda model: {"labels": np.array([3, 3, 3, 1])},
    )


def test_findings_are_the_figures_of_the_evidence(page):
    text = page.findings([fake()]).data
    assert "FER2013, short, seed 0** (5 epochs, not 300)" in text
    assert "CNN-SIFT-AVG 60.0 % [58.0, 62.0]. Always naming the commonest expression" in text
    assert "* Accuracy on 3,589 test images: CNN-ONLY 60.0 %" in text
    assert "right on 75.0 %" in text
    assert "CNN-SIFT is not told apart from CNN-ONLY (+0.25 [-1.00, +1.50])" in text
    assert "S2 is behind C2 (-2.50 [" in text
    assert "CNN-SIFT-AVG is ahead of CNN-ONLY (+0.90 [" in text
    assert "for about 60 steps: 213 images +2.0; 4,000 images -1.0." in text
    assert "right on 25.0 to 30.0 %" in text
    assert "6 of its trainings were taken over" in text
    assert "points apart" not in text


def test_leads_stand_beside_how_far_networks_without_sift_lie_apart(page):
    text = page.findings([fake(["C1", "C3", *MODELS])]).data
    assert "all without SIFT, lie up to 4.5 points apart." in text


def test_what_a_run_has_not_is_not_told(page):
    text = page.findings([fake(MODELS[2:], sizes=False)]).data
    assert "S2" not in text
    assert "steps" not in text
    assert "Nothing has been run" in page.findings([fake(["S2"])]).data
