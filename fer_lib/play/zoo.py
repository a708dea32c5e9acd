"""Every network of the five papers behind one interface, for the matrix and the explorer.

All of them read one kind of part: faces of 48 pixels with their landmarks, key regions, SIFT words and
frames (:func:`part`), moved in the same way while training (:class:`Augmented`). A :class:`Network` says what
is its own, under the recommended reading of its paper.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn

from fer_lib.data.corpus import Corpus
from fer_lib.features import hog
from fer_lib.features.geometry import MILD, Augmentation, warp_images, warp_points
from fer_lib.learn.normalisation import NORMALISATIONS, Normalisation
from fer_lib.learn.recipes import Loss, cross_entropy
from fer_lib.learn.training import Feed, Part, Recipe, predict
from fer_lib.papers import baselines
from fer_lib.papers.cnn3d import network as cnn3d
from fer_lib.papers.cnn3d.readings import PAPER, Readings
from fer_lib.papers.cnn_sift import network as cnn_sift
from fer_lib.papers.cspp import network as cspp
from fer_lib.papers.cspp import trainer as cspp_trainer
from fer_lib.papers.cspp.eye_noise import EyeFeed
from fer_lib.papers.lkrnet import network as lkrnet
from fer_lib.papers.lkrnet import trainer as lkrnet_trainer
from fer_lib.papers.lkrnet.key_regions import KeyRegionFeed, KeyRegions, geometry_of
from fer_lib.papers.lkrnet.triplets import CombinedLoss, TripletTraining, numbered
from fer_lib.papers.multimodal import modalities, processed
from fer_lib.papers.multimodal import network as multimodal
from fer_lib.papers.multimodal import trainer as multimodal_trainer

if TYPE_CHECKING:
    from sklearn.pipeline import Pipeline

SIZE = 48  # pixels, of every face
REACH = processed.REACH  # of its crop by the eyes
N_FRAMES = 10  # of a clip
LANDMARKS, GEOMETRY, WORDS, CLIP = range(4)
"""Places of a part's ``extra``. The last two have no columns where there are no words or no frames."""

SVM = "HOG-SVM"
MINING = "semi_hard"  # of LKRNet's triplets: the recommended reading of ``triplet_sampling``
CYCLE = 200  # epochs, beyond which the rates of paper 5's schedule are stretched


# --- what a network reads -----------------------------------------------------------------------------------


def _image(_: Part, normalise: Normalisation) -> Feed:
    return lambda batch, _: (normalise(batch.images),)


def _image_and_words(_: Part, normalise: Normalisation) -> Feed:
    return lambda batch, _: (normalise(batch.images), batch.extra[WORDS])


def _three_modalities(train: Part, normalise: Normalisation) -> Feed:
    return modalities.MultimodalFeed(normalise, train.extra[LANDMARKS].mean(0))


def _local_contrast(*_: object) -> Feed:
    feed = EyeFeed()  # the faces are aligned already: without eyes it normalises alone
    return lambda batch, _: feed(Part(batch.images, batch.labels), False)


def _key_regions(_: Part, normalise: Normalisation) -> Feed:
    with torch.device("meta"):
        cells = lkrnet.build("Our method").map_size
    feed = KeyRegionFeed(normalise, KeyRegions(), cells)
    return lambda batch, _: feed(Part(batch.images, batch.labels, (batch.extra[GEOMETRY],)), False)


def _gradients(*_: object) -> Feed:
    return lambda batch, _: (hog.describe(batch.images),)


def _frames(*_: object) -> Feed:
    return lambda batch, _: ((batch.extra[CLIP] / 127.5 - 1).unsqueeze(1).expand(-1, 3, -1, -1, -1),)


# --- how it is trained --------------------------------------------------------------------------------------


def _adam(epochs: int) -> Recipe:
    """Return the recipe of papers 1 and 2: Adam with its usual rate."""
    return Recipe(epochs, batch_size=128, lr=1e-3)


def _momentum(epochs: int) -> Recipe:
    """Return the recipe of paper 3 (Table 2, Sect. 3.2)."""
    return Recipe(epochs, batch_size=128, lr=9e-4, optimiser="sgd", momentum=0.9, true_class_target=0.9)


