"""The 3D-CNN on ten frames whose architecture was searched for: C3D with batch normalisation.

The paper is ``cnn3d`` in :mod:`fer_lib.claims`. Sect. 3.1 fixes input, kernels and pools, Table 1 lists what
was searched, Table 2 is what was found for CK+ (c1) and Table 3 for Oulu-CASIA (c2). Filters and dense layers
are only drawn in its figures; ours are those of C3D, the network that the paper starts from. The pools of
Sect. 3.1 then leave 512 maps of 1 x 4 x 4: the 8,192 inputs of C3D's dense layers.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fer_lib.errors import FerError, one_of
from fer_lib.learn.layers import Dropout

# Groups as (filters, convolutions); a pool follows each.
FILTERS = {
    "c3d": ((64, 1), (128, 1), (256, 2), (512, 2), (512, 2)),
    "half": ((32, 1), (64, 1), (128, 2), (256, 2), (256, 2)),
}
# Sect. 3.1: kernel, stride and padding as (frames, height, width).
FIRST_POOL = ((1, 2, 2), (1, 2, 2), (0, 0, 0))
POOL = ((2, 2, 2), (2, 2, 2), (0, 0, 0))
LAST_POOL = ((1, 2, 2), (2, 2, 2), (0, 1, 1))
DENSE = 4096  # units of each dense layer of C3D

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
    class_weights : bool
        Whether the cross-entropy weighs the classes.
    activation, temporal_size, initialiser, pooling, second_conv, dropout
        See :class:`CNN3D`.
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

    @property
    def network(self) -> dict[str, Any]:
        """The part that :class:`CNN3D` takes as keyword arguments; the rest is preparation and training."""
        others = ("lookahead", "clahe", "normalise", "class_weights")
        return {name: value for name, value in asdict(self).items() if name not in others}


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
    n_classes : int
        Softmax outputs: 7 on CK+, 6 on Oulu-CASIA.
    activation : {"relu", "elu", "prelu", "leaky_relu", "mish"}
        After every convolution and dense layer but the last.
    temporal_size : {1, 3, 5, 7, 9}
        Frames that a kernel spans; padding keeps the number of frames.
    initialiser : {"xavier_uniform", "xavier_normal", "framework"}
        Of weights; biases become zero except under ``framework``.
    pooling : {"average", "max"}
    second_conv : bool
        A second convolution in each of the first two groups.
    dropout : float
        The printed rate in [0, 1], after dense layers.
    frames, size : int
        Length of a clip, and height and width of its frames in pixels.
    filters : {"c3d", "half"}
        See :data:`FILTERS`.
    n_dense_layers, dropout_place
        Dense layers of 4,096 units; dropout after all of them or only after the ``first``.
    dropout_meaning : {"drop", "keep"}
        Whether the rate is the probability of dropping or of keeping a unit.
    bn_position : {"before", "after"}
        Batch normalisation before or after the activation.
    bn_momentum : float
        Weight of a new batch in the running statistics.
    avgpool_count_pad : bool
        Whether the last pool's padding counts in its means.
    init_scope : {"all", "convolutions"}
        Which weights the initialiser draws.
    temporal_padding : {"symmetric", "causal"}
        Zeros on both sides of a clip, or before it only.
    second_width : {"same", "half"}
        Filters of the second convolution, as a part of its group's.
    width : float
        Scales every layer; 1 is the paper's network, smaller ones are for smoke runs.

    Raises
    ------
    FerError
        For an unknown choice, a clip too short for the pools, or a dropout outside [0, 1].
    """

    def __init__(
        self,
        n_classes: int = 7,
        *,
        activation: str = "relu",
        temporal_size: int = 3,
        initialiser: str = "xavier_uniform",
        pooling: str = "average",
        second_conv: bool = False,
        dropout: float = C1.dropout,
        frames: int = 10,
        size: int = 112,
        filters: str = "c3d",
        n_dense_layers: int = 2,
        dropout_place: str = "all",
        dropout_meaning: str = "drop",
        bn_position: str = "before",
        bn_momentum: float = 0.1,
        avgpool_count_pad: bool = True,
        init_scope: str = "all",
        temporal_padding: str = "symmetric",
        second_width: str = "same",
        width: float = 1.0,
    ) -> None:
        super().__init__()
        one_of(activation, ACTIVATIONS, "activation")
        one_of(initialiser, INITIALISERS, "initialiser")
        one_of(pooling, ("average", "max"), "pooling")
        one_of(filters, FILTERS, "filters")
        one_of(dropout_place, ("all", "first"), "dropout_place")
        one_of(dropout_meaning, ("drop", "keep"), "dropout_meaning")
        one_of(bn_position, ("before", "after"), "bn_position")
        one_of(init_scope, ("all", "convolutions"), "init_scope")
        one_of(temporal_padding, ("symmetric", "causal"), "temporal_padding")
        one_of(second_width, ("same", "half"), "second_width")
        if temporal_size not in TEMPORAL_SIZES:
            raise FerError(f"temporal_size={temporal_size} must be one of {TEMPORAL_SIZES}.")
        if not 0 <= dropout <= 1:
            raise FerError(f"dropout={dropout} must lie in [0, 1].")
        if frames < 8 or size < 32:
            raise FerError(f"The pools need 8 frames of 32 pixels or more; got {frames} of {size}.")

        def scaled(units: float) -> int:
            return max(1, round(units * width))

        layers: dict[str, nn.Module] = {}
        channels = 3
        for group, (maps, convolutions) in enumerate(FILTERS[filters], 1):
            units = [maps] * convolutions
            if second_conv and group <= 2:
                units.append(maps if second_width == "same" else maps / 2)
            for letter, count in zip("ab", units, strict=False):
                name = f"{group}{letter if len(units) > 1 else ''}"
                convolution = Convolution(
                    channels, channels := scaled(count), temporal_size, temporal_padding
                )
                after = {
                    f"norm{name}": nn.BatchNorm3d(channels, momentum=bn_momentum),
                    f"act{name}": ACTIVATIONS[activation](),
                }
                order = after.items() if bn_position == "before" else reversed(after.items())
                layers |= {f"conv{name}": convolution, **dict(order)}
            shape = FIRST_POOL if group == 1 else LAST_POOL if group == 5 else POOL
            layers[f"pool{group}"] = _pool(pooling, *shape, avgpool_count_pad)
        self.features = nn.Sequential(OrderedDict(layers))

        inputs = channels * _outputs(frames, size)
        rate = dropout if dropout_meaning == "drop" else 1 - dropout
        self.dense = nn.Sequential()
        for layer in range(n_dense_layers):
            self.dense.extend([nn.Linear(inputs, inputs := scaled(DENSE)), ACTIVATIONS[activation]()])
            if dropout_place == "all" or layer == 0:
                self.dense.append(Dropout(rate))
        self.classify = nn.Linear(inputs, n_classes)
        self._initialise(INITIALISERS[initialiser], init_scope)

    def _initialise(self, draw: Callable[[Tensor], Tensor] | None, scope: str) -> None:
        kinds = (nn.Conv3d, nn.Linear) if scope == "all" else (nn.Conv3d,)
        for module in self.modules():
            if draw is not None and isinstance(module, kinds):
                draw(module.weight)
                nn.init.zeros_(module.bias)

    def to(self, *args: Any, **kwargs: Any) -> CNN3D:
        """Move or convert; for weights of five dimensions, channels last is ``channels_last_3d``."""
        if kwargs.get("memory_format") is torch.channels_last:
            kwargs["memory_format"] = torch.channels_last_3d
        return super().to(*args, **kwargs)

    @property
    def last_convolution(self) -> nn.Module:
        """The last convolution; its one frame sums up the clip."""
        return self.features.conv5b

    def load_trunk(self, state: dict[str, Tensor], freeze: bool = False) -> None:
        """Take everything but the output layer from a trained network's state.

        ``freeze`` keeps the convolutions as they are from then on; their batch normalisation goes on
        counting running statistics (ambiguity ``pretraining``).
        """
        trunk = {name: value for name, value in state.items() if not name.startswith("classify.")}
        self.load_state_dict(trunk, strict=False)
        for name, parameter in self.named_parameters():
            parameter.requires_grad_(not (freeze and name.startswith("features.")))

    def embed(self, clips: Tensor) -> Tensor:
        """Return the features before the output layer, ``(B, 4096)``."""
        x = self.features(clips)  # (B, 512, 1, 4, 4)
        return self.dense(x.flatten(1))  # (B, 8192) -> (B, 4096)

    def forward(self, clips: Tensor) -> Tensor:
        """Return logits ``(B, n_classes)`` of clips ``(B, 3, frames, size, size)`` in [0, 1] or [-1, 1]."""
        return self.classify(self.embed(clips))


