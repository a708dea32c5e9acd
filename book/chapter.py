"""The overview page of a paper: one shape for all five, from claims and evidence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from html import escape
from math import nan
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import pandas as pd
import pictures
import register
from about_runs import NAMES, banner, dataset_title, gravest_first, run_caption, run_link
from IPython.display import HTML, display
from markup import NOT_RUN, Html, Long, badges, cell, facts, folded, table, with_note
from measured import at_chance, training, uncertified

from fer_lib import claims
from fer_lib.evidence import runs
from fer_lib.evidence.provenance import provenance
from fer_lib.expressions import canonical
from fer_lib.judge import headlines, report
from fer_lib.learn import metrics
from fer_lib.learn.embeddings import METHODS
from fer_lib.show import beside, plots
from fer_lib.show.beside import claims_table, interval

if TYPE_CHECKING:
    from matplotlib.figure import Figure
HOLD, FAIL = ("reproduced", "holds"), ("not reached", "does not hold")


class Overview:
    """What the overview page of one paper shows; each method is one cell of the page."""

    def __init__(self, paper: str) -> None:
        self.paper = claims.load(paper)
        found = runs.find(paper=paper)
        self.real = [run for run in found if run.dataset != "synthetic"]
        drawn = [run for run in found if run.dataset == "synthetic"]
        # One demonstration is enough: the one that was trained longest.
        self.runs = self.real + sorted(drawn, key=lambda run: -runs.BUDGETS.index(run.budget))[:1]
        self.doubted = gravest_first(paper)
        own = claims.frame(paper).query("ours")
        self.wanted = list(dict.fromkeys(own["corpus"].dropna()))  # the corpora of its claims

    @cached_property
    def score(self) -> pd.DataFrame:
        """The paper's claims with one verdict each, as the scorecard has them."""
        return report.scorecard(papers=[self.paper.key])

    @cached_property
    def overall(self) -> list[dict[str, Any]]:
        """The paper's own accuracies beside ours, one line for each dataset."""
        return pictures.lines(headlines.overall(self.paper.key, self.runs))

    def banner(self) -> HTML:
        """Say what the runs of the page are not."""
        return banner(self.runs)

    def glance(self) -> HTML:
        """Show the paper, its claims, what we reached, the verdict in a sentence and the gravest doubt."""
        paper = self.paper
        printed = ", ".join(filter(None, (*paper.authors, paper.venue, str(paper.year or ""))))
        where = Html(f"<em>{escape(paper.title)}</em><br>{escape(printed)}.{source(paper)}")
        return facts(
            {
                "Paper": where,
                "Claimed": claimed(self.overall),
                "Ours": reached(self.overall),
                "Verdict": Html(main_verdict(self.overall, self.score) + verdict(paper.key, self.score)),
                "Gravest doubt": self.doubted[0]["what"] if self.doubted else "none",
            }
        )

    def chart(self) -> HTML:
        """Draw the paper's own accuracies beside ours."""
        return pictures.chart(self.overall, f"{self.paper.short_name}: claimed and ours")

    def classes(self, dataset: str) -> HTML:
        """Draw the accuracies of single expressions beside ours."""
        rows = pictures.lines(headlines.per_class(self.paper.key, dataset, self.runs))
        return pictures.chart(rows, f"Accuracy of each expression on {dataset}: claimed and ours")

    @property
    def best(self) -> list[runs.Run]:
        """The runs without a changed reading: photographs first, then the highest budget."""
        plain = [run for run in self.runs if not run.variant]
        return sorted(plain, key=lambda run: (run.dataset == "synthetic", -runs.BUDGETS.index(run.budget)))

    def curves(self, models: Sequence[str]) -> HTML | None:
        """Draw the best run's learning curves, with what is printed and what the commonest class gives."""
        for run in self.best:
            frame = run.curves()
            if len(frame := frame[frame["model"].isin(models)] if len(frame) else frame):
                labels = run.predictions(frame["model"].iloc[0])["labels"]
                return shown(run, plots.curves(headlines.levels(frame, self.paper.key, run.dataset, labels)))
        return NOT_RUN

    def confusion(self, model: str) -> HTML | None:
        """Draw what each expression is taken for: as the paper prints it, then as in the best real run."""
        for entry in self.paper.confusion:
            names = [canonical(name) for name in entry["labels"]]
            head = HTML(f'<p class="fer-caption">{escape(entry["dataset"])}, as printed</p>')
            display(head, plots.confusion(entry["rows"], names))
        for run in self.best:
            if run.dataset != "synthetic" and model in run.models():
                rows, classes = run.predictions(model), run.info["classes"]
                said = rows["probabilities"][:, : len(classes)].argmax(1)
                counts = metrics.confusion(rows["labels"], said, len(classes))
                return shown(run, plots.confusion(counts, classes))
        return None if self.paper.confusion else NOT_RUN

    def features(self) -> HTML | None:
        """Draw the features of test images in the plane, network by network, of the best run."""
        for run in self.best:
            arrays = run.embeddings()
            parts = {name: name.rpartition("_") for name in arrays if name not in ("ids", "labels")}
            panels = {f"{of}, {METHODS[how]}": (arrays[name], None) for name, (of, _, how) in parts.items()}
            if panels:
                return shown(run, plots.embeddings(panels, arrays["labels"], run.info["classes"]))
        return NOT_RUN

    def network(self) -> HTML:
        """Draw the paper's network."""
        return pictures.network(self.paper.key)

    def guesses(self) -> HTML:
        """Show the open readings that cost the most, or that none is measured, with a link to all."""
        return register.costly(self.paper.key)

    def ran(self) -> HTML:
        """Link the executed notebooks, say which datasets have none, and how the networks were trained."""
        links = "".join(f"<li>{run_link(run)}</li>" for run in self.runs)
        there = {run.dataset for run in self.real}
        missing = ", ".join(dataset_title(name) for name in self.wanted if name not in there)
        said = f'<p>Not run yet: {missing}. <a href="runs.html">What is still to come</a>.</p>'
        said *= bool(missing)
        if not links:
            return HTML(said)
        how = folded("How the networks were trained", training(self.real or self.runs).data)
        said += at_chance(self.runs) + how + uncertified(self.real)
        return HTML(f"<p>The whole chapter, executed:</p><ul>{links}</ul>{said}")

    def claims(self) -> HTML:
        """Show the verdict in a sentence, and the claims by dataset, folded up."""
        parts = [f"<p>{verdict(self.paper.key, self.score)}</p>"]
        compared = report.compare(self.paper.key, self.runs)
        for dataset, part in compared.groupby("dataset", sort=False):
            mine = part[part["kind"] == "claim"]
            head = f'<span class="name">{escape(dataset)}</span> '
            head += badges(mine.drop_duplicates("id")["verdict"])
            shown = mine[(mine["verdict"] != "needs data") | mine["apart"].astype(bool)]
            body = claims_table(shown, f"Claims on {dataset}") if len(shown) else ""
            parts.append(folded(head, body + _waiting(self.paper.key, dataset, mine.drop(shown.index))))
        return HTML("\n".join(parts))

    def doubts(self) -> HTML:
        """Show what does not add up in the paper, gravest first; the small slips folded up."""
        main, low = [], []
        for entry in self.doubted:
            what = with_note(entry["what"], entry["where"], Long)
            row = {"What": what, "Evidence": Long(cell(entry["evidence"]))}
            (low if entry["severity"] == "low" else main).append(row)
        body = table(main, (), "What does not add up").data if main else ""
        slips = folded(f"{len(low)} small slips", table(low, (), "Small slips").data) if low else ""
        return HTML(body + slips)

    def rerun(self) -> HTML:
        """Show the commands that make this chapter's runs, and the commit that the page is of."""
        lines = [f"fer run {self.paper.key} {name} --budget full" for name in self.wanted]
        lines += ["# in a minute or two, and no data needed:", f"fer run {self.paper.key} synthetic"]
        made = provenance().get("commit")
        said = f"<p>This page was built at commit <code>{made[:10]}</code>.</p>" if made else ""
        return HTML(f'<pre tabindex="0">{escape(chr(10).join(lines))}</pre>{said}')


