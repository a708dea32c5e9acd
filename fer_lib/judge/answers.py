"""What a run's predictions say of a claim: the same figure from ours, with its interval.

Figures are in the unit of their claim: percent, percentage points, or a probability for a p-value.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from fer_lib.errors import FerError
from fer_lib.evidence.runs import Run
from fer_lib.expressions import EXPRESSIONS
from fer_lib.judge import significance
from fer_lib.learn import metrics

if TYPE_CHECKING:
    import pandas as pd


class NotComparableError(FerError):
    """Why a claim cannot be set against a run."""


class Answer(NamedTuple):
    """Our figure for a claim, its 95 % interval (NaN where it has none) and how many samples it is over."""

    ours: float
    low: float
    high: float
    n: int


@dataclass(frozen=True)
class Scores:
    """Right (1) or wrong (0) per test sample of one model.

    ``correct`` (S, N) and ``fold`` (S, N) have one row per seed where all seeds test the same samples,
    else one row with everything; ``labels``, ``groups`` (subjects, else samples) and ``ids`` are (N,).
    """

    correct: np.ndarray
    fold: np.ndarray
    labels: np.ndarray
    groups: np.ndarray
    ids: np.ndarray

    def mean(
        self, keep: np.ndarray | None = None, weights: np.ndarray | None = None, proportion: bool = True
    ) -> Answer:
        """Return the (weighted) mean over the samples to ``keep``, in percent."""
        keep = np.ones(len(self.labels), bool) if keep is None else keep
        if not keep.any():
            return Answer(np.nan, np.nan, np.nan, 0)
        correct, groups = self.correct[:, keep], self.groups[keep]
        weights = np.ones(correct.shape) if weights is None else weights
        low, high = metrics.interval(correct, groups, weights=weights)
        ours, n = float(np.average(correct, axis=1, weights=weights).mean()), len(np.unique(self.ids[keep]))
        if proportion and ours in (0.0, 1.0):
            # Resampling equal answers says nothing: 30 of 30 is not certainty.
            low, high = metrics.wilson(ours * n, n)
        return Answer(100 * ours, 100 * low, 100 * high, n)


def name(run: Run) -> str:
    """Return ``paper/dataset/budget/seed``, which says where a run lies below the results folder."""
    return "/".join(Path(run.path).parts[-4:])


def stored(claim: dict[str, Any], run: Run) -> str:
    """Return the name that a claim's model has in a run: under a further protocol it ends in that.

    A run tests by its own protocol, and may by others: on another corpus, or with other folds.
    """
    further = f"{claim['model']}@{claim.get('protocol')}"
    return further if claim.get("train_dataset") or further in run.models() else claim["model"]


def follows(run: Run, claim: dict[str, Any]) -> bool:
    """Whether a run tests by a claim's protocol, as its own or as a further one."""
    own = run.info.get("protocol") == claim["protocol"]
    return own or f"{claim['model']}@{claim['protocol']}" in run.models()


def measure(claim: dict[str, Any], runs: list[Run]) -> Answer:
    """Return what runs that differ in nothing but their seed give for a claim.

    Parameters
    ----------
    claim
        A row of :func:`fer_lib.claims.frame` whose ``metric`` is one of :data:`METRICS`.

    Raises
    ------
    NotComparableError
        If the runs hold no predictions of its models, or none of its class.
    """
    return METRICS[claim["metric"]](claim, runs)


def _accuracy(claim: dict[str, Any], runs: list[Run]) -> Answer:
    return scores(runs, stored(claim, runs[0])).mean()


def _class_accuracy(claim: dict[str, Any], runs: list[Run]) -> Answer:
    found = scores(runs, stored(claim, runs[0]))
    return found.mean(keep=found.labels == _class_index(runs[0], claim["expression"]))


def _mean_class_accuracy(claim: dict[str, Any], runs: list[Run]) -> Answer:
    found = scores(runs, stored(claim, runs[0]))
    return found.mean(weights=np.tile(metrics.class_weights(found.labels), (len(found.correct), 1)))


def _mean_fold_accuracy(claim: dict[str, Any], runs: list[Run]) -> Answer:
    found = scores(runs, stored(claim, runs[0]))
    return found.mean(weights=np.stack([metrics.class_weights(fold) for fold in found.fold]))


def _difference(claim: dict[str, Any], runs: list[Run]) -> Answer:
    """Pair two models sample by sample; against several, with the mean of their accuracies."""
    left, _, right = claim["model"].partition(" minus ")
    first, *others = (scores(runs, model) for model in (left, *(claim["against"] or [right])))
    against = np.mean([other.correct for other in others], axis=0)
    return replace(first, correct=first.correct - against).mean(proportion=False)


