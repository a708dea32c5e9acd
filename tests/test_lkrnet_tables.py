"""Figures recomputed from Tables 2 and 3 of LKRNet's paper."""

import numpy as np
import pandas as pd
import pytest

from fer_lib.papers.lkrnet import printed_tables as lkrnet_tables


def test_printed_tables():
    ckplus, fer = (lkrnet_tables.beside(name).set_index("model") for name in ("ckplus", "fer2013"))
    assert ckplus.shape == fer.shape == (7, 9)  # seven classes between the source and their mean
    assert list(fer.columns)[-2] == "neutral"
    assert ckplus.loc["Baseline 2", "anger"] == 69
    assert np.isnan(ckplus.loc["Lopes et al.", "contempt"])


def test_class_means_and_weighted_means_by_hand():
    gains = lkrnet_tables.gains().query("dataset == 'FER2013'").set_index("comparison")
    row = gains.loc["Our method minus VGG19"]
    assert row["class mean"] == pytest.approx(
        (65 + 75 + 55 + 90 + 61 + 84 + 70 - 60 - 75 - 53 - 85 - 60 - 81 - 68) / 7
    )
    counts = np.array([491, 55, 528, 879, 594, 416, 626])
    steps = np.array([5, 0, 2, 5, 1, 3, 2])
    assert row["weighted"] == pytest.approx((counts * steps).sum() / 3589)
    assert row["printed"] == 3.132
    assert np.isnan(row["from the others"])
    assert gains.loc["Our method minus Baseline 1", "from the others"] == pytest.approx(3.132 - 0.25)
    assert len(gains) == 5


def test_the_table_of_ckplus_contradicts_the_text():
    agrees = lkrnet_tables.gains().set_index(["dataset", "comparison"])["agrees"]
    assert not agrees["CK+", "Our method minus VGG19"]
    assert agrees["FER2013", "Our method minus VGG19"]


def test_a_run_stands_under_the_printed_rows():
    recalls = pd.DataFrame(
        {"model": "VGG19", "expression": ["anger", "disgust", "fear"], "recall": [0.5, 0.25, 1.0]}
    )
    table = lkrnet_tables.beside("fer2013", recalls)
    assert table["source"].tolist() == ["printed", "this run", *["printed"] * 2, *["quoted"] * 3, "printed"]
    assert table.loc[1, ["anger", "disgust", "fear"]].tolist() == [50, 25, 100]
    assert np.isnan(table.loc[1, "class mean"])
    assert table.loc[0, "class mean"] == pytest.approx((60 + 75 + 53 + 85 + 60 + 81 + 68) / 7)
