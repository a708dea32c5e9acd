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

METRICS = (
    *("accuracy", "class_accuracy", "mean_class_accuracy", "mean_fold_accuracy"),
    *("accuracy_difference", "relative_error_reduction", "p_value"),
)
"""What follows from a run's predictions."""


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
    """What one model answered: per seed, a frame with a row per prediction, sorted by sample and fold.

    Columns are ids, fold, label, answer, correct (1 or 0), group (the subject, else the sample) and what
    else ``samples.csv`` says of a sample.
    """

    tables: tuple[pd.DataFrame, ...]

    @property
    def n(self) -> int:
        """Distinct samples over all seeds."""
        return len(set().union(*self.column("ids")))

    def column(self, name: str) -> list[np.ndarray]:
        """Return a column, seed by seed."""
        return [table[name].to_numpy() for table in self.tables]

    def term(self, factor: float = 1.0) -> Term:
        """Return the accuracy as a term of an estimate."""
        return Term(self.column("correct"), self.column("group"), factor)

    def where(self, keep: Callable[[pd.DataFrame], pd.Series]) -> Scores:
        """Return the scores of the rows that ``keep`` picks from each frame."""
        return Scores(tuple(table[keep(table)] for table in self.tables))

    def of_class(self, label: int) -> Scores:
        """Return the scores of one class."""
        return self.where(lambda table: table["label"] == label)

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
    """Return what runs that differ in nothing but their seed give for a claim of one of :data:`METRICS`.

    Of a p-value, ``n`` is the number of folds and ``seeds`` their mean lead. NotComparableError if the runs
    hold no predictions of its models, or none of its class.
    """
    if claim.metric == "p_value":
        found = p_values(claim, runs)
        return Answer(found["two_sided"], np.nan, np.nan, int(found["folds"]), (found["lead"],))
    if claim.metric == "accuracy_difference":
        return lead(runs, *models(claim, runs[0]))
    if claim.metric == "relative_error_reduction":
        return _errors_saved(*(scores(runs, model) for model in models(claim, runs[0])), claim)
    found = scores(runs, stored(claim, runs[0]))
    if claim.metric == "class_accuracy":
        found = found.of_class(class_index(runs[0], claim.expression or ""))
    terms = [found.term()]
    if claim.metric == "mean_class_accuracy":
        terms = metrics.by_strata(terms[0], found.column("label"))
    if claim.metric == "mean_fold_accuracy":
        weights = [metrics.class_weights(fold) for fold in found.column("fold")]
        values = [right * weight for right, weight in zip(found.column("correct"), weights, strict=True)]
        terms = [Term(values, found.column("group"), of=weights)]
    return Answer.of(terms, found.n, proportion=True)


def lead(runs: list[Run], better: str, *worse: str) -> Answer:
    """Return by how many points a model is ahead of another, or of the mean of several, paired by sample."""
    found = [scores(runs, model) for model in (better, *worse)]
    factors = [1.0, *(-1 / len(worse) for _ in worse)]
    terms = [one.term(factor) for one, factor in zip(found, factors, strict=True)]
    return Answer.of(terms, found[0].n)


def _errors_saved(better: Scores, worse: Scores, claim: Claim) -> Answer:
    """Return by how many per cent of the errors of the worse those of the better are fewer."""
    errors = [1 - right for right in worse.column("correct")]
    if not all(wrong.any() for wrong in errors):
        raise NotComparableError(
            f"{claim.model.partition(' against ')[2]} makes no error, so none can be saved"
        )
    _same_samples(better, worse)
    fewer = [a - b for a, b in zip(better.column("correct"), worse.column("correct"), strict=True)]
    return Answer.of([Term(fewer, worse.column("group"), of=errors)], worse.n)


