"""Figures of the multimodal chapter: faces row by row, accuracy against severity, ROC curves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from fer_lib.show.pages import disturbance
from fer_lib.show.plots import style
from fer_lib.show.plots.pictures import _sheet, _show
from fer_lib.show.plots.style import SMALL, WIDTH, styled, subplots

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure


@styled
def face_rows(
    rows: Mapping[str, ArrayLike],
    titles: Sequence[str] | None = None,
    points: Mapping[str, ArrayLike] | None = None,
) -> Figure:
    """Draw the same faces in several ways, one way per row.

    ``rows`` maps what a row shows (written beside it; a line break is kept) to images ``(N, H, W)``, uint8
    grey or float in [0, 1] drawn as heat; rows may differ in H and W. ``titles`` are N short texts above the
    faces, ``points`` landmarks ``(N, P, 2)`` in pixels by row; those outside their image are left out.
    """
    from matplotlib import colormaps

    across, margin, gap = max(4, *map(len, rows.values())), 1.3, 0.05
    pitch, wide = 1 + gap, margin + across * (1 + gap)
    lines = max((title.count("\n") + 1 for title in titles or ()), default=0)
    head = 0.16 * lines * wide / WIDTH + 0.06  # text does not shrink with the faces
    figure, axes = _sheet(wide, head + len(rows) * pitch)
    for line, (name, images) in enumerate(rows.items()):
        y = head + line * pitch
        axes.text(margin - 0.1, y + 0.5, name, ha="right", va="center", fontsize=SMALL)
        for i, image in enumerate(images):
            x = margin + i * pitch
            _show(axes, image if image.dtype == np.uint8 else colormaps["inferno"](image), x, y)
            if points and name in points:
                height, width = image.shape[:2]
                px, py = (np.asarray(points[name])[i] + 0.5).T / [[width], [height]]
                inside = (px >= 0) & (px <= 1) & (py >= 0) & (py <= 1)
                axes.plot(x + px[inside], y + py[inside], ".", color=style.MARK, ms=18 / across, mew=0)
    for i, title in enumerate(titles or ()):
        axes.text(margin + i * pitch + 0.5, head - 0.06, title, ha="center", va="bottom", fontsize=SMALL)
    return figure


@styled
def severity(frame: pd.DataFrame) -> Figure:
    """Draw accuracy against severity, one panel per condition, with intervals.

    ``frame`` has the columns ``condition``, ``severity``, ``model``, ``accuracy``, ``low`` and ``high``
    (fractions).
    """
    conditions, tints = list(dict.fromkeys(frame["condition"])), style.colours(frame["model"])
    columns = min(3, len(conditions))
    down = -(-len(conditions) // columns)
    figure, grid = subplots(0.9 + 1.9 * down, down, columns, sharex=True, sharey=True, squeeze=False)
    for axes, condition in zip(grid.flat, conditions, strict=False):
        for model, tint in tints.items():
            part = frame[(frame["condition"] == condition) & (frame["model"] == model)].sort_values(
                "severity"
            )
            x, y, low, high = part[["severity", "accuracy", "low", "high"]].T.to_numpy()
            axes.plot(x, 100 * y, "o-", color=tint, lw=1.6, ms=3.5)
            axes.fill_between(x, 100 * low, 100 * high, color=tint, alpha=0.12, lw=0)
        axes.set_title(disturbance(condition), fontsize=SMALL, fontweight="normal")
        axes.grid(axis="y")
        axes.tick_params(labelsize=SMALL)
    for axes in grid.flat[len(conditions) :]:
        axes.axis("off")
    figure.supxlabel("Severity", fontsize=11)
    figure.supylabel("Accuracy (%)", fontsize=11)
    style.legend(figure, list(tints.items()), columns=3, marker="o")
    return figure


@styled
def roc(curves: Sequence[Mapping[str, ArrayLike]], classes: Sequence[str]) -> Figure:
    """Draw the one-versus-rest ROC curve of each class, its area in the legend.

    ``curves`` is what :func:`fer_lib.learn.metrics.roc` returns, one entry per class; a class without curve
    is left out.
    """
    from matplotlib.lines import Line2D

    figure, axes = subplots(0.72 * WIDTH)
    axes.plot([0, 100], [0, 100], color=style.FAINT, lw=1)
    handles = []
    for curve, name, (colour, _) in zip(curves, classes, style.class_looks(classes), strict=True):
        if len(curve["fpr"]):
            axes.plot(100 * curve["fpr"], 100 * curve["tpr"], color=colour, lw=1.8)
            handles.append(Line2D([], [], color=colour, lw=2.5, label=f"{name} {curve['auc']:.3f}"))
    axes.set(xlabel="False positives (%)", ylabel="True positives (%)", xlim=(-1, 100), ylim=(0, 101))
    axes.legend(handles=handles, loc="lower right", title="area under the curve", labelcolor=None)
    axes.get_legend().get_title().set(color=style.MUTED, fontsize=SMALL)
    return figure
