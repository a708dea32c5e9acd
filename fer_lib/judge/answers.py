"""What a run's predictions say of a claim: the same figure from ours, with its interval.

Figures are in the unit of their claim: per cent, percentage points, or a probability for a p-value.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from fer_lib.claims import Claim
from fer_lib.errors import FerError
from fer_lib.evidence.runs import Run
from fer_lib.expressions import EXPRESSIONS
from fer_lib.judge import significance
from fer_lib.learn import metrics
from fer_lib.learn.metrics import Term

if TYPE_CHECKING:
    import pandas as pd


class NotComparableError(FerError):
    """Why a claim cannot be set against a run."""


class Answer(NamedTuple):
    """Our figure for a claim.

    ``low`` and ``high`` are its 95 % interval over seeds and samples (NaN where it has none), ``n`` is the
    number of samples (folds, for a p-value), ``seeds`` the figure of each seed, and ``seeds_low`` and
    ``seeds_high`` are the t interval over seeds for these samples alone (NaN with one).
    """

    ours: float
    low: float
    high: float
    n: int
    seeds: tuple[float, ...] = ()
    seeds_low: float = np.nan
    seeds_high: float = np.nan

    @classmethod
    def of(cls, terms: Sequence[Term], n: int, proportion: bool = False) -> Answer:
        """Estimate a sum of terms, in per cent; a ``proportion`` of 0 or 1 gets Wilson's interval."""
        if n == 0:
            return cls(np.nan, np.nan, np.nan, 0)
        found = metrics.estimate(terms)
        low, high = found.low, found.high
        if proportion and found.value in (0.0, 1.0):
            # Resampling equal answers says nothing: 30 of 30 is not certainty.
            low, high = metrics.wilson(found.value * n, n)
        # Figures of seeds are whole numbers of samples: what rounding alone would spread is the least spread.
        count, half = len(found.seeds), np.nan
        if count > 1:
            spread = max(found.seeds.std(ddof=1), 1 / (n * np.sqrt(12)))
            half = metrics.t_quantile(count - 1) * spread / np.sqrt(count)
        bounds = np.array([low, high, found.value - half, found.value + half])
        bounds = np.clip(bounds, 0, 1) if proportion else bounds
        low, high, *over_seeds = (float(100 * bound) for bound in bounds)
        return cls(100 * found.value, low, high, n, tuple(100 * found.seeds), *over_seeds)


@dataclass(frozen=True)
class Scores:
    """Right (1) or wrong (0) of one model by test sample, sorted by sample and fold; one array per seed.

    ``correct`` is float, ``labels`` int, ``fold``, ``groups`` (subjects, else samples) and ``ids`` are str.
    """

    correct: tuple[np.ndarray, ...]
    fold: tuple[np.ndarray, ...]
    labels: tuple[np.ndarray, ...]
    groups: tuple[np.ndarray, ...]
    ids: tuple[np.ndarray, ...]

    @property
    def n(self) -> int:
        """Distinct samples over all seeds."""
        return len(np.unique(np.concatenate(self.ids)))

    def term(self, factor: float = 1.0) -> Term:
        """Return the accuracy as a term of an estimate."""
        return Term(self.correct, self.groups, factor)

    def where(self, keep: Callable[[int], np.ndarray]) -> Scores:
        """Return the scores of the samples that ``keep`` picks, a bool array (N_s,) for each seed number."""
        picked = [keep(seed) for seed in range(len(self.correct))]
        parts = (self.correct, self.fold, self.labels, self.groups, self.ids)
        return Scores(*(tuple(p[k] for p, k in zip(part, picked, strict=True)) for part in parts))

    def of_class(self, label: int) -> Scores:
        """Return the scores of one class."""
        return self.where(lambda seed: self.labels[seed] == label)

    def mean(self) -> Answer:
        """Return the accuracy."""
        return Answer.of([self.term()], self.n, proportion=True)


def name(run: Run) -> str:
    """Return ``paper/dataset/budget/seed``, which says where a run lies below the results folder."""
    return "/".join(Path(run.path).parts[-4:])


def stored(claim: Claim, run: Run) -> str:
    """Return the name that a claim's model has in a run: under a further protocol it ends in that.

    A run tests by its own protocol, and may by others: on another corpus, or with other folds.
    """
    further = f"{claim.model}@{claim.protocol}"
    return further if claim.train_dataset or further in run.models() else claim.model


