"""The open readings of paper 4 as one object: from a corpus to folds, networks, batches and recipes.

The chapter and the workers of the search build everything through it, so that a reading that is flipped is
flipped for both.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from fer_lib.data.corpus import Corpus
from fer_lib.data.splits import Fold, kfold, leave_one_subject_out
from fer_lib.errors import one_of
from fer_lib.learn.recipes import Loss, Recipe
from fer_lib.learn.training import Part
from fer_lib.papers.cnn3d import data as clip_data
from fer_lib.papers.cnn3d import feeds as clip_feeds
from fer_lib.papers.cnn3d import network as cnn3d
from fer_lib.papers.cnn3d.data import Sequences
from fer_lib.papers.cnn3d.network import Configuration

COPIES = {
    "ckplus": clip_feeds.CKPLUS_COPIES,
    "oulu_casia": clip_feeds.OULU_COPIES,
    **dict.fromkeys(("synthetic", "ravdess", "crema_d"), (1, 1, 1)),  # their classes are balanced as they are
}
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


@dataclass(frozen=True)
class Readings:
    """One value for each place where the paper leaves an implementer to guess.

    The fields are the knobs of the paper's register (``fer_lib.claims.ambiguities("cnn3d")``), which says
    what each value means; the defaults are the recommended ones.
    """

    filters: str = "c3d"
    n_dense_layers: int = 2
    dropout_place: str = "all"
    bn_position: str = "before"
    bn_momentum: float = 0.1
    avgpool_count_pad: bool = True
    initializer: str = "framework"
    init_scope: str = "all"
    dropout_meaning: str = "drop"
    class_weight_counts: str = "copies"
    lookahead_lr: float = 0.0001
    clahe_stage: str = "crop"
    oulu_color: str = "grey"
    contrast_stage: str = "8bit"
    aug_per_clip: bool = True
    augment_mode: str = "originals_and_copies"
    augment_online: bool = False
    face_box: str = "clip"
    short_pad: str = "last"
    loso_average: str = "pooled"
    fold_rule: str = "dealt"
    fold_average: str = "folds"
    epoch_selection: str = "last"
    search_protocol: str = "own"
    oulu_camera: str = "VL"
    oulu_n: int = 480
    oulu_folds: str = "subject"
    transfer: str = "finetune"
    significance_test: str = "two_sided"
    second_conv_width: str = "same"
    temporal_padding: str = "symmetric"
    lr_schedule: str = "constant"
    drop_last: bool = False

    # --- data ---------------------------------------------------------------------------------

    def load(
        self,
        dataset: str,
        data_dir: str | Path | None = None,
        size: int = 112,
        synthetic: dict[str, int] | None = None,
    ) -> Sequences:
        """Read a corpus; see :func:`fer_lib.papers.cnn3d.data.load`."""
        names = ("short_pad", "face_box", "clahe_stage", "oulu_camera", "oulu_color")
        chosen = {name: getattr(self, name) for name in names}
        return clip_data.load(dataset, data_dir, size=size, synthetic=synthetic, **chosen)

    def ten_folds(self, corpus: Corpus, k: int = 10, seed: int = 0) -> list[Fold]:
        """Return the folds of Tables 4 and 5."""
        if corpus.card.name != "oulu_casia":
            return clip_data.subject_folds(corpus, k, self.fold_rule, seed)
        by_subject = one_of(self.oulu_folds, ("subject", "random"), "oulu_folds") == "subject"
        folds = (
            clip_data.subject_folds(corpus, k, self.fold_rule, seed) if by_subject else kfold(corpus, k, seed)
        )
        return folds if self.oulu_n == 480 else clip_data.equal_folds(folds, self.oulu_n // k, seed)

    def search_folds(self, corpus: Corpus, k: int = 10, seed: int = 0) -> tuple[list[Fold], str]:
        """Return the folds on which the search measures a configuration, and how it averages over them."""
        one_of(self.search_protocol, ("own", "loso"), "search_protocol")
        if corpus.card.name == "oulu_casia" and self.search_protocol == "own":
            return self.ten_folds(corpus, k, seed), self.fold_average
        averaging = {"pooled": "pooled", "subjects": "folds"}
        return leave_one_subject_out(corpus), averaging[one_of(self.loso_average, averaging, "loso_average")]

    # --- networks and batches -----------------------------------------------------------------

    def network(
        self, configuration: Configuration, n_classes: int, size: int = 112, width: float = 1.0
    ) -> cnn3d.CNN3D:
        """Return the network of a configuration under these readings."""
        names = ("filters", "n_dense_layers", "dropout_place", "bn_position", "bn_momentum")
        names += ("avgpool_count_pad", "init_scope", "dropout_meaning", "temporal_padding")
        options = {name: getattr(self, name) for name in names}
        if configuration == cnn3d.C2:  # Table 3 prints "none"
            options["initialiser"] = self.initializer
        return cnn3d.build(
            configuration, n_classes, size=size, width=width, second_width=self.second_conv_width, **options
        )

    def feed(
        self,
        sequences: Sequences,
        configuration: Configuration,
        device: torch.device | str = "cpu",
        order: torch.Tensor | None = None,
    ) -> clip_feeds.ClipFeed:
        """Return what makes batches of the sequences as a configuration wants them prepared."""
        frames = sequences.equalised if configuration.clahe else sequences.frames
        return clip_feeds.ClipFeed(
            torch.as_tensor(frames).to(device),
            normalise=configuration.normalise,
            contrast_stage=self.contrast_stage,
            redraw=self.augment_online,
            order=None if order is None else order.to(device),
        )

    def training_part(
        self, sequences: Sequences, index: np.ndarray, device: torch.device | str = "cpu", seed: int = 0
    ) -> Part:
        """Return the sequences at ``index`` with their augmented copies."""
        corpus = sequences.corpus
        return clip_feeds.training_part(
            corpus.labels,
            index,
            clip_feeds.copy_counts(corpus.classes, COPIES[corpus.card.name]),
            mode=self.augment_mode,
            per_clip=self.aug_per_clip,
            n_frames=sequences.frames.shape[1],
            seed=seed,
            device=device,
        )

    def recipe(
        self,
        configuration: Configuration,
        epochs: int = 16,
        batch_size: int = 30,
        lr: float = LEARNING_RATE,
        **changes: Any,
    ) -> Recipe:
        """Return how a configuration is trained; ``changes`` are further arguments of :class:`Recipe`."""
        # A budget that scales the rate scales Lookahead's as well.
        rate = lr * (self.lookahead_lr / LEARNING_RATE) if configuration.lookahead else lr
        rates = None
        if one_of(self.lr_schedule, ("constant", "cosine"), "lr_schedule") == "cosine":
            rates = tuple(rate * (1 + math.cos(math.pi * epoch / epochs)) / 2 for epoch in range(epochs))
        options = {
            "epochs": epochs,
            "batch_size": batch_size,
            "lr": rate,
            "learning_rates": rates,
            "lookahead": LOOKAHEAD if configuration.lookahead else None,
            "drop_last": self.drop_last,
            "checkpoint": "best_test" if self.epoch_selection == "fold" else "last",
            "sources": SOURCES,
        }
        return Recipe(**options | changes)

    def loss(
        self, configuration: Configuration, sequences: Sequences, index: np.ndarray, part: Part
    ) -> Loss | None:
        """Return the cross-entropy that a configuration wants; None is the plain one."""
        if not configuration.class_weights:
            return None
        one_of(self.class_weight_counts, ("copies", "clips"), "class_weight_counts")
        labels = part.labels
        if self.class_weight_counts == "clips":
            labels = torch.as_tensor(sequences.corpus.labels[index]).to(part.labels.device)
        weights = clip_feeds.class_weights(labels, len(sequences.corpus.classes))
        return clip_feeds.weighted_cross_entropy(weights)
