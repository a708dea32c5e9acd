"""Batched, on-device normalisation and augmentation, each sample with its own transform.

Augmentations return the affine matrices that they applied, so that landmarks follow their image.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from fer_lib.errors import one_of

NORMALISATIONS = ("image", "pixel", "global")


@dataclass(frozen=True)
class Normalisation:
    """Map uint8 images to floats of zero mean and unit variance.

    Attributes
    ----------
    mean, std : Tensor or None
        ``(H, W)`` statistics per pixel position or scalars over the training set; None means that
        each image is normalised by its own mean and deviation.
    """

    mean: Tensor | None = None
    std: Tensor | None = None

    @classmethod
    def fit(cls, images: Tensor, mode: str = "image", chunk: int = 4096) -> Normalisation:
        """Learn the statistics of ``mode`` from training images ``(N, H, W)`` uint8.

        ``image`` needs none; ``pixel`` takes them per pixel position, ``global`` over all pixels.
        """
        one_of(mode, NORMALISATIONS, "normalisation")
        if mode == "image":
            return cls()
        total = torch.zeros(images.shape[1:], dtype=torch.float64)
        squares = torch.zeros_like(total)
        for part in images.split(chunk):
            values = part.to("cpu", torch.float64)
            total += values.sum(0)
            squares += values.square().sum(0)
        mean, square = total / len(images), squares / len(images)
        if mode == "global":
            mean, square = mean.mean(), square.mean()
        std = (square - mean.square()).clamp_min(1e-12).sqrt().clamp_min(1.0)
        return cls(mean.float().to(images.device), std.float().to(images.device))

    def __call__(self, images: Tensor) -> Tensor:
        """Return ``(B, 1, H, W)`` float32 from ``(B, H, W)`` uint8; a constant image becomes zero."""
        x = images.float()
        if self.mean is not None:
            return ((x - self.mean) / self.std).unsqueeze(1)
        # A grey level is the smallest deviation that carries anything; it also spares constant images.
        std, mean = torch.std_mean(x, dim=(1, 2), correction=0, keepdim=True)
        return ((x - mean) / std.clamp_min(1.0)).unsqueeze(1)


@dataclass(frozen=True)
class Augmentation:
    """Random rotation, scale, translation and mirroring, drawn anew for every sample.

    Attributes
    ----------
    rotation : float
        Largest angle in degrees; angles are uniform in ``[-rotation, rotation]``.
    translation : float
        Largest shift as a fraction of the image's side, uniform in each axis.
    scale : float
        Largest relative change of size; factors are uniform in ``[1 - scale, 1 + scale]``.
    mirror : float
        Probability of a left-right flip. Landmark *indices* are not exchanged.
    """

    rotation: float = 0.0
    translation: float = 0.0
    scale: float = 0.0
    mirror: float = 0.0

    def matrices(self, n: int, height: int, width: int, device: torch.device | str = "cpu") -> Tensor:
        """Draw ``(n, 2, 3)`` matrices that map source pixels (x, y, 1) to output pixels."""
        u = torch.rand(n, 5, device=device) * 2 - 1
        angle = u[:, 0] * math.radians(self.rotation)
        scale = 1 + u[:, 1] * self.scale
        shift = u[:, 2:4] * self.translation * xy(width, height, u)
        flip = 1 - 2 * (u[:, 4] < 2 * self.mirror - 1).float()
        cos, sin = scale * torch.cos(angle), scale * torch.sin(angle)
        linear = torch.stack([cos * flip, -sin, sin * flip, cos], dim=1).view(n, 2, 2)
        centre = xy((width - 1) / 2, (height - 1) / 2, u)
        offset = centre + shift - (linear @ centre.expand(n, 2).unsqueeze(2)).squeeze(2)
        return torch.cat([linear, offset.unsqueeze(2)], dim=2)

    def __call__(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Return transformed images ``(B, C, H, W)`` float and their matrices ``(B, 2, 3)``."""
        n, _, height, width = images.shape
        matrix = self.matrices(n, height, width, images.device)
        return warp_images(images, matrix), matrix


MILD = Augmentation(rotation=10, translation=0.08, scale=0.1, mirror=0.5)


def xy(x: float, y: float, like: Tensor) -> Tensor:
    """Return ``(2,)`` like ``like``, filled on its device: a copy from the host would wait for it."""
    pair = like.new_full((2,), y)
    pair[:1].fill_(x)
    return pair


def warp_images(images: Tensor, matrix: Tensor) -> Tensor:
    """Apply ``(B, 2, 3)`` pixel matrices to ``(B, C, H, W)`` float images, bilinearly.

    What comes from outside the image repeats its border.
    """
    _, _, height, width = images.shape
    # grid_sample wants, for every output pixel, its source in coordinates that run from -1 to 1.
    size = xy(width, height, matrix)
    inverse = torch.linalg.inv_ex(matrix[:, :, :2]).inverse  # asks the device for no verdict, as inv does
    offset = -(inverse @ matrix[:, :, 2:]).squeeze(2)
    linear = inverse * (size[None, None, :] / size[None, :, None])
    centre = (size - 1) / 2
    shift = ((inverse @ centre.expand(len(matrix), 2).unsqueeze(2)).squeeze(2) + offset - centre) * 2 / size
    theta = torch.cat([linear, shift.unsqueeze(2)], dim=2).to(images.dtype)
    grid = F.affine_grid(theta, list(images.shape), align_corners=False)
    return F.grid_sample(images, grid, padding_mode="border", align_corners=False)


def warp_points(points: Tensor, matrix: Tensor) -> Tensor:
    """Apply ``(B, 2, 3)`` pixel matrices to points ``(B, P, 2)`` in pixels (x, y)."""
    return points @ matrix[:, :, :2].transpose(1, 2) + matrix[:, None, :, 2]
