"""Runs that differ in nothing but their seed, taken together: what holds over seeds and what does not."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd
from IPython.display import HTML
from markup import Html, Short, interval, table, two_lines
from overview import dataset_title

from fer_lib import claims
from fer_lib.evidence import runs
from fer_lib.learn import metrics


def families(shown: Iterable[runs.Run]) -> dict[str, list[runs.Run]]:
    """Return runs by what they are called without their seed."""
    found: dict[str, list[runs.Run]] = {}
    for run in shown:
        name = ", ".join(filter(None, (dataset_title(run.dataset), run.budget, run.variant)))
        found.setdefault(name, []).append(run)
    return found


def spread(values: Iterable[float], digits: int = 1, factor: float = 1.0, sign: str = "") -> Html | None:
    """Return the mean over seeds and, where they differ as printed, the smallest and the largest below it."""
    values = [factor * value for value in values if not pd.isna(value)]
    if not values:
        return None
    mean, least, most = (f"{v:{sign}.{digits}f}" for v in (np.mean(values), min(values), max(values)))
    return two_lines(Html(mean), f"{least} to {most}" if least != most else "")


def tables(
    shown: Iterable[runs.Run], name: str, by: Sequence[str]
) -> Iterator[tuple[str, Any, pd.DataFrame]]:
    """Yield (family, key, rows) of a table of the evidence; the rows of one key are those of all seeds."""
    for family, members in families(shown).items():
        frames = [run.table(name).assign(seed=run.seed) for run in members]
        frames = [frame for frame in frames if len(frame)]
        if frames:
            for key, rows in pd.concat(frames).groupby(list(by), sort=False):
                yield family, key, rows


def named(what: str, family: str, rows: pd.DataFrame | Sequence[Any]) -> Html:
    """Return the first cell of a row: what is measured, in which runs, over how many seeds."""
    n = rows["seed"].nunique() if isinstance(rows, pd.DataFrame) else len(rows)
    return two_lines(what, f"{family}, {n} seed{'s' * (n > 1)}", Short)


def measured(members: Sequence[runs.Run], model: str, minus: str | None = None) -> dict[str, Any]:
    """Return the accuracy of a model, or its lead over another, in per cent.

    Returns
    -------
    dict
        ``mean``, ``low`` and ``high`` (images, or subjects, and seeds are drawn anew for the interval),
        and ``seeds``, the values of the single runs.
    """
    columns = []
    for run in members:
        right = _right(run, model) - (_right(run, minus) if minus else 0)
        columns.append(100 * right)
    wide = pd.concat(columns, axis=1, keys=range(len(columns)))
    if wide.isna().any(axis=None):  # seeds that test different images share the images themselves
        wide = pd.concat(columns).to_frame()
    subjects = pd.concat(run.samples() for run in members).drop_duplicates("ids").set_index("ids")["subject"]
    groups = wide.index.to_numpy(str)
    if subjects.ne("").all():
        groups = subjects[wide.index].to_numpy(str)
    low, high = metrics.interval(wide.to_numpy().T, groups)
    seeds = [column.mean() for column in columns]
    return {"mean": float(np.mean(seeds)), "low": low, "high": high, "seeds": seeds}


def _right(run: runs.Run, model: str) -> pd.Series:
    """Return 1 for right and 0 for wrong by image; of an image tested several times, the mean."""
    rows = run.predictions(model)
    right = (rows["probabilities"].argmax(1) == rows["labels"]).astype(float)
    return pd.Series(right, rows["ids"]).groupby(level=0).mean()


def accuracies(shown: Iterable[runs.Run], models: Sequence[str]) -> HTML:
    """Show the accuracy of each model over the seeds of each family of runs."""
    rows = []
    for family, members in families(shown).items():
        for model in models:
            found = measured(members, model)
            figures = {"Accuracy [95 %]": interval(*(found[name] for name in ("mean", "low", "high")))}
            rows.append(
                {"Network": named(model, family, members)} | figures | {"By seed": _each(found["seeds"])}
            )
    return table(rows, list(rows[0])[1:] if rows else (), "Accuracy over seeds")


def differences(paper: str, shown: Iterable[runs.Run], pairs: Sequence[tuple[str, str]]) -> HTML:
    """Show the lead of one model over another over seeds, beside the difference that is printed."""
    rows = []
    frame = claims.frame(paper).query("metric == 'accuracy_difference'")
    printed = frame.set_index(["corpus", "model"])["value"].to_dict()
    for family, members in families(shown).items():
        for better, worse in pairs:
            found = measured(members, better, worse)
            name = f"{better} minus {worse}"
            claimed = printed.get((members[0].dataset, name))
            rows.append(
                {
                    "Difference": named(name, family, members),
                    "Printed": None if claimed is None else Html(f"{claimed:+.2f}"),
                    "Points [95 %]": _points(found),
                    "By seed": _each(found["seeds"], "+"),
                }
            )
    return table(rows, list(rows[0])[1:] if rows else (), "Differences over seeds")


def _points(found: dict[str, Any]) -> Html:
    return Html(
        f'{found["mean"]:+.2f} <span class="interval">[{found["low"]:+.2f}, {found["high"]:+.2f}]</span>'
    )


def _each(values: Sequence[float], sign: str = "") -> Short:
    return Short(", ".join(f"{value:{sign}.1f}" for value in values))
