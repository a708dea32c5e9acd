"""What the overview pages show, from evidence and claims; a chapter's own are in fer_lib.show.pages."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from html import escape
from typing import Any

import pandas as pd
import yaml
from IPython.display import HTML, Markdown
from markup import Html, Long, Short, badge, badges, interval, table, two_lines

from fer_lib import claims
from fer_lib.data import datasets
from fer_lib.evidence import runs
from fer_lib.evidence.provenance import repository
from fer_lib.judge import paper_tables
from fer_lib.learn import metrics

NAMES = {
    "cnn_sift": "CNN-SIFT-AVG",
    "multimodal": "Multimodal fusion",
    "cspp": "C-SPP",
    "cnn3d": "3D-CNN",
    "lkrnet": "LKRNet",
    "matrix": "One matrix",
}
"""Short names of the papers, as the chapters call them, and of the notebook across them."""
FOLDED = 12
"""A table of more claims than this is folded up per model."""
ABSENT = Html('<span class="not-run">not run</span>')


# --- runs --------------------------------------------------------------------------------------


def banner(shown: Iterable[runs.Run]) -> HTML:
    """Say of a page what its runs are not; nothing where all are at budget paper on real data."""
    shown = list(shown)
    lines = []
    if any(run.dataset == "synthetic" for run in shown):
        lines.append("Figures on synthetic faces are a demonstration and are never set against a claim.")
    if any(run.dataset != "synthetic" and run.budget != "paper" for run in shown):
        lines.append(
            "Runs below budget <em>paper</em> train less than the authors did: their figures are shown "
            "beside the claims, and no claim is judged by them."
        )
    if not shown:
        lines.append("Nothing has been run yet.")
    if not lines:
        return HTML("")
    real = any(run.dataset != "synthetic" for run in shown)
    title = "Not every run here is evidence" if real else "No run on a paper’s own data is shown here"
    body = "".join(f"<p>{line}</p>" for line in lines)
    return HTML(
        f'<div class="admonition warning budget-banner"><p class="admonition-title">{title}</p>{body}</div>'
    )


def dataset_title(name: str) -> str:
    """Return a dataset's short name, as the papers print it."""
    return datasets.CARDS[name].title.split(" (")[0]


def run_name(run: runs.Run) -> str:
    """Return what a reader calls a run."""
    variant = f", {run.variant}" if run.variant else ""
    return f"{dataset_title(run.dataset)}, {run.budget}, seed {run.seed}{variant}"


def run_page(run: runs.Run) -> str | None:
    """Return the address of a run's executed notebook, from a page in book/; None if the book has it not."""
    page = (run.path / "notebook").relative_to(repository()).as_posix()
    return f"../{page}.html" if page in pages() else None


def run_link(run: runs.Run) -> Short:
    """Return the run's name, linked to its executed notebook where the book has it as a page."""
    page, name = run_page(run), escape(run_name(run))
    return Short(f'<a href="{page}">{name}</a>' if page else name)


def pages() -> set[str]:
    """Return the pages of the book, without suffix, from its table of contents."""

    def walk(entry: Any) -> Iterable[str]:
        if isinstance(entry, dict):
            yield from (entry[key] for key in ("file", "root") if key in entry)
            yield from walk(list(entry.values()))
        elif isinstance(entry, list):
            for value in entry:
                yield from walk(value)

    return set(walk(yaml.safe_load((repository() / "_toc.yml").read_text("utf-8"))))


