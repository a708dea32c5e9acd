"""All networks of the five papers under one protocol: what stands in one line of the matrix, and its cost.

Every network gets the same images, folds, epochs, augmentation and optimiser
(:mod:`fer_lib.play.matrix_data`,
:func:`recipe`); only what makes it this network is its own: its layers, what it reads of a face, how grey
values are normalised and, of LKRNet, the loss.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from fer_lib.errors import FerError
from fer_lib.features import hog
from fer_lib.features import sift as features
from fer_lib.features.geometry import MILD
from fer_lib.learn.normalisation import Normalisation
from fer_lib.learn.recipes import Loss
from fer_lib.learn.training import Feed, Part, Recipe, channels_last, predict
from fer_lib.learn.units import Outcome, Store, read_weights, train_unit
from fer_lib.papers import baselines
from fer_lib.papers.cnn3d import network as cnn3d
from fer_lib.papers.cnn_sift import network as cnn_sift
from fer_lib.papers.cspp import network as cspp
from fer_lib.papers.cspp.eye_noise import EyeFeed
from fer_lib.papers.lkrnet import network as lkrnet
from fer_lib.papers.lkrnet.key_regions import KeyRegionFeed, KeyRegions
from fer_lib.papers.lkrnet.triplets import CombinedLoss
from fer_lib.papers.multimodal import modalities
from fer_lib.papers.multimodal import network as multimodal
from fer_lib.play.matrix_data import (
    CLIP,
    GEOMETRY,
    LANDMARKS,
    N_FRAMES,
    SIZE,
    WORDS,
    Augmented,
    Faces,
    disturbed,
)

if TYPE_CHECKING:
    from fer_lib.data.splits import Fold

SVM = "HOG-SVM"
PENALTY = 0.01  # C of the support vector machine, as in the chapter on the multimodal network


@dataclass(frozen=True)
class Entry:
    """One line of the matrix.

    Attributes
    ----------
    paper : str
        The chapter that it comes from.
    what : str
        What it is, in a few words.
    build : callable
        (number of classes, width) -> the network; width 1 is its paper's.
    feed : callable
        Training part -> the network's feed, of which only the test mode is used.
    inputs : tuple of Tensor
        A batch of one, for counting.
    loss : callable or None
        See :func:`fer_lib.learn.training.fit`; None is the cross-entropy.
    needs : str or None
        What must be found in an image before the network can read it: ``landmarks`` or ``words``;
        ``clips`` where it reads more than the image.
    """

    paper: str
    what: str
    build: Callable[[int, float], nn.Module]
    feed: Callable[[Part], Feed]
    inputs: tuple[Tensor, ...]
    loss: Loss | None = None
    needs: str | None = None


class Machine(nn.Module):
    """A linear support vector machine on standardised HOG, as a layer: HOG ``(B, 900)`` to scores.

    Its weights are zero until :func:`fit_machine` sets them.
    """

    def __init__(self, n_classes: int = 7) -> None:
        super().__init__()
        self.classify = nn.Linear(hog.length(), n_classes)
        nn.init.zeros_(self.classify.weight)

    def forward(self, described: Tensor) -> Tensor:
        """Return scores ``(B, n_classes)``."""
        return self.classify(described)


# --- what each network reads --------------------------------------------------------------------------------


def _image(mode: str, *places: int) -> Callable[[Part], Feed]:
    """Return what makes a feed of the image, normalised by ``mode``, and of further columns of a part."""

    def make(train: Part) -> Feed:
        normalise = Normalisation.fit(train.images, mode)
        return lambda batch, _: (normalise(batch.images), *(batch.extra[place] for place in places))

    return make


def _three_modalities(train: Part) -> Feed:
    face = modalities.mean_face(train.extra[LANDMARKS].cpu().numpy())
    normalise = Normalisation.fit(train.images, "global")
    return modalities.MultimodalFeed(normalise, face.to(train.images.device))


def _local_contrast(_: Part) -> Feed:
    feed = EyeFeed(SIZE)  # the faces are aligned already: without eyes it normalises alone
    return lambda batch, _: feed(Part(batch.images, batch.labels), False)


def _key_regions(train: Part) -> Feed:
    with torch.device("meta"):
        cells = lkrnet.build("Our method").map_size
    feed = KeyRegionFeed(Normalisation.fit(train.images, "global"), KeyRegions(), cells)
    return lambda batch, _: feed(Part(batch.images, batch.labels, (batch.extra[GEOMETRY],)), False)


def _gradients(_: Part) -> Feed:
    return lambda batch, _: (hog.describe(batch.images),)


def _clips(_: Part) -> Feed:
    def feed(batch: Part, _: bool) -> tuple[Tensor]:
        x = (batch.extra[CLIP] / 127.5 - 1).unsqueeze(1).expand(-1, 3, -1, -1, -1)
        return (x.contiguous(memory_format=torch.channels_last_3d),)

    return feed


def _branches(weight: float) -> Loss:
    """Return LKRNet's loss with triplets found within the batch, so that it sees no more than the others."""
    combined = CombinedLoss(weight)
    return lambda output, labels: (combined(output, labels, "semi_hard"), output[0])


