"""The 3D-CNN on ten frames whose architecture was searched for: C3D with batch normalisation.

Sect. 3.1 of paper ``cnn3d`` fixes input, kernels and pools, Table 1 lists what was searched, Tables 2 and 3
what was found for CK+ (c1) and Oulu-CASIA (c2). Filters and dense layers are not in its text; ours are those
of C3D, the network that the paper starts from. The pools of Sect. 3.1 then leave 512 maps of 1 x 4 x 4: the
8,192 inputs of C3D's dense layers.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from fer_lib.errors import one_of
from fer_lib.learn.layers import Dropout

GROUPS = ((64, 1), (128, 1), (256, 2), (512, 2), (512, 2))  # filters, convolutions; a pool follows each
# Sect. 3.1: kernel, stride and padding as (frames, height, width).
POOL = ((2, 2, 2), (2, 2, 2), (0, 0, 0))
POOLS = (((1, 2, 2), (1, 2, 2), (0, 0, 0)), POOL, POOL, POOL, ((1, 2, 2), (2, 2, 2), (0, 1, 1)))
BN_MOMENTUM = 0.1  # Sect. 3.1, read as the weight of a new batch
DENSE = 4096  # units of each of the two dense layers of C3D

ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {  # in place where backward allows it
    "relu": lambda: nn.ReLU(inplace=True),
    "elu": lambda: nn.ELU(inplace=True),
    "prelu": nn.PReLU,
    "leaky_relu": lambda: nn.LeakyReLU(inplace=True),
    "mish": nn.Mish,
}
INITIALISERS: dict[str, Callable[[Tensor], Tensor] | None] = {
    "xavier_uniform": nn.init.xavier_uniform_,
    "xavier_normal": nn.init.xavier_normal_,
    "framework": None,  # what torch draws by itself: Table 3 prints "none"
}
POOLINGS = {"average": nn.AvgPool3d, "max": nn.MaxPool3d}  # padded zeros count in an average, torch's default

NO_YES = (False, True)
SEARCHED: dict[str, tuple[Any, ...]] = {
    "lookahead": NO_YES,  # Lookahead (k = 5, alpha = 0.5) around Adam
    "clahe": NO_YES,  # contrast-limited histogram equalisation of the frames
    "normalise": NO_YES,  # pixels in [-1, 1] instead of [0, 1]
    "activation": tuple(ACTIVATIONS),  # after every convolution and dense layer but the last
    "class_weights": NO_YES,  # whether the cross-entropy weighs the classes
    "temporal_size": (1, 3, 5, 7, 9),  # frames that a kernel spans; padding keeps the number of frames
    "initialiser": tuple(INITIALISERS),  # of all weights; biases become zero except under "framework"
    "pooling": tuple(POOLINGS),
    "second_conv": NO_YES,  # a second convolution, as wide, in each of the first two groups
}
"""Table 1, with a third initialiser; the dropout after both dense layers is searched in [0, 1]."""


@dataclass(frozen=True)
class Configuration:
    """One choice of everything that the paper searches: :data:`SEARCHED`, and the rate of dropout."""

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
        for name, options in SEARCHED.items():
            one_of(str(getattr(self, name)), map(str, options), name)


C1 = Configuration(clahe=True, pooling="average", dropout=0.2511)  # Table 2
C2 = Configuration(  # Table 3
    lookahead=True,
    normalise=True,
    activation="leaky_relu",
    initialiser="framework",
    pooling="max",
    dropout=0.4233,
)


class CNN3D(nn.Module):
    """The network of Sect. 3.1 with the searched options of Table 1.

    A clip has ten frames of ``size`` x ``size`` pixels, 32 or more; ``width`` scales every layer.
    """

    def __init__(
        self,
        configuration: Configuration = C1,
        n_classes: int = 7,
        *,
        size: int = 112,
        width: float = 1.0,
    ) -> None:
        super().__init__()
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

        places = (size // 16 // 2 + 1) ** 2  # that the five pools leave, of one frame
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
        """Return logits ``(B, n_classes)`` of clips ``(B, 3, 10, size, size)`` in [0, 1] or [-1, 1]."""
        return self.classify(self.embed(clips))


def c1(n_classes: int = 7, **options: Any) -> CNN3D:
    """Return the architecture found for CK+ (Table 2); ``options`` as :class:`CNN3D` has them."""
    return CNN3D(C1, n_classes, **options)


def c2(n_classes: int = 6, **options: Any) -> CNN3D:
    """Return the architecture found for Oulu-CASIA (Table 3)."""
    return CNN3D(C2, n_classes, **options)


def operations(model: nn.Module, clip: tuple[int, int, int]) -> float:
    """Return the floating-point operations of training on one clip (T, H, W), forward and backward.

    A multiplication and an addition are two; the backward pass takes twice the forward one. ``model`` is on
    the meta device.
    """
    from torch.utils.flop_counter import FlopCounterMode

    with FlopCounterMode(display=False) as counter:
        model(torch.zeros(1, 3, *clip, device="meta"))
    return 3.0 * counter.get_total_flops()
