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
from numpy.typing import ArrayLike

from fer_lib.data.corpus import Corpus
from fer_lib.errors import FerError
from fer_lib.learn import metrics
from fer_lib.learn.metrics import Term

if TYPE_CHECKING:
    import pandas as pd

FEWEST = 5  # units that an interval needs: drawn from fewer, it is little more than their extremes
COLUMNS = ("step", "accuracy", "low", "high", "gain", "gain_low", "gain_high", "n")


@dataclass(frozen=True)
class Step:
    """What one protocol gives, gathered by units that are drawn together in a bootstrap.

    Attributes
    ----------
    name : str
        What the protocol does, as the figure shows it.
    units : ndarray
        str ``(G,)``: the subjects; folds where a step selects on whole folds.
    right, tested : ndarray
        float ``(G,)``: right answers and tested samples of each unit.
    """

    name: str
    units: np.ndarray
    right: np.ndarray
    tested: np.ndarray

    @classmethod
    def of(cls, name: str, correct: ArrayLike, units: ArrayLike, weights: ArrayLike | float = 1.0) -> Step:
        """Gather answers ``correct`` (N,), bool or shares of ``weights`` samples each, by ``units`` (N,)."""
        correct, units = np.asarray(correct, float), np.asarray(units).astype(str)
        if correct.shape != units.shape or correct.ndim != 1 or not len(correct):
            raise FerError(
                f"A step needs answers and as many units; got shapes {correct.shape} and {units.shape}."
            )
        weights = np.broadcast_to(np.asarray(weights, float), correct.shape)
        names, code = np.unique(units, return_inverse=True)
        return cls(name, names, np.bincount(code, correct * weights), np.bincount(code, weights))

    def term(self, factor: float = 1.0) -> Term:
        """Return the accuracy as a term of an estimate."""
        return Term([self.right], [self.units], factor, [self.tested])

    @property
    def accuracy(self) -> float:
        """Share of right answers, in [0, 1]."""
        return float(self.right.sum() / self.tested.sum())


def best_test_epoch(name: str, curves: pd.DataFrame, tested: dict[str, int]) -> tuple[Step, Step]:
    """Return the last epoch and, called ``name``, the best test epoch of every fold; the units are folds.

    Parameters
    ----------
    curves : DataFrame
        Columns ``fold``, ``epoch`` and ``test_accuracy`` of one model.
    tested : dict
        Number of test samples by fold.
    """
    by_fold = curves.sort_values("epoch").groupby("fold", sort=False)["test_accuracy"].agg(["last", "max"])
    folds = by_fold.index.to_numpy()
    sizes = [tested[fold] for fold in folds]
    return (
        Step.of("last epoch", by_fold["last"], folds, sizes),
        Step.of(name, by_fold["max"], folds, sizes),
    )


def gain(before: Step, after: Step) -> tuple[float, float, float]:
    """Return how much more ``after`` gives, in [-1, 1], and the 95 % interval of that.

    Units are drawn once for both, so that what is hard about a person counts in both; the samples tested
    may differ. Of fewer than :data:`FEWEST` units there is no interval: its bounds are NaN.

    Raises
    ------
    FerError
        If the two were gathered by different units.
    """
    if before.units.tolist() != after.units.tolist():
        raise FerError(
            f"{after.name!r} and {before.name!r} were not tested on the same subjects or folds, so their "
            "difference has no interval."
        )
    return _estimate(after.term(), before.term(-1.0))


def interval(step: Step) -> tuple[float, float]:
    """Return the 95 % interval of a step's accuracy over its units, NaN if they are too few."""
    return _estimate(step.term())[1:]


def _estimate(*terms: Term) -> tuple[float, float, float]:
    found = metrics.estimate(terms)
    few = len(terms[0].groups[0]) < FEWEST
    return (found.value, np.nan, np.nan) if few else (found.value, found.low, found.high)


def waterfall(steps: Sequence[Step | tuple[Step, Step]]) -> pd.DataFrame:
    """Return what each step reaches and gains over the one before it.

    Parameters
    ----------
    steps
        The first is the honest accuracy. A pair (before, after) is a step whose gain is taken between the
        two instead, as :func:`best_test_epoch` gives it: its ``before`` must be the accuracy of the step
        before it, gathered by other units.

    Returns
    -------
    pandas.DataFrame
        With :data:`COLUMNS`, fractions; ``gain`` and its bounds are NaN in the first row, all bounds of a
        row where it has fewer than :data:`FEWEST` units; ``n`` is the number of samples tested.

    Raises
    ------
    FerError
        If a pair does not start where the step before it ended.
    """
    import pandas as pd

    rows, last = [], None
    for item in steps:
        before, after = item if isinstance(item, tuple) else (last, item)
        if (
            last is not None and abs(before.accuracy - last.accuracy) > 0.005
        ):  # stored probabilities are rounded
            raise FerError(
                f"{after.name!r} starts at {before.accuracy:.4f}, but the step before it reached "
                f"{last.accuracy:.4f}: they are not of the same predictions."
            )
        gained = gain(before, after) if before is not None else (np.nan,) * 3
        rows.append((after.name, after.accuracy, *interval(after), *gained, int(after.tested.sum())))
        last = after
    return pd.DataFrame(rows, columns=list(COLUMNS))


def last_frames(corpus: Corpus, n: int) -> Corpus:
    """Return the last ``n`` frames that a corpus holds of every sequence, in the order of their ids.

    They are the most expressive ones where a sequence ends at its peak, as in CK+. A clip of MMI ends
    neutral, but its reader keeps two frames, both at the peak; the last is the later of these.

    Raises
    ------
    FerError
        If the corpus has no sequences.
    """
    if corpus.sequences is None:
        raise FerError(f"{corpus.card.title} is stills: it has no sequences to take frames from.")
    order = np.argsort(corpus.ids)
    kept = [order[corpus.sequences[order] == name][-n:] for name in np.unique(corpus.sequences)]
    return corpus.select(np.sort(np.concatenate(kept)))


def bounded(value: float, low: float, high: float, spec: str) -> str:
    """Return a number with its interval, both formatted by ``spec``: ``+1.2 [-0.3, +2.7]``.

    A number without one says so, and one that is NaN itself is a dash.
    """
    if np.isnan(value):
        return "–"
    bounds = "(no interval)" if np.isnan(low) else f"[{low:{spec}}, {high:{spec}}]"
    return f"{value:{spec}} {bounds}"
