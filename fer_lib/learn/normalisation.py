"""Grey levels made into floats of zero mean and unit variance, in batches on their device."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from fer_lib.errors import one_of

NORMALISATIONS = ("image", "pixel", "global")


@dataclass(frozen=True)
class Normalisation:
    """Map uint8 images to floats by the ``mean`` and ``std`` of training images, or each by its own.

    The statistics are ``(H, W)`` per pixel position or scalars over the training set.
    """

    mean: Tensor | None = None
    std: Tensor | None = None

    @classmethod
    def fit(cls, images: Tensor, mode: str = "image") -> Normalisation:
        """Learn the statistics of ``mode`` from training images ``(N, H, W)`` uint8.

        ``image`` needs none; ``pixel`` takes them per pixel position, ``global`` over all pixels.
        """
        one_of(mode, NORMALISATIONS, "normalisation")
        if mode == "image":
            return cls()
        total = torch.zeros(images.shape[1:], dtype=torch.float64)
        squares = torch.zeros_like(total)
        for part in images.split(4096):
            values = part.to("cpu", torch.float64)
            total += values.sum(0)
            squares += values.square().sum(0)
        mean, square = total / len(images), squares / len(images)
        if mode == "global":
            mean, square = mean.mean(), square.mean()
        std = (square - mean.square()).clamp_min(1e-12).sqrt().clamp_min(1.0)
        return cls(mean.float().to(images.device), std.float().to(images.device))

    @property
    def statistics(self) -> dict[str, Tensor]:
        """What was learnt of the training images: ``mean`` and ``std``, or nothing."""
        return {} if self.mean is None else {"mean": self.mean, "std": self.std}

    def __call__(self, images: Tensor) -> Tensor:
        """Return ``(B, 1, H, W)`` float32 from ``(B, H, W)`` uint8; a constant image becomes zero."""
        x = images.float()
        if self.mean is not None:
            return ((x - self.mean) / self.std).unsqueeze(1)
        # A grey level is the smallest deviation that carries anything; it also spares constant images.
        std, mean = torch.std_mean(x, dim=(1, 2), correction=0, keepdim=True)
        return ((x - mean) / std.clamp_min(1.0)).unsqueeze(1)
