"""The overview page of a paper: one shape for all five, from claims and evidence."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache, cached_property
from html import escape
from typing import Any
from urllib.parse import urlencode

import pandas as pd
from about_runs import NAMES, banner, dataset_title, run_link
from IPython.display import HTML
from markup import Html, Long, badge, badges, facts, fold, interval, table, with_note

from fer_lib import claims
from fer_lib.evidence import runs
from fer_lib.judge import answers, report

SEVERITIES = ("high", "medium", "low")


class Overview:
    """What the overview page of one paper shows; each method is one cell of the page.

    Parameters
    ----------
    paper
        Key of the paper.
    model
        Its main network; ``others`` names it for corpora on which it is another.
    """

    def __init__(self, paper: str, model: str, others: Mapping[str, str] | None = None) -> None:
        self.paper, self.model, self.others = claims.load(paper), model, others or {}
        self.runs = runs.find(paper=paper)
        self.real = [run for run in self.runs if run.dataset != "synthetic"]

    @cached_property
    def compared(self) -> pd.DataFrame:
        """The paper's claims beside its runs."""
        return report.compare(self.paper.key, self.runs)

    def banner(self) -> HTML:
        """Say what the runs of the page are not."""
        return banner(self.runs)

    def glance(self, claimed: str = "") -> HTML:
        """Show the paper, what it claims, what became of its claims, and the gravest doubt."""
        paper, counts = self.paper, report.summary(self.compared)
        mine = self.compared[self.compared["kind"] == "claim"].drop_duplicates("id")
        doubts = sorted(paper.inconsistencies, key=lambda entry: SEVERITIES.index(entry["severity"]))
        grave = sum(entry["severity"] == "high" for entry in doubts)
        link = f"scorecard.html?{urlencode({'paper': NAMES[paper.key]})}"
        about = {"Title": paper.title, "Authors": ", ".join(paper.authors)}
        about |= {"Year": str(paper.year)} if paper.year else {}
        about |= {"Claimed": claimed} if claimed else {}
        about["Verdicts"] = Html(
            f'{badges(mine["verdict"])}<br><a href="{escape(link)}">{counts.judged} of {counts.claims} '
            f"claims</a> are judged: {counts.running} by running, {counts.arithmetic} by arithmetic, "
            f"{counts.counting} by counting. {counts.waiting} need a run."
        )
        about["Gravest doubt"] = doubts[0]["what"] if doubts else "none"
        about["Left open"] = Html(f'<a href="ambiguities.html">{len(paper.ambiguities)} places</a>')
        about["Does not add up"] = Html(
            f'<a href="#what-does-not-add-up">{len(doubts)} things</a>, {grave} grave'
        )
        return facts(about)

    def ran(self) -> HTML:
        """Show the runs of the paper with the accuracy of its main network; say which datasets have none."""
        rows = []
        for run in self.runs:
            own = self.others.get(run.dataset, self.model)
            found = answers.scores([run], own).mean() if own in run.models() else None
            rows.append(
                {
                    "Run": run_link(run),
                    "Network": own,
                    "Accuracy (%) [95 %]": found and interval(found.ours, found.low, found.high),
                    "Test samples": found and found.n,
                }
            )
        frame = claims.frame(self.paper.key)
        wanted = dict.fromkeys(frame.loc[frame["ours"], "corpus"].dropna())
        missing = ", ".join(
            dataset_title(name) for name in wanted if name not in {run.dataset for run in self.real}
        )
        said = f'<p>Not run yet: {missing}. <a href="runs.html">What is under way</a>.</p>' if missing else ""
        return HTML((table(rows, list(rows[0])[2:], "Runs").data if rows else "") + said)

    def claims(self) -> HTML:
        """Show the paper's claims by dataset, folded up; those that only need a run are one line."""
        parts = []
        for dataset, part in self.compared.groupby("dataset", sort=False):
            mine = part[part["kind"] == "claim"]
            head = (
                f'<span class="name">{escape(dataset)}</span> {badges(mine.drop_duplicates("id")["verdict"])}'
            )
            shown = mine[(mine["verdict"] != "needs data") | mine["apart"].astype(bool)]
            body = claims_table(shown, f"Claims on {dataset}").data if len(shown) else ""
            parts.append(fold(head, body + _waiting(self.paper.key, dataset, mine.drop(shown.index))))
        return HTML("\n".join(parts))

    def doubts(self) -> HTML:
        """Show what does not add up in the paper, gravest first; the small slips folded up."""
        by_weight = {
            weight: [
                {"What": Long(escape(entry["what"])), "Where": Long(escape(entry["where"]))}
                for entry in self.paper.inconsistencies
                if entry["severity"] == weight
            ]
            for weight in SEVERITIES
        }
        main = by_weight["high"] + by_weight["medium"]
        body = table(main, (), "What does not add up").data if main else ""
        low = by_weight["low"]
        return HTML(
            body + (fold(f"{len(low)} small slips", table(low, (), "Small slips").data) if low else "")
        )