def _known(epochs: int) -> Recipe:
    """Return the recipe of paper 5 under the schedule ``known``: one cycle, as long as the training."""
    cycle = lkrnet.learning_rates("known", min(epochs, CYCLE))
    rates = tuple(cycle[len(cycle) * epoch // epochs] for epoch in range(epochs))
    return Recipe(epochs, batch_size=128, optimiser="sgd", weight_decay=5e-4, learning_rates=rates)


@dataclass(frozen=True)
class Network:
    """What is one network's own.

    Attributes
    ----------
    build
        (number of classes, ``width=`` and further readings) -> the network; width 1 is its paper's.
    normalisation
        A mode of :class:`fer_lib.learn.normalisation.Normalisation`, or in words what the feed does itself.
    reads
        (training part, its normalisation or None) -> the feed; only its test mode is used.
    recipe
        Number of epochs -> its paper's recipe; None for the support vector machine, which is fitted at once.
    loss, mining
        See :func:`fer_lib.learn.training.fit` and :class:`fer_lib.papers.lkrnet.triplets.TripletTraining`.
    needs
        What must be found in an image first (``landmarks``, ``words``), or ``clips``.
    layer
        Network -> the layer that Grad-CAM looks at; None where there is no convolution.
    structure
        The parameters of its paper's notebook that ``build`` takes.
    """

    paper: str
    what: str
    build: Callable[..., nn.Module]
    normalisation: str = "image"
    reads: Callable[[Part, Normalisation | None], Feed] = _image
    recipe: Callable[[int], Recipe] | None = _adam
    loss: Loss | None = None
    mining: str | None = None
    needs: str | None = None
    layer: Callable[[nn.Module], nn.Module] | None = lambda model: model.last_convolution
    structure: tuple[str, ...] = ()

    def feed(self, train: Part) -> Feed:
        """Return what makes the network's inputs of a batch, with statistics of the training part."""
        own = self.normalisation in NORMALISATIONS
        return self.reads(train, Normalisation.fit(train.images, self.normalisation) if own else None)


_CSPP = {"normalisation": "local contrast", "reads": _local_contrast, "recipe": _momentum}
_CSPP |= {"structure": cspp_trainer.STRUCTURE}
_LKRNET = {"reads": _key_regions, "recipe": _known, "structure": lkrnet_trainer.STRUCTURE}
_LKRNET |= {"layer": lambda model: model.activation(4)}  # the last convolution has 2 x 2 cells: too few
NETWORKS: dict[str, Network] = {
    "C2": Network(
        "cnn_sift",
        "four convolutions and a dense layer of 2048",
        partial(cnn_sift.build, "C2"),
        structure=cnn_sift.STRUCTURE,
    ),
    "S2": Network(
        "cnn_sift",
        "C2 beside 512 SIFT words",
        partial(cnn_sift.build, "S2"),
        reads=_image_and_words,
        needs="words",
    ),
    "Multimodal": Network(
        "multimodal",
        "image with attention, landmarks and HOG",
        multimodal.Multimodal,
        "global",
        _three_modalities,
        needs="landmarks",
        structure=multimodal_trainer.STRUCTURE,
    ),
    "ResNet18": Network(
        "multimodal", "a competitor, with a stem for small images", baselines.resnet, "global"
    ),
    SVM: Network(
        "multimodal",
        "a competitor: HOG and a linear machine",
        lambda n, width: nn.Linear(hog.length(), n),  # what it costs; scikit-learn fits it
        "blocks of HOG",
        _gradients,
        recipe=None,
        layer=None,
    ),
    "Benchmark": Network(
        "cspp", "two convolutions, after Lopes et al.", partial(cspp.build, "Benchmark"), **_CSPP
    ),
    "C-SPP": Network("cspp", "two spatial pyramids", partial(cspp.build, "C-SPP"), **_CSPP),
    "3D-CNN": Network(
        "cnn3d",
        "ten frames (the Oulu-CASIA optimum)",
        partial(cnn3d.c2, size=SIZE),
        "to [-1, 1]",
        _frames,
        lambda epochs: Readings().recipe(cnn3d.C2, PAPER | {"epochs": epochs}),
        needs="clips",
    ),
    "VGG19": Network(
        "lkrnet",
        "LKRNet's trunk and one classifier",
        partial(lkrnet.build, "VGG19"),
        loss=lambda output, labels: cross_entropy()(output[0], labels),  # traditional, on single images
        **_LKRNET,
    ),
    "LKRNet": Network(
        "lkrnet",
        "key regions and triplets",
        partial(lkrnet.build, "Our method"),
        mining=MINING,
        needs="landmarks",
        **_LKRNET,
    ),
}
"""Name -> network, by the order of the papers."""


def recipe_of(name: str, epochs: int, *, smaller: int = 1, rate: float = 1.0) -> Recipe:
    """Return the recipe of a network's paper over so many epochs; the last one counts.

    Batches are ``smaller`` times as small as the paper's (8 images at least), learning rates ``rate`` times
    as high, and the augmentation is that of all networks.
    """
    own = NETWORKS[name].recipe(epochs)
    rates = own.learning_rates and tuple(float(f"{value * rate:.6g}") for value in own.learning_rates)
    batch_size = own.batch_size if smaller == 1 else max(8, own.batch_size // smaller)
    return replace(own, batch_size=batch_size, lr=own.lr * rate, learning_rates=rates, augmentation=MILD)


# --- parts and batches --------------------------------------------------------------------------------------


def part(
    faces: Corpus,
    words: np.ndarray | None = None,
    clips: np.ndarray | None = None,
    device: torch.device | str = "cpu",
) -> Part:
    """Return faces on the device, with all that any network reads beside the image.

    Images are uint8 ``(N, 48, 48)`` with 68 landmarks each, all known; ``words`` the bags of SIFT words
    ``(N, 512)`` for S2, and ``clips`` the frames up to each image ``(N, 10, 48, 48)`` for the 3D-CNN.
    """
    geometry, _ = geometry_of(replace(faces, valid=None), SIZE)
    none = np.zeros((len(faces), 0), np.float32)
    extra = [faces.landmarks, geometry, none if words is None else words, none if clips is None else clips]
    return Part.of(faces.images, faces.labels, *extra, device=device)


def blank() -> Part:
    """Return a part of one black face, for what depends on the shapes of inputs alone."""
    columns = [torch.zeros(1, *shape) for shape in ((68, 2), (6, 2), (512,), (N_FRAMES, SIZE, SIZE))]
    return Part(torch.zeros(1, SIZE, SIZE, dtype=torch.uint8), torch.zeros(1).long(), tuple(columns))


def augmented(batch: Part, augmentation: Augmentation) -> Part:
    """Return the batch with every sample turned, scaled, shifted and mirrored as ``augmentation`` draws.

    Landmarks, key regions and frames follow their image. SIFT words stay those of the image as it was, as in
    their chapter.
    """
    images = batch.images.float().unsqueeze(1)
    matrices = augmentation.matrices(len(batch), SIZE, SIZE, images.device)
    extra = list(batch.extra)
    extra[LANDMARKS] = modalities.warp_landmarks(extra[LANDMARKS], matrices)
    points, sides = extra[GEOMETRY][:, :5], extra[GEOMETRY][:, 5:]
    grown = torch.linalg.det(matrices[:, :, :2]).abs().sqrt()[:, None, None]
    extra[GEOMETRY] = torch.cat([warp_points(points, matrices), sides * grown], dim=1)
    if extra[CLIP].numel():
        extra[CLIP] = warp_images(extra[CLIP], matrices)  # frames are moved as channels are
    images = warp_images(images, matrices).squeeze(1).round_().clamp_(0, 255).byte()
    return Part(images, batch.labels, tuple(extra))


@dataclass(frozen=True)
class Augmented:
    """The feed of a network, on batches that are moved while training, the same way for every network."""

    inner: Feed
    augmentation: Augmentation

    def __call__(self, batch: Part, training: bool) -> tuple[Tensor, ...]:
        """Return the network's inputs."""
        return self.inner(augmented(batch, self.augmentation) if training else batch, False)


def training_of(network: Network, train: Part, augmentation: Augmentation) -> tuple[Part, Feed, Loss | None]:
    """Return the part, the feed and the loss that a network is trained with."""
    feed = Augmented(network.feed(train), augmentation)
    if network.mining is None:
        return train, feed, network.loss
    made = TripletTraining(numbered(train), feed, CombinedLoss(), network.mining)
    return made.train, made.feed, made.loss


# --- once it is trained -------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Trained:
    """A network or support vector machine with its weights, and what makes its inputs of a batch.

    ``precision`` is what its arithmetic is done in: that of its training.
    """

    network: Network
    model: nn.Module | Pipeline
    feed: Feed
    n_classes: int
    precision: str = "fp32"

    def predict(self, part: Part) -> np.ndarray:
        """Return class probabilities float32 ``(N, C)``.

        A support vector machine's are the softmax of its decision values, 0 for a class without training
        images.
        """
        if isinstance(self.model, nn.Module):
            return predict(self.model, part, self.feed, precision=self.precision)
        return baselines.svm_probabilities(self.model, _described(self.feed, part), self.n_classes)


def fitted_svm(train: Part, n_classes: int, seed: int = 0) -> Trained:
    """Return the support vector machine fitted to HOG; see :func:`fer_lib.papers.baselines.svm`."""
    feed = NETWORKS[SVM].feed(train)
    machine = baselines.svm(_described(feed, train), train.labels.cpu().numpy(), seed)
    return Trained(NETWORKS[SVM], machine, feed, n_classes)


def _described(feed: Feed, part: Part) -> np.ndarray:
    batches = torch.arange(len(part), device=part.labels.device).split(1024)
    return torch.cat([feed(part.take(index), False)[0] for index in batches]).cpu().numpy()