def shown(run: runs.Run, figure: Figure) -> None:
    """Show a figure under a line that says of which run it is."""
    display(HTML(f'<p class="fer-caption">{run_caption(run)}</p>'), figure)


def source(paper: claims.Paper) -> str:
    """Return a link to where a paper is published, where its file says that."""
    name = str(paper.doi or "")
    site = "https://doi.org/" if name.startswith("10.") else "https://hal.science/"
    return f' <a href="{site}{escape(name.split(" ")[0])}">{escape(name)}</a>' if name else ""


def claimed(rows: list[dict[str, Any]]) -> str:
    """Return what a paper claims, dataset by dataset."""
    return "; ".join(f"{row['label'].partition(', ')[2]} {row['claimed']:.4g} %" for row in rows)


def reached(rows: list[dict[str, Any]]) -> str | Html:
    """Return what we reached, dataset by dataset."""
    found = []
    for row in (row for row in rows if row.get("ours") is not None):
        value = interval(row["ours"], row.get("low", nan), row.get("high", nan))
        doubt = "" if row["certified"] else " (not converged)"
        found.append(f"{row['label'].partition(', ')[2]} {value} %{doubt}")
    return Html("; ".join(found)) if found else "no whole run on the paper’s own data has finished"


def outcome(score: pd.DataFrame) -> str:
    """Say how many claims hold, do not, and are exceeded."""
    found = score.loc[score["kind"] == "claim", "verdict"]
    good, bad, more = (found.isin(names).sum() for names in (HOLD, FAIL, ("exceeded",)))
    return f"{good} hold, {bad} do not" + f", {more} are exceeded" * bool(more)