def _waiting(paper: str, dataset: str, part: pd.DataFrame) -> str:
    """Say of how many claims of a dataset a run is missing, and which command makes it."""
    if part.empty:
        return ""
    commands = " or ".join(f"<code>{escape(text)}</code>" for text in dict.fromkeys(part["needs"]) if text)
    query = urlencode({"paper": NAMES[paper], "dataset": dataset, "verdict": "needs data"})
    one = len(part) == 1
    link = f'<a href="scorecard.html?{escape(query)}">{len(part)} claim{"" if one else "s"}</a>'
    return f"<p>{link} need{'s' if one else ''} a run{': ' + commands if commands else ''}.</p>"


def claims_table(frame: pd.DataFrame, label: str) -> HTML:
    """Show claims beside runs (rows of ``report.compare``)."""
    rows = []
    for row in frame.to_dict("records"):
        run = row["run"].split("/", 2)[2].replace("/", ", ").replace("seed", "seed ") if row["run"] else ""
        value = ours(row)
        rows.append(
            {
                "Claim": with_note(row["model"], f"{measure(row)}, {row['table']}", Long),
                "Claimed": row["claimed"],
                "Ours [95 %]": with_note(value, run if value else ""),
                "Verdict": verdict(row),
            }
        )
    return table(rows, ["Claimed", "Ours [95 %]"], label)


def ours(row: Mapping[str, Any]) -> Html | None:
    """Return our value for a claim in the claim's unit, with its interval; None where there is none."""
    if row["unit"] == "probability":
        return None if pd.isna(row["ours"]) else Html(f"{row['ours']:.2g}")
    return interval(row["ours"], row["low"], row["high"])


def verdict(row: Mapping[str, Any]) -> Long:
    """Return a verdict with its reason, a value that may not judge, and what else is to be said."""
    said = " ".join(filter(None, (row["apart"], row["remark"])))
    apart = f'<span class="small apart">{escape(said)}</span>' if said else ""
    reason = row["reason"].removeprefix(f"{row['verdict']}: ")  # which the badge says
    return Long(with_note(badge(row["verdict"]), reason, Long) + apart)


def measure(row: Mapping[str, Any]) -> str:
    """Return what a claim measures, in words."""
    metric = str(row["metric"]).replace("_", " ")
    if isinstance(row["expression"], str):
        return f"{metric.removeprefix('class ')} of {row['expression']}"
    if metric != "confidence":
        return metric
    image, condition = _images(row["paper"])[row["id"]]
    return f"{metric} on image {image}, {condition}"


@cache
def _images(paper: str) -> dict[str, tuple[str, str]]:
    """Return, by claim, the image that a printed confidence is for and what was done to it."""
    frame = claims.frame(paper).dropna(subset=["image", "condition"])
    words = frame["condition"].str.replace("_", " ").str.replace("color", "colour")
    return dict(zip(frame["id"], zip(frame["image"], words, strict=True), strict=True))


def protocols() -> HTML:
    """Show the protocols of every paper, less those of quoted results."""
    rows = []
    for key in claims.PAPERS:
        for entry in claims.load(key).protocols:
            if not entry["id"].startswith("quoted"):
                samples = entry["samples"]
                rows.append(
                    {
                        "Dataset": with_note(entry["dataset"], NAMES[key]),
                        "Split, as far as the paper says": with_note(
                            entry["split"], entry.get("source"), Long
                        ),
                        "Test images": samples.get("test") if isinstance(samples, dict) else samples,
                    }
                )
    return table(rows, ["Test images"], "Protocols of the papers")
