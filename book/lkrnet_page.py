"""What LKRNet's overview page shows beyond the common parts: masks, placements, lambda and Grad-CAM."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

import pandas as pd
from IPython.display import HTML
from markup import Html, Short, table, two_lines
from overview import dataset_title
from seeds import families, measured, named, spread, tables

from fer_lib import claims
from fer_lib.evidence import runs
from fer_lib.papers.lkrnet import printed_tables as lkrnet_tables


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
                "As ratios": _signed(row["as ratios"]),
            }
            agrees = {"Table admits": Short(row["agrees"])}
            name = two_lines(row["comparison"], dataset_title(dataset), Short)
            rows.append({"Difference": name} | figures | agrees)
    return table(rows, list(rows[0])[1:6], "Printed differences, recomputed")


def disgust() -> HTML:
    """Say what the gain on disgust is that Sect. 4.3.4 prints, and against whom."""
    claim = claims.load("lkrnet").claim("lkrnet-s434-fer-disgust-gain")
    found = lkrnet_tables.over_quoted("fer2013", "disgust")
    return HTML(
        f"<p>On FER2013 the text also prints a gain of at least {claim.value:g} points on disgust. Over "
        f"the best figure that the table quotes from other work it is {found['quoted']:+g} points, over the "
        f"authors’ own VGG19 {found['VGG19']:+g}.</p>"
    )


def quoted_on_ckplus() -> HTML:
    """Set the method's mean class accuracy on CK+ beside those of the works that Table 2 quotes."""
    means = lkrnet_tables.beside("ckplus").set_index("model")[["source", "class mean"]].dropna()
    quoted = means.loc[means["source"] == "quoted", "class mean"]
    others = " and ".join(f"{value:.2f} ({escape(name)})" for name, value in quoted.items())
    own = means.loc["Our method", "class mean"]
    return HTML(
        f"<p>On CK+ the method’s class accuracies average {own:.2f}. Those of the works that the table "
        f"quotes for all seven classes average {others}.</p>"
    )


def outcome(shown: Iterable[runs.Run], pairs: Sequence[tuple[str, str]]) -> HTML:
    """Say how many of the leads that the paper claims are there in each family of runs on its data."""
    said = []
    for family, members in families(run for run in shown if run.dataset in lkrnet_tables.TABLES).items():
        found = [measured(members, *pair) for pair in pairs]
        ahead, behind = (
            sum(sign * one[end] > 0 for one in found) for sign, end in ((1, "low"), (-1, "high"))
        )
        seeds = f"{len(members)} seed{'s' * (len(members) > 1)}"
        verdict = "" if members[0].budget == "paper" else " A run at this budget judges none of them."
        said.append(
            f"{family}, {seeds}. Of the {len(pairs)} leads that the paper claims, the 95 % interval of ours "
            f"lies above zero for {ahead}, below it for {behind}, and reaches over it for "
            f"{len(pairs) - ahead - behind}.{verdict}"
        )
    text = " ".join(said) or "None of the leads that the paper claims has been looked for on its data."
    return HTML(f"<p>{text}</p>")


def masks(shown: Iterable[runs.Run]) -> HTML:
    """Show what down-sampled masks still say, over seeds."""
    rows = []
    for family, (cells, where), part in tables(shown, "masks", ["cells", "where"]):
        figures = {
            "Mean weight": spread(part["mean weight"], 3),
            "Largest": spread(part["largest weight"], 3),
            "Said by a constant (%)": spread(part["said by a constant"], 1, 100),
            "Pooled as the maps (%)": spread(part.get("pooled as the maps", ()), 1, 100),
        }
        rows.append({"Cells": named(f"{cells}, {where}", family, part)} | figures)
    return table(rows, list(rows[0])[1:] if rows else (), "Masks by number of cells")