class Convolution(nn.Conv3d):
    """A 3x3 convolution over ``frames`` frames that keeps a clip's shape.

    Parameters
    ----------
    frames : int
        Frames that the kernel spans, odd.
    padding : {"symmetric", "causal"}
        Zeros on both sides in time, or as many before the clip: then no frame sees a later one.
    """

    def __init__(self, inputs: int, outputs: int, frames: int, padding: str = "symmetric") -> None:
        both = (frames - 1) // 2 if padding == "symmetric" else 0
        super().__init__(inputs, outputs, (frames, 3, 3), padding=(both, 1, 1))
        self.before = 0 if padding == "symmetric" else frames - 1

    def forward(self, x: Tensor) -> Tensor:
        """Return ``(B, outputs, T, H, W)`` of ``(B, inputs, T, H, W)``."""
        if self.before:
            x = F.pad(x, (0, 0, 0, 0, self.before, 0))
        return super().forward(x)


def build(configuration: Configuration, n_classes: int = 7, **readings: Any) -> CNN3D:
    """Return the network of a configuration; ``readings`` are further arguments of :class:`CNN3D`."""
    return CNN3D(n_classes, **configuration.network | readings)


def c1(n_classes: int = 7, **readings: Any) -> CNN3D:
    """Return the architecture found for CK+ (Table 2)."""
    return build(C1, n_classes, **readings)


def c2(n_classes: int = 6, **readings: Any) -> CNN3D:
    """Return the architecture found for Oulu-CASIA (Table 3)."""
    return build(C2, n_classes, **readings)


def _pool(kind: str, kernel: tuple, stride: tuple, padding: tuple, count_padding: bool) -> nn.Module:
    if kind == "max":
        return nn.MaxPool3d(kernel, stride, padding)
    return nn.AvgPool3d(kernel, stride, padding, count_include_pad=count_padding)


def _outputs(frames: int, size: int) -> int:
    """Return how many positions the five pools leave of a clip."""
    frames, size = (frames // 8 - 1) // 2 + 1, size // 16 // 2 + 1
    return frames * size * size
