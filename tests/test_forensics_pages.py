"""The pages of arithmetic and of open readings say what the library finds."""

import sys
from pathlib import Path

import pandas as pd
import pytest

from fer_lib import claims, forensics

BOOK = Path(__file__).resolve().parents[1] / "book"


@pytest.fixture(autouse=True)
def helpers(monkeypatch):
    """Import the pages' helpers as a page does, from its own folder."""
    monkeypatch.syspath_prepend(str(BOOK))
    yield
    for name in ("arithmetic", "register", "overview", "markup", "front"):
        sys.modules.pop(name, None)


def test_every_failing_fraction_is_shown():
    import arithmetic

    shown = arithmetic.fractions().data
    failing = forensics.fractions().query("fits == ''")
    assert shown.count("<tr>") == len(failing) + 1
    assert all(f"{value:.2f}" in shown for value in failing["printed"])


def test_the_summary_counts_what_the_tables_show():
    import arithmetic

    table = forensics.averages()
    assert f'<td class="num">{len(table)}</td>' in arithmetic.summary().data
    assert arithmetic.averages().data.count("neither") == (table["agrees"] == "").sum()


@pytest.mark.parametrize("paper", claims.PAPERS)
def test_everything_found_and_left_open_is_listed(paper):
    import arithmetic
    import register

    found = arithmetic.found(paper).data
    assert found.count("<tr>") == len(claims.load(paper).inconsistencies) + 1
    listed = register.of(paper).data
    assert all(knob in listed for knob in claims.ambiguities(paper)["knob"])


def test_only_runs_that_flip_one_reading_alone_are_measured(monkeypatch):
    import register

    class Run:
        dataset, budget, seed = "fer2013", "short", 0

        def __init__(self, variant, right):
            self.variant, self.right = variant, right

        def models(self):
            return ["C1", "C1@subject"]

        def predictions(self, model):
            import numpy as np

            labels = np.zeros(4, int)
            return {"labels": labels, "probabilities": np.eye(2)[[0] * self.right + [1] * (4 - self.right)]}

    made = [Run("", 2), Run("lr=0.1", 3), Run("lr=0.1,augment=mild", 4), Run("lr_other=1", 4)]
    monkeypatch.setattr(register.runs, "find", lambda paper: made)
    (line,) = register._measured("cnn_sift", "lr")
    assert line.startswith("lr=0.1: C1 +25.00 points")


def test_many_claims_are_folded_up_per_model_and_few_are_not(tmp_path):
    import overview

    from fer_lib import report

    frame = report.compare("multimodal", [])
    folded = overview.verdicts(frame, "Claims").data
    assert folded.count("<details") == frame["model"].nunique()
    assert folded.count('<td class="long">') == 2 * len(frame)  # the claim and its verdict
    assert "<details" not in overview.verdicts(frame.head(overview.FOLDED), "Claims").data


def test_the_front_page_counts_each_claim_once(tmp_path):
    import front

    from fer_lib import report

    score = report.scorecard(tmp_path)
    said = front.standing(score).data
    assert f"<strong>{len(score)} claims</strong>, 0 are judged" in said
    assert f"{(score['verdict'] == 'needs data').sum()} wait for a run" in said
    twice = front.standing(pd.concat([score, score.assign(verdict="reproduced")], ignore_index=True)).data
    assert f"{len(score)} are judged ({len(score)} reproduced" in twice
