"""What the pages on datasets show: cards, and counts and audits from the evidence of runs."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape
from typing import Any

import pandas as pd
from IPython.display import HTML
from markup import NOT_RUN, Html, Long, Short, facts, table, two_lines
from overview import NAMES, dataset_title, pages, run_link

from fer_lib import claims, datasets, runs


def all_datasets() -> HTML:
    """Show one row per corpus: who owns it and who uses it."""
    frame, rows = claims.frame(), []
    for name, entry in datasets.CARDS.items():
        page, text = f"datasets_{name}", escape(dataset_title(name))
        link = f'<a href="{page}.html">{text}</a>' if f"book/{page}" in pages() else text
        using = dict.fromkeys(frame.loc[frame["corpus"] == name, "paper"])
        rows.append(
            {
                "Dataset": Html(f'{link}<span class="small"><code>{name}</code></span>'),
                "Owner and terms": two_lines(entry.owner, entry.licence, Long),
                "Used by": ", ".join(NAMES[key] for key in using),
            }
        )
    return table(rows, label="Datasets")


def card(name: str) -> HTML:
    """Show what a user must know of a corpus before touching it."""
    entry, frame = datasets.CARDS[name], claims.frame()
    using = dict.fromkeys(frame.loc[frame["corpus"] == name, "paper"])
    return facts(
        {
            "Owner": entry.owner,
            "Licence": entry.licence,
            "How to obtain it": entry.obtain,
            "Used by": ", ".join(NAMES[key] for key in using) or "no paper",
            "Images in this book": "a few, as illustrations"
            if entry.may_show
            else "none: its licence does not allow it",
            "Files": Html(f"<pre>{escape(entry.tree)}</pre>"),
        }
    )


def recorded(dataset: str) -> runs.Run | None:
    """Return the run that read most of a corpus, at the highest budget; None where there is none."""

    def rank(run: runs.Run) -> tuple[int, int]:
        return run.info["audit"]["images"], runs.BUDGETS.index(run.budget)

    return max(runs.find(dataset=dataset), key=rank, default=None)


def source(run: runs.Run | None) -> HTML:
    """Say which run the figures of a page are from."""
    if run is None:
        return NOT_RUN
    print_ = str(run.info.get("fingerprint"))[:16]
    return HTML(
        f"<p>Counted in the run {run_link(run)}, on the data with fingerprint <code>{print_}</code>. "
        "What is counted here does not depend on how long that run trained.</p>"
    )


def counts(run: runs.Run) -> pd.DataFrame:
    """Return images per class (rows) and split (columns), as a run recorded them."""
    return pd.DataFrame(run.info["counts"])


def counts_figure(run: runs.Run | None) -> Any:
    """Draw the images per class and split of a recorded run."""
    from fer_lib import plots

    return NOT_RUN if run is None else plots.class_balance(counts(run))


def counts_table(run: runs.Run | None) -> HTML:
    """Show the images per class and split of a recorded run."""
    if run is None:
        return NOT_RUN
    frame = counts(run).rename(columns=lambda name: name.replace("_", " "))
    frame.loc["all"] = frame.sum()
    frame["all"] = frame.sum(axis=1)
    rows = [{"Expression": name, **row} for name, row in frame.to_dict("index").items()]
    return table(rows, frame.columns, "Images per expression and split")


def audit_table(run: runs.Run | None) -> HTML:
    """Show what a recorded run counted of black and identical images."""
    if run is None:
        return NOT_RUN
    found = run.info["audit"]

    def per_split(numbers: dict[str, int]) -> str:
        parts = {name.replace("_", " "): n for name, n in numbers.items() if name != "total"}
        return ", ".join(f"{n:,} in {name}" for name, n in parts.items())

    twins, other = found["twins_in_training"], found["twins_with_other_label"]
    lines = (
        ("Images", found["images"], ""),
        ("Distinct pixel contents", found["distinct"], ""),
        ("Redundant copies", found["redundant"], f"in {found['groups']:,} groups of identical images"),
        ("Groups with several labels", found["conflicting_groups"], ""),
        ("Groups across the official splits", found["cross_split_groups"], ""),
        ("Test images with a twin in training", sum(twins.values()), per_split(twins)),
        ("… whose twin has another label", sum(other.values()), per_split(other)),
        ("Black images", found["black"]["total"], per_split(found["black"])),
    )
    rows = [{"What": two_lines(what, detail, Long), "How many": n} for what, n, detail in lines]
    return table(rows, ["How many"], "Identical and black images")


def certificates(shown: Iterable[runs.Run]) -> HTML:
    """Show what the splits of runs keep, one row per run and split."""
    rows = []
    for run in shown:
        for name, found in run.info.get("certificates", {}).items():
            rows.append(
                {
                    "Split": two_lines(name, run_link(run), Short),
                    "Folds": found["n_folds"],
                    "Tested": found["tested"],
                    "Each sample once": found["every_sample_tested_once"],
                    "Subjects on both sides": found["subjects_shared"],
                    "Twins crossing": found["twins_crossing"],
                    "Index lists": Html(f"<code>{found['index_sha256'][:10]}</code>"),
                }
            )
    return table(rows, ["Folds", "Tested", "Subjects on both sides", "Twins crossing"], "Certificates")
