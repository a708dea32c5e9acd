"""Lines with intervals: forests of what readings, networks or steps give, and the waterfall of inflation."""

from __future__ import annotations

from math import isnan, nan
from typing import TYPE_CHECKING

from fer_lib import claims
from fer_lib.show.plots.style import FAINT, INK, MUTED, colours, legend, mix, rows, styled, subplots

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

RAISED, LOWERED = "#c44a00", "#0072b2"  # colours of a bar


@styled
def forest(frame: pd.DataFrame, xlabel: str, zero: bool = True) -> Figure:
    """Draw values with their intervals, in the order of the rows.

    ``frame`` has the columns ``label``, ``group`` (a paper's short name or a network, which has its colour),
    ``value``, ``low`` and ``high``. Optional ones, which may be NaN: ``note`` (text at the right), ``spread``
    (what the seed alone moves, a grey bar to both sides of zero), ``clear`` (a filled mark; else one whose
    interval leaves zero out is), ``printed`` (a diamond). ``zero``: whether values are differences, which are
    read against a line at zero.
    """
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

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
    axes.set(xlabel=xlabel, ylim=(len(frame) - 0.4, -0.6))
    rows(axes, frame["label"], fontsize=10)
    axes.grid(axis="x", zorder=-1)
    axes.spines["left"].set_visible(False)
    disc, handles = {"ls": "", "marker": "o", "ms": 8, "mec": INK, "mew": 1.8}, []
    if "spread" in frame:
        legend(figure, [(name, tints[name]) for name in frame["group"].unique()], 3, marker="o")
        handles = [
            Line2D([], [], mfc=INK, label="more than noise", **disc),
            Line2D([], [], mfc="white", label="within noise", **disc),
            Patch(color=FAINT, label="moved by the seed alone"),
        ]
    elif "printed" in frame and frame["printed"].notna().any():
        diamond = Line2D([], [], ls="", marker="D", ms=7, mec=INK, mfc="none", label="printed by the paper")
        handles = [diamond, Line2D([], [], mfc=INK, label="our runs", **disc)]
    if handles:
        place = {"loc": "outside lower center", "ncols": 3, "handletextpad": 0.4, "columnspacing": 1.2}
        figure.legend(handles=handles, **place)
    return figure


@styled
def waterfall(table: pd.DataFrame) -> Figure:
    """Draw the table of :func:`fer_lib.judge.inflation.waterfall`, from the honest figure to the last.

    Orange bars raise the figure, blue ones lower it; a thin line is the interval of the first bar's end,
    then of each gain, where it has one.
    """
    figure, axes = subplots(0.9 + 0.62 * len(table))
    ends: list[float] = []
    figures = ["accuracy", "low", "high", "gain", "gain_low", "gain_high"]
    for row, step in enumerate((100 * table[figures]).itertuples()):
        start, low, high, colour = 0.0, step.low, step.high, MUTED
        text = f"{step.accuracy:.1f}"
        if not isnan(step.gain):
            start = step.accuracy - step.gain
            low, high = start + step.gain_low, start + step.gain_high
            colour = RAISED if step.gain >= 0 else LOWERED
            text = f"{step.gain:+.1f} → {text}".replace("-", "−")
        axes.barh(row, step.accuracy - start, left=start, height=0.55, color=colour)
        axes.plot([low, high], [row + 0.38] * 2, color=INK, lw=1.6)
        if row:
            axes.plot([start] * 2, [row - 0.9, row + 0.3], color=MUTED, lw=0.8, ls=":")
        axes.annotate(text, (1.01, row), xycoords=("axes fraction", "data"), va="center", fontsize=10)
        ends += [end for end in (step.accuracy, low, high) if not isnan(end)]
    # Beyond 100 there is no accuracy, but the interval of a gain may end there.
    left, top = max(0, min(ends) - 8), max(ends)
    axes.set_xlim(left, max(min(100, top + 2), top + 0.4))
    axes.set_xticks([tick for tick in axes.get_xticks() if left <= tick <= 100])
    axes.set(xlabel="Accuracy (%), with 95 % intervals", ylim=(len(table) - 0.4, -0.6))
    rows(axes, list(table["step"]))
    return figure
