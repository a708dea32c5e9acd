"""Affine maps in pixels: drawn at random, fitted to the eyes, put together, applied to images and points.

A map is a matrix ``(2, 3)`` that takes source pixels (x, y, 1) to output pixels, where the centre of the
upper left pixel is (0, 0). All functions take batches ``(B, 2, 3)`` and compute on their device.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

# Reach of a face from the middle of its eyes, in half eye distances. Lopes et al. (Pattern Recognition 61,
# 2017), whom paper cspp follows, print 1.3, 3.2 and a width of 2.4 (ambiguity augmentation_noise). We read
# 2.4 as the reach to either side: as the whole width it would cut through both eyes, and a crop of 2.4 x 4.5
# would be stretched into a square.
ABOVE, BELOW, BESIDE = 1.3, 3.2, 2.4


@dataclass(frozen=True)
class Augmentation:
    """Random rotation, scale, translation and mirroring, drawn anew for every sample, uniformly."""

    rotation: float = 0.0  # degrees to either side
    translation: float = 0.0  # part of the image's side, in each axis
    scale: float = 0.0  # sizes are 1 - scale to 1 + scale
    mirror: float = 0.0  # probability of a left-right flip

    def matrices(self, n: int, height: int, width: int, device: torch.device | str = "cpu") -> Tensor:
        """Draw ``n`` maps ``(n, 2, 3)`` for images of ``height`` x ``width`` pixels."""
        u = torch.rand(n, 5, device=device) * 2 - 1
        return rotations(
            u[:, 0] * math.radians(self.rotation),
            xy((width - 1) / 2, (height - 1) / 2, u).expand(n, 2),
            mirrored=(u[:, 4] < 2 * self.mirror - 1).float(),
            scale=1 + u[:, 1] * self.scale,
            shift=u[:, 2:4] * self.translation * xy(width, height, u),
        )

    def __call__(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Return transformed images ``(B, C, H, W)`` float and the maps ``(B, 2, 3)`` that were drawn."""
        matrices = self.matrices(len(images), *images.shape[2:], images.device)
        return warp_images(images, matrices), matrices


MILD = Augmentation(rotation=10, translation=0.08, scale=0.1, mirror=0.5)


def rotations(
    angle: Tensor, centre: Tensor, mirrored: Tensor, scale: Tensor | float = 1.0, shift: Tensor | float = 0.0
) -> Tensor:
    """Return maps ``(B, 2, 3)`` that mirror, turn and scale about a point, then shift it.

    ``angle`` ``(B,)`` is in radians, clockwise as seen in the image; ``centre`` ``(B, 2)`` or ``(2,)`` and
    ``shift`` ``(B, 2)`` are in pixels (x, y); ``mirrored`` ``(B,)`` is 1.0 where left and right swap.
    """
    cos, sin, side = scale * torch.cos(angle), scale * torch.sin(angle), 1 - 2 * mirrored
    linear = torch.stack([cos * side, -sin, sin * side, cos], dim=1).view(-1, 2, 2)
    return _joined(linear, centre + shift - _applied(linear, centre))


def eye_matrices(
    eyes: Tensor, size: int, above: float = ABOVE, below: float = BELOW, beside: float = BESIDE
) -> Tensor:
    """Return the maps ``(B, 2, 3)`` that turn faces level and crop them to a square by their eyes.

    ``eyes`` ``(B, 2, 2)`` float are the centres (x, y) in pixels of the left and the right eye as seen in the
    image. The crop reaches ``above``, ``below`` and ``beside`` from the middle of the eyes, in half distances
    between them; width and height are each scaled to ``size`` pixels. Maps are NaN where an eye is, or where
    both are in one place.
    """
    middle, half = eyes.mean(1), (eyes[:, 1] - eyes[:, 0]) / 2  # (B, 2) each
    # The unit vector along the eyes, divided by half their distance, measures in half eye distances.
    along = half / half.square().sum(1, keepdim=True)
    down = torch.stack([-along[:, 1], along[:, 0]], dim=1)
    x_scale, y_scale = size / (2 * beside), size / (above + below)
    linear = torch.stack([along * x_scale, down * y_scale], dim=1)  # (B, 2, 2)
    # The square's upper left corner is the corner of pixel (0, 0), half a pixel from its centre.
    corner = xy(beside * x_scale - 0.5, above * y_scale - 0.5, eyes)
    return _joined(linear, corner - _applied(linear, middle))