def follows(run: Run, claim: Claim) -> bool:
    """Whether a run tests by a claim's protocol, as its own or as a further one."""
    further = f"{claim.model}@{claim.protocol}"
    # A claim of order has no model: its test names several, with the protocol where that is a further one.
    named = further in run.models() if claim.model else further in str(claim.test)
    return named or run.info.get("protocol") == claim.protocol


def models(claim: Claim, run: Run) -> list[str]:
    """Return the names of the models that the figure of a claim comes from."""
    for word in (" minus ", " against "):
        if word in claim.model:
            left, _, right = claim.model.partition(word)
            return [left, *(claim.against or [right])]
    return [stored(claim, run)]


def measure(claim: Claim, runs: list[Run]) -> Answer:
    """Return what runs that differ in nothing but their seed give for a claim.

    Raises
    ------
    NotComparableError
        If the runs hold no predictions of its models, or none of its class.
    """
    return METRICS[claim.metric](claim, runs)


def _accuracy(claim: Claim, runs: list[Run]) -> Answer:
    return scores(runs, stored(claim, runs[0])).mean()


def _class_accuracy(claim: Claim, runs: list[Run]) -> Answer:
    index = class_index(runs[0], claim.expression or "")
    return scores(runs, stored(claim, runs[0])).of_class(index).mean()


def _mean_class_accuracy(claim: Claim, runs: list[Run]) -> Answer:
    found = scores(runs, stored(claim, runs[0]))
    return Answer.of(metrics.by_strata(found.term(), found.labels), found.n, proportion=True)


def _mean_fold_accuracy(claim: Claim, runs: list[Run]) -> Answer:
    found = scores(runs, stored(claim, runs[0]))
    weights = [metrics.class_weights(fold) for fold in found.fold]
    values = [right * weight for right, weight in zip(found.correct, weights, strict=True)]
    return Answer.of([Term(values, found.groups, of=weights)], found.n, proportion=True)


def lead(runs: list[Run], better: str, *worse: str) -> Answer:
    """Return by how many points a model is ahead of another, or of the mean of several, paired by sample."""
    found = [scores(runs, model) for model in (better, *worse)]
    factors = [1.0, *(-1 / len(worse) for _ in worse)]
    terms = [one.term(factor) for one, factor in zip(found, factors, strict=True)]
    return Answer.of(terms, found[0].n)


def _difference(claim: Claim, runs: list[Run]) -> Answer:
    return lead(runs, *models(claim, runs[0]))


def _error_reduction(claim: Claim, runs: list[Run]) -> Answer:
    """Return by how many per cent of the errors of ``B`` those of ``A`` are fewer, for ``A against B``."""
    better, worse = (scores(runs, model) for model in models(claim, runs[0]))
    errors = [1 - right for right in worse.correct]
    if not all(wrong.any() for wrong in errors):
        raise NotComparableError(
            f"{claim.model.partition(' against ')[2]} makes no error, so none can be saved"
        )
    _same_samples(better, worse)
    fewer = [a - b for a, b in zip(better.correct, worse.correct, strict=True)]
    return Answer.of([Term(fewer, worse.groups, of=errors)], worse.n)


def _p_value(claim: Claim, runs: list[Run]) -> Answer:
    """Return the two-sided p-value over folds; ``n`` is the number of folds, ``seeds`` their mean lead."""
    found = p_values(claim, runs)
    return Answer(found["two_sided"], np.nan, np.nan, int(found["folds"]), (found["lead"],))


def p_values(claim: Claim, runs: list[Run]) -> dict[str, float]:
    """Return ``p_values`` of a run's own folds, how many ``folds`` there are and the mean ``lead``.

    Raises
    ------
    NotComparableError
        If a model is missing, seeds have other folds, or fewer than two folds were run.
    """
    better, worse = (scores(runs, model) for model in significance.compared(claim.model))
    _same_samples(better, worse)
    folds = list(dict.fromkeys(better.fold[0]))
    if any(not np.array_equal(fold, better.fold[0]) for fold in better.fold):
        raise NotComparableError("the folds of the two models or of the seeds differ, so none can be paired")
    if len(folds) < 2:
        raise NotComparableError("a single fold was run, and a test over folds needs several")
    by_fold = [
        [
            np.mean([right[fold == f].mean() for right, fold in zip(of.correct, of.fold, strict=True)])
            for f in folds
        ]
        for of in (better, worse)
    ]
    gap = float(np.mean(by_fold[0]) - np.mean(by_fold[1]))
    return significance.p_values(*by_fold) | {"folds": len(folds), "lead": gap}


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


