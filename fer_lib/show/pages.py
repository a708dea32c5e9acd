"""What every chapter shows the same way: the banner at its top and its tables."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from numbers import Integral
from typing import TYPE_CHECKING, Any

from fer_lib.data.corpus import Card

if TYPE_CHECKING:
    import pandas as pd
    from IPython.display import HTML


CALLED = {
    "Our method": "LKRNet (full)",
    "OURS": "Multimodal (authors’ network)",
    "said by a constant": "uniform share",
}
"""What is stored under a name that readers would misread, and what they read: "ours" is this project."""


def called(name: str) -> str:
    """Return what a reader calls a network or a column of the evidence."""
    for stored, shown in CALLED.items():
        name = name.replace(stored, shown)
    return name


DISTURBED = {
    "original": "undisturbed",
    "occlusion_mouth": "mouth covered",
    "occlusion_eye": "eyes covered",
    "occlusion_mouth_and_eye": "mouth and eyes covered",
    "color_distortion": "colours distorted",
    "high_brightness": "brighter",
    "low_brightness": "darker",
}
"""What is done to test images, and what a reader calls it."""


def disturbance(name: str) -> str:
    """Return what a reader calls a disturbance of test images, such as ``occlusion_mouth``."""
    return DISTURBED.get(name, name.replace("_", " "))


def banner(
    card: Card, budget: str, changes: list[str], against: str = "the paper", stand_in: bool = False
) -> HTML:
    """Say at the top of a page on which corpus and budget it was made, and what that means for the claims.

    ``changes`` are what the budget or the reader changed ``against`` the paper, one short phrase each; a
    notebook that is no paper's says something else than the paper. ``stand_in``: whether the paper does not
    use the corpus, which stands in for those that it uses.
    """
    from IPython.display import HTML

    paper = against == "the paper"
    lines = [f"Made on <strong>{escape(card.title)}</strong> at budget <strong>{escape(budget)}</strong>."]
    if card.synthetic:
        lines += [
            f"The faces are drawn: nothing on this page is evidence about {'the' if paper else 'a'} paper, "
            "and no number is compared with a claim."
        ]
    elif stand_in:
        lines += [
            "The paper does not use this corpus. It stands in for those that it uses, to show the chapter on "
            "photographs: no claim is judged by this run."
        ]
    elif budget == "probe":
        lines += [
            "A part of the chapter on a part of the data, to compare readings of the paper with one another: "
            "its numbers are not set beside any claim."
        ]
    elif budget != "paper" and paper:
        lines += [
            "Training was not the paper's: numbers stand beside its claims, and give a verdict only at "
            "budget full, for networks whose learning curves show that they have learnt what they can."
        ]
    if changes:
        lines += [f"Changed from {escape(against)}: {escape('; '.join(changes))}."]
    kind = "warning" if card.synthetic or budget != "paper" else "note"
    title = "Synthetic data" if card.synthetic else f"Budget {budget}"
    return HTML(admonition(f"{kind} budget-banner", title, lines))


def admonition(kind: str, title: str, lines: Iterable[str]) -> str:
    """Return paragraphs of HTML in a box under its title."""
    body = "".join(f"<p>{line}</p>" for line in lines)
    return f'<div class="admonition {kind}"><p class="admonition-title">{escape(title)}</p>{body}</div>'


# --- the one table ----------------------------------------------------------------------------------------


class Html(str):
    """Text that is HTML already and must not be escaped."""


class Long(Html):
    """A cell of sentences, which needs a wide column."""


class Short(Html):
    """A cell that stays on one line."""


def cell(value: Any) -> str:
    """Return a cell's content: HTML as it is, an absent value as a dash, truth in words, all else escaped."""
    if value is None or value != value or str(value) in ("", "<NA>"):
        return '<span class="absent">–</span>'
    if isinstance(value, Html):
        return value
    if isinstance(value, str):
        return escape(value)
    if str(value) in ("True", "False"):  # numpy's as well as Python's
        return "yes" if value else "no"
    return f"{value:,}" if isinstance(value, Integral) else f"{value:,.6g}"


def grid(
    rows: Sequence[Mapping[str, Any]],
    right: Iterable[str] | None = None,
    label: str = "Table",
    caption: str = "",
) -> HTML:
    """Return rows as a table: its first column names a row, and on a narrow screen each row is a card.

    Rows have the same keys, the column heads, and there is at least one. ``right`` are the columns of
    numbers, all but the first unless given. ``label`` is what a screen reader calls the table's box, which
    scrolls where the table is too wide for it. ``caption`` is HTML above it: what holds for all of it.
    """
    from IPython.display import HTML

    first, *others = rows[0]
    numbers = set(others if right is None else right)

    def one(name: str, value: Any, tag: str) -> str:
        kind = "num" if name in numbers else {Long: "long", Short: "short"}.get(type(value), "")
        css = f' class="{kind}"' if kind else ""
        role = 'scope="row" role="rowheader"' if tag == "th" else 'role="cell"'
        return f'<{tag} {role}{css} data-head="{escape(name)}">{cell(value)}</{tag}>'

    # A name of the evidence breaks at its joints; an interval does not.
    heads = "".join(
        f'<th scope="col" role="columnheader"{" class=num" if name in numbers else ""}>'
        f"{escape(name).replace(' [95 %]', ' [95&nbsp;%]').replace('_', '_<wbr>')}</th>"
        for name in (first, *others)
    )
    body = "\n".join(
        f'<tr role="row">{"".join(one(n, v, "th" if n == first else "td") for n, v in row.items())}</tr>'
        for row in rows
    )
    above = f'<p class="fer-caption">{caption}</p>' if caption else ""
    wide = " most" * (len(rows[0]) > 6)
    return HTML(
        f'<div class="table-scroll" role="region" tabindex="0" aria-label="{escape(label)}">'
        f'{above}<table class="fer-table{wide}" role="table"><thead role="rowgroup">'
        f'<tr role="row">{heads}</tr></thead>\n<tbody role="rowgroup">\n{body}\n</tbody></table></div>'
    )


def table(frame: pd.DataFrame, formats: dict[str, str] | None = None, fold: str = "") -> HTML:
    """Return a frame as a table (:func:`grid`); numbers stand to the right.

    ``formats`` are specifications by column, such as ``{"accuracy": ".2f"}``. Under ``fold``, where given,
    the table is folded up until a reader opens it.
    """
    import pandas as pd
    from IPython.display import HTML

    def shown(name: str, value: object) -> object:
        spec = formats.get(name)
        if type(value) is str:
            return called(value)
        return format(value, spec) if spec and not pd.isna(value) else value

    frame = frame.rename(columns=lambda name: called(str(name)))
    formats = {called(str(name)): spec for name, spec in (formats or {}).items()}
    right = [n for n in frame if pd.api.types.is_numeric_dtype(frame[n]) and frame[n].dtype != bool]
    rows = [{name: shown(name, row[name]) for name in row} for row in frame.to_dict("records")]
    if not rows:
        return HTML("<p>None.</p>")
    html = grid(rows, right).data
    return HTML(folded(escape(fold), html) if fold else html)


def folded(head: str, body: str) -> str:
    """Return HTML that is folded up under a line of HTML until a reader opens it."""
    return f'<details class="fer-fold"><summary>{head}</summary>{body}</details>'


def percent(value: float, low: float | None = None, high: float | None = None) -> str:
    """Return a fraction as percent, with its interval if given: ``57.3 [55.7, 58.9]``."""
    text = f"{100 * value:.1f}"
    return text if low is None or high is None else f"{text} [{100 * low:.1f}, {100 * high:.1f}]"
