"""Train the networks of paper ``lkrnet`` on one corpus, and look at what they learnt."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from torch.nn import functional as F

from fer_lib.data.corpus import Corpus
from fer_lib.data.splits import Fold
from fer_lib.files import UnitFolder
from fer_lib.learn import explain, side_by_side, training, units
from fer_lib.learn.normalisation import Normalisation
from fer_lib.papers.lkrnet import network, triplets
from fer_lib.papers.lkrnet.key_regions import KeyRegionFeed, KeyRegions, filled

LAMBDA = 0.2  # the only weight of the triplet loss that Sect. 4.3.1 praises
STRUCTURE = ("mask_stage", "use_batchnorm", "dropout", "branch_fusion")


@dataclass(frozen=True)
class Trainer:
    """Trains networks by name, on images of 48x48 with their ``geometry`` float32 ``(N, 6, 2)``.

    A name is one of :data:`fer_lib.papers.lkrnet.network.NETWORKS`, or a variant of the method: ``Our
    method@lambda=0.4`` (weight of the triplet loss), ``@alpha=0.4`` (size of the regions), ``@mask=ones``
    (two equal branches) or ``@mask_stage=no_pool5``. ``readings`` are the chapter's parameters.
    """

    corpus: Corpus
    geometry: np.ndarray
    store: UnitFolder
    recipe: training.Recipe
    readings: Mapping[str, Any]
    device: torch.device
    width: float = 1.0
    seed: int = 0
    score_epochs: bool = True
    workers: int = 1  # networks that are trained side by side

    def make(self, name: str) -> partial[network.LKRNet]:
        """Return what builds a network; it can be pickled."""
        base, key, value = _parsed(name)
        chosen = {knob: self.readings[knob] for knob in STRUCTURE}
        if key == "mask_stage":
            chosen["mask_stage"] = value
        return partial(network.build, base, len(self.corpus.classes), width=self.width, **chosen)

    def build(self, name: str) -> network.LKRNet:
        """Return a network before its training."""
        return self.make(name)()

    def part(self, index: np.ndarray, geometry: np.ndarray) -> training.Part:
        """Put the images at ``index`` on the device, with their geometry."""
        images, labels = self.corpus.images[index], self.corpus.labels[index]
        return training.Part.of(images, labels, geometry[index], device=self.device)

    def feed(self, name: str, fold: Fold, test_crop: str | None = None) -> KeyRegionFeed:
        """Return the feed that a network is trained and tested with on a fold."""
        _, key, value = _parsed(name)
        with torch.device("meta"):
            cells = self.build(name).map_size
        train = torch.as_tensor(self.corpus.images[fold.train])
        return KeyRegionFeed(
            Normalisation.fit(train, self.readings["normalisation"]),
            KeyRegions(float(value) if key == "alpha" else 0.3),
            cells,
            test_crop=test_crop or self.readings["test_crop"],
        )

    def train(self, names: Sequence[str], fold: Fold, keep: bool = False) -> dict[str, units.Outcome]:
        """Train networks on one fold; ``keep`` their weights for :meth:`trained`."""
        jobs = [self._job(name, fold) | {"keep_weights": keep} for name in names]
        return dict(zip(names, side_by_side.train_units(self.store, jobs, self.workers), strict=True))

    def _job(self, name: str, fold: Fold) -> side_by_side.Job:
        base, key, value = _parsed(name)
        ones = np.full_like(self.geometry, np.nan)  # of a face without landmarks
        geometry = ones if key == "mask" else filled(self.geometry, fold.train)
        train = triplets.numbered(self.part(fold.train, geometry))
        rest = [self.part(i, geometry) if len(i) else None for i in (fold.validation, fold.test)]
        weight = float(value) if key == "lambda" else LAMBDA * (base in network.WITH_TRIPLETS)
        feed, loss = self.feed(name, fold), triplets.CombinedLoss(weight)
        made = triplets.TripletTraining(train, feed, loss, self.readings["triplet_mining"])
        return {
            "unit": f"{name} {fold.name}",
            "make": self.make(name),
            "parts": (train, *rest),
            "recipe": self.recipe,
            "feed": made.feed,
            "loss": made.loss,
            "seed": self.seed,
            "statistics": feed.normalise.statistics,
            "score_epochs": self.score_epochs,
        }

    def trained(self, name: str, outcome: units.Outcome) -> network.LKRNet:
        """Return a network with the weights that its training kept."""
        model = self.build(name)
        model.load_state_dict(units.read_weights(outcome.weights))
        return model.to(self.device).eval()

    def features(self, name: str, outcome: units.Outcome, fold: Fold, index: np.ndarray) -> np.ndarray:
        """Return the embeddings of centre crops, float32 ``(n, branches, 256)``."""
        model, part = self.trained(name, outcome), self.part(index, filled(self.geometry, fold.train))
        found = training.predict(model, part, self.feed(name, fold, "centre"), output=model.embed)
        return found.reshape(len(index), len(model.kinds), -1)

    def grad_cam(
        self, name: str, outcome: units.Outcome, fold: Fold, index: np.ndarray, stage: int
    ) -> np.ndarray:
        """Return Grad-CAM maps of the predicted class at the end of a stage, ``(n, 44, 44)``, not negative.

        ``index`` are images of the fold's test part, in rising order.
        """
        model, part = self.trained(name, outcome), self.part(index, filled(self.geometry, fold.train))
        feed, layer, maps = self.feed(name, fold, "centre"), model.activation(stage), []
        predicted = outcome.test[np.searchsorted(fold.test, index)].argmax(1)
        for some in np.array_split(np.arange(len(index)), len(index) // 256 + 1):
            inputs = feed(part.take(torch.as_tensor(some, device=self.device)), False)
            maps.append(explain.grad_cam(network.Scores(model), inputs, layer, predicted[some]))
        maps = torch.as_tensor(np.concatenate(maps))
        return F.interpolate(maps[:, None], (network.SIZE, network.SIZE), mode="area")[:, 0].numpy()


def _parsed(name: str) -> tuple[str, str, str]:
    """Return network, changed reading and its value; the last two are "" for the network itself."""
    base, _, change = name.partition("@")
    key, _, value = change.partition("=")
    return base, key, value
