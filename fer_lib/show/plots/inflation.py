"""The waterfall of the inflation experiment: the honest figure, and what each flattering habit adds to it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from fer_lib.show.plots import style

if TYPE_CHECKING:
    from matplotlib.figure import Figure

COLUMNS = ("step", "accuracy", "low", "high", "gain", "gain_low", "gain_high", "n")
RAISED, LOWERED = "#c44a00", "#0072b2"  # colours of a bar


@style.styled
def waterfall(table: pd.DataFrame) -> Figure:
    """Draw the table of :func:`fer_lib.judge.inflation.waterfall`, from the honest figure to the last.

    Orange bars raise the figure, blue ones lower it; a thin line is the interval of the first bar's end,
    then of each gain, where it has one.
    """
    style.check_columns(table, COLUMNS, "inflation.waterfall")
    drawn, axes = style.subplots(0.9 + 0.62 * len(table))
    bars = _bars(table)
    for row, bar in enumerate(bars.itertuples()):
        axes.barh(row, bar.end - bar.start, left=bar.start, height=0.55, color=bar.colour)
        axes.plot([bar.low, bar.high], [row + 0.38] * 2, color=style.INK, lw=1.6)
        if row:
            axes.plot([bar.start] * 2, [row - 0.9, row + 0.3], color=style.MUTED, lw=0.8, ls=":")
        axes.annotate(bar.text, (1.01, row), xycoords=("axes fraction", "data"), va="center", fontsize=10)
    shown = bars[["end", "low", "high"]]
    # Beyond 100 there is no accuracy, but the interval of a gain may end there.
    left, top = max(0, shown.min().min() - 8), shown.max().max()
    axes.set_xlim(left, max(min(100, top + 2), top + 0.4))
    axes.set_xticks([tick for tick in axes.get_xticks() if left <= tick <= 100])
    axes.set(xlabel="Accuracy (%), with 95 % intervals", ylim=(len(table) - 0.4, -0.6))
    axes.set_yticks(range(len(table)), list(table["step"]))
    axes.grid(axis="x")
    axes.tick_params(axis="y", length=0)
    return drawn


def _bars(table: pd.DataFrame) -> pd.DataFrame:
    """Return start, end, interval (per cent), colour and text of each bar."""
    rows = []
    for step in (table.set_index("step")[list(COLUMNS[1:-1])] * 100).itertuples():
        if np.isnan(step.gain):
            rows.append((0.0, step.accuracy, step.low, step.high, style.MUTED, f"{step.accuracy:.1f}"))
            continue
        start = step.accuracy - step.gain
        text = f"{step.gain:+.1f} → {step.accuracy:.1f}".replace("-", "−")
        colour = RAISED if step.gain >= 0 else LOWERED
        rows.append((start, step.accuracy, start + step.gain_low, start + step.gain_high, colour, text))
    return pd.DataFrame(rows, columns=["start", "end", "low", "high", "colour", "text"])