def main_verdict(rows: Sequence[Mapping[str, Any]], score: pd.DataFrame) -> str:
    """Say what became of the main accuracy that a paper claims: the first line of its chart.

    Of a mean of classes, which the paper does not print, it is what became of the classes.
    """
    if not rows:
        return ""
    claim, where = rows[0]["claim"], rows[0]["label"].partition(", ")[2]
    mine = score[score["id"] == claim.id]
    if rows[0]["mean"]:
        same = {name: getattr(claim, name) for name in ("role", "model", "dataset", "metric", "protocol")}
        mine = score[(score[[*same]] == pd.Series(same)).all(axis=1) & (score["kind"] == "claim")]
        said = f"{badges(mine['verdict'])} (its {len(mine)} classes, one by one)"
    else:
        (row,) = mine.to_dict("records")
        said = beside.verdict(row)
    return f"<div>Main claim, {escape(where)} {rows[0]['claimed']:.4g} %: {said}</div>"


def verdict(paper: str, score: pd.DataFrame) -> str:
    """Say in one sentence what became of a paper's claims (its rows of the scorecard)."""
    counts = report.summary(score)
    rest = [f"{counts.waiting} need a run"]
    rest += [f"{counts.inconclusive} are inconclusive"] * bool(counts.inconclusive)
    rest += [f"{counts.apart} have a run that may not judge them"] * bool(counts.apart)
    rest += [f"{counts.never} cannot be tested"] * bool(counts.never)
    link = escape(f"scorecard.html?{urlencode({'paper': NAMES[paper]})}")
    return (
        f'<span class="verdict-sentence">Of <a href="{link}">{counts.claims} claims</a>, {counts.judged} are '
        f"judged ({counts.running} by running, {counts.arithmetic} by arithmetic, {counts.counting} by "
        f"counting): {outcome(score)}. "
        f"Of the others, {', '.join(rest)}.</span>"
    )


def _waiting(paper: str, dataset: str, part: pd.DataFrame) -> str:
    """Say of how many claims of a dataset a run is missing, and which command makes it."""
    if part.empty:
        return ""
    commands = " or ".join(f"<code>{escape(text)}</code>" for text in dict.fromkeys(part["needs"]) if text)
    query = urlencode({"paper": NAMES[paper], "dataset": dataset, "verdict": "needs data"})
    what, need = ("claim", "needs") if len(part) == 1 else ("claims", "need")
    link = f'<a href="scorecard.html?{escape(query)}">{len(part)} {what}</a>'
    return f"<p>{link} {need} a run{': ' * bool(commands)}{commands}.</p>"


def protocols() -> HTML:
    """Show the protocols of every paper, less those of quoted results."""
    rows = []
    for key in claims.PAPERS:
        for entry in claims.load(key).protocols:
            if not entry["id"].startswith("quoted"):
                row = {"Dataset": with_note(entry["dataset"], NAMES[key])}
                row["Split, as far as the paper says"] = with_note(entry["split"], entry.get("source"), Long)
                samples = entry["samples"]
                row["Test images"] = samples.get("test") if isinstance(samples, dict) else samples
                rows.append(row)
    return table(rows, ["Test images"], "Protocols of the papers")
