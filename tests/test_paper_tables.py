"""Tables of the papers, put side by side."""

import pytest

from fer_lib import claims
from fer_lib.judge import paper_tables


@pytest.mark.parametrize("paper", ["cnn_sift", "cspp", "cnn3d"])
def test_other_work_stands_beside_a_papers_own(paper):
    table = paper_tables.other_work(paper)
    printed = claims.frame(paper).query("metric == 'accuracy' and table.str.startswith('Table')")
    quoted = printed[(printed["role"] == "quoted") & printed["expression"].isna()]
    assert sorted(table.loc[table["whose"] != "this paper's own", "accuracy"]) == sorted(quoted["value"])
    for _, part in table.groupby(["table", "dataset"]):
        assert (part["whose"] == "this paper's own").any()
        assert part["accuracy"].is_monotonic_decreasing


def test_printed_gains_are_differences_of_the_tables():
    table = paper_tables.printed_gains("cnn_sift", "CNN-SIFT-AVG", "CNN-ONLY").set_index("dataset")
    assert table["images"].to_dict() == {"FER2013": 28_709, "CK+": 309, "JAFFE": 213}
    # As the inconsistency gain_grows_as_data_shrinks works out.
    assert table["gain"].round(2).tolist() == [1.34, 0.78, 5.10]
