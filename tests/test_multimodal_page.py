"""The page of paper ``multimodal`` says what the evidence says."""

import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from fer_lib import claims

BOOK = Path(__file__).resolve().parents[1] / "book"
RIVALS = ("VGG", "ResNet", "Pramerdorfer", "Agrawal", "SVM")
PARTS = ("image", "landmarks", "HOG", "OURS without CBAM")


@pytest.fixture
def page(monkeypatch):
    """Import the page's helper as the page does, from its own folder."""
    monkeypatch.syspath_prepend(str(BOOK))
    import multimodal_page

    yield multimodal_page
    for name in ("multimodal_page", "overview", "markup"):
        sys.modules.pop(name, None)


class FakeRun:
    """A run whose tables are given."""

    dataset, budget, seed, variant = "fer2013", "short", 0, ""

    def __init__(self, **tables):
        self.tables, self.info = tables, {"changes": ["12 epochs, not 500"]}

    def models(self):
        return ["OURS"]

    def table(self, name):
        return self.tables.get(name, pd.DataFrame())


@pytest.fixture
def run(page, monkeypatch):
    score = pd.DataFrame([{"accuracy": 61.5, "low": 59.0, "high": 64.0, "n": 1470}])
    monkeypatch.setattr(page, "subsets", lambda run, model: score)
    ends = {"VGG": "+0.50, +9.00", "SVM": "-9.00, -0.50"}
    leads = [
        (f"OURS minus {name}", f"+{i}.25 [{ends.get(name, '-2.00, +9.00')}]")
        for i, name in enumerate((*RIVALS, *PARTS))
    ]
    models = ("OURS", "VGG", "ResNet", "image", "OURS, found again")
    sweep = pd.DataFrame(
        [
            {"condition": c, "severity": s, "model": m, "accuracy": 0.6 - s * (0.1 + i / 20)}
            for c in page.CONDITIONS
            for s in (0.0, 0.5, 1.0)
            for i, m in enumerate(models)
        ]
    ).assign(n=400, low=0.2, high=0.7)
    found = sweep["model"] == "OURS, found again"
    sweep["detected"] = np.where(found, 0.9 - sweep["severity"] / 2, np.nan)
    return FakeRun(
        differences=pd.DataFrame(leads, columns=["comparison", "points"]),
        selection=pd.DataFrame({"model": models[:3], "gain by selection (points)": [7.0, 6.0, 5.0]}),
        robustness=sweep,
        ten_predictions=pd.DataFrame({"what is averaged": ["one pass"], "accuracy": ["61.5 [59.0, 64.0]"]}),
        speed=pd.DataFrame(
            {
                "step": ["HOG", "OURS, landmarks searched for", "VGG", "ResNet"],
                "milliseconds": [0.04, 6.5, 1.25, 1.5],
            }
        ),
    )


def test_findings_are_the_figures_of_the_evidence(page, run):
    text = page.findings([run]).data
    assert "FER2013, short, seed 0** (12 epochs, not 500)" in text
    assert "61.5 % [59.0, 64.0] of 1,470 faces" in text
    assert "it is ahead of VGG (+0.25 [+0.50, +9.00]); not told apart from ResNet (+1.25 " in text
    assert "; behind SVM (+4.25 [-9.00, -0.50])." in text
    for i, name in enumerate((*RIVALS, *PARTS)):
        assert f"{name} (+{i}.25 [" in text
    assert "no face is found: OURS 7.0, VGG 6.0, ResNet 5.0." in text
    assert "covered: OURS 10.0; OURS, found again 30.0; VGG 15.0; ResNet 20.0; image 25.0." in text
    assert "one pass 61.5 [59.0, 64.0] %" in text
    assert "landmarks searched for 6.50; VGG 1.25; ResNet 1.50. The paper prints no time" in text


def test_nothing_is_said_of_no_run(page):
    assert "Nothing has been run" in page.findings([]).data
    assert "Not run" in page.robustness([FakeRun()]).data
    assert "Not run" in page.found_again([FakeRun()]).data


def test_every_model_has_a_row_and_every_condition_a_column(page, run):
    shown = page.robustness([run]).data
    assert shown.count("<tr>") == 6
    assert all(label in shown for label in page.CONDITIONS.values())
    assert shown.count("-10.0") == 6  # OURS, under every condition at its strongest
    again = page.found_again([run]).data
    assert again.count("<tr>") == 2
    assert (again.count(">90.0<"), again.count(">40.0<")) == (1, 6)


def test_what_does_not_add_up_is_what_weighs_most(page):
    paper = claims.load("multimodal")
    high = [entry for entry in paper.inconsistencies if entry["severity"] == "high"]
    shown = page.doubts(paper).data
    assert shown.count("<tr>") == len(high) + 1
    assert all(entry["where"] in shown for entry in high)
