"""The matrix: every network trained and tested on the same faces, and what it costs.

Every network of :mod:`fer_lib.play.zoo` gets the same images, folds, epochs and augmentation
(:mod:`fer_lib.play.matrix_data`), and keeps what is its own: layers, inputs, normalisation, recipe and loss.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import torch

from fer_lib.features import sift as features
from fer_lib.learn.layers import count_parameters
from fer_lib.learn.metrics import interval
from fer_lib.learn.recipes import Recipe
from fer_lib.learn.training import Part, channels_last, fit
from fer_lib.learn.units import Outcome, Store, read_weights, train_unit
from fer_lib.play.matrix_data import Faces, disturbed, find_landmarks, shared
from fer_lib.play.zoo import NETWORKS, SVM, Network, Trained, fitted_svm, recipe_of, training_of

if TYPE_CHECKING:
    from fer_lib.data.splits import Fold
    from fer_lib.evidence.recorder import Recorder

BUDGETS: dict[str, dict[str, Any]] = {
    # width scales every layer, and rate every learning rate, as short runs of narrow networks take more; of
    # some networks by widths and rates. Batches are so many times as small as a network's own. All train for
    # these epochs, or more of them where they would show it fewer images than seen. limit keeps that many
    # training images, and half as many for testing where the split is official; folds None is all. drawn
    # makes the synthetic faces, others those of other people; robust and transfer are how many images are
    # disturbed, and taken of each other corpus (None: all).
    "smoke": {
        "width": 0.125,
        "widths": {"C2": 0.25, "S2": 0.25, "Benchmark": 0.25, "C-SPP": 0.25, "3D-CNN": 0.0625},
        "rate": 3,
        "rates": {"Benchmark": 6, "C-SPP": 6, "3D-CNN": 20, "VGG19": 0.3, "LKRNet": 0.3},
        "activation": "tanh",  # of paper 3's networks
        "smaller": 16,
        "epochs": 16,
        "seen": 0,
        "limit": 600,
        "folds": 1,
        "drawn": {"n_subjects": 8, "per_expression": 2, "size": 64, "n_frames": 8},
        "others": {"n_subjects": 3, "per_expression": 1},
        "severities": (1.0,),
        "robust": 28,
        "transfer": 70,
    },
    "full": {
        "width": 1,
        "widths": {},
        "rate": 1,
        "rates": {},
        "activation": "relu",
        "smaller": 1,
        "epochs": 30,
        "seen": 860_000,
        "limit": None,
        "folds": None,
        "drawn": {"n_subjects": 24, "per_expression": 3, "size": 64},
        "others": {"n_subjects": 8},
        "severities": (0.25, 0.5, 0.75, 1.0),
        "robust": None,
        "transfer": None,
    },
}
BUDGETS["paper"] = BUDGETS["full"] | {"epochs": 60, "seen": 1_720_000}


# --- training and testing -----------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False, kw_only=True)
class Tested(Trained):
    """A network as trained on one fold, and what its training left: test probabilities and curves."""

    outcome: Outcome


@dataclass(frozen=True, eq=False)
class Fitted:
    """All networks as trained on one fold, by name, with its parts and SIFT words."""

    fold: Fold
    vocabulary: features.Vocabulary
    train: Part
    test: Part
    networks: dict[str, Tested]


@dataclass(frozen=True, eq=False)
class Bench:
    """One corpus on which every network is trained and tested, under one plan.

    Attributes
    ----------
    faces : Faces
    store : Store
        Where finished networks are kept, such as a recorder.
    plan : mapping
        One of :data:`BUDGETS`.
    epochs : int
        Of every network's training; the last one counts.
    """

    faces: Faces
    store: Store
    plan: Mapping[str, Any]
    epochs: int
    seed: int = 0
    device: torch.device | str = "cpu"

    @property
    def networks(self) -> dict[str, Network]:
        """The networks that the corpus can train: those that read clips need the frames of sequences."""
        still = self.faces.clips is None
        return {name: n for name, n in NETWORKS.items() if not (still and n.needs == "clips")}

    @property
    def n_classes(self) -> int:
        """How many expressions there are to tell apart."""
        return len(self.faces.corpus.classes)

    def width(self, name: str) -> float:
        """Return by what a network's layers are scaled."""
        return self.plan["widths"].get(name, self.plan["width"])

    def recipe(self, name: str) -> Recipe | None:
        """Return the recipe of a network; the support vector machine has none."""
        if name == SVM:
            return None
        rate = self.plan["rates"].get(name, self.plan["rate"])
        return recipe_of(name, self.epochs, smaller=self.plan["smaller"], rate=rate)

    def build(self, name: str) -> torch.nn.Module:
        """Return a network before its training."""
        own = {"activation": self.plan["activation"]} if NETWORKS[name].paper == "cspp" else {}
        return NETWORKS[name].build(self.n_classes, width=self.width(name), **own)

    def fit(self, fold: Fold) -> Fitted:
        """Train every network on a fold, or read back what ``store`` holds of it."""
        words = self.faces.words(fold.train, self.seed)
        parts = [self.faces.part(index, words, self.device) for index in (fold.train, fold.test)]
        return Fitted(fold, words, *parts, {name: self.train(name, fold, *parts) for name in self.networks})

    def train(self, name: str, fold: Fold, learn: Part, test: Part) -> Tested:
        """Train one network on one fold, or read back what ``store`` holds of it.

        The support vector machine is fitted to the images as they are, anew in every process.
        """
        network, recipe = NETWORKS[name], self.recipe(name)
        if recipe is None:
            now = clock(learn.images.device)
            began = now()
            one = fitted_svm(learn, self.n_classes, self.seed)
            outcome = Outcome(one.predict(test), np.empty(0), [{"epoch": 1, "seconds": now() - began}], None)
            return Tested(network, one.model, one.feed, self.n_classes, outcome=outcome)
        learn, feed, loss = training_of(network, learn, recipe.augmentation)
        outcome = train_unit(
            self.store,
            f"{name} {fold.name}",
            partial(self.build, name),
            (learn, None, test),
            recipe,
            feed=feed,
            loss=loss,
            seed=self.seed,
            keep_weights=True,
            score_epochs=False,
        )
        model = self.build(name)
        model.load_state_dict(read_weights(outcome.weights))
        model = channels_last(model, learn.images.device).eval()
        return Tested(network, model, feed, self.n_classes, outcome.precision.name, outcome=outcome)

    # --- what a network costs -------------------------------------------------------------------------------

    def counts(self, name: str) -> dict[str, Any]:
        """Return width, parameters and multiply-adds of a network as trained here, and in full."""
        parameters, operations = multiply_adds(name, self.n_classes, self.width(name))
        full = multiply_adds(name, self.n_classes)
        own = {"width": self.width(name), "parameters": parameters, "multiply_adds": operations}
        return own | {"parameters_full": full[0], "multiply_adds_full": full[1]}

    def times(self, name: str, fitted: Fitted) -> dict[str, float]:
        """Return what training and prediction take: seconds of the whole training, and images per second."""
        one, recipe = fitted.networks[name], self.recipe(name)
        n, epochs = len(fitted.train), len(one.outcome.curves)
        pace = n / one.outcome.curves[0]["seconds"]  # of the support vector machine, which is fitted once
        if recipe is not None:
            pace = self.training_rate(name, fitted.train, recipe)
        some = fitted.test.take(torch.arange(min(512, len(fitted.test)), device=fitted.test.labels.device))
        return {
            "training_seconds": n * epochs / pace,
            "training_images_per_second": pace,
            "images_per_second": images_per_second(one, some),
        }

    def training_rate(self, name: str, learn: Part, recipe: Recipe, batches: int = 6) -> float:
        """Return how many images a network trains on per second, measured on a few batches."""
        device = learn.images.device
        some = learn.take(torch.arange(min(len(learn), batches * recipe.batch_size), device=device))
        some, feed, loss = training_of(NETWORKS[name], some, recipe.augmentation)
        model, once, now = self.build(name), replace(recipe, epochs=1), clock(device)
        best = math.inf
        for _ in range(2):  # the first warms up
            started = now()
            fit(model, some, once, feed=feed, loss=loss, label=f"{name}, timed")
            best = min(best, now() - started)
        return len(some) / best


