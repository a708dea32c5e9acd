"""The scorecard: every claim as a row that a browser filters and sorts, and as a csv file."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from html import escape
from typing import Any

import pandas as pd
from about_runs import NAMES, run_page
from IPython.display import HTML
from markup import Html, Long, Short, badges, cell, table, with_note

from fer_lib import claims
from fer_lib.evidence import runs
from fer_lib.evidence.provenance import repository
from fer_lib.files import atomic
from fer_lib.judge import report
from fer_lib.judge.answers import name
from fer_lib.show.beside import measure, ours, verdict
from fer_lib.show.pages import called

KINDS = {
    "accuracy": ("accuracy", "mean_fold_accuracy"),
    "class accuracy": ("class_accuracy", "mean_class_accuracy"),
    "difference": ("accuracy_difference", "class_accuracy_difference", "relative_error_reduction"),
    "p-value": ("p_value",),
    "robustness": ("confidence",),
    "time": ("training_time", "inference_time"),
    "order": ("order",),
    "count": ("sample_count", "subject_count", "fold_count", "male_share"),
}
"""Kind of figure to the metrics of the claims files."""
ROLES = {
    "method": "the method",
    "ablation": "ablations",
    "baseline": "baselines they ran",
    "data": "counts of a corpus",
    "quoted": "quoted",
}
FILTERS = ("paper", "dataset", "kind", "figure", "verdict")
HEADS = ("Claim", "Claimed", "Ours [95 %]", "Gap", "Verdict", "Protocol", "Run")
FIGURES, NUMBER = HEADS[1:4], ' class="num"'
"""Columns of numbers."""
UNITS = {"percent": ("", " %"), "percentage_points": ("", " points"), "probability": ("p = ", "")}
"""Unit to what is written before and after a figure."""
CSV = "scorecard.csv"


def write_csv(score: pd.DataFrame) -> HTML:
    """Write the scorecard where the book's static files are, and link it."""
    with atomic(repository() / "book/_static" / CSV) as temporary:
        score.to_csv(temporary, index=False)
    text = f"Download all {len(score)} rows as csv"
    return HTML(f'<p><a class="fer-download" href="../_static/{CSV}" download>{text}</a></p>')


def counts(score: pd.DataFrame) -> HTML:
    """Show how many claims of each paper have which verdict."""
    rows = []
    for key in claims.PAPERS:
        mine = score[(score["paper"] == key) & (score["kind"] == "claim")]
        link = Html(f'<a href="{key}.html">{NAMES[key]}</a>')
        counts = report.summary(mine)
        figures = {"Claims": counts.claims, "Judged": counts.judged}
        rows.append({"Paper": Short(link)} | figures | {"Verdicts": badges(mine["verdict"])})
    return table(rows, ["Claims", "Judged"], "Verdicts per paper")


def browser(score: pd.DataFrame, everything: Iterable[runs.Run]) -> HTML:
    """Show the whole scorecard with its filters; without scripts it is one long table."""
    known = {name(run): run for run in everything}
    facts, lines = [], []
    # The sizes of datasets come after what a paper reaches on them.
    rows = sorted(
        score.to_dict("records"), key=lambda row: (claims.PAPERS.index(row["paper"]), row["role"] == "data")
    )
    for row in rows:
        kind = next((kind for kind, metrics in KINDS.items() if row["metric"] in metrics), "other")
        about = (NAMES[row["paper"]], row["dataset"], kind, ROLES[row["role"]], row["verdict"])
        facts.append(dict(zip(FILTERS, about, strict=True)))
        lines.append(_line(row, facts[-1], known))
    heads = "".join(
        f'<th scope="col" role="columnheader"{NUMBER * (head in FIGURES)}>'
        f'<button type="button" class="sort">{head}</button></th>'
        for head in HEADS
    )
    selects = "".join(_select(label, [about[label] for about in facts]) for label in FILTERS)
    return HTML(
        '<link rel="stylesheet" href="../_static/scorecard.css">'
        '<form id="score-filters" class="score-filters" hidden>'
        f"{selects}"
        '<label>Text <input type="search" name="text" autocomplete="off"></label>'
        '<button type="reset">Clear</button></form>'
        f'<p id="score-count" role="status">{len(lines)} rows</p>'
        '<div class="table-scroll" role="region" tabindex="0" aria-label="Scorecard">'
        '<table id="score-table" class="fer-table score-table" role="table"><thead role="rowgroup">'
        f'<tr role="row">{heads}</tr></thead>\n<tbody role="rowgroup">\n'
        + "\n".join(lines)
        + '\n</tbody></table></div><p><button type="button" id="score-more" hidden></button></p>'
        '<script src="../_static/scorecard.js" defer></script>'
    )


