"""Figures of merit with their uncertainty. Accuracies are fractions in [0, 1], never percent.

How uncertain a mean is. A result of ours has two sources of chance: which samples happen to be tested, and
which seed a network was trained with. The samples are drawn anew 2,000 times (a bootstrap); those that rise
and fall together, as the images of one person, are drawn together, and for a mean of classes each class
keeps its number of images. With several seeds their spread is added: a t interval over the seeds' own
figures, after that part of their variance is taken off which the samples alone cause. The two parts are
independent, so their half-widths add as the sides of a right angle (Zou and Donner's method of variance
estimates recovery). With one seed the interval covers the samples only, and speaks of that one network. Where
only the seeds matter, because both results are of the same test samples, :attr:`Estimate.over_seeds` is the
plain t interval. All intervals are of 95 %.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fer_lib.errors import FerError

if TYPE_CHECKING:
    import pandas as pd

Bounds = tuple[float, float]
DRAWS = 2000


def correct(rows: Mapping[str, NDArray], samples: pd.DataFrame | None = None) -> tuple[NDArray, NDArray]:
    """Return which predictions are right, and the groups of samples that rise and fall together.

    ``rows`` are ``probabilities`` float (N, C), ``labels`` int (N,) and ``ids`` str (N,), as a run stores
    them. With ``samples``, a table of ``ids`` and ``subject``, groups str (N,) are the subjects where every
    sample has one, else the samples.
    """
    groups = np.asarray(rows["ids"]).astype(str)
    if samples is not None and "subject" in samples:
        subjects = samples.drop_duplicates("ids").set_index("ids")["subject"].reindex(groups)
        if (subjects.notna() & subjects.ne("")).all():
            groups = subjects.to_numpy(str)
    return rows["probabilities"].argmax(axis=1) == rows["labels"], groups


def accuracy(labels: ArrayLike, pred: ArrayLike) -> float:
    """Return the share of samples ``(N,)`` whose predicted class index is the label."""
    labels, pred = _pair(labels, pred)
    return float(np.mean(labels == pred))


def confusion(labels: ArrayLike, pred: ArrayLike, n: int) -> NDArray[np.int64]:
    """Count pairs of label (rows) and prediction among ``n`` classes, int64 (n, n)."""
    labels, pred = _pair(labels, pred)
    if min(labels.min(), pred.min()) < 0 or max(labels.max(), pred.max()) >= n:
        raise FerError(f"Class indices must lie in 0..{n - 1}; check the number of classes.")
    return np.bincount(labels * n + pred, minlength=n * n).reshape(n, n).astype(np.int64)


def per_class(labels: ArrayLike, pred: ArrayLike, n: int) -> NDArray[np.float64]:
    """Return the recall of each class ``(n,)``, which the papers call class accuracy; NaN for absent ones."""
    counts = confusion(labels, pred, n)
    totals = counts.sum(axis=1)
    return np.divide(np.diag(counts), totals, out=np.full(n, np.nan), where=totals > 0)


def mean_class_accuracy(labels: ArrayLike, pred: ArrayLike, n: int) -> float:
    """Return the mean of the class recalls over the classes that occur among the labels."""
    return float(np.nanmean(per_class(labels, pred, n)))


def class_weights(groups: ArrayLike) -> NDArray[np.float64]:
    """Return one over the size of each sample's class or fold: all then count the same in a weighted mean."""
    _, code, size = np.unique(np.asarray(groups), return_inverse=True, return_counts=True)
    return 1.0 / size[code]


@dataclass(frozen=True)
class Term:
    """A mean over samples, tested with one or several seeds; several terms make a difference.

    There is one array (N_s,) per seed of each: ``values``, what each sample gave (right 1 or wrong 0, or a
    difference); ``groups``, its subject, or the sample itself; and ``of``, what the sum of the values is
    divided by the sum of, by default 1 each. ``factor`` is what the mean counts in the estimate: 1 and -1 for
    a difference.
    """

    values: Sequence[NDArray]
    groups: Sequence[NDArray]
    factor: float = 1.0
    of: Sequence[NDArray] | None = None


@dataclass(frozen=True)
class Estimate:
    """A result with its interval over seeds and samples; ``seeds`` float (S,) holds that of each seed."""

    value: float
    low: float
    high: float
    seeds: NDArray

    @property
    def over_seeds(self) -> Bounds:
        """The t interval over the seeds, for these test samples alone; NaN with one seed."""
        if len(self.seeds) < 2:
            return np.nan, np.nan
        half = t_quantile(len(self.seeds) - 1) * self.seeds.std(ddof=1) / np.sqrt(len(self.seeds))
        return self.value - half, self.value + half


