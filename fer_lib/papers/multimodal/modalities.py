"""What the multimodal network reads of a face: image, landmark vector and HOG (paper ``multimodal``).

Under augmentation all three follow one geometric transform: the image and its landmarks are warped
together, and the HOG is that of the warped image (ambiguity ``augmentation_ranges``).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from fer_lib.errors import FerError, one_of
from fer_lib.features import hog
from fer_lib.features.geometry import Augmentation, warp_images, warp_points, xy
from fer_lib.learn.normalisation import Normalisation
from fer_lib.learn.training import Part
from fer_lib.papers.multimodal.network import MODALITIES, chosen

LANDMARK_NORMS = ("unit", "pixels", "face")
AUGMENTATION = Augmentation(rotation=15, translation=0.1, mirror=0.5)
"""Sect. 4.1 names translation, rotation and others without ranges; these are the recommended ones."""


def _mirrored_order() -> tuple[int, ...]:
    """Return, for each of the 68 points, the one that takes its place in a mirrored face."""
    order = list(range(68))
    reversals = [range(17), range(17, 27), range(31, 36), range(48, 55), range(55, 60), range(60, 65)]
    reversals += [range(65, 68)]
    for points in reversals:
        order[points.start : points.stop] = reversed(points)
    for right, left in ((36, 45), (37, 44), (38, 43), (39, 42), (40, 47), (41, 46)):
        order[right], order[left] = left, right
    return tuple(order)


MIRRORED = _mirrored_order()


def mean_face(landmarks: np.ndarray, valid: np.ndarray | None = None) -> Tensor:
    """Return the mean of the landmarks that are known, ``(68, 2)`` float32 in pixels.

    Parameters
    ----------
    landmarks : float (N, 68, 2)
        Of the training part, NaN where detection failed.
    valid : bool (N,), optional
        Further samples to leave out.

    Raises
    ------
    FerError
        If no sample has landmarks.
    """
    known = np.isfinite(landmarks).all((1, 2))
    if valid is not None:
        known &= valid
    if not known.any():
        raise FerError("No training image has landmarks, so there is no mean face; check the face detector.")
    return torch.as_tensor(landmarks[known].mean(0, dtype=np.float64), dtype=torch.float32)


def landmark_vectors(points: Tensor, size: tuple[int, int], norm: str = "unit") -> Tensor:
    """Return landmarks as the vectors that the LNN reads.

    Parameters
    ----------
    points : Tensor
        ``(B, P, 2)`` float, (x, y) in pixels, all known.
    size : tuple of int
        Height and width of the image.
    norm : {"unit", "pixels", "face"}
        Divided by the image's size, so that what lies in the image lies in [0, 1]; as they are; or
        centred on the face and divided by its size (root mean square distance from the centre).

    Returns
    -------
    Tensor
        ``(B, 2 P)`` float32: x and y of the first point, then of the next.
    """
    one_of(norm, LANDMARK_NORMS, "landmark_norm")
    if norm == "unit":
        height, width = size
        points = (points + 0.5) / xy(width, height, points)
    elif norm == "face":
        points = points - points.mean(1, keepdim=True)
        spread = points.square().sum(2).mean(1).sqrt().clamp_min(1e-6)
        points = points / spread[:, None, None]
    return points.flatten(1).float()


def fill_in(points: Tensor, face: Tensor) -> Tensor:
    """Return landmarks ``(B, 68, 2)`` with those of ``face`` ``(68, 2)`` where any coordinate is NaN."""
    known = points.isfinite().all(2).all(1)
    return torch.where(known[:, None, None], points, face.to(points))


def warp_landmarks(points: Tensor, matrices: Tensor) -> Tensor:
    """Apply ``(B, 2, 3)`` matrices to the 68 points ``(B, 68, 2)`` of each face.

    In a mirrored face left and right change places: its 68 points are put back in the usual order.
    """
    warped = warp_points(points, matrices)
    mirrored = torch.det(matrices[:, :, :2]) < 0
    return torch.where(mirrored[:, None, None], warped[:, list(MIRRORED)], warped)


@dataclass(frozen=True)
class MultimodalFeed:
    """Make the network's inputs of a batch whose part holds the landmarks as its first ``extra``.

    Attributes
    ----------
    normalise : Normalisation
        Of the image, after it was warped.
    mean_face : Tensor
        ``(68, 2)`` float in pixels, for images without landmarks (:func:`mean_face`).
    modalities : tuple of str
        What is computed; the input of another modality has no columns.
    augmentation : Augmentation or None
        Drawn anew for every sample of a training batch.
    landmark_norm, hog
        See :func:`landmark_vectors` and :func:`fer_lib.features.hog.describe`.
    stale : bool
        Warp the image only, and give the landmarks and the HOG of the image as it was.
    """

    normalise: Normalisation
    mean_face: Tensor
    modalities: Sequence[str] = MODALITIES
    augmentation: Augmentation | None = None
    landmark_norm: str = "unit"
    hog: str = "standard"
    stale: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "modalities", chosen(self.modalities))
        one_of(self.landmark_norm, LANDMARK_NORMS, "landmark_norm")
        one_of(self.hog, hog.LAYOUTS, "hog layout")

    def __call__(self, batch: Part, training: bool = False) -> tuple[Tensor, Tensor, Tensor]:
        """Return images ``(B, 1, H, W)``, landmark vectors ``(B, 136)`` and HOG ``(B, L)``, float32."""
        images = batch.images.float()  # (B, H, W)
        points = fill_in(batch.extra[0], self.mean_face)  # (B, 68, 2)
        described = images
        if training and self.augmentation is not None:
            matrices = self.augmentation.matrices(len(images), *images.shape[1:], images.device)
            images = warp_images(images.unsqueeze(1), matrices).squeeze(1)
            if not self.stale:
                described, points = images, warp_landmarks(points, matrices)
        absent = images.new_empty(len(images), 0)
        vectors = absent
        if "landmarks" in self.modalities:
            vectors = landmark_vectors(points, images.shape[1:], self.landmark_norm)
        gradients = hog.describe(described, self.hog) if "hog" in self.modalities else absent
        return self.normalise(images), vectors, gradients


def expand(part: Part, augmentation: Augmentation, copies: int, seed: int = 0) -> Part:
    """Return the part followed by ``copies`` warped copies of it, drawn once (Sect. 4.1, offline reading).

    Parameters
    ----------
    part : Part
        Images uint8, and the landmarks ``(N, 68, 2)`` as ``extra``.
    copies : int
        29 makes 30 images of each together with the original; memory grows with it.

    Returns
    -------
    Part
        ``(1 + copies) N`` samples; pixels are rounded to whole grey levels.
    """
    images, points = [part.images], [part.extra[0]]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        for _ in range(copies):
            for index in torch.arange(len(part), device=part.images.device).split(4096):
                some = part.take(index)
                # Drawn on the CPU, so that every device makes the same copies.
                matrices = augmentation.matrices(len(some), *some.images.shape[1:]).to(index.device)
                warped = warp_images(some.images.float().unsqueeze(1), matrices).squeeze(1)
                images.append(warped.round_().clamp_(0, 255).byte())
                points.append(warp_landmarks(some.extra[0], matrices))
    return Part(torch.cat(images), part.labels.repeat(1 + copies), (torch.cat(points),))
