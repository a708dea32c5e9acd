"""CNN-SIFT-AVG: three small CNNs, three CNNs joined with SIFT bags of words, and their averages.

The paper is ``cnn_sift`` in :mod:`fer_lib.claims`. Sect. 3.1 describes the CNN (C1, C2, C3 differ only
in their dropout rates), Sect. 3.2 the fusion with SIFT histograms (S1, S2, S3 with K = 256, 512, 1024
visual words) and Eqs. (7) to (9) the averages. The keyword arguments are the paper's open readings;
their defaults are the recommended ones.
"""

from __future__ import annotations

from collections import OrderedDict

import torch
from torch import Tensor, nn

from fer_lib.errors import one_of
from fer_lib.learn.layers import Dropout, glorot

# Sect. 3.1 prints fifteen assignments for nine rates; "printed" takes the three distinct triples in
# printed order, the other two are the remaining plausible repairs.
DROPOUT_RATES = {
    "printed": {"C1": (0.25, 0.0, 0.5), "C2": (0.1, 0.1, 0.4), "C3": (0.1, 0.1, 0.5)},
    "truncated_c1": {"C1": (0.25, 0.25, 0.5), "C2": (0.1, 0.1, 0.4), "C3": (0.1, 0.1, 0.5)},
    "swapped_c2_c3": {"C1": (0.25, 0.0, 0.5), "C2": (0.1, 0.1, 0.5), "C3": (0.1, 0.1, 0.4)},
}
VISUAL_WORDS = {"S1": 256, "S2": 512, "S3": 1024}  # Sect. 3.2
CNNS, FUSED = ("C1", "C2", "C3"), ("S1", "S2", "S3")
CONTROLS = ("C1 again", "C2 again", "C3 again")
"""The same networks from other initial weights: six CNNs are the control of an average of six."""
AVERAGES = {"CNN-ONLY": CNNS, "CNN-SIFT": FUSED, "CNN-SIFT-AVG": CNNS + FUSED}  # Eqs. (7)-(9)
AVERAGES["CNN-ONLY of six"] = CNNS + CONTROLS

# Stages as (filters, convolutions, followed by a pool); see the ambiguity ``conv_stages``.
LAYOUTS = {
    "A": ((32, 1, True), (64, 1, True), (128, 1, True), (256, 1, False)),
    "B": ((32, 1, True), (64, 1, True), (128, 1, True), (256, 1, True)),
    "C": ((32, 1, False), (64, 1, True), (128, 1, True), (256, 1, True)),
    "D": ((64, 2, True), (128, 2, True), (256, 2, True)),
}


