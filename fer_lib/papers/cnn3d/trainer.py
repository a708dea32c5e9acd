"""Trains configurations of paper 4: for the chapter on its folds, for a trial of the search on its own."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from fer_lib.data.splits import Fold, leave_one_subject_out
from fer_lib.files import UnitFolder
from fer_lib.learn import training, units
from fer_lib.learn.recipes import Loss
from fer_lib.learn.training import Part
from fer_lib.learn.units import Outcome
from fer_lib.papers.cnn3d.clips import Sequences
from fer_lib.papers.cnn3d.network import CNN3D, Configuration
from fer_lib.papers.cnn3d.readings import Readings


@dataclass
class Trainer:
    """Trains networks by name on any fold of some sequences, and asks them."""

    store: UnitFolder  # where finished units are kept, such as the run's recorder
    configurations: dict[str, Configuration]
    readings: Readings
    plan: dict[str, Any]  # one of fer_lib.papers.cnn3d.readings.BUDGETS
    seed: int
    device: torch.device

    def network(self, name: str, n_classes: int) -> CNN3D:
        """Return a network with initial weights."""
        plan = self.plan
        return CNN3D(self.configurations[name], n_classes, size=plan["size"], width=plan["width"])

    def train(
        self,
        name: str,
        data: Sequences,
        fold: Fold,
        unit: str,
        *,
        start: Path | None = None,
        order: Tensor | None = None,
        keep: bool = False,
        **changes: Any,
    ) -> Outcome:
        """Train one network on one fold of some sequences, or find the unit in the store.

        It starts from scratch, or from all but the output layer of the weights ``start``, and sees frames in
        an ``order`` (:func:`fer_lib.papers.cnn3d.clips.frame_orders`). ``keep`` its weights for
        :meth:`trained`; ``changes`` are those of the recipe.
        """
        configuration, n = self.configurations[name], len(data.corpus.classes)
        part = data.copies(fold.train, self.seed, self.device)

        def make() -> CNN3D:
            model = self.network(name, n)
            if start is not None:
                model.load_trunk(units.read_weights(start))
            return model

        return units.train_unit(
            self.store,
            unit,
            make,
            (part, None, data.part(fold.test, self.device)),
            self.readings.recipe(configuration, self.plan, **changes),
            feed=data.feed(configuration, self.device, order),
            loss=class_weighted(part, n) if configuration.class_weights else None,
            seed=self.seed,
            keep_weights=keep,
        )

    def trained(self, name: str, outcome: Outcome) -> CNN3D:
        """Return a network with the weights that its training kept."""
        weights = units.read_weights(outcome.weights)
        model = self.network(name, len(weights["classify.bias"]))
        model.load_state_dict(weights)
        return model.to(self.device).eval()

    def answers(
        self,
        name: str,
        model: CNN3D,
        data: Sequences,
        index: np.ndarray,
        order: Tensor | None = None,
        **options: Any,
    ) -> np.ndarray:
        """Return what :func:`fer_lib.learn.training.predict` says of the sequences at ``index``."""
        feed = data.feed(self.configurations[name], self.device, order)
        options = {"batch_size": self.plan["batch_size"]} | options
        return training.predict(model, data.part(index, self.device), feed, **options)


def class_weighted(part: Part, n_classes: int) -> Loss:
    """Return the cross-entropy with weights inverse to a part's samples of each class, of mean 1."""
    n = torch.bincount(part.labels, minlength=n_classes).float()
    weights = torch.where(n > 0, n.sum() / n.clamp_min(1), 0)
    weights = weights / weights[n > 0].mean()

    def loss(logits: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        logits = logits.float()
        return F.cross_entropy(logits, labels, weight=weights), logits

    return loss


class Evaluation:
    """What a trial of the search trains and tests.

    A configuration is ranked by its accuracy over all clips when one subject is left out at a time, on
    Oulu-CASIA by the mean over ten folds. The paper ranks on the very folds that it reports. Here the search
    makes its folds within the training part of the first of the ten folds, so that what it finds can be
    tested on subjects that it never saw. ``sequences`` are the whole corpus.
    """

    def __init__(
        self,
        sequences: Sequences,
        readings: Readings,
        plan: dict[str, Any],
        seed: int = 0,
        device: torch.device | str = "cpu",
    ) -> None:
        self.readings, self.seed, self.device = readings, seed, device
        self.plan = plan | {"epochs": plan["search"]["epochs"]}
        k = min(10, len(np.unique(sequences.corpus.subjects)))
        sequences = sequences.select(readings.ten_folds(sequences.corpus, k, seed)[0].train)
        people = np.unique(sequences.corpus.subjects)[: plan["search"]["subjects"]]
        sequences = sequences.select(np.flatnonzero(np.isin(sequences.corpus.subjects, people)))
        self.sequences, corpus = sequences, sequences.corpus
        self.by_fold = corpus.card.name == "oulu_casia"
        self.folds = leave_one_subject_out(corpus)
        if self.by_fold:  # where 400 sequences are read, they were drawn already
            self.folds = replace(readings, oulu_n=480).ten_folds(corpus, min(10, len(people)), seed)

    def __call__(self, configuration: Configuration) -> Iterator[float]:
        """Yield what the errors in each fold, after the last epoch, take from the accuracy of 1."""
        data, plan, n = self.sequences, self.plan, len(self.sequences.corpus.classes)
        feed = data.feed(configuration, self.device)
        recipe = self.readings.recipe(configuration, plan, checkpoint="last")
        options = {"precision": recipe.precision, "batch_size": plan["batch_size"]}
        tested = sum(len(fold.test) for fold in self.folds)
        for fold in self.folds:
            seed = zlib.crc32(f"{self.seed}/{fold.name}".encode())
            torch.manual_seed(seed)
            model = CNN3D(configuration, n, size=plan["size"], width=plan["width"])
            part = data.copies(fold.train, seed, self.device)
            loss = class_weighted(part, n) if configuration.class_weights else None
            training.fit(model, part, recipe, feed=feed, loss=loss, seed=seed, label=f"trial, {fold.name}")
            found = training.predict(model, data.part(fold.test, self.device), feed, **options)
            wrong = int((found.argmax(1) != data.corpus.labels[fold.test]).sum())
            yield wrong / (len(fold.test) * len(self.folds) if self.by_fold else tested)
