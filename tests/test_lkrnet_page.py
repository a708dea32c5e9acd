"""LKRNet's overview page takes runs of several seeds together."""

import re
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from fer_lib.evidence import runs
from fer_lib.learn import metrics

BOOK = Path(__file__).resolve().parents[1] / "book"
N = 40
LABELS = np.arange(N) % 7
PLACES = (("before_pool5", "2×2"), ("mask of ones", "2×2"))


@pytest.fixture(autouse=True)
def helpers(monkeypatch):
    """Import the page's helpers as the page does, from its own folder."""
    monkeypatch.syspath_prepend(str(BOOK))
    yield
    for name in ("lkrnet_page", "seeds", "overview", "markup"):
        sys.modules.pop(name, None)


def right(model, seed):
    """Which of the images a network gets right in this test, bool (N,)."""
    return np.random.default_rng([seed, len(model)]).random(N) < (0.7 if model == "Our method" else 0.5)


def recorded(root, seed, ids=None):
    """Leave the evidence of a run of two networks."""
    ids = np.array([f"image{i:02d}" for i in range(N)]) if ids is None else ids
    with runs.Recorder("lkrnet", "fer2013", "short", seed, root=root) as recorder:
        recorder.add_samples(pd.DataFrame({"ids": ids, "label": LABELS, "fold": "official", "subject": ""}))
        for model in ("VGG19", "Our method"):
            chosen = np.where(right(model, seed), LABELS, (LABELS + 1) % 7)
            recorder.add_predictions(model, np.eye(7)[chosen], LABELS, ids, "official")
        rows = [(mask, cells, 0.4 + 0.1 * i + 0.01 * seed) for i, (mask, cells) in enumerate(PLACES)]
        recorder.add_table("mask_stages", pd.DataFrame(rows, columns=["mask", "cells", "hits"]))
        mask = {"cells": "2×2", "where": "stage 5", "mean weight": 0.2, "largest weight": 0.3}
        mask |= {"said by a constant": 0.9} | ({"pooled as the maps": 0.6} if seed else {})
        recorder.add_table("masks", pd.DataFrame([mask]))
        gains = pd.DataFrame({"stage": [5, 4], "gain": [0.02 - 0.03 * seed, 0.1], "low": -0.1, "high": 0.2})
        gains["own"] = 0.03
        recorder.add_table("energy_gain", gains)
        return runs.Run(recorder.commit())


@pytest.fixture
def made(tmp_path):
    return [recorded(tmp_path, seed) for seed in (0, 1)]


def test_accuracy_over_seeds_is_the_mean_of_the_runs(made):
    import seeds

    found = seeds.measured(made, "Our method")
    each = [100 * right("Our method", seed).mean() for seed in (0, 1)]
    assert found["seeds"] == pytest.approx(each)
    assert found["mean"] == pytest.approx(np.mean(each))
    values = 100.0 * np.stack([right("Our method", seed) for seed in (0, 1)])
    assert (found["low"], found["high"]) == pytest.approx(metrics.interval(values))
    assert f"{np.mean(each):.2f}" in seeds.accuracies(made, ["Our method"]).data
    assert "2 seeds" in seeds.accuracies(made, ["Our method"]).data


def test_a_lead_is_taken_image_by_image(made):
    import seeds

    found = seeds.measured(made, "Our method", "VGG19")
    gap = [100 * (right("Our method", s).mean() - right("VGG19", s).mean()) for s in (0, 1)]
    assert found["seeds"] == pytest.approx(gap)
    shown = seeds.differences("lkrnet", made, [("Our method", "VGG19")]).data
    assert f"{np.mean(gap):+.2f}" in shown
    assert "+3.13" in shown  # Sect. 4.3.4


def test_seeds_that_test_other_images_are_taken_together_too(tmp_path):
    import seeds

    other = [recorded(tmp_path, s, np.array([f"{s}{i:02d}" for i in range(N)])) for s in (0, 1)]
    found = seeds.measured(other, "VGG19")
    assert found["mean"] == pytest.approx(50 * sum(right("VGG19", s).mean() for s in (0, 1)))
    assert found["low"] < found["mean"] < found["high"]


def test_one_seed_has_no_range(made):
    import seeds

    assert " to " not in seeds.spread([1.0])
    assert "1.0 to 3.0" in seeds.spread([1.0, 3.0])
    assert " to " not in seeds.spread([1.0, 1.01])
    assert seeds.spread([float("nan")]) is None
    assert "1 seed<" in seeds.accuracies(made[:1], ["VGG19"]).data


def test_places_of_the_mask_are_compared_seed_by_seed(made):
    import lkrnet_page

    shown = lkrnet_page.placements(made).data
    assert "40.5" in shown
    assert "40.0 to 41.0" in shown
    assert ">-10.00<" in shown  # in both seeds, so without a range


def test_masks_of_older_runs_lack_the_share_of_pooled_masks(made):
    import lkrnet_page

    old, both = lkrnet_page.masks(made[:1]).data, lkrnet_page.masks(made).data
    assert "90.0" in old
    assert "60.0" not in old
    assert "60.0" in both


def test_gains_of_grad_cam_count_the_seeds_that_agree(made):
    import lkrnet_page

    shown = lkrnet_page.energy_gains(made).data
    assert "1 of 2" in shown
    assert "2 of 2" in shown
    assert "-1.00 to +2.00" in shown
    assert ">+3.00<" in shown  # the part that is for a face's own regions


def test_leads_that_the_interval_bears_out_are_counted(made):
    import lkrnet_page

    said = lkrnet_page.outcome(made, [("Our method", "VGG19"), ("VGG19", "Our method")]).data
    assert "FER2013, short, 2 seeds. Of the 2 leads" in said
    assert "judges none" in said
    above, below = (int(re.search(rf"{word} (?:zero|it) for (\d)", said)[1]) for word in ("above", "below"))
    assert above == below  # a lead one way is a lag the other way
    assert "None of the leads" in lkrnet_page.outcome([], [("Our method", "VGG19")]).data


def test_works_quoted_on_ckplus_stand_beside_the_method():
    import lkrnet_page

    said = lkrnet_page.quoted_on_ckplus().data
    assert "average 91.71" in said
    assert "96.57 (DeRL)" in said


def test_without_runs_nothing_is_shown():
    import lkrnet_page
    import seeds

    for shown in (lkrnet_page.placements([]), lkrnet_page.energy_gains([]), seeds.accuracies([], ["VGG19"])):
        assert "Not run" in shown.data


def test_the_gain_on_disgust_is_said_both_ways():
    import lkrnet_page

    shown = lkrnet_page.disgust().data
    assert "+6" in shown
    assert "+0" in shown
