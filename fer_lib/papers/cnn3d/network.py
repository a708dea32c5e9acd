"""The 3D-CNN on ten frames whose architecture was searched for: C3D with batch normalisation.

The paper is ``cnn3d`` in :mod:`fer_lib.claims`. Sect. 3.1 fixes input, kernels and pools, Table 1 lists what
was searched, Table 2 is what was found for CK+ (c1) and Table 3 for Oulu-CASIA (c2). Filters and dense layers
are not in its text; ours are those of C3D, the network that the paper starts from. The pools of Sect. 3.1
then leave 512 maps of 1 x 4 x 4: the 8,192 inputs of C3D's dense layers.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from fer_lib.errors import FerError, one_of
from fer_lib.learn.layers import Dropout, count_parameters, layer_table

if TYPE_CHECKING:
    import pandas as pd

GROUPS = ((64, 1), (128, 1), (256, 2), (512, 2), (512, 2))  # filters, convolutions; a pool follows each
# Sect. 3.1: kernel, stride and padding as (frames, height, width).
POOL = ((2, 2, 2), (2, 2, 2), (0, 0, 0))
POOLS = (((1, 2, 2), (1, 2, 2), (0, 0, 0)), POOL, POOL, POOL, ((1, 2, 2), (2, 2, 2), (0, 1, 1)))
BN_MOMENTUM = 0.1  # Sect. 3.1, read as the weight of a new batch
DENSE = 4096  # units of each of the two dense layers of C3D

ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {  # Table 1; in place where backward allows it
    "relu": lambda: nn.ReLU(inplace=True),
    "elu": lambda: nn.ELU(inplace=True),
    "prelu": nn.PReLU,
    "leaky_relu": lambda: nn.LeakyReLU(inplace=True),
    "mish": nn.Mish,
}
INITIALISERS: dict[str, Callable[[Tensor], Tensor] | None] = {
    "xavier_uniform": nn.init.xavier_uniform_,
    "xavier_normal": nn.init.xavier_normal_,
    "framework": None,  # what torch draws by itself
}
POOLINGS = {"average": nn.AvgPool3d, "max": nn.MaxPool3d}  # padded zeros count in an average, torch's default
TEMPORAL_SIZES = (1, 3, 5, 7, 9)


@dataclass(frozen=True)
class Configuration:
    """One choice of everything that the paper searches (Table 1).

    Attributes
    ----------
    lookahead : bool
        Lookahead (k = 5, alpha = 0.5) around Adam.
    clahe, normalise : bool
        Contrast-limited histogram equalisation of the frames; pixels in [-1, 1] instead of [0, 1].
    activation : {"relu", "elu", "prelu", "leaky_relu", "mish"}
        After every convolution and dense layer but the last.
    class_weights : bool
        Whether the cross-entropy weighs the classes.
    temporal_size : {1, 3, 5, 7, 9}
        Frames that a kernel spans; padding on both sides keeps the number of frames.
    initialiser : {"xavier_uniform", "xavier_normal", "framework"}
        Of all weights; biases become zero except under ``framework``.
    pooling : {"average", "max"}
    second_conv : bool
        A second convolution, as wide, in each of the first two groups.
    dropout : float
        Probability that a unit is dropped, in [0, 1], after both dense layers.

    Raises
    ------
    FerError
        For an unknown choice or a dropout outside [0, 1].
    """

    lookahead: bool = False
    clahe: bool = False
    normalise: bool = False
    activation: str = "relu"
    class_weights: bool = False
    temporal_size: int = 3
    initialiser: str = "xavier_uniform"
    pooling: str = "average"
    second_conv: bool = False
    dropout: float = 0.5

    def __post_init__(self) -> None:
        one_of(self.activation, ACTIVATIONS, "activation")
        one_of(self.initialiser, INITIALISERS, "initialiser")
        one_of(self.pooling, POOLINGS, "pooling")
        if self.temporal_size not in TEMPORAL_SIZES:
            raise FerError(f"temporal_size={self.temporal_size} must be one of {TEMPORAL_SIZES}.")
        if not 0 <= self.dropout <= 1:
            raise FerError(f"dropout={self.dropout} must lie in [0, 1].")


# Table 2 and Table 3. The second one's initialiser is printed as "none".
C1 = Configuration(clahe=True, pooling="average", dropout=0.2511)
C2 = Configuration(
    lookahead=True,
    normalise=True,
    activation="leaky_relu",
    initialiser="framework",
    pooling="max",
    dropout=0.4233,
)


class CNN3D(nn.Module):
    """The network of Sect. 3.1 with the searched options of Table 1.

    Parameters
    ----------
    configuration : Configuration
    n_classes : int
        Softmax outputs: 7 on CK+, 6 on Oulu-CASIA.
    frames, size : int
        Length of a clip, and height and width of its frames in pixels.
    width : float
        Scales every layer; 1 is the paper's network, smaller ones are for smoke runs.

    Raises
    ------
    FerError
        For an unknown choice, or a clip too short for the pools.
    """

    def __init__(
        self,
        configuration: Configuration = C1,
        n_classes: int = 7,
        *,
        frames: int = 10,
        size: int = 112,
        width: float = 1.0,
    ) -> None:
        super().__init__()
        if frames < 8 or size < 32:
            raise FerError(f"The pools need 8 frames of 32 pixels or more; got {frames} of {size}.")
        kernel = configuration.temporal_size
        activation = ACTIVATIONS[configuration.activation]
        layers: dict[str, nn.Module] = {}
        channels = 3
        for group, ((filters, convolutions), shape) in enumerate(zip(GROUPS, POOLS, strict=True), 1):
            convolutions += configuration.second_conv and group <= 2
            for letter in "ab"[:convolutions]:
                name = f"{group}{letter if convolutions > 1 else ''}"
                inputs, channels = channels, max(1, round(filters * width))
                layers[f"conv{name}"] = nn.Conv3d(
                    inputs, channels, (kernel, 3, 3), padding=((kernel - 1) // 2, 1, 1)
                )
                layers[f"norm{name}"] = nn.BatchNorm3d(channels, momentum=BN_MOMENTUM)
                layers[f"act{name}"] = activation()
            layers[f"pool{group}"] = POOLINGS[configuration.pooling](*shape)
        self.features = nn.Sequential(OrderedDict(layers))

        places = ((frames // 8 - 1) // 2 + 1) * (size // 16 // 2 + 1) ** 2  # that the five pools leave
        units, drop = max(1, round(DENSE * width)), configuration.dropout
        self.dense = nn.Sequential(
            *(nn.Linear(channels * places, units), activation(), Dropout(drop)),
            *(nn.Linear(units, units), activation(), Dropout(drop)),
        )
        self.classify = nn.Linear(units, n_classes)
        draw = INITIALISERS[configuration.initialiser]
        for module in self.modules():
            if draw is not None and isinstance(module, nn.Conv3d | nn.Linear):
                draw(module.weight)
                nn.init.zeros_(module.bias)

    @property
    def last_convolution(self) -> nn.Module:
        """The last convolution; its one frame sums up the clip."""
        return self.features.conv5b

    def load_trunk(self, state: dict[str, Tensor]) -> None:
        """Take everything but the output layer from a trained network's state (ambiguity ``pretraining``)."""
        trunk = {name: value for name, value in state.items() if not name.startswith("classify.")}
        self.load_state_dict(trunk, strict=False)

    def embed(self, clips: Tensor) -> Tensor:
        """Return the features before the output layer, ``(B, 4096)``."""
        x = self.features(clips)  # (B, 512, 1, 4, 4)
        return self.dense(x.flatten(1))  # (B, 8192) -> (B, 4096)

    def forward(self, clips: Tensor) -> Tensor:
        """Return logits ``(B, n_classes)`` of clips ``(B, 3, frames, size, size)`` in [0, 1] or [-1, 1]."""
        return self.classify(self.embed(clips))


