"""The open readings of paper 4 as one object, from a corpus to folds, networks, batches and recipes.

The chapter and the workers of the search build everything through it, so that a reading that is flipped is
flipped for both, except the epoch that counts: a trial is ranked by its last one. What a budget makes of
either stands here too.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from fer_lib.data.corpus import Corpus
from fer_lib.data.splits import Fold, kfold
from fer_lib.errors import one_of
from fer_lib.learn.recipes import Loss, Recipe
from fer_lib.learn.training import Part
from fer_lib.papers.cnn3d import clips
from fer_lib.papers.cnn3d.clips import ClipFeed, Sequences
from fer_lib.papers.cnn3d.network import CNN3D, Configuration

LOOKAHEAD = (5, 0.5)  # k and alpha: Sect. 3.3
LEARNING_RATE = 1e-4  # Sect. 3.1
SOURCES = {
    "epochs": "Sect. 3.1",
    "batch_size": "Sect. 3.1",
    "lr": "Sect. 3.1",
    "optimiser": "Sect. 3.1",
    "augmentation": "Sect. 4.1, 4.2: in the copies above",
    "betas": "not stated",
    "weight_decay": "not stated",
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
    "lr": LEARNING_RATE,
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
    | {"size": 32, "width": 0.0625, "epochs": 6, "batch_size": 16, "lr": 2e-3, "k": 3, "folds": 2, "loso": 2}
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
    """One value for each open reading that a run may flip.

    The fields are the knobs of the paper's register (``fer_lib.claims.ambiguities("cnn3d")``), which says
    what each value means; the defaults are the recommended ones.
    """

    epoch_selection: str = "last"
    oulu_camera: str = "VL"
    oulu_n: int = 480
    oulu_folds: str = "subject"

    def load(
        self, dataset: str, data_dir: str | Path | None, plan: dict[str, Any], **synthetic: int
    ) -> Sequences:
        """Read a corpus at a budget; see :func:`fer_lib.papers.cnn3d.clips.load`."""
        drawn = {"n_subjects": plan["subjects"], "per_expression": 1} | synthetic
        options = {"oulu_camera": self.oulu_camera, "synthetic": drawn}
        return clips.load(dataset, data_dir, size=plan["size"], **options)

    def load_other(
        self, dataset: str, data_dir: str | Path | None, plan: dict[str, Any], seed: int
    ) -> Sequences:
        """Read the corpus on which the third network is pre-trained before it is trained on ``dataset``.

        Of drawn faces these are others, without contempt, as Oulu-CASIA has none.
        """
        source = self.load(PRETRAINED[dataset][1], data_dir, plan, seed=seed + 1)
        if dataset == "synthetic":
            kept = np.flatnonzero(source.corpus.labels != source.corpus.classes.index("contempt"))
            source = source.select(kept)
            source = replace(source, corpus=source.corpus.only(clips.CLASSES["oulu_casia"]))
        return source

    def ten_folds(self, corpus: Corpus, k: int = 10, seed: int = 0) -> list[Fold]:
        """Return the folds of Tables 4 and 5."""
        if corpus.card.name != "oulu_casia":
            return clips.subject_folds(corpus, k)
        by_subject = one_of(self.oulu_folds, ("subject", "random"), "oulu_folds") == "subject"
        folds = clips.subject_folds(corpus, k) if by_subject else kfold(corpus, k, seed)
        return folds if self.oulu_n == 480 else clips.equal_folds(folds, self.oulu_n // k, seed)

    def network(self, configuration: Configuration, n_classes: int, plan: dict[str, Any] = PAPER) -> CNN3D:
        """Return the network of a configuration at a budget."""
        return CNN3D(configuration, n_classes, size=plan["size"], width=plan["width"])

    def feed(
        self,
        sequences: Sequences,
        configuration: Configuration,
        device: torch.device | str = "cpu",
        order: Tensor | None = None,
    ) -> ClipFeed:
        """Return what makes batches of the sequences as a configuration wants them prepared."""
        frames = torch.as_tensor(sequences.equalised if configuration.clahe else sequences.frames)
        order = None if order is None else order.to(device)
        return ClipFeed(frames.to(device), configuration.normalise, order)

    def training_part(
        self, sequences: Sequences, index: np.ndarray, device: torch.device | str = "cpu", seed: int = 0
    ) -> Part:
        """Return the sequences at ``index`` with their augmented copies."""
        corpus = sequences.corpus
        counts = clips.copy_counts(corpus)
        return clips.training_part(corpus.labels, index, counts, seed=seed, device=device)

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


def class_weighted(part: Part, n_classes: int) -> Loss:
    """Return the cross-entropy whose class weights are inverse to a part's samples of each class.

    The mean weight is 1; a class without samples weighs nothing.
    """
    n = torch.bincount(part.labels, minlength=n_classes).float()
    weights = torch.where(n > 0, n.sum() / n.clamp_min(1), 0)
    weights = weights / weights[n > 0].mean()

    def loss(logits: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        logits = logits.float()
        return F.cross_entropy(logits, labels, weight=weights), logits

    return loss
