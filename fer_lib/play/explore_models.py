"""Small networks of the papers, trained in seconds where someone wants to look at one.

Evidence keeps no weights. Each kind is built at a fraction of its width and trained on the spot the first
time it is asked for, always to the same weights, which are then kept in the library's cache. None of them is
a chapter's network, and what they reach is no result.

The 3D-CNN of paper ``cnn3d`` is not among them: it reads ten frames in their order, and a photograph or a
still has one.
"""

from __future__ import annotations

import time
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from fer_lib import files
from fer_lib.data.corpus import Corpus
from fer_lib.errors import FerError, one_of
from fer_lib.evidence.provenance import behind
from fer_lib.faces import eyes
from fer_lib.features.geometry import MILD
from fer_lib.learn import metrics, training
from fer_lib.learn.explain import grad_cam
from fer_lib.learn.normalisation import Normalisation
from fer_lib.learn.recipes import Recipe
from fer_lib.learn.training import Feed, Part
from fer_lib.papers.cnn_sift import network as cnn_sift
from fer_lib.papers.cspp import eye_noise
from fer_lib.papers.cspp import network as cspp
from fer_lib.papers.lkrnet import key_regions, triplets
from fer_lib.papers.lkrnet import network as lkrnet
from fer_lib.papers.multimodal import modalities
from fer_lib.papers.multimodal import network as multimodal

SEED = 0


class LinearMachine(nn.Module):
    """A linear support vector machine on standardised HOG, as a layer: its scores are the logits."""

    def __init__(self, n_classes: int) -> None:
        super().__init__()
        self.scores = nn.Linear(900, n_classes)

    def forward(self, images: Tensor, landmarks: Tensor, hog: Tensor) -> Tensor:
        """Return scores ``(B, n_classes)`` of the HOG ``(B, 900)``."""
        return self.scores(hog)

    def learn(self, hog: np.ndarray, labels: np.ndarray) -> None:
        """Fit scikit-learn's machine and take over its weights, the standardisation folded in."""
        from sklearn.preprocessing import StandardScaler
        from sklearn.svm import LinearSVC

        scaler = StandardScaler()
        machine = LinearSVC(C=0.001, random_state=SEED).fit(scaler.fit_transform(hog), labels)
        weights = machine.coef_ / scaler.scale_
        with torch.no_grad():
            self.scores.weight.copy_(torch.as_tensor(weights))
            self.scores.bias.copy_(torch.as_tensor(machine.intercept_ - weights @ scaler.mean_))


@dataclass(frozen=True)
class Kind:
    """How one kind of network is built, fed and trained here.

    Attributes
    ----------
    title, paper : str
        As the panel names it; the key of its paper.
    cut : str
        What was cut down against the paper.
    build : callable
        Number of classes -> network.
    part : callable
        Framed faces -> what the feed reads.
    feed : callable
        Training faces -> feed.
    recipe : Recipe or None
        None where the model has a ``learn`` of its own.
    layer : callable or None
        Network -> the layer that Grad-CAM looks at.
    """

    title: str
    paper: str
    cut: str
    build: Callable[[int], nn.Module]
    part: Callable[[Corpus], Part]
    feed: Callable[[Corpus], Feed]
    recipe: Recipe | None
    layer: Callable[[Any], nn.Module] | None


def _faces(*columns: Callable[[Corpus], np.ndarray]) -> Callable[[Corpus], Part]:
    return lambda corpus: Part.of(corpus.images, corpus.labels, *(column(corpus) for column in columns))


def _multimodal_feed(seen: tuple[str, ...]) -> Callable[[Corpus], Feed]:
    def feed(train: Corpus) -> Feed:
        normalise = Normalisation.fit(torch.as_tensor(train.images), "global")
        face = modalities.mean_face(train.landmarks)
        return modalities.MultimodalFeed(normalise, face, seen, modalities.AUGMENTATION)

    return feed


KINDS = {
    "C2": Kind(
        "C2 (paper 1)",
        "cnn_sift",
        "a quarter of its width",
        lambda n: cnn_sift.build("C2", n, width=0.25),
        _faces(),
        lambda train: training.image_feed(Normalisation(), MILD),
        Recipe(epochs=16, batch_size=16, precision="fp32"),
        lambda model: model.last_convolution,
    ),
    "Multimodal": Kind(
        "Image, landmarks and HOG (paper 2)",
        "multimodal",
        "an eighth of its width",
        lambda n: multimodal.Multimodal(n, width=0.125),
        _faces(lambda corpus: corpus.landmarks),
        _multimodal_feed(multimodal.MODALITIES),
        Recipe(epochs=10, batch_size=16, precision="fp32"),
        lambda model: model.last_convolution,
    ),
    "C-SPP": Kind(
        "C-SPP (paper 3)",
        "cspp",
        "a quarter of its width, tanh in place of ReLU",
        lambda n: cspp.build("C-SPP", n, width=0.25, activation="tanh"),
        _faces(lambda corpus: eyes(corpus.landmarks)),
        lambda train: eye_noise.EyeFeed(),
        Recipe(epochs=6, batch_size=16, lr=0.02, optimiser="sgd", true_class_target=0.9, precision="fp32"),
        lambda model: model.last_convolution,
    ),
    "LKRNet": Kind(
        "LKRNet (paper 5)",
        "lkrnet",
        "an eighth of its width, trained by Adam on triplets of its batches",
        lambda n: lkrnet.build("Our method", n, width=0.125),
        _faces(lambda corpus: key_regions.geometry_of(corpus)[0]),
        lambda train: key_regions.KeyRegionFeed(Normalisation(), key_regions.KeyRegions(), cells=2),
        Recipe(epochs=14, batch_size=16, precision="fp32"),
        # Its last convolution has 2 x 2 cells: too few to look at.
        lambda model: model.activation(4),
    ),
    "HOG + SVM": Kind(
        "HOG and a linear SVM",
        "multimodal",
        "linear, on HOG alone",
        LinearMachine,
        _faces(lambda corpus: corpus.landmarks),
        _multimodal_feed(("hog",)),
        None,
        None,
    ),
}


