"""Figures from arrays and frames, in one style.

Every function returns a :class:`matplotlib.figure.Figure` that is already closed in pyplot: as the last
line of a notebook cell it is shown once, and ``figure.savefig(path)`` keeps it. All figures are 6.4 inches
wide with text that stays readable at 700 and 390 pixels. Fractions come in as [0, 1] and are drawn in
per cent, except in :func:`claims_dots`, whose figures are per cent as the papers print them.

Expressions and models keep their colour (and expressions their marker) in every figure. Colours are of
the Okabe-Ito and ColorBrewer palettes and were chosen to stay apart for colour-blind readers.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from fer_lib.errors import FerError

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

WIDTH = 6.4  # inches, of every figure
INK, MUTED, FAINT = "#222222", "#6b6b6b", "#dedede"
MARK = "#ff5a1f"  # of points drawn on grey images
SMALL = 9  # points; at 390 pixels about 8 pixels

EXPRESSION_STYLE = {  # colour, marker
    "anger": ("#d55e00", "s"),
    "disgust": ("#009e73", "D"),
    "fear": ("#aa4499", "v"),
    "happiness": ("#e69f00", "o"),
    "sadness": ("#0072b2", "^"),
    "surprise": ("#56b4e9", "P"),
    "neutral": ("#8a8a8a", "X"),
    "contempt": ("#4a3228", "*"),
}
MODEL_COLOURS = {
    "C1": "#6baed6",
    "C2": "#2b7bba",
    "C3": "#083d7f",
    "S1": "#f5984a",
    "S2": "#d95f0e",
    "S3": "#7f2704",
    "CNN-ONLY": "#3a8cc8",
    "CNN-SIFT": "#c8500a",
    "CNN-SIFT-AVG": "#1a1a1a",
}
OTHER_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#aa4499", "#e69f00", "#56b4e9", "#4a3228", "#8a8a8a")
VERDICT_COLOURS = {
    "reproduced": "#00795a",
    "exceeded": "#0072b2",
    "not reached": "#c44a00",
    "not comparable": "#6b6b6b",
    "needs data": "#6b6b6b",
}
ACCURACIES = {  # column: (label, line style, width)
    "train_accuracy": ("training", (0, (1, 1)), 1.4),
    "validation_accuracy": ("validation", (0, (4, 1.5)), 1.4),
    "test_accuracy": ("test", "-", 2.0),
}

STYLE = {
    "figure.dpi": 200,
    "figure.facecolor": "white",
    "figure.constrained_layout.use": True,
    "font.family": "DejaVu Sans",
    "font.size": 11,
    "text.color": INK,
    "axes.labelsize": 11,
    "axes.labelcolor": INK,
    "axes.titlesize": 11,
    "axes.titlelocation": "left",
    "axes.titleweight": "bold",
    "axes.edgecolor": MUTED,
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "grid.color": FAINT,
    "grid.linewidth": 0.7,
    "xtick.labelsize": 10,
    "ytick.labelsize": 10,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "legend.frameon": False,
    "legend.fontsize": 10,
    "lines.solid_capstyle": "round",
}


def _styled(draw: Callable[..., Figure]) -> Callable[..., Figure]:
    """Run a figure function in the house style, whatever the caller's settings are."""

    @functools.wraps(draw)
    def drawn(*arguments: Any, **options: Any) -> Figure:
        import matplotlib.style

        with matplotlib.style.context(["default", STYLE]):
            return draw(*arguments, **options)

    return drawn


def _subplots(height: float, rows: int = 1, columns: int = 1, **options: Any) -> tuple[Figure, Any]:
    """``pyplot.subplots`` (which makes notebooks able to show figures), closed at once in pyplot."""
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(rows, columns, figsize=(WIDTH, height), **options)
    plt.close(figure)
    return figure, axes


def colours(models: Iterable[str]) -> dict[str, str]:
    """Return a colour per model: the fixed one, else one by its place among the unknown, sorted names."""
    names = list(dict.fromkeys(models))
    others = sorted(name for name in names if name not in MODEL_COLOURS)
    extra = {name: OTHER_COLOURS[i % len(OTHER_COLOURS)] for i, name in enumerate(others)}
    return {name: MODEL_COLOURS.get(name) or extra[name] for name in names}


