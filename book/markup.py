"""HTML for the pages: the one table, badges, lists of facts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from html import escape
from typing import Any

from IPython.display import HTML

NOT_RUN = HTML(
    '<p class="not-run">Not run yet. <a href="runs.html">The runs under way are listed here.</a></p>'
)


class Html(str):
    """Text that is HTML already and must not be escaped."""


class Long(Html):
    """A cell of sentences, which needs a wide column."""


class Short(Html):
    """A cell that stays on one line."""


def cell(value: Any) -> str:
    """Return one table cell's content: HTML as it is, absent values as a dash, all else escaped."""
    if value is None or value != value or str(value) in ("", "<NA>"):
        return '<span class="absent">–</span>'
    if isinstance(value, Html):
        return value
    if isinstance(value, str):
        return escape(value)
    if str(value) in ("True", "False"):  # numpy's as well as Python's
        return "yes" if value else "no"
    return f"{value:,.10g}"


def table(
    rows: Iterable[Mapping[str, Any]], right: Iterable[str] | None = None, label: str = "Table"
) -> HTML:
    """Return rows as a table that scrolls inside its own box on a narrow screen.

    Parameters
    ----------
    rows
        One mapping per row, all with the same keys: the column heads.
    right
        Columns of numbers, set to the right; all but the first unless given.
    label
        What a screen reader calls the scrolling box.
    """
    rows = list(rows)
    if not rows:
        return NOT_RUN
    numbers = set(list(rows[0])[1:] if right is None else right)

    def css(name: str, value: Any) -> str:
        kind = "num" if name in numbers else {Long: "long", Short: "short"}.get(type(value), "")
        return f' class="{kind}"' if kind else ""

    heads = {name: escape(name).replace(" [95 %]", "&nbsp;[95&nbsp;%]") for name in rows[0]}
    head = "".join(f'<th scope="col"{css(name, None)}>{text}</th>' for name, text in heads.items())
    lines = ["".join(f"<td{css(name, v)}>{cell(v)}</td>" for name, v in row.items()) for row in rows]
    body = "\n".join(f"<tr>{line}</tr>" for line in lines)
    return HTML(
        f'<div class="table-scroll" role="region" tabindex="0" aria-label="{escape(label)}">'
        f'<table class="fer-table"><thead><tr>{head}</tr></thead>\n<tbody>\n{body}\n</tbody></table></div>'
    )


def facts(pairs: Mapping[str, Any]) -> HTML:
    """Return a few facts as a list of terms and values."""
    rows = "".join(f"<dt>{escape(name)}</dt><dd>{cell(value)}</dd>" for name, value in pairs.items())
    return HTML(f'<dl class="simple fer-facts">{rows}</dl>')


def fold(head: str, body: str) -> str:
    """Return HTML that is folded up under a line of HTML until a reader opens it."""
    return f'<details class="fer-fold"><summary>{head}</summary>{body}</details>'


def with_note(first: Any, note: Any = "", kind: type[Html] = Html) -> Html:
    """Return a cell with a smaller line below."""
    small = f'<span class="small">{cell(note)}</span>' if note else ""
    return kind(f"{cell(first)}{small}")


def badge(verdict: str, count: int | None = None) -> Html:
    """Return a verdict as a badge, with a count where one is given."""
    text = verdict if count is None else f"{count:,} {verdict}"
    return Html(f'<span class="verdict verdict-{verdict.replace(" ", "-")}">{escape(text)}</span>')


def badges(verdicts: Iterable[str]) -> Html:
    """Return one counted badge for each verdict that occurs, in the order of the legend."""
    from fer_lib.judge.verdicts import VERDICTS

    verdicts = list(verdicts)
    return Html(" ".join(badge(v, verdicts.count(v)) for v in VERDICTS if v in verdicts))


def number(value: float, digits: int = 2, sign: str = "") -> Html | None:
    """Return a number with so many digits; None where there is none."""
    return None if value is None or value != value else Html(f"{value:{sign}.{digits}f}")


def interval(value: float, low: float, high: float, digits: int = 2, sign: str = "") -> Html | None:
    """Return a number with its 95 % interval, alone where it has none; None where there is no number."""
    if value != value or low != low:
        return number(value, digits, sign)
    bounds = f"[{low:{sign}.{digits}f}, {high:{sign}.{digits}f}]"
    return Html(f'{value:{sign}.{digits}f} <span class="interval">{bounds}</span>')
