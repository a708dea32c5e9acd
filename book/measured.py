"""Tables of what runs measured; runs that differ in nothing but their seed are taken together."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import pandas as pd
from about_runs import dataset_title, run_name
from IPython.display import HTML
from markup import Html, Short, cell, interval, number, table, with_note

from fer_lib import claims
from fer_lib.evidence import runs
from fer_lib.judge import answers, report


def families(shown: Iterable[runs.Run]) -> dict[str, list[runs.Run]]:
    """Return runs by what they are called without their seed."""
    found: dict[str, list[runs.Run]] = {}
    for run in shown:
        name = ", ".join(filter(None, (dataset_title(run.dataset), run.budget, run.variant)))
        found.setdefault(name, []).append(run)
    return found


def _first(what: str, family: str, n: int) -> Html:
    """Return the first cell of a row: what is measured, in which runs, over how many seeds."""
    return with_note(what, f"{family}, {n} seed{'s' * (n > 1)}", Short)


def accuracies(shown: Iterable[runs.Run], models: Sequence[str]) -> HTML:
    """Show the accuracy of each model over the seeds of each family of runs, and the majority rule's."""
    rows = []
    for family, members in families(shown).items():
        held = [model for model in models if all(model in run.models() for run in members)]
        for model in held:
            found = answers.scores(members, model).mean()
            rows.append(
                {
                    "Network": _first(model, family, len(members)),
                    "Accuracy (%) [95 %]": interval(found.ours, found.low, found.high),
                    "By seed": Short(", ".join(f"{value:.1f}" for value in found.seeds)),
                    "Test samples": found.n,
                }
            )
        if held:
            counts = np.bincount(members[0].predictions(held[0])["labels"])
            commonest = number(100 * counts.max() / counts.sum())
            name = with_note("the commonest expression, always", family, Short)
            rows.append(
                {"Network": name, "Accuracy (%) [95 %]": commonest, "By seed": None, "Test samples": None}
            )
    return table(rows, label="Accuracy over seeds")


def leads(paper: str, shown: Iterable[runs.Run], pairs: Sequence[tuple[str, str]]) -> HTML:
    """Show the lead of one model over another on the same samples, beside the difference that is printed."""
    frame = claims.frame(paper).query("metric == 'accuracy_difference'")
    printed = frame.set_index(["corpus", "model"])["value"].to_dict()
    rows = []
    for family, members in families(shown).items():
        for better, worse in pairs:
            if not all({better, worse} <= set(run.models()) for run in members):
                continue
            found = answers.lead(members, better, worse)
            rows.append(
                {
                    "Difference": _first(f"{better} minus {worse}", family, len(members)),
                    "Printed": number(printed.get((members[0].dataset, f"{better} minus {worse}")), sign="+"),
                    "Points [95 %]": interval(found.ours, found.low, found.high, sign="+"),
                    "By seed": Short(", ".join(f"{value:+.1f}" for value in found.seeds)),
                }
            )
    return table(rows, label="Differences over seeds")


def without_questionable(shown: Iterable[runs.Run], models: Sequence[str]) -> HTML:
    """Show accuracies on all test images, without twins in training and without conflicting labels."""
    rows = []
    for run in shown:
        for model in (model for model in models if model in run.models()):
            row = {"Model": with_note(model, run_name(run), Short)}
            for part in report.subsets(run, model).to_dict("records"):
                value = interval(part["accuracy"], part["low"], part["high"])
                row[part["subset"].capitalize()] = with_note(value, f"{part['n']:,} images")
            rows.append(row)
    return table(rows, label="Accuracy without questionable test images")


def evidence(
    shown: Iterable[runs.Run],
    name: str,
    by: Sequence[str],
    columns: Mapping[str, tuple] | None = None,
    label: str = "",
) -> HTML:
    """Show a table of the evidence over seeds: means, and below them the smallest and the largest.

    Parameters
    ----------
    name
        The table's name in the evidence.
    by
        Its columns that say what a row is about.
    columns
        Column head to (column, digits, factor, sign), the last three optional; all others unless given.
        What a run did not measure is a dash.
    """
    rows = []
    for family, members in families(shown).items():
        frames = [frame.assign(seed=run.seed) for run in members if len(frame := run.table(name))]
        if not frames:
            continue
        frame = pd.concat(frames)
        wanted = columns or {text.capitalize(): (text, 2) for text in frame if text not in (*by, "seed")}
        for key, part in frame.groupby(list(by), sort=False, dropna=False):
            row = {
                "": _first(
                    ", ".join(str(value).replace("_", " ") for value in key), family, part["seed"].nunique()
                )
            }
            rows.append(row | {head: _over_seeds(part.get(how[0]), *how[1:]) for head, how in wanted.items()})
    return table(rows, label=label or name.replace("_", " ").capitalize())


def _over_seeds(
    values: pd.Series | None, digits: int = 2, factor: float = 1.0, sign: str = ""
) -> Html | None:
    """Return the mean and, where they differ as printed, the smallest and the largest below it, or text."""
    if values is None or values.isna().all():
        return None
    if not pd.api.types.is_numeric_dtype(values):
        return Html("<br>".join(map(cell, dict.fromkeys(values.dropna()))))
    values = factor * values.dropna()
    mean, least, most = (f"{value:{sign}.{digits}f}" for value in (values.mean(), values.min(), values.max()))
    return with_note(Html(mean), f"{least} to {most}" if least != most else "")


def robustness(shown: Iterable[runs.Run]) -> HTML:
    """Show, per run and model, the accuracy on clear images and the points that full severity costs."""
    rows = []
    for run in shown:
        frame = run.table("robustness")
        for model, mine in frame.groupby("model", sort=False) if len(frame) else ():
            clear = mine[mine["severity"] == 0].iloc[0]
            hard = mine[mine["severity"] == mine["severity"].max()].set_index("condition")["accuracy"]
            row = {
                "Model": with_note(model, run_name(run), Short),
                "Clear (%)": with_note(number(100 * clear["accuracy"], 1), f"{int(clear['n']):,} images"),
            }
            for condition in dict.fromkeys(frame["condition"]):
                lost = 100 * (hard.get(condition, np.nan) - clear["accuracy"])
                row[condition.replace("_", " ").capitalize()] = number(lost, 1, "+")
            rows.append(row)
    return table(rows, label="Points lost under occlusion and light")
