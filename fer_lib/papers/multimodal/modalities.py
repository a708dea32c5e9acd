"""What the multimodal network reads of a face: image, landmark vector and HOG (paper ``multimodal``).

Under augmentation all three follow one geometric transform: the image and its landmarks are warped
together, and the HOG is that of the warped image (ambiguity ``augmentation_ranges``).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from fer_lib.errors import one_of
from fer_lib.features import hog
from fer_lib.features.geometry import Augmentation, warp_images, warp_points, xy
from fer_lib.learn.normalisation import Normalisation
from fer_lib.learn.training import Part
from fer_lib.papers.multimodal.network import MODALITIES

LANDMARK_NORMS = ("centred", "unit", "face")
AUGMENTATION = Augmentation(rotation=15, translation=0.1, mirror=0.5)
"""Sect. 4.1 names translation, rotation and others without ranges; these are the recommended ones."""

MIRRORED = (
    *(*range(16, -1, -1), *range(26, 16, -1), *range(27, 31), *range(35, 30, -1)),  # jaw, brows, nose
    *(45, 44, 43, 42, 47, 46, 39, 38, 37, 36, 41, 40),  # eyes
    *(*range(54, 47, -1), *range(59, 54, -1), *range(64, 59, -1), *range(67, 64, -1)),  # mouth
)
"""For each of the 68 points, the one that takes its place in a mirrored face."""


def landmark_vectors(
    points: Tensor, size: tuple[int, int], mean_face: Tensor, norm: str = "centred"
) -> Tensor:
    """Return landmarks ``(B, P, 2)`` as the vectors ``(B, 2 P)`` that the LNN reads, float32: x, y, x, y, ...

    ``size`` is the image's height and width, ``mean_face`` ``(P, 2)`` that of the training part, in pixels.
    By ``norm`` the vectors are less the mean face and divided by half the image's size (``"centred"``);
    divided by the image's size (``"unit"``); or each face about its own centre and by its own size (root mean
    square distance from the centre), less those of the mean face (``"face"``).

    Coordinates that all lie far from zero ("unit") make the means that batch normalisation follows run away
    from those that it remembers: the training loss falls, and test accuracy swings from epoch to epoch.
    """

    def shape(points: Tensor) -> Tensor:
        points = points - points.mean(1, keepdim=True)
        return points / points.square().sum(2).mean(1).sqrt().clamp_min(1e-6)[:, None, None]

    one_of(norm, LANDMARK_NORMS, "landmark_norm")
    height, width = size
    if norm == "unit":
        points = (points + 0.5) / xy(width, height, points)
    elif norm == "centred":
        points = (points - mean_face) / xy(width / 2, height / 2, points)
    else:
        points = shape(points) - shape(mean_face[None])
    return points.flatten(1).float()


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

    The image is normalised after it was warped. The input of a modality that is not among ``modalities`` has
    no columns.
    """

    normalise: Normalisation
    mean_face: Tensor
    modalities: Sequence[str] = MODALITIES
    augmentation: Augmentation | None = None
    landmark_norm: str = "centred"  # see landmark_vectors
    hog: str = "standard"  # see fer_lib.features.hog.describe

    @property
    def statistics(self) -> dict[str, Tensor]:
        """What was learnt of the training part."""
        return self.normalise.statistics | {"mean_face": self.mean_face}

    def __call__(self, batch: Part, training: bool = False) -> tuple[Tensor, Tensor, Tensor]:
        """Return images ``(B, 1, H, W)``, landmark vectors ``(B, 136)`` and HOG ``(B, L)``, float32."""
        images, points = batch.images.float(), batch.extra[0]  # (B, H, W), (B, 68, 2)
        if training and self.augmentation is not None:
            matrices = self.augmentation.matrices(len(images), *images.shape[1:], images.device)
            images = warp_images(images.unsqueeze(1), matrices).squeeze(1)
            points = warp_landmarks(points, matrices)
        vectors = gradients = images.new_empty(len(images), 0)
        if "landmarks" in self.modalities:
            vectors = landmark_vectors(points, images.shape[1:], self.mean_face, self.landmark_norm)
        if "hog" in self.modalities:
            gradients = hog.describe(images, self.hog)
        return self.normalise(images), vectors, gradients
