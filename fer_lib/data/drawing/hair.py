"""What surrounds a parametric face: hair, beard, glasses, ears, neck and clothes."""

from __future__ import annotations

import numpy as np

from fer_lib.data.drawing.geometry import SIDES, Identity, Shape, smooth
from fer_lib.data.drawing.sketch import Sketch, ellipse, mirrored, ribbon, shifted

_MIRROR = np.array([-1.0, 1.0])

# The hairline over the right half of the forehead, from the middle: x in head widths, y in the face frame.
_HAIRLINES = {
    "short": [(0, -0.66), (0.45, -0.67), (0.78, -0.60), (0.89, -0.40), (0.97, -0.12)],
    "receding": [(0, -0.77), (0.30, -0.80), (0.60, -0.83), (0.86, -0.56), (0.98, -0.10)],
    "parted": [(0, -0.64), (0.40, -0.69), (0.78, -0.60), (0.90, -0.38), (0.98, -0.10)],
    "fringe": [(0, -0.53), (0.40, -0.52), (0.78, -0.46), (0.92, -0.20), (1.02, 0.25)],
    "bob": [(0, -0.80), (0.20, -0.76), (0.55, -0.63), (0.82, -0.40), (0.93, -0.05), (0.97, 0.45)],
    "long": [(0, -0.84), (0.22, -0.80), (0.58, -0.67), (0.83, -0.42), (0.92, -0.05), (0.95, 0.50)],
    "tied": [(0, -0.74), (0.45, -0.72), (0.80, -0.60), (0.92, -0.36), (0.99, -0.06)],
    "curly": [(0, -0.62), (0.42, -0.62), (0.76, -0.54), (0.91, -0.34), (1.00, -0.12)],
    "buzz": [(0, -0.70), (0.48, -0.71), (0.80, -0.62), (0.90, -0.38), (0.97, -0.15)],
    "scarf": [(0, -0.66), (0.45, -0.62), (0.84, -0.42), (0.96, -0.05), (0.93, 0.40), (0.55, 0.86), (0, 1.02)],
}


def behind(sketch: Sketch, f: Identity) -> None:
    """Paint the backdrop's fall-off, hair behind the head, neck, clothes and ears."""
    sketch.glow((0, -0.2), (0.9, 0.9), -0.18)
    w = f.head_width
    if f.hair in ("long", "bob", "fringe"):
        end = 1.3 if f.hair == "long" else 0.62
        knots = [(0, -1.12), (0.75 * w, -1.0), (1.16 * w, -0.55), (1.24 * w, 0.0), (1.22 * w, 0.45)]
        side = mirrored(smooth([*knots, (1.12 * w, end), (0.4 * w, end)]))
        sketch.paint(side, 0.8 * f.hair_tone, soft=0.01)
    neck = 0.62 * f.jaw_width + 0.12
    column = [(neck, 0.2), (neck * 0.96, 0.75), (neck * 1.02, 0.95), (0.62, 1.12), (1.3, 1.3)]
    sketch.paint(mirrored(smooth(column)), 0.80 * f.skin)
    sketch.glow((0, f.chin_y + 0.05), (0.30, 0.10), 0.42)
    collar = smooth([(0.0, 1.22), (neck * 1.05, 0.99), (0.75, 1.04), (1.4, 1.3)])
    sketch.paint(mirrored(collar), f.clothes)
    if f.hair != "scarf":
        for side in SIDES:
            sketch.paint(ellipse((side * w * 1.01, 0.02), (0.075, 0.165)), 0.93 * f.skin)
            sketch.shade(ellipse((side * w * 1.03, 0.02), (0.032, 0.095)), 0.30, soft=0.018)


def beard(sketch: Sketch, f: Identity, form: Shape) -> None:
    """Paint stubble, a moustache or a full beard; the lips come over it."""
    if f.beard == "none":
        return
    tone = min(0.8 * f.hair_tone + 0.03, 0.55 * f.skin)
    jaw, top = form.jaw, form.outer_top
    if f.beard in ("stubble", "full"):
        inner = np.array([(0.80, 0.25), (0.72, 0.42), (0.50, 0.44), (0.30, 0.36), (0, 0.30)])
        inner[:, 0] *= f.head_width
        inner[-2:, 1] = form.base[2, 1] + np.array([0.075, 0.05])
        line = smooth(inner, 5)
        area = np.vstack([jaw[3:14], line, line[::-1] * _MIRROR])
        alpha = 0.28 if f.beard == "stubble" else 0.86
        sketch.paint(area, tone, alpha, soft=0.03, clip=form.outline)
    else:
        under = np.stack([top[:, 0] * 1.08, np.maximum(top[:, 1] - 0.005, form.base[2, 1] + 0.03)], 1)
        roof = np.array([(-0.75, 0.10), (-0.3, 0.045), (0, 0.05), (0.3, 0.045), (0.75, 0.10)])
        roof = smooth(shifted(roof * (f.nose_width * 1.5, 1), 0, form.base[2, 1]), 4)
        sketch.paint(np.vstack([roof, under[::-1]]), tone, 0.88, soft=0.010)
        if f.beard == "goatee":
            low, chin = form.outer_bottom[6, 1], jaw[8, 1]
            tuft = ellipse((0, (low + chin) / 2 + 0.04), (0.15, 0.4 * (chin - low)))
            sketch.paint(tuft, tone, 0.75, soft=0.03, clip=form.outline)


