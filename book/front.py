"""The front page: which claims hold, on which data, and the findings most worth knowing."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from urllib.parse import urlencode

import pandas as pd
from IPython.display import HTML
from markup import Html, Long, badge, badges, table, two_lines
from overview import NAMES, run_link, run_page

from fer_lib import claims
from fer_lib.evidence import runs
from fer_lib.judge import findings, report, verdicts
from fer_lib.judge.answers import name

JUDGEMENTS = verdicts.DECIDED
NOTHING = {"printed": "forensics.html", "test set": "inflation.html", "part": "reproduce.html"}
"""Where to read on, by kind of finding, where no run is behind it."""


def standing(score: pd.DataFrame) -> HTML:
    """Say of how many claims what is known."""
    counts = report.summary(score)
    return HTML(
        f"<p>Of <strong>{counts.claims} claims</strong>, {counts.judged} are judged: {counts.running} by "
        f"running, {counts.arithmetic} by arithmetic on what the paper prints, {counts.counting} by counting "
        f"a corpus. {counts.inconclusive} were tested and stay inconclusive. Beside {counts.apart} stands a "
        "figure of ours that may not judge them: its networks have not converged, or it follows another "
        f"protocol. {counts.waiting} wait for a run, most of them for data that their owners grant. "
        f"{counts.never} no run can answer. Not counted are {counts.repeats} repeats, {counts.folds} "
        f"accuracies of single folds and {counts.images} confidences on single images.</p>"
    )


def unsaid() -> HTML:
    """Say how much the papers leave open and how much in them does not add up."""
    papers = [claims.load(paper) for paper in claims.PAPERS]
    open_places = sum(len(paper.ambiguities) for paper in papers)
    found = [entry for paper in papers for entry in paper.inconsistencies]
    grave = sum(entry["severity"] == "high" for entry in found)
    return HTML(
        '<p>The papers leave an implementer to choose in <a href="ambiguities.html">'
        f"{open_places} places</a>; each is listed with our choice and the others. "
        f'<a href="forensics.html">{len(found)} things</a> in them do not add up, {grave} of them grave.</p>'
    )


def matrix(everything: Sequence[runs.Run], score: pd.DataFrame) -> HTML:
    """Show one row per paper and one column per dataset, each cell what became of its claims."""
    columns = [label for label in claims.CORPORA if (score["dataset"] == label).any()]
    rows = []
    for paper in claims.PAPERS:
        about, mine = claims.load(paper), score[score["paper"] == paper]
        row = {"Paper": two_lines(Html(f'<a href="{paper}.html">{NAMES[paper]}</a>'), about.title, Long)}
        for label in columns:
            row[label] = _cell(paper, label, mine[mine["dataset"] == label], everything)
        row["Left open"] = Html(f'<a href="ambiguities.html">{len(about.ambiguities)}</a>')
        row["Does not add up"] = Html(f'<a href="forensics.html">{len(about.inconsistencies)}</a>')
        rows.append(row)
    return table(rows, ["Left open", "Does not add up"], "Papers by datasets")


def _cell(paper: str, label: str, part: pd.DataFrame, everything: Sequence[runs.Run]) -> Html | None:
    """Return the verdicts on a paper's claims on one dataset, linked to the run that they rest on."""
    if part.empty:
        return None
    behind = {run for names in part["run"].dropna() for run in names.split(", ")}
    shown = [run for run in everything if name(run) in behind]
    link = next(filter(None, map(run_page, shown)), f"{paper}.html")
    counts, part = report.summary(part), part[part["kind"] == "claim"]
    if counts.judged:
        head = badges(part.loc[part["verdict"].isin(JUDGEMENTS), "verdict"])
        less = f"{counts.judged} of {counts.claims} judged"
    elif shown:
        head = Html(f'<span class="verdict verdict-not-comparable">budget {shown[0].budget}</span>')
        less = f"{counts.apart} of {counts.claims} figures, none judged"
    else:
        head = badge("needs data")
        some = f"{counts.waiting} of {counts.claims}" if counts.waiting < counts.claims else counts.claims
        less = f"{some} claims"
    query = escape(urlencode({"paper": NAMES[paper], "dataset": label}))
    small = f'<a class="small" href="scorecard.html?{query}">{less}</a>'
    return Html(f'<a class="verdict-link" href="{link}">{head}</a>{small}')


def demonstrations(everything: Sequence[runs.Run]) -> HTML:
    """Link the chapters' runs on synthetic faces."""
    links = [
        f"{NAMES[run.paper]}: {run_link(run)}"
        for run in everything
        if run.dataset == "synthetic" and run_page(run) and not run.variant
    ]
    text = "; ".join(links) or "none has been run"
    return HTML(f'<p class="small">Chapters run on synthetic faces, as a demonstration: {text}.</p>')


def worth_knowing(everything: Sequence[runs.Run]) -> HTML:
    """Show the findings, each with its figure, conditions and a link."""
    told = "".join(map(_finding, findings.findings(everything)))
    return HTML(f'<link rel="stylesheet" href="../_static/front.css"><ol class="fer-findings">{told}</ol>')


def _finding(found: findings.Finding) -> str:
    link = (run_page(found.run) or f"{found.paper}.html") if found.run else NOTHING[found.kind]
    title = f'<a href="{link}">{escape(found.headline)}</a>'
    if found.paper is None:
        return f'<li><p class="headline">{title}</p></li>'
    figure = f"{found.points:.2f} points apart"
    if found.low == found.low:
        bounds = f"[{found.low:+.2f}, {found.high:+.2f}]"
        figure = f'{found.points:+.2f} points <span class="interval">{bounds}</span>'
    chosen = f"the most pronounced of {found.of}" if found.of > 1 else "the only one of its kind"
    return (
        f'<li><p class="headline">{title}</p><p class="figure">{figure}</p>'
        f"<p>{NAMES[found.paper]}. {escape(found.detail)}</p>"
        f'<p class="small">{escape(found.conditions[:1].upper() + found.conditions[1:])}; {chosen}.</p></li>'
    )


def rule() -> HTML:
    """Say how the findings were chosen."""
    kinds = escape("; ".join(findings.RULES.values()))
    return HTML(
        f'<p class="small">Three kinds of finding are asked for: {kinds}. Of each kind the one is told whose '
        "95 % interval stays farthest from zero, and of printed figures the one farthest off. The largest of "
        "several flatters itself, so the number it was chosen among is given.</p>"
    )
