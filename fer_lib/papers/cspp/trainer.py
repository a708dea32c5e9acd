"""Trains the networks of paper 3 on folds of one corpus, and applies them to images of another."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
import torch

from fer_lib import faces
from fer_lib.data.corpus import Corpus
from fer_lib.data.splits import Fold
from fer_lib.errors import FerError
from fer_lib.evidence.recorder import Recorder
from fer_lib.judge import inflation
from fer_lib.judge.inflation import Step
from fer_lib.learn import embeddings, explain, metrics, side_by_side, training, units
from fer_lib.learn.recipes import Recipe
from fer_lib.learn.training import Part
from fer_lib.learn.units import Outcome
from fer_lib.papers.cspp import corpora, network
from fer_lib.papers.cspp.eye_noise import EyeFeed, NoisyPart, working_images

EXPRESSION, PERSON = "expression, from other people", "person, from other expressions"
STRUCTURE = ("padding", "spp_low", "hidden", "activation", "use_batchnorm")
"""The parameters of the notebook that :class:`fer_lib.papers.cspp.network.Network` takes."""


def located(corpus: Corpus, detector: str, device: torch.device) -> tuple[Part, int]:
    """Put all faces of a corpus on the device with their eyes, and count the images without eyes found.

    Drawn faces know where their eyes are, unless another ``detector`` than ``haar`` is asked for.
    """
    if corpus.landmarks is None or detector != "haar":
        corpus = faces.annotate(corpus, detector)
    eyes = faces.eyes(corpus.landmarks)
    missed = int(np.isnan(eyes).any(axis=(1, 2)).sum())
    pixels, eyes = working_images(corpus.images, eyes)
    return Part.of(pixels, corpus.labels, eyes, device=device), missed


@dataclass
class Trainer:
    """Trains the paper's networks by name, on any fold of one corpus, and applies them."""

    corpus: Corpus
    faces: Part  # all its images, as located() returns them
    recorder: Recorder
    recipe: Recipe
    readings: dict[str, Any]  # the notebook's parameters
    seed: int
    width: float = 1.0  # scales every layer
    factor: int = 71  # samples per training image: the image and its synthetic ones
    workers: int = 1  # trainings that go on side by side

    @property
    def feed(self) -> EyeFeed:
        """What a network reads of a face."""
        return EyeFeed(intensity=self.readings["intensity_norm"])

    def take(self, index: np.ndarray) -> Part:
        """Return the faces at ``index``, as they are."""
        return self.faces.take(torch.as_tensor(index, device=self.faces.labels.device))

    def noisy(self, index: np.ndarray, factor: int) -> NoisyPart:
        """Return the faces at ``index``, ``factor`` samples of each: itself and others with noise."""
        part = self.take(index)
        sigma = self.readings["eye_noise_sigma"]
        return NoisyPart(part.images, part.labels, part.extra, factor - 1, sigma)

    def make(self, name: str) -> partial[network.Network]:
        """Return what builds a network; it can be pickled."""
        structure = {knob: self.readings[knob] for knob in STRUCTURE}
        return partial(network.build, name, len(self.corpus.classes), width=self.width, **structure)

    def train(
        self, wanted: Sequence[tuple[str, Fold]], keep: Sequence[str] = (), factor: int | None = None
    ) -> list[Outcome]:
        """Train networks on folds of the corpus, or find them in the recorder.

        The weights of those named in ``keep`` are kept. ``factor`` replaces the run's.
        """
        parts = {
            fold.name: (self.noisy(fold.train, factor or self.factor), None, self.take(fold.test))
            for fold in {fold.name: fold for _, fold in wanted}.values()
        }
        hard = replace(self.recipe, true_class_target=None)
        jobs = [
            {
                "unit": f"{name} {fold.name}",
                "make": self.make(name),
                "parts": parts[fold.name],
                "recipe": hard if name.endswith("without label smoothing") else self.recipe,
                "feed": self.feed,
                "seed": self.seed,
                "keep_weights": name in keep,
            }
            for name, fold in wanted
        ]
        return side_by_side.train_units(self.recorder, jobs, self.workers)

    def trained(self, name: str, outcome: Outcome) -> network.Network:
        """Return a network with the weights that its training kept."""
        model = self.make(name)()
        model.load_state_dict(units.read_weights(outcome.weights))
        return model.to(self.faces.images.device).eval()

    def grad_cam(self, name: str, outcome: Outcome, index: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return where faces speak for the class predicted, (N, 48, 48), and that class, int64 (N,)."""
        model, part = self.trained(name, outcome), self.take(index)
        maps = explain.grad_cam(model, self.feed(part, False), model.last_convolution)
        return maps, training.predict(model, part, self.feed).argmax(1)

    def features(self, name: str, outcome: Outcome, index: np.ndarray) -> np.ndarray:
        """Return the features before the softmax layer of the faces at ``index``, float32 (N, 256)."""
        model = self.trained(name, outcome)
        return training.predict(model, self.take(index), self.feed, output=model.embed)

    def transfer(
        self, trained: dict[str, list[Outcome]], folds: Sequence[Fold], target: Corpus, name: str
    ) -> dict[str, dict[str, Any]]:
        """Apply the models of all folds to another corpus, and record what they answer.

        ``trained`` are the outcomes of each network, one per fold. Returned are each network's ``accuracy``,
        the mean of its ``models``, and the interval (``low``, ``high``), which draws subjects and models.
        """
        part, _ = located(target, self.readings["eye_detector"], self.faces.images.device)
        suffix = "across" if target.card.synthetic else f"cross_ck_to_{name}"
        ids, found = np.char.add(f"{name}/", target.ids), {}
        for model, outcomes in trained.items():
            how = {"precision": self.recipe.precision}
            models = (self.trained(model, outcome) for outcome in outcomes)
            probabilities = np.stack([training.predict(m, part, self.feed, **how) for m in models])
            correct = probabilities.argmax(2) == target.labels  # (K, N)
            accuracies, (low, high) = correct.mean(1), metrics.interval(correct, target.subjects)
            found[model] = {"accuracy": float(accuracies.mean()), "low": low, "high": high}
            found[model]["models"] = accuracies.tolist()
            for fold, values in zip(folds, probabilities, strict=True):
                self.recorder.add_predictions(f"{model}@{suffix}", values, target.labels, ids, fold.name)
        facts = {"ids": ids, "label": target.labels, "subject": target.subjects}
        facts |= {"twin_in_training": False, "conflicting_label": False}
        for fold in folds:
            self.recorder.add_samples(pd.DataFrame(facts | {"fold": fold.name}))
        return found

    def inflated(self, name: str, k: int) -> pd.DataFrame:
        """Add to an honest accuracy, one at a time, what raises it without making the network better.

        The honest one holds people out, counts the last epoch and tests one frame of each sequence. Where
        frames are added, the samples per image shrink by as much, so that every step trains equally long.
        """
        every = np.arange(len(self.corpus))
        first = every
        if self.corpus.sequences is not None:
            first = np.flatnonzero(np.isin(self.corpus.ids, inflation.last_frames(self.corpus, 1).ids))
        steps = [self._step("people held out, last epoch", name, first, "subject", k)[0]]
        step, curves, sizes = self._step("+ random folds", name, first, "random", k)
        steps.append(step)
        if len(first) < len(every):
            frames = f"+ {round(len(every) / len(first))} frames per sequence"
            step, curves, sizes = self._step(frames, name, every, "random", k)
            steps.append(step)
        return inflation.waterfall([*steps, inflation.best_test_epoch("+ best test epoch", curves, sizes)])

    def _step(
        self, step: str, name: str, index: np.ndarray, grouping: str, k: int
    ) -> tuple[Step, pd.DataFrame, dict[str, int]]:
        """Cross-validate on the images at ``index``; return the step, its curves and the sizes of folds."""
        some = self.corpus.select(index)
        # Where nothing differs from a network trained before, its unit is found by its name.
        few = "one-" if len(index) < len(self.corpus) else ""
        folds = [
            replace(fold, name=few + fold.name, train=index[fold.train], test=index[fold.test])
            for fold in corpora.folds(some, k, grouping, self.seed)
        ]
        factor = max(1, round(self.factor * len(self.corpus) / len(index)))
        outcomes = self.train([(name, fold) for fold in folds], factor=factor)
        tested = np.concatenate([fold.test for fold in folds])
        hits = np.concatenate([outcome.test.argmax(1) for outcome in outcomes]) == self.corpus.labels[tested]
        curves = [pd.DataFrame(o.curves).assign(fold=f.name) for o, f in zip(outcomes, folds, strict=True)]
        sizes = {fold.name: len(fold.test) for fold in folds}
        units = self.corpus.subjects[tested]
        return Step(step, hits, units, np.ones(len(hits))), pd.concat(curves), sizes


def neighbours(features: dict[str, np.ndarray], labels: np.ndarray, people: np.ndarray) -> pd.DataFrame:
    """Return how often five neighbours in features name the expression and the person, in per cent.

    ``features`` are float (N, D) by what they are called, ``labels`` and ``people`` int (N,). For the
    expression only other people's images vote, for the person only images of other expressions. The last row
    is chance: the share of the most frequent class or person. NaN where a single person leaves nothing to
    ask, or there are too few images.
    """

    def vote(values: np.ndarray, codes: np.ndarray, groups: np.ndarray) -> float:
        if min(len(np.unique(codes)), len(np.unique(groups))) < 2:
            return np.nan
        try:
            return 100 * embeddings.knn_accuracy(embeddings.prepare(values), codes, groups=groups)
        except FerError:
            return np.nan

    asked = {EXPRESSION: (labels, people), PERSON: (people, labels)}
    rows = [
        {"features": name} | {what: vote(values, *codes) for what, codes in asked.items()}
        for name, values in features.items()
    ]
    alone = len(np.unique(people)) < 2
    chance = {
        what: np.nan if alone else 100 * np.bincount(codes).max() / len(codes)
        for what, (codes, _) in asked.items()
    }
    return pd.DataFrame([*rows, {"features": "chance"} | chance])
