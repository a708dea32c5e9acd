"""What one trial of paper 4's search trains and tests, and on what a study searches.

The paper ranks its configurations on the very folds that it reports. Here the search sees the training part
of the first of the ten folds only, and its own folds are made within it: whatever it finds can be tested on
subjects that it never saw. ``everything=True`` ranks on all subjects, as the paper did, though by the last
epoch.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
import zlib
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from fer_lib.data.splits import Fold, leave_one_subject_out
from fer_lib.errors import FerError
from fer_lib.evidence.provenance import repository, variant
from fer_lib.learn import training
from fer_lib.papers.cnn3d import search
from fer_lib.papers.cnn3d.clips import Sequences, plain_part
from fer_lib.papers.cnn3d.network import Configuration
from fer_lib.papers.cnn3d.readings import BUDGETS, Readings, class_weighted


def task(
    dataset: str, budget: str, readings: Readings, *, everything: bool = False, seed: int = 0
) -> dict[str, Any]:
    """Return what a study searches on, as :func:`fer_lib.papers.cnn3d.search.agree` notes it."""
    own = {"dataset": dataset, "budget": budget, "seed": seed, "everything": everything}
    return own | {"readings": asdict(readings)}


def folder() -> Path:
    """Return where journals lie unless a file is given: in the hidden folder of unfinished work."""
    return repository() / "results" / ".work" / "search"


def journal_of(task: dict[str, Any]) -> Path:
    """Return the file of a study for which none is given; its name says what differs from the defaults."""
    options = ["everything"] * task["everything"] + [variant("cnn3d", task["readings"])]
    name = ",".join(["{dataset}-{budget}-seed{seed}".format(**task), *filter(None, options)])
    return folder() / f"{name}.journal"


def threshold_of(dataset: str, budget: str) -> float | None:
    """Return below which accuracy trials are pruned; None on Oulu-CASIA, where none are.

    The paper prints one threshold, of leaving one subject out, and above its best accuracy on Oulu-CASIA.
    """
    return None if dataset == "oulu_casia" else BUDGETS[budget]["search"]["threshold"]


class Evaluation:
    """The data and the folds of a study; each worker makes its own.

    A configuration is ranked by its accuracy over all clips when one subject is left out at a time, on
    Oulu-CASIA by the mean over ten folds.

    Parameters
    ----------
    sequences : Sequences
        The whole corpus.
    plan : dict
        One of :data:`fer_lib.papers.cnn3d.readings.BUDGETS`.
    everything : bool
        Search on all subjects instead of the training part of the first of ten folds.
    """

    def __init__(
        self,
        sequences: Sequences,
        readings: Readings,
        plan: dict[str, Any],
        *,
        everything: bool = False,
        seed: int = 0,
        device: torch.device | str = "cpu",
    ) -> None:
        self.readings, self.seed, self.device = readings, seed, device
        self.plan = plan | {"epochs": plan["search"]["epochs"]}
        if not everything:
            k = min(10, len(np.unique(sequences.corpus.subjects)))
            sequences = sequences.select(readings.ten_folds(sequences.corpus, k, seed)[0].train)
        if plan["search"]["subjects"] is not None:
            names = np.unique(sequences.corpus.subjects)[: plan["search"]["subjects"]]
            sequences = sequences.select(np.flatnonzero(np.isin(sequences.corpus.subjects, names)))
        self.sequences, corpus = sequences, sequences.corpus
        if corpus.card.name == "oulu_casia":
            if not everything or plan["search"]["subjects"]:  # 400 were drawn already, or these are too few
                readings = replace(readings, oulu_n=480)
            self.folds = readings.ten_folds(corpus, min(10, len(np.unique(corpus.subjects))), seed)
        else:
            self.folds = leave_one_subject_out(corpus)

    def __call__(self, configuration: Configuration) -> Iterator[float]:
        """Yield what the errors in each fold, after the last epoch, take from the accuracy of 1."""
        feed = self.readings.feed(self.sequences, configuration, self.device)
        tested = sum(len(fold.test) for fold in self.folds)
        for fold in self.folds:
            wrong = self._wrong(configuration, fold, feed)
            by_fold = self.sequences.corpus.card.name == "oulu_casia"
            yield wrong / (len(fold.test) * len(self.folds) if by_fold else tested)

    def _wrong(self, configuration: Configuration, fold: Fold, feed: training.Feed) -> int:
        """Train a configuration on one fold and return how many of its clips it gets wrong."""
        readings, plan, labels = self.readings, self.plan, self.sequences.corpus.labels
        n_classes = len(self.sequences.corpus.classes)
        seed = zlib.crc32(f"{self.seed}/{fold.name}".encode())
        torch.manual_seed(seed)
        model = readings.network(configuration, n_classes, plan)
        part = readings.training_part(self.sequences, fold.train, self.device, seed)
        recipe = readings.recipe(configuration, plan, checkpoint="last")
        loss = class_weighted(part, n_classes) if configuration.class_weights else None
        training.fit(model, part, recipe, feed=feed, loss=loss, seed=seed, label=f"trial, {fold.name}")
        options = {"precision": recipe.precision, "batch_size": plan["batch_size"]}
        found = training.predict(model, plain_part(labels, fold.test, self.device), feed, **options)
        return int((found.argmax(1) != labels[fold.test]).sum())


def demonstrate(journal: Path, workers: int, seed: int = 0) -> None:
    """Let several workers join a small study on drawn faces, and kill one of them at its work.

    Raises
    ------
    FerError
        If one of the others fails, with what it said.
    """
    command = [sys.executable, "-m", "fer_lib.cli", "search", "run", "synthetic", "--device", "cpu"]
    command += ["--journal", str(journal), "--seed", str(seed)]
    environment = {name: value for name, value in os.environ.items() if name != "FER_PROGRESS"}
    environment["OMP_NUM_THREADS"] = "1"
    log = journal.with_suffix(".log")
    with log.open("w") as file:
        made = [subprocess.Popen(command, env=environment, stdout=file, stderr=file) for _ in range(workers)]
        try:
            running, began = 0, time.monotonic()
            while running < workers and made[0].poll() is None and time.monotonic() - began < 120:
                time.sleep(0.2)
                running = (search.trials(journal)["state"] == "running").sum() if journal.is_file() else 0
            made[0].kill()
            if any(worker.wait() for worker in made[1:]):
                raise FerError(f"A worker of the demonstration failed: {log.read_text()}")
        finally:
            for worker in made:
                worker.kill()
                worker.wait()
