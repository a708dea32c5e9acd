"""The key regions of LKRNet: a weighted mask around five landmarks, which follows crop and flip.

Sect. 3.1 of the paper ``lkrnet``: a rectangle around each landmark, alpha times as wide and high as the
face's box (Eqs. 1 and 2), weighs 1 at the landmark and falls linearly to 0 at its corners (Eq. 3). What the
masks are made of travels with every image as *geometry*, ``(6, 2)``: the five points (x, y) and the
rectangles' full face width and height, in pixels; a point counts pixel centres.
"""

from __future__ import annotations

from dataclasses import dataclass

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

OVERLAPS, BORDERS = ("maximum", "sum", "last"), ("clip", "shift")
GRIDS, RESIZES = ("image", "feature"), ("area", "bilinear", "max", "as_maps")
FALLBACKS = ("mean", "drop", "ones")
BLOCKS = {"none": (0, 0), "one": (1, 1), "one_to_three": (1, 3), "nine": (9, 9)}  # fewest and most
BLOCK = 3  # pixels, side of a black block (Sect. 4.2)


@dataclass(frozen=True)
class KeyRegions:
    """Draws masks, batched on the geometry's device.

    Attributes
    ----------
    alpha : float
        Side of a region as a part of the face's.
    overlap : {"maximum", "sum", "last"}
        Where regions overlap: the larger weight, their sum, or that of the landmark drawn last.
    border : {"clip", "shift"}
        A region that leaves the image is cut off, or moved back inside.
    grid : {"image", "feature"}
        Weights drawn pixel by pixel and then down-sampled, or computed at the cells' centres.
    resize : {"area", "bilinear", "max", "as_maps"}
        How they are down-sampled: to cells that divide the whole image, or averaged over the pixels that the
        network's pools leave to each cell. Pools round down, so the two differ wherever a side is odd.
    """

    alpha: float = 0.3
    overlap: str = "maximum"
    border: str = "clip"
    grid: str = "image"
    resize: str = "area"

    def __post_init__(self) -> None:
        one_of(self.overlap, OVERLAPS, "mask_overlap")
        one_of(self.border, BORDERS, "mask_clip")
        one_of(self.grid, GRIDS, "mask_grid")
        one_of(self.resize, RESIZES, "mask_resize")

    def __call__(self, geometry: Tensor, size: int, cells: int) -> Tensor:
        """Return the masks ``M(p)`` down-sampled to the feature maps, ``(B, 1, cells, cells)``.

        ``size`` is the side of the image that ``geometry`` ``(B, 6, 2)`` refers to. Values are in [0, 1]
        (above 1 only where regions are summed); all are 1 where a face has no landmarks (NaN).
        """
        if self.grid == "feature":
            return self.draw(geometry, size, cells)
        drawn = self.draw(geometry, size)
        if self.resize == "as_maps":
            return _pooled(drawn, cells)
        if self.resize == "bilinear":
            return F.interpolate(drawn, (cells, cells), mode="bilinear", align_corners=False)
        return (F.adaptive_avg_pool2d if self.resize == "area" else F.adaptive_max_pool2d)(drawn, cells)

    def draw(self, geometry: Tensor, size: int, cells: int | None = None) -> Tensor:
        """Return the weights of Eq. (3), ``(B, 1, size, size)``, or at the centres of ``cells`` per side."""
        cells = cells or size
        step = size / cells
        places = (torch.arange(cells, device=geometry.device) + 0.5) * step - 0.5
        points, half = geometry[:, :5], geometry[:, None, 5] * self.alpha / 2  # (B, 5, 2), (B, 1, 2)
        if self.border == "shift":
            low, high = half - 0.5, size - 0.5 - half  # exchanged where a region is wider than the image
            points = torch.maximum(torch.minimum(points, torch.maximum(low, high)), torch.minimum(low, high))
        dx = places - points[:, :, :1]  # (B, 5, cells)
        dy = places - points[:, :, 1:]
        inside = (dy.abs() <= half[:, :, 1:])[:, :, :, None] & (dx.abs() <= half[:, :, :1])[:, :, None, :]
        distance = (dy.square()[:, :, :, None] + dx.square()[:, :, None, :]).sqrt()
        corner = half.square().sum(2).sqrt()[:, :, None, None]
        weights = (1 - distance / corner).clamp_min(0) * inside  # (B, 5, cells, cells)
        mask = self._merge(weights, inside)
        # A face without landmarks has NaN throughout: nothing is known to be unimportant.
        return torch.where(geometry.isnan().any((1, 2))[:, None, None, None], torch.ones_like(mask), mask)

    def _merge(self, weights: Tensor, inside: Tensor) -> Tensor:
        if self.overlap != "last":
            return (weights.amax(1) if self.overlap == "maximum" else weights.sum(1)).unsqueeze(1)
        order = torch.arange(1, 6, device=weights.device)[None, :, None, None]
        last = (inside * order).amax(1, keepdim=True)  # 0 outside of all regions
        return (weights * (order == last)).sum(1, keepdim=True)


