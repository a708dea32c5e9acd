"""Small networks of the papers, trained in seconds where someone wants to look at one.

Each is a network of :mod:`fer_lib.play.zoo` at a fraction of its width, trained when it is asked for, always
to the same weights, which are kept in the library's cache. What they reach is no result of a chapter. The
3D-CNN is not among them: it reads ten frames, and a photograph or a still has one.
"""

from __future__ import annotations

import time
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from fer_lib import claims, files
from fer_lib.data.corpus import Corpus
from fer_lib.errors import FerError, one_of
from fer_lib.evidence.provenance import behind
from fer_lib.features.geometry import Augmentation
from fer_lib.learn import metrics, training
from fer_lib.learn.explain import grad_cam
from fer_lib.papers.lkrnet.network import LKRNet, Scores
from fer_lib.play import zoo
from fer_lib.play.zoo import NETWORKS, SVM, Trained

if TYPE_CHECKING:
    from fer_lib.play.explore_faces import Collection

SEED = 0


@dataclass(frozen=True)
class Small:
    """What is changed in a network so that it learns in seconds: in words (``cut``), and how."""

    cut: str
    width: float = 1.0
    recipe: Mapping[str, Any] = field(default_factory=dict)
    readings: Mapping[str, Any] = field(default_factory=dict)


ADAM = {"optimiser": "adam", "lr": 1e-3, "learning_rates": None, "weight_decay": 0.0}
SMALL = {
    "C2": Small("a quarter of its width", 0.25, {"epochs": 16}),
    "Multimodal": Small("an eighth of its width", 0.125, {"epochs": 10}),
    "C-SPP": Small(
        "a quarter of its width, tanh in place of ReLU",
        0.25,
        {"epochs": 12, "lr": 0.02},
        {"activation": "tanh"},
    ),
    "LKRNet": Small(
        "an eighth of its width, trained by Adam on shifted and mirrored faces and triplets of its batches",
        0.125,
        ADAM | {"epochs": 14, "augmentation": Augmentation(translation=0.04, mirror=0.5)},
    ),
    SVM: Small("linear, on HOG alone"),
}
"""The networks of the panel, by their names in the zoo."""


def title(name: str) -> str:
    """Return what the panel calls a network: its name and its paper's number."""
    return f"{name} (paper {claims.PAPERS.index(NETWORKS[name].paper) + 1})"


@dataclass(frozen=True, eq=False)
class Explored:
    """A network with its weights, and how well it does on faces that it has not seen.

    ``accuracy`` is in [0, 1] on ``n`` held-out faces, with its 95 % interval over people (or faces); ``here``
    says whether it was trained on the panel's faces.
    """

    title: str
    about: str
    trained: Trained
    classes: tuple[str, ...]
    accuracy: float
    low: float
    high: float
    n: int
    here: bool = True

    def probabilities(self, faces: Corpus) -> np.ndarray:
        """Return class probabilities of framed faces, float32 ``(N, C)``."""
        return self.trained.predict(zoo.part(faces))

    def seen(self, faces: Corpus) -> np.ndarray:
        """Return the images that the network reads (of HOG the face), float32 ``(N, h, w)`` in [0, 1]."""
        x = self.trained.feed(zoo.part(faces), False)[0]
        x = torch.as_tensor(faces.images).float() if x.ndim == 2 else x.squeeze(1)
        low, high = x.amin((1, 2), keepdim=True), x.amax((1, 2), keepdim=True)
        return ((x - low) / (high - low).clamp_min(1e-6)).numpy()

    def evidence(self, faces: Corpus, target: int | None = None) -> np.ndarray | None:
        """Return Grad-CAM over :meth:`seen` for a class or the answer; None for want of a convolution."""
        if self.trained.network.layer is None:
            return None
        model, layer = self.trained.model, self.trained.network.layer(self.trained.model)
        model = Scores(model) if isinstance(model, LKRNet) else model
        return grad_cam(model, self.trained.feed(zoo.part(faces), False), layer, target)


def explored(name: str, train: Corpus, held: Corpus, learn: bool = True) -> Explored | None:
    """Return a small network trained on framed faces, from the cache if it was trained before.

    ``held`` is only scored. Without ``learn``, None is returned for one that is not in the cache.
    """
    small = SMALL[one_of(name, SMALL, "network")]
    network, n_classes = NETWORKS[name], len(train.classes)
    if len(np.unique(train.labels)) != n_classes or n_classes < 2:
        raise FerError(f"{train.card.title} lacks training faces of some expression.")
    code = [files.source_digest(path) for path in behind([Path(__file__).resolve()])]
    key = files.digest(name, SEED, torch.__version__, train.fingerprint, code)
    if not learn and not (files.cache_folder() / "explore" / key).exists():
        return None
    began, part = time.monotonic(), zoo.part(train)
    if network.recipe is None:  # a support vector machine is fitted as fast as it is read
        trained, seconds = zoo.fitted_svm(part, n_classes, SEED), time.monotonic() - began
    else:
        torch.manual_seed(zlib.crc32(f"{SEED}/{name}".encode()))
        model = network.build(n_classes, width=small.width, **small.readings)
        recipe = replace(zoo.recipe_of(name, 1), batch_size=16, precision="fp32", **small.recipe)
        part, feed, loss = zoo.training_of(network, part, recipe.augmentation)

        def taught() -> dict[str, np.ndarray]:
            label = f"training {title(name)}"
            training.fit(model, part, recipe, feed=feed, loss=loss, seed=SEED, label=label)
            weights = {key: values.numpy() for key, values in model.state_dict().items()}
            return weights | {"seconds": np.array(time.monotonic() - began)}

        weights = files.cached_arrays("explore", key, taught)
        seconds = float(weights.pop("seconds"))
        model.load_state_dict({key: torch.as_tensor(values) for key, values in weights.items()})
        trained = Trained(network, model.eval(), feed, n_classes)
    hits = trained.predict(zoo.part(held)).argmax(1) == held.labels
    took = "under a second" if seconds < 1 else f"{seconds:.0f} s"
    said = f"{title(name)}, {small.cut}, trained here for {took}"
    accuracy, (low, high) = float(hits.mean()), metrics.interval(hits, held.subjects)
    return Explored(title(name), said, trained, train.classes, accuracy, low, high, len(hits))


def about(network: Explored | None, collection: Collection, photo: bool) -> str:
    """Say what a network is, how well it does on faces it has not seen, and what that is not."""
    train, n = collection.train, len(collection.train)
    faces = f"{n:,} faces"
    if train.subjects is not None:
        faces += f" of {len(np.unique(train.subjects))} people"
    if network is None:
        text = f"{faces} to train on, and {len(collection.held):,} of {collection.held_out_by} to look at."
    elif not network.here:
        text = network.about
    else:
        right = f"{network.accuracy:.0%} [{network.low:.0%}, {network.high:.0%}]"
        text = (
            f"{network.about} on {faces}. Right on {right} of {network.n:,} held-out faces of "
            f"{collection.held_out_by}; guessing is right on {1 / len(network.classes):.0%}. How long it "
            "trains was set with an eye on these faces, so this flatters. It is not the chapter’s network, "
            "and no result of it."
        )
    text += " The faces are drawn." if train.card.synthetic else ""
    if collection.missed:
        text += f" Images without a face that dlib finds are left out: {collection.missed:,}."
    if photo:
        text += " Of your photo it knows what its faces taught it and no more: its answer is play."
    return text
