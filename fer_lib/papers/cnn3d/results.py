"""What paper 4 asks of its folds: which epoch counts, accuracies by fold, and what frames are worth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from fer_lib.learn import metrics

if TYPE_CHECKING:
    import pandas as pd

    from fer_lib.learn.units import Outcome, Store

EPOCH_RULES = ("last", "shared", "fold")


@dataclass(frozen=True)
class Renamed:
    """A store in which every unit's name has a suffix.

    A unit's name decides its random numbers, so the same training under the same name, stopped at another
    epoch, has to be kept elsewhere.
    """

    store: Store
    suffix: str

    def unit(self, name: str) -> Path | None:
        """Return a finished unit of the store."""
        return self.store.unit(name + self.suffix)

    def finish_unit(self, name: str, **values: Any) -> Path:
        """Finish a unit of the store."""
        return self.store.finish_unit(name + self.suffix, **values)

    def checkpoint(self, name: str) -> Path:
        """Return a path in the store."""
        return self.store.checkpoint(name + self.suffix)


def curves_of(outcomes: Sequence[Outcome]) -> np.ndarray:
    """Return test accuracy by fold and epoch, float (k, E)."""
    return np.array([[row["test_accuracy"] for row in outcome.curves] for outcome in outcomes])


def shared_epoch(outcomes: Sequence[Outcome], sizes: Sequence[int]) -> int:
    """Return the epoch, from 1, at which the folds together are best on their test parts; the earliest."""
    return int(np.average(curves_of(outcomes), axis=0, weights=sizes).argmax()) + 1


def by_epoch_rule(outcomes: Sequence[Outcome], sizes: Sequence[int]) -> dict[str, tuple[float, float]]:
    """Return accuracy pooled over all clips, and as mean over folds, by which epoch of each fold counts.

    Parameters
    ----------
    outcomes
        One per fold, trained to the last epoch with test accuracies after each.
    sizes
        Clips that each fold tests.

    Returns
    -------
    dict
        ``last``; ``shared``, the one epoch that is best for all folds together; ``fold``, each fold's own
        best. The last two select on the test folds.
    """
    curves = curves_of(outcomes)
    chosen = {
        "last": curves[:, -1],
        "shared": curves[:, shared_epoch(outcomes, sizes) - 1],
        "fold": curves.max(1),
    }
    return {
        rule: (float(np.average(values, weights=sizes)), float(values.mean()))
        for rule, values in chosen.items()
    }


def fold_accuracies(rows: dict[str, np.ndarray], names: Sequence[str]) -> np.ndarray:
    """Return the accuracy of each fold in ``names``, from what ``Results.rows`` returns."""
    right = rows["probabilities"].argmax(1) == rows["labels"]
    return np.array([right[rows["fold"] == name].mean() for name in names])


def averages(rows: dict[str, np.ndarray], groups: np.ndarray | None) -> list[dict[str, Any]]:
    """Return accuracy pooled over clips and as the mean over folds, each with its 95 % interval.

    Parameters
    ----------
    rows
        As ``Results.rows`` returns them.
    groups : array (N,) or None
        The subject of each.
    """
    right = rows["probabilities"].argmax(1) == rows["labels"]
    found = []
    for name, weights in (("pooled", None), ("mean of folds", metrics.class_weights(rows["fold"]))):
        low, high = metrics.interval(right, groups, weights=weights)
        found.append(
            {"average": name, "accuracy": np.average(right, weights=weights), "low": low, "high": high}
        )
    return found


def compare_views(
    shown: dict[str, list[np.ndarray]], labels: Sequence[np.ndarray], groups: np.ndarray
) -> pd.DataFrame:
    """Return what networks make of clips shown in other ways, beside the clips as they are.

    Parameters
    ----------
    shown : dict
        View to probabilities (N, C) of each fold; the first view is what the others are compared with.
    labels
        int (N,) of each fold.
    groups : array
        The subjects of all folds' clips, one after the other.

    Returns
    -------
    pandas.DataFrame
        ``view``, ``accuracy``, ``low``, ``high``, ``difference`` from the first view with
        ``difference_low`` and ``difference_high`` (fractions), and McNemar's exact ``p``.
    """
    import pandas as pd

    truth = np.concatenate(labels)
    right = {view: np.concatenate(parts).argmax(1) == truth for view, parts in shown.items()}
    first = next(iter(right))
    rows = []
    for view, hits in right.items():
        low, high = metrics.interval(hits, groups)
        row = {"view": view, "accuracy": hits.mean(), "low": low, "high": high}
        names = ("difference", "difference_low", "difference_high", "p")
        values = (np.nan,) * 4
        if view != first:
            test = metrics.paired(hits, right[first], groups)
            values = (test["difference"], *test["interval"], test["p"])
        rows.append(row | dict(zip(names, values, strict=True)))
    return pd.DataFrame(rows)
