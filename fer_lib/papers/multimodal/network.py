"""Facial image, landmarks and HOG in one network: CNN with CBAM, LNN and HNN, fused by features.

Sect. 3.2 of the paper ``multimodal`` describes the three branches, Sect. 3.1 their fusion and the classifier.
The keyword arguments are the paper's open readings; their defaults are the recommended ones.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from fer_lib.errors import one_of
from fer_lib.learn.layers import CBAM, BatchNorm1d, Dropout, glorot

MODALITIES = ("image", "landmarks", "hog")
FEATURES = 128  # of each branch (Sect. 3.1)
DENSE = {"image": (4096, 1024, FEATURES), "landmarks": (1024, FEATURES), "hog": (4096, 1024, FEATURES)}

CBAM_POSITIONS = ("before_pool", "after_pool", "before_relu")
FUSIONS = ("concatenate", "scalar_mean")


class Multimodal(nn.Module):
    """The network of Figs. 3 and 4, or the part of it that sees some of the modalities.

    Parameters
    ----------
    modalities : sequence of {"image", "landmarks", "hog"}
        Branches that are built; the others are left out, inputs and all.
    hog
        Length of the HOG descriptor.
    conv_channels
        Filters of the first convolution, which double twice.
    bn_scope : {"all", "convolutions"}
        Batch normalisation before every ReLU, or after the convolutions only.
    cbam_position : {"before_pool", "after_pool", "before_relu"}
        Where the attention module of a stage stands.
    fusion : {"concatenate", "scalar_mean"}
        All features side by side, or the one number that Eq. (6) yields.
    dropout
        Of units after the dense layers of 4096.
    width
        Scales every layer, for small machines.
    """

    def __init__(
        self,
        n_classes: int = 7,
        modalities: Sequence[str] = MODALITIES,
        *,
        hog: int = 900,
        cbam: bool = True,
        conv_channels: int = 64,
        bn_scope: str = "all",
        cbam_position: str = "before_pool",
        fusion: str = "concatenate",
        dropout: float = 0.0,
        width: float = 1.0,
    ) -> None:
        super().__init__()
        self.modalities = tuple(name for name in MODALITIES if name in modalities)
        self.fusion = one_of(fusion, FUSIONS, "fusion")
        one_of(bn_scope, ("all", "convolutions"), "bn_scope")
        self.dense_norm, self.dropout, self.width = bn_scope == "all", dropout, width

        inputs = {"landmarks": 136, "hog": hog}
        self.stages = nn.ModuleList()
        if "image" in self.modalities:
            channels = 1
            for filters in (self._scaled(conv_channels * factor) for factor in (1, 2, 4)):
                self.stages.append(_stage(channels, filters, CBAM(filters) if cbam else None, cbam_position))
                channels = filters
            inputs["image"] = channels * 6 * 6  # 48 pixels, halved three times
        self.branches = nn.ModuleDict(
            {name: self._branch(inputs[name], DENSE[name]) for name in self.modalities}
        )

        fused = self._scaled(FEATURES) * len(self.modalities) if fusion == "concatenate" else 1
        units = self._scaled(3 * FEATURES)  # 384 (Sect. 3.1), however many branches there are
        self.hidden = nn.Sequential(nn.Linear(fused, units), *self._activation(units))
        self.classify = nn.Linear(units, n_classes)
        self.apply(glorot)  # no initialisation is named

    def _scaled(self, units: int) -> int:
        return max(1, round(units * self.width))

    def _activation(self, units: int) -> list[nn.Module]:
        return [BatchNorm1d(units), nn.ReLU()] if self.dense_norm else [nn.ReLU()]

    def _branch(self, inputs: int, units: Sequence[int]) -> nn.Sequential:
        """Return dense layers of ``units``, each with its normalisation and ReLU (Sect. 3.2)."""
        layers: list[nn.Module] = []
        for printed in units:
            count = self._scaled(printed)
            layers += [nn.Linear(inputs, count), *self._activation(count)]
            if self.dropout and printed == 4096:
                layers.append(Dropout(self.dropout))
            inputs = count
        return nn.Sequential(*layers)

    @property
    def last_convolution(self) -> nn.Module:
        """The third convolution, where Grad-CAM looks."""
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
        """Return logits ``(B, n_classes)`` of float images ``(B, 1, 48, 48)``, landmarks and HOG.

        A modality that the network lacks is ignored.
        """
        parts = torch.stack(list(self.features(images, landmarks, hog).values()), dim=1)  # (B, 3, 128)
        fused = parts.flatten(1)  # (B, 384)
        if self.fusion == "scalar_mean":
            fused = fused.mean(1, keepdim=True)  # (B, 1)
        return self.classify(self.hidden(fused))

    @torch.no_grad()
    def attention(self, images: Tensor) -> list[Tensor]:
        """Return CBAM's spatial map ``(B, H, W)`` of every stage that has one."""
        found = []
        for layer in (layer for stage in self.stages for layer in stage):
            if isinstance(layer, CBAM):
                found.append(layer.spatial_map(images * layer.channel_map(images)).squeeze(1))
            images = layer(images)
        return found


def _stage(inputs: int, filters: int, attention: CBAM | None, position: str) -> nn.Sequential:
    """Return convolution, normalisation, ReLU and pool, with the attention module at its place."""
    one_of(position, CBAM_POSITIONS, "cbam_position")
    layers: list[tuple[str, nn.Module]] = [
        ("conv", nn.Conv2d(inputs, filters, 3, padding=1)),
        ("norm", nn.BatchNorm2d(filters)),
        ("relu", nn.ReLU()),
        ("pool", nn.MaxPool2d(2)),
    ]
    if attention is not None:
        place = {"before_relu": 2, "before_pool": 3, "after_pool": 4}[position]
        layers.insert(place, ("cbam", attention))
    return nn.Sequential(OrderedDict(layers))