def _expression(name: str) -> tuple[str, str]:
    """Return colour and marker of a class; ink for one that is no expression."""
    return EXPRESSION_STYLE.get(name, (INK, "o"))


def _looks(classes: Sequence[str]) -> list[tuple[str, str]]:
    """Return colour and marker per class; names that are no expressions (subjects, say) get some too."""
    spare = [(colour, marker) for marker in "osD^vP" for colour in OTHER_COLOURS]
    return [EXPRESSION_STYLE.get(name, spare[i % len(spare)]) for i, name in enumerate(classes)]


def _mix(colour: str, share: float) -> tuple[float, ...]:
    """Return ``colour`` thinned with white, ``share`` of it left."""
    from matplotlib.colors import to_rgb

    return tuple(1 - share * (1 - channel) for channel in to_rgb(colour))


def _columns(frame: pd.DataFrame, needed: Sequence[str], what: str) -> None:
    """Refuse a frame that is empty or lacks columns."""
    missing = [name for name in needed if name not in frame.columns]
    if missing:
        raise FerError(f"{what}: the frame lacks the column(s) {', '.join(missing)}.")
    if not len(frame):
        raise FerError(f"{what}: the frame is empty, there is nothing to draw.")


def _coded(labels: ArrayLike, n: int, classes: Sequence[str] | None, what: str) -> np.ndarray:
    """Return labels, one per sample and within the classes."""
    labels = np.asarray(labels)
    if labels.shape != (n,):
        raise FerError(f"{what}: {n} samples need {n} labels; got shape {labels.shape}.")
    if classes is not None and n and not 0 <= labels.min() <= labels.max() < len(classes):
        raise FerError(
            f"{what}: labels run from {labels.min()} to {labels.max()}, classes are {len(classes)}."
        )
    return labels


def _stack(images: ArrayLike, what: str) -> np.ndarray:
    """Return images (N, H, W) or (N, H, W, 3), not empty."""
    images = np.asarray(images)
    if images.ndim not in (3, 4) or not len(images):
        raise FerError(f"{what}: images must be (N, H, W) and at least one; got shape {images.shape}.")
    return images


def _show(axes: Axes, image: np.ndarray, x: float = 0, y: float = 0) -> None:
    """Draw an image as a unit square whose top left corner is (x, y); grey levels are not stretched."""
    top = 255 if image.dtype == np.uint8 else 1
    axes.imshow(image, cmap="gray", vmin=0, vmax=top, extent=(x, x + 1, y + 1, y), interpolation="nearest")
    edge = np.array([[0, 1, 1, 0, 0], [0, 0, 1, 1, 0]])  # parts a white background from the page
    axes.plot(x + edge[0], y + edge[1], color=FAINT, lw=0.6)


def _sheet(across: float, down: float, below: float = 0) -> tuple[Figure, Axes]:
    """Return a sheet of unit squares, x to the right, y downwards, with ``below`` inches left free."""
    figure, axes = _subplots(WIDTH * down / across + below)
    axes.axis("off")
    return figure, axes


def _trim(axes: Axes, across: float, down: float) -> None:
    """Set the limits of a sheet; every imshow has moved them."""
    axes.set(xlim=(-0.01, across + 0.01), ylim=(down + 0.01, -0.01), aspect="equal")


