"""What the pages on papers ``cspp`` and ``cnn3d`` compute from claims and evidence."""

import sys
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from fer_lib.evidence.provenance import repository


@pytest.fixture(params=["cspp_page", "cnn3d_page", "overview"])
def page(request, monkeypatch):
    monkeypatch.syspath_prepend(str(repository() / "book"))
    yield __import__(request.param)
    for name in (request.param, "overview", "markup"):
        sys.modules.pop(name, None)


@pytest.mark.parametrize("page", ["cspp_page"], indirect=True)
def test_the_ladder_counts_what_the_paper_claims_in_images(page):
    assert page.headline() == "CK+ 97.41, JAFFE 68.85, MMI 59.20, NimStim 83.30 %"
    shown = page.ladder().data
    assert all(text in shown for text in ("927,206", "97.41", ">903<", "+18", "−7", "from Plain7CNN"))
    # No number of right answers rounds to 94.92, so its image count and both steps are near ones.
    assert all(f">about {text}<" in shown for text in ("880", "+4", "+5"))
    assert shown.count(">about ") == 3
    assert shown.count("from Plain7CNN") == 2  # Plain8CNN and C-SPP both grow out of it


@pytest.mark.parametrize("page", ["cnn3d_page"], indirect=True)
def test_both_searches_stand_beside_one_another(page):
    shown = page.chosen().data
    assert shown.count("<tr>") == len(page.OPTIONS) + 1
    assert "Lookahead + Adam" in shown
    assert "97.56 % (one subject left out at a time) and 100 % (ten folds)" in page.headline()


def cnn3d_run(dataset, search=None, workers=0, **tables):
    tables["search"] = search
    return SimpleNamespace(
        dataset=dataset,
        budget="short",
        seed=0,
        variant="",
        info={"classes": list("ab"), "plan": {"workers": workers}},
        table=lambda name: tables.get(name, pd.DataFrame()),
        models=lambda: [],
    )


@pytest.mark.parametrize("page", ["cnn3d_page"], indirect=True)
@pytest.mark.parametrize(
    ("columns", "workers", "searched"),
    [
        ({"corpus": "ckplus", "budget": "paper"}, 0, "CK+, budget paper"),
        ({"corpus": "synthetic", "budget": "smoke"}, 3, "Synthetic faces, budget smoke"),
        ({"corpus": np.nan, "budget": np.nan}, 0, "not noted"),
        ({}, 3, "Synthetic faces, budget smoke"),  # evidence without these columns
        ({}, 0, "CK+, budget short"),
    ],
)
def test_a_study_says_on_what_it_searched(page, columns, workers, searched):
    trials = pd.DataFrame({"state": ["complete"], "accuracy": [0.5], "worker": "worker1", **columns})
    shown = page.studies([cnn3d_run("ckplus", trials, workers)]).data
    assert f"searched on: {searched}<" in shown
    assert "Best accuracy, %" in shown


@pytest.mark.parametrize("page", ["cnn3d_page"], indirect=True)
def test_views_and_epochs_say_of_which_network_and_folds(page):
    row = {"view": "all frames", "accuracy": 0.5, "low": 0.4, "high": 0.6, "difference": np.nan}
    tables = {"views": pd.DataFrame([row])}
    row = {"model": "c2", "protocol": "random", "average": "pooled", "last epoch": 50.0}
    tables["epoch_selection"] = pd.DataFrame([row])
    run = cnn3d_run("oulu_casia", **tables)
    assert "c2, Oulu-CASIA" in page.views([run]).data
    assert "random folds, Oulu-CASIA" in page.epochs([run]).data
    assert "c1, CK+" in page.views([cnn3d_run("ckplus", **tables)]).data
    assert page.guesses([run]).data == "Guessing among 2 expressions gives 50.00."


@pytest.mark.parametrize("page", ["overview"], indirect=True)
@pytest.mark.parametrize(("right", "better"), [([1, 0, 0, 0] * 2, False), ([1] * 8, True)])
def test_a_network_at_the_level_of_guessing_is_called_that(page, right, better):
    ids, right = np.array([f"i{k}" for k in range(8)]), np.array(right)
    stored = {"probabilities": np.eye(4)[1 - right], "labels": np.zeros(8, int), "ids": ids}
    run = SimpleNamespace(
        dataset="synthetic",
        budget="smoke",
        seed=0,
        variant="",
        info={"classes": list("abcd")},
        models=lambda: ["c1"],
        predictions=lambda name: stored,
        samples=lambda: pd.DataFrame({"ids": ids, "subject": ["x"] * 4 + ["y"] * 4}),
    )
    said = page.guessing([run], "c1").data
    assert "gives 25.00" in said
    assert ("not surely better" in said) is not better
    assert page.guessing([], "c1") is None
