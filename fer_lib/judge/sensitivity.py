"""What an open reading costs: the same run with one reading flipped, on the same test images.

Which readings are flipped stands in ``sensitivity.yaml``. Their runs are probes: a small network on a part
of the data, because a dozen full runs are out of reach of most machines. A probe says which readings matter
at that scale; it says nothing about a paper's figure.
"""

from __future__ import annotations

import json
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from fer_lib.evidence.provenance import RUN_PARAMETERS, knobs
from fer_lib.evidence.runs import Run, find
from fer_lib.judge import answers
from fer_lib.learn import metrics

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = (
    *("paper", "dataset", "budget", "knob", "default", "value", "model", "n", "seeds"),
    *("ours", "other", "difference", "low", "high", "spread", "spread_seeds", "clear", "started"),
)
ONE_ANSWER = 0.95
"""A network that gives one answer to more of its test images has never started to learn."""


class Probe(NamedTuple):
    """One run of the sensitivity matrix; ``variant`` is ``knob=value``, "" for our own readings."""

    paper: str
    seed: int
    variant: str


def planned() -> list[Probe]:
    """Return the runs of the sensitivity matrix, of each paper our own readings first."""
    import yaml

    plan = yaml.safe_load((files("fer_lib.judge") / "sensitivity.yaml").read_text("utf-8"))
    made = []
    for paper, readings in plan["readings"].items():
        flips = [f"{knob}={value}" for knob, value in readings.items()]
        made += [Probe(paper, seed, "") for seed in plan["ours"]]
        made += [Probe(paper, seed, flip) for flip in flips for seed in plan["others"]]
    return made


def effects(root: str | Path = "results", probes: bool = True) -> pd.DataFrame:
    """Return what flipping one reading alone changed, in all runs below ``root`` that did so.

    A run is compared with the run that differs from it in that reading only, model by model, on the test
    images that both have. The runs are ``probes``, or else whole runs of the chapters. One row per reading,
    corpus, budget and model, with :data:`COLUMNS`, all in per cent or points: ``n`` test images shared,
    ``seeds`` on both sides, accuracies of ``ours`` and the ``other`` reading on those images, their
    ``difference`` (other minus ours) with its 95 % interval (images, or subjects, and seeds drawn), and
    ``spread``: how far ours moves by the seed alone (largest minus smallest accuracy of ``spread_seeds``
    seeds; NaN with one). ``clear``: the interval leaves zero out and the difference is larger than the
    spread. ``started``: the other reading's networks give more than one answer, else nothing is measured.
    """
    import pandas as pd

    runs = find(root, probes=probes)
    plain = {_place(run): run for run in runs if not run.variant}
    groups: dict[tuple, list[tuple[Run, Run]]] = {}
    for run in runs:
        ours = plain.get(_place(run))
        flip = _flipped(run, ours) if ours is not None and run.variant else None
        if flip is not None:
            groups.setdefault((*_place(run)[:-1], *flip), []).append((run, ours))
    rows = []
    for (paper, dataset, budget, data, *flip), pairs in groups.items():
        every = [run for place, run in plain.items() if place[:-1] == (paper, dataset, budget, data)]
        for model in sorted(set.intersection(*(set(run.models()) for pair in pairs for run in pair))):
            if "@" not in model:
                rows.append((paper, dataset, budget, *flip, model, *_effect(pairs, every, model)))
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _place(run: Run) -> tuple[Any, ...]:
    """Return what two runs must have in common to differ in their readings alone."""
    # A fingerprint is of the images as a reading prepares them.
    told = ("copy", "counts", "audit") if run.info.get("audit") else ("fingerprint",)
    data = json.dumps([run.info.get(name) for name in told], sort_keys=True)
    return run.paper, run.dataset, run.budget, data, run.seed


def _flipped(run: Run, ours: Run) -> tuple[str, Any, Any] | None:
    """Return the one parameter that differs, its value in ours and in the run; None if several do."""
    theirs, register = run.info.get("parameters", {}), knobs(run.paper)
    # A parameter that came later had its default before.
    own = {name: default for name, (default, _) in register.items()} | ours.info.get("parameters", {})
    names = (name for name in theirs if name in own and name not in RUN_PARAMETERS)
    changed = [(name, own[name], theirs[name]) for name in names if own[name] != theirs[name]]
    return changed[0] if len(changed) == 1 else None


def _effect(pairs: list[tuple[Run, Run]], every: list[Run], model: str) -> tuple[Any, ...]:
    """Return the columns after ``model`` over the seeds of one flipped reading."""
    import pandas as pd

    others, ours = ([_hits(pair[side], model) for pair in pairs] for side in (0, 1))
    # Pandas aligns the images of each pair; a reading may change which images are tested.
    gaps = [(a - b).dropna() for a, b in zip(others, ours, strict=True)]
    gaps = pd.concat(gaps, axis=1, keys=range(len(pairs)))
    values, groups = gaps.to_numpy().T, gaps.index.get_level_values("group")
    if np.isnan(values).any():  # seeds with other images: one row of all of them
        seen = ~np.isnan(values)
        values, groups = values[seen][None], np.broadcast_to(groups, seen.shape)[seen]
    low, high = metrics.interval(values, groups)
    difference = float(values.mean())
    seeds = [_hits(run, model).mean() for run in every if model in run.models()]
    spread = max(seeds) - min(seeds) if len(seeds) > 1 else np.nan
    kept = [a.index.intersection(b.index) for a, b in zip(others, ours, strict=True)]
    means = (
        np.mean([hits[index].mean() for hits, index in zip(side, kept, strict=True)])
        for side in (ours, others)
    )
    given = (answers.scores([run], model).tables[0]["answer"] for run, _ in pairs)
    started = all(said.value_counts(normalize=True).max() < ONE_ANSWER for said in given)
    clear = bool(started and (low > 0 or high < 0) and abs(difference) > spread)
    figures = (100 * float(value) for value in (*means, difference, low, high, spread))
    return len(gaps), len(pairs), *figures, len(seeds), clear, started


def _hits(run: Run, model: str) -> pd.Series:
    """Return right (1) or wrong (0) by fold, image and group: the image's subject, else the image itself."""
    table = answers.scores([run], model).tables[0]
    return table.set_index(["fold", "ids", "group"])["correct"].sort_index()
