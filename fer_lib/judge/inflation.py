"""How much of an accuracy is protocol: each habit that flatters a figure, added one at a time.

The honest accuracy holds out whole subjects, counts the last epoch and tests one frame per sequence. Three
habits of the literature raise it without making the network any better: random folds (the same person on
both sides), several neighbouring frames of a sequence split as if they were independent, and the epoch that
did best on the test fold. Here each is a :class:`Step`, and what it gains comes with an interval.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from fer_lib.data.corpus import Corpus
from fer_lib.learn import metrics
from fer_lib.learn.metrics import Term

if TYPE_CHECKING:
    import pandas as pd

FEWEST = 5  # units that an interval needs: drawn from fewer, it is little more than their extremes
COLUMNS = ("step", "accuracy", "low", "high", "gain", "gain_low", "gain_high", "n")


@dataclass(frozen=True, eq=False)
class Step:
    """What a protocol gives: right answers and tested samples, float (N,), one by one or in parts.

    ``units`` (N,) are drawn together in a bootstrap: subjects, or folds where a step selects on whole folds.
    """

    name: str
    right: np.ndarray
    units: np.ndarray
    tested: np.ndarray

    def term(self, factor: float = 1.0) -> Term:
        """Return the accuracy as a term of an estimate."""
        return Term([self.right], [self.units], factor, [self.tested])

    @property
    def accuracy(self) -> float:
        """Share of right answers, in [0, 1]."""
        return float(self.right.sum() / self.tested.sum())


def best_test_epoch(name: str, curves: pd.DataFrame, tested: dict[str, int]) -> tuple[Step, Step]:
    """Return the last epoch and, called ``name``, the best test epoch of every fold; the units are folds.

    ``curves`` has ``fold``, ``epoch`` and ``test_accuracy`` of one model, ``tested`` its test samples.
    """
    by_fold = curves.sort_values("epoch").groupby("fold")["test_accuracy"].agg(["last", "max"])
    folds = by_fold.index.to_numpy(str)
    sizes = np.array([tested[fold] for fold in folds], float)
    last, best = (by_fold[which].to_numpy() * sizes for which in ("last", "max"))
    return Step("last epoch", last, folds, sizes), Step(name, best, folds, sizes)


def waterfall(steps: Sequence[Step | tuple[Step, Step]]) -> pd.DataFrame:
    """Return what each step reaches and gains over the one before it, with :data:`COLUMNS`, as fractions.

    The first step is the honest accuracy. Of a pair, as :func:`best_test_epoch` gives it, the gain is taken
    between the two: its first is the step before, gathered by other units. ``gain`` and its bounds are NaN in
    the first row, all bounds where there are fewer than :data:`FEWEST` units; ``n`` are the samples tested.
    """
    import pandas as pd

    rows, last = [], None
    for item in steps:
        before, after = item if isinstance(item, tuple) else (last, item)
        gained = _estimate(after.term(), before.term(-1.0)) if before else (np.nan,) * 3
        rows.append((after.name, after.accuracy, *_estimate(after.term())[1:], *gained, after.tested.sum()))
        last = after
    return pd.DataFrame(rows, columns=list(COLUMNS)).astype({"n": int})


def _estimate(*terms: Term) -> tuple[float, float, float]:
    """Return a sum of means with its 95 % interval; units are drawn once for all terms."""
    found = metrics.estimate(terms)
    few = len(np.unique(terms[0].groups[0])) < FEWEST
    return (found.value, np.nan, np.nan) if few else (found.value, found.low, found.high)


def last_frames(corpus: Corpus, n: int) -> Corpus:
    """Return the last ``n`` frames that a corpus holds of every sequence, in the order of their ids.

    They are the most expressive ones: CK+ ends at the peak, and of MMI two frames at the peak are kept.
    """
    order = np.argsort(corpus.ids)
    kept = [order[corpus.sequences[order] == name][-n:] for name in np.unique(corpus.sequences)]
    return corpus.select(np.sort(np.concatenate(kept)))


def bounded(value: float, low: float, high: float, spec: str) -> str:
    """Return a number with its interval, if it has one, by ``spec``: ``+1.2 [-0.3, +2.7]``; NaN is a dash."""
    if np.isnan(value):
        return "–"
    bounds = "(no interval)" if np.isnan(low) else f"[{low:{spec}}, {high:{spec}}]"
    return f"{value:{spec}} {bounds}"
