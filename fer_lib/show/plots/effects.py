"""Forests: what readings, networks or steps give, a line each with its interval."""

from __future__ import annotations

from math import nan
from typing import TYPE_CHECKING

from fer_lib import claims
from fer_lib.show.plots.style import FAINT, INK, MUTED, check_columns, colours, legend, mix, styled, subplots

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure


@styled
def forest(frame: pd.DataFrame, xlabel: str, zero: bool = True) -> Figure:
    """Draw values with their intervals, in the order of the rows.

    Parameters
    ----------
    frame
        A row per line with the columns ``label``, ``group`` (a paper's short name or a network, which has
        its colour), ``value``, ``low`` and ``high``. Optional ones, which may be NaN: ``note`` (text at the
        right), ``spread`` (what the seed alone moves, a grey bar to both sides of zero), ``clear`` (a filled
        mark; else one whose interval leaves zero out is), ``printed`` (a diamond).
    xlabel
        What the values are.
    zero
        Whether they are differences, which are read against a line at zero.
    """
    check_columns(frame, ["label", "group", "value", "low", "high"], "forest")
    tints = colours(frame["group"])
    if "spread" in frame:  # readings, whose groups are papers
        tints |= {paper.short_name: paper.colour for paper in map(claims.load, claims.PAPERS)}
    tall = frame["label"].str.contains("\n").any()
    figure, axes = subplots(1.3 + (0.5 if tall else 0.36) * len(frame))
    for row, line in enumerate(frame.to_dict("records")):
        tint, spread = tints[line["group"]], line.get("spread", nan)
        if spread == spread:
            axes.barh(row, 2 * spread, left=-spread, height=0.66, color=FAINT, zorder=0)
        axes.plot([line["low"], line["high"]], [row, row], color=mix(tint, 0.6), lw=3, zorder=2)
        clear = line.get("clear", not zero or not line["low"] <= 0 <= line["high"])
        axes.plot(line["value"], row, "o", ms=8, mew=1.8, mec=tint, mfc=tint if clear else "white", zorder=3)
        axes.plot(line.get("printed", nan), row, "D", ms=7, mew=1.4, mec=INK, mfc="none", zorder=4)
        note = str(line.get("note", ""))
        axes.annotate(note, (1.02, row), xycoords=("axes fraction", "data"), va="center", fontsize=10)
    if zero:
        axes.axvline(0, color=MUTED, lw=1, zorder=1)
        axes.xaxis.set_major_formatter(lambda value, _: f"{value:+g}" if value else "0")
    axes.set_yticks(range(len(frame)), frame["label"], fontsize=10)
    axes.set(xlabel=xlabel, ylim=(len(frame) - 0.4, -0.6))
    axes.grid(axis="x", zorder=-1)
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    _legend(figure, frame, tints)
    return figure


def _legend(figure: Figure, frame: pd.DataFrame, tints: dict[str, str]) -> None:
    """Explain the colours of papers, and marks and grey bars where there are some."""
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    marks, handles = {"ls": "", "marker": "o", "ms": 8, "mec": INK, "mew": 1.8}, []
    if "spread" in frame:
        legend(figure, [(name, tints[name]) for name in frame["group"].unique()], 3, marker="o")
        handles = [
            Line2D([], [], mfc=INK, label="more than noise", **marks),
            Line2D([], [], mfc="white", label="within noise", **marks),
            Patch(color=FAINT, label="moved by the seed alone"),
        ]
    elif "printed" in frame and frame["printed"].notna().any():
        handles = [Line2D([], [], ls="", marker="D", ms=7, mec=INK, mfc="none", label="printed")]
        handles += [Line2D([], [], mfc=INK, label="our runs", **marks)]
    if handles:
        figure.legend(
            handles=handles, loc="outside lower center", ncols=3, handletextpad=0.4, columnspacing=1.2
        )
