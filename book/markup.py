"""HTML for the pages: badges, lists of facts, numbers with their intervals."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from html import escape
from typing import Any

from IPython.display import HTML

from fer_lib.show.beside import badge, badges, interval, number, with_note
from fer_lib.show.pages import Html, Long, Short, cell, folded, grid

__all__ = ["NOT_RUN", "Html", "Long", "Short", "badge", "badges", "cell", "facts", "folded", "interval"]
__all__ += ["number", "table", "with_note"]

NOT_RUN = HTML('<p class="not-run">Not run yet. <a href="runs.html">See which runs are planned.</a></p>')


def table(
    rows: Iterable[Mapping[str, Any]],
    right: Iterable[str] | None = None,
    label: str = "Table",
    caption: str = "",
) -> HTML:
    """Return rows as a table (see :func:`fer_lib.show.pages.grid`); without any, say that nothing was run."""
    rows = list(rows)
    return grid(rows, right, label, caption) if rows else NOT_RUN


def facts(pairs: Mapping[str, Any]) -> HTML:
    """Return a few facts as a list of terms and values."""
    rows = "".join(f"<dt>{escape(name)}</dt><dd>{cell(value)}</dd>" for name, value in pairs.items())
    return HTML(f'<dl class="simple fer-facts">{rows}</dl>')
