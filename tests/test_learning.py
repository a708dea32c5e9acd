"""Every paper's network learns 64 drawn faces by heart: what any correct implementation does, and by far."""

import numpy as np
import pytest
import torch

from fer_lib.data import datasets
from fer_lib.features import hog
from fer_lib.learn import training
from fer_lib.learn.normalisation import Normalisation
from fer_lib.learn.recipes import Recipe, cross_entropy, falling
from fer_lib.learn.training import Part
from fer_lib.papers.cnn3d import network as cnn3d
from fer_lib.papers.cnn_sift import network as cnn_sift
from fer_lib.papers.cspp import network as cspp
from fer_lib.papers.lkrnet import network as lkrnet
from fer_lib.papers.multimodal import network as multimodal


@pytest.fixture(scope="module")
def faces():
    """64 faces of the eight expressions, and numbers per face that say nothing of its expression."""
    corpus = datasets.load("synthetic", n_subjects=4).resize(48)
    index = np.linspace(0, len(corpus) - 1, 64).astype(int)
    noise = np.random.default_rng(0).normal(size=(64, 136)).astype(np.float32)
    return corpus.images[index], corpus.labels[index], noise, len(corpus.classes)


def grey(batch):
    return Normalisation()(batch.images)


def clips(batch):
    """The middle of a face, moving to the right, in colour: (B, 3, 10, 32, 32)."""
    x = grey(batch)[:, :, 8:40, 8:40]
    return torch.stack([x.roll(t, 3) for t in range(10)], 2).expand(-1, 3, -1, -1, -1).contiguous()


def settling(epochs, lr=1e-3, **options):
    """A recipe whose rate falls to zero: at a constant one the last epoch may be one of the bad ones."""
    return Recipe(epochs, 16, lr=lr, learning_rates=falling(epochs, lr), precision="fp32", **options)


NETWORKS = {
    "cnn_sift": (
        lambda n: cnn_sift.build("C2", n, width=0.25),
        lambda batch: (grey(batch),),
        settling(100),
    ),
    "cnn_sift with words": (
        lambda n: cnn_sift.CNN(n, words=136, width=0.25),
        lambda batch: (grey(batch), *batch.extra),
        settling(60),
    ),
    "multimodal": (
        lambda n: multimodal.Multimodal(n, width=0.1),
        lambda batch: (grey(batch), *batch.extra, hog.describe(batch.images)),
        settling(30),
    ),
    "cspp": (
        lambda n: cspp.build("C-SPP", n, width=0.25),
        lambda batch: (grey(batch),),
        settling(80, 0.02, optimiser="sgd"),
    ),
    "lkrnet": (
        lambda n: lkrnet.build("VGG19", n, width=0.125),
        lambda batch: (grey(batch)[:, :, 2:46, 2:46],),
        settling(60, 3e-4),
    ),
    "cnn3d": (
        lambda n: cnn3d.c1(n, width=0.125, size=32),
        lambda batch: (clips(batch),),
        settling(50, 2e-4),
    ),
}


@pytest.mark.parametrize("paper", NETWORKS)
def test_faces_are_learnt_by_heart(faces, paper):
    images, labels, noise, n = faces
    make, inputs, recipe = NETWORKS[paper]
    part = Part.of(images, labels, noise)
    torch.manual_seed(0)
    model, entropy = make(n), cross_entropy()

    def loss(output, truth):
        return entropy(output[0] if isinstance(output, tuple) else output, truth)

    feed = lambda batch, training: inputs(batch)  # noqa: E731
    training.fit(model, part, recipe, feed=feed, loss=loss)
    right = training.predict(model, part, feed).argmax(1) == labels
    assert right.mean() > 0.9, f"{right.mean():.0%} of 64 faces; guessing is {1 / n:.0%}"
