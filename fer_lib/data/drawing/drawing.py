"""Draw a parametric face in grey: the curves of :mod:`fer_lib.data.drawing.geometry` to pixels."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from fer_lib.data.drawing import hair as face_hair
from fer_lib.data.drawing.geometry import SIDES, Actions, Identity, Pose, Shape, shape, smooth
from fer_lib.data.drawing.sketch import Sketch, ellipse, render, ribbon, shifted


@dataclass(frozen=True)
class Light:
    """Illumination and sensor of one image."""

    azimuth: float = -35.0  # degrees, where the light comes from: 0 in front, > 0 the viewer's right
    elevation: float = 35.0  # degrees above the horizon
    contrast: float = 0.45  # share of directed light in [0, 1]
    gain: float = 1.0  # exposure
    backdrop: float = 0.5  # tone of the background in [0, 1]
    noise: float = 0.012  # standard deviation of the sensor's noise, full scale 1
    blur: float = 0.0  # standard deviation of the lens blur as a share of the image's width


def draw(
    identity: Identity, actions: Actions, pose: Pose, light: Light, size: int, rng: np.random.Generator
) -> np.ndarray:
    """Draw one face: uint8 ``(size, size)``.

    It is drawn three times larger (twice from 128 pixels on) and reduced by area; light and noise (drawn
    from ``rng``) act on the reduced image.
    """
    import cv2

    form = shape(identity, actions)
    behind, before = _fixed(identity)
    face = Sketch()
    _skin(face, identity, actions, form)
    _upper_folds(face, identity, actions, form)
    _lower_folds(face, identity, actions, form)
    _nose(face, identity, form)
    face_hair.beard(face, identity, form)
    _mouth(face, identity, actions, form)
    for side in (0, 1):
        _eye(face, identity, actions, form, side)
        _brow(face, identity, form, side)
    marks = Sketch([*behind, *face, *before])
    large = render(marks, pose, size * (3 if size < 128 else 2), light.backdrop)
    image = cv2.resize(large, (size, size), interpolation=cv2.INTER_AREA)
    return _expose(image, identity, pose, light, rng)


@lru_cache(maxsize=64)
def _fixed(identity: Identity) -> tuple[Sketch, Sketch]:
    """Return what lies behind and before the face, the same in all images of a subject."""
    behind, before = Sketch(), Sketch()
    face_hair.behind(behind, identity)
    face_hair.glasses(before, identity)
    face_hair.hair(before, identity, shape(identity, Actions()).outline)
    return behind, before


def _expose(image: np.ndarray, f: Identity, pose: Pose, light: Light, rng: np.random.Generator) -> np.ndarray:
    """Light the drawing as an ellipsoid under one lamp, then blur, expose and add noise."""
    import cv2

    size = len(image)
    x, y = pose.place(np.array([0.0, -0.05]), size)
    unit = pose.scale * size / 2
    nx = (np.arange(size, dtype=np.float32) - np.float32(x))[None] / np.float32(unit * f.head_width * 1.15)
    ny = (np.arange(size, dtype=np.float32) - np.float32(y))[:, None] / np.float32(unit * 1.15)
    # The backdrop is lit like the rim.
    beyond = np.float32(0.93) / np.maximum(np.hypot(nx, ny), np.float32(0.93))
    nx, ny = nx * beyond, ny * beyond
    nz = np.sqrt(1 - nx * nx - ny * ny)
    azimuth, elevation = np.deg2rad(light.azimuth), np.deg2rad(light.elevation)
    lx, ly, lz = np.sin(azimuth) * np.cos(elevation), -np.sin(elevation), np.cos(azimuth) * np.cos(elevation)
    lambert = np.maximum(np.float32(lx) * nx + np.float32(ly) * ny + np.float32(lz) * nz, 0)
    image = image * np.float32(light.gain) * (1 - light.contrast + np.float32(1.5 * light.contrast) * lambert)
    image = image / (1 + image**8) ** np.float32(0.125)  # highlights roll off instead of clipping
    if light.blur * size > 0.2:
        image = cv2.GaussianBlur(image, (0, 0), light.blur * size)
    image = image + np.float32(light.noise) * rng.standard_normal(image.shape, dtype=np.float32)
    return np.rint(np.clip(image, 0, 1) * 255).astype(np.uint8)


def _skin(sketch: Sketch, f: Identity, a: Actions, form: Shape) -> None:
    """Paint the head and its broad relief: sockets, cheeks, temples, chin."""
    sketch.paint(form.outline, f.skin)
    edge = form.outline
    sketch.shade(ribbon(np.vstack([edge, edge[:1]]), 0.10, tapered=False), 0.26, soft=0.045, clip=edge)
    sketch.glow((0, -0.52), (0.26, 0.14), -0.10)
    for side in SIDES:
        sketch.glow((side * f.eye_x, f.eye_y - 0.03), (0.14, 0.09), 0.16)
        cheek_y = 0.17 - 0.05 * a.cheek_raise
        sketch.glow((side * 0.36, cheek_y), (0.13, 0.09), -0.10 - 0.10 * a.cheek_raise)
        sketch.glow((side * 0.43, cheek_y + 0.20), (0.08, 0.12), 0.10 + 0.06 * a.jaw_drop)
    below = form.outer_bottom[6, 1]
    sketch.glow((0, below + 0.035), (0.12, 0.030), 0.26 - 0.1 * a.chin_raise)
    sketch.glow((0, below + 0.13), (0.09, 0.05), -0.09)


def _crease(sketch: Sketch, knots: list[tuple[float, float]], amount: float, width: float = 0.03) -> None:
    """Shade a tapering fold through ``knots``; none where ``amount`` is next to nothing."""
    if amount > 0.03:
        sketch.shade(ribbon(smooth(knots, 6), width), min(amount, 0.75), soft=0.010)


def _upper_folds(sketch: Sketch, f: Identity, a: Actions, form: Shape) -> None:
    """Shade the folds of forehead, nose root and eyes: those of actions, and those age leaves at rest."""
    raised = 0.5 * (a.brow_inner + a.brow_outer)
    top = form.brows[:, :, 1].min()
    for k, lift in enumerate((0.09, 0.165, 0.24)):
        half = 0.33 - 0.05 * k - 0.10 * (a.brow_inner - min(a.brow_inner, a.brow_outer))
        knots = [(half * t, top - lift + 0.016 * (1 - t * t)) for t in (-1.0, -0.5, 0.0, 0.5, 1.0)]
        _crease(sketch, knots, (0.30 - 0.06 * k) * raised + 0.06 * f.age, 0.022)
    frown, wrinkle, y = max(a.brow_lower, 0.5 * a.nose_wrinkle), a.nose_wrinkle, f.eye_y
    crow = 0.35 * a.cheek_raise + 0.08 * f.age * a.lid_tighten
    for side, s in enumerate(SIDES):
        root = [(s * 0.045, y - 0.20), (s * 0.040, y - 0.12), (s * 0.052, y - 0.05)]
        _crease(sketch, root, 0.6 * frown, 0.026)
        _crease(sketch, [(s * 0.03, y + 0.05), (s * 0.09, y + 0.085), (s * 0.10, y + 0.13)], 0.55 * wrinkle)
        _crease(sketch, [(s * 0.02, y + 0.10), (s * 0.07, y + 0.13), (s * 0.09, y + 0.17)], 0.45 * wrinkle)
        ex, ey = form.upper_lids[side, 0]
        for rise in (-0.03, 0.0, 0.03):
            _crease(sketch, [(ex + s * 0.03, ey + 0.5 * rise), (ex + s * 0.10, ey + 1.6 * rise)], crow, 0.016)
        bag = 0.10 + 0.12 * f.age + 0.25 * a.cheek_raise + 0.12 * a.lid_tighten
        sketch.shade(ribbon(shifted(form.lower_lids[side, 2:11], 0, 0.045), 0.03), bag, soft=0.012)


def _lower_folds(sketch: Sketch, f: Identity, a: Actions, form: Shape) -> None:
    """Shade the folds from nose to mouth and at the mouth's corners."""
    for side, s in enumerate(SIDES):
        (x, y), (wx, wy) = form.outer_top[-side], form.base[-side]
        smile = max(a.corner_pull, a.corner_one * (side == f.dominant_side))
        fold = 0.04 + 0.12 * f.age + 0.40 * smile + 0.42 * max(a.nose_wrinkle, a.upper_lip_raise)
        end_x, end_y = x + s * (0.055 + 0.02 * smile), y - 0.03
        middle = (wx + end_x) / 2 + s * (0.042 + 0.03 * smile), (wy + end_y) / 2 - 0.028
        _crease(sketch, [(wx + s * 0.045, wy - 0.06), middle, (end_x, end_y)], fold, 0.032)
        dimple = 0.45 * smile + 0.2 * a.lip_stretch
        _crease(sketch, [(x + s * 0.022, y - 0.035), (x + s * 0.035, y), (x + s * 0.02, y + 0.04)], dimple)
        sunk = 0.5 * a.corner_depress + 0.08 * f.age
        _crease(sketch, [(x + s * 0.01, y + 0.01), (x + s * 0.045, y + 0.07)], sunk)