def _lkrnet(name: str) -> Callable[[int, float], nn.Module]:
    return lambda n, width: lkrnet.build(name, n, width=width)


def _cspp(name: str) -> Callable[[int, float], nn.Module]:
    return lambda n, width: cspp.build(name, n, width=width, dropout=0.5)


_FACE = torch.zeros(1, 1, SIZE, SIZE)
_CROP = (torch.zeros(1, 1, 44, 44), torch.zeros(1, 1, 2, 2))
ENTRIES: dict[str, Entry] = {
    "C2": Entry(
        *("cnn_sift", "four convolutions and a dense layer of 2048"),
        *(lambda n, w: cnn_sift.build("C2", n, width=w), _image("image"), (_FACE,)),
    ),
    "S2": Entry(
        *("cnn_sift", "C2 beside 512 SIFT words"),
        *(lambda n, w: cnn_sift.build("S2", n, width=w), _image("image", WORDS)),
        *((_FACE, torch.zeros(1, cnn_sift.VISUAL_WORDS["S2"])), None, "words"),
    ),
    "Multimodal": Entry(
        *("multimodal", "image with attention, landmarks and HOG"),
        *(lambda n, w: multimodal.Multimodal(n, width=w), _three_modalities),
        *((_FACE, torch.zeros(1, 136), torch.zeros(1, hog.length())), None, "landmarks"),
    ),
    "ResNet18": Entry(
        *("multimodal", "a competitor, with a stem for small images"),
        *(lambda n, w: baselines.resnet(n, width=w), _image("global"), (_FACE,)),
    ),
    SVM: Entry(
        *("multimodal", "a competitor: HOG and a linear machine"),
        *(lambda n, _: Machine(n), _gradients, (torch.zeros(1, hog.length()),)),
    ),
    "Benchmark": Entry(
        *("cspp", "two convolutions, after Lopes et al."),
        *(_cspp("Benchmark"), _local_contrast, (_FACE,)),
    ),
    "C-SPP": Entry(
        *("cspp", "two spatial pyramids"),
        *(_cspp("C-SPP"), _local_contrast, (_FACE,)),
    ),
    "3D-CNN": Entry(
        *("cnn3d", "ten frames (the Oulu-CASIA optimum)"),
        *(lambda n, w: cnn3d.c2(n, size=SIZE, width=w), _clips),
        *((torch.zeros(1, 3, N_FRAMES, SIZE, SIZE),), None, "clips"),
    ),
    "VGG19": Entry(
        *("lkrnet", "LKRNet's trunk and one classifier"),
        *(_lkrnet("VGG19"), _key_regions, _CROP, _branches(0.0)),
    ),
    "LKRNet": Entry(
        *("lkrnet", "key regions and triplets"),
        *(_lkrnet("Our method"), _key_regions, _CROP, _branches(0.2), "landmarks"),
    ),
}
"""Model -> what it is, by the order of the papers."""


def entries(faces: Faces) -> dict[str, Entry]:
    """Return the models that a corpus can train: those that read clips need the frames of sequences."""
    return {name: e for name, e in ENTRIES.items() if e.needs != "clips" or faces.clips is not None}


def recipe(epochs: int, batch_size: int, lr: float = 1e-3) -> Recipe:
    """Return the one recipe of all networks: Adam with a rate that falls along half a cosine.

    The last epoch counts. Images are turned, scaled, shifted and mirrored a little
    (:data:`fer_lib.features.geometry.MILD`).
    """
    rates = tuple(float(f"{lr * (1 + math.cos(math.pi * e / epochs)) / 2:.6g}") for e in range(epochs))
    return Recipe(epochs=epochs, batch_size=batch_size, lr=lr, learning_rates=rates, augmentation=MILD)


