"""What one trial of paper 4's search trains and tests, at each budget.

The paper ranks its configurations on the very folds that it reports. Here the search sees the training part
of the first of the ten folds only, and its own folds are made within it: whatever it finds can be tested on
subjects that it never saw. ``everything=True`` does what the paper did.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from fer_lib.data.splits import Fold
from fer_lib.errors import one_of
from fer_lib.evidence.provenance import variant
from fer_lib.learn import training
from fer_lib.papers.cnn3d import feeds as clip_feeds
from fer_lib.papers.cnn3d import search
from fer_lib.papers.cnn3d.data import Sequences
from fer_lib.papers.cnn3d.network import Configuration
from fer_lib.papers.cnn3d.readings import LEARNING_RATE, Readings


@dataclass(frozen=True)
class Plan:
    """What a budget makes of the search.

    Attributes
    ----------
    trials : int
        Finished trials of the study, pruned ones included; the paper tried more than 800.
    threshold : float
        Accuracy below which a trial is pruned (see :func:`threshold`); the paper's is 0.965.
    epochs, batch_size, lr, size, width
        See :class:`fer_lib.learn.recipes.Recipe` and :class:`fer_lib.papers.cnn3d.network.CNN3D`.
    subjects : int or None
        How many subjects are searched on; None is all.
    synthetic : dict
        Arguments of the synthetic corpus.
    """

    trials: int
    threshold: float
    epochs: int
    batch_size: int
    lr: float
    size: int
    width: float
    subjects: int | None
    synthetic: dict[str, int]


PLANS = {
    "smoke": Plan(6, 0.1, 2, 16, 2e-3, 32, 0.0625, 3, {"n_subjects": 4, "per_expression": 1}),
    "full": Plan(100, 0.965, 16, 30, LEARNING_RATE, 112, 1.0, None, {"n_subjects": 118, "per_expression": 1}),
    "paper": Plan(
        800, 0.965, 16, 30, LEARNING_RATE, 112, 1.0, None, {"n_subjects": 118, "per_expression": 1}
    ),
}


HELD_OUT = ("fold_rule", "oulu_folds", "oulu_n")
"""Readings that decide what is in the first of the ten folds."""


def threshold(dataset: str, plan: Plan) -> float | None:
    """Return below which accuracy trials are pruned; None on Oulu-CASIA, where none are.

    The paper prints one threshold, of leaving one subject out, and above its best accuracy on Oulu-CASIA.
    """
    return None if dataset == "oulu_casia" else plan.threshold


class Trials:
    """The data and the folds of a study; each worker makes its own.

    Parameters
    ----------
    sequences : Sequences
        The whole corpus.
    everything : bool
        Search on all subjects instead of the training part of the first of ten folds.

    Attributes
    ----------
    folds, averaging, total
        On what a configuration is tested, and what :func:`fer_lib.papers.cnn3d.search.work` is told of it.
    """

    def __init__(
        self,
        sequences: Sequences,
        readings: Readings,
        plan: Plan,
        *,
        everything: bool = False,
        seed: int = 0,
        device: torch.device | str = "cpu",
    ) -> None:
        self.readings, self.plan, self.seed, self.device = readings, plan, seed, device
        corpus = sequences.corpus
        if not everything:
            k = min(10, len(np.unique(corpus.subjects)))
            sequences = sequences.select(readings.ten_folds(corpus, k, seed)[0].train)
        if plan.subjects is not None:
            names = np.unique(sequences.corpus.subjects)[: plan.subjects]
            sequences = sequences.select(np.flatnonzero(np.isin(sequences.corpus.subjects, names)))
        self.sequences = sequences
        if not everything or plan.subjects is not None:  # 400 were drawn already, or these are too few
            readings = replace(readings, oulu_n=480)
        k = min(10, len(np.unique(sequences.corpus.subjects)))
        self.folds, self.averaging = readings.search_folds(sequences.corpus, k, seed)
        tested = sum(len(fold.test) for fold in self.folds)
        self.total = tested if self.averaging == "pooled" else len(self.folds)

    def evaluate(self, configuration: Configuration) -> Iterator[tuple[int, int]]:
        """Yield right answers and tested clips of each fold, the last epoch's."""
        feed = self.readings.feed(self.sequences, configuration, self.device)
        for fold in self.folds:
            yield self._test(configuration, fold, feed)

    def _test(self, configuration: Configuration, fold: Fold, feed: training.Feed) -> tuple[int, int]:
        """Train a configuration on one fold and return its right answers and the clips tested."""
        readings, plan, sequences = self.readings, self.plan, self.sequences
        seed = zlib.crc32(f"{self.seed}/{fold.name}".encode())
        torch.manual_seed(seed)
        model = readings.network(configuration, len(sequences.corpus.classes), plan.size, plan.width)
        part = readings.training_part(sequences, fold.train, self.device, seed)
        tested = clip_feeds.plain_part(sequences.corpus.labels, fold.test, self.device)
        recipe = readings.recipe(configuration, plan.epochs, plan.batch_size, plan.lr, checkpoint="last")
        loss = readings.loss(configuration, sequences, fold.train, part)
        training.fit(model, part, recipe, feed=feed, loss=loss, seed=seed, label=f"trial, {fold.name}")
        chosen = training.predict(model, tested, feed, precision=recipe.precision, batch_size=plan.batch_size)
        right = (chosen.argmax(1) == sequences.corpus.labels[fold.test]).sum()
        return int(right), len(fold.test)


def prepare(
    dataset: str,
    budget: str,
    *,
    readings: Readings | None = None,
    everything: bool = False,
    seed: int = 0,
    device: torch.device | str = "cpu",
    data_dir: str | Path | None = None,
) -> Trials:
    """Read a corpus and return the study's trials at a budget."""
    plan = PLANS[one_of(budget, PLANS, "budget")]
    readings = readings or Readings()
    sequences = readings.load(dataset, data_dir, plan.size, plan.synthetic)
    return Trials(sequences, readings, plan, everything=everything, seed=seed, device=device)


def task(
    dataset: str, budget: str, readings: Readings, *, everything: bool = False, seed: int = 0
) -> dict[str, Any]:
    """Return what a study searches on, as :func:`fer_lib.papers.cnn3d.search.agree` notes it."""
    own = {"dataset": dataset, "budget": budget, "seed": seed, "everything": everything}
    return own | {"readings": asdict(readings)}


def journal(task: dict[str, Any]) -> Path:
    """Return the file of a study for which none is given; its name says what differs from the defaults."""
    options = ["everything"] * task["everything"] + [variant("cnn3d", task["readings"])]
    name = ",".join(["{dataset}-{budget}-seed{seed}".format(**task), *filter(None, options)])
    return search.folder() / f"{name}.journal"


def seen(noted: dict[str, Any], wanted: dict[str, Any]) -> list[str]:
    """Return why a study may have searched on the subjects of the first fold; empty if it did not.

    Parameters
    ----------
    noted : dict
        What the study searches on (:func:`fer_lib.papers.cnn3d.search.task`).
    wanted : dict
        The :func:`task` by which the fold was made, without ``everything``.
    """
    theirs, ours = (part | part.get("readings", {}) for part in (noted, wanted))
    names = ("dataset", "budget", "seed", "everything", *HELD_OUT)
    found = [f"{n}={theirs.get(n)!r}, not {ours[n]!r}" for n in names if theirs.get(n) != ours[n]]
    by_chance = ours["dataset"] == "oulu_casia" and ours["oulu_folds"] == "random"
    return found + ["its folds are not by subject"] * by_chance