def _same_samples(one: Scores, other: Scores) -> None:
    for key in ("ids", "fold"):
        pairs = zip(getattr(one, key), getattr(other, key), strict=True)
        if not all(np.array_equal(a, b) for a, b in pairs):
            raise NotComparableError("the two models were not tested on the same samples of the same folds")


def class_index(run: Run, expression: str) -> int:
    """Return the label that a run gives an expression; NotComparableError if it has none."""
    classes = run.info.get("classes") or (EXPRESSIONS[:7] if run.dataset == "fer2013" else ())
    if expression not in classes:
        raise NotComparableError(f"the run does not name {expression} among its classes")
    return list(classes).index(expression)


def predictions(run: Run, model: str) -> pd.DataFrame:
    """Return one row per prediction, sorted by sample and fold: ids, fold, label, correct, group and flags.

    Raises
    ------
    FerError
        If the run has no such model or its ``samples.csv`` misses samples of it.
    """
    read = [run.path / file for file in (f"predictions/{model}.npz", "size_answers.csv", "samples.csv")]
    written = tuple(path.stat().st_mtime_ns for path in read if path.exists())
    return _predictions(run, model, written).copy(deep=False)


@lru_cache(maxsize=256)  # the claims of a table ask for few models, many times
def _predictions(run: Run, model: str, _written: tuple[int, ...]) -> pd.DataFrame:
    import pandas as pd

    rows, samples = _of_size(run, model) or run.predictions(model), run.samples()
    table = pd.DataFrame({column: rows[column] for column in ("ids", "fold")})
    table["label"] = rows["labels"]
    table["answer"] = rows["probabilities"].argmax(axis=1)
    table["correct"], table["group"] = metrics.correct(rows, samples if len(samples) else None)
    if len(samples):
        key = ["ids"] if samples["ids"].is_unique else ["ids", "fold"]
        extra = samples[[*key, *samples.columns.difference([*table.columns])]].drop_duplicates(key)
        table = table.merge(extra, how="left", on=key, indicator="found")
        if (table.pop("found") != "both").any():
            raise FerError(f"samples.csv of {name(run)} misses samples of {model}; run it again.")
    return table.sort_values(["ids", "fold"], kind="stable", ignore_index=True)


def _of_size(run: Run, model: str) -> dict[str, np.ndarray] | None:
    """Return what ``A@n=213`` answered, trained on so many images, from ``size_answers.csv``; else None.

    That table has one column per subset drawn, which stands for a fold.
    """
    base, _, n = model.partition("@n=")
    table = run.table("size_answers") if n and model not in run.models() else []
    columns = [name for name in table if str(name).startswith(f"{base} n{n} draw")] if len(table) else []
    if not columns:
        return None
    answered = np.concatenate([table[name].to_numpy(int) for name in columns])
    return {
        "ids": np.tile(table["ids"].to_numpy(str), len(columns)),
        "labels": np.tile(table["label"].to_numpy(int), len(columns)),
        "fold": np.repeat([name.rpartition(" ")[2] for name in columns], len(table)),
        "probabilities": np.eye(max(answered.max(), table["label"].max()) + 1)[answered],
    }


def scores(runs: list[Run], model: str) -> Scores:
    """Collect a model's right and wrong answers over the seeds.

    Raises
    ------
    NotComparableError
        If a run holds no predictions of the model.
    """
    if any(model not in run.models() and _of_size(run, model) is None for run in runs):
        raise NotComparableError(f"the run holds no predictions of a model called {model}")
    tables = [predictions(run, model) for run in runs]
    names = {"correct": float, "fold": str, "label": int, "group": str, "ids": str}
    return Scores(*(tuple(t[column].to_numpy(kind) for t in tables) for column, kind in names.items()))
