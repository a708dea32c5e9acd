"""Where the parts of a parametric face lie: identity and facial actions to curves and 68 landmarks.

The face frame has x to the viewer's right and y downwards; the square ``[-1, 1] x [-1, 1]`` is the image of
an upright face at scale 1. Side 0 is the viewer's left. Drawn curves and landmarks both come from
:func:`shape` and pass through :meth:`Pose.place`, which makes the landmarks exact.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike

SIDES = (-1.0, 1.0)
_NOSE_TIP_Y = 0.16  # where the head is deepest, face frame
_GRID = np.linspace(-1.0, 1.0, 13)  # every curve of an eye or a mouth has 13 points


def _span(low: float, high: float) -> float:
    """Declare a field whose default is the middle of the range that subjects are drawn from."""
    return field(default=(low + high) / 2, metadata={"range": (low, high)})


@dataclass(frozen=True)
class Identity:
    """What stays the same in all images of a subject; lengths in the face frame, tones in [0, 1].

    :mod:`fer_lib.data.datasets.synthetic` samples fields from the ``range`` in their metadata, those without
    one from tables.
    """

    head_width: float = _span(0.57, 0.69)  # half-width at the cheekbones
    jaw_width: float = _span(0.39, 0.57)
    chin_width: float = _span(0.14, 0.27)
    chin_y: float = _span(0.79, 0.88)
    eye_x: float = _span(0.245, 0.315)
    eye_y: float = _span(-0.15, -0.07)
    eye_width: float = _span(0.130, 0.172)
    eye_height: float = _span(0.056, 0.084)
    eye_tilt: float = _span(-0.020, 0.026)
    brow_gap: float = _span(0.165, 0.225)
    brow_thickness: float = _span(0.030, 0.072)
    brow_arch: float = _span(0.010, 0.055)
    brow_slope: float = _span(-0.030, 0.030)  # > 0: the resting inner end is low (a stern face)
    nose_y: float = _span(0.15, 0.23)
    nose_width: float = _span(0.100, 0.160)
    mouth_y: float = _span(0.43, 0.50)
    mouth_width: float = _span(0.205, 0.275)
    upper_lip: float = _span(0.026, 0.062)
    lower_lip: float = _span(0.040, 0.085)
    rest_corner: float = _span(-0.026, 0.026)  # > 0: the corners of the resting mouth hang
    asymmetry: float = _span(-0.16, 0.16)  # side 1 moves by 1 + this, side 0 by 1 - this
    skin: float = _span(0.40, 0.92)
    iris: float = _span(0.10, 0.50)
    lip_contrast: float = _span(0.16, 0.42)
    age: float = _span(0.0, 1.0)  # depth of the resting folds
    hair_tone: float = 0.15
    hair: str = "short"
    beard: str = "none"
    glasses: str = "none"
    clothes: float = 0.4
    dominant_side: int = 1  # the side that smirks
    strands: int = 0  # seed of the hair's texture


@dataclass(frozen=True)
class Actions:
    """Facial actions in [0, 1], named after what moves; the action unit (AU) of FACS beside each."""

    brow_inner: float = 0.0  # AU1
    brow_outer: float = 0.0  # AU2
    brow_lower: float = 0.0  # AU4
    lid_raise: float = 0.0  # AU5
    cheek_raise: float = 0.0  # AU6
    lid_tighten: float = 0.0  # AU7
    nose_wrinkle: float = 0.0  # AU9
    upper_lip_raise: float = 0.0  # AU10
    corner_pull: float = 0.0  # AU12
    corner_one: float = 0.0  # AU12/14, one side only
    corner_depress: float = 0.0  # AU15
    chin_raise: float = 0.0  # AU17
    lip_stretch: float = 0.0  # AU20
    lip_press: float = 0.0  # AU24
    jaw_drop: float = 0.0  # AU26
    lid_droop: float = 0.0  # AU43, in part


@dataclass(frozen=True)
class Pose:
    """Head pose: a slight turn about the vertical axis, then a similarity in the image plane."""

    roll: float = 0.0  # degrees, as is yaw
    yaw: float = 0.0
    scale: float = 1.0
    shift_x: float = 0.0  # face-frame units
    shift_y: float = 0.0

    def place(self, points: np.ndarray, size: int) -> np.ndarray:
        """Map face-frame points ``(..., 2)`` to pixels of a ``size`` x ``size`` image.

        Pixel centres lie at whole numbers: the image covers ``[-0.5, size - 0.5]`` in x and y.
        """
        points = np.asarray(points, dtype=np.float64)
        x, y = points[..., 0], points[..., 1]
        # The head is a paraboloid with a nose: turning it foreshortens the far side.
        depth = 0.50 * (1 - (x / 0.65) ** 2) - 0.12 * (y - _NOSE_TIP_Y) ** 2
        depth += 0.20 * np.exp(-((x / 0.13) ** 2) / 2 - ((y - _NOSE_TIP_Y) / 0.16) ** 2 / 2)
        yaw, roll = np.deg2rad(self.yaw), np.deg2rad(self.roll)
        x = x * np.cos(yaw) + (depth - 0.35) * np.sin(yaw)
        u = self.scale * (x * np.cos(roll) - y * np.sin(roll)) + self.shift_x
        v = self.scale * (x * np.sin(roll) + y * np.cos(roll)) + self.shift_y
        return np.stack([(u + 1) * size / 2 - 0.5, (v + 1) * size / 2 - 0.5], axis=-1)


@dataclass(frozen=True, eq=False)
class Shape:
    """The curves of one face in the face frame, each ``(n, 2)``, or ``(2, n, 2)`` with a side first."""

    outline: np.ndarray  # closed head contour, clockwise from the crown
    jaw: np.ndarray  # (17, 2) from the viewer's left temple over the chin
    brows: np.ndarray  # (2, 9, 2) centre line, outer to inner end
    upper_lids: np.ndarray  # (2, 13, 2) outer to inner corner
    lower_lids: np.ndarray
    bridge: np.ndarray  # (4, 2)
    base: np.ndarray  # (5, 2) under the nose, wing to wing
    outer_top: np.ndarray  # (13, 2) mouth curves, left to right
    inner_top: np.ndarray
    inner_bottom: np.ndarray
    outer_bottom: np.ndarray
    gap: float  # height of the mouth's opening at its middle


_CATMULL_ROM = np.array([[0, 2, 0, 0], [-1, 0, 1, 0], [2, -5, 4, -1], [-1, 3, -3, 1]]) / 2


def smooth(points: ArrayLike, n: int = 8) -> np.ndarray:
    """Run a Catmull-Rom spline through ``points`` (k, 2), ``n`` steps per segment: (n (k - 1) + 1, 2)."""
    p = np.asarray(points, dtype=np.float64)
    p = np.concatenate([[2 * p[0] - p[1]], p, [2 * p[-1] - p[-2]]])
    windows = np.stack([p[:-3], p[1:-2], p[2:-1], p[3:]], axis=1)  # (k - 1, 4, 2)
    steps = np.linspace(0, 1, n, endpoint=False)[:, None] ** np.arange(4) @ _CATMULL_ROM
    return np.concatenate([(steps @ windows).reshape(-1, 2), p[-2:-1]])


def shape(identity: Identity, actions: Actions) -> Shape:
    """Return the curves of ``identity`` performing ``actions``."""
    brows = np.stack([_brow(identity, actions, side) for side in (0, 1)])
    lids = np.stack([_eye(identity, actions, side) for side in (0, 1)], axis=1)
    nose, mouth = _nose(identity, actions), _mouth(identity, actions)
    return Shape(*_head(identity, actions), brows, *lids, *nose, *mouth)


def landmarks(form: Shape) -> np.ndarray:
    """Pick the 68 iBUG landmarks (68, 2) off the curves, in the face frame.

    Order: jaw 0-16, brows 17-26, nose 27-35, eyes 36-47, mouth 48-67; left and right are the viewer's.
    """
    (upper, right_upper), (lower, right_lower) = form.upper_lids, form.lower_lids
    eyes = [upper[[0, 4, 8, 12]], lower[[8, 4]], right_upper[[12, 8, 4, 0]], right_lower[[4, 8]]]
    mouth = [form.outer_top[::2], form.outer_bottom[10:0:-2]]
    mouth += [form.inner_top[::3], form.inner_bottom[[9, 6, 3]]]
    brows = form.brows[0, ::2], form.brows[1, ::-2]
    return np.vstack([form.jaw, *brows, form.bridge, form.base, *eyes, *mouth])


def _head(f: Identity, a: Actions) -> tuple[np.ndarray, np.ndarray]:
    """Head contour and the 17 jaw landmarks, equally spaced along it below the eyes."""
    drop = 0.10 * a.jaw_drop - 0.012 * a.chin_raise
    cheek = 0.02 * max(a.corner_pull, 0.6 * a.lip_stretch)
    w = f.head_width
    knots = [(0, -0.99), (0.45 * w, -0.93), (0.82 * w, -0.70), (0.97 * w, -0.40), (w, -0.08)]
    knots += [(0.96 * w + cheek, 0.20), (f.jaw_width + cheek, 0.50 + 0.4 * drop)]
    knots += [(f.chin_width + 0.06, f.chin_y - 0.10 + drop), (0.45 * f.chin_width, f.chin_y + drop)]
    knots += [(0, f.chin_y + 0.012 + drop)]
    right = smooth(knots)
    left = right[::-1] * (-1, 1)
    outline = np.vstack([right, left[1:-1]])
    half = left[left[:, 1] > f.eye_y - 0.02][::-1]  # temple to chin
    contour = np.vstack([half, half[-2::-1] * (-1, 1)])
    steps = np.r_[0, np.cumsum(np.hypot(*np.diff(contour, axis=0).T))]
    at = np.linspace(0, steps[-1], 17)
    return outline, np.stack([np.interp(at, steps, line) for line in contour.T], axis=1)


def _brow(f: Identity, a: Actions, side: int) -> np.ndarray:
    """Brow centre line, outer to inner end: AU1 lifts the inner, AU2 the outer end, AU4 lowers all."""
    gain = 1 + SIDES[side] * f.asymmetry
    t = np.linspace(0, 1, 9)  # 0 outer, 1 inner
    inner, outer = t**1.3, (1 - t) ** 0.7
    # AU1 with AU4 draws the inner ends up and together (sadness, fear) rather than down.
    lower = a.brow_lower * (1 - 0.75 * a.brow_inner)
    y = f.eye_y - f.brow_gap + f.brow_slope * (2 * t - 1)
    y = y - f.brow_arch * np.sin(np.pi * t**0.8)
    y = y - gain * (0.135 * a.brow_inner * inner + 0.125 * a.brow_outer * outer)
    y = y - gain * 0.05 * min(a.brow_inner, a.brow_outer) * np.sin(np.pi * t)
    y = y + gain * lower * (0.035 + 0.105 * t**2.2) + 0.02 * a.nose_wrinkle * inner
    y = y + 0.02 * a.cheek_raise * outer * a.corner_pull
    x = (f.eye_x + 1.28 * f.eye_width) * (1 - t) + (0.40 * f.eye_x - 0.035 * a.brow_lower) * t
    return np.stack([SIDES[side] * x, y], axis=1)


def _eye(f: Identity, a: Actions, side: int) -> tuple[np.ndarray, np.ndarray]:
    """Upper and lower lid, outer to inner corner."""
    gain = 1 + SIDES[side] * f.asymmetry
    squeeze = 0.42 * a.lid_tighten + 0.35 * a.cheek_raise * a.corner_pull + 0.25 * a.nose_wrinkle
    up = f.eye_height * (1 + gain * (0.62 * a.lid_raise - squeeze) - 0.62 * a.lid_droop - 0.15 * a.brow_lower)
    low = 1 - gain * (0.55 * a.lid_tighten + 0.75 * a.cheek_raise) + 0.15 * a.lid_raise
    low = max(0.72 * f.eye_height * low, -0.05 * f.eye_height)
    up = max(up, 0.24 * f.eye_height)
    s = _GRID  # -1 outer corner, 1 inner corner
    x = SIDES[side] * (f.eye_x - f.eye_width * s)
    corner = f.eye_y + f.eye_tilt * s - 0.012 * a.brow_inner * s
    bow = np.clip(1 - s**2, 0, 1)
    upper = corner - up * bow**0.72 * (1 + 0.10 * s)
    return np.stack([x, upper], axis=1), np.stack([x, corner + low * bow**0.85 * (1 - 0.12 * s)], axis=1)


def _nose(f: Identity, a: Actions) -> tuple[np.ndarray, np.ndarray]:
    """Bridge (4 points, down to the tip) and base (5 points, wing to wing)."""
    lift = 0.035 * a.nose_wrinkle + 0.010 * a.upper_lip_raise
    base_y, tip_y = f.nose_y - lift, f.nose_y - 0.055 - 0.8 * lift
    wing = f.nose_width * (1 + 0.14 * a.nose_wrinkle + 0.06 * a.corner_pull)
    bridge = np.stack([np.zeros(4), np.linspace(f.eye_y - 0.01, tip_y, 4)], axis=1)
    t = np.array([-1.0, -0.5, 0.0, 0.5, 1.0])
    return bridge, np.stack([wing * t * 0.9, base_y + 0.022 * (1 - t**2)], axis=1)


def _mouth(f: Identity, a: Actions) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, float]:
    """Return the four lip curves, left to right, and the opening at the middle."""
    gain = 1 + np.array(SIDES) * f.asymmetry
    one = a.corner_one * (np.arange(2) == f.dominant_side)
    pull = gain * a.corner_pull + one
    half = f.mouth_width * (1 - 0.24 * a.jaw_drop * (1 - a.corner_pull) - 0.06 * a.chin_raise)
    half = half + 0.075 * pull + 0.065 * a.lip_stretch - 0.012 * a.lip_press
    corner = f.rest_corner - 0.105 * pull - 0.03 * one + gain * 0.085 * a.corner_depress
    corner = corner + 0.025 * a.lip_stretch
    gap = 0.29 * a.jaw_drop + 0.050 * a.upper_lip_raise + 0.055 * a.lip_stretch + 0.03 * a.corner_pull
    gap = max(gap - 0.05 * a.lip_press - 0.02 * a.chin_raise, 0.0)
    thin = (1 - 0.62 * a.lip_press) * (1 - 0.28 * a.corner_pull) * (1 - 0.25 * a.lip_stretch)
    upper, lower = f.upper_lip * thin * (1 - 0.2 * a.upper_lip_raise), f.lower_lip * thin
    rise = 0.05 * a.upper_lip_raise + 0.035 * a.nose_wrinkle + 0.02 * a.chin_raise + 0.22 * gap
    middle = f.mouth_y - 0.012 * a.corner_pull - 0.01 * a.corner_depress

    def strand(t: np.ndarray, offset: np.ndarray) -> np.ndarray:
        side = (t > 0).astype(int)
        bend = np.abs(t) ** (1.9 - 0.4 * a.corner_pull)
        return np.stack([half[side] * t, middle + corner[side] * bend + offset], axis=1)

    t, inner = _GRID, 0.9 * _GRID
    bow = np.clip(1 - np.abs(t) ** 2.4, 0, 1)
    roof = -rise * np.clip(1 - np.abs(t) ** 2.2, 0, 1)
    floor = roof + gap * np.clip(1 - np.abs(t) ** 2.2, 0, 1) ** 0.8
    cupid = 1 - 0.22 * np.exp(-((t / 0.16) ** 2))
    top, bottom = strand(t, roof - upper * bow * cupid), strand(t, floor + lower * bow)
    return top, strand(inner, roof), strand(inner, floor), bottom, gap
