"""The front page: how many claims hold, on which data, and the findings most worth knowing."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from urllib.parse import urlencode

import pandas as pd
from about_runs import NAMES, run_name, run_page
from IPython.display import HTML
from markup import Html, Short, badge, badges, table

from fer_lib import claims
from fer_lib.evidence import runs
from fer_lib.judge import findings, report


def standing(score: pd.DataFrame) -> HTML:
    """Say of how many claims what is known."""
    counts = report.summary(score)
    uncertain = f" {counts.inconclusive} are inconclusive: the evidence is too thin to decide." * bool(
        counts.inconclusive
    )
    apart = (
        f" For {counts.apart} we have a number, but from a run too short or too different to count."
        * bool(counts.apart)
    )
    return HTML(
        f"<p>The papers make <strong>{counts.claims} claims</strong>. {counts.judged} of them are judged: "
        f"{counts.running} by running, {counts.arithmetic} by arithmetic on the paper’s own numbers, "
        f"{counts.counting} by counting a dataset.{uncertain}{apart}</p>"
        f"<p>{counts.waiting} claims need a run: most need data that their owners grant; those "
        f'under way <a href="runs.html">are listed here</a>. {counts.never} cannot be tested: only a bound, '
        "one image or undescribed folds are given, or another work’s network is not built here. Not counted "
        f"as claims are {counts.repeats} repeats, {counts.folds} accuracies of single folds and "
        f"{counts.images} confidences on single images.</p>"
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


def matrix(score: pd.DataFrame) -> HTML:
    """Show one row per paper and one column per dataset, each cell what became of its claims."""
    columns = [label for label in claims.CORPORA if (score["dataset"] == label).any()]
    rows = []
    for paper in claims.PAPERS:
        mine = score[score["paper"] == paper]
        row = {"Paper": Short(f'<a href="{paper}.html">{NAMES[paper]}</a>')}
        for label in columns:
            row[label] = _cell(paper, label, mine[mine["dataset"] == label])
        rows.append(row)
    return table(rows, (), "Papers by datasets")


def _cell(paper: str, label: str, part: pd.DataFrame) -> Html | None:
    """Return the verdicts on a paper's claims on one dataset, linked to the claims themselves."""
    if part.empty:
        return None
    counts, mine = report.summary(part), part[part["kind"] == "claim"]
    decided = mine.loc[mine["verdict"].isin(report.DECIDED), "verdict"]
    head = badges(decided) if counts.judged else badge("needs data")
    query = escape(urlencode({"paper": NAMES[paper], "dataset": label}))
    link = f'<a class="small" href="scorecard.html?{query}">{counts.judged} of {counts.claims} judged</a>'
    return Html(f'<a class="verdict-link" href="{paper}.html#claims-and-verdicts">{head}</a>{link}')


def demonstrations(everything: Sequence[runs.Run]) -> HTML:
    """Link the chapters' runs on synthetic faces."""
    shown = [run for run in everything if run.dataset == "synthetic" and run_page(run) and not run.variant]
    links = (f'{NAMES[run.paper]}: <a href="{run_page(run)}">{escape(run_name(run))}</a>' for run in shown)
    text = "; ".join(links) or "none has been run"
    return HTML(f'<p class="small">Chapters run on synthetic faces, as a demonstration: {text}.</p>')


def worth_knowing(everything: Sequence[runs.Run]) -> HTML:
    """Show the findings, each with its number, conditions and a link, and which kinds have none yet."""
    every = findings.findings(everything)
    told = "".join(_finding(found) for found in every if found.paper)
    absent = [findings.RULES[found.kind] for found in every if not found.paper]
    rest = f'<p class="small">Nothing to show yet on {escape("; or on ".join(absent))}.</p>' if absent else ""
    return HTML(
        f'<link rel="stylesheet" href="../_static/front.css"><ol class="fer-findings">{told}</ol>{rest}'
    )


def _finding(found: findings.Finding) -> str:
    link = (run_page(found.run) or f"{found.paper}.html") if found.run else "forensics.html"
    title = f'<a href="{link}">{escape(found.headline)}</a>'
    value = f"{found.points:.2f} points apart"
    if found.low == found.low:
        bounds = f"[{found.low:+.2f}, {found.high:+.2f}]"
        value = f'{found.points:+.2f} points <span class="interval">{bounds}</span>'
    chosen = f"the strongest of {found.of}" if found.of > 1 else "the only one of its kind"
    return (
        f'<li><p class="headline">{title}</p><p class="figure">{value}</p>'
        f"<p>{NAMES[found.paper]}. {escape(found.detail)}</p>"
        f'<p class="small">{escape(found.conditions[:1].upper() + found.conditions[1:])}; {chosen}.</p></li>'
    )


def rule() -> HTML:
    """Say how the findings were chosen."""
    kinds = escape("; ".join(findings.RULES.values()))
    return HTML(
        f'<p class="small">We look for three kinds of finding: {kinds}. We show the strongest example of '
        "each kind, the one whose 95 % interval stays farthest from zero. Picking the largest exaggerates "
        "it, so we say how many it was picked from. Only runs that may judge a claim are asked.</p>"
    )
