"""The banner and the tables that every chapter shows the same way."""

import re

import numpy as np
import pandas as pd

from fer_lib.data import datasets
from fer_lib.show import pages


def test_absent_values_are_dashes_and_truth_is_told_in_words():
    frame = pd.DataFrame(
        {"a": [None, np.True_], "b": [np.nan, 0.5], "c": pd.array([1, pd.NA], "Int64"), "d": [True, False]}
    )
    html = pages.table(frame, {"b": ".2f"}).data
    shown = [
        re.sub("<.*?>", "", text) for text in re.findall("<t[hd] [^>]*data-head[^>]*>(.*?)</t[hd]>", html)
    ]
    assert shown == ["–", "–", "1", "yes", "yes", "0.50", "–", "no"]


def test_the_first_column_names_a_row_and_cells_carry_their_heads():
    html = pages.grid([{"Run": "a", "n": 1234567}], label="Runs", caption="of today").data
    assert '<th scope="row" role="rowheader" data-head="Run">a</th>' in html
    assert 'class="num" data-head="n">1,234,567</td>' in html
    assert '<p class="fer-caption">of today</p><table' in html


def test_text_is_escaped_and_html_is_not():
    html = pages.grid([{"a": "<b>", "b": pages.Html("<b>c</b>")}]).data
    assert "&lt;b&gt;" in html
    assert "<b>c</b>" in html


def test_disturbances_have_words():
    from fer_lib.features.robustness import CONDITIONS

    assert {*CONDITIONS} < {*pages.DISTURBED}
    assert pages.disturbance("occlusion_mouth") == "mouth covered"
    assert pages.disturbance("heavy_rain") == "heavy rain"


def test_a_folded_table_stands_under_its_line():
    html = pages.table(pd.DataFrame({"a": [1]}), fold="One & all").data
    assert html.startswith('<details class="fer-fold"><summary>One &amp; all</summary>')


def test_the_value_of_a_parameter_stays_as_it_is_typed():
    assert "True" in pages.table(pd.DataFrame({"in this run": [repr(True)]})).data


def test_a_corpus_that_stands_in_is_said_to_judge_nothing():
    card = datasets.CARDS["cmu_faces"]
    assert "no claim is judged" in pages.banner(card, "full", [], stand_in=True).data
    assert "no claim is judged" not in pages.banner(card, "full", []).data