class CNN(nn.Module):
    """The CNN of Sect. 3.1, with or without the SIFT path of Sect. 3.2.

    Parameters
    ----------
    n_classes : int
        Softmax outputs; the paper prints seven.
    dropout : tuple of float
        The three rates that follow the three max pools.
    words : int
        Length K of the SIFT histogram; 0 builds the plain CNN (C1 to C3).
    size : int
        Height and width of the input image in pixels.
    layout, convs_per_stage, pool_after_last_conv, pool_stride
        Where convolutions and pools stand; see :data:`LAYOUTS`. ``convs_per_stage`` multiplies the
        convolutions of layouts A, B and C.
    n_dense_layers, dense_dropout
        Number of dense layers of 2048 units, and the rate after each.
    dropout_semantics : {"drop", "keep"}
        Whether the printed rates are probabilities of dropping or of keeping a unit.
    dropout_mode
        See :class:`fer_lib.learn.layers.Dropout`.
    use_batchnorm : bool
        Batch normalisation after each convolution (not mentioned in the paper).
    sift_dropout : float
        Rate after the dense layer of 4096 units on the SIFT histogram.
    sift_merge : {"softmax", "dense"}
        Join the SIFT path before the softmax (2048 + 4096) or before the dense layer.
    width : float
        Scales every layer; 1 is the paper's network, smaller ones are for smoke runs.
    """

    def __init__(
        self,
        n_classes: int = 7,
        dropout: tuple[float, float, float] = DROPOUT_RATES["printed"]["C2"],
        words: int = 0,
        *,
        size: int = 48,
        layout: str = "A",
        convs_per_stage: int = 1,
        pool_after_last_conv: bool = False,
        pool_stride: int = 2,
        n_dense_layers: int = 1,
        dense_dropout: float = 0.5,
        dropout_semantics: str = "drop",
        dropout_mode: str = "inverted",
        use_batchnorm: bool = False,
        sift_dropout: float = 0.5,
        sift_merge: str = "softmax",
        width: float = 1.0,
    ) -> None:
        super().__init__()
        one_of(layout, LAYOUTS, "cnn_layout")
        one_of(dropout_semantics, ("drop", "keep"), "dropout_semantics")
        one_of(dropout_mode, ("inverted", "plain", "test_time"), "dropout_mode")
        one_of(sift_merge, ("softmax", "dense"), "sift_merge")

        def drop(rate: float) -> Dropout:
            return Dropout(rate if dropout_semantics == "drop" else 1 - rate, dropout_mode)

        def scaled(units: int) -> int:
            return max(1, round(units * width))

        stages = list(LAYOUTS[layout])
        if pool_after_last_conv:
            stages[-1] = (*stages[-1][:2], True)
        rates = list(dropout)
        layers: dict[str, nn.Module] = {}
        channels = 1
        for stage, (filters, convolutions, pooled) in enumerate(stages, 1):
            n_convs = convolutions if layout == "D" else convs_per_stage
            for i in range(n_convs):
                name = f"{stage}{'ab'[i] if n_convs > 1 else ''}"
                layers[f"conv{name}"] = nn.Conv2d(channels, scaled(filters), 3, padding=1)
                channels = scaled(filters)
                if use_batchnorm:
                    layers[f"norm{name}"] = nn.BatchNorm2d(channels)
                if pooled and i == n_convs - 1:
                    # Leaky ReLU increases, so it commutes with max pooling: same function, and the
                    # activation touches a quarter of the values.
                    layers[f"pool{stage}"] = nn.MaxPool2d(2, pool_stride)
                    size = (size - 2) // pool_stride + 1
                layers[f"relu{name}"] = nn.LeakyReLU(0.05)  # Eq. (6)
            if pooled and rates:
                layers[f"dropout{stage}"] = drop(rates.pop(0))
        self.features = nn.Sequential(OrderedDict(layers))

        dense_inputs = channels * size * size
        self.sift, self.sift_merge = None, sift_merge
        if words:
            self.sift = _dense(words, scaled(4096), drop(sift_dropout))
            dense_inputs += scaled(4096) if sift_merge == "dense" else 0
        self.dense = nn.Sequential()
        for _ in range(n_dense_layers):
            self.dense.extend(_dense(dense_inputs, scaled(2048), drop(dense_dropout)))
            dense_inputs = scaled(2048)
        if words and sift_merge == "softmax":
            dense_inputs += scaled(4096)
        self.classify = nn.Linear(dense_inputs, n_classes)
        self.apply(glorot)  # the default of the framework that the paper names

    @property
    def l2_penalties(self) -> dict[str, float]:
        """L2 factors by parameter name: 0.01 on the weights of the SIFT dense layer (Sect. 3.2)."""
        return {"sift.0.weight": 0.01} if self.sift is not None else {}

    @property
    def last_convolution(self) -> nn.Module:
        """The last convolution, where Grad-CAM looks."""
        return [layer for layer in self.features if isinstance(layer, nn.Conv2d)][-1]

    def load_trunk(self, state: dict[str, Tensor], freeze: bool = False) -> None:
        """Take convolutions and dense layers from a trained network's state, as far as shapes agree.

        ``freeze`` keeps them as they are from then on (ambiguity ``sift_training``).
        """
        own = self.state_dict()
        trunk = {
            name: value
            for name, value in state.items()
            if name.startswith(("features.", "dense.")) and own[name].shape == value.shape
        }
        self.load_state_dict(trunk, strict=False)
        if freeze:
            for name, parameter in self.named_parameters():
                parameter.requires_grad_(name not in trunk)

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
        """Return logits ``(B, n_classes)``.

        Parameters
        ----------
        images : Tensor
            ``(B, 1, H, W)`` float, zero mean and unit variance per image (Sect. 3.3, step 1).
        histograms : Tensor, optional
            ``(B, K)`` float bags of SIFT words; needed when the network has a SIFT path.
        """
        return self.classify(self.embed(images, histograms))


def build(name: str, n_classes: int = 7, dropout_rates: str = "printed", **readings: object) -> CNN:
    """Return one of the networks: ``C1``, ``C2``, ``C3``, ``S1``, ``S2``, ``S3`` or a control.

    The SIFT networks use the dropout rates of C2 (Sect. 3.3, step 4). ``readings`` are passed to
    :class:`CNN`.
    """
    return CNN(n_classes, rates_of(name, dropout_rates), VISUAL_WORDS.get(name, 0), **readings)


def rates_of(name: str, dropout_rates: str = "printed") -> tuple[float, float, float]:
    """Return the rates of dropout behind a network's three pools; the SIFT networks have those of C2."""
    one_of(name, CNNS + FUSED + CONTROLS, "network")
    one_of(dropout_rates, DROPOUT_RATES, "dropout_rates")
    return DROPOUT_RATES[dropout_rates]["C2" if name in FUSED else name.removesuffix(" again")]


def _dense(inputs: int, units: int, dropout: nn.Module) -> nn.Sequential:
    return nn.Sequential(nn.Linear(inputs, units), nn.LeakyReLU(0.05), dropout)
