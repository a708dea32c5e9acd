"""C-SPP: two spatial pyramids, on low-level and high-level features, and the four networks before it.

The paper is ``cspp`` in :mod:`fer_lib.claims`. Sect. 4.2 goes from a benchmark of two convolutions (Lopes
et al., at 48x48) to smaller kernels, to one more stage (Plain7CNN), to one more convolution (Plain8CNN), and
from Plain7CNN to C-SPP, whose dense layer reads pyramids over the second and the last convolution. The
figures that show the networks are missing from the text, so the keyword arguments are open readings; their
defaults are the recommended ones.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fer_lib.errors import one_of
from fer_lib.learn.layers import Dropout, glorot

# Kernel sizes of the convolutions, stage by stage; every stage ends in a pool (Sect. 4.2), 2x2 and max
# by the reading pool_size.
KERNELS: dict[str, tuple[tuple[int, ...], ...]] = {
    "Benchmark": ((5,), (7,)),
    "SmallKernels": ((3, 3), (3, 5)),
    "Plain7CNN": ((3, 3), (3, 5), (3, 3)),
    "Plain8CNN": ((3, 3), (3, 3, 3), (3, 3)),
    "C-SPP": ((3, 3), (3, 5), (3, 3)),
}
NETWORKS = tuple(KERNELS)
# What the paper never tests apart: C-SPP with one of its pyramids, and trained on hard targets.
PYRAMIDS = {
    "C-SPP": ("low", "high"),
    "C-SPP, high pyramid alone": ("high",),
    "C-SPP, low pyramid alone": ("low",),
    "C-SPP without label smoothing": ("low", "high"),
}
ABLATIONS = tuple(PYRAMIDS)[1:]
FILTERS = (32, 64, 128)  # of each stage; 128 is printed, the first two are those of the benchmark's authors
LEVELS = (3, 2, 1)  # the only ones that the text names (Fig. 5)
DROPOUT = 0.5  # after the dense layer
ACTIVATIONS = {"relu": nn.ReLU, "tanh": nn.Tanh}
SMOOTHINGS = ("true_class_0.9", "framework_0.9", "framework_0.1", "none")


class SpatialPyramidPooling(nn.Module):
    """Divide a feature map into 3x3, 2x2 and 1x1 cells (say), and keep the maximum of each (Fig. 5).

    Cell ``i`` of ``n`` along a side of ``s`` pixels runs from ``floor(i s / n)`` to ``ceil((i + 1) s / n)``.
    Where ``n`` divides ``s`` these are the paper's steps ``s / n`` without overlap; elsewhere, also where
    ``n`` exceeds ``s``, cells overlap, and no pixel is left out. ``levels`` are the cells per side, one
    pooling each.
    """

    def __init__(self, levels: Sequence[int] = LEVELS) -> None:
        super().__init__()
        self.levels = tuple(levels)

    @property
    def cells(self) -> int:
        """Features per channel: 14 for levels 3, 2 and 1."""
        return sum(level**2 for level in self.levels)

    def forward(self, x: Tensor) -> Tensor:
        """Return ``(B, cells * C)`` from a map ``(B, C, H, W)`` of any size, level after level."""
        (height, width), pooled = x.shape[2:], []
        for n in self.levels:
            if height % n == 0 and width % n == 0:
                # The same cells, but on a GPU the adaptive pool's gradient differs from run to run.
                cells = F.max_pool2d(x, (height // n, width // n))
            else:
                cells = F.adaptive_max_pool2d(x, n)
            pooled.append(cells.flatten(1))  # (B, C * n * n)
        return torch.cat(pooled, dim=1)


class Network(nn.Module):
    """Any of the networks of Sect. 4.2.

    Both pyramids read their maps after the 2x2 pool. Before it they would give the same function, since
    aligned maxima compose (with ``same`` padding, and levels that divide the pooled map).

    Parameters
    ----------
    kernels
        Kernel sizes of the convolutions per stage, as in :data:`KERNELS`.
    pyramids : sequence of {"low", "high"}
        Over the last convolution of the first stage, over the last one of all. Without the high one the dense
        layer reads the flattened last map in its place, of images of 48 x 48; without the low one nothing.
    padding : {"same", "valid"}
        Whether convolutions keep the size of their map.
    spp_low
        Levels of the low pyramid; those of the high one are :data:`LEVELS`.
    hidden
        Units of the dense layer; 0 leaves it out.
    activation : {"relu", "tanh"}
    use_batchnorm
        Batch normalisation after each convolution (not mentioned in the paper).
    width
        Scales every layer, for smoke runs.
    """

    def __init__(
        self,
        kernels: Sequence[Sequence[int]],
        n_classes: int = 6,
        pyramids: Sequence[str] = (),
        *,
        padding: str = "same",
        spp_low: Sequence[int] = LEVELS,
        hidden: int = 256,
        activation: str = "relu",
        use_batchnorm: bool = False,
        width: float = 1.0,
    ) -> None:
        super().__init__()
        act = ACTIVATIONS[activation]
        *maps, units = (max(1, round(n * width)) for n in (*FILTERS, hidden))
        self.stages, self.pools = nn.ModuleList(), nn.ModuleList()
        channels, size = 1, 48
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

        self.low = SpatialPyramidPooling(spp_low) if "low" in pyramids else None
        self.high = SpatialPyramidPooling() if "high" in pyramids else None
        inputs = channels * (self.high.cells if self.high else size * size)
        inputs += maps[0] * self.low.cells if self.low else 0
        dense = [nn.Linear(inputs, units), act()] if hidden else []
        self.dense = nn.Sequential(*dense, Dropout(DROPOUT))
        self.classify = nn.Linear(units if hidden else inputs, n_classes)
        self.apply(glorot)  # the default of the framework that the paper names

    @property
    def last_convolution(self) -> nn.Module:
        """The last convolution, where Grad-CAM looks."""
        return [layer for layer in self.stages[-1] if isinstance(layer, nn.Conv2d)][-1]

    def features(self, images: Tensor) -> Tensor:
        """Return what the dense layer reads; the sizes are those of 48x48 and ``same`` padding.

        From the pyramids ``(B, 1792 + 448)``, else ``(B, 4608)``, or ``(B, 9216)`` of two stages.
        """
        x, pooled = images, []
        for stage, pool in zip(self.stages, self.pools, strict=True):
            x = pool(stage(x))  # (B, 32, 24, 24), (B, 64, 12, 12), (B, 128, 6, 6)
            pooled.append(x)
        read = [self.high(x) if self.high else x.flatten(1)]  # channel-major whatever the memory format
        if self.low:  # the cross-connection, (B, 14 * 32) beside (B, 14 * 128)
            read.append(self.low(pooled[0]))
        return torch.cat(read, dim=1)

    def embed(self, images: Tensor) -> Tensor:
        """Return the features before the softmax layer, ``(B, 256)``, after their activation."""
        return self.dense(self.features(images))

    def forward(self, images: Tensor) -> Tensor:
        """Return logits ``(B, n_classes)`` of aligned, intensity-normalised faces ``(B, 1, H, W)`` float."""
        return self.classify(self.embed(images))


def build(name: str, n_classes: int = 6, **readings: object) -> Network:
    """Return one of :data:`NETWORKS` or :data:`ABLATIONS`; ``readings`` are passed to :class:`Network`."""
    one_of(name, (*NETWORKS, *ABLATIONS), "network")
    return Network(KERNELS.get(name, KERNELS["C-SPP"]), n_classes, PYRAMIDS.get(name, ()), **readings)


def true_class_target(reading: str, n_classes: int = 6) -> float:
    """Return the probability that the training target gives the true class, by :data:`SMOOTHINGS`.

    The paper's epsilon is what the true class keeps (Sect. 3.2: 0.9, the five others 0.02 each). A
    framework's ``label_smoothing`` is what is taken off and spread over all classes, the true one included:
    0.9 if the paper's figure is copied, 0.1 if it is understood.
    """
    if reading.startswith("framework"):
        smoothing = float(reading.removeprefix("framework_"))
        return 1 - smoothing + smoothing / n_classes
    return 0.9 if reading == "true_class_0.9" else 1.0
