"""What the paper ``multimodal`` compares with on its data: image networks and a support vector machine.

The paper names VGG [17], ResNet [18] and the networks of [16] and [5] (Table 1), and says nothing of their
depth, width, input or training. What its references do not fix is ours and is said at each network.

A ``width`` below 1 is for small machines. It scales every layer, to :data:`LEAST` units at least, since a
network of a handful of filters learns nothing; and the rate of every dropout with it: a quarter of the units
has none to spare.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    from sklearn.pipeline import Pipeline

LEAST = 16  # units of a layer, however narrow the network
PENALTY = 0.01  # C of the support vector machine

VGG16 = ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3))  # filters and convolutions before each pool


class Baseline(nn.Module):
    """An image network: ``convolutions`` make maps ``(B, C, h, w)``, the ``classifier`` makes logits of them.

    All but the classifier's last layer make the features.
    """

    def __init__(self, convolutions: nn.Module, classifier: nn.Sequential) -> None:
        super().__init__()
        self.convolutions, self.classifier = convolutions, classifier

    @property
    def last_convolution(self) -> nn.Module:
        """The last 3x3 (or larger) convolution, where Grad-CAM looks."""
        layers = [layer for layer in self.convolutions.modules() if isinstance(layer, nn.Conv2d)]
        return [layer for layer in layers if layer.kernel_size > (1, 1)][-1]

    def embed(self, images: Tensor) -> Tensor:
        """Return the features before the softmax layer, ``(B, D)``."""
        return self.classifier[:-1](self.convolutions(images))

    def forward(self, images: Tensor) -> Tensor:
        """Return logits ``(B, n_classes)`` for images ``(B, 1, H, W)`` float."""
        return self.classifier(self.convolutions(images))


def vgg(n_classes: int = 7, *, width: float = 1.0) -> Baseline:
    """Return VGG16 [17] for 48 x 48 grey pixels: torchvision's convolutions with one input channel.

    The five pools leave 1 x 1 pixel, so the dense layers of 4096 units read 512 values instead of 25,088.
    Ours: the depth, and batch normalisation, without which sixteen layers hardly train from scratch. Half of
    the units are dropped after both dense layers, as in [17].
    """
    from torchvision.models.vgg import make_layers

    plan: list[int | str] = []
    for filters, convolutions in VGG16:
        plan += [_scaled(filters, width)] * convolutions + ["M"]
    layers = make_layers(plan, batch_norm=True)
    layers[0] = nn.Conv2d(1, _scaled(64, width), 3, padding=1)
    dense, dropout = _scaled(4096, width), 0.5 * width
    classifier = nn.Sequential(
        *(nn.AdaptiveAvgPool2d(1), nn.Flatten()),
        *(nn.Linear(_scaled(512, width), dense), nn.ReLU(), nn.Dropout(dropout)),
        *(nn.Linear(dense, dense), nn.ReLU(), nn.Dropout(dropout)),
        nn.Linear(dense, n_classes),
    )
    return Baseline(layers, classifier).apply(_kaiming)


def resnet(n_classes: int = 7, *, width: float = 1.0) -> Baseline:
    """Return ResNet18 [18] for 48 x 48 grey pixels, of torchvision's basic blocks.

    Ours: the depth, and a first convolution of 3 x 3 without stride in place of 7 x 7 with a stride of two,
    which leaves the four stages 24, 12, 6 and 3 pixels a side.
    """
    from torchvision.models.resnet import BasicBlock

    channels = _scaled(64, width)
    layers: list[nn.Module] = [
        nn.Conv2d(1, channels, 3, padding=1, bias=False),
        *(nn.BatchNorm2d(channels), nn.ReLU(), nn.MaxPool2d(3, 2, 1)),
    ]
    for stage, filters in enumerate((64, 128, 256, 512)):
        out = _scaled(filters, width)
        for stride in (2 if stage else 1, 1):
            shortcut = None
            if stride > 1 or channels != out:
                projection = nn.Conv2d(channels, out, 1, stride, bias=False)
                shortcut = nn.Sequential(projection, nn.BatchNorm2d(out))
            layers.append(BasicBlock(channels, out, stride, shortcut))
            channels = out
    classifier = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, n_classes))
    return Baseline(nn.Sequential(*layers), classifier).apply(_kaiming)


def pramerdorfer(n_classes: int = 7, *, width: float = 1.0) -> Baseline:
    """Return the VGG of Pramerdorfer and Kampel [16], the best of their single networks on FER2013.

    Its depth is published as 10: here four times two 3 x 3 convolutions with a pool, and two dense
    layers. Ours: filters, dense units, and dropout after every pool and dense layer. The 75.2 % that the
    paper quotes is that of their ensemble of eight; the paper does not say which network it ran.
    """
    layers: list[nn.Module] = []
    channels, dropout = 1, 0.5 * width
    for filters in (32, 64, 128, 256):
        for _ in range(2):
            layers += _convolution(channels, _scaled(filters, width), 3)
            channels = _scaled(filters, width)
        layers += [nn.MaxPool2d(2), nn.Dropout(dropout / 2)]
    dense = _scaled(256, width)
    classifier = nn.Sequential(
        *(nn.Flatten(), nn.Linear(channels * 9, dense), nn.ReLU(), nn.Dropout(dropout)),
        nn.Linear(dense, n_classes),
    )
    return Baseline(nn.Sequential(*layers), classifier).apply(_kaiming)


def agrawal(n_classes: int = 7, *, width: float = 1.0) -> Baseline:
    """Return a network in the manner of Agrawal and Mittal [5].

    They end at two networks of about 65 % on FER2013; the paper runs one of them and does not say which. Four
    convolutions of 32 filters of 8 x 8 throughout, a pool after three of them, batch normalisation, and
    neither dense layer nor dropout are ours.
    """
    layers: list[nn.Module] = []
    channels = 1
    for pooled in (True, True, True, False):
        layers += _convolution(channels, _scaled(32, width), 8)
        layers += [nn.MaxPool2d(2)] if pooled else []
        channels = _scaled(32, width)
    classifier = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, n_classes))
    return Baseline(nn.Sequential(*layers), classifier).apply(_kaiming)


def _scaled(units: int, width: float) -> int:
    return max(min(LEAST, units), round(units * width))


def _convolution(inputs: int, filters: int, kernel: int) -> list[nn.Module]:
    """Return a convolution that keeps the size of the map, its normalisation and ReLU."""
    before, after = (kernel - 1) // 2, kernel // 2  # an even kernel has no centre
    pad = [] if before == after else [nn.ZeroPad2d((before, after, before, after))]
    layer = nn.Conv2d(inputs, filters, kernel, padding=0 if pad else before)
    return [*pad, layer, nn.BatchNorm2d(filters), nn.ReLU()]


def _kaiming(module: nn.Module) -> None:
    """He initialisation of every layer; torchvision's leaves VGG's dense layers idle for long."""
    if isinstance(module, nn.Conv2d):
        nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
        if module.bias is not None:
            nn.init.zeros_(module.bias)
    elif isinstance(module, nn.Linear):
        nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
        nn.init.zeros_(module.bias)


NETWORKS: dict[str, Callable[..., Baseline]] = {
    "VGG": vgg,
    "ResNet": resnet,
    "Pramerdorfer": pramerdorfer,
    "Agrawal": agrawal,
}
"""By the names that the claims give them; the paper's tables call the last two [16] and [5]."""


def svm(values: np.ndarray, labels: np.ndarray, seed: int = 0) -> Pipeline:
    """Return scikit-learn's linear support vector machine, fitted to standardised features ``(N, D)``.

    The paper says of its machine (Table 2) neither the kernel nor what it reads.
    """
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler
    from sklearn.svm import LinearSVC

    return make_pipeline(StandardScaler(), LinearSVC(C=PENALTY, random_state=seed)).fit(values, labels)


def svm_probabilities(machine: Pipeline, values: np.ndarray, n_classes: int) -> np.ndarray:
    """Return the softmax of a machine's decision values, float32 (N, C); it changes no decision.

    A class without training images has a probability of 0.
    """
    scores = torch.as_tensor(machine.decision_function(values))
    every = torch.full((len(scores), n_classes), -torch.inf, dtype=scores.dtype)
    every[:, machine.classes_] = scores
    return every.softmax(1).float().numpy()
