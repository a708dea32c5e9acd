"""Claimed against ours, a line each: inline SVG that is as wide as its column, at any width."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

ROW, TOP, AXIS = 44, 4, 26  # pixels: a line, above the first, below the last

LEGEND = {
    "claimed": "◇ claimed",
    "ours": "● ours",
    "hollow": "○ ours, not converged",
    "people": "▲ most of ten people",
    "majority": "❘ always the commonest class",
}


def dumbbells(rows: Sequence[Mapping[str, Any]], title: str) -> str:
    """Return a chart of printed numbers and what came out, in per cent, under its legend.

    A row has ``label``, ``href``, ``colour`` and ``claimed``; ``ours``, ``low``, ``high`` and ``certified``
    where there is a run; where known, ``majority``, what always naming the commonest class gives, and
    ``people``, how often the most votes of ten people are for the label. ``title`` is for screen readers.
    """
    known = ("claimed", "ours", "low", "high", "majority", "people")
    values = [row[key] for row in rows for key in known if row.get(key) is not None]
    least = 0 if min(values) < 50 else 50
    high = TOP + ROW * len(rows)

    def place(value: float) -> str:
        return f"{1.5 + 97 * (value - least) / (100 - least):.2f}%"

    ticks = "".join(
        f'<line class="tick" x1="{place(tick)}" x2="{place(tick)}" y1="{TOP}" y2="{high}"/>'
        f'<text class="tick" x="{place(tick)}" y="{high + 16}">{tick:g}</text>'
        for tick in range(least, 101, 10 if least else 20)
    )
    lines = "".join(_line(row, TOP + ROW * k, place) for k, row in enumerate(rows))
    keys = [text for name, text in LEGEND.items() if any(_has(row, name) for row in rows)]
    return (
        f'<p class="fer-legend">{"".join(f"<span>{key}</span>" for key in keys)}</p>'
        f'<svg class="fer-dumbbells" width="100%" height="{high + AXIS}" role="group" '
        f'aria-label="{escape(title)}" xmlns="http://www.w3.org/2000/svg">{ticks}{lines}</svg>'
    )


def _has(row: Mapping[str, Any], name: str) -> bool:
    """Whether a line of the chart has a mark."""
    if name in ("ours", "hollow"):
        return row.get("ours") is not None and bool(row.get("certified")) == (name == "ours")
    return row.get(name) is not None


SHAPES = {"claimed": "M0,-6 6,0 0,6 -6,0Z", "people": "M-5,6 5,6 0,-4Z"}  # a diamond, a triangle


def _mark(name: str, x: str, y: float, colour: str) -> str:
    """Return one mark: a diamond, a triangle, a stroke, a disc or a ring."""
    if name in SHAPES:
        return f'<svg x="{x}" y="{y}" overflow="visible"><path class="{name}" d="{SHAPES[name]}"/></svg>'
    if name == "majority":
        return f'<line class="majority" x1="{x}" x2="{x}" y1="{y - 8}" y2="{y + 8}"/>'
    fill = colour if name == "ours" else "none"
    return f'<circle class="ours" cx="{x}" cy="{y}" r="5.5" fill="{fill}" stroke="{colour}"/>'


def _line(row: Mapping[str, Any], top: float, place: Any) -> str:
    """Return one line of the chart: its name, its figures, its marks; the figures again on hovering."""
    y, ours, label = top + 30, row.get("ours"), escape(row["label"])
    said = f"{row['claimed']:.4g} → {ours:.4g}" if ours is not None else f"{row['claimed']:.4g}, not run"
    more, parts = "", [f'<line class="track" x1="0" x2="100%" y1="{y}" y2="{y}"/>']
    bars = {"gap": (row["claimed"], ours), "interval": (row.get("low"), row.get("high"))}
    for name, (low, high) in bars.items():
        if high is not None:
            ends = f'x1="{place(low)}" x2="{place(high)}" y1="{y}" y2="{y}"'
            parts.append(f'<line class="{name}" {ends} stroke="{row["colour"]}"/>')
    if row.get("low") is not None:
        more += f" [{row['low']:.4g}, {row['high']:.4g}]"
    for name, text in (("people", "most of ten people"), ("majority", "commonest class")):
        more += f"; {text} {row[name]:.3g}" if row.get(name) is not None else ""
    for name in ("majority", "people", "claimed", "ours", "hollow"):
        if _has(row, name):
            value = row["ours" if name == "hollow" else name]
            parts.append(_mark(name, place(value), y, row["colour"]))
    return (
        f"<g><title>{label}, claimed → ours: {said}{more}</title>"
        f'<rect class="hover" x="0" y="{top}" width="100%" height="{ROW}"/>{"".join(parts)}'
        f'<a href="{escape(row["href"])}"><text x="0" y="{top + 14}" class="label">{label}</text></a>'
        f'<text x="100%" y="{top + 14}" class="figures">{said}</text></g>'
    )
