"""What pages say of runs: names and links, what they are not, what they cost, which are still to come."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from functools import cache
from html import escape
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import yaml
from IPython.display import HTML
from markup import Html, Long, badge, table, with_note

from fer_lib import claims
from fer_lib.data import datasets
from fer_lib.evidence import runs
from fer_lib.evidence.provenance import evidence_folder, repository
from fer_lib.judge import convergence
from fer_lib.show.pages import admonition

NAMES = {paper: claims.load(paper).short_name for paper in claims.PAPERS} | {
    "matrix": "One matrix",
    "control": "Positive control",
}
"""What the chapters are called, and the notebook across them."""
STALE = "older code"


def contents(toc: dict[str, Any], root: Path, *kinds: str) -> dict[str, str]:
    """Return the pages in reading order, without suffix, each with the caption of the part that it opens.

    A pattern stands for the files below ``root`` that it matches, of the suffixes ``kinds``.
    """
    found, captions = {}, {part["chapters"][0]["file"]: part["caption"] for part in toc["parts"]}
    left = [{"file": toc["root"]}, *(chapter for part in toc["parts"] for chapter in part["chapters"])]
    while left:
        entry = left.pop(0)
        if "glob" in entry:
            files = sorted(file for kind in kinds for file in root.glob(f"{entry['glob']}.{kind}"))
            found |= {file.relative_to(root).with_suffix("").as_posix(): "" for file in files}
        else:
            found[entry["file"]] = captions.get(entry["file"], "")
        left = entry.get("sections", []) + left
    return found


@cache
def pages() -> dict[str, str]:
    """Return the :func:`contents` of this book."""
    toc = yaml.safe_load((repository() / "_toc.yml").read_text("utf-8"))
    return contents(toc, repository(), "ipynb", "rst")


def gravest_first(paper: str) -> list[dict[str, Any]]:
    """Return what does not add up in a paper, by its severity."""
    order = ("high", "medium", "low")
    return sorted(claims.load(paper).inconsistencies, key=lambda entry: order.index(entry["severity"]))


def dataset_title(name: str) -> str:
    """Return a dataset's short name, as the papers print it."""
    return datasets.CARDS[name].title.split(" (")[0]


def run_name(run: runs.Run) -> str:
    """Return what a reader calls a run of a paper whose name is known."""
    variant = f", {run.variant}" if run.variant else ""
    return f"{dataset_title(run.dataset)}, budget {run.budget}, seed {run.seed}{variant}"


def run_page(run: runs.Run) -> str | None:
    """Return the address of a run's executed notebook, from a page in book/; None if it is no page."""
    page = "/".join(("results", *run.path.parts[-4:], "notebook"))
    return f"../{page}.html" if page in pages() else None


def run_link(run: runs.Run) -> Html:
    """Return the run's name, linked to its executed notebook where the book has it as a page."""
    page, name = run_page(run), escape(run_name(run))
    return Html((f'<a href="{page}">{name}</a>' if page else name) + stale_badge(run))


def run_caption(run: runs.Run) -> str:
    """Return what stands above what is of one run: its link, and that drawn faces are a demonstration."""
    return "Drawn faces, a demonstration: " * (run.dataset == "synthetic") + run_link(run)


@cache
def _is_current(path: Path) -> bool:
    run = runs.Run(path)
    return runs.current(path, run.info.get("parameters", {})) is not None


def stale_badge(run: runs.Run) -> Html:
    """Return a badge where the code behind a run has changed since it was made, else nothing."""
    return Html("" if _is_current(run.path) else f" {badge(STALE)}")


def banner(shown: Iterable[runs.Run]) -> HTML:
    """Say at the top of a page what its runs are not; nothing where all are current runs that may judge."""
    shown = list(shown)
    real = [run for run in shown if run.dataset != "synthetic"]
    stand_ins = [run for run in real if run.paper in datasets.CARDS[run.dataset].stands_in]
    small = [run for run in real if run.budget not in ("full", "paper")]
    stale = [run for run in shown if not _is_current(run.path)]
    none, drawn = len(real) == len(stand_ins), len(real) < len(shown)
    title = "No whole run on a paper’s own data is shown here" if none else "Not every run here is evidence"
    were = "was" if len(stale) == 1 else "were"
    sentences = {
        '<a href="runs.html">See which runs are planned</a>.': none,
        "Results on synthetic faces are a demonstration. They are never compared with a claim.": drawn,
        "Results on other corpora stand in for the paper’s own and are not compared with its "
        "claims.": stand_ins,
        "Runs below budget <em>full</em> train less than their networks need. They judge no claim.": small,
        f"{len(stale)} of {len(shown)} runs shown here {were} made by {badge(STALE)}, changed since.": stale,
    }
    lines = [sentence for sentence, true in sentences.items() if true]
    return HTML(admonition("warning budget-banner", title, lines) if lines else "")


# --- the page of runs --------------------------------------------------------------------------


