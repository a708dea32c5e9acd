"""Facial image, landmarks and HOG in one network: CNN with CBAM, LNN and HNN, fused by features.

The paper is ``multimodal`` in :mod:`fer_lib.claims`. Sect. 3.2 describes the three branches, each of
which ends in 128 features, Sect. 3.1 their fusion and the classifier. The keyword arguments are the
paper's open readings; their defaults are the recommended ones.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from fer_lib.errors import FerError, one_of
from fer_lib.learn.layers import CBAM, BatchNorm1d, Dropout, glorot

MODALITIES = ("image", "landmarks", "hog")
FEATURES = 128  # of each branch (Sect. 3.1)
DENSE = {"image": (4096, 1024, FEATURES), "landmarks": (1024, FEATURES), "hog": (4096, 1024, FEATURES)}

POOLS = {"max2": (2, 2, 0), "max3": (3, 2, 1)}  # kernel, stride and padding of each max pool
CBAM_POSITIONS = ("before_pool", "after_pool", "before_relu")
FUSIONS = ("concatenate", "scalar_mean", "branch_mean")
CLASSIFIERS = ("bn_relu", "linear", "none")
# Rates after the dense layers of 4096 units and on the fused features.
DROPOUTS = {"none": (0.0, 0.0), "dense": (0.5, 0.0), "fused": (0.0, 0.2)}


class Multimodal(nn.Module):
    """The network of Figs. 3 and 4, or the part of it that sees some of the modalities.

    Parameters
    ----------
    n_classes : int
        Softmax outputs; the paper prints seven.
    modalities : sequence of {"image", "landmarks", "hog"}
        Branches that are built; the others are left out, inputs and all.
    hog, landmarks : int
        Lengths of the HOG descriptor and of the landmark vector.
    size : int
        Height and width of the input image in pixels.
    cbam : bool
        Whether the image branch has its three attention modules.
    conv_channels, padding, pool
        Filters of the first convolution, which double twice; ``same`` or ``valid`` convolutions; and the
        max pools (see :data:`POOLS`).
    bn_scope : {"all", "convolutions"}
        Batch normalisation before every ReLU, or after the convolutions only.
    cbam_position : {"before_pool", "after_pool", "before_relu"}
        Where the attention module of a stage stands.
    cbam_reduction, cbam_kernel
        See :class:`fer_lib.learn.layers.CBAM`.
    fusion : {"concatenate", "scalar_mean", "branch_mean"}
        All features side by side, the one number that Eq. (6) yields, or the mean of the branches.
    classifier : {"bn_relu", "linear", "none"}
        What follows the dense layer of 384 units, or that there is none.
    dropout : {"none", "dense", "fused"}
        Nowhere, 0.5 after the dense layers of 4096 units, or 0.2 on the fused features.
    width : float
        Scales every layer; 1 is the paper's network, smaller ones are for small machines.

    Raises
    ------
    FerError
        For an unknown reading, or modalities that are none, unknown or named twice.
    """

    def __init__(
        self,
        n_classes: int = 7,
        modalities: Sequence[str] = MODALITIES,
        *,
        hog: int = 900,
        landmarks: int = 136,
        size: int = 48,
        cbam: bool = True,
        conv_channels: int = 64,
        padding: str = "same",
        pool: str = "max2",
        bn_scope: str = "all",
        cbam_position: str = "before_pool",
        cbam_reduction: int = 16,
        cbam_kernel: int = 7,
        fusion: str = "concatenate",
        classifier: str = "bn_relu",
        dropout: str = "none",
        width: float = 1.0,
    ) -> None:
        super().__init__()
        self.modalities = chosen(modalities)
        one_of(padding, ("same", "valid"), "padding")
        one_of(bn_scope, ("all", "convolutions"), "bn_scope")
        self.fusion = one_of(fusion, FUSIONS, "fusion")
        one_of(classifier, CLASSIFIERS, "classifier")
        after_dense, after_fusion = DROPOUTS[one_of(dropout, DROPOUTS, "dropout")]
        self.dense_norm, self.width = bn_scope == "all", width

        inputs = {"landmarks": landmarks, "hog": hog}
        self.stages = nn.ModuleList()
        if "image" in self.modalities:
            channels = 1
            for filters in (self._scaled(conv_channels * factor) for factor in (1, 2, 4)):
                attention = CBAM(filters, cbam_reduction, cbam_kernel) if cbam else None
                self.stages.append(_stage(channels, filters, padding, pool, attention, cbam_position))
                channels = filters
            side = _side(self.stages, size)
            inputs["image"] = channels * side * side
        self.branches = nn.ModuleDict(
            {name: self._branch(inputs[name], DENSE[name], after_dense) for name in self.modalities}
        )

        features = self._scaled(FEATURES)
        fused = {"concatenate": features * len(self.modalities), "scalar_mean": 1, "branch_mean": features}
        units = self._scaled(3 * FEATURES)  # 384 (Sect. 3.1), however many branches there are
        self.fused_dropout = Dropout(after_fusion)
        self.hidden = nn.Sequential()
        if classifier != "none":
            self.hidden.append(nn.Linear(fused[fusion], units))
        if classifier == "bn_relu":
            self.hidden.extend([BatchNorm1d(units), nn.ReLU()] if self.dense_norm else [nn.ReLU()])
        self.classify = nn.Linear(fused[fusion] if classifier == "none" else units, n_classes)
        self.apply(glorot)  # no initialisation is named

    def _scaled(self, units: int) -> int:
        return max(1, round(units * self.width))

    def _branch(self, inputs: int, units: Sequence[int], dropout: float) -> nn.Sequential:
        """Return dense layers of ``units``, each with its normalisation and ReLU (Sect. 3.2)."""
        layers: list[nn.Module] = []
        for count in map(self._scaled, units):
            layers.append(nn.Linear(inputs, count))
            layers += [BatchNorm1d(count), nn.ReLU()] if self.dense_norm else [nn.ReLU()]
            if dropout and count == self._scaled(4096):
                layers.append(Dropout(dropout))
            inputs = count
        return nn.Sequential(*layers)

    @property
    def last_convolution(self) -> nn.Module:
        """The third convolution, where Grad-CAM looks; FerError without an image branch."""
        if not self.stages:
            raise FerError("Grad-CAM looks at convolutions, and a network without the image has none.")
        return self.stages[-1].conv

    def features(
        self, images: Tensor, landmarks: Tensor | None = None, hog: Tensor | None = None
    ) -> dict[str, Tensor]:
        """Return the features ``(B, 128)`` of each modality's branch: F1, F2 and F3 of Eqs. (1) to (3)."""
        inputs = {"landmarks": landmarks, "hog": hog}
        if "image" in self.modalities:
            for stage in self.stages:
                images = stage(images)  # (B, 64, 24, 24), (B, 128, 12, 12), (B, 256, 6, 6)
            inputs["image"] = images.flatten(1)  # (B, 9216), channel-major whatever the memory format
        return {name: self.branches[name](inputs[name]) for name in self.modalities}

    def embed(self, images: Tensor, landmarks: Tensor | None = None, hog: Tensor | None = None) -> Tensor:
        """Return the branches' features side by side, ``(B, 384)``; :meth:`columns` says whose are whose."""
        return torch.cat(list(self.features(images, landmarks, hog).values()), dim=1)

    def columns(self) -> dict[str, slice]:
        """Return the columns of :meth:`embed` that each modality's branch fills."""
        n = self._scaled(FEATURES)
        return {name: slice(i * n, (i + 1) * n) for i, name in enumerate(self.modalities)}

    def forward(self, images: Tensor, landmarks: Tensor | None = None, hog: Tensor | None = None) -> Tensor:
        """Return logits ``(B, n_classes)``.

        Parameters
        ----------
        images : Tensor
            ``(B, 1, H, W)`` float.
        landmarks, hog : Tensor
            ``(B, 136)`` and ``(B, 900)`` float; a modality that the network lacks is ignored.
        """
        parts = torch.stack(list(self.features(images, landmarks, hog).values()), dim=1)  # (B, 3, 128)
        if self.fusion == "concatenate":
            fused = parts.flatten(1)  # (B, 384)
        else:
            fused = parts.mean((1, 2)).unsqueeze(1) if self.fusion == "scalar_mean" else parts.mean(1)
        return self.classify(self.hidden(self.fused_dropout(fused)))

    @torch.no_grad()
    def attention(self, images: Tensor) -> list[tuple[Tensor, Tensor]]:
        """Return CBAM's channel map ``(B, C)`` and spatial map ``(B, H, W)`` of every stage.

        The list is empty where the network has no CBAM or no image branch.
        """
        found = []
        for stage in self.stages:
            for layer in stage:
                if isinstance(layer, CBAM):
                    channel = layer.channel_map(images)
                    found.append((channel.flatten(1), layer.spatial_map(images * channel).squeeze(1)))
                images = layer(images)
        return found


