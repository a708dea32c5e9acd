"""The rules of judging, each in both directions."""

import numpy as np
import pytest

from fer_lib.judge import verdicts
from fer_lib.judge.verdicts import Verdict


def figure(*values, **options):
    return verdicts.figure(*values, **options).name


# --- printed figures ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "ours, low, high, expected",
    [
        (72.0, 71.3, 72.9, "reproduced"),  # inside 71.17 to 73.17
        (72.0, 71.17, 73.17, "reproduced"),  # a gap of exactly the tolerance is within it
        (72.0, 71.0, 72.9, "inconclusive"),  # a little of it outside
        (72.0, 60.0, 84.0, "inconclusive"),  # the widest interval proves nothing
        (70.0, 69.0, 71.1, "not reached"),
        (70.0, 69.0, 71.2, "inconclusive"),
        (74.0, 73.2, 75.0, "exceeded"),
        (74.0, 73.1, 75.0, "inconclusive"),
    ],
)
def test_equivalence_instead_of_overlap(ours, low, high, expected):
    found = verdicts.figure(72.17, ours, low, high, 1.0)
    assert found.name == expected
    assert f"{ours:.2f}" in found.reason
    assert "72.17" in found.reason


def test_three_verdicts_that_overlap_called_reproduced():
    same = {"n": 3589, "same_samples": True}
    assert figure(73.51, 71.80, 70.30, 73.25, 1.0, **same) == "inconclusive"
    assert figure(75, 54.5, 41.8, 67.3, 1.0, n=55, same_samples=True) == "inconclusive"
    difference = figure(0.25, -0.90, -2.23, 0.61, 0.5, proportion=False, **same)
    assert difference == "inconclusive"
    assert verdicts.sign(0.25, -0.90, -2.23, 0.61).name == "inconclusive"
    assert verdicts.sign(0.25, -0.90, -1.61, -0.2).name == "does not hold"


def test_on_the_same_samples_the_interval_of_the_claim_widens_nothing():
    # Of 3,589 images the claim's own interval goes down to 70.7.
    assert figure(72.17, 70.0, 69.5, 70.9, 1.0, n=3589, same_samples=True) == "not reached"
    assert figure(72.17, 70.0, 69.5, 70.9, 1.0, n=3589) == "inconclusive"
    assert "the claim's own interval" in verdicts.figure(72.17, 70.0, 69.5, 70.9, 1.0, n=3589).reason
    # It never makes anything reproduced.
    assert figure(72.17, 71.0, 70.8, 71.9, 1.0, n=3589) == "inconclusive"


def test_where_one_sample_outweighs_the_tolerance_the_claim_is_as_uncertain_as_its_samples():
    few = {"n": 55, "same_samples": True}
    assert figure(75, 54.5, 50.0, 61.0, 1.0, **few) == "not reached"  # outside 62.2 to 84.6 too
    assert figure(75, 54.5, 50.0, 63.0, 1.0, **few) == "inconclusive"


@pytest.mark.parametrize(
    "n, seeds, same, said",
    [
        (3589, 3, True, "seeds would decide"),
        (3589, 1, True, "if they differ no more than samples do"),
        (3589, 3, False, "samples would decide"),
    ],
)
def test_inconclusive_says_what_would_decide(n, seeds, same, said):
    found = verdicts.figure(
        72.17, 71.5, 70.6, 72.4, 1.0, n=n, tested=n, seeds=seeds, same_samples=same, proportion=False
    )
    assert found.name == "inconclusive"
    assert said in found.reason


def test_the_number_of_seeds_that_would_decide_is_the_smallest_that_does():
    # Three seeds with a spread of 0.4: half-width 4.303 * 0.4 / sqrt(3); half a point of room.
    half = verdicts.metrics.t_quantile(2) * 0.4 / np.sqrt(3)
    widths = {s: verdicts.metrics.t_quantile(s - 1) * 0.4 / np.sqrt(s) for s in range(4, 20)}
    expected = min(s for s, width in widths.items() if width <= 0.5)
    assert verdicts.enough(0.5, half, 3589, 3, True) == f"about {expected} seeds would decide"
    assert "no realistic number of seeds" in verdicts.enough(0.001, half, 3589, 3, True)
    assert verdicts.enough(0.5, 1.0, 1000, 3, False) == "about 4,000 samples would decide"
    assert "no realistic number of samples" in verdicts.enough(0.0, 1.0, 1000, 3, False)


def test_not_reached_needs_every_best_epoch_below_too():
    found = verdicts.figure(72.17, 70.0, 69.5, 70.9, 1.0)
    assert verdicts.reached_by_best_epoch(found, 72.17, 1.0, [70.9, 71.1]) == found
    kept = verdicts.reached_by_best_epoch(found, 72.17, 1.0, [70.9, 71.2])
    assert kept.name == "inconclusive"
    assert "71.20" in kept.reason
    high = verdicts.figure(72.17, 80.0, 79.5, 80.9, 1.0)
    unknown = verdicts.reached_by_best_epoch(found, 72.17, 1.0, [70.9, np.nan])
    assert unknown.name == "inconclusive"
    assert "not recorded" in unknown.reason
    assert verdicts.reached_by_best_epoch(high, 72.17, 1.0, [90.0]) == high


# --- order, sign, equivalence ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    "low, high, expected", [(0.1, 2.0, "holds"), (-0.1, 2.0, "inconclusive"), (-2.0, -0.1, "does not hold")]
)
def test_order(low, high, expected):
    assert verdicts.order((low + high) / 2, low, high, 1000).name == expected


def test_the_sign_of_a_loss_is_a_loss():
    assert verdicts.sign(-1.0, -2.0, -3.0, -1.0).name == "holds"
    assert verdicts.sign(-1.0, 2.0, 1.0, 3.0).name == "does not hold"


@pytest.mark.parametrize(
    "low, high, expected",
    [(-0.5, 0.5, "holds"), (-0.5, 1.5, "inconclusive"), (1.5, 2, "does not hold"), (-3, -2, "does not hold")],
)
def test_equivalent(low, high, expected):
    assert verdicts.equivalent(low, high, 1.0).name == expected


@pytest.mark.parametrize(
    "parts, expected",
    [
        (["holds", "holds"], "holds"),
        (["holds", "inconclusive"], "inconclusive"),
        (["inconclusive", "does not hold"], "does not hold"),
    ],
)
def test_all_parts_must_hold(parts, expected):
    found = verdicts.together([Verdict(name, name) for name in parts])
    assert found.name == expected
    assert found.reason == "; ".join(parts)


# --- p-values -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "claimed, ours, lead, expected",
    [
        (0.0365, 0.01, 1, "reproduced"),
        (0.0365, 0.05, 1, "not reached"),
        (0.0365, 0.01, -1, "not reached"),  # significant the other way round
        (0.2, 0.01, 1, "exceeded"),
        (0.2, 0.3, 1, "reproduced"),
        (0.0365, np.nan, 0, "inconclusive"),
        (0.2, np.nan, 0, "inconclusive"),
    ],
)
def test_a_p_value_is_judged_by_its_conclusion(claimed, ours, lead, expected):
    assert verdicts.p_value(claimed, ours, 10, lead).name == expected
