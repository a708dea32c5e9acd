"""What FER2013's page shows beside the others': its duplicates and label conflicts, and face detection."""

from __future__ import annotations

import json
from html import escape
from typing import Any

from about_runs import NAMES
from IPython.display import HTML
from markup import Long, Short, table, with_note

from fer_lib.evidence import runs
from fer_lib.evidence.provenance import repository

NOT_MEASURED = HTML('<p class="not-run">Not measured yet.</p>')
MEASURED = "results/data/fer2013/faces.json"
METHODS = {
    "haar": ("Haar cascade", f"OpenCV; what {NAMES['cspp']} uses"),
    "dlib": ("dlib", f"HOG and a linear classifier; what {NAMES['multimodal']} uses"),
    "mtcnn": ("MTCNN", f"three small networks; what {NAMES['lkrnet']} uses"),
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
    rows = [{"What": with_note(what, detail, Long), "How many": n} for what, n, detail in lines]
    return table(rows, ["How many"], "Identical and black images")


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
                "Detector": with_note(*METHODS.get(method, (method, "")), Long),
                "Faces found": one["detected"],
                "Of all (%)": f"{100 * one['rate']:.1f}",
                "Milliseconds per image": with_note(f"{one['milliseconds_per_image']:.2f}", threads, Short),
            }
        )
    return table(rows, list(rows[0])[1:], "Face detection")


def measured_on() -> HTML:
    """Say on what face detection was measured."""
    if (found := measured_faces()) is None:
        return HTML("")
    made, corpus = found.get("provenance", {}), found.get("corpus", {})
    on = escape(str(made.get("cpu") or made.get("platform") or "an unnamed processor"))
    print_ = str(corpus.get("fingerprint") or "")[:16]
    data = f", on the data with fingerprint <code>{escape(print_)}</code>" if print_ else ""
    return HTML(f"<p>Measured on {on}{data}.</p>")
