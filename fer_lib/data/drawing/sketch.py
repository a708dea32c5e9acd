"""A display list of soft grey shapes and its rasteriser.

Marks are collected first and placed under the pose all at once, because placing hundreds of small
polygons one by one costs more than filling them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from fer_lib.data.drawing.geometry import Pose

_NOT_WORTH_BLURRING = 0.9  # pixels of the enlarged canvas, which is reduced afterwards


class Mark(NamedTuple):
    """One shape: ``points`` (n, 2) in the face frame, or the centre (1, 2) of a spot with ``radii``."""

    points: np.ndarray
    tone: float | None  # None multiplies the tone below by 1 - alpha instead of covering it
    alpha: float
    soft: float = 0.0  # width over which the edge is blurred
    clip: np.ndarray | None = None  # polygon outside of which nothing is drawn
    radii: tuple[float, float] | None = None


class Sketch(list[Mark]):
    """Marks in drawing order; coordinates and widths in the face frame, tones in [0, 1]."""

    def paint(self, points: np.ndarray, tone: float, alpha: float = 1.0, **edge: Any) -> None:
        """Cover the polygon ``points`` (n, 2) with ``tone``; ``edge``: its ``soft`` and its ``clip``."""
        self.append(Mark(points, tone, alpha, **edge))

    def shade(self, points: np.ndarray, amount: float, **edge: Any) -> None:
        """Darken (``amount`` > 0) or lighten the polygon by a share of the tone below."""
        self.append(Mark(points, None, amount, **edge))

    def glow(self, centre: Sequence[float], radii: tuple[float, float], amount: float) -> None:
        """Darken (``amount`` > 0) or lighten a Gaussian spot of ``radii`` (standard deviations)."""
        self.append(Mark(np.asarray(centre, dtype=np.float64)[None], None, amount, radii=radii))


def render(sketch: Sketch, pose: Pose, size: int, backdrop: float) -> np.ndarray:
    """Rasterise ``sketch`` under ``pose`` on a backdrop: float32 ``(size, size)``."""
    pixels = np.full((size, size), backdrop, dtype=np.float32)
    shapes = [m.points for m in sketch] + [m.clip for m in sketch if m.clip is not None]
    ends = np.cumsum([len(s) for s in shapes])
    starts = ends - [len(s) for s in shapes]
    spots = pose.place(np.concatenate(shapes), size)
    lows = np.minimum.reduceat(spots, starts, axis=0).tolist()
    highs = np.maximum.reduceat(spots, starts, axis=0).tolist()
    polygons = np.split(np.rint(spots * 16).astype(np.int32), ends[:-1])  # 4 fractional bits
    clips = iter(polygons[len(sketch) :])
    unit = pose.scale * size / 2
    for mark, polygon, (low_x, low_y), (high_x, high_y) in zip(sketch, polygons, lows, highs, strict=False):
        clip = None if mark.clip is None else next(clips)
        reach = 2.6 * max(mark.radii) * unit if mark.radii else 3 * mark.soft * unit + 2
        left, right = max(int(low_x - reach), 0), min(int(high_x + reach) + 2, size)
        top, bottom = max(int(low_y - reach), 0), min(int(high_y + reach) + 2, size)
        if left >= right or top >= bottom:
            continue
        view = pixels[top:bottom, left:right]
        if mark.radii:
            cover = _spot(mark, (low_x - left, low_y - top), view.shape, pose.roll, unit)
        else:
            inside = [None if p is None else p - np.int32([left * 16, top * 16]) for p in (polygon, clip)]
            cover = _cover(*inside, mark, view.shape, unit)
        if mark.tone is None:
            view *= 1 - cover
        else:
            view += (np.float32(mark.tone) - view) * cover
    return pixels


def _cover(
    polygon: np.ndarray, clip: np.ndarray | None, mark: Mark, window: tuple[int, ...], unit: float
) -> np.ndarray:
    """Coverage of a polygon in its window, float32, times the mark's alpha."""
    import cv2

    mask = cv2.fillPoly(np.zeros(window, np.uint8), [polygon], 255, cv2.LINE_AA, 4)
    sigma = mark.soft * unit
    if sigma > _NOT_WORTH_BLURRING:
        width = 2 * max(round(2.45 * sigma) - 1, 1) + 1
        mask = cv2.stackBlur(mask, (width, width))  # close to a Gaussian, in whole numbers
    if clip is not None:
        mask = cv2.min(mask, cv2.fillPoly(np.zeros(window, np.uint8), [clip], 255, cv2.LINE_AA, 4))
    return mask * np.float32(mark.alpha / 255)


def _spot(
    mark: Mark, centre: tuple[float, float], window: tuple[int, ...], roll: float, unit: float
) -> np.ndarray:
    """Gaussian spot in its window, float32, turned with the head."""
    dx = (np.arange(window[1], dtype=np.float32) - np.float32(centre[0])) / np.float32(unit)
    dy = (np.arange(window[0], dtype=np.float32) - np.float32(centre[1]))[:, None] / np.float32(unit)
    turn = np.deg2rad(roll)
    cos, sin = np.float32(np.cos(turn)), np.float32(np.sin(turn))
    wide, high = np.float32(mark.radii[0]), np.float32(mark.radii[1])
    u, v = (cos / wide) * dx + (sin / wide) * dy, (cos / high) * dy - (sin / high) * dx
    return np.float32(mark.alpha) * np.exp((u * u + v * v) * np.float32(-0.5))


def ribbon(points: np.ndarray, width: float | np.ndarray, tapered: bool = True) -> np.ndarray:
    """Polygon (2 n, 2) of a stroke along ``points`` (n, 2); a single width tapers to both ends if asked."""
    if tapered and np.ndim(width) == 0:
        width = width * np.sin(np.linspace(0.12, np.pi - 0.12, len(points))) ** 0.6
    along = np.empty_like(points)
    along[1:-1] = points[2:] - points[:-2]
    along[0], along[-1] = points[1] - points[0], points[-1] - points[-2]
    reach = width / 2 / (np.hypot(along[:, 0], along[:, 1]) + 1e-12)
    side = np.empty_like(points)
    side[:, 0], side[:, 1] = -along[:, 1] * reach, along[:, 0] * reach
    return np.concatenate([points + side, (points - side)[::-1]])


def ellipse(centre: Sequence[float], radii: Sequence[float], n: int = 28) -> np.ndarray:
    """Polygon (n, 2) of an upright ellipse."""
    angle = np.linspace(0, 2 * np.pi, n, endpoint=False)
    return np.stack([np.cos(angle), np.sin(angle)], axis=1) * radii + centre


def mirrored(half: np.ndarray) -> np.ndarray:
    """Close a curve on the right half of the face (n, 2) with its mirror image: (2 n, 2)."""
    return np.concatenate([half, half[::-1] * (-1.0, 1.0)])


def shifted(points: np.ndarray, dx: float, dy: float) -> np.ndarray:
    """Translate points (..., 2)."""
    return points + np.array((dx, dy))
