"""Claims beside what came out: numbers with their intervals, verdicts as badges, and the table of both."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from html import escape
from typing import TYPE_CHECKING, Any

from fer_lib import claims
from fer_lib.judge.verdicts import DECIDED, VERDICTS
from fer_lib.show.pages import Html, Long, called, cell, disturbance, folded, grid

if TYPE_CHECKING:
    import pandas as pd


def with_note(first: Any, note: Any = "", kind: type[Html] = Html) -> Html:
    """Return a cell with a smaller line below."""
    small = f'<span class="small">{cell(note)}</span>' if note else ""
    return kind(f"{cell(first)}{small}")


def badge(verdict: str, count: int | None = None) -> Html:
    """Return a verdict as a badge, with a count where one is given."""
    text = verdict if count is None else f"{verdict}: {count:,}"
    return Html(f'<span class="verdict verdict-{verdict.replace(" ", "-")}">{escape(text)}</span>')


def badges(verdicts: Iterable[str]) -> Html:
    """Return one counted badge for each verdict that occurs, in the order of the legend."""
    verdicts = list(verdicts)
    return Html(" ".join(badge(v, verdicts.count(v)) for v in VERDICTS if v in verdicts))


def number(value: float, digits: int = 2, sign: str = "") -> Html | None:
    """Return a number with so many digits; None where there is none."""
    return Html(f"{value:{sign}.{digits}f}") if value == value and value is not None else None


def interval(value: float, low: float, high: float, digits: int = 2, sign: str = "") -> Html | None:
    """Return a number with its 95 % interval, alone where it has none; None where there is no number."""
    if value != value or low != low:
        return number(value, digits, sign)
    bounds = f"[{low:{sign}.{digits}f}, {high:{sign}.{digits}f}]"
    return Html(f'{value:{sign}.{digits}f} <span class="interval">{bounds}</span>')


def ours(row: Mapping[str, Any]) -> Html | None:
    """Return our value for a claim in the claim's unit, with its interval; None where there is none."""
    if row["unit"] == "probability":
        return None if row["ours"] != row["ours"] else Html(f"{row['ours']:.2g}")
    return interval(row["ours"], row["low"], row["high"])


def verdict(row: Mapping[str, Any]) -> Long:
    """Return a verdict with its reason, a value that may not judge, and what else is to be said."""
    apart = f'<span class="small apart">{escape(said)}</span>' if (said := _said(row)) else ""
    reason = row["reason"].removeprefix(f"{row['verdict']}: ")  # which the badge says
    return Long(with_note(badge(row["verdict"]), reason, Long) + apart)


def _said(row: Mapping[str, Any]) -> str:
    return " ".join(filter(None, (row["apart"], row["remark"])))


def measure(row: Mapping[str, Any]) -> str:
    """Return what a claim measures, in words."""
    metric = str(row["metric"]).replace("_", " ")
    if isinstance(row["expression"], str):
        return f"{metric.removeprefix('class ')} of {row['expression']}"
    if metric != "confidence":
        return metric
    claim = claims.load(row["paper"]).claim(row["id"])
    return f"{metric} on image {claim.image}, {disturbance(claim.condition)}"


def claims_table(frame: pd.DataFrame, label: str) -> str:
    """Return claims beside runs (rows of ``report.compare``) as HTML: those with a verdict, then the others.

    Claims without a verdict are folded up under the reason why they have none.
    """

    def named(row: Mapping[str, Any]) -> dict[str, Any]:
        what = with_note(called(row["model"]), f"{measure(row)}, {row['table']}", Long)
        return {"Claim": what, "Claimed": row["claimed"]}

    decided = frame["verdict"].isin((*DECIDED, "inconclusive"))
    rows = [
        named(row) | {"Ours [95 %]": ours(row), "Verdict": verdict(row)}
        for row in frame[decided].to_dict("records")
    ]
    parts = [grid(rows, ["Claimed", "Ours [95 %]"], label).data] if rows else []
    for (name, reason), part in frame[~decided].groupby(["verdict", "reason"], sort=False):
        head = f"{badge(name, len(part))} {escape(reason.removeprefix(f'{name}: '))}"
        claimed = part.to_dict("records")
        some = any(map(_said, claimed))
        had = [{"What we have": Long(escape(_said(row)))} if some else {} for row in claimed]
        rows = [named(row) | more for row, more in zip(claimed, had, strict=True)]
        parts.append(folded(head, grid(rows, ["Claimed"], f"{label}: {name}").data))
    return "".join(parts)
