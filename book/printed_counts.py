"""What the papers print of a corpus, what of a complete copy that is, and what does not add up."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from html import escape
from typing import Any

import pandas as pd
from about_runs import NAMES
from complete import complete
from IPython.display import HTML
from markup import Html, Long, Short, folded, table, with_note

from fer_lib import claims
from fer_lib.data import datasets
from fer_lib.data.datasets import ckplus, fer2013

DOUBTS = {
    "fer2013": ("cnn_sift fer_totals", "cnn_sift fer_label_names", "multimodal disgust_grim"),
    "ckplus": (
        *("multimodal ck_frames_statement", "multimodal ck_class_denominators"),
        *("cspp sad_row_sum", "cspp matrix_total", "cnn3d table4_fold_total"),
    ),
    "jaffe": (
        *("cnn_sift jaffe_normal_sad", "cnn_sift jaffe_three_or_four"),
        *("cspp jaffe_213_vs_183", "cspp jaffe_min_three", "cspp gu_test_set"),
    ),
    "nimstim": ("cspp nimstim_counts",),
    "oulu_casia": ("cnn3d oulu_fold_sizes", "cnn3d oulu_si_only_in_conclusion"),
}
"""The papers' inconsistencies, by paper and id, that are about how much data of a corpus there is."""


Way = tuple[Html, Html | int | None, str]
"""How to select what a paper counts; what a complete copy then has (None if unknown); why that differs."""


@cache
def printed(name: str) -> pd.DataFrame:
    """Return the claims of all papers that are about a corpus itself."""
    frame = claims.frame()
    return frame[(frame["role"] == "data") & (frame["corpus"] == name)]


def counts(name: str) -> HTML:
    """Show the counts that papers print of a corpus, the selection meant by each, and what that gives."""
    frame = printed(name)
    whole = frame[frame["expression"].isna() & frame["metric"].isin(["sample_count", "subject_count"])]
    known, rows = ways(name), {}
    for claim in whole.to_dict("records"):
        way = known.get(claim["id"]) or same_count(name, claim, known)
        by = rows.setdefault((int(claim["value"]), claim["unit"], *way), {})
        if claim["table"] not in (places := by.setdefault(claim["paper"], [])):
            places.append(claim["table"])
    shown, reasons = [], set()
    for (n, unit, selection, has, why), by in rows.items():
        again = "for the same reason" if why in reasons else why
        shown.append(_row(f"{n:,} {unit}", by, (selection, has, why and again)))
        reasons.add(why)
    for paper, part in frame[frame["expression"].notna()].groupby("paper", sort=False):
        shown.append(_row("per class", {paper: list(dict.fromkeys(part["table"]))}, per_class(name, part)))
    return table(shown, (), "Printed counts")


def _row(count: str, by: Mapping[str, list[str]], way: Way) -> dict[str, Any]:
    selection, has, why = way
    papers = [
        f'<a href="{paper}.html">{NAMES[paper]}</a> <span class="absent">({", ".join(places)})</span>'
        for paper, places in by.items()
    ]
    row = {"Printed": Short(escape(count)), "Selection": selection}
    row["A complete copy has"] = with_note("not known" if has is None else has, why, Long)
    return row | {"Printed by": Html(", ".join(papers))}


def ways(name: str) -> dict[str, Way]:
    """Return, by claim, what the corpus's reader knows of a printed count."""
    found = {}
    for entry in datasets.READERS[name].printed:
        options = ", ".join(f'{key}="{value}"' for key, value in entry.selection.items())
        code = Html(f"<code>{escape(options, quote=False)}</code>")
        selection = Html("whole copy") if entry.whole else code if options else Html("by default")
        found[entry.claim] = selection, entry.complete, entry.why
    return found


def same_count(name: str, claim: Mapping[str, Any], known: Mapping[str, Way]) -> Way:
    """Return how a count comes about that no entry of the reader is about: as another's, or as a part's."""
    frame, unit, count = printed(name).set_index("id"), claim["unit"], int(claim["value"])
    for key, way in known.items():
        other = frame.loc[key]
        reads_the_same = not way[2] or other["paper"] == claim["paper"]
        if (other["unit"], other["value"]) == (unit, count) and reads_the_same:
            return way
    if name == "ckplus" and unit == "sequences":
        tree = ckplus.OFFICIAL["original"]
        return Html("left out"), tree["sequences"] - tree["labelled"], ""
    if name == "fer2013":
        parts = {part: sum(each) for part, each in fer2013.OFFICIAL.items()}
        names = [part.replace("_", " ") for part, n in parts.items() if n == count]
        return Html(" or ".join(names) or "by default"), count if names else sum(parts.values()), ""
    return Html(""), None, ""


def per_class(name: str, part: pd.DataFrame) -> Way:
    """Return how a paper's counts per class differ from a complete copy's."""
    values = part.set_index("expression")["value"].astype(int)
    official = complete(name).counts.sum(axis=1).reindex(values.index, fill_value=0)
    wrong = [f"{e} {official[e]:,}, not {n:,}" for e, n in values.items() if n != official[e]]
    return Html("by default"), Html("other counts" if wrong else "the same"), "; ".join(wrong)


def doubts(name: str) -> HTML:
    """Show what a paper says of a corpus's size that cannot be so or leaves open, with the arithmetic."""
    parts = []
    for entry in DOUBTS[name]:
        paper, key = entry.split()
        found = next(doubt for doubt in claims.load(paper).inconsistencies if doubt["id"] == key)
        head = f'<span class="name">{NAMES[paper]}</span>: {escape(found["what"])}'
        body = f'<p>{escape(found["evidence"])}</p><p class="small">{escape(found["where"])}</p>'
        parts.append(folded(head, body))
    return HTML("\n".join(parts))