def estimate(terms: Sequence[Term]) -> Estimate:
    """Return the weighted sum of means with its interval, by the method that the module describes.

    The same group is drawn for all terms at once, so that a difference of two models is paired, also where
    they were tested on other samples of the same people. All terms have the same seeds, each of at least one
    sample.
    """
    parts = [
        (np.asarray(v, float), np.asarray(g).astype(str), np.asarray(of, float))
        for term in terms
        for v, g, of in zip(
            term.values, term.groups, term.of or [np.ones(len(v)) for v in term.values], strict=True
        )
    ]
    if not parts or any(len(values) == 0 or len(values) != len(groups) for values, groups, _ in parts):
        raise FerError("An interval needs samples, and one group for each of them.")
    names, code = np.unique(np.concatenate([groups for _, groups, _ in parts]), return_inverse=True)
    code = np.split(code, np.cumsum([len(groups) for _, groups, _ in parts])[:-1])
    sums = [
        [np.bincount(c, v, len(names)), np.bincount(c, of, len(names))]
        for (v, _, of), c in zip(parts, code, strict=True)
    ]
    tops, bottoms = np.array(sums).transpose(1, 2, 0)  # (G, T * S) each
    factors, shape = np.array([term.factor for term in terms]), (len(terms), len(terms[0].values))
    seeds = factors @ (tops.sum(0) / bottoms.sum(0)).reshape(shape)  # (S,)
    blocks = _blocks(bottoms.reshape(-1, *shape).any(axis=2))
    draws = np.tensordot(resample(tops, bottoms, blocks).reshape(-1, *shape), factors, (1, 0))
    draws = draws[np.isfinite(draws).all(axis=1)]  # (B, S)
    value, many = float(seeds.mean()), draws.mean(axis=1)
    # Drawn from few groups a bootstrap is too narrow: by (G - 1) / G in its variance, by t against normal.
    free = max(1, len(names) - len(np.unique(blocks)))
    wider = t_quantile(free) / t_quantile(np.inf) * np.sqrt((free + 1) / free)
    low, high = wider * (np.quantile(many, [(1 - 0.95) / 2, (1 + 0.95) / 2]) - value)
    if len(seeds) > 1:
        by_samples = (draws - many[:, None]).var(axis=0, ddof=1).sum() / (len(seeds) - 1)
        spread = max(0.0, seeds.var(ddof=1) - by_samples)
        half = t_quantile(len(seeds) - 1) * np.sqrt(spread / len(seeds))
        low, high = -np.hypot(min(low, 0), half), np.hypot(max(high, 0), half)
    low, high = float(min(value, value + low)), float(max(value, value + high))
    if factors.min() > 0 and all((values >= 0).all() and (values <= of).all() for values, _, of in parts):
        low, high = max(0.0, low), min(float(factors.sum()), high)
    return Estimate(value, low, high, seeds)


def _blocks(present: NDArray) -> NDArray:
    """Return which groups are drawn from one another, int (G,), from the terms each has part in, bool (G, T).

    Where each group has part in one term, as images in their class, a class keeps its size; people who show
    several expressions are one block.
    """
    patterns, block = np.unique(present, axis=0, return_inverse=True)
    apart = (patterns.sum(axis=0) <= 1).all()
    return block.ravel() if apart else np.zeros(len(present), int)


def resample(tops: NDArray, bottoms: NDArray, blocks: NDArray) -> NDArray:
    """Draw groups with replacement and return ratios of sums: the one bootstrap, behind every interval.

    ``tops`` and ``bottoms``, float (G, K), are sums by group, as right answers and tested samples; groups are
    drawn from their own of the ``blocks``, int (G,). The result is float (DRAWS, K), NaN where a draw holds
    nothing to divide by.
    """
    places = [np.flatnonzero(blocks == block) for block in np.unique(blocks)]
    draws = []
    for start in range(0, DRAWS, 500):  # in parts, so that memory stays below about 100 MB
        times = np.empty((500, len(tops)))
        for block, place in enumerate(places):
            times[:, place] = _draw_counts(len(times), len(place), (0, start, block))
        with np.errstate(invalid="ignore", divide="ignore"):
            draws.append((times @ tops) / (times @ bottoms))
    return np.concatenate(draws)


@lru_cache(maxsize=8)  # the intervals of a table are mostly of the same test part
def _draw_counts(n_draws: int, n_groups: int, seed: tuple[int, ...]) -> NDArray:
    """Draw groups with replacement -> how often each occurs, int16 (n_draws, n_groups)."""
    picks = np.random.default_rng(seed).integers(n_groups, size=(n_draws, n_groups))
    picks += np.arange(n_draws)[:, None] * n_groups  # one bincount for all draws
    counts = np.bincount(picks.ravel(), minlength=n_draws * n_groups)
    return counts.reshape(n_draws, n_groups).astype(np.int16)


