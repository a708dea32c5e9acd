"""The matrix: every network trained and tested on the same faces, and what it costs.

Every network of :mod:`fer_lib.play.zoo` gets the same images, folds, epochs and augmentation
(:mod:`fer_lib.play.matrix_data`), and keeps what is its own: layers, inputs, normalisation, recipe and loss.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from fer_lib.features import sift as features
from fer_lib.learn.layers import count_parameters
from fer_lib.learn.metrics import interval
from fer_lib.learn.recipes import Recipe
from fer_lib.learn.training import Part, channels_last, fit
from fer_lib.learn.units import Outcome, Store, read_weights, train_unit
from fer_lib.play.matrix_data import Faces, disturbed, find_landmarks
from fer_lib.play.zoo import NETWORKS, SVM, Network, Trained, fitted_svm, training_of

if TYPE_CHECKING:
    from fer_lib.data.splits import Fold


def networks(faces: Faces) -> dict[str, Network]:
    """Return the networks that a corpus can train: those that read clips need the frames of sequences."""
    return {name: n for name, n in NETWORKS.items() if n.needs != "clips" or faces.clips is not None}


# --- training and testing -----------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False, kw_only=True)
class Tested(Trained):
    """A network as trained on one fold, and what its training left: test probabilities and curves."""

    outcome: Outcome


def train(
    store: Store,
    name: str,
    fold: Fold,
    parts: tuple[Part, Part],
    n_classes: int,
    recipe: Recipe | None,
    width: float = 1.0,
    seed: int = 0,
    **readings: Any,
) -> Tested:
    """Train one network on one fold, or read back what ``store`` holds of it.

    Parameters
    ----------
    parts
        Training and test part, of :meth:`fer_lib.play.matrix_data.Faces.part`.
    recipe : Recipe or None
        Of :func:`fer_lib.play.zoo.recipe_of`. The support vector machine has none: it is fitted to the images
        as they are, anew in every process.
    **readings
        What the network is built with besides.
    """
    learn, test = parts
    if name == SVM:
        now = clock(learn.images.device)
        began = now()
        one = fitted_svm(learn, n_classes, seed)
        curves = [{"epoch": 1, "seconds": now() - began}]
        outcome = Outcome(one.predict(test), np.empty(0), curves, None)
        return Tested(one.network, one.model, one.feed, n_classes, outcome=outcome)
    network = NETWORKS[name]
    build = partial(network.build, n_classes, width=width, **readings)
    learn, feed, loss = training_of(network, learn, recipe.augmentation)
    outcome = train_unit(
        store,
        f"{name} {fold.name}",
        build,
        (learn, None, test),
        recipe,
        feed=feed,
        loss=loss,
        seed=seed,
        keep_weights=True,
        score_epochs=False,
    )
    model = build()
    model.load_state_dict(read_weights(outcome.weights))
    model = channels_last(model, learn.images.device).eval()
    return Tested(network, model, feed, n_classes, outcome.precision.name, outcome=outcome)


def robustness(
    trained: dict[str, Trained],
    part: Part,
    vocabulary: features.Vocabulary,
    conditions: tuple[str, ...],
    severities: tuple[float, ...],
    groups: np.ndarray | None = None,
) -> list[dict[str, Any]]:
    """Return a line per condition, severity and model: accuracy as a fraction with its 95 % interval."""
    rows = []
    truth = part.labels.cpu().numpy()
    for condition in conditions:
        for severity in (0.0, *severities):
            seen = disturbed(part, condition, severity, vocabulary) if severity else part
            for name, one in trained.items():
                hits = one.predict(seen).argmax(1) == truth
                low, high = interval(hits, groups)
                row = {"condition": condition, "severity": severity, "model": name, "n": len(hits)}
                rows.append(row | {"accuracy": hits.mean(), "low": low, "high": high})
    return rows


def restricted(probabilities: np.ndarray, classes: tuple[str, ...], common: tuple[str, ...]) -> np.ndarray:
    """Return probabilities ``(N, C)`` among the ``common`` classes alone, rows summing to 1."""
    chosen = probabilities[:, [classes.index(name) for name in common]].astype(np.float64) + 1e-12
    return (chosen / chosen.sum(1, keepdims=True)).astype(np.float32)


# --- what a network costs -----------------------------------------------------------------------------------


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


def training_rate(
    name: str, learn: Part, n_classes: int, recipe: Recipe, width: float, batches: int = 6
) -> float:
    """Return how many images a network trains on per second, measured on a few batches."""
    network, device = NETWORKS[name], learn.images.device
    some = learn.take(torch.arange(min(len(learn), batches * recipe.batch_size), device=device))
    some, feed, loss = training_of(network, some, recipe.augmentation)
    model, once, now = network.build(n_classes, width=width), replace(recipe, epochs=1), clock(device)
    best = math.inf
    for _ in range(2):  # the first warms up
        started = now()
        fit(model, some, once, feed=feed, loss=loss, label=f"{name}, timed")
        best = min(best, now() - started)
    return len(some) / best


def finding(faces: Faces, images: np.ndarray | None, n: int = 40) -> dict[str, float]:
    """Return the milliseconds of processor time per image that finding landmarks and SIFT words takes.

    Parameters
    ----------
    images : uint8 (N, H, W) or None
        Some images of the corpus as it is read, in which faces are looked for; None where the landmarks
        come with it.
    n : int
        How many are timed.
    """

    def milliseconds(work: Callable[[np.ndarray], object], on: np.ndarray) -> float:
        began = time.process_time()
        work(on[:n])
        return 1000 * (time.process_time() - began) / len(on[:n])

    words = milliseconds(lambda made: features.sift(made, workers=1), faces.corpus.images)
    return {"words": words, "landmarks": math.nan if images is None else milliseconds(find_landmarks, images)}
