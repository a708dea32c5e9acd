"""Lopes's synthetic samples: noise on the eyes' positions, hence faces turned, scaled and shifted a little.

A face is aligned by its two eyes. Gaussian noise on where they are (Lopes et al.; Sect. 4.1 of ``cspp``)
moves it as a detector's errors do. The corpus stays on the device at a working size; every batch is aligned,
with noise while training, and its intensity normalised, so that 70 samples per image cost no memory.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from fer_lib.errors import FerError
from fer_lib.faces import crop, local_contrast
from fer_lib.features.geometry import ABOVE, BELOW, BESIDE, eye_matrices, warp_images
from fer_lib.learn.normalisation import Normalisation
from fer_lib.learn.training import Part

EYE_DISTANCE = 100.0  # pixels between the eye centres on a CK+ frame, about: noise is given at this scale
MARGIN = 0.25  # of the cut's side, kept around it in a working image: noise of 5 sigma stays inside
SIZE = 48  # of the faces in pixels
WORKING = 96  # pixels; the cut has 64 of them, so that an output of 48 is never enlarged
INTENSITIES = (
    "local_contrast",
    "equalise",
    "standardise",
)  # by neighbourhood, histogram, or mean and variance


def equalise(images: Tensor) -> Tensor:
    """Equalise the histogram of each image ``(B, 1, H, W)`` in grey levels; the result is in [-1, 1]."""
    levels = images.flatten(1).round().clamp(0, 255).long()  # (B, H * W)
    counts = torch.zeros(len(images), 256, device=images.device)
    counts.scatter_add_(1, levels, torch.ones_like(levels, dtype=counts.dtype))
    below = counts.cumsum(1)
    darkest = below.gather(1, levels.amin(1, keepdim=True))  # how many pixels share the lowest level
    ranks = (below.gather(1, levels) - darkest) / (levels.shape[1] - darkest).clamp_min(1)
    return (2 * ranks - 1).view_as(images)


@dataclass(frozen=True)
class EyeFeed:
    """Aligned, intensity-normalised faces of a batch: a feed for :func:`fer_lib.learn.training.fit`.

    The part's ``extra`` holds the eyes ``(B, 2, 2)`` in pixels and, for a :class:`NoisyPart`, the noise to
    add to them while training. A part without ``extra`` holds aligned faces already. ``intensity`` is one of
    :data:`INTENSITIES`.
    """

    intensity: str = "local_contrast"

    def __call__(self, batch: Part, training: bool) -> tuple[Tensor]:
        """Return ``(B, 1, 48, 48)`` float."""
        faces = self.faces(batch, training)
        if self.intensity == "standardise":
            return (Normalisation()(faces.squeeze(1)),)
        return (local_contrast(faces) if self.intensity == "local_contrast" else equalise(faces),)

    def faces(self, batch: Part, noise: bool) -> Tensor:
        """Return the aligned faces in grey levels, ``(B, 1, 48, 48)`` float, with or without noise."""
        images = batch.images.unsqueeze(1).float()
        if not batch.extra:
            return images
        eyes, *offsets = batch.extra
        if noise and offsets:
            eyes = eyes + offsets[0]
        return warp_images(images, eye_matrices(eyes, SIZE), SIZE)


@dataclass(frozen=True)
class NoisyPart(Part):
    """A training part in which every image occurs once as it is and ``copies`` times with noise on its eyes.

    The noise is drawn anew at every visit; ``sigma`` is its deviation in pixels of a face whose eyes are
    :data:`EYE_DISTANCE` apart.
    """

    copies: int = 70  # Sect. 4.1
    sigma: float = 3.0

    def __len__(self) -> int:
        return len(self.labels) * (1 + self.copies)

    def take(self, index: Tensor) -> Part:
        """Return the samples at ``index``: sample ``i`` is copy ``i // N`` of image ``i % N``."""
        image, copy = index % len(self.labels), index // len(self.labels)
        eyes = self.extra[0][image]
        distance = (eyes[:, 1] - eyes[:, 0]).norm(dim=1)
        noise = torch.randn_like(eyes) * (self.sigma / EYE_DISTANCE * distance * (copy > 0))[:, None, None]
        return Part(self.images[image], self.labels[image], (eyes, noise))


def working_images(images: np.ndarray, eyes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Cut faces with a margin out of photographs, upright or not, at a size that a device can hold.

    ``images`` are uint8 (N, H, W) and ``eyes`` as :func:`fer_lib.faces.eyes` returns them; where they are NaN
    the median position of the others is taken. Returned are uint8 (N, 96, 96) and the eyes in them,
    float32 (N, 2, 2). FerError if no eyes were found at all, or both eyes of a face coincide.
    """
    eyes = np.asarray(eyes, np.float64)
    found = np.isfinite(eyes).all((1, 2))
    if not found.any():
        raise FerError(
            "No eyes were found in any image, so no face can be aligned; try another eye_detector."
        )
    eyes = np.where(found[:, None, None], eyes, np.median(eyes[found], axis=0))
    half = np.linalg.norm(eyes[:, 1] - eyes[:, 0], axis=1) / 2
    if not half.min() > 0:
        raise FerError("Both eyes of a face lie in one place, so the face cannot be aligned.")
    side = half * 2 * BESIDE * (1 + 2 * MARGIN)
    across = (eyes[:, 1] - eyes[:, 0]) / (2 * half[:, None])
    down = np.stack([-across[:, 1], across[:, 0]], axis=1)
    centre = eyes.mean(1) + down * (half * (BELOW - ABOVE) / 2)[:, None]
    corner = centre + 0.5 - side[:, None] / 2  # edges count from the corner of the first pixel
    boxes = np.column_stack([corner, side, side])
    cut = crop(images, boxes, WORKING)
    inside = (eyes + 0.5 - corner[:, None]) * (WORKING / side)[:, None, None] - 0.5
    return cut, inside.astype(np.float32)