def _select(label: str, values: list[str]) -> str:
    options = "".join(
        f'<option value="{escape(value)}">{escape(value)} ({values.count(value)})</option>'
        for value in dict.fromkeys(values)
    )
    title = {"kind": "Kind of claim", "figure": "Whose result"}.get(label, label.capitalize())
    return f'<label>{title} <select name="{label}"><option value="">all</option>{options}</select></label>'


def _line(row: Mapping[str, Any], about: Mapping[str, str], known: Mapping[str, runs.Run]) -> str:
    """Return a claim as a table row; a cell's ``data-key`` is what it is sorted by."""
    split = claims.load(row["paper"]).protocol(row["protocol"])["split"]
    if row["verdict"] == "needs data":
        row = {**row, "reason": "no run yet"}  # which data is in the columns beside
    folds, figure = row["unit"] == "probability", ours(row)
    n = "" if pd.isna(row["n"]) else f"{row['n']} folds" if folds and figure else f"n = {row['n']:,}"
    gap = float("nan") if folds else row["ours"] - row["claimed"]
    name, where = called(row["model"]), f"{about['paper']}, {row['table']}"
    what = f"{measure(row)}; {where}"
    if row["role"] == "data":
        name, what = measure(row).capitalize(), where
    cells = {
        "Claim": (with_note(name, what, Long), f"{name} {what}"),
        "Claimed": (_claimed(row), row["claimed"]),
        "Ours [95 %]": (with_note(figure, n), row["ours"]),
        "Gap": (None if pd.isna(gap) else Html(f"{gap:+.2f}"), gap),
        "Verdict": (verdict(row), row["verdict"]),
        "Protocol": (with_note(row["dataset"], split, Long), row["dataset"]),
        "Run": (_run(row, known), row["run"] or ""),
    }
    data = "".join(f' data-{label}="{escape(value)}"' for label, value in about.items())
    body = "".join(_cell(label, value, key) for label, (value, key) in cells.items())
    return f'<tr role="row" id="claim-{row["id"]}"{data}>{body}</tr>'


def _claimed(row: Mapping[str, Any]) -> Html | None:
    if pd.isna(row["claimed"]):
        return None
    before, after = UNITS.get(row["unit"], ("", f" {row['unit']}"))
    after = " point" if row["claimed"] == 1 and after == " points" else after
    printed = claims.load(row["paper"]).claim(row["id"])
    limit = printed.bound or "about" * printed.approx  # as the text says it
    limit = f'<span class="small">{escape(limit)} </span>' if limit else ""
    return Html(f"{limit}{before}{row['claimed']:,.10g}{escape(after)}")


def _cell(label: str, value: Any, key: Any) -> str:
    """Return a cell; roles are named because a narrow screen shows rows as cards, not as a table."""
    tag, role = ("th", 'scope="row" role="rowheader"') if label == "Claim" else ("td", 'role="cell"')
    css = "num" if label in FIGURES else {Long: "long", Short: "short"}.get(type(value), "")
    key = "" if key is None or key != key else escape(str(key))  # of no value, which comes last
    return f'<{tag} {role} class="{css}" data-key="{key}" data-head="{label}">{cell(value)}</{tag}>'


def _run(row: Mapping[str, Any], known: Mapping[str, runs.Run]) -> Html | None:
    """Return the runs behind a row, linked, with commit and hardware, or the command that is missing."""
    if row["kind"] == "quoted":  # no run here is of another work
        return None
    lines = []
    for one in (row["run"] or "").split(", ") if row["run"] else ():
        page = run_page(known[one]) if one in known else None
        text = escape(one.split("/", 1)[1])
        lines.append(f'<a href="{page}">{text}</a>' if page else text)
    if row["run"]:
        made = ", ".join(filter(None, (row["commit"], row["hardware"])))
        lines.append(f'<span class="small">{escape(made)}</span>')
    if row["needs"]:
        lines.append(f'<span class="small">Needs <code>{escape(row["needs"])}</code></span>')
    return Long("".join(f"<div>{line}</div>" for line in lines)) if lines else None