def p_values(claim: Claim, runs: list[Run]) -> dict[str, float]:
    """Return the p-values over a run's own folds, how many ``folds`` there are and the mean ``lead``.

    NotComparableError if a model is missing, seeds have other folds, or fewer than two folds were run.
    """
    better, worse = (scores(runs, model) for model in significance.compared(claim.model))
    _same_samples(better, worse)
    folds = better.column("fold")
    if not all(np.array_equal(fold, folds[0]) for fold in folds):
        raise NotComparableError("the folds of the two models or of the seeds differ, so none can be paired")
    if len(set(folds[0])) < 2:
        raise NotComparableError("a single fold was run, and a test over folds needs several")
    a, b = (
        np.mean([table.groupby("fold", sort=False)["correct"].mean() for table in of.tables], axis=0)
        for of in (better, worse)
    )
    return significance.p_values(a, b) | {"folds": len(a), "lead": float(a.mean() - b.mean())}


def _same_samples(one: Scores, other: Scores) -> None:
    pairs = zip(one.tables, other.tables, strict=True)
    if not all(a[["ids", "fold"]].equals(b[["ids", "fold"]]) for a, b in pairs):
        raise NotComparableError("the two models were not tested on the same samples of the same folds")


def class_index(run: Run, expression: str) -> int:
    """Return the label that a run gives an expression; NotComparableError if it has none."""
    classes = run.info.get("classes") or (EXPRESSIONS[:7] if run.dataset == "fer2013" else ())
    if expression not in classes:
        raise NotComparableError(f"the run does not name {expression} among its classes")
    return list(classes).index(expression)


def scores(runs: list[Run], model: str) -> Scores:
    """Collect what a model answered over the seeds.

    NotComparableError if a run holds no predictions of the model, FerError if its ``samples.csv`` misses
    samples of it.
    """
    tables = []
    for run in runs:
        read = [run.path / file for file in (f"predictions/{model}.npz", "size_answers.csv", "samples.csv")]
        written = tuple(path.stat().st_mtime_ns for path in read if path.exists())
        tables.append(_answered(run, model, written))
    return Scores(tuple(tables))


@lru_cache(maxsize=256)  # the claims of a table ask for few models, many times
def _answered(run: Run, model: str, _written: tuple[int, ...]) -> pd.DataFrame:
    import pandas as pd

    rows, samples = run.predictions(model) if model in run.models() else _of_size(run, model), run.samples()
    table = pd.DataFrame({"ids": rows["ids"], "fold": rows["fold"], "label": rows["labels"]})
    table["answer"] = rows["probabilities"].argmax(axis=1)
    right, table["group"] = metrics.correct(rows, samples if len(samples) else None)
    table["correct"] = right.astype(float)
    if len(samples):
        # A training on fewer images is tested on a fold's images, and named after the draw.
        drawn = not {*table["fold"]} & {*samples.get("fold", ())}
        key = ["ids"] if drawn or samples["ids"].is_unique else ["ids", "fold"]
        extra = samples[[*key, *samples.columns.difference([*table.columns])]].drop_duplicates(key)
        table = table.merge(extra, how="left", on=key, indicator="found")
        if (table.pop("found") != "both").any():
            raise FerError(f"samples.csv of {name(run)} misses samples of {model}; run it again.")
    return table.sort_values(["ids", "fold"], kind="stable", ignore_index=True)


def _of_size(run: Run, model: str) -> dict[str, np.ndarray]:
    """Return what ``A@n=213`` answered, trained on so many images, from ``size_answers.csv``.

    That table has one column per subset drawn, which stands for a fold.
    """
    base, _, n = model.partition("@n=")
    table = run.table("size_answers")
    columns = [column for column in table if column.startswith(f"{base} n{n} draw")]
    if not columns:
        raise NotComparableError(f"the run holds no predictions of a model called {model}")
    answered = np.concatenate([table[column].to_numpy(int) for column in columns])
    return {
        "ids": np.tile(table["ids"].to_numpy(str), len(columns)),
        "labels": np.tile(table["label"].to_numpy(int), len(columns)),
        "fold": np.repeat([column.rpartition(" ")[2] for column in columns], len(table)),
        "probabilities": np.eye(max(answered.max(), table["label"].max()) + 1)[answered],
    }
