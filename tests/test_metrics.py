"""Accuracies against scikit-learn; intervals against theory, simulation and slow resampling."""

import itertools
import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.metrics import confusion_matrix, recall_score, roc_auc_score

from fer_lib.errors import FerError
from fer_lib.learn import metrics
from fer_lib.learn.metrics import Term

LABELS = st.integers(1, 40).flatmap(
    lambda n: st.tuples(*[arrays(np.int64, n, elements=st.integers(0, 4)) for _ in range(2)])
)


@given(LABELS)
def test_confusion_agrees_with_scikit_learn_and_with_the_accuracies(pair):
    labels, pred = pair
    counts = metrics.confusion(labels, pred, 5)
    assert counts.dtype == np.int64
    np.testing.assert_array_equal(counts, confusion_matrix(labels, pred, labels=range(5)))
    assert metrics.accuracy(labels, pred) == pytest.approx(np.trace(counts) / counts.sum())
    assert (np.isnan(metrics.per_class(labels, pred, 5)) == (counts.sum(axis=1) == 0)).all()
    mean = metrics.mean_class_accuracy(labels, pred, 5)
    assert mean == pytest.approx(recall_score(labels, pred, labels=np.unique(labels), average="macro"))
    assert mean == pytest.approx(np.average(labels == pred, weights=metrics.class_weights(labels)))


def test_misaligned_answers_and_unknown_classes_are_clear_errors():
    for labels, pred in (([], []), ([0, 1], [0]), ([[0]], [[0]])):
        with pytest.raises(FerError, match="aligned, non-empty"):
            metrics.accuracy(labels, pred)
    for pred in ([0, 3], [0, -1]):
        with pytest.raises(FerError, match=r"0\.\.2"):
            metrics.confusion([0, 1], pred, 3)
    for correct, groups in (([], None), ([True, False], ["a"])):
        with pytest.raises(FerError, match="one group for each"):
            metrics.interval(correct, groups)


def test_bootstrap_over_samples_is_the_binomial_one():
    # The bootstrap distribution of a proportion is exactly Binomial(n, p) / n.
    from scipy.stats import binom

    exact = binom.ppf([0.025, 0.975], 3589, 2590 / 3589) / 3589
    assert metrics.interval(np.arange(3589) < 2590) == pytest.approx(tuple(exact), abs=0.001)


def test_draws_of_subjects_agree_with_drawing_them_one_by_one():
    rng = np.random.default_rng(1)
    subjects = np.repeat(np.arange(12), rng.integers(5, 30, 12))
    correct = rng.random(len(subjects)) < rng.beta(4, 2, 12)[subjects]
    means = []
    for _ in range(4000):
        rows = np.concatenate([np.flatnonzero(subjects == s) for s in rng.integers(0, 12, 12)])
        means.append(correct[rows].mean())
    tops, bottoms = (np.bincount(subjects, w)[:, None] for w in (correct, np.ones(len(subjects))))
    drawn = metrics.resample(tops, bottoms, np.zeros(12, int))
    bounds = [0.025, 0.5, 0.975]
    assert np.quantile(drawn, bounds) == pytest.approx(np.quantile(means, bounds), abs=0.015)
    # The interval of twelve subjects is wider than the draws: by t for normal, and by (G - 1) / G.
    low, high = metrics.interval(correct, subjects)
    factor = metrics.t_quantile(11) / 1.95996 * np.sqrt(12 / 11)
    spread = np.quantile(drawn, 0.975) - np.quantile(drawn, 0.025)
    assert high - low == pytest.approx(factor * spread, rel=0.02)


@pytest.mark.parametrize("seeds", [1, 2, 3, 5])
def test_intervals_cover_the_truth_in_about_95_of_100_simulations(seeds):
    """Of seeds whose skill differs, on samples whose ease does."""
    rng, covered, repeats = np.random.default_rng(seeds), 0, 400
    for _ in range(repeats):
        ease = rng.beta(4, 1, 150)
        skill = rng.normal(0, 0.03, seeds)[:, None]
        correct = rng.random((seeds, 150)) < np.clip(ease + skill, 0, 1)
        # One seed speaks of its own network, several of all networks that could have been trained.
        truth = 0.8 + (skill[0, 0] if seeds == 1 else 0)
        low, high = metrics.interval(correct)
        covered += low <= truth <= high
    assert 0.925 <= covered / repeats <= 0.985


