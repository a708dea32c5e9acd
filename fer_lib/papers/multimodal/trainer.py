"""Train the networks of paper ``multimodal`` on one corpus, and ask them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import nn

from fer_lib.data.corpus import Corpus
from fer_lib.data.splits import Fold
from fer_lib.features import hog
from fer_lib.files import UnitFolder
from fer_lib.learn import side_by_side, training, units
from fer_lib.learn.normalisation import Normalisation
from fer_lib.learn.recipes import falling, one_cycle
from fer_lib.learn.training import Feed, Part
from fer_lib.learn.units import Outcome
from fer_lib.papers import baselines
from fer_lib.papers.multimodal.modalities import AUGMENTATION, MultimodalFeed
from fer_lib.papers.multimodal.network import MODALITIES, Multimodal

ABLATIONS: dict[str, dict[str, Any]] = {
    "OURS": {},
    "OURS without CBAM": {"cbam": False},
    "image": {"modalities": ("image",)},
    "image without CBAM": {"modalities": ("image",), "cbam": False},
    "landmarks": {"modalities": ("landmarks",)},
    "HOG": {"modalities": ("hog",)},
    "image+landmarks": {"modalities": ("image", "landmarks")},
    "image+HOG": {"modalities": ("image", "hog")},
    "landmarks+HOG": {"modalities": ("landmarks", "hog")},
}
"""The paper's network, and what is left of it."""
OWN_RECIPE = {"VGG, own recipe": "VGG", "ResNet, own recipe": "ResNet"}
"""Rivals trained once more, as networks of their kind are known to learn FER2013: see :func:`own_recipe`."""
RIVALS = (*baselines.NETWORKS, *OWN_RECIPE)
NETWORKS = (*ABLATIONS, *RIVALS)
LATE_FUSION = ("image", "landmarks", "HOG")
"""The networks whose probabilities are averaged: the fusion that Sect. 1.2 decides against."""
READS = {"SVM": ("landmarks", "hog")} | dict.fromkeys(RIVALS, ("image",))
STRUCTURE = ("conv_channels", "bn_scope", "cbam_position", "fusion", "dropout")

Answer = Callable[[Part], np.ndarray]
"""A part's class probabilities, float32 (N, C)."""


def rates(schedule: str, epochs: int, lr: float) -> tuple[float, ...] | None:
    """Return each epoch's rate, ``falling`` to a hundredth, or None for ``constant`` (``lr_schedule``)."""
    return None if schedule == "constant" else falling(epochs, lr, lowest=0.01, level=0.2)


def own_recipe(recipe: training.Recipe) -> training.Recipe:
    """Return a recipe of as many epochs under which VGG and ResNet are known to learn FER2013."""
    return replace(recipe, learning_rates=one_cycle(recipe.epochs), weight_decay=5e-4, optimiser="sgd")


