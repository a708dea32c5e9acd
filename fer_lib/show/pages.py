"""What every chapter shows the same way: the banner at its top and its tables."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from fer_lib.data.corpus import Card

if TYPE_CHECKING:
    import pandas as pd
    from IPython.display import HTML


def banner(
    card: Card, budget: str, changes: list[str], against: str = "the paper", stand_in: bool = False
) -> HTML:
    """Say at the top of a page what it was made on, and what that means for the claims.

    Parameters
    ----------
    card : Card
        Of the corpus; synthetic ones are never compared with a claim.
    budget : str
        ``smoke``, ``probe``, ``full`` or ``paper``.
    changes : list of str
        What the budget or the reader changed, one short phrase each.
    against : str
        What the changes are against; a notebook that is no paper's says something else than the paper.
    stand_in : bool
        Whether the paper does not use the corpus, which stands in for those that it uses.
    """
    from IPython.display import HTML

    paper = against == "the paper"
    lines = [f"Made on <strong>{escape(card.title)}</strong> at budget <strong>{escape(budget)}</strong>."]
    if card.synthetic:
        lines.append(
            f"The faces are drawn: nothing on this page is evidence about {'the' if paper else 'a'} paper, "
            "and no figure is compared with a claim."
        )
    elif stand_in:
        lines.append(
            "The paper does not use this corpus. It stands in for those that it uses, to show the chapter on "
            "photographs: no claim is judged by this run."
        )
    elif budget == "probe":
        lines.append(
            "A part of the chapter on a part of the data, to compare readings of the paper with one another: "
            "its figures are not set beside any claim."
        )
    elif budget != "paper" and paper:
        lines.append(
            "Training was not the paper's: figures stand beside its claims, and give a verdict only at "
            "budget full, for networks whose learning curves show that they have learnt what they can."
        )
    if changes:
        lines.append(f"Changed against {escape(against)}: " + escape("; ".join(changes)) + ".")
    kind = "warning" if card.synthetic or budget != "paper" else "note"
    title = "Synthetic data" if card.synthetic else f"Budget {budget}"
    body = "".join(f"<p>{line}</p>" for line in lines)
    head = f'<p class="admonition-title">{escape(title)}</p>'
    return HTML(f'<div class="admonition {kind} budget-banner">{head}{body}</div>')


def table(frame: pd.DataFrame, formats: dict[str, str] | None = None, fold: str = "") -> HTML:
    """Return a frame as a table that scrolls inside its own box on a narrow screen.

    An absent value is shown as a dash, True and False as yes and no.

    Parameters
    ----------
    formats : dict
        Column to format specification, such as ``{"accuracy": ".2f"}``.
    fold : str
        Where given, the table is folded up under this line until a reader opens it.
    """
    import pandas as pd
    from IPython.display import HTML

    def shown(spec: str) -> object:
        return lambda value: "–" if pd.isna(value) else format(value, spec)

    def plain(value: object) -> object:
        if value is None or value is pd.NA:
            return "–"
        return ("no", "yes")[int(value)] if pd.api.types.is_bool(value) else value

    formatters = {name: shown(spec) for name, spec in (formats or {}).items() if name in frame}
    frame = frame.assign(**{name: frame[name].map(plain) for name in frame if name not in formatters})
    with pd.option_context("display.max_colwidth", None):
        html = frame.to_html(
            index=False, na_rep="–", formatters=formatters, classes="fer-table", border=0, escape=True
        )
    html = f'<div class="table-scroll" tabindex="0">{html}</div>'
    if fold:
        html = f'<details class="fer-fold"><summary>{escape(fold)}</summary>{html}</details>'
    return HTML(html)


def percent(value: float, low: float | None = None, high: float | None = None) -> str:
    """Return a fraction as percent, with its interval if given: ``57.3 [55.7, 58.9]``."""
    text = f"{100 * value:.1f}"
    return text if low is None or high is None else f"{text} [{100 * low:.1f}, {100 * high:.1f}]"
