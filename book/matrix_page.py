"""What the page on the matrix shows: every run of it, from evidence alone."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import pandas as pd
from IPython.display import HTML
from markup import NOT_RUN, Html, Short, interval, table, two_lines
from overview import ABSENT, NAMES, dataset_title, pages, run_link, run_name

from fer_lib.data import datasets
from fer_lib.evidence import runs
from fer_lib.show.plots import matrix as drawings


def best(made: Iterable[runs.Run]) -> list[runs.Run]:
    """Return of each corpus the runs at its highest budget; photographs come before drawn faces."""
    made = [run for run in made if not run.variant]
    top = {run.dataset: max(_rank(other) for other in made if other.dataset == run.dataset) for run in made}
    chosen = [run for run in made if _rank(run) == top[run.dataset]]
    return sorted(chosen, key=lambda run: (run.dataset == "synthetic", datasets.NAMES.index(run.dataset)))


def _rank(run: runs.Run) -> int:
    return runs.BUDGETS.index(run.budget)


def budgets(shown: Sequence[runs.Run]) -> HTML:
    """Say what the runs on this page are not."""
    lines = []
    if not shown:
        lines.append("Nothing has been run yet.")
    for run in shown:
        if run.dataset == "synthetic":
            lines.append("Synthetic faces are drawn: their figures show that the matrix works, and no more.")
        elif run.budget != "paper":
            changes = Html("; ".join(run.info["changes"]))
            lines.append(f"{run_link(run)} is no full run: {changes}.")
    if not lines:
        return HTML("")
    body = "".join(f"<p>{line}</p>" for line in dict.fromkeys(lines))
    head = '<p class="admonition-title">What these runs are not</p>'
    return HTML(f'<div class="admonition warning budget-banner">{head}{body}</div>')


def _models(shown: Sequence[runs.Run]) -> list[tuple[str, str]]:
    """Return every model with its paper, in the order of the papers."""
    frames = [run.table("costs")[["model", "paper"]] for run in shown]
    known = pd.concat(frames).drop_duplicates("model") if frames else pd.DataFrame({"model": [], "paper": []})
    order = list(NAMES)
    return sorted(known.itertuples(index=False, name=None), key=lambda pair: order.index(pair[1]))


def _name(model: str, paper: str) -> Short:
    """Return a model's cell, with the chapter that it comes from."""
    chapter = f'<a href="{paper}.html">{NAMES[paper]}</a>' if f"book/{paper}" in pages() else NAMES[paper]
    return two_lines(model, Html(chapter), Short)


def _percent(row: pd.Series) -> Html | None:
    return interval(*(100 * row[name] for name in ("accuracy", "low", "high")))


def accuracies(shown: Sequence[runs.Run]) -> HTML:
    """Show models by corpora: accuracy in per cent with its interval."""
    rows = []
    for model, paper in _models(shown):
        row: dict[str, Any] = {"Model": _name(model, paper)}
        for run in shown:
            found = run.table("costs").query("model == @model")
            row[f"{run_name(run)} [95 %]"] = _percent(found.iloc[0]) if len(found) else ABSENT
        rows.append(row)
    return table(rows, list(rows[0])[1:] if rows else (), "Accuracy of every model on every corpus")


def tested(shown: Sequence[runs.Run]) -> HTML:
    """Show what each run was made of and on, and which corpora have none."""
    rows = []
    for run in shown:
        made = run.info.get("provenance", {})
        counts = pd.DataFrame(run.info["counts"]).to_numpy().sum()
        (certificate,) = run.info["certificates"].values()
        protocol = {"official": "official split", "subject": "people held out"}[run.info["common_protocol"]]
        minutes = run.table("costs")["training_seconds"].sum() / 60
        clock = "training" if made.get("gpu") else "processor time for training"
        machine = f"{_counted(made.get('threads'), 'thread')}, {minutes:.1f} min of {clock} per fold"
        rows.append(
            {
                "Run": run_link(run),
                "Protocol": two_lines(protocol, _counted(certificate["n_folds"], "fold")),
                "Images": int(counts),
                "Tested": int(certificate["tested"]),
                "No face found": run.info["faces_found"]["missed"],
                "Made on": two_lines(made.get("gpu") or made.get("cpu"), machine),
            }
        )
    missing = [name for name in datasets.NAMES if name not in {run.dataset for run in shown}]
    blank = {"Images": None, "Tested": None, "No face found": None, "Made on": None}
    rows += [{"Run": Short(dataset_title(name)), "Protocol": ABSENT} | blank for name in missing]
    return table(rows, ["Images", "Tested", "No face found"], "Runs of the matrix")