def enlargement(times: Tensor) -> Tensor:
    """Return the maps ``(B, 2, 3)`` to images that are ``times`` ``(B,)`` as large."""
    linear = times[:, None, None] * torch.eye(2, dtype=times.dtype, device=times.device)
    return _joined(linear, ((times - 1) / 2)[:, None].expand(-1, 2))


def fitted(height: int, width: int, size: int) -> Tensor:
    """Return the map ``(2, 3)`` of a whole image to the middle of a square of ``size`` pixels, float32."""
    scale = size / max(height, width)
    x, y = ((size - 1) / 2 - scale * (side - 1) / 2 for side in (width, height))
    return torch.tensor([[scale, 0, x], [0, scale, y]])


def compose(first: Tensor, second: Tensor) -> Tensor:
    """Return the maps ``(B, 2, 3)`` that apply ``first`` and then ``second``."""
    linear = second[:, :, :2] @ first[:, :, :2]
    return _joined(linear, _applied(second[:, :, :2], first[:, :, 2]) + second[:, :, 2])


def invert(matrices: Tensor) -> Tensor:
    """Return the maps ``(B, 2, 3)`` from output pixels back to source pixels."""
    linear = torch.linalg.inv_ex(matrices[:, :, :2]).inverse  # asks the device for no verdict, as inv does
    return _joined(linear, -_applied(linear, matrices[:, :, 2]))


def warp_points(points: Tensor, matrices: Tensor) -> Tensor:
    """Apply maps ``(B, 2, 3)`` to points ``(B, P, 2)`` in pixels (x, y)."""
    return points @ matrices[:, :, :2].transpose(1, 2) + matrices[:, None, :, 2]


def warp_images(images: Tensor, matrices: Tensor, size: int | None = None) -> Tensor:
    """Apply maps ``(B, 2, 3)`` to float images ``(B, C, H, W)``, bilinearly.

    What comes from outside the image repeats its border. The result is as large as the image, or a square
    of ``size`` pixels; it is sampled, not averaged, so maps that shrink much make aliases.
    """
    n, channels, height, width = images.shape
    inverse = invert(matrices)
    linear, offset = inverse[:, :, :2], inverse[:, :, 2]
    # grid_sample wants, for every output pixel, its source in coordinates that run from -1 to 1. Either sum
    # is the same map; each is kept in its order, as another would round otherwise than in recorded runs.
    source = xy(width, height, matrices)
    if size is None:
        centre = (source - 1) / 2
        shift = (_applied(linear, centre.expand(n, 2)) + offset - centre) * 2 / source
        linear = linear * (source[None, None, :] / source[None, :, None])
    else:
        height = width = size
        shift = (2 * ((size - 1) / 2 * linear.sum(2) + offset) + 1) / source - 1
        linear = linear * size / source[:, None]
    grid = F.affine_grid(
        _joined(linear, shift).to(images.dtype), [n, channels, height, width], align_corners=False
    )
    return F.grid_sample(images, grid, padding_mode="border", align_corners=False)


def xy(x: float, y: float, like: Tensor) -> Tensor:
    """Return ``(2,)`` like ``like``, filled on its device: a copy from the host would wait for it."""
    pair = like.new_full((2,), y)
    pair[:1].fill_(x)
    return pair


def _applied(linear: Tensor, vectors: Tensor) -> Tensor:
    """Return ``(B, 2)``: matrices ``(B, 2, 2)`` times vectors ``(B, 2)`` or one vector ``(2,)``."""
    return (linear @ vectors.unsqueeze(-1)).squeeze(-1)


def _joined(linear: Tensor, offset: Tensor) -> Tensor:
    """Return ``(B, 2, 3)`` of linear parts ``(B, 2, 2)`` and offsets ``(B, 2)``."""
    return torch.cat([linear, offset.unsqueeze(2)], dim=2)
