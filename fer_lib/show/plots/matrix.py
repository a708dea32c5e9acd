"""Figures of the matrix: accuracy against what it costs, and what is lost when faces are disturbed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from fer_lib import claims
from fer_lib.show.pages import called
from fer_lib.show.plots.style import INK, MUTED, SMALL, legend, styled, subplots

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COSTS = {
    "multiply_adds": "Multiply-adds per image (millions)",
    "milliseconds": "Milliseconds per image, all in",
}
"""Column -> what its axis says."""
GAP = 0.058  # between names, as a part of an axis's height


def front(frame: pd.DataFrame, cost: str) -> list[int]:
    """Return the rows of the Pareto front, from cheap to dear: none other is as cheap and as good.

    ``frame`` has the columns ``accuracy`` and ``cost``; rows without a cost are never on the front.
    """
    ranked = frame.dropna(subset=cost).sort_values([cost, "accuracy"], ascending=[True, False])
    return list(ranked.index[ranked["accuracy"] > ranked["accuracy"].cummax().shift(fill_value=-1)])


@styled
def pareto(frame: pd.DataFrame) -> Figure:
    """Draw accuracy, with its interval, against each of :data:`COSTS`; a line joins the Pareto front.

    ``frame`` has the columns ``model``, ``paper``, ``accuracy``, ``low``, ``high`` (fractions),
    ``multiply_adds`` (a count) and ``milliseconds``.
    """
    frame = frame.reset_index(drop=True).assign(multiply_adds=frame["multiply_adds"].to_numpy() / 1e6)
    figure, both = subplots(8.2, 2, 1)
    for axes, (cost, label) in zip(both, COSTS.items(), strict=True):
        known, best = frame.dropna(subset=cost), front(frame, cost)
        x, y = known.loc[best, cost], 100 * known.loc[best, "accuracy"]
        axes.plot(x, y, "--", color=MUTED, lw=1.2, zorder=1)
        for row in known.to_dict("records"):
            y, tint = 100 * row["accuracy"], claims.load(row["paper"]).colour
            spread = [[y - 100 * row["low"]], [100 * row["high"] - y]]
            axes.errorbar(row[cost], y, spread, fmt="o", color=tint, ms=7, lw=1.2, zorder=2)
        axes.set_xscale("log")
        axes.margins(x=0.06)
        axes.set(xlabel=label, ylabel="Accuracy (%)")
        axes.grid(axis="y")
        _name(axes, known, cost, set(best))
    present = [claims.load(key) for key in claims.PAPERS if key in set(frame["paper"])]
    legend(figure, [(paper.short_name, paper.colour) for paper in present], columns=3, marker="o")
    return figure


def _name(axes: Axes, known: pd.DataFrame, cost: str, best: set[int]) -> None:
    """Write the models' names to the right of an axis, apart, each joined to its point."""
    low, high = axes.get_ylim()
    order = known.sort_values("accuracy", ascending=False)
    wanted = ((100 * order["accuracy"] - low) / (high - low)).to_numpy()
    places = np.minimum(wanted, 1 - GAP / 2)
    for i in range(1, len(places)):
        places[i] = min(places[i], places[i - 1] - GAP)
    places += max(0.0, GAP / 2 - places.min())  # those pushed below the axis push the others up
    for (i, row), place in zip(order.iterrows(), places, strict=True):
        tint, weight = claims.load(row["paper"]).colour, "bold" if i in best else "normal"
        line = {"arrowstyle": "-", "color": tint, "lw": 0.5, "alpha": 0.6, "shrinkB": 4}
        look = {"va": "center", "fontsize": SMALL, "color": INK, "fontweight": weight, "arrowprops": line}
        point = row[cost], 100 * row["accuracy"]
        axes.annotate(row["model"], point, (1.03, place), textcoords="axes fraction", **look)


@styled
def losses(frame: pd.DataFrame) -> Figure:
    """Draw how many points of accuracy each model (row) loses or wins under each condition (column)."""
    from textwrap import fill

    from matplotlib.colors import TwoSlopeNorm

    values = frame.to_numpy(float)
    reach = max(1.0, np.abs(values).max())
    names = [fill(called(str(name)), 22) for name in frame.index]
    figure, axes = subplots(1.5 + (0.42 if any("\n" in name for name in names) else 0.32) * len(frame))
    axes.imshow(values, cmap="RdBu", norm=TwoSlopeNorm(0, -1.25 * reach, 1.25 * reach), aspect="auto")
    for (i, j), value in np.ndenumerate(values):
        tint = "white" if abs(value) > 0.75 * reach else INK
        axes.text(j, i, f"{value:+.1f}", ha="center", va="center", fontsize=SMALL, color=tint)
    axes.set_yticks(range(len(frame)), names, fontsize=10)
    axes.set_xticks(range(frame.shape[1]), [fill(name, 11) for name in frame.columns], fontsize=SMALL)
    axes.xaxis.tick_top()
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    return figure