def binary_cross_entropy(output: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """Return Eq. (10) read as the sum of one binary cross-entropy per class on the softmax, and logits.

    Parameters
    ----------
    output : Tensor
        Logits ``(B, C)``.
    labels : Tensor
        ``(B,)`` int64.
    """
    logits = output.float()
    truth = nn.functional.one_hot(labels, logits.shape[1]).to(logits)
    right = logits.log_softmax(1)
    # log(1 - p) of a softmax: what the other classes hold together; clamped where p rounds to 1.
    wrong = torch.log1p(-right.exp().clamp_max(1 - 1e-6))
    return -(truth * right + (1 - truth) * wrong).sum(1).mean(), logits


LOSSES = {"categorical": None, "binary": binary_cross_entropy}
"""Readings of the loss, for ``loss=`` of ``fit``; None is its own cross-entropy."""


def chosen(modalities: Sequence[str]) -> tuple[str, ...]:
    """Return modalities in the paper's order; FerError if there are none, or one is unknown or repeated."""
    if isinstance(modalities, str) or not modalities or len(set(modalities)) != len(modalities):
        raise FerError(
            f"modalities is a list without repeats of {', '.join(MODALITIES)}; got {modalities!r}."
        )
    for name in modalities:
        one_of(name, MODALITIES, "modality")
    return tuple(name for name in MODALITIES if name in modalities)


def _stage(
    inputs: int, filters: int, padding: str, pool: str, attention: CBAM | None, position: str
) -> nn.Sequential:
    """Return convolution, normalisation, ReLU and pool, with the attention module at its place."""
    one_of(position, CBAM_POSITIONS, "cbam_position")
    kernel, stride, border = POOLS[one_of(pool, POOLS, "pool")]
    layers: list[tuple[str, nn.Module]] = [
        ("conv", nn.Conv2d(inputs, filters, 3, padding=1 if padding == "same" else 0)),
        ("norm", nn.BatchNorm2d(filters)),
        ("relu", nn.ReLU()),
        ("pool", nn.MaxPool2d(kernel, stride, border)),
    ]
    if attention is not None:
        place = {"before_relu": 2, "before_pool": 3, "after_pool": 4}[position]
        layers.insert(place, ("cbam", attention))
    return nn.Sequential(OrderedDict(layers))


def _side(stages: nn.ModuleList, side: int) -> int:
    """Return the side of the map that leaves the last stage for an image of ``side`` pixels."""
    for stage in stages:
        side += 2 * stage.conv.padding[0] - 2
        side = (side + 2 * stage.pool.padding - stage.pool.kernel_size) // stage.pool.stride + 1
    return side
