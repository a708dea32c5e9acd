"""The forest of readings: what each one changes, beside what the seed changes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fer_lib import claims
from fer_lib.show.plots.style import FAINT, INK, MUTED, check_columns, colours, mix, styled, subplots

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure


@styled
def forest(frame: pd.DataFrame) -> Figure:
    """Draw the effect of each flipped reading with its interval, largest gain first.

    ``frame`` has one row per reading with the columns ``label``, ``group`` (a paper's short name, which has
    its colour), ``difference``, ``low``, ``high`` (points), ``spread`` (points by the seed alone, NaN if
    unknown; a grey bar to both sides of zero) and ``clear`` (a filled mark).
    """
    needed = ["label", "group", "difference", "low", "high", "spread", "clear"]
    check_columns(frame, needed, "forest")
    frame = frame.sort_values("difference", ascending=False, kind="stable")
    papers = {paper.short_name: paper.colour for paper in map(claims.load, claims.PAPERS)}
    tints = {name: papers.get(name, tint) for name, tint in colours(frame["group"]).items()}
    figure, axes = subplots(1.3 + 0.36 * len(frame))
    for row, line in enumerate(frame.to_dict("records")):
        tint = tints[line["group"]]
        if line["spread"] == line["spread"]:
            axes.barh(row, 2 * line["spread"], left=-line["spread"], height=0.66, color=FAINT, zorder=0)
        axes.plot([line["low"], line["high"]], [row, row], color=mix(tint, 0.6), lw=3, zorder=2)
        fill = tint if line["clear"] else "white"
        axes.plot(line["difference"], row, "o", ms=8, mew=1.8, mec=tint, mfc=fill, zorder=3)
    axes.axvline(0, color=MUTED, lw=1, zorder=1)
    axes.set_yticks(range(len(frame)), frame["label"], fontsize=10)
    axes.set(xlabel="Other reading minus ours (points of accuracy)", ylim=(len(frame) - 0.4, -0.6))
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:+g}" if value else "0")
    axes.grid(axis="x", zorder=-1)
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    _legend(figure, tints)
    return figure


def _legend(figure: Figure, tints: dict[str, str]) -> None:
    """Explain colours, marks and the grey bars."""
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    papers = [Line2D([], [], ls="", marker="o", ms=8, color=tint, label=name) for name, tint in tints.items()]
    figure.legend(handles=papers, loc="outside upper left", ncols=3, handletextpad=0.2, columnspacing=1.2)
    marks = {"ls": "", "marker": "o", "ms": 8, "mec": INK, "mew": 1.8}
    handles = [
        Line2D([], [], mfc=INK, label="more than noise", **marks),
        Line2D([], [], mfc="white", label="within noise", **marks),
        Patch(color=FAINT, label="moved by the seed alone"),
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=3, handletextpad=0.4, columnspacing=1.2)
