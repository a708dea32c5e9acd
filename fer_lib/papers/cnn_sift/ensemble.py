"""The networks of a run: what they read, how they are trained, averaged, and compared on less data."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from fer_lib.data import splits
from fer_lib.data.corpus import Corpus
from fer_lib.data.splits import Fold
from fer_lib.evidence.recorder import Recorder
from fer_lib.features.sift import Descriptors, Vocabulary
from fer_lib.learn import explain, metrics, side_by_side, training, units
from fer_lib.learn.normalisation import Normalisation
from fer_lib.learn.recipes import Recipe, falling
from fer_lib.learn.training import Part
from fer_lib.learn.units import Outcome
from fer_lib.papers.cnn_sift.network import AVERAGES, CNN, CNNS, CONTROLS, FUSED, VISUAL_WORDS


@dataclass
class Words:
    """Bags of SIFT words (Sect. 3.2), whose vocabularies are fitted on a training part alone."""

    descriptors: Descriptors  # of all N images of the corpus
    seed: int  # of the k-means
    sample: int  # descriptors that it is fitted on at most
    normalisation: str  # of the counts: see Vocabulary.histograms
    made: dict[int, tuple[Vocabulary, np.ndarray]] = field(default_factory=dict, init=False)
    train: np.ndarray | None = field(default=None, init=False)

    def of(self, k: int, train: np.ndarray) -> tuple[Vocabulary, np.ndarray]:
        """Return k words fitted on the images ``train``, and the bags float32 (N, k) of all images."""
        if not np.array_equal(self.train, train):  # the last ones are kept: networks and pictures share them
            self.train, self.made = train, {}
        if k not in self.made:
            words = Vocabulary.fit(self.descriptors.take(train), k, self.seed, self.sample)
            self.made[k] = words, words.histograms(self.descriptors, self.normalisation)
        return self.made[k]


@dataclass
class Ensemble:
    """Trains the paper's networks by name, on any fold of one corpus."""

    names: Sequence[str]
    build: Callable[[str], CNN]  # makes an untrained network; can be pickled where there are several workers
    corpus: Corpus
    words: Words  # what S1 to S3 read beside the image
    recorder: Recorder
    seed: int
    device: torch.device
    normalisation: str = "image"
    workers: int = 1  # networks that are trained side by side
    start: dict[str, Path] = field(default_factory=dict, init=False)  # weights, where not from scratch

    def part(self, name: str, index: np.ndarray, train: np.ndarray) -> Part:
        """Put images on the device, with their words (fitted on ``train``) if the network reads any."""
        bags = (self.words.of(VISUAL_WORDS[name], train)[1][index],) if name in FUSED else ()
        return Part.of(self.corpus.images[index], self.corpus.labels[index], *bags, device=self.device)

    def train(
        self,
        fold: Fold,
        recipe: Recipe,
        names: Sequence[str] | None = None,
        keep: Sequence[str] = (),
        score_epochs: bool = True,
    ) -> dict[str, Outcome]:
        """Train networks (None: all) on one fold; :meth:`trained` has those in ``keep``."""
        sides = (fold.train, fold.validation, fold.test)
        parts = {
            name: tuple(self.part(name, index, fold.train) if len(index) else None for index in sides)
            for name in names or self.names
        }
        return self._train(parts, fold.name, recipe, keep, score_epochs)

    def pretrain(self, corpus: Corpus, recipe: Recipe) -> None:
        """Train C1 to C3 on FER2013; they start from there, and S1 to S3 from C2."""
        train, test = (
            Part.of(corpus.images[here], corpus.labels[here], device=self.device)
            for here in (corpus.split == "train", corpus.split == "private_test")
        )
        parts = dict.fromkeys(CNNS, (train, None, test))
        for name, made in self._train(parts, "fer2013", recipe, CNNS).items():
            starting = (name, f"{name} again", *(FUSED if name == "C2" else ()))
            self.start |= dict.fromkeys(starting, made.weights)

    def _train(
        self,
        parts: dict[str, tuple[Part | None, ...]],
        where: str,
        recipe: Recipe,
        keep: Sequence[str],
        score_epochs: bool = True,
    ) -> dict[str, Outcome]:
        """Train each network on its parts, as units that survive a kill."""
        shared = {"recipe": recipe, "normalisation": self.normalisation, "seed": self.seed}
        jobs = [
            {"unit": f"{name} {where}", "make": partial(_begin, self.build, name, self.start.get(name))}
            | {"parts": own, "keep_weights": name in keep, "score_epochs": score_epochs, **shared}
            for name, own in parts.items()
        ]
        return dict(zip(parts, side_by_side.train_units(self.recorder, jobs, self.workers), strict=True))

    def trained(self, name: str, fold: Fold, outcome: Outcome) -> tuple[CNN, Normalisation]:
        """Return a network as it was trained on a fold, and that fold's normalisation."""
        model = self.build(name)
        model.load_state_dict(units.read_weights(outcome.weights))
        images = self.part("C1", fold.train, fold.train).images
        return model.to(self.device), Normalisation.fit(images, self.normalisation)

    def grad_cam(
        self, name: str, index: np.ndarray, fold: Fold, outcome: Outcome
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return where images speak for the class predicted, (N, H, W), and that class, int64 (N,)."""
        model, normalise = self.trained(name, fold, outcome)
        part = self.part(name, index, fold.train)
        maps = explain.grad_cam(model, (normalise(part.images), *part.extra), model.last_convolution)
        return maps, training.predict(model, part, normalise).argmax(1)

    def features(self, name: str, index: np.ndarray, fold: Fold, outcome: Outcome) -> np.ndarray:
        """Return the features before the softmax of the images at ``index``, float32 (N, D)."""
        model, normalise = self.trained(name, fold, outcome)
        return training.predict(model, self.part(name, index, fold.train), normalise, output=model.embed)


def _begin(build: Callable[[str], CNN], name: str, start: Path | None) -> CNN:
    """Return a network before its training: untrained, or with the trunk of one trained elsewhere."""
    model = build(name)
    if start is not None:
        model.load_trunk(units.read_weights(start))
    return model


def averages(tested: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return the probabilities (N, C) of the networks and, by Eqs. 7 to 9, of the averages they make up."""
    return tested | {
        average: np.mean([tested[name] for name in members], axis=0, dtype=np.float64)
        for average, members in AVERAGES.items()
        if {*members} <= {*tested}
    }


def by_size(
    ensemble: Ensemble, fold: Fold, recipe: Recipe, plan: dict[str, Any], gains: dict[str, str]
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Train the networks on nested parts of a fold's training side, and record their averages' answers.

    ``plan`` is that of a budget: its ``sizes`` (else a quarter and a half of the training part), ``draws`` of
    each, and ``steps`` and ``steps_per_image`` of training. ``gains`` are the titles of what averages gain
    over CNN-ONLY. Returned are a table of accuracies (fractions, means of draws), and one with each gain in
    points, paired, with its interval.
    """

    def points(lead: np.ndarray) -> str:
        low, high = metrics.interval(lead, groups)
        return f"{100 * lead.mean():+.1f} [{100 * low:+.1f}, {100 * high:+.1f}]"

    corpus, seed = ensemble.corpus, ensemble.seed
    groups = None if corpus.subjects is None else corpus.subjects[fold.test]
    truth, ids = corpus.labels[fold.test], corpus.ids[fold.test]
    fewer = [n for n in plan["sizes"] if n < len(fold.train)]
    measured, gained = [], []
    for n in fewer or [len(fold.train) // 4, len(fold.train) // 2]:
        batches = -(-n // recipe.batch_size)
        steps = plan["steps"] + plan.get("steps_per_image", 0) * n
        epochs = max(1, round(steps / batches))
        rates = falling(epochs, recipe.lr, **plan["rates"]) if "rates" in plan else None
        shorter = replace(recipe, epochs=epochs, learning_rates=rates)
        right: dict[str, np.ndarray] = {}  # of each test image, the share of draws in which it is right
        for draw in range(plan["draws"]):
            train = splits.subset(corpus, fold.train, n, 1000 * seed + draw)
            small = replace(fold, name=f"n{n}-d{draw}", train=train)
            names = [name for name in ensemble.names if name not in CONTROLS]
            made = ensemble.train(small, shorter, names, score_epochs=False)
            for name, outcome in made.items():
                curves = pd.DataFrame(outcome.curves).assign(model=f"{name}@n={n}", fold=f"draw{draw}")
                ensemble.recorder.add_curves(curves)
            tested = averages({name: outcome.test for name, outcome in made.items()})
            for model in [model for model in AVERAGES if model in tested]:
                kept = ensemble.recorder.add_predictions(
                    f"{model}@n={n}", tested[model], truth, ids, f"draw{draw}"
                )
                hits = kept["probabilities"].argmax(1) == truth
                right[model] = right.get(model, 0) + hits / plan["draws"]
        size = {"n": n, "draws": plan["draws"], "steps": shorter.epochs * batches}
        for model, share in right.items():
            low, high = metrics.interval(share, groups)
            measured.append(size | {"model": model, "accuracy": share.mean(), "low": low, "high": high})
        leads = {title: right[better] - right["CNN-ONLY"] for better, title in gains.items()}
        gained.append({"n": n} | {title: points(lead) for title, lead in leads.items()})
    return pd.DataFrame(measured), pd.DataFrame(gained)
