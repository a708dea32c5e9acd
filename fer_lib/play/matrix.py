"""The matrix: every network trained and tested on the same faces, and what it costs.

Every network gets the same images, folds, epochs and augmentation, and keeps what is its own: layers, inputs,
normalisation, recipe and loss.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import torch

from fer_lib.features import sift as features
from fer_lib.files import UnitFolder
from fer_lib.learn.layers import count_parameters
from fer_lib.learn.layout import channels_last, plain
from fer_lib.learn.metrics import interval
from fer_lib.learn.recipes import Recipe
from fer_lib.learn.training import Part
from fer_lib.learn.units import Outcome, read_weights, train_unit
from fer_lib.papers.multimodal.modalities import MultimodalFeed
from fer_lib.play.matrix_data import Faces, disturbed, find_landmarks
from fer_lib.play.zoo import NETWORKS, SVM, Network, Trained, blank, fitted_svm, recipe_of, training_of

if TYPE_CHECKING:
    from fer_lib.data.splits import Fold
    from fer_lib.evidence.recorder import Recorder

# --- training and testing -----------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False, kw_only=True)
class Tested(Trained):
    """A network as trained on one fold, and what its training left: test probabilities and curves."""

    outcome: Outcome


@dataclass(frozen=True, eq=False)
class Fitted:
    """All networks as trained on one fold, by name, with its test part and SIFT words."""

    fold: Fold
    vocabulary: features.Vocabulary
    test: Part
    networks: dict[str, Tested]


@dataclass(frozen=True, eq=False)
class Bench:
    """One corpus on which every network is trained and tested, under one of the matrix's budgets.

    ``store`` keeps finished networks, such as a recorder; of every network's ``epochs`` the last one counts.
    """

    faces: Faces
    store: UnitFolder
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
        networks = {name: self.train(name, fold, *parts) for name in self.networks}
        return Fitted(fold, words, parts[1], networks)

    def train(self, name: str, fold: Fold, learn: Part, test: Part) -> Tested:
        """Train one network on one fold, or read back what ``store`` holds of it.

        The support vector machine is fitted to the images as they are, anew in every process.
        """
        network, recipe = NETWORKS[name], self.recipe(name)
        if recipe is None:
            began = time.perf_counter()
            one = fitted_svm(learn, self.n_classes, self.seed)
            curves = [{"epoch": 1, "seconds": time.perf_counter() - began}]
            outcome = Outcome(one.predict(test), np.empty(0), curves, None)
            return Tested(network, one.model, one.feed, self.n_classes, outcome=outcome)
        reads = network.feed(learn)
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
            statistics=reads.statistics if isinstance(reads, MultimodalFeed) else None,
            score_epochs=False,
        )
        model = self.build(name)
        model.load_state_dict(read_weights(outcome.weights))
        model = channels_last(model, learn.images.device).eval()
        if outcome.precision.layout == "plain":
            plain(model)
        return Tested(network, model, feed, self.n_classes, outcome.precision.name, outcome=outcome)

    def counts(self, name: str) -> dict[str, Any]:
        """Return width, parameters and multiply-adds of a network as trained here, and in full."""
        parameters, operations = multiply_adds(name, self.n_classes, self.width(name))
        full = multiply_adds(name, self.n_classes)
        own = {"width": self.width(name), "parameters": parameters, "multiply_adds": operations}
        return own | {"parameters_full": full[0], "multiply_adds_full": full[1]}


# --- what a network costs -----------------------------------------------------------------------------------


def multiply_adds(name: str, n_classes: int = 7, width: float = 1.0) -> tuple[int, int]:
    """Return a model's trainable parameters, and the multiply-adds of one image through it.

    Counted are convolutions and matrix products; two operations are one multiply-add. What comes before the
    network (landmarks, SIFT, HOG) is not counted, but timed.
    """
    from torch.utils.flop_counter import FlopCounterMode

    network = NETWORKS[name]
    inputs = network.feed(blank())(blank(), False)
    with torch.device("meta"):
        model = network.build(n_classes, width=width).eval()
    with torch.inference_mode(), FlopCounterMode(display=False) as counter:
        model(*(x.to("meta") for x in inputs))
    return count_parameters(model), counter.get_total_flops() // 2


def images_per_second(one: Trained, part: Part, n: int = 512, seconds: float = 0.5) -> float:
    """Return how many of a part's first ``n`` images a model predicts per second, its feed included.

    The best of as many passes as ``seconds`` allow, at least two after one that warms up. On a CPU seconds
    are of processor time: what one core would do, whatever else runs there.
    """
    part = part.take(torch.arange(min(n, len(part)), device=part.labels.device))
    now = time.process_time if part.images.device.type == "cpu" else time.perf_counter
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

    Probabilities are recorded as those of ``<model>@<other>``. Returned are facts (the common ``classes``,
    ``n`` images, networks ``not_run`` for want of clips) and a line per model: the mean accuracy over the
    folds' networks, with its 95 % interval.
    """
    corpus = target.corpus
    common = tuple(name for name in classes if name in corpus.classes)
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
