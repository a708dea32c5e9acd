"""Across datasets: the models of one corpus's folds, each applied to all images of another."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from torch import nn

from fer_lib.learn import metrics
from fer_lib.learn.training import Feed, Part, predict


@dataclass(frozen=True)
class Transfer:
    """What K models give on N images of a corpus that none of them has seen.

    Attributes
    ----------
    probabilities : ndarray
        float32 ``(K, N, C)``.
    labels : ndarray
        int64 ``(N,)``.
    groups : ndarray or None
        The subject of each image.
    """

    probabilities: np.ndarray
    labels: np.ndarray
    groups: np.ndarray | None = None

    @property
    def correct(self) -> np.ndarray:
        """Which predictions are right, bool ``(K, N)``."""
        return self.probabilities.argmax(2) == self.labels

    @property
    def accuracies(self) -> np.ndarray:
        """Accuracy of each model, float ``(K,)``."""
        return self.correct.mean(1)

    def mean(self) -> tuple[float, float, float]:
        """Return the mean of the K accuracies (Sect. 5.2 of ``cspp``) and its 95 % interval.

        The interval draws subjects (or images) and models: both would be others another time.
        """
        low, high = metrics.interval(self.correct, self.groups)
        return float(self.accuracies.mean()), low, high


def apply_models(models: Iterable[nn.Module], part: Part, feed: Feed, precision: str = "auto") -> np.ndarray:
    """Return softmax probabilities float32 ``(K, N, C)`` of every model on every image of ``part``."""
    return np.stack([predict(model, part, feed, precision=precision) for model in models])