def placements(shown: Iterable[runs.Run]) -> HTML:
    """Show the accuracy of the method with its mask at each place, over seeds."""
    rows, shown = [], list(shown)
    ones = {
        family: part.set_index("seed")["hits"]
        for family, (mask,), part in tables(shown, "mask_stages", ["mask"])
        if mask == "mask of ones"
    }
    for family, (mask, cells), part in tables(shown, "mask_stages", ["mask", "cells"]):
        gain = part.set_index("seed")["hits"] - ones[family]
        rows.append(
            {
                "Mask": named(f"{str(mask).replace('_', ' ')}, {cells}", family, part),
                "Accuracy (%)": spread(part["hits"], factor=100),
                "Points over a mask of ones": None if mask == "mask of ones" else spread(gain, 2, 100, "+"),
            }
        )
    return table(rows, list(rows[0])[1:] if rows else (), "Accuracy by place of the mask")


def lambdas(shown: Iterable[runs.Run]) -> HTML:
    """Show accuracy and the measures of the features for each lambda, over seeds."""
    rows = []
    for family, (weight,), part in tables(shown, "lambda", ["lambda"]):
        figures = {head: spread(part.get(name, ()), *how) for head, (name, *how) in _LAMBDA.items()}
        rows.append({"Weight": named(f"λ = {float(weight):g}", family, part)} | figures)
    return table(rows, list(rows[0])[1:] if rows else (), "Features by weight of the triplet loss")


def energy(shown: Iterable[runs.Run], models: Sequence[str] = ("VGG19", "Our method")) -> HTML:
    """Show how much of the Grad-CAM evidence lies inside the key regions, over seeds."""
    rows = []
    for family, (stage, cells, model), part in tables(shown, "energy", ["stage", "cells", "model"]):
        if model in models:
            figures = {head: spread(part[name], 1, 100) for head, name in _ENERGY.items()}
            figures |= {head: spread(part.get(name, ()), 0) for head, name in _COUNTS.items()}
            rows.append({"Network": named(f"{model}, stage {stage}, {cells}", family, part)} | figures)
    return table(rows, list(rows[0])[1:] if rows else (), "Grad-CAM evidence inside the key regions")


def energy_gains(shown: Iterable[runs.Run]) -> HTML:
    """Show by how much the method's share exceeds VGG19's on the same faces, seed by seed."""
    rows = []
    for family, members in families(shown).items():
        frames = {run.seed: run.table("energy_gain") for run in members}
        everything = pd.concat([frame.assign(seed=seed) for seed, frame in frames.items()])
        for stage, part in everything.groupby("stage", sort=False) if len(everything) else ():
            bounds = (
                f"{100 * row.gain:+.2f} [{100 * row.low:+.2f}, {100 * row.high:+.2f}]"
                for row in part.itertuples()
            )
            rows.append(
                {
                    "Stage": named(str(stage), family, part),
                    "Points": spread(part["gain"], 2, 100, "+"),
                    "For a face's own regions": spread(part.get("own", ()), 2, 100, "+"),
                    "Where both have evidence": spread(part.get("with_evidence", ()), 2, 100, "+"),
                    "By seed [95 %]": Html("<br>".join(bounds)),
                    "Gain in": f"{(part['gain'] > 0).sum()} of {part['seed'].nunique()}",
                }
            )
    return table(rows, list(rows[0])[1:] if rows else (), "The method's share less VGG19's")


_LAMBDA = {
    "Accuracy (%)": ("hits", 1, 100),
    "Within": ("within", 3),
    "Between": ("between", 3),
    "Between / within": ("between / within", 2),
    "Silhouette": ("silhouette", 3, 1, "+"),
    "kNN accuracy (%)": ("kNN accuracy", 1, 100),
    "Trust, t-SNE": ("trustworthiness of t-SNE", 3),
    "Trust, UMAP": ("of UMAP", 3),
}
_ENERGY = {
    "Inside the regions (%)": "share",
    "Another face's": "another face's",
    "Share of the image": "area",
}
_COUNTS = {"Maps without evidence": "empty"}


def _signed(value: float, digits: int = 2) -> Html | None:
    return None if pd.isna(value) else Html(f"{value:+.{digits}f}")