@dataclass(frozen=True, eq=False)
class SmallNetwork:
    """A network with its weights, and how well it does on faces that it has not seen.

    Attributes
    ----------
    seconds : float
        That its training took.
    accuracy, low, high : float
        On the ``n`` held-out faces, in [0, 1], with the 95 % interval over people (or faces).
    """

    kind: Kind
    model: nn.Module
    feed: Feed
    classes: tuple[str, ...]
    seconds: float
    accuracy: float = float("nan")
    low: float = float("nan")
    high: float = float("nan")
    n: int = 0

    def probabilities(self, faces: Corpus) -> np.ndarray:
        """Return the softmax of framed faces, float32 ``(N, C)``; of an SVM that of its scores."""
        return training.predict(self.model, self.kind.part(faces), self.feed, precision="fp32")

    def seen(self, faces: Corpus) -> np.ndarray:
        """Return the images that the network reads, float32 ``(N, h, w)``, each stretched to [0, 1]."""
        x = self.feed(self.kind.part(faces), False)[0].squeeze(1)
        low, high = x.amin((1, 2), keepdim=True), x.amax((1, 2), keepdim=True)
        return ((x - low) / (high - low).clamp_min(1e-6)).numpy()

    def evidence(self, faces: Corpus, target: int | None = None) -> np.ndarray | None:
        """Return Grad-CAM maps for a class (or the predicted one) over :meth:`seen`, float32 ``(N, h, w)``.

        None for a network without a convolution.
        """
        if self.kind.layer is None:
            return None
        model, layer = self.model, self.kind.layer(self.model)
        model = lkrnet.Scores(model) if isinstance(model, lkrnet.LKRNet) else model
        return grad_cam(model, self.feed(self.kind.part(faces), False), layer, target)


def trained(name: str, train: Corpus, held: Corpus) -> SmallNetwork:
    """Return a network trained on framed faces, from the cache if it was trained before.

    Parameters
    ----------
    name : str
        One of :data:`KINDS`.
    train, held : Corpus
        :class:`fer_lib.play.explore_faces.Collection`'s parts; ``held`` is only scored.

    Raises
    ------
    FerError
        For an unknown name, or a corpus of one class.
    """
    kind = KINDS[one_of(name, KINDS, "network")]
    if len(np.unique(train.labels)) != len(train.classes) or len(train.classes) < 2:
        raise FerError(f"{train.card.title} lacks training faces of some expression.")
    key = files.digest(name, SEED, torch.__version__, train.fingerprint, _sources())
    path = files.cache_folder() / "explore" / f"{key}.pt"
    torch.manual_seed(zlib.crc32(f"{SEED}/{name}".encode()))
    model, feed = kind.build(len(train.classes)), kind.feed(train)
    if (seconds := _read(path, model)) is None:
        began = time.monotonic()
        _train(kind, model, feed, train)
        seconds = time.monotonic() - began
        with files.atomic(path) as temporary:
            torch.save({"weights": model.state_dict(), "seconds": seconds}, temporary)
    network = SmallNetwork(kind, model.eval(), feed, train.classes, seconds)
    hits = network.probabilities(held).argmax(1) == held.labels
    low, high = metrics.interval(hits, held.subjects)
    return SmallNetwork(kind, model, feed, train.classes, seconds, float(hits.mean()), low, high, len(hits))


def _read(path: Path, model: nn.Module) -> float | None:
    """Load kept weights; return the seconds that they took, None where there are none to use."""
    try:
        kept = torch.load(path, map_location="cpu", weights_only=True)
        model.load_state_dict(kept["weights"])
        return float(kept["seconds"])
    except FileNotFoundError:
        return None
    except Exception:  # a damaged file may raise almost anything; it is made again
        return None


def _train(kind: Kind, model: nn.Module, feed: Feed, train: Corpus) -> None:
    part, label = kind.part(train), f"training {kind.title}"
    if kind.recipe is None:
        model.learn(feed(part, False)[2].numpy(), train.labels)
        return
    loss = None
    if kind.paper == "cspp":  # each face once as it is and once with noise on its eyes
        part = eye_noise.NoisyPart(part.images, part.labels, part.extra, copies=1)
    if kind.paper == "lkrnet":
        made = triplets.TripletTraining(part, feed, triplets.CombinedLoss(), "semi_hard")
        feed, loss = made.feed, made.loss
    training.fit(model, part, kind.recipe, feed=feed, loss=loss, seed=SEED, label=label)


@cache
def _sources() -> list[str]:
    """Return digests of what decides the weights: this module and the library's files behind it."""
    return [files.source_digest(path) for path in behind([Path(__file__).resolve()])]
