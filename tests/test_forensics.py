"""Arithmetic on printed figures, against brute force and against what the audit of the papers found."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fer_lib import claims
from fer_lib.judge import forensics


def fraction(value, n, digits, **claim):
    given = {"paper": "cnn_sift", "protocol": "fer2013_official", "metric": "accuracy", "expression": None}
    return forensics._fraction(given | {"train_dataset": None, "value": value, "n": n} | claim, digits)


@given(st.integers(1, 4000).flatmap(lambda n: st.tuples(st.just(n), st.integers(0, n))), st.integers(0, 3))
def test_every_possible_accuracy_is_found_however_it_was_shortened(pair, digits):
    n, right = pair
    exact = 100 * right / n
    assert fraction(round(exact, digits), n, digits)["fits"] == "rounded"
    cut = np.floor(exact * 10**digits + 1e-9) / 10**digits
    assert fraction(cut, n, digits)["fits"] in ("rounded", "truncated")


@given(st.integers(20, 60), st.integers(0, 19))
def test_a_figure_between_two_possible_ones_fits_none(n, right):
    middle = 100 * (right + 0.5) / n  # more than half a per cent from both
    assert fraction(round(middle, 2), n, 2)["fits"] == ""


@pytest.mark.parametrize(("n", "folds", "repeats"), [(5, 2, 1), (7, 3, 1), (4, 2, 2), (6, 3, 1)])
def test_fold_means_are_those_of_all_ways_to_be_wrong(n, folds, repeats):
    sizes = [n // folds + (i < n % folds) for i in range(folds)] * repeats
    every = {
        round(100 * np.mean([1 - wrong / size for wrong, size in zip(errors, sizes, strict=True)]), 6)
        for errors in product(*(range(size + 1) for size in sizes))
    }
    assert set(forensics._fold_means(n, folds, repeats).round(6).tolist()) == every


def test_fractions_find_what_the_audit_found():
    table = forensics.fractions().set_index("id")
    assert table.loc["cnn_sift-t2-cnn_sift_avg", "fits"] == ""
    assert table.loc["cnn_sift-t4-cnn_only", "fits"] == "mean of folds"
    assert table.loc["cspp-s42-small-kernels", "fits"] == "truncated"
    assert table.loc["cnn3d-t6-ours", "fits"] == ""
    assert table.loc["cspp-t5-cspp-jaffe", "n"] == 8 * 183  # the mean of eight models
    assert table.loc["cspp-t3-mmi-fear", "inferred"]
    assert (table.loc[table["paper"] == "lkrnet", "fits"] == "rounded").all()


def test_averages_tell_class_means_from_accuracies():
    table = forensics.averages().set_index("id")
    assert table.loc["multimodal-s42-vgg-fer", "agrees"] == "class mean"
    assert table.loc["multimodal-s42-ck-overall", "agrees"] == ""
    assert table.loc["multimodal-s42-ck-overall", "weighted"] == pytest.approx(96.52, abs=0.01)
    assert table.loc["cspp-t3-mmi-average", "agrees"] == "weighted"


def test_one_row_of_the_printed_confusion_matrix_is_off():
    table = forensics.confusions().set_index("expression")
    assert table.index[~table["agrees"]].tolist() == ["sadness"]
    assert table.loc["sadness", ["images", "expected"]].tolist() == [86, 84]


def test_differences_allow_for_rounding_and_no_more():
    table = forensics.differences().set_index("id")
    assert not table.loc["lkrnet-s434-ck-ours-vs-vgg19", "agrees"]
    assert table.loc["lkrnet-s434-fer2013-ours-vs-vgg19", "agrees"]
    assert table.loc["cnn_sift-s43-fer-gain-avg", "from_accuracies"] == pytest.approx(1.18)


def test_chained_differences_must_add_up():
    table = forensics.chains("lkrnet")
    assert len(table) == 4
    assert not table["agrees"].any()
    row = table[(table["dataset"] == "CK+") & (table["model"] == "Our method minus Baseline 1")].iloc[0]
    assert row["implied"] == pytest.approx(2.678 - 0.336)


@pytest.mark.parametrize("paper", claims.PAPERS)
def test_every_paper_can_be_asked_alone(paper):
    whole = forensics.fractions()
    alone = forensics.fractions(paper)
    assert len(alone) == (whole["paper"] == paper).sum()
    for function in (forensics.averages, forensics.differences, forensics.chains):
        assert set(function(paper).get("paper", [])) <= {paper}


# --- what arithmetic and counting decide ----------------------------------------------------------


def decided(name):
    how, verdict = forensics.decided(name.partition("-")[0])[name]
    return how, verdict.name


def test_averages_differences_and_p_values_hold_or_do_not():
    assert decided("cnn_sift-s43-fer-gain-avg") == ("arithmetic", "holds")
    assert decided("multimodal-s42-ck-overall") == ("arithmetic", "does not hold")
    assert decided("lkrnet-s434-fer2013-ours-vs-vgg19") == ("arithmetic", "holds")
    assert decided("lkrnet-s434-ck-ours-vs-vgg19") == ("arithmetic", "does not hold")
    # Within rounding of the tables, but the printed differences contradict one another.
    assert decided("lkrnet-s434-fer2013-ours-vs-baseline1") == ("arithmetic", "does not hold")
    assert decided("cnn3d-t4-c2-pvalue") == ("arithmetic", "holds")
    assert decided("cnn3d-t5-c1-pvalue") == ("arithmetic", "does not hold")


def test_an_accuracy_that_agrees_with_its_classes_is_not_thereby_reached():
    assert "multimodal-t1-ours-average" not in forensics.decided("multimodal")
    assert "average 79.75" in forensics.remarks("multimodal")["multimodal-t1-ours-average"]


def test_an_average_over_classes_whose_sizes_come_from_it_decides_nothing():
    assert "cspp-t3-mmi-average" not in forensics.decided("cspp")


def test_counts_are_those_of_a_complete_copy_or_not():
    assert decided("cnn_sift-t1-fer2013-angry") == ("counting", "holds")
    assert decided("cnn_sift-t1-jaffe-sad") == ("counting", "does not hold")
    assert decided("cspp-t1-jaffe-samples") == ("counting", "does not hold")
    assert decided("lkrnet-s41-fer-train") == ("counting", "holds")
    assert decided("multimodal-s13-ck-sequences") == ("counting", "holds")
    for unknown in ("cspp-s31-mmi-sequences", "cspp-t1-ck-subjects", "cspp-t1-ck-folds"):
        assert unknown not in forensics.decided("cspp")


def test_remarks_are_of_figures_that_cannot_be():
    said = forensics.remarks("cnn_sift")
    assert said["cnn_sift-t2-cnn_only"] == "No number of right answers among 3,589 gives the printed number."
    assert "cnn_sift-t2-cnn_sift" not in said
