"""The front page: what holds, on which data, and the findings most worth knowing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

import pandas as pd
import pictures
from about_runs import NAMES, run_page
from chapter import FAIL, HOLD, claimed, outcome, reached, verdict
from IPython.display import HTML
from markup import badges, interval
from papers import control_answer

from fer_lib import claims
from fer_lib.data import datasets
from fer_lib.evidence import runs
from fer_lib.judge import findings, headlines, report
from fer_lib.show.beside import measure
from fer_lib.show.chapter import open_places
from fer_lib.show.pages import called


def state(score: pd.DataFrame, everything: Sequence[runs.Run]) -> HTML:
    """Say in a few lines what came out so far, and on what that rests."""
    counts = report.summary(score)
    cards = [(run.paper, datasets.CARDS[run.dataset]) for run in everything if run.paper in claims.PAPERS]
    control = [run for run in everything if (run.paper, run.dataset) == ("control", "fer2013")]
    real = sum(not card.synthetic and paper not in card.stands_in for paper, card in cards)
    return HTML(
        f'<p class="budget-banner"><strong>So far {counts.judged} of {counts.claims} claims are judged: '
        f"{outcome(score)}.</strong> Judged by running a network: {counts.running or 'none yet'}. "
        "The other verdicts come from arithmetic on printed numbers or from counting a dataset. "
        f"Finished runs on the papers’ own data: {real or 'none yet'} "
        '(<a href="runs.html">what is still to come</a>). Pictures of drawn faces are a demonstration and '
        f"judge nothing.</p>{control_answer(control).data}"
    )


def chart(everything: Sequence[runs.Run]) -> HTML:
    """Draw every paper's own accuracies beside ours."""
    rows = [row for paper in claims.PAPERS for row in pictures.lines(headlines.overall(paper, everything))]
    made = sum(row.get("ours") is not None for row in rows)
    said = f"What the papers claim of their own networks, and what we reach: {made} of {len(rows)} have a run"
    if any(row["mean"] for row in rows):
        said += ". A class mean has no triangle and no stroke, which are of images, not of classes"
    return pictures.chart(rows, "Claimed and ours, all papers", said)


def cards(score: pd.DataFrame, everything: Sequence[runs.Run]) -> HTML:
    """Show a card for each paper: its network, what it claims, what we reached, and the verdict."""
    shown = []
    for paper in claims.PAPERS:
        mine, rows = score[score["paper"] == paper], pictures.lines(headlines.overall(paper, everything))
        found = mine.loc[mine["kind"] == "claim", "verdict"]
        shown.append(
            f'<article class="fer-card">{pictures.thumbnail(paper)}<div><h3><a href="{paper}.html">'
            f"{NAMES[paper]}</a></h3>{_source(paper)}<p>Claimed: {claimed(rows)}. Ours: {reached(rows)}.</p>"
            f"<p>{badges(found[found != 'needs data'])}</p><p>{verdict(paper, mine)}</p>"
            f"{_examples(mine)}</div></article>"
        )
    said = (
        "The claims named follow a rule: those judged by running come first, then those about the paper’s "
        "own network, then what its abstract says, then an order. A dataset’s size is never named."
    )
    return HTML(f'{pictures.key()}<div class="fer-cards">{"".join(shown)}</div><p class="small">{said}</p>')


def _examples(mine: pd.DataFrame) -> str:
    """Name the weightiest claim of a paper that holds and the weightiest that does not."""
    judged = mine[(mine["kind"] == "claim") & mine["verdict"].isin((*HOLD, *FAIL, "exceeded"))]
    sizes = judged["role"] == "data"
    said = [f"{sizes.sum()} of the {len(judged)} judged claims are sizes of datasets."]
    for head, names in (("One that holds", (*HOLD, "exceeded")), ("One that does not", FAIL)):
        rows = judged[~sizes & judged["verdict"].isin(names)].to_dict("records")
        if rows := sorted(filter(_of_accuracy, rows), key=_weight):
            row = rows[0]
            link = f'<a href="scorecard.html#claim-{row["id"]}">{escape(_sentence(row))}</a>'
            said.append(f"{head}: {link} (by {row['how']})")
    return "".join(f"<p>{line}</p>" for line in said)


def _of_accuracy(row: Mapping[str, Any]) -> bool:
    """Whether a claim is about accuracy: a figure, or an order of figures that are accuracies."""
    if row["metric"] != "order":
        return True
    paper = claims.load(row["paper"])
    known = {claim.id: claim.metric for claim in paper.claims}
    where = paper.claim(row["id"]).test.get("where", {}).values()
    return row["how"] == "running" or any("accuracy" in known.get(str(name), "") for name in where)


