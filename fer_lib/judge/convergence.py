"""Has a network converged? A certificate, from the curves of its training.

A run of fewer epochs than a paper prints may judge its claims only if more epochs would change nothing that
matters. This is asked of every network, over all its folds:

* **Enough to see.** At least ten epochs: in fewer, the last fifth is no trend.
* **Still rising?** Over the last fifth of the epochs (two at least) the accuracy on the validation part rises
  by less than 0.05 points an epoch, by the slope of a straight line through them. Where no part was set aside
  for validation the test part takes its place; nothing is chosen by it.
* **Has it learnt its training part?** It is right on 99 % of it as it is tested, without dropout and
  augmentation (as it was trained, where that was not recorded), or its training loss falls by less than 1 %
  of itself an epoch. A rate that is nearly zero stops any training, so the loss must stand still before that,
  too: over the last fifth of the epochs at a tenth of the highest rate or more.
* **Does it swing?** The mean of the last fifth lies at most three points below the best epoch.
* **Has it learnt anything?** It is at least ten points better than always naming the commonest class.
* **Twice as long.** Where a training of twice the epochs is known, it gained at most half a point.

Where accuracy was not tested after every epoch, as on small parts of a corpus, only the training part can
vouch for a network: it must be right on 99 % of that.

A network that passes has *converged* in this sense. One that fails may still be of use, but none of its
results is set against a claim.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from fer_lib.evidence.runs import Run

if TYPE_CHECKING:
    import pandas as pd

EPOCHS, SHARE, RATE = 10, 0.2, 0.1
SLOPE, LEARNT, LOSS, SWING, CHANCE, DOUBLED = 0.05, 99.0, 0.01, 3.0, 10.0, 0.5
"""Limits of the certificate: points an epoch, per cent, a share an epoch, and three times points."""


class Certificate(NamedTuple):
    """Whether a network has converged, and why it has or has not.

    ``reasons`` are plain English: what fails, or else what was found. ``best_gain`` is by how many points the
    best test epochs of the folds lie above the last ones, on average.
    """

    model: str
    converged: bool
    reasons: tuple[str, ...]
    best_gain: float = 0.0


def certify(
    curves: pd.DataFrame,
    model: str,
    majority: float | None = None,
    doubled: float | None = None,
    rates: Sequence[float] | None = None,
) -> Certificate:
    """Return the certificate of one network.

    ``curves`` has ``model``, ``fold``, ``epoch``, ``train_loss``, ``train_accuracy``, ``test_accuracy`` and
    ``validation_accuracy`` (fractions; NaN where there was none), and if known ``known_accuracy``, see
    :class:`fer_lib.learn.units.Outcome`. ``majority`` is the accuracy in [0, 1] of always naming the
    commonest class, ``doubled`` the points that twice the epochs gained, ``rates`` those of each epoch.
    """
    mine = curves[curves["model"] == model] if len(curves) else curves
    if not len(mine):
        return Certificate(model, False, (f"no learning curve of {model} was kept",))
    by_fold, by_epoch = mine.sort_values("epoch").groupby("fold"), mine.groupby("epoch")
    ends = by_fold.tail(1)
    known = ends.get("known_accuracy", ends["train_accuracy"]).fillna(ends["train_accuracy"])
    learnt = float(100 * known.mean())
    watched = mine.get("validation_accuracy", mine["test_accuracy"])
    if mine["test_accuracy"].isna().all() and watched.isna().all():
        found = (f"training accuracy {learnt:.1f} %, and no other was recorded",)
        return Certificate(model, int(mine["epoch"].max()) >= EPOCHS and learnt >= LEARNT, found, np.nan)
    validated = "validation_accuracy" in mine and watched.notna().all()
    name = "validation" if validated else "test"
    accuracy = 100 * by_epoch[f"{name}_accuracy"].mean()
    fifth = max(2, round(SHARE * len(accuracy)))
    last = accuracy.index[-fifth:]
    slope, end = _slope(accuracy[last]), accuracy[last].mean()
    loss, when = by_epoch["train_loss"].mean(), " at the end"
    falling = _fall(loss[last])
    if rates:
        before = np.flatnonzero(np.asarray(rates)[: len(loss)] >= RATE * max(rates))[-fifth:]
        if len(before) > 1 and (earlier := _fall(loss.iloc[before])) > max(falling, LOSS):
            falling, when = earlier, f" while the rate is above {100 * RATE:.0f} % of its highest value"
    swing = accuracy.max() - end
    asked = [
        (len(accuracy) >= EPOCHS, f"{len(accuracy)} epochs, and {EPOCHS} at least are asked for"),
        (slope < SLOPE, f"{name} accuracy changes by {slope:+.2f} points an epoch at the end"),
        (
            learnt >= LEARNT or falling < LOSS,
            f"training accuracy {learnt:.1f} %, training loss falls by {100 * falling:.1f} % an epoch{when}",
        ),
        (swing <= SWING, f"the last epochs lie {swing:.1f} points below the best one"),
    ]
    if majority is not None:
        above = end - 100 * majority
        side = "above" if above >= 0 else "below"
        said = f"{abs(above):.1f} points {side} always naming the commonest expression"
        asked.append((above >= CHANCE, said))
    if doubled is not None:
        asked.append((doubled <= DOUBLED, f"twice the epochs change it by {doubled:+.2f} points"))
    failed = tuple(text for passes, text in asked if not passes)
    tested = by_fold["test_accuracy"].agg(["last", "max"])
    gain = float(100 * (tested["max"] - tested["last"]).mean())
    return Certificate(model, not failed, failed or tuple(text for _, text in asked), gain)


def _fall(loss: pd.Series) -> float:
    return -_slope(loss) / loss.mean() if loss.mean() > 0 else 0.0


def _slope(values: pd.Series) -> float:
    return float(np.polyfit(values.index.to_numpy(float), values.to_numpy(float), 1)[0])


def of_run(run: Run, model: str) -> list[Certificate]:
    """Return the certificates of the networks that a model's predictions rest on.

    They are those that ``members`` of ``run.json`` names for it, else the network of that name, else (of an
    average, say) all that the run trained. What is fitted without epochs, as an SVM, has no members and
    nothing to certify. A training on fewer images, ``A@n=213``, needs a curve or members of its own.
    """
    curves = run.curves()
    trained = list(curves["model"].unique()) if len(curves) else []
    base = model.partition("@")[0]
    own = [name for name in (model, base) if name in trained][:1]
    named = run.info.get("members", {})
    members = named.get(model, [model]) if "@n=" in model else named.get(base, own or trained or [base])
    labels = run.predictions(model)["labels"] if model in run.models() else ()
    majority = np.bincount(labels).max() / len(labels) if len(labels) else None
    doubled, recipes = run.info.get("doubled", {}), run.info.get("recipes", {})
    found = {name: recipes.get(name, run.info.get("recipe", {})).get("learning_rates") for name in members}
    return [certify(curves, name, majority, doubled.get(name), found[name]) for name in members]


def objections(runs: Iterable[Run], models: Iterable[str]) -> list[str]:
    """Return why runs may not judge claims on ``models``: one sentence per network; empty if they may."""
    models, said = list(models), {}
    for run in runs:
        for one in (one for model in models for one in of_run(run, model) if not one.converged):
            said[f"{one.model} has not converged (seed {run.seed}: {'; '.join(one.reasons)})"] = None
    return list(said)


def best_gain(run: Run, model: str) -> float:
    """Return by how many points the best test epoch of a run may lift a model, at most, over its last one.

    NaN where the accuracy of a network was not recorded after every epoch.
    """
    return float(np.max([0.0, *(made.best_gain for made in of_run(run, model))]))