# --- training and testing -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Trained:
    """A network as trained on one fold: ``model``, its ``feed``, and the probabilities ``test`` (N, C)."""

    model: nn.Module
    feed: Feed
    outcome: Outcome

    def predict(self, part: Part) -> np.ndarray:
        """Return softmax probabilities float32 ``(N, C)``."""
        return predict(self.model, part, self.feed)


def train(
    store: Store,
    name: str,
    fold: Fold,
    parts: tuple[Part, Part],
    n_classes: int,
    how: Recipe,
    width: float = 1.0,
    seed: int = 0,
) -> Trained:
    """Train one model on one fold, or read back what ``store`` holds of it.

    Parameters
    ----------
    parts
        Training and test part, of :meth:`fer_lib.play.matrix_data.Faces.part`.
    how : Recipe
        Of all networks; the support vector machine is fitted to the images as they are.
    """
    entry = ENTRIES[name]
    learn, test = parts
    feed = Augmented(entry.feed(learn), how.augmentation)
    model = entry.build(n_classes, width)
    if name == SVM:
        return fit_machine(store, f"{name} {fold.name}", model, feed, parts, seed)
    outcome = train_unit(
        store,
        f"{name} {fold.name}",
        lambda: entry.build(n_classes, width),
        (learn, None, test),
        how,
        feed=feed,
        loss=entry.loss,
        seed=seed,
        keep_weights=True,
        score_epochs=False,
    )
    model.load_state_dict(read_weights(outcome.weights))
    device = learn.images.device
    return Trained(channels_last(model, device).eval(), feed, outcome)


def fit_machine(
    store: Store, unit: str, model: Machine, feed: Feed, parts: tuple[Part, Part], seed: int = 0
) -> Trained:
    """Fit the support vector machine, or read back what ``store`` holds of it."""
    learn, test = parts
    device = learn.images.device
    path = store.unit(unit)
    if path is None:
        from sklearn.preprocessing import StandardScaler
        from sklearn.svm import LinearSVC

        now = clock(device)
        began = now()
        described = torch.cat([feed(learn.take(i), False)[0] for i in _batches(len(learn), device)])
        scale = StandardScaler().fit(described.cpu().numpy())
        machine = LinearSVC(C=PENALTY, random_state=seed)
        machine.fit(scale.transform(described.cpu().numpy()), learn.labels.cpu().numpy())
        if len(machine.classes_) < 3:
            raise FerError(f"{unit} needs training images of at least three classes.")
        weight = np.zeros(model.classify.weight.shape)
        bias = np.full(len(weight), -1e4)  # a class that no training image has is never chosen
        weight[machine.classes_] = machine.coef_ / scale.scale_
        bias[machine.classes_] = machine.intercept_ - machine.coef_ @ (scale.mean_ / scale.scale_)
        path = store.finish_unit(unit, weight=weight, bias=bias, seconds=now() - began)
    with np.load(path, allow_pickle=False) as stored:
        state = {f"classify.{name}": torch.as_tensor(stored[name]) for name in ("weight", "bias")}
        curves = [{"epoch": 1, "seconds": float(stored["seconds"])}]
    model.load_state_dict(state)
    model = model.to(device).eval()
    return Trained(
        model, feed, Outcome(predict(model, test, feed, precision="fp32"), np.empty(0), curves, None)
    )


def clock(device: torch.device) -> Callable[[], float]:
    """Return what times are taken with: processor time on a CPU, which other work there hardly changes.

    It is the sum over cores, so that a figure does not depend on the number of threads either. On a GPU it
    is the time on the wall.
    """
    return time.process_time if device.type == "cpu" else time.perf_counter


def _batches(n: int, device: torch.device) -> tuple[Tensor, ...]:
    return torch.arange(n, device=device).split(1024)


def robustness(
    trained: dict[str, Trained],
    part: Part,
    vocabulary: features.Vocabulary,
    conditions: tuple[str, ...],
    severities: tuple[float, ...],
    groups: np.ndarray | None = None,
) -> list[dict[str, Any]]:
    """Return a line per condition, severity and model: accuracy as a fraction with its 95 % interval."""
    from fer_lib.learn.metrics import interval

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
