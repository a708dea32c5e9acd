"""Significance over folds: the printed p-values, and tests held against their definitions."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from fer_lib.judge import significance

folds = st.lists(st.integers(0, 40), min_size=6, max_size=6)  # exact Wilcoxon tests of more take long


@pytest.fixture(scope="module")
def table():
    return significance.printed().set_index(["better", "worse"])


def test_printed_values_are_close_to_one_sided_paired_t_tests(table):
    assert list(table.index) == [("c1", "c2"), ("c1", "c3"), ("c2", "c1"), ("c2", "c4")]
    # Where the printed folds were cut, the fractions that they were cut from give the printed value.
    nearest = np.minimum(
        (table["one_sided"] - table["printed"]).abs(), (table["from_fractions"] - table["printed"]).abs()
    )
    assert (nearest <= 0.00003).all()
    expected = [0.000572, 0.000649, 0.0362, 0.005977]
    assert table["one_sided"].to_numpy() == pytest.approx(expected, abs=5e-6 * np.array([1, 1, 10, 1]).max())
    assert table["from_fractions"].to_numpy() == pytest.approx(
        [0.000581, 0.000676, 0.03653, 0.005977], rel=1e-3
    )
    for inputs in ("one_sided", "from_fractions"):  # neither gives all four to the last digit
        digits = [{f"{p:.5f}", f"{p - 5e-6:.5f}"} for p in table[inputs]]  # rounded, cut
        assert not all(f"{p:.5f}" in d for p, d in zip(table["printed"], digits, strict=True))
    others = table[["two_sided", "wilcoxon", "corrected"]].sub(table["printed"], axis=0).abs()
    assert others.gt((table["one_sided"] - table["printed"]).abs(), axis=0).all(axis=None)


def test_one_comparison_is_not_significant_two_sided(table):
    assert table["two_sided"].to_numpy() == pytest.approx([0.00114, 0.00130, 0.0724, 0.0120], rel=6e-3)
    assert table["wilcoxon"].to_numpy() == pytest.approx([0.0039, 0.0020, 0.154, 0.031], rel=3e-2)
    assert (table["two_sided"] < significance.LEVEL).tolist() == [True, True, False, True]
    # Counting how much the folds share, both comparisons on Oulu-CASIA lose it.
    assert (table["corrected"] < significance.LEVEL).tolist() == [True, True, False, False]


@pytest.mark.parametrize(
    "percent, right, n",
    [(93.9, 31, 33), (78.7, 26, 33), (96.8, 31, 32), (87.5, 35, 40), (81.2, 39, 48), (83.3, 40, 48)],
)
def test_fractions_behind_printed_folds(percent, right, n):
    assert significance.fraction(percent) == pytest.approx(100 * right / n)


@settings(max_examples=20)
@given(folds, folds)
def test_tests_against_their_definitions(a, b):
    a, b = np.array(a) / 40, np.array(b) / 40
    found = significance.p_values(a, b)
    difference = a - b
    if not difference.any():
        assert all(math.isnan(value) for value in found.values())
        return
    assert all(0 <= value <= 1 for value in found.values())
    if difference.std() < 1e-9:
        return
    t = difference.mean() / math.sqrt(difference.var(ddof=1) / 6)
    assert found["two_sided"] == pytest.approx(2 * stats.t.sf(abs(t), 5))
    assert found["one_sided"] == pytest.approx(stats.t.sf(t, 5))
    # Nadeau and Bengio (2003): 1/k becomes 1/k + n_test/n_train, here 1/5.
    assert found["corrected"] == pytest.approx(2 * stats.t.sf(abs(t) / math.sqrt(1 + 6 / 5), 5))
    assert found["corrected"] >= found["two_sided"] - 1e-12
    swapped = significance.p_values(b, a)
    assert swapped["one_sided"] == pytest.approx(1 - found["one_sided"])
    for name in ("two_sided", "wilcoxon", "corrected"):
        assert swapped[name] == pytest.approx(found[name])


def test_equal_differences_are_certain():
    found = significance.p_values([1, 0.9, 0.8], [0.9, 0.8, 0.7])
    assert found["two_sided"] < 1e-6
    assert found["one_sided"] < 1e-6


def test_fold_table_takes_the_sizes_of_folds_of_which_only_some_were_trained():
    frame = significance.fold_table({"c1": [1.0, 0.9], "c2": [0.5, 0.8]}, "c1", 1 / 4)
    assert frame["mean"].tolist() == pytest.approx([95, 65])
    assert frame.loc[0, list(significance.TESTS)].isna().all()
    # 1/k + n_test/n_train with two of five folds: 1/2 + 1/4, not 1/2 + 1.
    t = np.mean([50, 10]) / np.sqrt((1 / 2 + 1 / 4) * np.var([50, 10], ddof=1))
    assert frame.loc[1, "corrected"] == pytest.approx(2 * stats.t.sf(t, 1))
    assert frame.loc[1, "two_sided"] == significance.p_values([1.0, 0.9], [0.5, 0.8])["two_sided"]