def _pooled(masks: Tensor, cells: int) -> Tensor:
    """Average squares of 2x2 until ``cells`` per side are left; of an odd side the last place falls away."""
    size = masks.shape[-1]
    while masks.shape[-1] > cells:
        masks = F.avg_pool2d(masks, 2)
    if masks.shape[-1] != cells:
        raise FerError(f"Pools of two by two never leave {cells} cells of {size} pixels.")
    return masks


@dataclass(frozen=True)
class KeyRegionFeed:
    """Makes LKRNet's inputs: cropped, flipped and blotted faces with the masks that belong to them.

    Attributes
    ----------
    normalise : Normalisation
        Of the cropped images.
    regions : KeyRegions
    cells : int
        Side of the masks: the network's ``map_size``.
    crop : int
        Side of the crop in pixels.
    size : int
        Side of the network's image; a crop of another size is enlarged bilinearly.
    blocks : str
        Black blocks in training images; see :data:`BLOCKS`.
    test_crop : {"centre", "ten"}
        Crops of a test image: its centre, or the corners and the centre, each also mirrored.
    follow : bool
        Whether masks follow their image; else they stay where the centre crop has them.
    """

    normalise: Normalisation
    regions: KeyRegions
    cells: int
    crop: int = 44
    size: int = 44
    blocks: str = "one_to_three"
    test_crop: str = "centre"
    follow: bool = True

    def __post_init__(self) -> None:
        one_of(self.blocks, BLOCKS, "n_black_blocks")
        one_of(self.test_crop, ("centre", "ten"), "test_crop")

    def __call__(self, batch: Part, training: bool) -> tuple[Tensor, Tensor]:
        """Return images ``(B, 1, size, size)`` and masks ``(B, 1, cells, cells)``, float32.

        The part's first ``extra`` is the geometry ``(N, 6, 2)`` in pixels of its images. Ten crops add an
        axis of views after the first.
        """
        n, (height, width), device = len(batch), batch.images.shape[1:], batch.images.device
        if min(height, width) < self.crop:
            raise FerError(f"Images of {height}x{width} are too small for crops of {self.crop} pixels.")
        room = xy(height - self.crop, width - self.crop, batch.labels)  # of rows and columns
        if training:
            corners = (torch.rand(n, 2, device=device) * (room + 1)).long()
            mirrored = torch.rand(n, device=device) < 0.5  # Sect. 4.2
            images, masks = self._view(batch, corners, mirrored, training)
            return images, masks
        centre = room // 2
        views = [(centre, False)]
        if self.test_crop == "ten":
            places = [torch.tensor(place, device=device) for place in ((0, 0), (0, 1), (1, 0), (1, 1))]
            views = [
                (c, flip) for c in (*(place * room for place in places), centre) for flip in (False, True)
            ]
        made = [
            self._view(batch, corner.expand(n, 2), torch.full((n,), flip, device=device), training)
            for corner, flip in views
        ]
        if len(made) == 1:
            return made[0]
        return tuple(torch.stack(part, dim=1) for part in zip(*made, strict=True))

    def _view(self, batch: Part, corners: Tensor, mirrored: Tensor, training: bool) -> tuple[Tensor, Tensor]:
        """Cut one view of each image: ``corners`` (B, 2) are rows and columns, ``mirrored`` is bool (B,)."""
        images, geometry = cut(batch.images, batch.extra[0], corners, mirrored, self.crop)
        if training:
            images = blot(images, self.blocks)
        if not self.follow:
            room = xy(*batch.images.shape[1:], corners) - self.crop
            still = torch.zeros_like(mirrored)
            geometry = in_crop(batch.extra[0], (room // 2).expand_as(corners), still, self.crop)
        x = self.normalise(images)
        if self.size != self.crop:
            x = F.interpolate(x, (self.size, self.size), mode="bilinear", align_corners=False)
            geometry = enlarged(geometry, self.size / self.crop)
        return x, self.regions(geometry, self.size, self.cells)


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
    return images[each, rows[:, :, None], columns[:, None, :]], in_crop(geometry, corners, mirrored, crop)


def in_crop(geometry: Tensor, corners: Tensor, mirrored: Tensor, crop: int) -> Tensor:
    """Return the geometry in pixels of the crop; the face's sides stay as they are."""
    points = geometry[:, :5] - corners[:, None].flip(2)  # (row, column) to (x, y)
    x = torch.where(mirrored[:, None], crop - 1 - points[:, :, 0], points[:, :, 0])
    return torch.cat([torch.stack([x, points[:, :, 1]], dim=2), geometry[:, 5:]], dim=1)


def enlarged(geometry: Tensor, scale: float) -> Tensor:
    """Return the geometry ``(B, 6, 2)`` in pixels of images that are ``scale`` times as large."""
    return torch.cat([(geometry[:, :5] + 0.5) * scale - 0.5, geometry[:, 5:] * scale], dim=1)


def blot(images: Tensor, blocks: str = "one_to_three") -> Tensor:
    """Set random blocks of 3x3 pixels of each image ``(B, H, W)`` to 0."""
    fewest, most = BLOCKS[blocks]
    if not most:
        return images
    n, (height, width), device = len(images), images.shape[1:], images.device
    top, left = (
        (torch.rand(n, most, 1, device=device) * (side - BLOCK + 1)).long() for side in (height, width)
    )
    drawn = fewest + (torch.rand(n, 1, device=device) * (most - fewest + 1)).long()
    there = (torch.arange(most, device=device) < drawn)[:, :, None]  # (B, most, 1)
    rows, columns = (torch.arange(side, device=device) for side in (height, width))
    in_row = (rows >= top) & (rows < top + BLOCK) & there  # (B, most, H)
    in_column = (columns >= left) & (columns < left + BLOCK)
    black = (in_row[:, :, :, None] & in_column[:, :, None, :]).any(1)
    return images.masked_fill(black, 0)


# --- where the landmarks are --------------------------------------------------------------------------------


def five_points(landmarks: np.ndarray) -> np.ndarray:
    """Return MTCNN's five points float32 ``(N, 5, 2)`` of 68 landmarks ``(N, 68, 2)`` in iBUG order.

    Left and right eye (their centres), nose tip, left and right mouth corner, as seen in the image.
    """
    return np.concatenate([eyes(landmarks), landmarks[:, [30, 48, 54]]], axis=1).astype(np.float32)


def geometry_of(corpus: Corpus, size: int = 48) -> tuple[np.ndarray, np.ndarray]:
    """Return each face's geometry float32 ``(N, 6, 2)`` and whether it is known, bool ``(N,)``.

    Parameters
    ----------
    corpus : Corpus
        With 68 landmarks, of which five points and the face's extent are taken; or with five and the
        columns ``face_width`` and ``face_height``, as :func:`fer_lib.faces.annotate` adds them.
    size : int
        The geometry is in pixels of the images at this side.

    Returns
    -------
    geometry, found
        NaN where ``found`` is False.

    Raises
    ------
    FerError
        If the corpus has no landmarks of either kind.
    """
    count = None if corpus.landmarks is None else corpus.landmarks.shape[1]
    if count == 68:
        points = five_points(corpus.landmarks)
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


def filled(geometry: np.ndarray, train: np.ndarray, fallback: str = "mean", size: int = 48) -> np.ndarray:
    """Return the geometry with something in place of the faces that were not found.

    Parameters
    ----------
    geometry : float32 (N, 6, 2)
        NaN where no face was found.
    train : int64 (M,)
        Training images: the mean face is theirs, whatever their class.
    fallback : {"mean", "drop", "ones"}
        The mean face and the whole image as its box; the same (whoever trains drops these images, a test
        image cannot be dropped); or NaN left in place, which makes a mask of ones.
    """
    if one_of(fallback, FALLBACKS, "landmark_fallback") == "ones":
        return geometry
    known = geometry[train][np.isfinite(geometry[train]).all((1, 2))]
    if not len(known):
        raise FerError(
            "No face was found among the training images, so there is no mean face to fall back on."
        )
    mean = np.concatenate([known[:, :5].mean(0), [[size, size]]])
    lost = np.isnan(geometry).any((1, 2))
    return np.where(lost[:, None, None], mean, geometry).astype(np.float32)


def energy_inside(maps: np.ndarray, masks: np.ndarray) -> np.ndarray:
    """Return the share of each map's energy that lies inside the key regions.

    Parameters
    ----------
    maps : float (N, H, W)
        Not negative, such as :func:`fer_lib.learn.explain.grad_cam` returns.
    masks : float (N, H, W)
        :meth:`KeyRegions.draw`; a pixel with any weight is inside.

    Returns
    -------
    float64 (N,)
        In [0, 1]; NaN for a map without energy. Of a map that is the same everywhere, it is the regions'
        share of the area, against which the share of the energy is to be seen.
    """
    maps, inside = np.asarray(maps, np.float64), np.asarray(masks) > 0
    if maps.shape != inside.shape or maps.ndim != 3:
        raise FerError(f"Maps {maps.shape} and masks {inside.shape} must be (N, H, W), one for one.")
    total = maps.sum((1, 2))
    share = (maps * inside).sum((1, 2))
    return np.divide(share, total, out=np.full(len(maps), np.nan), where=total > 0)


def constant_share(masks: np.ndarray) -> np.ndarray:
    """Return how much of each mask a constant would say: 1 if it weighs all places alike.

    The best constant leaves a part of the mask's energy unexplained, and this is the other part, float64
    ``(N,)`` in [0, 1] of masks ``(N, H, W)``; NaN for an empty mask.
    """
    masks = np.asarray(masks, np.float64)
    energy = (masks**2).mean((1, 2))
    return np.divide(masks.mean((1, 2)) ** 2, energy, out=np.full(len(masks), np.nan), where=energy > 0)
