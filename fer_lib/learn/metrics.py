"""Figures of merit with their uncertainty. Accuracies are fractions in [0, 1], never percent."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fer_lib.errors import FerError

Bounds = tuple[float, float]


def accuracy(labels: ArrayLike, pred: ArrayLike) -> float:
    """Return the share of samples whose predicted class is the label.

    Parameters
    ----------
    labels, pred : int array (N,)
        Class indices.

    Raises
    ------
    FerError
        If the two differ in shape or hold no sample.
    """
    labels, pred = _pair(labels, pred)
    return float(np.mean(labels == pred))


def confusion(labels: ArrayLike, pred: ArrayLike, n: int) -> NDArray[np.int64]:
    """Count label-prediction pairs.

    Returns
    -------
    int64 array (n, n)
        Rows are the true classes, columns the predicted ones; entries sum to N.

    Raises
    ------
    FerError
        If the two differ in shape, hold no sample or hold an index outside ``range(n)``.
    """
    labels, pred = _pair(labels, pred)
    if min(labels.min(), pred.min()) < 0 or max(labels.max(), pred.max()) >= n:
        raise FerError(f"Class indices must lie in 0..{n - 1}; check the number of classes.")
    return np.bincount(labels * n + pred, minlength=n * n).reshape(n, n).astype(np.int64)


def per_class(labels: ArrayLike, pred: ArrayLike, n: int) -> NDArray[np.float64]:
    """Return the recall of each class (what the papers call class accuracy), NaN for absent classes.

    Returns
    -------
    float64 array (n,)
        Each in [0, 1].
    """
    counts = confusion(labels, pred, n)
    totals = counts.sum(axis=1)
    return np.divide(np.diag(counts), totals, out=np.full(n, np.nan), where=totals > 0)


def mean_class_accuracy(labels: ArrayLike, pred: ArrayLike, n: int) -> float:
    """Return the mean of the class recalls over the classes that occur among the labels."""
    return float(np.nanmean(per_class(labels, pred, n)))


def class_weights(groups: ArrayLike) -> NDArray[np.float64]:
    """Weight samples so that every group (class or fold) counts the same in a weighted mean.

    Parameters
    ----------
    groups : array (N,)
        The class or fold of each sample.

    Returns
    -------
    float64 array (N,)
        One over the size of the sample's group.
    """
    _, code, size = np.unique(np.asarray(groups), return_inverse=True, return_counts=True)
    return 1.0 / size[code]


def interval(
    correct: ArrayLike,
    groups: ArrayLike | None = None,
    level: float = 0.95,
    n_boot: int = 2000,
    seed: int = 0,
    weights: ArrayLike | None = None,
) -> Bounds:
    """Return a percentile bootstrap interval of a (weighted) mean.

    Samples of one group (a subject) rise and fall together, so whole groups are drawn with
    replacement; with several seeds, seeds are drawn as well. The interval collapses to a point when
    every sample agrees; :func:`wilson` does not.

    Parameters
    ----------
    correct : bool or float array (N,) or (S, N)
        Per sample, correct or not, or a paired difference; one row per seed, samples aligned.
    groups : array (N,), optional
        The subject of each sample; by default each sample is its own group.
    level : float
        Coverage in (0, 1).
    n_boot, seed : int
        Number of draws, and the seed that makes them repeatable.
    weights : float array, optional
        Positive, broadcast to ``correct``; see :func:`class_weights`.

    Returns
    -------
    (float, float)
        Lower and upper bound, in the unit of ``correct``.

    Raises
    ------
    FerError
        If there is no sample, ``level`` is outside (0, 1) or ``groups`` does not match.
    """
    values = np.atleast_2d(np.asarray(correct, dtype=float))  # (S, N)
    n = values.shape[1]
    if n == 0 or not 0 < level < 1:
        raise FerError(f"An interval needs samples and a level in (0, 1); got {n} samples, level {level}.")
    code = np.arange(n) if groups is None else np.unique(np.asarray(groups), return_inverse=True)[1]
    if len(code) != n:
        raise FerError(f"groups has {len(code)} entries for {n} samples; give one per sample.")
    mass = np.broadcast_to(1.0 if weights is None else np.asarray(weights, dtype=float), values.shape)
    return _bootstrap(_group_sums(values * mass, code), _group_sums(mass, code), level, n_boot, seed)


def ratio_interval(
    numerator: ArrayLike, denominator: ArrayLike, groups: ArrayLike, level: float = 0.95, n_boot: int = 2000
) -> Bounds:
    """Return a percentile bootstrap interval of a ratio of two sums, drawing as :func:`interval` does.

    Parameters
    ----------
    numerator, denominator : float array (S, N)
        Per sample, one row per seed; the denominators are at least 0, as errors are.
    groups : array (N,)
        The subject of each sample, or the sample itself.

    Returns
    -------
    (float, float)
        Bounds of the ratio; draws in which the denominator is 0 do not count.
    """
    code = np.unique(np.asarray(groups), return_inverse=True)[1]
    tops, bottoms = (_group_sums(np.asarray(values, float), code) for values in (numerator, denominator))
    return _bootstrap(tops, bottoms, level, n_boot, 0)


def wilson(k: float, n: int, level: float = 0.95) -> Bounds:
    """Return Wilson's score interval of ``k`` successes among ``n``.

    ``k`` is rounded to a whole number: a printed percentage times ``n`` seldom is one.

    Raises
    ------
    FerError
        Unless ``0 <= k <= n`` and ``n > 0``.
    """
    from scipy.stats import binomtest

    if n <= 0 or not 0 <= k <= n:
        raise FerError(f"Wilson's interval needs 0 <= k <= n and n > 0; got k={k}, n={n}.")
    bounds = binomtest(round(k), n).proportion_ci(level, method="wilson")
    return float(bounds.low), float(bounds.high)


def paired(correct_a: ArrayLike, correct_b: ArrayLike, groups: ArrayLike | None = None) -> dict:
    """Compare two models on the same samples.

    The test is McNemar's, exact: had the two models been exchanged, ``only_a`` and ``only_b`` would be too,
    so each disagreement has either sign with equal chance. Those of one group, as of several images of a
    subject or of an image tested in several repeats, are exchanged together.

    Parameters
    ----------
    correct_a, correct_b : bool array (N,)
        Whether each model is right, samples aligned.
    groups : array (N,), optional
        The subject of each sample, for the interval and the test; by default each sample is its own group.

    Returns
    -------
    dict
        ``difference`` (accuracy of a minus b), its 95 % ``interval``, ``p`` (two sided), ``only_a`` and
        ``only_b`` (samples that only one of the two gets right).

    Raises
    ------
    FerError
        If the two differ in shape or hold no sample.
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
    """Return the one-versus-rest ROC curve of each class.

    Parameters
    ----------
    labels : int array (N,)
    probs : float array (N, C)
        Probabilities; rows sum to one.

    Returns
    -------
    list of dict
        Per class ``fpr`` and ``tpr`` (float64 arrays from 0 to 1) and ``auc``; a class without
        positive or negative samples has empty arrays and NaN.
    """
    from sklearn.metrics import auc, roc_curve

    labels, probs = np.asarray(labels), np.asarray(probs, dtype=float)
    if probs.ndim != 2 or len(labels) != len(probs):
        raise FerError(f"probs must be (N, C) with one row per label; got {probs.shape} for {labels.shape}.")
    curves = []
    for k in range(probs.shape[1]):
        positive = labels == k
        if positive.all() or not positive.any():
            curves.append({"fpr": np.empty(0), "tpr": np.empty(0), "auc": float("nan")})
            continue
        fpr, tpr, _ = roc_curve(positive, probs[:, k])
        curves.append({"fpr": fpr, "tpr": tpr, "auc": float(auc(fpr, tpr))})
    return curves


