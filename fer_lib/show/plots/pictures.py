"""Sheets of images: faces, SIFT keypoints, visual words, Grad-CAM maps."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from textwrap import fill
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from fer_lib.show.pages import called
from fer_lib.show.plots.style import FAINT, INK, MARK, SMALL, WIDTH, styled, subplots

WRONG = "#c44a00"  # of words that are not the true class

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


@styled
def contact_sheet(
    images: ArrayLike,
    labels: ArrayLike | None = None,
    classes: Sequence[str] | None = None,
    columns: int = 8,
    landmarks: ArrayLike | None = None,
) -> Figure:
    """Draw images, uint8 ``(N, H, W)`` or float in [0, 1], in rows, each above the name of its class.

    ``labels`` are codes ``(N,)`` of ``classes``; without ``classes`` they are written as they are.
    ``landmarks`` are ``(N, P, 2)``, x and y in pixels, NaN where there are none.
    """
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
    return figure


@styled
def sift_keypoints(image: ArrayLike, keypoints: ArrayLike) -> Figure:
    """Draw an image, uint8 ``(H, W)``, beside itself with its SIFT keypoints.

    ``keypoints`` are ``(K, 4)``: x, y and diameter in pixels, and angle in degrees, clockwise from the x axis
    as OpenCV gives it (negative: none). The circle is the keypoint's size, its radius the orientation.
    """
    figure, axes = _sheet(2.06, 1)
    _show(axes, image)
    _show(axes, image, 1.06)
    scale = np.array([1 / image.shape[1], 1 / image.shape[0]])

    def towards(turn: ArrayLike) -> np.ndarray:
        return np.stack([np.cos(turn), np.sin(turn)], axis=-1)

    for x, y, size, angle in keypoints:
        centre = np.array([x + 0.5, y + 0.5])
        outline = centre + size / 2 * towards(np.linspace(0, 2 * np.pi, 41))
        if angle >= 0:
            tip = centre + size / 2 * towards(np.deg2rad(angle))
            outline = np.vstack([centre, tip, [np.nan] * 2, outline])
        axes.plot(*((outline * scale + (1.06, 0)).T), color=MARK, lw=1.1, clip_on=True)
    return figure


@styled
def visual_words(words: Mapping[Any, ArrayLike], columns: int = 12) -> Figure:
    """Draw patches of each visual word in a row.

    ``words`` maps a word's name to its patches, uint8 ``(P, h, w)``; the first ``columns`` are shown.
    """
    margin, gap = 1.6, 0.08
    across, down = margin + columns * (1 + gap) - gap, len(words) * (1 + gap) - gap
    figure, axes = _sheet(across, down)
    for row, (word, patches) in enumerate(words.items()):
        y = row * (1 + gap)
        axes.text(margin - 0.15, y + 0.5, str(word), ha="right", va="center", fontsize=SMALL)
        for i, patch in enumerate(np.asarray(patches)[:columns]):
            _show(axes, patch, margin + i * (1 + gap), y)
    return figure


@styled
def grad_cam_grid(images: ArrayLike, cams: ArrayLike, titles: Sequence[str], columns: int) -> Figure:
    """Draw each image, uint8 ``(N, H, W)``, under its title and above its Grad-CAM map.

    ``cams`` are float ``(N, H, W)`` in [0, 1] (:func:`fer_lib.learn.explain.grad_cam`).
    """
    across, gap = min(columns, max(4, len(images))), 0.06
    lines = max(title.count("\n") for title in titles)
    head = lines * across / 22 + 0.15  # text does not shrink with the images
    pitch = 2 + 3 * gap + head
    down = math.ceil(len(images) / across) * pitch - 2 * gap
    figure, axes = _sheet(across * (1 + gap) - gap, down, below=0.65)
    for i, (image, cam) in enumerate(zip(images, cams, strict=True)):
        x, y = (i % across) * (1 + gap), (i // across) * pitch + head
        axes.text(x + 0.5, y - 0.03, titles[i], ha="center", va="bottom", fontsize=SMALL)
        _show(axes, image, x, y)
        _heat(axes, image, cam, x, y + 1 + gap)
    _evidence_bar(figure, axes)
    return figure


@styled
def grad_cam_gallery(
    images: ArrayLike,
    labels: ArrayLike,
    classes: Sequence[str],
    found: Mapping[str, tuple[ArrayLike, ArrayLike]],
) -> Figure:
    """Draw faces in rows and networks in columns: where each network finds its evidence, and what it says.

    ``images`` are uint8 ``(N, H, W)``, stretched where the maps are of another size; ``labels`` are true
    codes ``(N,)`` of ``classes``. ``found`` has, by network, its Grad-CAM maps ``(N, h, w)`` in [0, 1] and
    the codes ``(N,)`` that it predicts.
    """
    across, gap, below = 1 + len(found), 0.06, 0.24  # networks and the face itself; room for a word
    blocks = max(1, 6 // across)
    heads = {name: fill(called(name), 14) for name in found}
    head = below * (1 + max((text.count("\n") for text in heads.values()), default=0))
    pitch, block = 1 + below, across * (1 + gap) + 0.2
    wide = max(blocks * block - 0.2 - gap, 6)  # no face is larger than a sixth of the page
    down = head + math.ceil(len(images) / blocks) * pitch
    figure, axes = _sheet(wide, down, below=0.65)
    for i, image in enumerate(images):
        x, y = (i % blocks) * block, head + (i // blocks) * pitch
        word = {"y": y + 1.03, "ha": "center", "va": "top", "fontsize": SMALL}
        _show(axes, image, x, y)
        axes.text(x + 0.5, s=classes[labels[i]], weight="bold", **word)
        for column, (name, (cams, said)) in enumerate(found.items(), 1):
            at, right = x + column * (1 + gap), said[i] == labels[i]
            _heat(axes, image, np.asarray(cams)[i], at, y)
            axes.text(at + 0.5, s=classes[said[i]], color=INK if right else WRONG, **word)
            if i < blocks:
                axes.text(at + 0.5, y - 0.04, heads[name], ha="center", va="bottom", fontsize=SMALL)
    _evidence_bar(figure, axes)
    return figure


def _show(axes: Axes, image: np.ndarray, x: float = 0, y: float = 0) -> None:
    """Draw an image as a unit square whose top left corner is (x, y); grey levels are not stretched."""
    top = 255 if image.dtype == np.uint8 else 1
    axes.imshow(image, cmap="gray", vmin=0, vmax=top, extent=(x, x + 1, y + 1, y), interpolation="nearest")
    edge = np.array([[0, 1, 1, 0, 0], [0, 0, 1, 1, 0]])  # parts a white background from the page
    axes.plot(x + edge[0], y + edge[1], color=FAINT, lw=0.6)


def _heat(axes: Axes, image: np.ndarray, cam: np.ndarray, x: float, y: float) -> None:
    """Draw an image under a map of evidence, float (h, w) in [0, 1]."""
    from matplotlib import colormaps

    _show(axes, image, x, y)
    heat = colormaps["inferno"](cam)
    heat[..., 3] = 0.75 * np.sqrt(cam)  # the face stays visible where there is little evidence
    _show(axes, heat, x, y)


def _evidence_bar(figure: Figure, axes: Axes) -> None:
    """Put the one scale of all maps below a sheet."""
    from matplotlib.cm import ScalarMappable

    place = {"ax": axes, "location": "bottom", "shrink": 0.5, "aspect": 40, "pad": 0.02}
    bar = figure.colorbar(ScalarMappable(cmap="inferno"), **place)
    bar.set_label("Evidence for the class, relative to the image's largest", fontsize=SMALL)
    bar.outline.set_visible(False)


def _sheet(across: float, down: float, below: float = 0) -> tuple[Figure, Axes]:
    """Return a sheet of unit squares, x to the right, y downwards, with ``below`` inches left free."""
    figure, axes = subplots(WIDTH * down / across + below)
    axes.axis("off")
    axes.set(xlim=(-0.01, across + 0.01), ylim=(down + 0.01, -0.01), aspect="equal")
    return figure, axes