@_styled
def contact_sheet(
    images: ArrayLike,
    labels: ArrayLike | None = None,
    classes: Sequence[str] | None = None,
    columns: int = 8,
    landmarks: ArrayLike | None = None,
) -> Figure:
    """Draw images in rows, each above the name of its class.

    Parameters
    ----------
    images
        uint8 ``(N, H, W)`` (or float in [0, 1]).
    labels, classes
        Codes ``(N,)`` and the class names they index; without ``classes``, labels are written as they are.
    columns
        Images per row.
    landmarks
        ``(N, 68, 2)`` (or any number of points), x and y in pixels, NaN where there are none.
    """
    images = _stack(images, "contact_sheet")
    if labels is not None:
        labels = _coded(labels, len(images), classes, "contact_sheet")
    across, gap = min(columns, max(4, len(images))), 0.06
    pitch = 1 + gap + (labels is not None) * across / 30  # text does not shrink with the images
    down = math.ceil(len(images) / across) * pitch - gap
    figure, axes = _sheet(across * (1 + gap) - gap, down)
    for i, image in enumerate(images):
        x, y = (i % across) * (1 + gap), (i // across) * pitch
        _show(axes, image, x, y)
        if labels is not None:
            name = str(labels[i] if classes is None else classes[labels[i]])
            axes.text(x + 0.5, y + 1.02 + gap / 4, name, ha="center", va="top", fontsize=SMALL)
        if landmarks is not None:
            points = (np.asarray(landmarks)[i] + 0.5) / (image.shape[1], image.shape[0]) + (x, y)
            axes.plot(*points.T, "o", color=MARK, ms=14 / across, mec="none")
    _trim(axes, across * (1 + gap) - gap, down)
    return figure


@_styled
def class_balance(counts: pd.DataFrame) -> Figure:
    """Draw the number of images per class, one shade per split.

    ``counts`` is a frame of counts with classes as the index and one column per split, as
    :meth:`fer_lib.corpus.Corpus.counts` gives it.
    """
    _columns(counts, [], "class_balance")
    figure, axes = _subplots(0.6 + 0.38 * len(counts) + 0.35 * (counts.shape[1] > 1))
    totals, whole = counts.sum(axis=1), counts.to_numpy().sum()
    shades = np.linspace(1, 0.3, counts.shape[1]) if counts.shape[1] > 1 else [1]
    left = np.zeros(len(counts))
    for split, shade in zip(counts.columns, shades, strict=True):
        tones = [_mix(_expression(name)[0], shade) for name in counts.index]
        axes.barh(counts.index, counts[split], left=left, color=tones, height=0.72, edgecolor="white", lw=0.8)
        left += counts[split].to_numpy()
    for row, total in enumerate(totals):
        note = f" {total:,.0f}  ({total / whole:.1%})"
        axes.text(total, row, note, va="center", fontsize=10)
    axes.set(xlabel="Images", xlim=(0, totals.max() * 1.3))
    axes.xaxis.set_major_formatter("{x:,.0f}")
    axes.tick_params(axis="y", length=0)
    axes.invert_yaxis()
    if counts.shape[1] > 1:
        names = [str(split).replace("_", " ") for split in counts]
        _legend(figure, list(zip(names, [_mix(MUTED, shade) for shade in shades], strict=True)))
    return figure


def _legend(figure: Figure, entries: Sequence[tuple[str, Any]], columns: int = 5, **style: Any) -> None:
    """Put a legend of coloured squares (or what ``style`` says) above the axes."""
    from matplotlib.lines import Line2D

    style = {"marker": "s", "ls": "", "ms": 8, **style}
    handles = [Line2D([], [], color=colour, label=name, **style) for name, colour in entries]
    figure.legend(
        handles=handles, loc="outside upper left", ncols=columns, handletextpad=0.4, columnspacing=1.4
    )


@_styled
def confusion(matrix: ArrayLike, classes: Sequence[str]) -> Figure:
    """Draw a confusion matrix: per cent of each true class, with the counts below.

    ``matrix`` is integer ``(C, C)`` with true classes in rows (:func:`fer_lib.metrics.confusion`),
    ``classes`` their C names.
    """
    matrix, n = np.asarray(matrix), len(classes)
    if matrix.shape != (n, n):
        raise FerError(f"confusion: {n} classes need a matrix of shape ({n}, {n}); got {matrix.shape}.")
    totals = matrix.sum(axis=1, keepdims=True)
    share = 100 * matrix / np.maximum(totals, 1)
    figure, axes = _subplots(WIDTH * 0.82)
    axes.imshow(share, cmap="Blues", vmin=0, vmax=115, aspect="auto")
    for (row, column), value in np.ndenumerate(share):
        ink = "white" if value > 60 else INK
        strong = "bold" if row == column else "normal"
        if not matrix[row, column]:
            axes.text(column, row, "0" if totals[row] else "–", ha="center", va="center", color=MUTED)
            continue
        percent, count = f"{value:.0f}" if value >= 0.95 else f"{value:.1f}", f"{matrix[row, column]:,}"
        axes.text(
            column, row - 0.04, percent, ha="center", va="bottom", color=ink, weight=strong, fontsize=12
        )
        axes.text(column, row + 0.1, count, ha="center", va="top", color=ink, fontsize=8.5, alpha=0.85)
    axes.set_xticks(range(n), classes, rotation=30, ha="right", rotation_mode="anchor")
    names = [f"{name}\nn = {total:,}" for name, total in zip(classes, totals[:, 0], strict=True)]
    axes.set_yticks(range(n), names)
    axes.set(xlabel="Predicted expression (% of row, count below)", ylabel="True expression")
    axes.set_xticks(np.arange(n + 1) - 0.5, minor=True)
    axes.set_yticks(np.arange(n + 1) - 0.5, minor=True)
    axes.grid(which="minor", color="white", lw=2)
    axes.tick_params(which="both", length=0)
    axes.spines[:].set_visible(False)
    return figure


@_styled
def curves(frame: pd.DataFrame) -> Figure:
    """Draw the training loss of all models, then one panel of accuracies per model.

    ``frame`` has the columns ``model``, ``fold``, ``epoch`` and any of ``train_loss``,
    ``train_accuracy``, ``validation_accuracy``, ``test_accuracy`` (fractions; NaN where not measured).
    With several folds, the strong line is their mean and thin lines are the folds.
    """
    _columns(frame, ["model", "fold", "epoch"], "curves")
    tints = colours(frame["model"])
    measured = [name for name in ("train_loss", *ACCURACIES) if name in frame and frame[name].notna().any()]
    accuracies = [name for name in measured if name in ACCURACIES]
    figure, loss, panels = _curve_panels(list(tints), "train_loss" in measured, bool(accuracies))
    for model, part in frame.groupby("model", sort=False):
        if loss:
            _fold_lines(loss, part.assign(loss=part["train_loss"]), "loss", tints[model], "-", 1.8)
        for name in accuracies:
            part = part.assign(**{name: 100 * part[name]})
            _fold_lines(panels[model], part, name, tints[model], *ACCURACIES[name][1:])
    if loss:
        loss.set(ylabel="Training loss", ylim=(0, None))
        if len(tints) > 1:
            loss.legend(ncols=3, handlelength=1.2, columnspacing=1.2)
    if accuracies:
        _line_legend(figure, [ACCURACIES[name] for name in accuracies])
    return figure


def _curve_panels(models: list[str], loss: bool, accuracy: bool) -> tuple[Figure, Any, dict[str, Axes]]:
    """Return the figure, the axes of the loss (or None) and those of the accuracy per model."""
    from matplotlib import pyplot as plt

    wide = min(2, len(models))
    grid = [["the loss"] * wide] if loss else []
    if accuracy:
        names = [*models, *["."] * (-len(models) % wide)]
        grid += [names[i : i + wide] for i in range(0, len(names), wide)]
    if not grid:
        raise FerError("curves: the frame holds neither losses nor accuracies.")
    height = 2.5 * loss + (len(grid) - loss) * (1.85 if wide > 1 else 2.8)
    figure, axes = plt.subplot_mosaic(grid, figsize=(WIDTH, height + 0.3))
    plt.close(figure)
    for panel in axes.values():
        panel.grid(axis="y")
        panel.xaxis.get_major_locator().set_params(integer=True)
    panels = {model: axes[model] for model in models if accuracy}
    for i, (model, panel) in enumerate(panels.items()):
        panel.sharey(panels[models[0]])
        panel.set_title(model, fontsize=10)
        lowest = i + wide >= len(models)
        panel.tick_params(labelleft=i % wide == 0, labelbottom=lowest)
        panel.set(ylabel="Accuracy (%)" if i % wide == 0 else "", xlabel="Epoch" if lowest else "")
    if loss:
        axes["the loss"].set_xlabel("Epoch")
    return figure, axes.get("the loss"), panels


def _fold_lines(axes: Axes, part: pd.DataFrame, name: str, colour: str, line: Any, width: float) -> None:
    """Draw a model's mean over folds, and the single folds thinly."""
    part = part.dropna(subset=[name])
    folds = [fold for _, fold in part.groupby("fold")]
    for fold in folds if len(folds) > 1 else []:
        axes.plot(fold["epoch"], fold[name], color=colour, lw=0.6, alpha=0.35)
    mean = part.groupby("epoch")[name].mean()
    marker = "o" if len(mean) == 1 else None  # one epoch makes no line
    label = part["model"].iloc[0] if len(part) else None
    axes.plot(mean.index, mean, color=colour, ls=line, lw=width, marker=marker, label=label)


def _line_legend(figure: Figure, styles: Sequence[tuple[str, Any, float]]) -> None:
    """Explain the line styles below the axes."""
    from matplotlib.lines import Line2D

    handles = [Line2D([], [], color=INK, ls=line, lw=width, label=label) for label, line, width in styles]
    figure.legend(handles=handles, loc="outside lower center", ncols=3, handlelength=2)


@_styled
def claims_dots(frame: pd.DataFrame, xlabel: str = "Accuracy (%)") -> Figure:
    """Draw the claimed figure beside ours, with our interval and the verdict.

    ``frame`` has one row per model with the columns ``model``, ``claimed``, ``ours``, ``low``, ``high``
    (per cent; NaN where there is none) and ``verdict`` (:func:`fer_lib.report.verdict`).
    """
    figures = ["claimed", "ours", "low", "high"]
    _columns(frame, ["model", *figures, "verdict"], "claims_dots")
    frame = frame.astype(dict.fromkeys(figures, float))  # None becomes NaN, which is not drawn
    figure, axes = _subplots(1.0 + 0.42 * len(frame))
    for row, claim in enumerate(frame.to_dict("records")):
        colour = VERDICT_COLOURS.get(claim["verdict"], MUTED)
        axes.plot([claim["claimed"], claim["ours"]], [row, row], color=FAINT, lw=2, zorder=1)
        axes.plot([claim["low"], claim["high"]], [row, row], color=colour, lw=3, alpha=0.45)
        axes.plot(claim["claimed"], row, "D", ms=9, mfc="none", mec=INK, mew=1.4, zorder=3)
        axes.plot(claim["ours"], row, "o", ms=7, color=colour)
        axes.annotate(
            claim["verdict"], (1.02, row), xycoords=("axes fraction", "data"), color=colour, va="center"
        )
    axes.set_yticks(range(len(frame)), frame["model"])
    axes.set(xlabel=xlabel, ylim=(len(frame) - 0.5, -0.5))
    axes.margins(x=0.06)
    axes.grid(axis="x")
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    _claims_legend(figure)
    return figure


def _claims_legend(figure: Figure) -> None:
    """Explain the two marks."""
    from matplotlib.lines import Line2D

    ours = "ours, with 95 % interval"
    handles = [
        Line2D([], [], ls="", marker="D", ms=9, mfc="none", mec=INK, mew=1.4, label="claimed"),
        Line2D([], [], color=_mix(MUTED, 0.45), marker="o", ms=7, mfc=MUTED, mec=MUTED, lw=3, label=ours),
    ]
    figure.legend(handles=handles, loc="outside upper left", ncols=2)


@_styled
def per_class_bars(frame: pd.DataFrame) -> Figure:
    """Draw the recall of each class, one bar per model, with intervals.

    ``frame`` has the columns ``model``, ``expression``, ``recall`` and, if known, ``low`` and ``high``
    (fractions). A single model's bars have the colours of the expressions.
    """
    _columns(frame, ["model", "expression", "recall"], "per_class_bars")
    tints, classes = colours(frame["model"]), list(dict.fromkeys(frame["expression"]))
    thick = 0.8 / len(tints)
    figure, axes = _subplots(0.9 + len(classes) * max(0.4, 0.17 * len(tints) + 0.1))
    for i, (model, tint) in enumerate(tints.items()):
        part = frame[frame["model"] == model].set_index("expression").reindex(classes)
        rows, recall = np.arange(len(classes)) - 0.4 + thick * (i + 0.5), 100 * part["recall"].to_numpy(float)
        fill = [_expression(name)[0] for name in classes] if len(tints) == 1 else tint
        axes.barh(rows, recall, height=thick * 0.9, color=fill, label=model)
        if {"low", "high"} <= set(part):
            for tone, width in (("white", 3.2), (INK, 1.3)):  # a white edge keeps it visible on dark bars
                axes.hlines(rows, 100 * part["low"], 100 * part["high"], color=tone, lw=width)
    axes.set_yticks(range(len(classes)), classes)
    axes.set(xlabel="Recall (%)", xlim=(0, 100), ylim=(len(classes) - 0.5, -0.5))
    axes.grid(axis="x")
    axes.tick_params(axis="y", length=0)
    if len(tints) > 1:
        _legend(figure, list(tints.items()))
    return figure


@_styled
def sift_keypoints(image: ArrayLike, keypoints: ArrayLike) -> Figure:
    """Draw an image beside itself with its SIFT keypoints.

    Parameters
    ----------
    image
        uint8 ``(H, W)``.
    keypoints
        ``(K, 4)``: x, y and diameter in pixels, and angle in degrees, clockwise from the x axis as OpenCV
        gives it (negative: none). The circle is the keypoint's size, its radius the orientation.
    """
    image, keypoints = np.asarray(image), np.asarray(keypoints, dtype=float).reshape(-1, 4)
    figure, axes = _sheet(2.06, 1)
    _show(axes, image)
    _show(axes, image, 1.06)
    scale = np.array([1 / image.shape[1], 1 / image.shape[0]])
    turn = np.linspace(0, 2 * np.pi, 41)
    circle = np.stack([np.cos(turn), np.sin(turn)], axis=1)
    for x, y, size, angle in keypoints:
        centre = np.array([x + 0.5, y + 0.5])
        outline = centre + size / 2 * circle
        if angle >= 0:
            tip = np.deg2rad(angle)
            outline = np.vstack(
                [centre, centre + size / 2 * np.array([np.cos(tip), np.sin(tip)]), [np.nan] * 2, outline]
            )
        axes.plot(*((outline * scale + (1.06, 0)).T), color=MARK, lw=1.1, clip_on=True)
    _trim(axes, 2.06, 1)
    return figure


@_styled
def visual_words(words: Mapping[Any, ArrayLike], columns: int = 12) -> Figure:
    """Draw patches of each visual word in a row.

    ``words`` maps a word's name to its patches, uint8 ``(P, h, w)``; the first ``columns`` are shown.
    """
    if not words:
        raise FerError("visual_words: no words were given.")
    margin, gap = 1.6, 0.08
    across, down = margin + columns * (1 + gap) - gap, len(words) * (1 + gap) - gap
    figure, axes = _sheet(across, down)
    for row, (word, patches) in enumerate(words.items()):
        y = row * (1 + gap)
        axes.text(margin - 0.15, y + 0.5, str(word), ha="right", va="center", fontsize=SMALL)
        for i, patch in enumerate(_stack(patches, "visual_words")[:columns]):
            _show(axes, patch, margin + i * (1 + gap), y)
    _trim(axes, across, down)
    return figure


@_styled
def grad_cam_grid(
    images: ArrayLike, cams: ArrayLike, titles: Sequence[str] | None = None, columns: int = 4
) -> Figure:
    """Draw each image above its Grad-CAM map.

    Parameters
    ----------
    images
        uint8 ``(N, H, W)``.
    cams
        float ``(N, H, W)`` in [0, 1] (:func:`fer_lib.explain.grad_cam`).
    titles
        N short texts, written above the images.
    columns
        Pairs per row.
    """
    from matplotlib import colormaps
    from matplotlib.cm import ScalarMappable

    images, cams = _stack(images, "grad_cam_grid"), np.asarray(cams)
    if cams.shape != images.shape[:3]:
        raise FerError(f"grad_cam_grid: maps {cams.shape} do not fit images {images.shape}.")
    across, gap, head = min(columns, max(4, len(images))), 0.06, 0.15 if titles is not None else 0.0
    pitch = 2 + 3 * gap + head
    down = math.ceil(len(images) / across) * pitch - 2 * gap
    figure, axes = _sheet(across * (1 + gap) - gap, down, below=0.65)
    for i, (image, cam) in enumerate(zip(images, cams, strict=True)):
        x, y = (i % across) * (1 + gap), (i // across) * pitch + head
        if titles is not None:
            axes.text(x + 0.5, y - 0.03, titles[i], ha="center", va="bottom", fontsize=SMALL)
        _show(axes, image, x, y)
        _show(axes, image, x, y + 1 + gap)
        heat = colormaps["inferno"](cam)
        heat[..., 3] = 0.75 * np.sqrt(cam)  # the face stays visible where there is little evidence
        _show(axes, heat, x, y + 1 + gap)
    _trim(axes, across * (1 + gap) - gap, down)
    bar = figure.colorbar(
        ScalarMappable(cmap="inferno"), ax=axes, location="bottom", shrink=0.5, aspect=40, pad=0.02
    )
    bar.set_label("Evidence for the class, relative to the image's largest", fontsize=SMALL)
    bar.outline.set_visible(False)
    return figure


@_styled
def embedding(
    points: ArrayLike,
    labels: ArrayLike,
    classes: Sequence[str],
    title: str | None = None,
    trustworthiness: float | None = None,
) -> Figure:
    """Draw embedded features, one colour and marker per class.

    Parameters
    ----------
    points
        ``(N, 2)`` (:func:`fer_lib.explain.embed`); the axes of such a picture have no unit.
    labels, classes
        Codes ``(N,)`` and the class names they index.
    title
        Short heading, for instance the method.
    trustworthiness
        In [0, 1], written beside the heading.
    """
    points, looks = np.asarray(points), _looks(classes)
    labels = _coded(labels, len(points), classes, "embedding")
    figure, axes = _subplots(WIDTH * 0.85)
    size = float(np.clip(16000 / len(points), 6, 40))
    order = np.random.default_rng(0).permutation(len(points))  # no class lies on top of the others
    for some in np.array_split(order, min(20, len(order))):
        for code in np.unique(labels[some]):
            colour, marker = looks[code]
            chosen = points[some][labels[some] == code]
            axes.scatter(
                *chosen.T, s=size, c=colour, marker=marker, lw=0.2, ec="white", alpha=0.85, rasterized=True
            )
    axes.set(xticks=[], yticks=[], xlabel="first dimension", ylabel="second dimension")
    axes.margins(0.03)
    axes.set_title(title or "")
    if trustworthiness is not None:
        axes.set_title(f"trustworthiness {trustworthiness:.3f}", loc="right", weight="normal", fontsize=10)
    _class_legend(figure, [(classes[code], *looks[code]) for code in np.unique(labels)])
    return figure


def _class_legend(figure: Figure, looks: Sequence[tuple[str, str, str]]) -> None:
    """Explain (name, colour, marker) below the axes."""
    from matplotlib.lines import Line2D

    handles = [Line2D([], [], ls="", ms=8, marker=m, color=c, mec="white", label=n) for n, c, m in looks]
    figure.legend(handles=handles, loc="outside lower center", ncols=4, handletextpad=0.3, columnspacing=1.2)


@_styled
def learning_size(frame: pd.DataFrame) -> Figure:
    """Draw accuracy against the number of training images (logarithmic), with intervals.

    ``frame`` has the columns ``n``, ``model``, ``accuracy`` and, if known, ``low`` and ``high`` (fractions).
    """
    _columns(frame, ["n", "model", "accuracy"], "learning_size")
    tints = colours(frame["model"])
    figure, axes = _subplots(4.0)
    for model, tint in tints.items():
        part = frame[frame["model"] == model].sort_values("n")
        axes.plot(part["n"], 100 * part["accuracy"], "o-", color=tint, lw=2, ms=6, mec="white", label=model)
        if {"low", "high"} <= set(part):
            axes.fill_between(part["n"], 100 * part["low"], 100 * part["high"], color=tint, alpha=0.15, lw=0)
    axes.set_xscale("log")
    axes.set_xticks(sorted(frame["n"].unique()), minor=False)
    axes.xaxis.set_major_formatter("{x:,.0f}")
    axes.minorticks_off()
    axes.set(xlabel="Training images", ylabel="Accuracy (%)")
    axes.grid(axis="y")
    _legend(figure, list(tints.items()), marker="o")
    return figure
