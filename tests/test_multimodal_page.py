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
PAIRS = ("image+landmarks", "image+HOG", "landmarks+HOG")


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
        self.tables = tables
        self.info = {"changes": ["12 epochs, not 500"], "parameters": {"align": "eyes"}}

    def models(self):
        return ["OURS"]

    def table(self, name):
        return self.tables.get(name, pd.DataFrame())


@pytest.fixture
def run(page, monkeypatch):
    score = pd.DataFrame([{"accuracy": 61.5, "low": 59.0, "high": 64.0, "n": 1470}])
    monkeypatch.setattr(page, "subsets", lambda run, model: score)
    ends = {"VGG": "+0.50, +9.00", "SVM": "-9.00, -0.50", "image+HOG": "-4.00, -0.25"}
    leads = [
        (f"OURS minus {name}", f"+{i}.25 [{ends.get(name, '-2.00, +9.00')}]")
        for i, name in enumerate((*RIVALS, *PARTS, *PAIRS))
    ]
    models = ("OURS", "VGG", "ResNet", "image", "OURS, found again")
    sweep = pd.DataFrame(
        [
            {"condition": c, "severity": s, "model": m, "accuracy": 0.6 - s * (0.1 + i / 20)}
            for c in page.CONDITIONS
            for s in (0.0, 0.5, 1.0)
            for i, m in enumerate(models)
        ]
    ).assign(n=1470, low=0.2, high=0.7)
    found = sweep["model"] == "OURS, found again"
    sweep.loc[found, "n"] = 400
    sweep["detected"] = np.where(found, 0.9 - sweep["severity"] / 2, np.nan)
    return FakeRun(
        differences=pd.DataFrame(leads, columns=["comparison", "points"]),
        selection=pd.DataFrame({"model": models[:3], "gain by selection (points)": [7.0, 6.0, 5.0]}),
        robustness=sweep,
        ten_predictions=pd.DataFrame({"what is averaged": ["one pass"], "accuracy": ["61.5 [59.0, 64.0]"]}),
        speed=pd.DataFrame(
            {
                "step": ["HOG", "face and landmarks (dlib)", "OURS", "VGG", "ResNet", "SVM"],
                "milliseconds": [0.04, 4.5, 2.0, 1.25, 1.5, 8.0],
            }
        ),
    )


def test_findings_are_the_figures_of_the_evidence(page, run):
    text = page.findings([run]).data
    assert "FER2013, short, seed 0** (12 epochs, not 500)" in text
    assert "61.5 % [59.0, 64.0] of 1,470 faces" in text
    assert "it is ahead of VGG (+0.25 [+0.50, +9.00]); not told apart from ResNet (+1.25 " in text
    assert "; behind SVM (+4.25 [-9.00, -0.50])." in text
    for i, name in enumerate((*RIVALS, *PARTS, *PAIRS)):
        assert f"{name} (+{i}.25 [" in text
    assert "no face is found: OURS 7.0, VGG 6.0, ResNet 5.0." in text
    assert "without the third it is not told apart from image+landmarks" in text
    assert "; behind image+HOG (+10.25 [-4.00, -0.25])." in text
    assert "covered: OURS 10.0 (1,470 images); OURS, found again 30.0 (400 images); VGG 15.0 (1,470" in text
    assert "one pass 61.5 [59.0, 64.0] %" in text
    assert "once the face is found: OURS 2.00; VGG 1.25; ResNet 1.50; SVM 8.00. The search" in text
    assert "adds 4.50 to each, since all read faces aligned by the eyes. The paper prints no time" in text


def test_a_search_for_landmarks_alone_is_charged_to_those_that_read_them(page, run):
    run.info["parameters"]["align"] = "none"
    run.tables["speed"] = run.tables["speed"].replace("OURS", "OURS, landmarks given").iloc[:-1]
    text = page.findings([run]).data
    assert "OURS 2.00; VGG 1.25; ResNet 1.50. The search" in text
    assert "adds 4.50 to those that read landmarks" in text
    assert "here is the SVM, which was not timed." in text


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


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        (("official", "whole", "dropped"), {"Kept": "official", "All": "whole", "Dropped": "dropped"}),
        (("official", "kept", "dropped"), {"Kept": "kept", "All": "official", "Dropped": "dropped"}),
        (("subject", "whole"), {"Kept": "subject", "All": "whole", "Dropped": None}),
    ],
)
def test_columns_of_the_selection_go_by_their_names(page, parts, expected):
    row = {"model": "OURS", "gain by selection (points)": 2.0}
    for i, name in enumerate(parts):
        row |= {f"{name} (%)": 10.0 * (i + 1), f"{name}, images": i + 1}
    assert page._selected(row) == expected
    shown = page.selection([FakeRun(selection=pd.DataFrame([row]))], ["OURS"]).data
    places = [shown.index(f"{10.0 * (parts.index(name) + 1):.1f}") for name in expected.values() if name]
    assert places == sorted(places)


def test_a_network_of_some_branches_is_called_alone(page):
    assert page._versus("OURS minus landmarks") == "OURS against landmarks alone"
    assert page._versus("OURS minus image+HOG") == "OURS against image+HOG alone"
    assert page._versus("OURS minus OURS without CBAM") == "OURS against OURS without CBAM"
    assert page._versus("image minus image without CBAM") == "image alone against image alone without CBAM"
    assert page._versus("OURS minus VGG") == "OURS against VGG"


def test_what_does_not_add_up_is_what_weighs_most(page):
    paper = claims.load("multimodal")
    high = [entry for entry in paper.inconsistencies if entry["severity"] == "high"]
    shown = page.doubts(paper).data
    assert shown.count("<tr>") == len(high) + 1
    assert all(entry["where"] in shown for entry in high)
