"""What FER2013's page shows beside the others': its duplicates and label conflicts, and face detection."""

from __future__ import annotations

import json
from collections.abc import Mapping
from html import escape
from typing import Any

from IPython.display import HTML
from markup import Long, Short, table, two_lines
from overview import NAMES

from fer_lib.evidence import runs
from fer_lib.evidence.provenance import repository

NOT_MEASURED = HTML('<p class="not-run">Not measured.</p>')
MEASURED = "results/data/fer2013/faces.json"
METHODS = {
    "haar": ("Haar cascade", f"OpenCV; what {NAMES['cspp']} uses"),
    "dlib": ("dlib", f"HOG and a linear classifier; what {NAMES['multimodal']} uses"),
    "mtcnn": ("MTCNN", f"three small networks; what {NAMES['lkrnet']} uses"),
    "ssd": ("SSD", f"OpenCV, with a model file of your own; what {NAMES['cnn3d']} uses"),
}
"""Detector -> its name, and what it is and which paper uses it."""


def audit_table(run: runs.Run | None) -> HTML:
    """Show what a recorded run counted of black and identical images."""
    if run is None:
        return NOT_MEASURED
    found = run.info["audit"]

    def per_split(numbers: dict[str, int]) -> str:
        parts = {name.replace("_", " "): n for name, n in numbers.items() if name != "total" and n}
        return ", ".join(f"{n:,} in {name}" for name, n in parts.items())

    twins, other = found["twins_in_training"], found["twins_with_other_label"]
    lines = (
        ("Images", found["images"], ""),
        ("Distinct images", found["distinct"], ""),
        ("Redundant copies", found["redundant"], f"in {found['groups']:,} groups of identical images"),
        ("Groups with several labels", found["conflicting_groups"], ""),
        ("Groups across the official splits", found["cross_split_groups"], ""),
        ("Test images with a twin in training", sum(twins.values()), per_split(twins)),
        ("… whose twin has another label", sum(other.values()), per_split(other)),
        ("Black images", found["black"]["total"], per_split(found["black"])),
    )
    rows = [{"What": two_lines(what, detail, Long), "How many": n} for what, n, detail in lines]
    return table(rows, ["How many"], "Identical and black images")


def twins_figure(run: runs.Run | None) -> Any:
    """Draw, per class, the share of a run's test images with a twin in training or under another label."""
    if run is None:
        return NOT_MEASURED
    from fer_lib.show.plots.style import OTHER_COLOURS, legend, styled, subplots

    samples = run.table("samples")
    flagged = {"twin_in_training": "twin in training", "conflicting_label": "identical image, other label"}
    share = 100 * samples.groupby("label")[list(flagged)].mean()
    share.index = [run.info["classes"][code] for code in share.index]

    @styled
    def draw() -> Any:
        figure, axes = subplots(0.9 + 0.46 * len(share))
        colours = dict(zip(flagged, OTHER_COLOURS, strict=False))
        for i, column in enumerate(flagged):
            rows = [row + 0.2 * (2 * i - 1) for row in range(len(share))]
            axes.barh(rows, share[column], height=0.36, color=colours[column])
            for row, value in zip(rows, share[column], strict=True):
                axes.text(value, row, f" {value:.1f}", va="center", fontsize=9)
        axes.set_yticks(range(len(share)), share.index)
        axes.set(xlabel="Test images of the class (%)", xlim=(0, 1.12 * share.to_numpy().max()))
        axes.tick_params(axis="y", length=0)
        axes.invert_yaxis()
        legend(figure, [(flagged[column], colours[column]) for column in flagged])
        return figure

    return draw()


# --- faces -------------------------------------------------------------------------------------


def measured_faces() -> dict[str, Any] | None:
    """Return what was measured of face detection on FER2013; None where nothing was."""
    path = repository() / MEASURED
    return json.loads(path.read_text("utf-8")) if path.is_file() else None


def detection_table() -> HTML:
    """Show how many faces each detector finds, and how long it takes."""
    if (found := measured_faces()) is None:
        return NOT_MEASURED
    rows = []
    for method, one in found["methods"].items():
        threads = f"on {one['threads']} threads" if one.get("threads") else ""
        rows.append(
            {
                "Detector": two_lines(*METHODS.get(method, (method, "")), Long),
                "Faces found": one["detected"],
                "Of all (%)": f"{100 * one['rate']:.1f}",
                "Milliseconds per image": two_lines(f"{one['milliseconds_per_image']:.2f}", threads, Short),
            }
        )
    return table(rows, list(rows[0])[1:], "Face detection")


def detection_per_class() -> HTML:
    """Show the share of images with a face, in per cent, per class and detector."""
    if (found := measured_faces()) is None:
        return HTML("")
    methods = found["methods"]
    rows = []
    for part in ("per_class", "per_split"):
        for name in next(iter(methods.values())).get(part) or ():
            row: dict[str, Any] = {"Images of": name.replace("_", " ")}
            row |= {METHODS.get(m, (m,))[0]: _percent(one[part].get(name)) for m, one in methods.items()}
            rows.append(row)
    return table(rows, list(rows[0])[1:] if rows else (), "Face detection per class and split")


def _percent(value: float | Mapping[str, float] | None) -> str | None:
    """Return a rate, or the rate among a part's figures, in per cent."""
    rate = value.get("rate") if isinstance(value, Mapping) else value
    return None if rate is None else f"{100 * rate:.1f}"


def measured_on() -> HTML:
    """Say on what face detection was measured."""
    if (found := measured_faces()) is None:
        return HTML("")
    made, corpus = found.get("provenance", {}), found.get("corpus", {})
    on = escape(str(made.get("cpu") or made.get("platform") or "an unnamed processor"))
    print_ = str(corpus.get("fingerprint") or "")[:16]
    data = f", on the data with fingerprint <code>{escape(print_)}</code>" if print_ else ""
    return HTML(f"<p>Measured on {on}{data}.</p>")