def paper_runs(paper: str, model: str, others: Mapping[str, str] | None = None) -> HTML:
    """Show the runs of a paper with the accuracy of ``model``, and which of its datasets have none.

    ``others`` names the model of datasets on which the paper's own is another.
    """
    from fer_lib.judge.report import subsets

    shown, rows = runs.find(paper=paper), []
    score = f"{'Accuracy' if others else model} [95 %]"
    for run in shown:
        own = (others or {}).get(run.dataset, model)
        made = run.info.get("provenance", {})
        # Of all processes that a resumed run took, unlike the wall time of its last one.
        seconds = run.info.get("training_seconds")
        minutes = f"{seconds / 60:.1f} min of training" if seconds else None
        protocol = f"protocol {run.info['protocol']}" if run.info.get("protocol") else ""
        rows.append(
            {
                "Run": two_lines(run_link(run), protocol, Short),
                score: _accuracy(subsets(run, own).iloc[0]) if own in run.models() else None,
                "Test images": len(run.predictions(run.models()[0])["labels"]),
                "Made on": two_lines(made.get("gpu") or made.get("cpu"), minutes, Long),
            }
        )
    frame = claims.frame(paper)
    for name in dict.fromkeys(frame.loc[frame["ours"], "corpus"].dropna()):
        if name not in {run.dataset for run in shown}:
            rows.append({"Run": dataset_title(name), score: ABSENT, "Test images": None, "Made on": None})
    return table(rows, [score, "Test images"], "Runs")


def _accuracy(row: Mapping[str, Any]) -> Html | None:
    """Return a row of :func:`fer_lib.judge.report.subsets` as a figure with its interval."""
    return interval(row["accuracy"], row["low"], row["high"])


def guessing(shown: Iterable[runs.Run], model: str) -> Markdown | None:
    """Say what guessing gives, and in which runs a model is not surely better than that."""
    by_classes: dict[int, list[str]] = {}
    for run in shown:
        at_guessing = by_classes.setdefault(len(run.info["classes"]), [])
        if model in run.models():
            stored, samples = run.predictions(model), run.samples().drop_duplicates("ids").set_index("ids")
            right = stored["probabilities"].argmax(1) == stored["labels"]
            people = samples["subject"].loc[stored["ids"]]
            groups = stored["ids"] if people.isna().any() or people.eq("").any() else people.to_numpy()
            if metrics.interval(right, groups)[0] <= 1 / len(run.info["classes"]):
                at_guessing.append(f"*{run_name(run)}*")
    said = []
    for n, names in by_classes.items():
        line = f"Guessing among {n} expressions gives {100 / n:.2f}."
        if names:
            line += (
                f" The network of {' and '.join(names)} is not surely better: what follows of it shows how "
            )
            line += "figures are computed, not what it can do."
        said.append(line)
    return Markdown("\n\n".join(said)) if said else None


def printed_gains(paper: str, better: str, worse: str) -> HTML:
    """Show what a paper's own tables print for two of its models, the largest dataset first."""
    rows = []
    for row in paper_tables.printed_gains(paper, better, worse).to_dict("records"):
        figures = {name: Html(f"{row[name]:.2f}") for name in (worse, better)}
        gain = Html(f"{row['gain']:+.2f}")
        rows.append({"Dataset": Short(row["dataset"]), "Images": row["images"]} | figures | {"Gain": gain})
    return table(rows, list(rows[0])[1:], "Printed gains by dataset")


def sizes(shown: Iterable[runs.Run], better: str, worse: str) -> HTML:
    """Show, per run and size of the training part, two models' accuracies and the gain."""
    rows = []
    for run in shown:
        frame = run.table("sizes")
        if frame.empty:
            continue
        wide = 100 * frame.pivot_table(index="n", columns="model", values="accuracy")
        for n, row in wide.iterrows():
            label = two_lines(f"{n:,}", f"{run_name(run)}, about {run.info['plan']['steps']} steps", Short)
            gain = Html(f"{row[better] - row[worse]:+.1f}")
            figures = {name: Html(f"{row[name]:.1f}") for name in (worse, better)}
            rows.append({"Training images": label} | figures | {"Gain": gain})
    return table(rows, [better, worse, "Gain"], "Accuracy by number of training images")