def t_quantile(free: float) -> float:
    """Return the half-width of Student's t interval in standard errors, for ``free`` degrees of freedom."""
    from scipy.special import stdtrit

    return float(stdtrit(free, (1 + 0.95) / 2))


def interval(correct: ArrayLike, groups: ArrayLike | None = None, weights: ArrayLike | None = None) -> Bounds:
    """Return the interval of a (weighted) mean over seeds and samples; see :func:`estimate`.

    ``correct`` (N,) or (S, N) holds per sample whether it is correct, or a paired difference; one row per
    seed, samples aligned. ``groups`` (N,) are the subjects of the samples; by default each sample is its own.
    ``weights`` are positive and broadcast to ``correct`` (:func:`class_weights`). The interval collapses to a
    point when every sample agrees; :func:`wilson` does not.
    """
    values = np.atleast_2d(np.asarray(correct, dtype=float))  # (S, N)
    groups = np.arange(values.shape[1]) if groups is None else np.asarray(groups)
    mass = np.broadcast_to(1.0 if weights is None else np.asarray(weights, dtype=float), values.shape)
    found = estimate([Term(list(values * mass), [groups] * len(values), of=list(mass))])
    return found.low, found.high


def by_strata(term: Term, strata: Sequence[NDArray]) -> list[Term]:
    """Return the terms whose sum is the mean of a term's means by stratum (class), each of equal weight."""
    names = np.unique(np.concatenate(strata))
    made = []
    for name in names:
        here = [of == name for of in strata]
        values, groups, of = (
            None if parts is None else [part[keep] for part, keep in zip(parts, here, strict=True)]
            for parts in (term.values, term.groups, term.of)
        )
        made.append(Term(values, groups, term.factor / len(names), of))
    return made


def wilson(k: float, n: int) -> Bounds:
    """Return Wilson's score interval of ``k`` successes (rounded: a percentage times ``n``) among ``n``."""
    from scipy.stats import binomtest

    bounds = binomtest(round(k), n).proportion_ci(0.95, method="wilson")
    return float(bounds.low), float(bounds.high)


def paired(correct_a: ArrayLike, correct_b: ArrayLike, groups: ArrayLike | None = None) -> dict:
    """Compare two models on the same samples, right or wrong (N,) each, by McNemar's exact test.

    Disagreements of one group, as of several images of a subject or of an image tested in several repeats,
    change sign together; by default each sample is its own group. The result holds ``difference`` (accuracy
    of a minus b), its ``interval``, ``p`` (two sided), ``only_a`` and ``only_b`` (samples that only one gets
    right).
    """
    a, b = (np.asarray(x, dtype=bool) for x in _pair(correct_a, correct_b))
    difference = a.astype(float) - b
    code = np.arange(len(a)) if groups is None else np.unique(np.asarray(groups), return_inverse=True)[1]
    return {
        "difference": float(difference.mean()),
        "interval": interval(difference, groups),
        "p": _exchange(np.bincount(code, weights=difference).astype(int)),
        "only_a": int(np.sum(a & ~b)),
        "only_b": int(np.sum(b & ~a)),
    }


def _exchange(sums: NDArray) -> float:
    """Return how often random signs give a total as far from 0 as that of ``sums``, int (G,), is."""
    chances = np.ones(1)  # of each total that the groups so far can have, from lowest to highest
    for size in np.abs(sums[sums != 0]):
        signs = np.zeros(2 * size + 1)
        signs[[0, -1]] = 0.5
        chances = np.convolve(chances, signs)
    totals = np.arange(len(chances)) - len(chances) // 2
    return min(1.0, float(chances[np.abs(totals) >= abs(sums.sum())].sum()))


def roc(labels: ArrayLike, probs: ArrayLike) -> list[dict]:
    """Return the one-versus-rest ROC curve of each class, from labels ``(N,)`` and probabilities ``(N, C)``.

    Per class ``fpr`` and ``tpr`` (float64 arrays from 0 to 1) and ``auc``; a class without positive or
    negative samples has empty arrays and NaN.
    """
    from sklearn.metrics import auc, roc_curve

    curves = []
    for k, chances in enumerate(np.asarray(probs, dtype=float).T):
        positive = np.asarray(labels) == k
        if positive.all() or not positive.any():
            curves.append({"fpr": np.empty(0), "tpr": np.empty(0), "auc": float("nan")})
            continue
        fpr, tpr, _ = roc_curve(positive, chances)
        curves.append({"fpr": fpr, "tpr": tpr, "auc": float(auc(fpr, tpr))})
    return curves


def _pair(a: ArrayLike, b: ArrayLike) -> tuple[NDArray, NDArray]:
    a, b = np.asarray(a), np.asarray(b)
    if a.shape != b.shape or a.ndim != 1 or a.size == 0:
        raise FerError(f"Expected two aligned, non-empty 1-d arrays; got shapes {a.shape} and {b.shape}.")
    return a, b