def c1(n_classes: int = 7, **options: Any) -> CNN3D:
    """Return the architecture found for CK+ (Table 2); ``options`` as :class:`CNN3D` has them."""
    return CNN3D(C1, n_classes, **options)


def c2(n_classes: int = 6, **options: Any) -> CNN3D:
    """Return the architecture found for Oulu-CASIA (Table 3)."""
    return CNN3D(C2, n_classes, **options)


# --- what training costs, counted without training --------------------------------------------------------

KEPT = ("Conv3d", "BatchNorm3d", "AvgPool3d", "MaxPool3d", "Linear", "Dropout")
"""Layers whose output stays in memory until backward; activations write into their input."""


def memory(
    model: nn.Module, clip: tuple[int, int, int], n_clips: int, *, lookahead: bool, batch_size: int = 30
) -> pd.Series:
    """Return the device memory of training under bf16 in MiB, item by item.

    Parameters
    ----------
    model : nn.Module
        On the meta device.
    clip : (T, H, W)
    n_clips : int
        Clips of the corpus, stored once as uint8: with CLAHE or without, as the network wants them.
    lookahead : bool
        Whether slow weights are kept.

    Returns
    -------
    pandas.Series
        By item, the last being all of them; what the library that convolves takes for itself comes on top.
    """
    import pandas as pd

    weights = 4 * count_parameters(model)
    table = layer_table(model, torch.zeros(1, 3, *clip, device="meta"))
    outputs = [math.prod(map(int, row["output"].split("×"))) for row in table]
    kept = sum(n for n, row in zip(outputs, table, strict=True) if row["kind"] in KEPT)
    # A maximum pool also keeps where each maximum was, as int64.
    indices = sum(8 * n for n, row in zip(outputs, table, strict=True) if row["kind"] == "MaxPool3d")
    items = {
        "clips, uint8": n_clips * math.prod(clip),
        "weights, float32": weights,
        "their gradients": weights,
        "Adam's two moments": 2 * weights,
        "Lookahead's slow weights": weights if lookahead else 0,
        "weights as bf16": weights // 2,
        f"activations kept for backward, batch of {batch_size}": batch_size * (2 * kept + indices),
        "two gradients of the largest activation": 4 * batch_size * max(outputs),
    }
    return pd.Series(items | {"in all": sum(items.values())}, name="MiB") / 2**20


def operations(model: nn.Module, clip: tuple[int, int, int]) -> float:
    """Return the floating-point operations of training on one clip (T, H, W), forward and backward.

    A multiplication and an addition are two; the backward pass takes twice the forward one. The model lies
    on the meta device.
    """
    from torch.utils.flop_counter import FlopCounterMode

    with FlopCounterMode(display=False) as counter:
        model(torch.zeros(1, 3, *clip, device="meta"))
    return 3.0 * counter.get_total_flops()