def three_ways(shown: Iterable[runs.Run], models: Sequence[str]) -> HTML:
    """Show accuracies on all test images, without twins and without conflicting labels."""
    from fer_lib.judge.report import subsets

    rows = []
    for run in shown:
        for model in models:
            row = {"Model": two_lines(model, run_name(run), Short)}
            for part in subsets(run, model).to_dict("records"):
                row[part["subset"].capitalize()] = two_lines(_accuracy(part), f"{part['n']:,} images")
            rows.append(row)
    return table(rows, list(rows[0])[1:] if rows else (), "Accuracy without questionable test images")


# --- claims ------------------------------------------------------------------------------------


def verdicts(frame: pd.DataFrame, label: str) -> HTML:
    """Show claims beside runs (rows of ``compare``), folded up per model where many."""
    if len(frame) <= FOLDED:
        return _verdicts(frame, label)
    parts = []
    names = frame["model"].mask(frame["metric"] == "order", "Order and quality")
    for model, part in frame.groupby(names.mask(frame["role"] == "data", "Counts"), sort=False):
        head = f'<span class="name">{escape(model)}</span> {badges(part["verdict"])}'
        body = _verdicts(part, f"{label}: {model}").data
        parts.append(f'<details class="fer-fold"><summary>{head}</summary>{body}</details>')
    return HTML("\n".join(parts))


def _verdicts(frame: pd.DataFrame, label: str) -> HTML:
    rows = []
    for row in frame.to_dict("records"):
        run = row["run"].split("/", 2)[2].replace("/", ", ").replace("seed", "seed ") if row["run"] else ""
        figure = ours(row)
        rows.append(
            {
                "Claim": two_lines(row["model"], f"{measure(row)}, {row['table']}", Long),
                "Claimed": row["claimed"],
                "Ours [95 %]": two_lines(figure, run if figure else ""),
                "Verdict": because(row),
            }
        )
    return table(rows, ["Claimed", "Ours [95 %]"], label)


def ours(row: Mapping[str, Any]) -> Html | None:
    """Return our figure for a claim in the claim's unit, with its interval; None where there is none."""
    if row["unit"] == "probability":
        return None if pd.isna(row["ours"]) else Html(f"{row['ours']:.2g}")
    return interval(row["ours"], row["low"], row["high"])


def because(row: Mapping[str, Any]) -> Long:
    """Return a verdict with its reason, a figure that may not judge, and what else is to be said."""
    said = " ".join(filter(None, (row["apart"], row["remark"])))
    beside = f'<span class="small beside">{escape(said)}</span>' if said else ""
    reason = row["reason"].removeprefix(f"{row['verdict']}: ")  # which the badge says
    return Long(two_lines(badge(row["verdict"]), reason, Long) + beside)


def measure(row: Mapping[str, Any]) -> str:
    """Return what a claim measures, in words."""
    metric = str(row["metric"]).replace("_", " ")
    if isinstance(row["expression"], str):
        return f"{metric.removeprefix('class ')} of {row['expression']}"
    if metric != "confidence":
        return metric
    image, condition = _shown(row["paper"])[row["id"]]
    return f"{metric} on image {image}, {condition}"


@cache
def _shown(paper: str) -> dict[str, tuple[str, str]]:
    """Return, by claim, the image that a printed confidence is for and what was done to it."""
    frame = claims.frame(paper).dropna(subset=["image", "condition"])
    words = frame["condition"].str.replace("_", " ").str.replace("color", "colour")
    return dict(zip(frame["id"], zip(frame["image"], words, strict=True), strict=True))


def protocols() -> HTML:
    """Show the protocols of every paper, less those of quoted figures."""
    rows = []
    for key in claims.PAPERS:
        for entry in claims.load(key).protocols:
            if entry["id"].startswith("quoted"):
                continue
            samples = entry["samples"]
            rows.append(
                {
                    "Dataset": two_lines(entry["dataset"], NAMES[key]),
                    "Split, as far as the paper says": two_lines(entry["split"], entry.get("source"), Long),
                    "Test images": samples.get("test") if isinstance(samples, dict) else samples,
                }
            )
    return table(rows, ["Test images"], "Protocols of the papers")
