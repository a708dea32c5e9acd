"""CNN-SIFT-AVG: three small CNNs, three CNNs joined with SIFT bags of words, and their averages.

Sect. 3.1 of the paper ``cnn_sift`` describes the CNN, Sect. 3.2 the fusion with SIFT histograms. The keyword
arguments are the paper's open readings; their defaults are the recommended ones.
"""

from __future__ import annotations

from collections import OrderedDict

import torch
from torch import Tensor, nn

from fer_lib.errors import one_of
from fer_lib.learn.layers import Dropout, glorot

FILTERS = (32, 64, 128, 256)  # of the four stages; all but the last are followed by a pool
# Sect. 3.1 prints fifteen assignments for nine rates; these are the three distinct triples in printed order.
DROPOUT_RATES = {"C1": (0.25, 0.0, 0.5), "C2": (0.1, 0.1, 0.4), "C3": (0.1, 0.1, 0.5)}
VISUAL_WORDS = {"S1": 256, "S2": 512, "S3": 1024}  # Sect. 3.2
CNNS, FUSED = ("C1", "C2", "C3"), ("S1", "S2", "S3")
CONTROLS = ("C1 again", "C2 again", "C3 again")
"""The same networks from other initial weights: six CNNs are the control of an average of six."""
AVERAGES = {"CNN-ONLY": CNNS, "CNN-SIFT": FUSED, "CNN-SIFT-AVG": CNNS + FUSED}  # Eqs. (7)-(9)
AVERAGES["CNN-ONLY of six"] = CNNS + CONTROLS


class CNN(nn.Module):
    """The CNN of Sect. 3.1, with or without the SIFT path of Sect. 3.2.

    Parameters
    ----------
    dropout
        The rates after the three max pools.
    words
        Length K of the SIFT histogram; 0 builds the plain CNN.
    convs_per_stage
        Convolutions of 3x3 before each pool and before the dense layers.
    n_dense_layers, dense_dropout
        Dense layers of 2048 units, and the rate after each.
    dropout_semantics : {"drop", "keep"}
        What the printed rates are probabilities of.
    use_batchnorm
        Batch normalisation after each convolution (not mentioned in the paper).
    sift_merge : {"softmax", "dense"}
        Join the SIFT path before the softmax (2048 + 4096) or before the dense layer.
    width
        Scales every layer, for smoke runs.
    """

    def __init__(
        self,
        n_classes: int = 7,
        dropout: tuple[float, float, float] = DROPOUT_RATES["C2"],
        words: int = 0,
        *,
        convs_per_stage: int = 1,
        n_dense_layers: int = 1,
        dense_dropout: float = 0.5,
        dropout_semantics: str = "drop",
        use_batchnorm: bool = False,
        sift_merge: str = "softmax",
        width: float = 1.0,
    ) -> None:
        super().__init__()
        one_of(dropout_semantics, ("drop", "keep"), "dropout_semantics")
        one_of(sift_merge, ("softmax", "dense"), "sift_merge")

        def drop(rate: float) -> Dropout:
            return Dropout(rate if dropout_semantics == "drop" else 1 - rate)

        def dense(inputs: int, units: int, dropout: float) -> nn.Sequential:
            return nn.Sequential(nn.Linear(inputs, units), nn.LeakyReLU(0.05), drop(dropout))

        def scaled(units: int) -> int:
            return max(1, round(units * width))

        layers: dict[str, nn.Module] = {}
        channels = 1
        for stage, filters in enumerate(FILTERS, 1):
            for i in range(convs_per_stage):
                name = f"{stage}{'ab'[i] if convs_per_stage > 1 else ''}"
                layers[f"conv{name}"] = nn.Conv2d(channels, scaled(filters), 3, padding=1)
                channels = scaled(filters)
                if use_batchnorm:
                    layers[f"norm{name}"] = nn.BatchNorm2d(channels)
                if stage <= len(dropout) and i == convs_per_stage - 1:
                    # Leaky ReLU increases, so it commutes with max pooling: same function, and the
                    # activation touches a quarter of the values.
                    layers[f"pool{stage}"] = nn.MaxPool2d(2)
                layers[f"relu{name}"] = nn.LeakyReLU(0.05)  # Eq. (6)
            if stage <= len(dropout):
                layers[f"dropout{stage}"] = drop(dropout[stage - 1])
        self.features = nn.Sequential(OrderedDict(layers))

        inputs = channels * 6 * 6  # 48 pixels, halved three times
        self.sift, self.sift_merge = None, sift_merge
        if words:
            self.sift = dense(words, scaled(4096), 0.5)  # a rate that the paper does not print
            inputs += scaled(4096) if sift_merge == "dense" else 0
        self.dense = nn.Sequential()
        for _ in range(n_dense_layers):
            self.dense.extend(dense(inputs, scaled(2048), dense_dropout))
            inputs = scaled(2048)
        if words and sift_merge == "softmax":
            inputs += scaled(4096)
        self.classify = nn.Linear(inputs, n_classes)
        self.apply(glorot)  # the default of the framework that the paper names

    @property
    def l2_penalties(self) -> dict[str, float]:
        """L2 factors by parameter name: 0.01 on the weights of the SIFT dense layer (Sect. 3.2)."""
        return {"sift.0.weight": 0.01} if self.sift is not None else {}

    @property
    def last_convolution(self) -> nn.Module:
        """The last convolution, where Grad-CAM looks."""
        return [layer for layer in self.features if isinstance(layer, nn.Conv2d)][-1]

    def load_trunk(self, state: dict[str, Tensor]) -> None:
        """Take convolutions and dense layers from a trained network's state, as far as shapes agree."""
        own = self.state_dict()
        trunk = {k: v for k, v in state.items() if k.startswith(("features.", "dense."))}
        self.load_state_dict({k: v for k, v in trunk.items() if own[k].shape == v.shape}, strict=False)

    def embed(self, images: Tensor, histograms: Tensor | None = None) -> Tensor:
        """Return the features before the softmax layer, ``(B, 2048)`` or ``(B, 6144)`` with SIFT."""
        x = self.features(images)  # (B, 256, 6, 6)
        x = x.flatten(1)  # (B, 9216), channel-major whatever the memory format
        if self.sift is None:
            return self.dense(x)  # (B, 2048)
        words = self.sift(histograms)  # (B, 4096)
        if self.sift_merge == "dense":
            return self.dense(torch.cat([x, words], dim=1))  # (B, 2048)
        return torch.cat([self.dense(x), words], dim=1)  # (B, 6144)

    def forward(self, images: Tensor, histograms: Tensor | None = None) -> Tensor:
        """Return logits ``(B, n_classes)`` of images ``(B, 1, 48, 48)`` and bags of SIFT words ``(B, K)``."""
        return self.classify(self.embed(images, histograms))


STRUCTURE = (
    *("convs_per_stage", "n_dense_layers", "dense_dropout", "dropout_semantics", "use_batchnorm"),
    "sift_merge",
)
"""The chapter's parameters that shape a network."""


def build(name: str, n_classes: int = 7, **readings: object) -> CNN:
    """Return one of the networks, such as ``C1``, ``S1`` or ``C1 again``; ``readings`` go to :class:`CNN`."""
    return CNN(n_classes, rates_of(name), VISUAL_WORDS.get(name, 0), **readings)


def rates_of(name: str) -> tuple[float, float, float]:
    """Return the rates of dropout behind a network's three pools; S1 to S3 have those of C2 (Sect. 3.3)."""
    one_of(name, CNNS + FUSED + CONTROLS, "network")
    return DROPOUT_RATES["C2" if name in FUSED else name.removesuffix(" again")]