# Outline of a nostril wing, x in half-widths of the nose.
_WING = np.array([(0.80, -0.075), (1.02, -0.045), (1.04, 0.0), (0.78, 0.012)])


def _nose(sketch: Sketch, f: Identity, form: Shape) -> None:
    """Shade the nose: flanks, ridge, tip, wings and nostrils."""
    (_, tip_y), half, base_y = form.bridge[-1], form.base[-1, 0], form.base[2, 1]
    for side, depth in zip(SIDES, (0.13, 0.20), strict=True):
        sketch.glow((side * 0.075, f.eye_y + 0.03), (0.03, 0.09), depth + 0.04)
        sketch.glow((side * (0.05 + 0.25 * half), tip_y - 0.05), (0.03, 0.08), 0.8 * depth)
        wing = _WING * (side * half * 1.055, 1)
        sketch.shade(ribbon(smooth(shifted(wing, 0, base_y - 0.02), 6), 0.022), 0.42, soft=0.007)
        sketch.shade(ellipse((side * 0.46 * half, base_y - 0.012), (0.30 * half, 0.020)), 0.72, soft=0.007)
    sketch.glow((0, (f.eye_y + tip_y) / 2), (0.028, 0.10), -0.13)
    sketch.glow((0, tip_y + 0.005), (0.040, 0.034), -0.20)
    sketch.shade(ribbon(smooth(shifted(form.base, 0, 0.004), 5), 0.020), 0.30, soft=0.010)
    sketch.glow((0, base_y + 0.035), (0.10, 0.025), 0.18)