@pytest.mark.parametrize("seeds", [2, 5])
def test_over_seeds_alone_the_interval_is_the_t_interval(seeds):
    from scipy import stats

    correct = np.random.default_rng(seeds).random((seeds, 60)) < 0.7
    found = metrics.estimate([Term(list(correct), [np.arange(60)] * seeds)])
    means = correct.mean(axis=1)
    expected = stats.t.interval(0.95, seeds - 1, means.mean(), stats.sem(means))
    assert found.over_seeds == pytest.approx(expected)
    assert np.isnan(metrics.estimate([Term([correct[0]], [np.arange(60)])]).over_seeds).all()


def by_class(correct, groups, labels):
    found = metrics.estimate(metrics.by_strata(Term([correct], [groups]), [labels]))
    return found.low, found.high


def test_a_class_mean_keeps_the_size_of_each_class():
    rng = np.random.default_rng(0)
    labels = np.repeat([0, 1], [20, 2000])
    correct = rng.random(2020) < np.where(labels == 0, 0.5, 0.9)
    low, high = by_class(correct, np.arange(2020), labels)
    p, q = correct[:20].mean(), correct[20:].mean()
    exact = 1.96 * np.sqrt(p * (1 - p) / 20 + q * (1 - q) / 2000) / 2
    assert (high - low) / 2 == pytest.approx(exact, rel=0.08)
    # Drawn without regard to class, the small class changes its size too: width that is not there.
    loose = metrics.interval(correct, weights=metrics.class_weights(labels))
    assert loose[0] < p / 2 + q / 2 < loose[1]
    assert loose[1] - loose[0] > 1.1 * (high - low)


def test_people_who_show_all_classes_are_drawn_whole():
    people, labels = np.repeat(np.arange(10), 6), np.tile([0, 0, 0, 1, 1, 1], 10)
    correct = people % 2 == 0
    assert by_class(correct, people, labels) == pytest.approx(metrics.interval(correct, people))


def test_seeds_may_test_other_samples():
    rng = np.random.default_rng(0)
    hits = [rng.random(n) < 0.7 for n in (300, 400)]
    found = metrics.estimate([Term(hits, [np.arange(300), np.arange(100, 500)])])
    assert found.seeds == pytest.approx([h.mean() for h in hits])
    assert found.value == pytest.approx(np.mean(found.seeds))
    assert found.low < found.value < found.high


def test_a_difference_is_paired():
    rng = np.random.default_rng(0)
    worse = rng.random(500) < 0.7
    better = worse | (rng.random(500) < 0.1)
    ids = [np.arange(500)]
    found = metrics.estimate([Term([better], ids), Term([worse], ids, -1.0)])
    assert (found.low, found.high) == pytest.approx(metrics.interval(better.astype(float) - worse))
    assert found.high - found.low < 0.5 * np.subtract(*metrics.interval(better)[::-1])


def test_right_or_wrong_by_subject_where_every_sample_has_one():
    probabilities = np.eye(3)[[0, 1, 2, 2]]
    rows = {"probabilities": probabilities, "labels": np.array([0, 1, 1, 2]), "ids": np.array(list("badc"))}
    samples = pd.DataFrame({"ids": list("abcd"), "subject": ["x", "x", "y", "y"]})
    right, groups = metrics.correct(rows, samples)
    assert right.tolist() == [True, True, False, True]
    assert groups.tolist() == ["x", "x", "y", "y"]
    for unknown in (None, samples.assign(subject=["x", "", "y", "y"]), samples.head(2)):
        assert metrics.correct(rows, unknown)[1].tolist() == list("badc")


