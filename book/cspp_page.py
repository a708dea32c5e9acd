"""What the pages on C-SPP and on inflated accuracies show, from evidence."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from IPython.display import HTML, Markdown, display
from markup import NOT_RUN, Html, Long, Short, interval, table, two_lines
from overview import dataset_title, run_link, run_name

from fer_lib import claims
from fer_lib.evidence import runs
from fer_lib.judge import forensics, inflation
from fer_lib.learn import metrics
from fer_lib.show import plots

STEPS = {
    "Benchmark": "the network of Lopes et al., run by the authors",
    "SmallKernels": "two 3×3 kernels in place of 5×5, 3×3 and 5×5 in place of 7×7",
    "Plain7CNN": "one more stage: two convolutions and a pool",
    "Plain8CNN": "three 3×3 kernels in place of 3×3 and 5×5",
    "C-SPP": "Plain7CNN with a pyramid over the last map and one over an early map",
}
"""What is new in each network of Sect. 4.2."""


def headline() -> str:
    """Return what the paper claims of people it has not seen, corpus by corpus."""
    frame = claims.frame("cspp").query("table == 'Table 3' and metric == 'accuracy'")
    return ", ".join(f"{row.dataset} {row.value:.2f}" for row in frame.itertuples()) + " %"


def ladder() -> HTML:
    """Show the five networks as the paper grows them: size, claimed accuracy and what it is in images.

    Images are marked ``about`` where no number of them rounds to the claim.
    """
    from fer_lib.learn.layers import count_parameters
    from fer_lib.papers.cspp.network import NETWORKS, build

    frame = claims.frame("cspp").query("table == 'Sect. 4.2' and metric == 'accuracy'").set_index("model")
    fits = forensics.fractions("cspp").set_index("id")["fits"]
    rows, before, about = [], {}, {}
    for name in NETWORKS:
        claimed = frame.loc[name]
        n = claims.load("cspp").protocol(claimed["protocol"])["samples"]
        right = before[name] = round(n * claimed["value"] / 100)
        about[name] = "" if fits[claimed["id"]] == "rounded" else "about "
        low, high = metrics.wilson(right, n)
        origin = {"Benchmark": None, "C-SPP": "Plain7CNN"}.get(name, NETWORKS[NETWORKS.index(name) - 1])
        step = None
        if origin is not None:
            hedge = about[name] or about[origin]
            step = Html(f"{hedge}{right - before[origin]:+d}".replace("-", "−"))
        rows.append(
            {
                "Network": two_lines(name, STEPS[name], Long),
                "Parameters": count_parameters(build(name)),
                "Claimed [95 %]": interval(claimed["value"], 100 * low, 100 * high),
                f"Right of {n}": Html(f"{about[name]}{right}"),
                "Step in images": None if step is None else two_lines(step, f"from {origin}"),
            }
        )
    return table(rows, list(rows[0])[1:], "The five networks")


def waterfalls(made: Iterable[runs.Run]) -> HTML | None:
    """Show, run by run, what each habit adds to an accuracy; say so where there is no run."""
    shown = [(run, run.table("inflation")) for run in made]
    shown = [(run, frame) for run, frame in shown if len(frame)]
    for run, frame in shown:
        model, folds = frame["model"].iloc[0], frame["folds"].iloc[0]
        display(Markdown(f"### {run_name(run)}"))
        display(HTML(f"<p>{run_link(run)}: {model} in {folds}-fold cross-validation.</p>"))
        display(plots.waterfall(frame))
        display(_steps(frame, run_name(run)))
    return None if shown else NOT_RUN


def _steps(frame: Any, label: str) -> HTML:
    """Show the figures of one waterfall."""
    rows = []
    for step in (frame.set_index("step")[list(inflation.COLUMNS[1:-1])] * 100).itertuples():
        rows.append(
            {
                "Step": step.Index,
                "Accuracy [95 %]": Html(inflation.bounded(step.accuracy, step.low, step.high, ".1f")),
                "Gain in points [95 %]": None
                if np.isnan(step.gain)
                else Html(inflation.bounded(step.gain, step.gain_low, step.gain_high, "+.1f")),
            }
        )
    return table(rows, list(rows[0])[1:], label)


def across(made: Iterable[runs.Run]) -> HTML:
    """Show what the models of one corpus's folds reach on other corpora."""
    rows = []
    for run in made:
        for name, facts in run.info.get("across_datasets", {}).items():
            percent = [100 * facts[key] for key in ("accuracy", "low", "high")]
            other = name if name.startswith("synthetic") else dataset_title(name)
            rows.append(
                {
                    "Trained on": run_link(run),
                    "Tested on": Short(other),
                    "Models": len(facts["models"]),
                    "Mean accuracy [95 %]": interval(*percent),
                }
            )
    return table(rows, ["Models", "Mean accuracy [95 %]"], "Across datasets")


def neighbours(made: Iterable[runs.Run]) -> HTML:
    """Show how well neighbours in the features name the expression, and the person."""
    rows = []
    for run in made:
        for row in run.table("neighbours").to_dict("records"):
            name, *figures = row.items()
            cells = {key.capitalize(): Html(f"{value:.1f}") for key, value in figures if value == value}
            empty = {key.capitalize(): None for key, _ in figures}
            rows.append({"Features": two_lines(name[1], run_name(run), Short)} | empty | cells)
    return table(rows, list(rows[0])[1:] if rows else (), "What neighbours know")
