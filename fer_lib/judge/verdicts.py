"""The rules by which a claim is judged. They were fixed before the runs that they judge.

**A printed number** is *reproduced* if our whole 95 % interval lies within the claim plus or minus the
tolerance, which is one point for accuracies and half a point for differences. It is *not reached* if the
interval lies wholly below that, *exceeded* if it lies wholly above. Otherwise the verdict is *inconclusive*,
and says how many seeds or samples would decide. That two intervals overlap proves nothing: the wider ours is,
the more it overlaps.

**Which interval.** Where both numbers are of the same test samples, what is hard about these samples is in
both, and only the seeds of ours can differ: the interval is the t interval over seeds, and the sampling
interval of the claim widens nothing. Where the samples differ, or only one seed was run, ours is the interval
over seeds and samples. One thing makes us more careful and never kinder: if the samples differ, or if a
single one of them outweighs the tolerance, *not reached* and *exceeded* further need our interval to lie
outside the claim's own (Wilson's), since the paper trained once as well.

**Not reached** needs more of an overall accuracy, because a paper may have reported its best epoch: the best
test epoch of every seed must lie below the claim less the tolerance too.

**A difference** is judged twice. Its sign *holds* if our interval over seeds and samples, paired sample by
sample and seed by seed, lies wholly on the claim's side of zero, and *does not hold* if wholly on the other.
Its size is a printed number like any other.

**A claim of order** ("A beats B") *holds* or *does not hold* by the same paired interval. A claim of several
parts holds if all parts hold, and does not if one of them does not.

**A p-value** is judged by what it is printed for: whether it lies below 0.05, in a two-sided paired t-test
over folds, the one reading used everywhere in this book.

Every interval and test stands for itself: nothing is corrected for there being many claims. Of forty pairs
that do not differ at all, about one would seem to hold by chance, and one to be reversed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from fer_lib.learn import metrics

VERDICTS = (
    *("reproduced", "exceeded", "not reached", "holds", "does not hold", "inconclusive"),
    *("not comparable", "needs data"),
)
DECIDED = ("reproduced", "exceeded", "not reached", "holds", "does not hold")
LEVEL = 0.05
MOST_SEEDS, MOST_TIMES = 100, 100.0
"""More seeds, or that many times the samples, are no advice."""


class Verdict(NamedTuple):
    """One of :data:`VERDICTS`, and a phrase with the numbers that it rests on."""

    name: str
    reason: str


def figure(
    claimed: float,
    ours: float,
    low: float,
    high: float,
    tolerance: float,
    *,
    n: int | None = None,
    tested: int | None = None,
    same_samples: bool = False,
    seeds: int = 1,
    proportion: bool = True,
) -> Verdict:
    """Judge one printed number by ours and our 95 % interval; all in per cent or points.

    ``tolerance`` is how near ours must come, ``n`` and ``tested`` are the test samples behind the claim (None
    if unknown) and behind ours. Of the ``same_samples`` the interval is over ``seeds``, if these are several.
    A ``proportion`` is a share of its samples, which Wilson's interval is for.
    """
    least, most = claimed - tolerance - 1e-9, claimed + tolerance + 1e-9
    figures = f"ours {ours:.2f} [{low:.2f}, {high:.2f}], claimed {claimed:g} ± {tolerance:.3g}"
    if least <= low and high <= most:
        return Verdict("reproduced", f"our interval lies within the tolerance: {figures}")
    below, above = least, most
    if n and proportion and (not same_samples or 100 / n > tolerance):
        own = [100 * bound for bound in metrics.wilson(claimed / 100 * n, n)]
        below, above = min(least, own[0]), max(most, own[1])
    gap = ours - claimed
    if high < below or low > above:
        name, word = ("not reached", "below") if gap < 0 else ("exceeded", "above")
        return Verdict(name, f"{abs(gap):.2f} points {word} the claim: {figures}")
    if high < least or low > most:
        owned = f"[{own[0]:.1f}, {own[1]:.1f}] ({n:,} samples)"
        why = f"the claim's own interval {owned} meets ours: {figures}"
        return Verdict("inconclusive", f"{why}; only a larger test by its authors would decide")
    room, half = abs(abs(gap) - tolerance), max(ours - low, high - ours)
    return Verdict("inconclusive", f"{figures}; {enough(room, half, tested, seeds, same_samples)}")


def enough(room: float, half: float, tested: int | None, seeds: int = 1, same_samples: bool = False) -> str:
    """Say how many seeds or samples would bring an interval of half-width ``half`` below ``room``.

    On the same samples it is seeds; with one seed their spread is not known, and taken to be that of samples.
    """
    if not same_samples:
        times = (half / room) ** 2 if room > 0 else np.inf
        if not tested or times > MOST_TIMES:
            return "no realistic number of samples would decide"
        unit = 10 ** max(0, int(np.log10(times * tested)) - 1)  # more than two figures are false precision
        return f"about {int(np.ceil(times * tested / unit) * unit):,} samples would decide"
    spread = half * np.sqrt(seeds) / metrics.t_quantile(seeds - 1) if seeds > 1 else half / 1.96
    for more in range(max(2, seeds + 1), MOST_SEEDS + 1):
        if metrics.t_quantile(more - 1) * spread / np.sqrt(more) <= room:
            guessed = "" if seeds > 1 else ", if they differ no more than samples do"
            return f"about {more} seeds would decide{guessed}"
    return "it is so close to the limit that no realistic number of seeds would decide"


def order(value: float, low: float, high: float, tested: int | None = None, what: str = "") -> Verdict:
    """Judge whether a difference is above zero, from its interval over seeds and samples; all in points."""
    said = f"{what}{value:+.2f} [{low:+.2f}, {high:+.2f}] points"
    if low > 0 or high < 0:
        return Verdict("holds" if low > 0 else "does not hold", said)
    return Verdict("inconclusive", f"{said}; {enough(abs(value), max(value - low, high - value), tested)}")


def sign(claimed: float, ours: float, low: float, high: float, tested: int | None = None) -> Verdict:
    """Judge the sign of a printed difference by our interval over seeds and samples."""
    return order(ours, low, high, tested) if claimed >= 0 else order(-ours, -high, -low, tested)


def equivalent(low: float, high: float, within: float, tested: int | None = None) -> Verdict:
    """Judge whether a difference is less than ``within`` points either way."""
    said = f"[{low:+.2f}, {high:+.2f}] against ± {within:g}"
    if low > within or high < -within:
        return Verdict("does not hold", said)
    if -within < low and high < within:
        return Verdict("holds", said)
    half, room = (high - low) / 2, abs(within - abs(low + high) / 2)
    return Verdict("inconclusive", f"{said}; {enough(room, half, tested)}")


def together(parts: Sequence[Verdict]) -> Verdict:
    """Join the parts of a claim: all must hold."""
    names = [part.name for part in parts]
    name = next((n for n in ("does not hold", "inconclusive") if n in names), "holds")
    return Verdict(name, "; ".join(part.reason for part in parts))


def p_value(claimed: float, ours: float, folds: int, lead: float) -> Verdict:
    """Judge a p-value by whether it lies below ``LEVEL``; a ``lead`` below 0 is against the claim.

    Two p-values from different folds agree in nothing else, so neither an interval nor a tolerance applies.
    """
    if np.isnan(ours):
        return Verdict("inconclusive", f"the two are equal on all {folds} folds, so nothing can be tested")
    words = ["significant" if value < LEVEL else "not significant" for value in (claimed, ours)]
    if ours < LEVEL and lead < 0:
        words[1] = "significant the other way round"
    name = "reproduced" if words[0] == words[1] else "not reached" if claimed < LEVEL else "exceeded"
    figures = f"ours {ours:.2g} ({words[1]}, {folds} folds), claimed {claimed:g} ({words[0]})"
    return Verdict(name, f"at {LEVEL:g}, by a two-sided paired t-test: {figures}")


def reached_by_best_epoch(
    verdict: Verdict, claimed: float, tolerance: float, best: Sequence[float]
) -> Verdict:
    """Withhold *not reached* where the best test epoch of a seed (``best``, per cent) reaches the claim.

    NaN is a best epoch that nobody recorded. Curves are of overall accuracy: of a class, and of the mean of
    classes, no best epoch is known, and the last one decides.
    """
    if verdict.name != "not reached" or all(value < claimed - tolerance for value in best):
        return verdict
    unknown = np.isnan(best).any()
    why = "accuracy was not recorded after every epoch" if unknown else f"the best one gives {max(best):.2f}"
    return Verdict("inconclusive", f"{verdict.reason}; but the test epochs of a seed may reach it: {why}")
