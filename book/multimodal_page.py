"""What the multimodal page shows beyond the common parts: selection, robustness, ten passes."""

from __future__ import annotations

from collections.abc import Iterable

import pandas as pd
from IPython.display import HTML
from markup import Html, Short, interval, table, two_lines
from overview import run_name

from fer_lib import runs


def detection(shown: Iterable[runs.Run]) -> HTML:
    """Show, per run and split, in how many images the detector found a face, and in which class least."""
    rows = []
    for run in shown:
        frame = run.table("detection")
        for split, part in frame.groupby("split", sort=False) if len(frame) else ():
            least, most = part.loc[part["rate"].idxmin()], part.loc[part["rate"].idxmax()]
            rows.append(
                {
                    "Images": two_lines(split.replace("_", " "), run_name(run), Short),
                    "Looked at": int(part["images"].sum()),
                    "Face found (%)": _percent(part["detected"].sum() / part["images"].sum()),
                    "Least": two_lines(least["class"], _percent(least["rate"])),
                    "Most": two_lines(most["class"], _percent(most["rate"])),
                }
            )
    return table(rows, ["Looked at", "Face found (%)"], "Faces that the detector finds")


def selection(shown: Iterable[runs.Run], models: Iterable[str]) -> HTML:
    """Show accuracy on the images kept, dropped and on all, and what selection adds, per run."""
    models = list(models)
    rows = []
    for run in shown:
        frame = run.table("selection")
        for row in frame.to_dict("records") if len(frame) else ():
            if row["model"] not in models:
                continue
            parts = [name.removesuffix(" (%)") for name in row if name.endswith("(%)")]
            line = {"Model": two_lines(row["model"], run_name(run), Short)}
            for name, head in zip(parts, ("Kept", "All", "Dropped"), strict=True):
                line[head] = two_lines(
                    Html(f"{row[f'{name} (%)']:.1f}"), f"{row[f'{name}, images']:,} images"
                )
            rows.append(line | {"By selection": Html(f"{row['gain by selection (points)']:+.1f}")})
    return table(rows, list(rows[0])[1:] if rows else (), "Accuracy with and without the noise")


def differences(shown: Iterable[runs.Run]) -> HTML:
    """Show the network's lead over each rival and ablation on the same images, per run."""
    rows = []
    for run in shown:
        frame = run.table("differences")
        for row in frame.to_dict("records") if len(frame) else ():
            name = two_lines(row["comparison"], run_name(run), Short)
            rows.append(
                {"Difference": name, "Points [95 %]": row["points"], "p (McNemar)": str(row["p (McNemar)"])}
            )
    return table(rows, list(rows[0])[1:] if rows else (), "Differences on the same test images")


def robustness(shown: Iterable[runs.Run]) -> HTML:
    """Show accuracy undisturbed and at the strongest severity, per run, condition and model."""
    rows = []
    for run in shown:
        frame = run.table("robustness")
        for (condition, model), part in (
            frame.groupby(["condition", "model"], sort=False) if len(frame) else ()
        ):
            part = part.sort_values("severity")
            calm, worst = part.iloc[0], part.iloc[-1]
            rate = worst.get("detected")
            rows.append(
                {
                    "Condition": two_lines(condition.replace("_", " "), run_name(run), Short),
                    "Model": Short(model),
                    "Undisturbed": _percent(calm["accuracy"]),
                    "Disturbed [95 %]": interval(*(100 * worst[n] for n in ("accuracy", "low", "high"))),
                    "Points": Html(f"{100 * (worst['accuracy'] - calm['accuracy']):+.1f}"),
                    "Face found again (%)": None if pd.isna(rate) else _percent(rate),
                }
            )
    return table(rows, list(rows[0])[2:] if rows else (), "Accuracy under interference")


def ten_predictions(shown: Iterable[runs.Run]) -> HTML:
    """Show what the average of ten predictions can be, and what it gives, per run."""
    rows = []
    for run in shown:
        frame = run.table("ten_predictions")
        for row in frame.to_dict("records") if len(frame) else ():
            far = row["largest difference in a probability"]
            rows.append(
                {
                    "What is averaged": two_lines(row["what is averaged"], run_name(run), Short),
                    "Accuracy [95 %]": row["accuracy"],
                    "Largest difference": None if pd.isna(far) else Html(f"{far:.3f}"),
                }
            )
    return table(rows, ["Accuracy [95 %]", "Largest difference"], "What ten predictions can be")


def _percent(share: float) -> Html:
    return Html(f"{100 * share:.1f}")