def _error_reduction(claim: dict[str, Any], runs: list[Run]) -> Answer:
    """Return by how many per cent of the errors of ``B`` those of ``A`` are fewer, for ``A against B``."""
    left, _, right = claim["model"].partition(" against ")
    better, worse = scores(runs, left), scores(runs, right)
    fewer, errors = better.correct - worse.correct, 1 - worse.correct
    if not errors.any():
        raise NotComparableError(f"{right} makes no error in the run, so none can be saved")
    low, high = metrics.ratio_interval(fewer, errors, better.groups)
    return Answer(100 * fewer.sum() / errors.sum(), 100 * low, 100 * high, len(np.unique(better.ids)))


def _p_value(claim: dict[str, Any], runs: list[Run]) -> Answer:
    """Return the p-value of the test that gives the printed ones; ``n`` is the number of folds."""
    found = p_values(claim, runs)
    return Answer(found["one_sided"], np.nan, np.nan, int(found["folds"]))


def p_values(claim: dict[str, Any], runs: list[Run]) -> dict[str, float]:
    """Return ``p_values`` of a run's own folds, and how many ``folds`` there are.

    Raises
    ------
    NotComparableError
        If a model is missing, seeds have other folds, or fewer than two folds were run.
    """
    better, worse = (scores(runs, model) for model in significance.compared(claim["model"]))
    same = better.fold.shape == worse.fold.shape and (better.fold == worse.fold).all()
    if not same or (better.fold != better.fold[:1]).any():
        raise NotComparableError(
            "the folds of the two models or of the seeds differ, so they cannot be paired"
        )
    folds = list(dict.fromkeys(better.fold[0]))
    if len(folds) < 2:
        raise NotComparableError("a single fold was run, and a test over folds needs several")
    by_fold = [[of.correct[:, better.fold[0] == fold].mean() for fold in folds] for of in (better, worse)]
    return significance.p_values(*by_fold) | {"folds": len(folds)}


METRICS = {
    "accuracy": _accuracy,
    "class_accuracy": _class_accuracy,
    "mean_class_accuracy": _mean_class_accuracy,
    "mean_fold_accuracy": _mean_fold_accuracy,
    "accuracy_difference": _difference,
    "relative_error_reduction": _error_reduction,
    "p_value": _p_value,
}
"""What follows from a run's predictions, by the metric of the claim."""


def _class_index(run: Run, expression: str) -> int:
    classes = run.info.get("classes") or (EXPRESSIONS[:7] if run.dataset == "fer2013" else ())
    if expression not in classes:
        raise NotComparableError(f"the run does not name {expression} among its classes")
    return list(classes).index(expression)


def predictions(run: Run, model: str) -> pd.DataFrame:
    """Return one row per prediction, sorted by sample and fold: ids, fold, label, correct and flags.

    Raises
    ------
    FerError
        If the run has no such model or its ``samples.csv`` misses samples of it.
    """
    read = [run.path / name for name in (f"predictions/{model}.npz", "samples.csv")]
    written = tuple(path.stat().st_mtime_ns for path in read if path.exists())
    return _predictions(run, model, written).copy(deep=False)


@lru_cache(maxsize=256)  # the claims of a table ask for few models, many times
def _predictions(run: Run, model: str, _written: tuple[int, ...]) -> pd.DataFrame:
    import pandas as pd

    rows = run.predictions(model)
    table = pd.DataFrame({column: rows[column] for column in ("ids", "fold")})
    table["label"] = rows["labels"]
    table["correct"] = rows["probabilities"].argmax(axis=1) == rows["labels"]
    samples = run.samples()
    if len(samples):
        key = ["ids"] if samples["ids"].is_unique else ["ids", "fold"]
        extra = samples[[*key, *samples.columns.difference([*table.columns])]].drop_duplicates(key)
        table = table.merge(extra, how="left", on=key, indicator="found")
        if (table.pop("found") != "both").any():
            raise FerError(f"samples.csv of {name(run)} misses samples of {model}; run it again.")
    return table.sort_values(["ids", "fold"], kind="stable", ignore_index=True)


def scores(runs: list[Run], model: str) -> Scores:
    """Collect a model's right and wrong answers over the seeds.

    Raises
    ------
    NotComparableError
        If a run holds no predictions of the model.
    """
    if any(model not in run.models() for run in runs):
        raise NotComparableError(f"the run holds no predictions of a model called {model}")
    tables = [predictions(run, model) for run in runs]
    groups = [t["subject"] if "subject" in t and t["subject"].ne("").all() else t["ids"] for t in tables]
    columns = {part: [t[part].to_numpy() for t in tables] for part in ("correct", "fold", "label", "ids")}
    aligned = all(np.array_equal(ids, columns["ids"][0]) for ids in columns["ids"])
    # Where seeds test different samples, what they share is the sample (or subject) itself.
    rows, flat = (np.stack, lambda parts: parts[0]) if aligned else (_one_row, np.concatenate)
    return Scores(
        correct=rows(columns["correct"]).astype(float),
        fold=rows(columns["fold"]).astype(str),
        labels=flat(columns["label"]),
        groups=flat([group.to_numpy(str) for group in groups]),
        ids=flat(columns["ids"]).astype(str),
    )


def _one_row(parts: Iterable[np.ndarray]) -> np.ndarray:
    return np.concatenate(list(parts))[None]
