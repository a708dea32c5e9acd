"""Occlude faces, change their light and distort their tones, at any severity (paper ``multimodal``, Fig. 7).

The paper shows four images and does not say how large its occlusions are or how strong the changes.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from fer_lib.errors import FerError, one_of

# iBUG's 68 points: both eyes, and the mouth with its corners. The boxes grow by a part of their width on
# every side, up and down too: the paper covers more than lids and lips, and closed ones have no height.
_POINTS = {"eye": slice(36, 48), "mouth": slice(48, 68)}
_GROWTH = {"eye": (0.12, 0.10), "mouth": (0.15, 0.11)}  # sideways, up and down

FIXED_REGIONS = {"eye": (0.18, 0.30, 0.82, 0.49), "mouth": (0.30, 0.69, 0.72, 0.91)}
"""Left, upper, right and lower edge as parts of width and height, for faces without landmarks: where
the boxes of FER2013's faces lie in the median."""

_OCCLUDED = {
    "occlusion_mouth": ("mouth",),
    "occlusion_eye": ("eye",),
    "occlusion_mouth_and_eye": ("mouth", "eye"),
}
CONDITIONS = (*_OCCLUDED, "high_brightness", "low_brightness", "color_distortion")


def disturb(images: Tensor, condition: str, severity: float, landmarks: Tensor | None = None) -> Tensor:
    """Return images ``(B, H, W)`` uint8 under one condition, on the same device.

    Parameters
    ----------
    condition : str
        One of :data:`CONDITIONS`. Occlusions cover the middle of the region, of ``severity`` times its width
        and height, in black. Brightness becomes ``1 + severity`` times as high, clipped at white, or
        ``1 - 0.9 severity`` times. The paper distorts the colours of a FER2013 image, which has none: hue
        leaves grey as it is, and a cast is a change of brightness once it is grey again. What is left are
        the tones: ``v`` in [0, 1] becomes ``v + severity / 4 sin(4 pi v)``, so that bands of tones spread
        and others, from a severity of 0.32, turn round, as in a solarised print.
    severity : float
        In [0, 1]; 0 changes nothing.
    landmarks : Tensor, optional
        ``(B, 68, 2)`` float in pixels; where they are absent or NaN, :data:`FIXED_REGIONS` are covered.
    """
    one_of(condition, CONDITIONS, "condition")
    if not 0 <= severity <= 1:
        raise FerError(f"A severity lies in [0, 1]; got {severity}.")
    if severity == 0:
        return images.clone()
    if condition in _OCCLUDED:
        return _occlude(images, _OCCLUDED[condition], severity, landmarks)
    values = images.float() / 255
    if condition == "color_distortion":
        values = (values + severity / 4 * (4 * math.pi * values).sin()).clamp(0, 1)
    else:
        values = values * (1 + severity if condition == "high_brightness" else 1 - 0.9 * severity)
    return values.mul_(255).round_().clamp_(0, 255).byte()


def regions(images: Tensor, name: str, landmarks: Tensor | None = None) -> Tensor:
    """Return the box around both eyes or the mouth (``"eye"``, ``"mouth"``) of every face.

    ``(B, 4)`` float32: left, upper, right and lower edge in pixels; pixel edges are whole numbers.
    """
    _, height, width = images.shape
    scale = [width, height, width, height]
    box = [edge * side for edge, side in zip(FIXED_REGIONS[name], scale, strict=True)]
    boxes = torch.tensor(box, device=images.device).repeat(len(images), 1)
    if landmarks is None:
        return boxes
    points = landmarks[:, _POINTS[name]].float() + 0.5  # from pixel centres to pixel edges
    low, high = points.amin(1), points.amax(1)  # NaN if any point is
    growth = (high - low)[:, :1] * low.new_tensor(_GROWTH[name])
    found = torch.cat([low - growth, high + growth], dim=1)
    return torch.where(found.isfinite().all(1, keepdim=True), found, boxes)


def _occlude(images: Tensor, names: tuple[str, ...], severity: float, landmarks: Tensor | None) -> Tensor:
    y, x = (torch.arange(n, device=images.device) + 0.5 for n in images.shape[1:])
    covered = torch.zeros(images.shape, dtype=torch.bool, device=images.device)
    for name in names:
        left, top, right, bottom = regions(images, name, landmarks).unbind(1)
        inside_x = (x - (left + right)[:, None] / 2).abs() <= severity * (right - left)[:, None] / 2
        inside_y = (y - (top + bottom)[:, None] / 2).abs() <= severity * (bottom - top)[:, None] / 2
        covered |= inside_y[:, :, None] & inside_x[:, None, :]
    return images.masked_fill(covered, 0)
