"""What the explore panel shows, as HTML with inline SVG: sharp at any size, and drawn in milliseconds.

Points and circles lie over the pixels as vectors, in the pixels' own coordinates. Colours of text are those
of JupyterLab's theme, light or dark.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from html import escape

import numpy as np

from fer_lib.show.plots.style import EXPRESSION_STYLE, MARK

WORD_COLOURS = ("#ff5a1f", "#2fb5e9", "#b6e61d")  # of visual words, on grey pixels
CSS = """<style>
.fer-explore{color:var(--jp-ui-font-color1,#222);font:13px/1.4 var(--jp-ui-font-family,sans-serif)}
.fer-explore .tiles{display:flex;flex-wrap:wrap;gap:12px 14px}
.fer-explore figure{margin:0;width:158px}
.fer-explore figure.wide{width:330px}
.fer-explore figure svg{width:100%;display:block;background:#808080}
.fer-explore figcaption{margin-top:4px;line-height:1.3}
.fer-explore figcaption small{display:block;font-size:12px;opacity:.85}
.fer-explore table.bars{border-collapse:collapse;margin:0}
.fer-explore table.bars td,.fer-explore table.bars th{padding:1px 6px 1px 0;border:0;background:none;
  text-align:left;font-weight:normal;color:inherit;white-space:nowrap}
.fer-explore table.bars td:last-child{text-align:right}
.fer-explore .track{width:170px;height:12px;background:rgba(128,128,128,.25)}
.fer-explore .track div{height:12px}
.fer-explore .said{max-width:70em;margin:2px 0}
.fer-explore .fault{border-left:4px solid #c44a00;padding:4px 10px;background:rgba(196,74,0,.12)}
</style>"""


def page(*parts: str) -> str:
    """Return parts as one block in the panel's style."""
    return f'{CSS}<div class="fer-explore">{"".join(parts)}</div>'


def said(text: str, fault: bool = False) -> str:
    """Return a sentence; a fault stands out."""
    return f'<p class="said{" fault" if fault else ""}">{escape(text)}</p>'


def tiles(*figures: str) -> str:
    """Return figures side by side, in as many rows as the window needs."""
    return f'<div class="tiles">{"".join(figures)}</div>'


def tile(caption: str, pixels: np.ndarray, over: str = "", note: str = "", wide: bool = False) -> str:
    """Return a figure: pixels enlarged without smoothing, with SVG over them and a caption below.

    Parameters
    ----------
    caption, note : str
        What it is, which is its alternative text too; and a smaller line.
    pixels : uint8 (H, W) or (H, W, 3) in OpenCV's order, or float (H, W) in [0, 1]
    over : str
        SVG in pixels; the upper left corner of the image is (0, 0).
    """
    import cv2

    if pixels.dtype != np.uint8:
        pixels = (pixels.clip(0, 1) * 255).round().astype(np.uint8)
    height, width = pixels.shape[:2]
    png = base64.b64encode(cv2.imencode(".png", np.ascontiguousarray(pixels))[1]).decode()
    small = f"<small>{escape(note)}</small>" if note else ""
    return (
        f'<figure{" class=wide" if wide else ""}><svg viewBox="0 0 {width} {height}" role="img" '
        f'aria-label="{escape(caption)}. {escape(note)}"><image width="{width}" height="{height}" '
        f'style="image-rendering:pixelated" href="data:image/png;base64,{png}"/>{over}</svg>'
        f"<figcaption>{escape(caption)}{small}</figcaption></figure>"
    )


def dots(points: np.ndarray, radius: float = 0.45) -> str:
    """Return points (K, 2) in pixels as dots."""
    return "".join(
        f'<circle cx="{x + 0.5:.2f}" cy="{y + 0.5:.2f}" r="{radius}" fill="{MARK}"/>' for x, y in points
    )


def box(edges: np.ndarray, size: int) -> str:
    """Return a box (left, top, width, height) as an outline, in an image of ``size`` pixels."""
    x, y, width, height = edges
    return (
        f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" fill="none" '
        f'stroke="{MARK}" stroke-width="{size / 80:.2f}"/>'
    )


def keypoints(points: np.ndarray, words: np.ndarray, named: Sequence[int]) -> str:
    """Return SIFT keypoints as circles of their size with their direction, in the colour of their word.

    Parameters
    ----------
    points : float (K, 4)
        As :class:`fer_lib.features.sift.Descriptors` holds them.
    words : int64 (K,)
        The visual word of each.
    named : sequence of int
        The words that have a colour; others are thin and white.
    """
    drawn = []
    for (x, y, size, angle), word in sorted(zip(points, words, strict=True), key=lambda k: k[1] in named):
        colour, width = "#ffffff", 0.25
        if word in named:
            colour, width = WORD_COLOURS[list(named).index(word)], 0.7
        x, y, radius, tip = x + 0.5, y + 0.5, size / 2, np.deg2rad(angle)
        hand = f"M{x:.2f} {y:.2f}l{radius * np.cos(tip):.2f} {radius * np.sin(tip):.2f}"
        drawn.append(
            f'<g fill="none" stroke="{colour}" stroke-width="{width}"><circle cx="{x:.2f}" cy="{y:.2f}" '
            f'r="{radius:.2f}"/><path d="{hand}"/></g>'
        )
    return "".join(drawn)


def heat(pixels: np.ndarray, share: np.ndarray) -> np.ndarray:
    """Return grey pixels (H, W) under a map (H, W), float in [0, 1], as uint8 (H, W, 3) for :func:`tile`."""
    import cv2

    hot = cv2.applyColorMap((share * 255).round().astype(np.uint8), cv2.COLORMAP_INFERNO)
    alpha = 0.75 * np.sqrt(share)[..., None]  # the face stays visible where there is little evidence
    return ((1 - alpha) * 255 * pixels[..., None] + alpha * hot).round().astype(np.uint8)


def bars(probabilities: np.ndarray, classes: Sequence[str], truth: str | None = None) -> str:
    """Return the probabilities (C,) of one face as a table of bars; the true class is marked."""
    rows = []
    for name, value in zip(classes, probabilities, strict=True):
        answer = "<b>{}</b>" if value == probabilities.max() else "{}"
        mark = " ✓" if name == truth else ""
        rows.append(
            f'<tr><th scope="row">{answer.format(name)}{mark}</th><td><div class="track"><div style="width:'
            f'{100 * value:.1f}%;background:{EXPRESSION_STYLE[name][0]}"></div></div></td>'
            f"<td>{answer.format(f'{100 * value:.1f} %')}</td></tr>"
        )
    return f'<table class="bars">{"".join(rows)}</table>'


def sweep(
    severities: np.ndarray,
    probabilities: np.ndarray,
    classes: Sequence[str],
    here: float,
    ends: tuple[str, str],
    title: str,
) -> str:
    """Return how the probabilities (S, C) change with a severity (S,), as lines; ``here`` is marked."""
    width, height, top = 300.0, 120.0, 8.0
    low, high = severities[0], severities[-1]
    x = 2 + (severities - low) / (high - low) * (width - 4)
    lines = []
    for name, values in zip(classes, probabilities.T, strict=True):
        y = top + (1 - values) * height
        path = " ".join(f"{a:.1f},{b:.1f}" for a, b in zip(x, y, strict=True))
        colour = EXPRESSION_STYLE[name][0]
        lines.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2.5"/>')
    mark = 2 + (here - low) / (high - low) * (width - 4)
    frame = "".join(
        f'<path d="M2 {top + share * height:.0f}H{width - 2:.0f}" stroke="currentColor" stroke-opacity=".3"/>'
        for share in (0, 0.5, 1)
    )
    text = f'fill="currentColor" font-size="12" y="{top + height + 16:.0f}"'
    return (
        f'<figure class="wide"><svg viewBox="0 0 {width:.0f} {top + height + 20:.0f}" role="img" '
        f'aria-label="{escape(title)}" style="background:none">{frame}{"".join(lines)}'
        f'<path d="M{mark:.1f} {top - 4}V{top + height + 4}" stroke="currentColor" stroke-dasharray="3 3"/>'
        f'<text x="2" {text}>{escape(ends[0])}</text>'
        f'<text x="{width - 2:.0f}" text-anchor="end" {text}>{escape(ends[1])}</text>'
        f"</svg><figcaption>{escape(title)}</figcaption></figure>"
    )


def strips(patches: Sequence[np.ndarray], columns: int = 10) -> np.ndarray:
    """Return patches of visual words (P, s, s), a row for each word behind a bar of its colour, (H, W, 3)."""
    rows = []
    for colour, found in zip(WORD_COLOURS, patches, strict=False):
        side = found.shape[1]
        rgb = [int(colour[i : i + 2], 16) for i in (5, 3, 1)]  # OpenCV's order
        row = np.full((side + 2, 8 + columns * (side + 1), 3), 128, np.uint8)
        row[:side, :6] = rgb
        for i, patch in enumerate(found[:columns]):
            start = 8 + i * (side + 1)
            row[:side, start : start + side] = patch[..., None]
        rows.append(row)
    return np.concatenate(rows)
