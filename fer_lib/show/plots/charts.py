"""Charts of data, results and features: class balance, confusion, recall, embeddings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from fer_lib.show.pages import called
from fer_lib.show.plots import style
from fer_lib.show.plots.style import EXPRESSION_STYLE, INK, MUTED, WIDTH, styled, subplots

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure


@styled
def class_balance(counts: pd.DataFrame) -> Figure:
    """Draw the number of images per class (the index), one shade per split (the columns).

    ``counts`` is as :meth:`fer_lib.data.corpus.Corpus.counts` gives it.
    """
    several = counts.shape[1] > 1
    figure, axes = subplots(0.6 + 0.38 * len(counts) + 0.35 * several)
    totals, left = counts.sum(axis=1), np.zeros(len(counts))
    shades = np.linspace(1, 0.3, counts.shape[1])
    for split, shade in zip(counts.columns, shades, strict=True):
        tones = [style.mix(EXPRESSION_STYLE.get(name, (INK,))[0], shade) for name in counts.index]
        axes.barh(counts.index, counts[split], left=left, color=tones, height=0.72, edgecolor="white", lw=0.8)
        left += counts[split].to_numpy()
    for row, total in enumerate(totals):
        axes.text(total, row, f" {total:,.0f}  ({total / totals.sum():.1%})", va="center", fontsize=10)
    axes.set(xlabel="Images", xlim=(0, totals.max() * 1.3))
    axes.xaxis.set_major_formatter("{x:,.0f}")
    axes.tick_params(axis="y", length=0)
    axes.invert_yaxis()
    if several:
        names = [str(split).replace("_", " ") for split in counts]
        style.legend(figure, list(zip(names, [style.mix(MUTED, shade) for shade in shades], strict=True)))
    return figure


@styled
def confusion(matrix: ArrayLike, classes: Sequence[str]) -> Figure:
    """Draw a confusion matrix: per cent of each true class, with the counts below.

    ``matrix`` is integer ``(C, C)`` with true classes in rows (:func:`fer_lib.learn.metrics.confusion`),
    ``classes`` their C names.
    """
    matrix, n = np.asarray(matrix), len(classes)
    totals = matrix.sum(axis=1, keepdims=True)
    share = 100 * matrix / np.maximum(totals, 1)
    figure, axes = subplots(WIDTH * 0.82)
    axes.imshow(share, cmap="Blues", vmin=0, vmax=115, aspect="auto")
    for (row, column), value in np.ndenumerate(share):
        if not matrix[row, column]:
            axes.text(column, row, "0" if totals[row] else "–", ha="center", va="center", color=MUTED)
            continue
        look = {"ha": "center", "color": "white" if value > 60 else INK}
        percent, strong = f"{value:.0f}" if value >= 0.95 else f"{value:.1f}", "bold" * (row == column)
        axes.text(column, row - 0.04, percent, va="bottom", weight=strong or "normal", fontsize=12, **look)
        axes.text(column, row + 0.1, f"{matrix[row, column]:,}", va="top", fontsize=8.5, alpha=0.85, **look)
    axes.set_xticks(range(n), classes, rotation=30, ha="right", rotation_mode="anchor")
    names = [f"{name}\nn = {total:,}" for name, total in zip(classes, totals[:, 0], strict=True)]
    axes.set_yticks(range(n), names)
    axes.set(xlabel="Predicted expression (% of row, count below)", ylabel="True expression")
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_ticks(np.arange(n + 1) - 0.5, minor=True)
    axes.grid(which="minor", color="white", lw=2)
    axes.tick_params(which="both", length=0)
    axes.spines[:].set_visible(False)
    return figure


@styled
def per_class_bars(frame: pd.DataFrame, xlabel: str = "Recall (%)") -> Figure:
    """Draw the recall of each class, or another share, one bar per model, with intervals.

    ``frame`` has the columns ``model``, ``expression``, ``recall`` and, if known, ``low`` and ``high``
    (fractions). A single model's bars have the colours of the expressions.
    """
    tints, classes = style.colours(frame["model"]), list(dict.fromkeys(frame["expression"]))
    thick = 0.8 / len(tints)
    figure, axes = subplots(0.9 + len(classes) * max(0.4, 0.17 * len(tints) + 0.1))
    for i, (model, tint) in enumerate(tints.items()):
        part = frame[frame["model"] == model].set_index("expression").reindex(classes)
        places = np.arange(len(classes)) - 0.4 + thick * (i + 0.5)
        fill = [EXPRESSION_STYLE.get(name, (INK,))[0] for name in classes] if len(tints) == 1 else tint
        axes.barh(places, 100 * part["recall"].to_numpy(float), height=thick * 0.9, color=fill, label=model)
        if {"low", "high"} <= set(part):
            for tone, width in (("white", 3.2), (INK, 1.3)):  # a white edge keeps it visible on dark bars
                axes.hlines(places, 100 * part["low"], 100 * part["high"], color=tone, lw=width)
    axes.set(xlabel=xlabel, xlim=(0, 100), ylim=(len(classes) - 0.5, -0.5))
    style.rows(axes, classes)
    if len(tints) > 1:
        style.legend(figure, list(tints.items()))
    return figure


def embedding(
    points: ArrayLike, labels: ArrayLike, classes: Sequence[str], title: str, trustworthiness: float
) -> Figure:
    """Draw one embedding; see :func:`embeddings`."""
    return embeddings({title: (points, trustworthiness)}, labels, classes)


@styled
def embeddings(
    panels: Mapping[str, tuple[ArrayLike, float | None]], labels: ArrayLike, classes: Sequence[str]
) -> Figure:
    """Draw embedded features of the same samples, a panel each, one colour and marker per class.

    ``panels`` maps a short heading, such as network and method, to points ``(N, 2)``
    (:func:`fer_lib.learn.embeddings.embed`) and their trustworthiness in [0, 1], None if not known;
    ``labels`` are codes ``(N,)`` of ``classes``.
    """
    from matplotlib.lines import Line2D

    labels, looks, wide = np.asarray(labels), style.class_looks(classes), min(2, len(panels))
    down = -(-len(panels) // wide)
    figure, grid = subplots(WIDTH * (0.85 if wide == 1 else 0.47 * down) + 0.4, down, wide, squeeze=False)
    for axes, (title, (points, trust)) in zip(grid.flat, panels.items(), strict=False):
        points = np.asarray(points)
        size = float(np.clip(16000 / len(points), 6, 40)) / wide
        order = np.random.default_rng(0).permutation(len(points))  # no class lies on top of the others
        for some in np.array_split(order, min(20, len(order))):
            for code in np.unique(labels[some]):
                colour, marker = looks[code]
                look = {"c": colour, "marker": marker, "lw": 0.2, "ec": "white", "alpha": 0.85}
                axes.scatter(*points[some][labels[some] == code].T, s=size, rasterized=True, **look)
        axes.set(xticks=[], yticks=[], title=called(title))
        axes.margins(0.03)
        axes.set_xlabel("" if trust is None else f"trustworthiness {trust:.3f}", fontsize=10)
    for axes in grid.flat[len(panels) :]:
        axes.axis("off")
    handles = []
    for code in np.unique(labels):
        look = {"color": looks[code][0], "marker": looks[code][1], "ms": 8, "mec": "white"}
        handles.append(Line2D([], [], ls="", label=classes[code], **look))
    figure.legend(handles=handles, loc="outside lower center", ncols=4, handletextpad=0.3, columnspacing=1.2)
    return figure
