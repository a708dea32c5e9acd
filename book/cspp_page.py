"""What the pages on C-SPP and on inflated accuracies show, from evidence."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from IPython.display import HTML, Markdown, display
from markup import NOT_RUN, Html, Short, interval, table, two_lines
from overview import dataset_title, run_link, run_name

from fer_lib import inflation, runs


def waterfalls(made: Iterable[runs.Run]) -> HTML | None:
    """Show, run by run, what each habit adds to an accuracy; say so where there is no run."""
    shown = [(run, run.table("inflation")) for run in made]
    shown = [(run, frame) for run, frame in shown if len(frame)]
    for run, frame in shown:
        model, folds = frame["model"].iloc[0], frame["folds"].iloc[0]
        display(Markdown(f"### {run_name(run)}"))
        display(HTML(f"<p>{run_link(run)}: {model} in {folds}-fold cross-validation.</p>"))
        display(inflation.figure(frame))
        display(_steps(frame, run_name(run)))
    return None if shown else NOT_RUN


def _steps(frame: Any, label: str) -> HTML:
    """Show the figures of one waterfall."""
    rows = []
    for step in (frame.set_index("step")[list(inflation.COLUMNS[1:-1])] * 100).itertuples():
        rows.append(
            {
                "Step": step.Index,
                "Accuracy [95 %]": interval(step.accuracy, step.low, step.high),
                "Gain in points [95 %]": None
                if np.isnan(step.gain)
                else Html(f"{step.gain:+.1f} [{step.gain_low:+.1f}, {step.gain_high:+.1f}]"),
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
