"""The pages of arithmetic and of open readings say what the library finds."""

import sys
from pathlib import Path

import pytest

from fer_lib import claims, forensics

BOOK = Path(__file__).resolve().parents[1] / "book"


@pytest.fixture(autouse=True)
def helpers(monkeypatch):
    """Import the pages' helpers as a page does, from its own folder."""
    monkeypatch.syspath_prepend(str(BOOK))
    yield
    for name in ("arithmetic", "register", "overview", "markup"):
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