def hair(sketch: Sketch, f: Identity, outline: np.ndarray) -> None:
    """Paint the hair (or scarf) over the head, with strands and a sheen."""
    if f.hair == "bald":
        sketch.glow((-0.12, -0.72), (0.12, 0.07), -0.16)
        return
    w = f.head_width
    volume = {"curly": 1.17, "buzz": 1.01, "short": 1.05, "receding": 1.03, "tied": 1.03}.get(f.hair, 1.12)
    line = smooth(np.array(_HAIRLINES[f.hair]) * (w, 1), 6)
    end = line[-1, 1] if f.hair != "scarf" else 1.3
    outer = [(0, -0.99 * volume), (0.45 * w * volume, -0.94 * volume), (0.85 * w * volume, -0.72 * volume)]
    outer += [(w * volume, -0.38), (w * (volume + 0.02), max(end * 0.6, -0.2))]
    outer = smooth([*outer, (w * (volume + 0.02), end + 0.02)], 6)
    left = line * _MIRROR
    if f.hair == "parted":
        left = left + np.stack([np.zeros(len(left)), -0.09 * np.exp(-((left[:, 0] + 0.26) ** 2) / 0.02)], 1)
    inner = np.vstack([line[::-1], left[1:]])
    rim = np.vstack([outer[::-1], outer[1:] * _MIRROR])
    area = np.vstack([rim, inner[::-1]])
    soft = {"buzz": 0.035, "curly": 0.02, "scarf": 0.004}.get(f.hair, 0.010)
    sketch.shade(ribbon(shifted(inner, 0, 0.02), 0.05, tapered=False), 0.25, soft=0.02, clip=outline)
    sketch.paint(area, f.hair_tone, 0.72 if f.hair == "buzz" else 1.0, soft=soft)
    rng = np.random.default_rng(f.strands)
    if f.hair == "curly":
        spots = rim[:: len(rim) // 22]
        for spot in spots * rng.uniform(0.86, 1.0, (len(spots), 1)):
            tone = f.hair_tone * rng.uniform(0.7, 1.4) + rng.uniform(0, 0.04)
            curl = ellipse(spot, (rng.uniform(0.07, 0.11), rng.uniform(0.06, 0.10)), 16)
            sketch.paint(curl, tone, 0.8, soft=0.012)
    elif f.hair not in ("buzz", "scarf"):
        for k, at in enumerate(np.sort(rng.uniform(0.04, 0.96, 18))):  # locks from hairline to rim
            root = inner[int(at * (len(inner) - 1))]
            tip = rim[int(np.clip(at + rng.uniform(-0.05, 0.05), 0, 1) * (len(rim) - 1))]
            bend = (root + tip) / 2 + rng.uniform(-0.04, 0.04, 2)
            lock = ribbon(smooth([root, bend, tip], 4), 0.032)
            tone = 0.62 * f.hair_tone if k % 2 else 1.10 * f.hair_tone + 0.06
            sketch.paint(lock, tone, rng.uniform(0.2, 0.5), soft=0.010, clip=area)
    sketch.glow((-0.25, -0.84), (0.22, 0.06), -0.30)


def glasses(sketch: Sketch, f: Identity) -> None:
    """Paint a frame, round or square."""
    if f.glasses == "none":
        return
    power = 2.0 if f.glasses == "round" else 4.5
    angle = np.linspace(0, 2 * np.pi, 41)
    unit = np.stack([np.cos(angle), np.sin(angle)], 1)
    unit = np.sign(unit) * np.abs(unit) ** (2 / power)
    half = min(0.215, f.eye_x - 0.04)
    for side in SIDES:
        rim = shifted(unit * (half, 0.165), side * (f.eye_x + 0.005), f.eye_y + 0.025)
        sketch.shade(rim, -0.05)
        sketch.paint(ribbon(rim, 0.026, tapered=False), 0.10, 0.92)
        arm = np.array([(side * (f.eye_x + half), f.eye_y), (side * f.head_width * 1.02, f.eye_y - 0.01)])
        sketch.paint(ribbon(arm, 0.024, tapered=False), 0.10, 0.92)
    inner = f.eye_x - half
    nose = smooth([(-inner, f.eye_y), (0, f.eye_y - 0.025), (inner, f.eye_y)], 4)
    sketch.paint(ribbon(nose, 0.024, tapered=False), 0.10, 0.92)