def clock(device: torch.device) -> Callable[[], float]:
    """Return what times are taken with: processor time on a CPU, which other work there hardly changes.

    It is the sum over cores, so that a figure does not depend on the number of threads either. On a GPU it
    is the time on the wall.
    """
    return time.process_time if device.type == "cpu" else time.perf_counter


def multiply_adds(name: str, n_classes: int = 7, width: float = 1.0) -> tuple[int, int]:
    """Return a model's trainable parameters, and the multiply-adds of one image through it.

    Counted by torch's ``FlopCounterMode``, which takes convolutions and matrix products; two operations are
    one multiply-add. What comes before the network (landmarks, SIFT, HOG) is not counted, but timed.
    """
    from torch.utils.flop_counter import FlopCounterMode

    network = NETWORKS[name]
    with torch.device("meta"):
        model = network.build(n_classes, width=width).eval()
    with torch.inference_mode(), FlopCounterMode(display=False) as counter:
        model(*(x.to("meta") for x in network.inputs))
    return count_parameters(model), counter.get_total_flops() // 2


def images_per_second(one: Trained, part: Part, seconds: float = 0.5) -> float:
    """Return how many images of a part a model predicts per second, its feed included.

    The best of as many passes as ``seconds`` allow, at least two after one that warms up.
    """
    now = clock(part.images.device)
    one.predict(part)
    best, began, passes = math.inf, now(), 0
    while passes < 2 or now() - began < seconds:
        started = now()
        one.predict(part)
        best, passes = min(best, now() - started), passes + 1
    return len(part) / best


