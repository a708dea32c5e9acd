"""C-SPP: two spatial pyramids, on low-level and high-level features, and the four networks before it.

The paper is ``cspp`` in :mod:`fer_lib.claims`. Sect. 4.2 goes from a benchmark of two convolutions (Lopes
et al., at 48x48) to smaller kernels, to one more stage (Plain7CNN), to one more convolution (Plain8CNN), and
from Plain7CNN to C-SPP, whose dense layer reads pyramids over the second and the last convolution. All
figures that show the networks are missing from the text, so the keyword arguments are open readings;
their defaults are the recommended ones.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from fer_lib.errors import FerError, one_of
from fer_lib.learn.layers import Dropout, glorot
from fer_lib.papers.cspp.pyramid import SpatialPyramidPooling

# Kernel sizes of the convolutions, stage by stage; every stage ends in a 2x2 max pool (Sect. 4.2).
KERNELS: dict[str, tuple[tuple[int, ...], ...]] = {
    "Benchmark": ((5,), (7,)),
    "SmallKernels": ((3, 3), (3, 5)),
    "Plain7CNN": ((3, 3), (3, 5), (3, 3)),
    "Plain8CNN": ((3, 3), (3, 3, 3), (3, 3)),
    "C-SPP": ((3, 3), (3, 5), (3, 3)),
}
NETWORKS = tuple(KERNELS)
FILTERS = (32, 64, 128)  # 128 is printed; the first two are those of the benchmark's authors
ACTIVATIONS = {"relu": nn.ReLU, "tanh": nn.Tanh}
SMOOTHINGS = ("true_class_0.9", "framework_0.9", "framework_0.1", "none")
TAPS, PLACES = ("before_pool", "after_pool"), ("after", "before", "both")


class Network(nn.Module):
    """Any of the five networks of Sect. 4.2.

    Parameters
    ----------
    kernels : sequence of sequences of int
        Kernel sizes of the convolutions per stage, as in :data:`KERNELS`.
    n_classes : int
        Softmax outputs; the paper has six expressions.
    pyramids : bool
        Whether the dense layer reads two spatial pyramids (C-SPP) or the flattened map.
    size : int
        Height and width of the input image in pixels; only networks without pyramids depend on it.
    filters : sequence of int
        Feature maps of each stage.
    padding : {"same", "valid"}
        Whether convolutions keep the size of their map.
    spp_high, spp_low : sequence of int
        Levels of the pyramids over the last convolution and over the last one of the first stage. Without
        levels there is no such pyramid: the dense layer reads the flattened last map in place of the first,
        and nothing in place of the second. The paper adds both at once.
    spp_high_tap, spp_low_tap : {"before_pool", "after_pool"}
        Whether a pyramid reads its map before or after the 2x2 pool. Aligned max pools compose, so under
        ``same`` padding, with levels that divide the pooled map, both give the same function; after the pool
        it takes a quarter of the work. Under ``valid`` padding the two differ.
    spp_pool : {"max", "average"}
    hidden : int
        Units of the dense layer; 0 leaves it out.
    dropout, dropout_place
        Rate, and whether it follows the dense layer, precedes it, or ``both``.
    activation : {"relu", "tanh"}
    use_batchnorm : bool
        Batch normalisation after each convolution (not mentioned in the paper).
    width : float
        Scales every layer; 1 is the paper's network, smaller ones are for smoke runs.

    Raises
    ------
    FerError
        For an unknown reading, or an image too small for the stages.
    """

    def __init__(
        self,
        kernels: Sequence[Sequence[int]],
        n_classes: int = 6,
        pyramids: bool = False,
        *,
        size: int = 48,
        filters: Sequence[int] = FILTERS,
        padding: str = "same",
        spp_high: Sequence[int] = (3, 2, 1),
        spp_low: Sequence[int] = (3, 2, 1),
        spp_high_tap: str = "after_pool",
        spp_low_tap: str = "after_pool",
        spp_pool: str = "max",
        hidden: int = 256,
        dropout: float = 0.5,
        dropout_place: str = "after",
        activation: str = "relu",
        use_batchnorm: bool = False,
        width: float = 1.0,
    ) -> None:
        super().__init__()
        one_of(padding, ("same", "valid"), "padding")
        one_of(spp_high_tap, TAPS, "spp_high_tap")
        one_of(spp_low_tap, TAPS, "spp_low_tap")
        one_of(dropout_place, PLACES, "dropout_place")
        act = ACTIVATIONS[one_of(activation, ACTIVATIONS, "activation")]
        maps = [_scaled(n, width) for n in filters]
        if len(maps) < len(kernels):
            raise FerError(f"filters={tuple(filters)} should name the feature maps of {len(kernels)} stages.")

        self.taps = {"low": spp_low_tap, "high": spp_high_tap}
        self.stages, self.pools = nn.ModuleList(), nn.ModuleList()
        channels = 1
        for stage, sizes in enumerate(kernels):
            layers: dict[str, nn.Module] = {}
            for i, kernel in enumerate(sizes, 1):
                border = kernel // 2 if padding == "same" else 0
                layers[f"conv{i}"] = nn.Conv2d(channels, maps[stage], kernel, padding=border)
                channels = maps[stage]
                if use_batchnorm:
                    layers[f"norm{i}"] = nn.BatchNorm2d(channels)
                layers[f"act{i}"] = act()
                size += 2 * border - kernel + 1
            self.stages.append(nn.Sequential(OrderedDict(layers)))
            self.pools.append(nn.MaxPool2d(2))
            size //= 2
        if size < 1:
            raise FerError("The image is too small for the stages of this network; use a larger size.")

        self.low = SpatialPyramidPooling(spp_low, spp_pool) if pyramids and spp_low else None
        self.high = SpatialPyramidPooling(spp_high, spp_pool) if pyramids and spp_high else None
        inputs = channels * (self.high.cells if self.high else size * size)
        inputs += maps[0] * self.low.cells if self.low else 0
        units, dense = _scaled(hidden, width) if hidden else 0, nn.Sequential()
        if dropout_place != "after" or not units:
            dense.append(Dropout(dropout))
        if units:
            dense.extend([nn.Linear(inputs, units), act()])
            if dropout_place != "before":
                dense.append(Dropout(dropout))
        self.dense = dense
        self.classify = nn.Linear(units or inputs, n_classes)
        self.apply(glorot)  # the default of the framework that the paper names

    @property
    def last_convolution(self) -> nn.Module:
        """The last convolution, where Grad-CAM looks."""
        return [layer for layer in self.stages[-1] if isinstance(layer, nn.Conv2d)][-1]

    def features(self, images: Tensor) -> Tensor:
        """Return what the dense layer reads; the sizes are those of 48x48 and ``same`` padding.

        From the pyramids ``(B, 1792 + 448)``, else ``(B, 4608)``, or ``(B, 9216)`` of two stages.
        """
        x, tapped = images, {}
        for i, (stage, pool) in enumerate(zip(self.stages, self.pools, strict=True)):
            unpooled = stage(x)  # (B, 32, 48, 48), (B, 64, 24, 24), (B, 128, 12, 12)
            x = pool(unpooled)  # (B, 32, 24, 24), (B, 64, 12, 12), (B, 128, 6, 6)
            tapped[i] = {"before_pool": unpooled, "after_pool": x}
        # Channel-major whatever the memory format.
        read = [self.high(tapped[len(self.stages) - 1][self.taps["high"]]) if self.high else x.flatten(1)]
        if self.low:  # the cross-connection, (B, 14 * 32) beside (B, 14 * 128)
            read.append(self.low(tapped[0][self.taps["low"]]))
        return torch.cat(read, dim=1)

    def embed(self, images: Tensor) -> Tensor:
        """Return the features before the softmax layer, ``(B, 256)``."""
        return self.dense(self.features(images))

    def forward(self, images: Tensor) -> Tensor:
        """Return logits ``(B, n_classes)`` of aligned, intensity-normalised faces ``(B, 1, H, W)`` float."""
        return self.classify(self.embed(images))


def build(
    name: str, n_classes: int = 6, *, kernel_order: str = "3-5", plain8: str = "plain7", **readings: object
) -> Network:
    """Return one of :data:`NETWORKS`.

    Parameters
    ----------
    kernel_order : {"3-5", "5-3"}
        Order of the 3x3 and the 5x5 kernel that replace the 7x7 one.
    plain8 : {"plain7", "benchmark"}
        What Plain8CNN's three 3x3 kernels are put into: Plain7CNN, or the network of two stages.
    readings
        Passed to :class:`Network`.
    """
    one_of(name, NETWORKS, "network")
    one_of(kernel_order, ("3-5", "5-3"), "kernel_order")
    one_of(plain8, ("plain7", "benchmark"), "plain8")
    kernels = KERNELS[name]
    if kernel_order == "5-3":
        kernels = tuple((5, 3) if stage == (3, 5) else stage for stage in kernels)
    if name == "Plain8CNN" and plain8 == "benchmark":
        kernels = kernels[:2]
    return Network(kernels, n_classes, name == "C-SPP", **readings)


def true_class_target(reading: str, n_classes: int = 6) -> float:
    """Return the probability that the training target gives the true class.

    The paper's epsilon is what the true class keeps (Sect. 3.2: 0.9, the five others 0.02 each). A
    framework's ``label_smoothing`` is what is taken off and spread over all classes, the true one included.

    Parameters
    ----------
    reading : {"true_class_0.9", "framework_0.9", "framework_0.1", "none"}
        The paper's 0.9 as it defines it, as a framework would take it, the 0.1 that a framework's user
        would write for it, or one-hot targets.
    """
    one_of(reading, SMOOTHINGS, "label_smoothing")
    if reading.startswith("framework"):
        smoothing = float(reading.removeprefix("framework_"))
        return 1 - smoothing + smoothing / n_classes
    return 0.9 if reading == "true_class_0.9" else 1.0


def _scaled(units: int, width: float) -> int:
    return max(1, round(units * width))
