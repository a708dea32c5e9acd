"""What LKRNet's overview page shows beyond the common parts: masks, placements, lambda and Grad-CAM."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import pandas as pd
from IPython.display import HTML
from markup import Html, Long, Short, interval, table, two_lines
from overview import dataset_title, run_name

from fer_lib import lkrnet_tables, runs


def printed_gains() -> HTML:
    """Show the printed differences beside what the printed tables and the other differences imply."""
    rows = []
    for dataset in lkrnet_tables.TABLES:
        for row in lkrnet_tables.gains(dataset).to_dict("records"):
            figures = {
                "Printed": _signed(row["printed"], 3),
                "Class mean": _signed(row["class mean"]),
                "Weighted": _signed(row["weighted"]),
                "From the others": _signed(row["from the others"]),
            }
            agrees = {"Table admits": Short(row["agrees"])}
            name = two_lines(row["comparison"], dataset_title(dataset), Short)
            rows.append({"Difference": name} | figures | agrees)
    return table(rows, list(rows[0])[1:5], "Printed differences, recomputed")


def masks(shown: Iterable[runs.Run]) -> HTML:
    """Show what down-sampled masks still say, per run."""
    rows = []
    for run, row in _rows(shown, "masks"):
        constant = Html(f"{100 * row['said by a constant']:.1f}")
        weights = {
            "Mean weight": Html(f"{row['mean weight']:.3f}"),
            "Largest": Html(f"{row['largest weight']:.3f}"),
        }
        cells = two_lines(row["cells"], f"{row['where']}, {run_name(run)}", Short)
        rows.append({"Cells": cells} | weights | {"Said by a constant (%)": constant})
    return table(rows, list(rows[0])[1:] if rows else (), "Masks by number of cells")


def placements(shown: Iterable[runs.Run]) -> HTML:
    """Show the accuracy of the method with its mask at each place, per run."""
    rows = []
    for run, row in _rows(shown, "mask_stages"):
        name = two_lines(str(row["mask"]).replace("_", " "), f"{row['cells']}, {run_name(run)}", Short)
        gain = {"Points over a mask of ones": row["points over a mask of ones"]}
        rows.append({"Mask": name, "Accuracy [95 %]": row["accuracy"]} | gain)
    return table(rows, list(rows[0])[1:] if rows else (), "Accuracy by place of the mask")


def lambdas(shown: Iterable[runs.Run]) -> HTML:
    """Show accuracy and the measures of the features for each lambda, per run."""
    rows = []
    for run, row in _rows(shown, "lambda"):
        measures = {
            "Silhouette": _signed(row["silhouette"], 3),
            "kNN accuracy": Html(f"{row['kNN accuracy']:.3f}"),
            "Trust, t-SNE": Html(f"{row['trustworthiness of t-SNE']:.3f}"),
            "Trust, UMAP": Html(f"{row['of UMAP']:.3f}"),
        }
        name = two_lines(f"λ = {float(row['lambda']):g}", run_name(run), Short)
        rows.append({"Weight": name, "Accuracy [95 %]": row["accuracy"]} | measures)
    return table(rows, list(rows[0])[1:] if rows else (), "Features by weight of the triplet loss")


def energy(shown: Iterable[runs.Run], models: Sequence[str] = ("VGG19", "Our method")) -> HTML:
    """Show how much of the Grad-CAM evidence lies inside the key regions, per run."""
    rows = []
    for run, row in _rows(shown, "energy"):
        if row["model"] not in models:
            continue
        inside = interval(*(100 * row[name] for name in ("share", "low", "high")))
        rows.append(
            {
                "Network": two_lines(row["model"], f"stage {row['stage']}, {row['cells']}", Short),
                "Run": Long(run_name(run)),
                "Inside the regions [95 %]": inside,
                "Another face's": Html(f"{100 * row[_OTHERS]:.2f}"),
                "Share of the image": Html(f"{100 * row['area']:.2f}"),
            }
        )
    return table(rows, list(rows[0])[2:] if rows else (), "Grad-CAM evidence inside the key regions")


def over_seeds(shown: Iterable[runs.Run]) -> HTML:
    """Show the mean and the range over seeds of that share, for runs that differ in nothing else."""
    frames = [run.table("energy").assign(run=_family(run), seed=run.seed) for run in shown]
    frames = [frame for frame in frames if len(frame)]
    if not frames:
        return table([])
    everything = pd.concat(frames)
    rows = []
    for (family, stage, model), part in everything.groupby(["run", "stage", "model"], sort=False):
        if part["seed"].nunique() < 2:
            continue
        spread = f"{100 * part['share'].min():.1f} to {100 * part['share'].max():.1f}"
        rows.append(
            {
                "Network": two_lines(model, f"stage {stage}, {family}", Short),
                "Seeds": part["seed"].nunique(),
                "Mean (%)": Html(f"{100 * part['share'].mean():.1f}"),
                "Range (%)": spread,
            }
        )
    if not rows:
        return HTML('<p class="not-run">No two runs differ in their seed alone yet.</p>')
    return table(rows, list(rows[0])[1:], "Grad-CAM evidence over seeds")


_OTHERS = "another face's"


def _rows(shown: Iterable[runs.Run], name: str) -> Iterable[tuple[runs.Run, dict]]:
    for run in shown:
        for row in run.table(name).to_dict("records"):
            yield run, row


def _family(run: runs.Run) -> str:
    """Return what a run is called without its seed."""
    return ", ".join(filter(None, (dataset_title(run.dataset), run.budget, run.variant)))


def _signed(value: float, digits: int = 2) -> Html | None:
    return None if pd.isna(value) else Html(f"{value:+.{digits}f}")
