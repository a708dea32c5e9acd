"""What papers print in their tables, side by side: their figures with other work's, and their gains."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fer_lib import claims

if TYPE_CHECKING:
    import pandas as pd


def other_work(paper: str) -> pd.DataFrame:
    """Return the accuracies of the tables that set a paper's own beside other work's, the best first."""
    frame = claims.frame(paper).query("metric == 'accuracy' and table.str.startswith('Table')")
    frame = frame[frame["expression"].isna() & frame["fold"].isna()]
    frame = frame[frame["table"].isin(frame.loc[frame["role"] == "quoted", "table"])]
    trained = frame["train_dataset"].map(lambda name: f"{name} to " if isinstance(name, str) else "")
    frame = frame.assign(
        dataset=trained + frame["dataset"],
        whose=frame["ref"].where(~frame["ours"], "this paper's own"),
    )
    frame = frame.sort_values(["table", "dataset", "value"], ascending=[True, True, False], kind="stable")
    return frame[["table", "dataset", "model", "whose", "value"]].rename(columns={"value": "accuracy"})


def printed_gains(paper: str, better: str, worse: str) -> pd.DataFrame:
    """Return what a paper's tables print for two of its models, the dataset with most images first.

    Columns ``dataset``, ``images`` (trained on where the split is official, else those of all folds), the
    two models, ``gain`` in points.
    """
    frame = claims.frame(paper).query("ours and metric == 'accuracy' and table.str.startswith('Table')")
    wide = frame.pivot_table(index=["dataset", "protocol"], columns="model", values="value", sort=False)
    wide = wide[[worse, better]].reset_index()
    samples = wide.pop("protocol").map(lambda name: claims.load(paper).protocol(name)["samples"])
    wide.insert(1, "images", samples.map(lambda n: n["train"] if isinstance(n, dict) else n))
    wide["gain"] = wide[better] - wide[worse]
    return wide.rename_axis(columns=None).sort_values("images", ascending=False, ignore_index=True)
