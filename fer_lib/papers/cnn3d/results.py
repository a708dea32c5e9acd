"""What paper 4 asks of its folds: which epoch counts, accuracies by fold, and what frames are worth."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from fer_lib.learn import metrics

if TYPE_CHECKING:
    import pandas as pd

    from fer_lib.data.corpus import Corpus
    from fer_lib.data.splits import Fold
    from fer_lib.learn.units import Outcome

EPOCHS = ("last epoch", "best shared epoch (selects on test)", "best epoch of each fold (selects on test)")
AVERAGES = ("pooled", "mean of folds")


def by_epoch(outcomes: Sequence[Outcome], sizes: Sequence[int]) -> pd.DataFrame:
    """Return the accuracy in per cent by the epoch that counts (ambiguity ``best_epoch``).

    ``outcomes`` are one per fold, ``sizes`` the clips that each tests. Columns are ``average``
    (:data:`AVERAGES`) and :data:`EPOCHS`.
    """
    import pandas as pd

    curves = np.array([[row["test_accuracy"] for row in outcome.curves] for outcome in outcomes])  # (k, E)
    shared = np.average(curves, axis=0, weights=sizes).argmax()
    chosen = (curves[:, -1], curves[:, shared], curves.max(1))
    rows = [
        {"average": name} | {e: 100 * np.average(v, weights=w) for e, v in zip(EPOCHS, chosen, strict=True)}
        for name, w in zip(AVERAGES, (sizes, None), strict=True)
    ]
    return pd.DataFrame(rows)


def by_fold(right: np.ndarray, folds: np.ndarray) -> np.ndarray:
    """Return the accuracy of each fold in order of appearance, from right answers and names, each (N,)."""
    return np.array([right[folds == name].mean() for name in dict.fromkeys(folds)])


def averages(right: np.ndarray, folds: np.ndarray, groups: np.ndarray) -> dict[str, tuple[float, ...]]:
    """Return accuracy with its 95 % interval over groups (subjects), by :data:`AVERAGES`; all are (N,)."""
    weights = (None, metrics.class_weights(folds))
    return {
        name: (float(np.average(right, weights=w)), *metrics.interval(right, groups, weights=w))
        for name, w in zip(AVERAGES, weights, strict=True)
    }


def compare_views(
    seen: Mapping[str, Sequence[np.ndarray]], corpus: Corpus, folds: Sequence[Fold]
) -> pd.DataFrame:
    """Return what networks make of clips shown in other ways, against the first way.

    ``seen`` are probabilities (N, C) of each fold's test clips, by view. Columns are ``view``, ``accuracy``,
    ``low``, ``high``, ``difference`` from the first view with its bounds ``difference_low`` and
    ``difference_high`` (fractions), and McNemar's exact ``p``.
    """
    import pandas as pd

    index = np.concatenate([fold.test for fold in folds])
    labels, people = corpus.labels[index], corpus.subjects[index]
    right = {view: np.concatenate(parts).argmax(1) == labels for view, parts in seen.items()}
    first = next(iter(right.values()))
    rows = []
    for view, hits in right.items():
        row = [view, hits.mean(), *metrics.interval(hits, people)]
        test = metrics.paired(hits, first, people) if rows else {"difference": np.nan, "p": np.nan}
        rows.append([*row, test["difference"], *test.get("interval", (np.nan, np.nan)), test["p"]])
    columns = ["view", "accuracy", "low", "high", "difference", "difference_low", "difference_high", "p"]
    return pd.DataFrame(rows, columns=columns)