# How far the teeth reach down along the 13 points of the inner lip: the corners show none.
_TEETH = np.stack([np.zeros(13), 1 - np.abs(np.linspace(-1, 1, 13)) ** 3], axis=1)


def _mouth(sketch: Sketch, f: Identity, a: Actions, form: Shape) -> None:
    """Paint the opening with teeth and tongue, then the lips around it."""
    opening = np.vstack([form.inner_top, form.inner_bottom[::-1]])
    tone = f.skin * (1 - f.lip_contrast)
    whole = np.vstack([form.outer_top, form.outer_bottom[::-1]])
    sketch.shade(whole, 0.2, soft=0.014)
    if form.gap > 0.012:
        sketch.paint(opening, 0.07)
        tongue = ellipse(shifted(form.inner_bottom[6], 0, 0.01), (0.12, 0.28 * form.gap), 20)
        sketch.paint(tongue, 0.30 + 0.12 * f.skin, 0.8, soft=0.02, clip=opening)
        shown = min(1.0, 0.45 + a.corner_pull + a.upper_lip_raise + a.lip_stretch)
        upper = _TEETH * min(0.075, 0.85 * form.gap) * shown
        sketch.paint(np.vstack([form.inner_top, (form.inner_top + upper)[::-1]]), 0.86, 0.95, clip=opening)
        lower = _TEETH * min(0.05, 0.35 * form.gap) * a.lip_stretch
        lower = np.vstack([form.inner_bottom, (form.inner_bottom - lower)[::-1]])
        sketch.paint(lower, 0.74, 0.9, clip=opening)
    # The lips reach a little into each other at the corners, where the inner curves end early.
    corners = form.outer_top[[0]], form.outer_top[[-1]]
    sketch.paint(np.vstack([form.outer_top, form.inner_top[::-1]]), 0.90 * tone, soft=0.004)
    lower = np.vstack([corners[0], form.inner_bottom, corners[1], form.outer_bottom[::-1]])
    sketch.paint(lower, 1.04 * tone, soft=0.004)
    centre = (form.inner_bottom[6] + form.outer_bottom[6]) / 2
    sketch.glow(centre, (0.07, 0.018), -0.22 * (1 - 0.7 * a.lip_press))
    seam = np.vstack([corners[0], form.inner_top, corners[1]])
    sketch.shade(ribbon(smooth(seam, 2), 0.026 if form.gap < 0.02 else 0.016), 0.68, soft=0.004)
    for corner in corners:
        sketch.glow(corner[0], (0.022, 0.020), 0.35)