def _counted(n: int | None, what: str) -> str:
    return f"{n} {what}{'' if n == 1 else 's'}"


def pareto(shown: Sequence[runs.Run]) -> Any:
    """Return the figure of the first run: accuracy against multiply-adds and against time."""
    return drawings.pareto(shown[0].table("costs")) if shown else NOT_RUN


def costs(run: runs.Run) -> HTML:
    """Show what each model of a run costs, at its width and at its paper's."""
    rows = []
    for row in run.table("costs").to_dict("records"):
        narrow = row["parameters"] != row["parameters_full"]
        full = [f"{row['parameters_full']:,}", _millions(row["multiply_adds_full"])]
        full = [f"in full {text}" if narrow else "" for text in full]
        share = f"{row['width']:.2%} of its width" if narrow else ""
        finding = row["finding_milliseconds"]
        rows.append(
            {
                "Model": two_lines(row["model"], share, Short),
                "Parameters": two_lines(f"{row['parameters']:,}", full[0], Short),
                "Multiply-adds": two_lines(_millions(row["multiply_adds"]), full[1], Short),
                "Training (s)": Html(f"{row['training_seconds']:.1f}"),
                "Images/s, training": round(row["training_images_per_second"]),
                "Images/s": round(row["images_per_second"]),
                "Finding (ms)": None if finding != finding else Html(f"{finding:.1f}"),
                "All in (ms)": Html(f"{row['milliseconds']:.2f}"),
            }
        )
    return table(rows, list(rows[0])[1:] if rows else (), f"Costs, {run_name(run)}")


def _millions(count: float) -> str:
    return f"{count / 1e6:,.3g} M" if count < 1e8 else f"{count / 1e6:,.0f} M"


def robustness(run: runs.Run) -> HTML:
    """Show a run's accuracy on clear images and the points lost under each condition at full severity."""
    frame = run.table("robustness")
    frame = frame[frame["severity"].isin((0.0, frame["severity"].max()))]
    rows = []
    for model, mine in frame.groupby("model", sort=False):
        clear = mine[mine["severity"] == 0].iloc[0]
        row = {"Model": Short(model), "Clear [95 %]": _percent(clear)}
        for condition, part in mine.groupby("condition", sort=False):
            hard = part[part["severity"] > 0].iloc[0]
            lost = f"{100 * (hard['accuracy'] - clear['accuracy']):+.1f}"
            row[condition.replace("_", " ").capitalize()] = two_lines(_percent(hard), f"{lost} points")
        rows.append(row)
    return table(rows, list(rows[0])[1:] if rows else (), f"Occlusion and light, {run_name(run)}")


def transfers(shown: Sequence[runs.Run]) -> HTML:
    """Show what the models of one corpus give on another: only the expressions that both have."""
    rows = []
    frames = {run.path: run.table("transfer") for run in shown}
    for model, paper in _models(shown):
        row: dict[str, Any] = {"Model": _name(model, paper)}
        for run in shown:
            for other, facts in run.info["transfer"].items():
                frame = frames[run.path].query("model == @model and tested_on == @other")
                drawn = other == run.dataset == "synthetic"
                to = "other drawn people" if drawn else dataset_title(other)
                head = f"{run_name(run)} to {to}: {facts['n']:,} images, {len(facts['classes'])} classes"
                row[f"{head} [95 %]"] = _percent(frame.iloc[0]) if len(frame) else ABSENT
        rows.append(row)
    return table(rows, list(rows[0])[1:] if rows else (), "Across corpora")


def missing(shown: Sequence[runs.Run]) -> HTML:
    """Say which corpora the models could not be tested on, because they were not there."""
    lines = []
    for run in shown:
        if run.info["absent"]:
            names = ", ".join(dataset_title(name) for name in run.info["absent"])
            lines.append(f"<li>{run_link(run)}: {names} were not on the machine.</li>")
        elif run.dataset == "synthetic":
            lines.append(f"<li>{run_link(run)}: drawn faces of other people only.</li>")
    return HTML(f"<ul>{''.join(lines)}</ul>" if lines else "")