def _minutes(run: runs.Run) -> float:
    """Return how long a run trained, over all processes that it took; else its last process's wall time."""
    made = run.info.get("provenance", {})
    return (run.info.get("training_seconds") or made.get("wall_seconds") or 0) / 60


def network_certificates(run: runs.Run) -> list[convergence.Certificate]:
    """Return the certificates of a run's networks, each once.

    Not of those that were trained on other folds or on fewer images, whose names say so after an ``@``.
    """
    curves = run.curves()
    names = [name for name in dict.fromkeys(curves["model"]) if "@" not in name] if len(curves) else []
    return [one for name in names for one in convergence.of_run(run, name)]


def apart(shown: Iterable[runs.Run], draw: Callable[[list[runs.Run]], HTML]) -> HTML:
    """Show runs on real people and, below and under a line of its own, those on drawn faces."""
    parts: dict[bool, list[runs.Run]] = {False: [], True: []}
    for run in shown:
        parts[run.dataset == "synthetic"].append(run)
    drawn = '<p class="fer-caption">Drawn faces, a demonstration</p>'
    if not any(parts.values()):
        return draw([])
    return HTML("".join(drawn * key + draw(part).data for key, part in parts.items() if part))


def made() -> HTML:
    """Show every run that the book has: its time, its machine, and what converged; drawn faces apart."""
    return apart(runs.find(), _made)


def _made(shown: list[runs.Run]) -> HTML:
    rows = []
    for run in shown:
        provenance = run.info.get("provenance", {})
        memory = provenance.get("peak_gpu_memory_mib") or provenance.get("peak_memory_mib")
        when = (provenance.get("finished") or "")[:10].replace("-", "\N{NON-BREAKING HYPHEN}")
        threads = f"threads: {provenance['threads']}" if provenance.get("threads") else ""
        note = ", ".join(filter(None, (when, threads)))
        row = {"Run": with_note(run_link(run), NAMES[run.paper])}
        row["Training (min)"] = Html(f"{_minutes(run):,.1f}")
        row["Peak memory (GiB)"] = Html(f"{memory / 1024:.1f}") if memory else None
        row["Made on"] = with_note(provenance.get("gpu") or provenance.get("cpu"), note, Long)
        row["Commit"] = Html(f"<code>{(provenance.get('commit') or 'unknown')[:9]}</code>")
        if run.dataset != "synthetic":
            found = network_certificates(run)
            row["Networks converged"] = Html(f"{sum(one.converged for one in found)} of {len(found)}")
        rows.append(row)
    return table(rows, ["Training (min)", "Peak memory (GiB)"], "Runs")


def compared() -> HTML:
    """Show which runs were made again after code was rearranged, with the same numbers."""
    entries = json.loads(runs.ledger().read_text("utf-8")) if runs.ledger().exists() else []
    rows = [
        {
            "Paper": NAMES[entry["paper"]],
            "Run made again": run_name(SimpleNamespace(**entry)),
            "Numbers compared": Html(f"{entry['numbers']:,}"),
            "On": with_note(entry["cpu"], entry["when"], Long),
        }
        for entry in entries
    ]
    return table(rows, ["Numbers compared"], "Comparisons")


def planned() -> list[dict[str, Any]]:
    """Return the runs of the campaign, one per seed, each with ``made``, its evidence or None."""
    found = []
    for entry in yaml.safe_load((repository() / "campaign.yaml").read_text("utf-8")):
        knobs = ",".join(f"{name}={value}" for name, value in sorted(entry.get("knobs", {}).items()))
        for seed in entry["seeds"]:
            name = ("results", *(entry[part] for part in ("paper", "dataset", "budget")), seed, knobs)
            path = evidence_folder(*name)
            made = runs.Run(path) if (path / "run.json").is_file() else None
            found.append({**entry, "seed": seed, "knobs": knobs, "made": made})
    return found


def under_way() -> HTML:
    """Show which runs of the campaign are done and which are still to come."""
    rows = []
    for one in planned():
        name = f"{dataset_title(one['dataset'])}, budget {one['budget']}, seed {one['seed']}"
        chapter = Html(f'<a href="{one["paper"]}.html">{NAMES[one["paper"]]}</a>')
        run = run_link(one["made"]) if one["made"] else f"{name}, {one['knobs']}".rstrip(", ")
        rows.append({"Chapter": chapter, "Run": run, "State": "finished" if one["made"] else "not finished"})
    return table(rows, (), "Campaign")


def cost() -> HTML:
    """Say how many runs there are and how long they trained in all."""
    found = runs.find()
    real = [run for run in found if run.dataset != "synthetic"]
    todo = [one for one in planned() if one["made"] is None]
    hours = sum(map(_minutes, real)) / 60
    return HTML(
        f"<p>The book shows {len(found)} runs: {len(real)} on real data ({hours:,.1f} hours of training) and "
        f"{len(found) - len(real)} on drawn faces. {len(todo)} of the {len(planned())} planned runs are not "
        "finished.</p>"
    )