@dataclass(frozen=True)
class Trainer:
    """Trains networks by name: one of :data:`NETWORKS`."""

    corpus: Corpus  # images of 48x48 with their landmarks, all known
    store: UnitFolder
    recipe: training.Recipe
    readings: Mapping[str, Any]  # the chapter's parameters
    device: torch.device
    width: float  # scales every layer of the paper's network
    rivals: Mapping[str, float]  # the same of the other networks, by name
    seed: int = 0
    score_epochs: bool = True
    workers: int = 1  # networks that are trained side by side

    def make(self, name: str, full: bool = False) -> partial[nn.Module]:
        """Return what builds a network, or builds it at ``full`` width; it can be pickled."""
        n_classes = len(self.corpus.classes)
        if name in RIVALS:
            name = OWN_RECIPE.get(name, name)
            return partial(baselines.NETWORKS[name], n_classes, width=1.0 if full else self.rivals[name])
        chosen = {knob: self.readings[knob] for knob in STRUCTURE} | ABLATIONS[name]
        length = hog.length(self.readings["hog"])
        return partial(Multimodal, n_classes, hog=length, width=1.0 if full else self.width, **chosen)

    def build(self, name: str, full: bool = False) -> nn.Module:
        """Return a network before its training, or as it is at ``full`` width."""
        return self.make(name, full)()

    def part(self, faces: Corpus | np.ndarray) -> Part:
        """Put faces on the device, or those of the corpus at an index, with their landmarks."""
        faces = faces if isinstance(faces, Corpus) else self.corpus.select(faces)
        return Part.of(faces.images, faces.labels, faces.landmarks, device=self.device)

    def feed(self, name: str, fold: Fold) -> Feed:
        """Return what makes a network's inputs, with the statistics of the fold's training part."""
        train = self.part(fold.train)
        make = MultimodalFeed(
            Normalisation.fit(train.images, self.readings["normalisation"]),
            train.extra[0].mean(0),
            READS.get(name) or ABLATIONS[name].get("modalities", MODALITIES),
            AUGMENTATION,
            self.readings["landmark_norm"],
            self.readings["hog"],
        )
        return partial(_image_alone, make) if name in RIVALS else make

    def train(self, names: Sequence[str], fold: Fold, keep: bool = False) -> dict[str, Outcome]:
        """Train networks on one fold; ``keep`` their weights for :meth:`trained`."""
        jobs = [self._job(name, fold) | {"keep_weights": keep} for name in names]
        return dict(zip(names, side_by_side.train_units(self.store, jobs, self.workers), strict=True))

    def again(self, name: str, fold: Fold, seeds: Sequence[int]) -> list[Outcome]:
        """Train one network with other initial weights and orders of batches, once for each of ``seeds``."""
        job = self._job(name, fold)
        jobs = [job | {"unit": f"{job['unit']} seed {seed}"} for seed in seeds]
        return side_by_side.train_units(self.store, jobs, self.workers)

    def _job(self, name: str, fold: Fold) -> side_by_side.Job:
        sides = (fold.train, fold.validation, fold.test)
        feed = self.feed(name, fold)
        return {
            "unit": f"{name} {fold.name}",
            "make": self.make(name),
            "parts": tuple(self.part(index) if len(index) else None for index in sides),
            "recipe": own_recipe(self.recipe) if name in OWN_RECIPE else self.recipe,
            "feed": feed,
            "seed": self.seed,
            "statistics": None if name in RIVALS else feed.statistics,
            "score_epochs": self.score_epochs,
        }

    def trained(self, name: str, outcome: Outcome) -> nn.Module:
        """Return a network with the weights that its training kept."""
        model = self.build(name)
        model.load_state_dict(units.read_weights(outcome.weights))
        return model.to(self.device).eval()

    def asked(self, name: str, fold: Fold, outcome: Outcome) -> Answer:
        """Return what a trained network says of any faces, in the precision of its training."""
        model, feed, precision = self.trained(name, outcome), self.feed(name, fold), outcome.precision.name
        return lambda part: training.predict(model, part, feed, precision=precision)

    def svm(self, fold: Fold) -> Answer:
        """Return what a support vector machine fitted to landmarks and HOG of a fold says of any faces."""
        feed, n_classes = self.feed("SVM", fold), len(self.corpus.classes)

        def values(part: Part) -> np.ndarray:
            batches = torch.arange(len(part), device=self.device).split(2048)
            return torch.cat([torch.cat(feed(part.take(i), False)[1:], 1) for i in batches]).cpu().numpy()

        machine = baselines.svm(values(self.part(fold.train)), self.corpus.labels[fold.train], self.seed)
        return lambda part: baselines.svm_probabilities(machine, values(part), n_classes)

    def augmented(self, name: str, fold: Fold, outcome: Outcome, passes: int) -> np.ndarray:
        """Return the mean probabilities of several passes over the fold's test part, each warped anew."""
        model, feed, part = self.trained(name, outcome), self.feed(name, fold), self.part(fold.test)
        how = {"feed": lambda batch, _: feed(batch, True), "precision": outcome.precision.name}
        torch.manual_seed(self.seed)
        return np.mean([training.predict(model, part, **how) for _ in range(passes)], axis=0)


def _image_alone(make: MultimodalFeed, batch: Part, training: bool) -> tuple[torch.Tensor, ...]:
    """Return what the rivals read: the image alone, warped as it is for the others."""
    return make(batch, training)[:1]


def with_late_fusion(tested: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return networks' probabilities (N, C), and the mean of those that see one modality each."""
    found = dict(tested)
    if {*LATE_FUSION} <= {*tested}:
        found["late fusion"] = np.mean([tested[name] for name in LATE_FUSION], axis=0, dtype=np.float64)
    return found


def some(fold: Fold, here: np.ndarray) -> Fold:
    """Return a fold that tests only those of its images that are ``here``, bool of the whole corpus."""
    return replace(fold, test=fold.test[here[fold.test]])