def test_what_is_repeated_is_no_evidence_and_seeds_that_differ_widen_the_interval():
    subjects = np.repeat(np.arange(20), 10)
    correct = subjects % 4 > 0
    # Ten identical copies of every sample carry no more than the samples themselves.
    assert metrics.interval(correct, subjects) == pytest.approx(metrics.interval(correct[::10]))
    seeds = np.random.default_rng(2).random((3, 2000)) < np.array([0.5, 0.7, 0.9])[:, None]
    assert np.subtract(*metrics.interval(seeds)) < -0.2
    same = metrics.interval(np.tile(seeds[:1], (3, 1)))
    assert same == pytest.approx(metrics.interval(seeds[0]))


@settings(max_examples=40)
@given(arrays(bool, st.integers(2, 60)))
def test_interval_is_ordered_repeatable_and_symmetric(correct):
    low, high = metrics.interval(correct)
    assert 0 <= low <= high <= 1
    assert (low, high) == metrics.interval(correct)
    assert metrics.interval(~correct) == pytest.approx((1 - high, 1 - low))


@given(st.integers(1, 500).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_wilson(case):
    k, n = case
    low, high = metrics.wilson(k, n)
    assert 0 <= low <= k / n + 1e-12
    assert k / n - 1e-12 <= high <= 1
    assert metrics.wilson(k + 0.16, n) == (low, high)
    assert metrics.wilson(5, 10) == pytest.approx((0.2366, 0.7634), abs=1e-4)


def test_paired():
    a = np.array([1] * 60 + [1] * 15 + [0] * 5 + [0] * 20, bool)
    b = np.array([1] * 60 + [0] * 15 + [1] * 5 + [0] * 20, bool)
    found = metrics.paired(a, b)
    assert found["difference"] == pytest.approx(0.10)
    assert (found["only_a"], found["only_b"]) == (15, 5)
    assert found["p"] == pytest.approx(2 * sum(math.comb(20, k) for k in range(6)) / 2**20)
    assert found["interval"][0] < 0.10 < found["interval"][1]
    mirrored = metrics.paired(b, a)
    assert mirrored["difference"] == -found["difference"]
    assert mirrored["p"] == pytest.approx(found["p"])
    nothing = dict.fromkeys(("difference", "only_a", "only_b"), 0) | {"interval": (0, 0), "p": 1.0}
    assert metrics.paired(a, a) == nothing


def test_what_a_subject_or_a_repeat_says_again_is_no_further_evidence():
    rng = np.random.default_rng(1)
    a, b = rng.random((2, 60)) < [[0.8], [0.6]]
    ids = np.arange(60)
    once = metrics.paired(a, b, ids)
    assert once["p"] == pytest.approx(metrics.paired(a, b)["p"])
    again = metrics.paired(np.tile(a, 10), np.tile(b, 10), np.tile(ids, 10))
    assert again["only_a"] == 10 * once["only_a"]
    assert again["p"] == pytest.approx(once["p"])


@given(st.lists(st.integers(-4, 4), min_size=1, max_size=8))
def test_exchanged_groups_against_every_choice_of_signs(sums):
    totals = [abs(np.dot(signs, sums)) for signs in itertools.product((-1, 1), repeat=len(sums))]
    expected = np.mean(np.array(totals) >= abs(sum(sums)))
    assert metrics._exchange(np.array(sums)) == pytest.approx(expected)


def test_roc():
    rng = np.random.default_rng(3)
    labels = rng.integers(0, 3, 200)
    probs = rng.dirichlet(np.ones(4), 200)
    probs[np.arange(200), labels] += 0.3
    *curves, empty = metrics.roc(labels, probs)
    for k, curve in enumerate(curves):
        assert curve["auc"] == pytest.approx(roc_auc_score(labels == k, probs[:, k]))
        assert curve["fpr"][[0, -1]].tolist() == curve["tpr"][[0, -1]].tolist() == [0, 1]
    assert np.isnan(empty["auc"])
    assert empty["fpr"].size == 0


def test_interval_of_a_ratio_of_sums():
    rng = np.random.default_rng(0)
    # Where top and bottom rise and fall together their ratio is certain; empty draws do not count.
    bottom = (rng.random((2, 20)) < 0.2).astype(float)
    found = metrics.estimate([Term(list(0.5 * bottom), [np.arange(20)] * 2, of=list(bottom))])
    assert (found.low, found.value, found.high) == (0.5, 0.5, 0.5)