def _weight(row: Mapping[str, Any]) -> tuple[bool, ...]:
    """Return what the weightiest claim is sorted first by."""
    own = row["role"] == "method"
    return row["how"] != "running", not own, "Abstract" not in row["table"], row["metric"] != "order"


def _sentence(row: Mapping[str, Any]) -> str:
    """Return what a claim says."""
    if row["metric"] == "order":
        return called(row["model"])
    unit = {"percent": " %", "percentage_points": " points"}.get(row["unit"], "")
    what = f"{measure(row)} of {called(row['model'])} on {row['dataset']}"
    return f"{what[:1].upper()}{what[1:]}: {row['claimed']:g}{unit}."


def _source(paper: str) -> str:
    """Return a paper's title and year."""
    found = claims.load(paper)
    year = f", {found.year}" if found.year else ""
    return f'<p class="small"><em>{escape(found.title)}</em>{year}</p>'


def standing(score: pd.DataFrame) -> HTML:
    """Say of how many claims what is known, and what the papers leave open."""
    counts, papers = report.summary(score), [claims.load(paper) for paper in claims.PAPERS]
    places = sum(len(open_places(paper)) for paper in claims.PAPERS)
    found = [entry for paper in papers for entry in paper.inconsistencies]
    rest = [f"{counts.waiting} need a run, most of them on data that their owners grant"]
    if counts.inconclusive:
        rest.append(f"{counts.inconclusive} are inconclusive")
    if counts.apart:
        rest.append(f"{counts.apart} have a run that is too short or too different to count")
    rest.append(f"{counts.never} cannot be tested, each for a reason that the scorecard gives")
    return HTML(
        f'<p>The papers make <a href="scorecard.html"><strong>{counts.claims} claims</strong></a>. '
        f"<strong>{counts.judged} are judged</strong>: {counts.running} by running, {counts.arithmetic} by "
        f"arithmetic on the paper’s own numbers, {counts.counting} by counting a dataset. Of the others, "
        f"{'; '.join(rest)}. We do not count {counts.repeats} repeats, {counts.folds} accuracies "
        f"of single folds and {counts.images} confidences on single images as claims.</p>"
        f'<p>The papers leave <a href="ambiguities.html">{places} places</a> where '
        "whoever rebuilds their networks must choose. "
        f'<a href="forensics.html">{len(found)} things</a> in them do not add up; '
        f"{sum(entry['severity'] == 'high' for entry in found)} of these are grave.</p>"
    )


def worth_knowing(everything: Sequence[runs.Run]) -> HTML:
    """Show the findings, each with its number, conditions and a link, and which kinds have none yet."""
    every = findings.findings(everything)
    told = "".join(_finding(found) for found in every if found.paper)
    absent = sum(not found.paper for found in every)
    rest = f'<p class="small">Nothing to show yet for {absent} of the kinds below.</p>' if absent else ""
    return HTML(f'<ol class="fer-findings">{told}</ol>{rest}')


def _finding(found: findings.Finding) -> str:
    link = (run_page(found.run) or f"{found.paper}.html") if found.run else "forensics.html"
    title = f'<a href="{link}">{escape(found.headline)}</a>'
    value = f"{found.points:.2f} points apart"
    if found.low == found.low:
        value = interval(found.points, found.low, found.high, sign="+").replace(" <", " points <")
    chosen = f"the strongest of {found.of}" if found.of > 1 else "the only one of its kind"
    return (
        f'<li><p class="headline">{title}</p><p class="figure">{value}</p>'
        f"<p>{NAMES[found.paper]}. {escape(called(found.detail))}</p>"
        f'<p class="small">{escape(found.conditions[:1].upper() + found.conditions[1:])}; {chosen}.</p></li>'
    )


def rule() -> HTML:
    """Say how the findings were chosen."""
    kinds = escape("; ".join(findings.RULES.values()))
    return HTML(
        f'<p class="small">We look for {len(findings.RULES)} kinds of finding: {kinds}. Of each kind we show '
        "the strongest example: the one whose 95 % interval stays farthest from zero or, in arithmetic, the "
        "one with the largest gap. The strongest of several tends to look too strong, so we say how many "
        "there were. Only runs that may judge a claim count.</p>"
    )