def finding(faces: Faces, n: int = 40) -> dict[str, float]:
    """Return the milliseconds of processor time per image that finding landmarks and SIFT words takes.

    ``n`` images are timed. Landmarks that come with the corpus are not looked for: their time is NaN.
    """

    def milliseconds(work: Callable[[np.ndarray], object], on: np.ndarray) -> float:
        began = time.process_time()
        work(on[:n])
        return 1000 * (time.process_time() - began) / len(on[:n])

    words = milliseconds(lambda made: features.sift(made, workers=1), faces.corpus.images)
    raw = faces.photographs
    return {"words": words, "landmarks": math.nan if raw is None else milliseconds(find_landmarks, raw)}


# --- other light, other corpora -----------------------------------------------------------------------------


def robustness(
    fitted: Fitted,
    part: Part,
    conditions: Sequence[str],
    severities: Sequence[float],
    groups: np.ndarray | None = None,
) -> pd.DataFrame:
    """Return a line per condition, severity and model: accuracy as a fraction with its 95 % interval.

    Severity 0 is the part as it is; ``groups`` are the people of its images.
    """
    rows = []
    truth = part.labels.cpu().numpy()
    for condition in conditions:
        for severity in (0.0, *severities):
            seen = disturbed(part, condition, severity, fitted.vocabulary) if severity else part
            for name, one in fitted.networks.items():
                hits = one.predict(seen).argmax(1) == truth
                low, high = interval(hits, groups)
                row = {"condition": condition, "severity": severity, "model": name, "n": len(hits)}
                rows.append(row | {"accuracy": hits.mean(), "low": low, "high": high})
    return pd.DataFrame(rows)


def transfer(
    fits: Sequence[Fitted], classes: tuple[str, ...], other: str, target: Faces, recorder: Recorder
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Test the networks of every fold on another corpus, among the expressions that both corpora have.

    Probabilities are recorded as those of ``<model>@<other>``.

    Returns
    -------
    facts : dict
        The common ``classes``, ``n`` images, and networks that were ``not_run``: the target has no clips.
    rows : list of dict
        A line per model: the mean accuracy over the folds' networks, with its 95 % interval.
    """
    corpus = target.corpus
    common = shared(classes, corpus)
    index = np.flatnonzero(np.isin(corpus.labels, [corpus.classes.index(name) for name in common]))
    truth = np.array([common.index(corpus.classes[label]) for label in corpus.labels[index]])
    people = None if corpus.subjects is None else corpus.subjects[index]
    parts = [target.part(index, one.vocabulary, one.test.labels.device) for one in fits]
    facts, rows = {"classes": list(common), "n": len(index), "not_run": []}, []
    for name in fits[0].networks:
        if NETWORKS[name].needs == "clips" and target.clips is None:
            facts["not_run"].append(name)
            continue
        hits = []
        for one, part in zip(fits, parts, strict=True):
            chances = restricted(one.networks[name].predict(part), classes, common)
            kept = recorder.add_predictions(
                f"{name}@{other}", chances, truth, corpus.ids[index], one.fold.name
            )
            hits.append(kept["probabilities"].argmax(1) == truth)
        low, high = interval(np.stack(hits), people)  # draws people (or images) and networks
        row = {"model": name, "tested_on": other, "classes": len(common), "n": len(index)}
        rows.append(row | {"networks": len(fits), "accuracy": np.mean(hits), "low": low, "high": high})
    return facts, rows


def restricted(probabilities: np.ndarray, classes: tuple[str, ...], common: tuple[str, ...]) -> np.ndarray:
    """Return probabilities ``(N, C)`` among the ``common`` classes alone, rows summing to 1."""
    chosen = probabilities[:, [classes.index(name) for name in common]].astype(np.float64) + 1e-12
    return (chosen / chosen.sum(1, keepdims=True)).astype(np.float32)
