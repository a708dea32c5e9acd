"""The register of open readings, and what flipping one changed where that was run."""

from __future__ import annotations

from functools import cache
from html import escape
from typing import TYPE_CHECKING, Any

import pandas as pd
from about_runs import NAMES, dataset_title
from IPython.display import HTML, Markdown
from markup import NOT_RUN, Html, Long, Short, interval, number, table, with_note

from fer_lib import claims
from fer_lib.data import datasets
from fer_lib.evidence import runs
from fer_lib.judge import sensitivity
from fer_lib.show import plots

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@cache
def effects(probes: bool = True) -> pd.DataFrame:
    """Return what flipping a reading changed, of the probes or of whole runs."""
    return sensitivity.effects(probes=probes)


def counts() -> HTML:
    """Show how many readings each paper leaves open and how many of them were measured."""
    rows = []
    for paper in claims.PAPERS:
        frame = claims.ambiguities(paper)
        knobs = frame["knob"].dropna()
        measured = {knob for knob in knobs if _lines(paper, knob)}
        rows.append(
            {
                "Paper": Short(NAMES[paper]),
                "Left open": len(frame),
                "Parameters of a notebook": len(knobs),
                "Measured": len(measured) or None,
            }
        )
    return table(rows, list(rows[0])[1:], "Open readings per paper")


def of(paper: str) -> HTML:
    """Show a paper's register: what is open, its readings, ours, the parameter, what flipping it cost."""
    rows = []
    for entry in claims.ambiguities(paper).to_dict("records"):
        readings = "".join(f"<li>{escape(str(reading))}</li>" for reading in entry["readings"])
        knob = f"{entry['knob']} = {entry['default']!r}" if entry["knob"] else "no parameter: we read it so"
        ours = with_note(str(entry["recommended"]), knob, Long)
        rows.append(
            {
                "What is open": Long(f"{escape(entry['problem'])}<ul>{readings}</ul>"),
                "Ours": ours,
                "Measured": Html("<br>".join(_lines(paper, entry["knob"]))) if entry["knob"] else None,
            }
        )
    return table(rows, (), f"Open readings of {NAMES[paper]}")


def conditions() -> Markdown:
    """Say on what the probes were made, from their evidence."""
    lines = []
    for dataset, frame in effects().groupby("dataset", sort=False):
        for paper in dict.fromkeys(frame["paper"]):
            run = next(run for run in runs.find(paper=paper, dataset=dataset, probes=True) if not run.variant)
            mine, plan = frame[frame["paper"] == paper], run.info["plan"]
            drawn = " (drawn faces: a demonstration)" if datasets.CARDS[dataset].synthetic else ""
            lines.append(
                f"- {NAMES[paper]} on {dataset_title(dataset)}{drawn}: "
                f"{', '.join(dict.fromkeys(mine['model']))} at {plan['width']:.0%} of its width, "
                f"{plan['epochs']} epochs, {_trained(run)}, {_range(mine['n'])} test images; "
                f"seeds: {_range(mine['seeds'])}, of ours {_range(mine['spread_seeds'])}."
            )
    return Markdown("\n".join(lines) or "*Not run.*")


def summary() -> Markdown:
    """Say in one sentence what the probes on real data found."""
    frame = effects()
    frame = frame[[not datasets.CARDS[name].synthetic for name in frame["dataset"]]]
    if not len(frame):
        return Markdown("*No reading has been probed on real data.*")
    clear = frame[frame["clear"].astype(bool)]
    text = f"Of {len(frame)} readings measured on real data, {len(clear)} moved accuracy by more than noise"
    if len(clear):
        names = ", ".join(
            f"`{row.knob} = {row.value}` of {NAMES[row.paper]} ({row.difference:+.1f} points)"
            for row in clear.sort_values("difference", key=abs, ascending=False).itertuples()
        )
        text += f": {names}"
    return Markdown(f"{text}. With intervals of 95 %, one in twenty leaves zero out by chance.")


def forest(dataset: str = "fer2013") -> Figure | HTML:
    """Draw the effect of every reading that was probed on a corpus."""
    frame = effects()
    frame = frame[frame["dataset"] == dataset]
    if not len(frame):
        return NOT_RUN
    labels = [f"{row.knob} = {row.value}" for row in frame.itertuples()]
    return plots.forest(frame.assign(label=labels, group=frame["paper"].map(NAMES)))


def measured() -> HTML:
    """Show every measured reading: both accuracies, the paired difference, and what the seed does."""
    rows = []
    for row in effects().sort_values("difference", ascending=False).to_dict("records"):
        where = f"{NAMES[row['paper']]}: {row['model']}, {dataset_title(row['dataset'])}"
        rows.append(
            {
                "Reading": with_note(f"{row['knob']}: {row['default']} → {row['value']}", where, Long),
                "Ours": number(row["ours"], 1),
                "Other": number(row["other"], 1),
                "Difference [95 %]": with_note(_points(row), _noise(row)),
                "By the seed alone": number(row["spread"], 1),
                "Test images": row["n"],
            }
        )
    return table(rows, label="Readings measured, in per cent and points")


def _lines(paper: str, knob: str) -> list[str]:
    """Return a line per measurement of one reading: probes first, then whole runs."""
    lines = []
    for probes in (True, False):
        frame = effects(probes)
        for row in frame[(frame["paper"] == paper) & (frame["knob"] == knob)].to_dict("records"):
            where = escape(f"{row['model']}; {dataset_title(row['dataset'])}, {row['budget']}")
            lines.append(f"{escape(str(row['value']))}: {_points(row)} points, {_noise(row)} ({where})")
    return lines


def _points(row: dict[str, Any]) -> Html:
    """Return a difference with its interval."""
    return interval(row["difference"], row["low"], row["high"], 1, "+")


def _noise(row: dict[str, Any]) -> str:
    """Return what a difference is against noise, in words."""
    if row["clear"]:
        return "more than noise"
    return "within noise" if row["spread"] == row["spread"] else "noise not known (one seed)"


def _trained(run: runs.Run) -> str:
    """Return how much a probe trained on."""
    counts = run.info["counts"].get("train")
    return f"{sum(counts.values()):,} training images" if counts else "its first fold"


def _range(values: pd.Series) -> str:
    """Return the values that occur, as a number or from to."""
    low, high = int(values.min()), int(values.max())
    return f"{low:,}" if low == high else f"{low:,} to {high:,}"