def _eye(sketch: Sketch, f: Identity, a: Actions, form: Shape, side: int) -> None:
    """Paint eyeball, iris, lashes and lid crease of one eye."""
    upper, lower = smooth(form.upper_lids[side], 2), smooth(form.lower_lids[side], 2)
    ball = np.vstack([upper, lower[::-1]])
    sketch.paint(ball, min(0.95, 0.72 + 0.22 * f.skin))
    centre = np.array([SIDES[side] * f.eye_x, f.eye_y - 0.004])
    radius = np.full(2, 0.064 + 0.25 * (f.eye_height - 0.065))
    sketch.paint(ellipse(centre, radius), 0.55 * f.iris, clip=ball)
    sketch.paint(ellipse(shifted(centre, 0, 0.006), 0.80 * radius), f.iris, soft=0.008, clip=ball)
    sketch.paint(ellipse(centre, 0.42 * radius), 0.03, clip=ball)
    sketch.paint(ellipse(shifted(centre, -0.022, -0.024), (0.016, 0.016), 12), 0.97, 0.9, clip=ball)
    sketch.shade(ribbon(upper, 0.05, tapered=False), 0.45, soft=0.012, clip=ball)
    lash = np.interp(np.linspace(0, 1, len(upper)), [0, 0.25, 0.7, 1], [0.030, 0.036, 0.026, 0.010])
    sketch.shade(ribbon(shifted(upper, 0, -0.008), lash), 0.86, soft=0.004)
    sketch.shade(ribbon(shifted(lower, 0, 0.005), 0.016), 0.42, soft=0.004)
    crease = shifted(upper[2:-2], 0, -0.030 - 0.02 * a.lid_droop)
    sketch.shade(ribbon(crease, 0.018), 0.40 * (1 - 0.6 * a.brow_lower), soft=0.006)


def _brow(sketch: Sketch, f: Identity, form: Shape, side: int) -> None:
    """Paint one brow, thickest a third from its inner end."""
    line = smooth(form.brows[side], 3)
    taper = np.interp(np.linspace(0, 1, len(line)), [0, 0.35, 0.75, 1], [0.18, 0.75, 1.0, 0.72])
    tone = min(0.75 * f.hair_tone + 0.04, 0.62 * f.skin)
    sketch.paint(ribbon(line, f.brow_thickness * taper), tone, 0.90, soft=0.008)
