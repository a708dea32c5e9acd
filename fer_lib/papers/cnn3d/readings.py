"""The open readings of paper 4, and what a budget makes of its chapter and of its search.

Both build everything through :class:`Readings`, so that a flipped reading is flipped for both. Only the epoch
that counts is not: a trial is ranked by its last one.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from fer_lib.data.corpus import Corpus
from fer_lib.data.splits import Fold, kfold
from fer_lib.learn.recipes import Recipe
from fer_lib.papers.cnn3d import clips
from fer_lib.papers.cnn3d.clips import Sequences
from fer_lib.papers.cnn3d.network import Configuration

LOOKAHEAD = (5, 0.5)  # k and alpha: Sect. 3.3
SOURCES = {
    **dict.fromkeys(("epochs", "batch_size", "lr", "optimiser"), "Sect. 3.1"),
    "augmentation": "Sect. 4.1, 4.2: in the copies above",
    **dict.fromkeys(("betas", "weight_decay"), "not stated"),
    "lookahead": "Sect. 3.3",
    "checkpoint": "Sect. 3.1 (best epoch)",
}
# The network that is pre-trained, and on what (Tables 4 and 5); films take CK+'s.
PRETRAINED = dict.fromkeys(("ckplus", "ravdess", "crema_d"), ("c3", "oulu_casia"))
PRETRAINED |= {"oulu_casia": ("c4", "ckplus"), "synthetic": ("c3", "synthetic")}

PAPER = {
    "size": 112,  # of frames in pixels
    "width": 1,  # scales every layer
    "epochs": 16,
    "batch_size": 30,
    "lr": 1e-4,
    "k": 10,  # folds, of which so many are trained (None: all)
    "folds": None,
    "loso": None,  # subjects left out in turn (None: all)
    "subjects": 118,  # of synthetic corpora
    "views": (1, 2, 3, 5, 7, 10),  # frames shown
    "workers": 0,  # of a search that the chapter itself makes, on drawn faces
    "search": {"trials": 800, "threshold": 0.965, "epochs": 16, "subjects": None},
}
BUDGETS = {
    "smoke": PAPER
    | {"size": 32, "width": 0.0625, "epochs": 3, "batch_size": 16, "lr": 2e-3, "k": 3, "folds": 2, "loso": 2}
    | {"subjects": 6, "views": (1, 3, 10), "workers": 3}
    | {"search": {"trials": 6, "threshold": 0.1, "epochs": 2, "subjects": 3}},
    "full": PAPER | {"loso": 10, "search": PAPER["search"] | {"trials": 100}},
    "paper": PAPER,
}
"""What each budget makes of the chapter and of the search: its finished trials (pruned ones included; the
paper tried more than 800), the accuracy below which one is pruned, epochs, and subjects (None: all).
"""


@dataclass(frozen=True)
class Readings:
    """The open readings that a run may flip; ``fer_lib.claims.ambiguities("cnn3d")`` explains the values."""

    epoch_selection: str = "last"
    oulu_camera: str = "VL"
    oulu_n: int = 480
    oulu_folds: str = "subject"

    def load(
        self, dataset: str, data_dir: str | Path | None, plan: dict[str, Any], **synthetic: int
    ) -> Sequences:
        """Read a corpus at a budget; see :func:`fer_lib.papers.cnn3d.clips.load`."""
        drawn = {"n_subjects": plan["subjects"], "per_expression": 1} | synthetic
        size, camera = plan["size"], self.oulu_camera
        return clips.load(dataset, data_dir, size=size, oulu_camera=camera, synthetic=drawn)

    def load_other(
        self, dataset: str, data_dir: str | Path | None, plan: dict[str, Any], seed: int
    ) -> Sequences:
        """Read the corpus on which the third network is pre-trained before it is trained on ``dataset``.

        For drawn faces these are others, without contempt, as Oulu-CASIA has none.
        """
        source = self.load(PRETRAINED[dataset][1], data_dir, plan, seed=seed + 1)
        if dataset == "synthetic":
            kept = np.flatnonzero(source.corpus.labels != source.corpus.classes.index("contempt"))
            source = source.select(kept)
            source = replace(source, corpus=source.corpus.only(clips.SIX))
        return source

    def ten_folds(self, corpus: Corpus, k: int = 10, seed: int = 0) -> list[Fold]:
        """Return the folds of Tables 4 and 5."""
        if corpus.card.name != "oulu_casia":
            return clips.subject_folds(corpus, k)
        folds = kfold(corpus, k, seed) if self.oulu_folds == "random" else clips.subject_folds(corpus, k)
        return folds if self.oulu_n == 480 else clips.equal_folds(folds, self.oulu_n // k, seed)

    def recipe(self, configuration: Configuration, plan: dict[str, Any] = PAPER, **changes: Any) -> Recipe:
        """Return how a configuration is trained; ``changes`` are further arguments of :class:`Recipe`."""
        options = {
            "epochs": plan["epochs"],
            "batch_size": plan["batch_size"],
            "lr": plan["lr"],
            "lookahead": LOOKAHEAD if configuration.lookahead else None,
            "checkpoint": "best_test" if self.epoch_selection == "fold" else "last",
            "sources": SOURCES,
        }
        return Recipe(**options | changes)
