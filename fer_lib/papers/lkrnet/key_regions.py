"""The key regions of LKRNet: a weighted mask around five landmarks, which follows crop and flip.

Sect. 3.1 of the paper ``lkrnet``: a rectangle around each landmark, alpha times as wide and high as the
face's box (Eqs. 1 and 2), weighs 1 at the landmark and falls linearly to 0 at its corners (Eq. 3). What the
masks are made of travels with every image as *geometry*, ``(6, 2)``: the five points (x, y) and the
face's width and height, in pixels; a point counts pixel centres.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from fer_lib.data.corpus import Corpus
from fer_lib.errors import FerError, one_of
from fer_lib.faces import eyes
from fer_lib.features.geometry import xy
from fer_lib.learn.normalisation import Normalisation
from fer_lib.learn.training import Part

TEST_CROPS = ("centre", "mirror", "ten")
SIZE, CROP = 48, 44  # of faces and of their crops in pixels (Sect. 4.2)
BLOCK, MOST_BLOCKS = 3, 3  # side of a black block in pixels (Sect. 4.2), and how many an image has at most


@dataclass(frozen=True)
class KeyRegions:
    """Draws masks of regions ``alpha`` times as wide and high as the face; of two weights the larger holds.

    Masks are down-sampled by averages over cells that divide the whole image (``resize="area"``), or over the
    pixels that the network's pools leave to each cell (``"as_maps"``). Pools round down, so the two differ
    wherever a side is odd.
    """

    alpha: float = 0.3
    resize: str = "area"

    def __call__(self, geometry: Tensor, size: int, cells: int) -> Tensor:
        """Return the masks ``M(p)`` down-sampled to the feature maps, ``(B, 1, cells, cells)`` in [0, 1].

        ``size`` is the side of the image that ``geometry`` ``(B, 6, 2)`` refers to; without landmarks (NaN)
        all values are 1.
        """
        masks = self.draw(geometry, size)
        if self.resize == "area":
            return F.adaptive_avg_pool2d(masks, cells)
        while masks.shape[-1] > cells:
            masks = F.avg_pool2d(masks, 2)  # of an odd side the last place falls away
        return masks

    def draw(self, geometry: Tensor, size: int) -> Tensor:
        """Return the weights of Eq. (3), ``(B, 1, size, size)``."""
        places = torch.arange(size, device=geometry.device)
        points, half = geometry[:, :5], geometry[:, None, 5] * self.alpha / 2  # (B, 5, 2), (B, 1, 2)
        dx = places - points[:, :, :1]  # (B, 5, size)
        dy = places - points[:, :, 1:]
        inside = (dy.abs() <= half[:, :, 1:])[:, :, :, None] & (dx.abs() <= half[:, :, :1])[:, :, None, :]
        distance = (dy.square()[:, :, :, None] + dx.square()[:, :, None, :]).sqrt()
        corner = half.square().sum(2).sqrt()[:, :, None, None]
        mask = ((1 - distance / corner).clamp_min(0) * inside).amax(1, keepdim=True)  # (B, 1, size, size)
        # Of a face without landmarks nothing is known to be unimportant.
        return torch.where(geometry.isnan().any((1, 2))[:, None, None, None], torch.ones_like(mask), mask)


@dataclass(frozen=True)
class KeyRegionFeed:
    """Makes LKRNet's inputs: cropped, flipped and blotted faces with the masks that belong to them.

    A test image is seen by its ``centre``, by that and its mirror image (``mirror``), or by the corners and
    the centre, each also mirrored (``ten``).
    """

    normalise: Normalisation
    regions: KeyRegions
    cells: int  # side of the masks: the network's map_size
    test_crop: str = "centre"

    def __post_init__(self) -> None:
        one_of(self.test_crop, TEST_CROPS, "test_crop")

    def __call__(self, batch: Part, training: bool) -> tuple[Tensor, Tensor]:
        """Return images ``(B, 1, 44, 44)`` and masks ``(B, 1, cells, cells)``, float32.

        The part's first ``extra`` is the geometry ``(N, 6, 2)``. Several views add an axis after the first.
        """
        n, (height, width), device = len(batch), batch.images.shape[1:], batch.images.device
        room = xy(height - CROP, width - CROP, batch.labels)  # of rows and columns
        if training:
            corners = (torch.rand(n, 2, device=device) * (room + 1)).long()
            return self._view(batch, corners, torch.rand(n, device=device) < 0.5, training)  # Sect. 4.2
        places = [room // 2]
        if self.test_crop == "ten":
            places = [room * room.new_tensor(place) for place in product((0, 1), repeat=2)] + places
        flips = (False,) if self.test_crop == "centre" else (False, True)
        views = [
            self._view(batch, place.expand(n, 2), torch.full((n,), flip, device=device), training)
            for place, flip in product(places, flips)
        ]
        if len(views) == 1:
            return views[0]
        return tuple(torch.stack(part, dim=1) for part in zip(*views, strict=True))

    def _view(self, batch: Part, corners: Tensor, mirrored: Tensor, training: bool) -> tuple[Tensor, Tensor]:
        images, geometry = cut(batch.images, batch.extra[0], corners, mirrored, CROP)
        x = self.normalise(blot(images) if training else images)
        return x, self.regions(geometry, CROP, self.cells)


def cut(
    images: Tensor, geometry: Tensor, corners: Tensor, mirrored: Tensor, crop: int
) -> tuple[Tensor, Tensor]:
    """Cut a square out of each image ``(B, H, W)``, mirror some, and move their geometry ``(B, 6, 2)`` along.

    ``corners`` int64 ``(B, 2)`` are the top row and left column, ``mirrored`` is bool ``(B,)``.
    """
    along = torch.arange(crop, device=images.device)
    rows = corners[:, :1] + along  # (B, crop)
    columns = corners[:, 1:] + torch.where(mirrored[:, None], crop - 1 - along, along)
    each = torch.arange(len(images), device=images.device)[:, None, None]
    points = geometry[:, :5] - corners.flip(1)[:, None]
    x = torch.where(mirrored[:, None], crop - 1 - points[:, :, 0], points[:, :, 0])
    there = torch.cat([torch.stack([x, points[:, :, 1]], dim=2), geometry[:, 5:]], dim=1)
    return images[each, rows[:, :, None], columns[:, None, :]], there


def blot(images: Tensor) -> Tensor:
    """Set one to three random blocks of 3x3 pixels of each image ``(B, H, W)`` to 0."""
    n, device = len(images), images.device
    top, left = (
        (torch.rand(n, MOST_BLOCKS, 1, device=device) * (side - BLOCK + 1)).long()
        for side in images.shape[1:]
    )
    drawn = 1 + (torch.rand(n, 1, device=device) * MOST_BLOCKS).long()
    there = (torch.arange(MOST_BLOCKS, device=device) < drawn)[:, :, None]  # (B, blocks, 1)
    rows, columns = (torch.arange(side, device=device) for side in images.shape[1:])
    in_row = (rows >= top) & (rows < top + BLOCK) & there  # (B, blocks, H)
    in_column = (columns >= left) & (columns < left + BLOCK)
    return images.masked_fill((in_row[:, :, :, None] & in_column[:, :, None, :]).any(1), 0)


def geometry_of(corpus: Corpus, size: int = SIZE) -> tuple[np.ndarray, np.ndarray]:
    """Return each face's geometry float32 ``(N, 6, 2)``, and whether it is known (else NaN), bool ``(N,)``.

    Of 68 landmarks, MTCNN's five points and the face's extent are taken; with five, the sides are those that
    :func:`fer_lib.faces.annotate` found. The geometry is in pixels of the images at a side of ``size``.
    """
    count = None if corpus.landmarks is None else corpus.landmarks.shape[1]
    if count == 68:
        points = np.concatenate([eyes(corpus.landmarks), corpus.landmarks[:, [30, 48, 54]]], axis=1)
        high, low = corpus.landmarks.max(1), corpus.landmarks.min(1)
        # The 68 points end at the brows; a detector's box goes on to about the middle of the forehead.
        sides = (high - low) * [1.0, 1.25]
    elif count == 5 and corpus.meta is not None and "face_width" in corpus.meta:
        points = corpus.landmarks
        sides = corpus.meta[["face_width", "face_height"]].to_numpy(np.float32)
    else:
        raise FerError('Key regions need landmarks: first faces.annotate(corpus, "mtcnn").')
    scale = size / np.array(corpus.images.shape[:0:-1], np.float32)  # width, height
    points, sides = (points + 0.5) * scale - 0.5, sides * scale
    geometry = np.concatenate([points, sides[:, None]], axis=1).astype(np.float32)
    found = np.isfinite(geometry).all((1, 2))
    if corpus.valid is not None:
        found &= corpus.valid
    geometry[~found] = np.nan
    return geometry, found


def filled(geometry: np.ndarray, train: np.ndarray) -> np.ndarray:
    """Return the geometry ``(N, 6, 2)`` with the mean face in place of those that were not found (NaN).

    It has the mean landmarks of the training images at ``train``, and the whole image as its box.
    """
    lost = np.isnan(geometry).any((1, 2))
    known = geometry[train][~lost[train]]
    if not len(known):
        raise FerError(
            "No face was found among the training images, so there is no mean face to fall back on."
        )
    mean = np.concatenate([known[:, :5].mean(0), [[SIZE, SIZE]]])
    return np.where(lost[:, None, None], mean, geometry).astype(np.float32)


def energy_inside(maps: np.ndarray, masks: np.ndarray) -> np.ndarray:
    """Return the share of each map's energy that lies inside the key regions, float64 ``(N,)`` in [0, 1].

    ``maps`` are not negative, ``(N, H, W)``; a pixel with any weight in ``masks`` is inside. NaN for a map
    without energy.
    """
    maps, inside = np.asarray(maps, np.float64), np.asarray(masks) > 0
    total = maps.sum((1, 2))
    share = (maps * inside).sum((1, 2))
    return np.divide(share, total, out=np.full(len(maps), np.nan), where=total > 0)


def constant_share(masks: np.ndarray) -> np.ndarray:
    """Return the share of each mask's energy that the best constant explains, float64 ``(N,)`` in [0, 1].

    It is 1 for a mask ``(H, W)`` that weighs all places alike, and NaN for an empty one.
    """
    masks = np.asarray(masks, np.float64)
    energy = (masks**2).mean((1, 2))
    return np.divide(masks.mean((1, 2)) ** 2, energy, out=np.full(len(masks), np.nan), where=energy > 0)