def _pair(a: ArrayLike, b: ArrayLike) -> tuple[NDArray, NDArray]:
    a, b = np.asarray(a), np.asarray(b)
    if a.shape != b.shape or a.ndim != 1 or a.size == 0:
        raise FerError(f"Expected two aligned, non-empty 1-d arrays; got shapes {a.shape} and {b.shape}.")
    return a, b


def _group_sums(values: NDArray, code: NDArray) -> NDArray:
    """Sum the columns of ``values`` (S, N) by group -> (G, S)."""
    return np.stack([np.bincount(code, weights=row) for row in values], axis=1)


def _bootstrap(tops: NDArray, bottoms: NDArray, level: float, n_boot: int, seed: int) -> Bounds:
    """Return the bounds of a ratio of sums, both (G, S), over draws of groups and, within each, of seeds."""
    rng = np.random.default_rng(seed)
    draws = np.empty(n_boot)
    for start in range(0, n_boot, 500):  # in blocks, so that memory stays below about 100 MB
        times = _draw_counts(rng, min(500, n_boot - start), len(tops))  # (B, G)
        with np.errstate(invalid="ignore", divide="ignore"):
            ratios = (times @ tops) / (times @ bottoms)  # (B, S)
        pick = rng.integers(tops.shape[1], size=ratios.shape)
        draws[start : start + len(ratios)] = np.take_along_axis(ratios, pick, axis=1).mean(axis=1)
    low, high = np.quantile(draws[np.isfinite(draws)], [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def _draw_counts(rng: np.random.Generator, n_draws: int, n_groups: int) -> NDArray:
    """Draw groups with replacement -> how often each occurs, (n_draws, n_groups)."""
    picks = rng.integers(n_groups, size=(n_draws, n_groups))
    picks += np.arange(n_draws)[:, None] * n_groups  # one bincount for all draws
    counts = np.bincount(picks.ravel(), minlength=n_draws * n_groups)
    return counts.reshape(n_draws, n_groups).astype(float)
