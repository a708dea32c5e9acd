"""Faces as networks take them: square crops, faces turned level by their eyes, and even light.

Crops follow a box or, as in Lopes et al. (paper ``cspp``, Sect. 4.1), the eyes. Light is evened by CLAHE
(paper ``cnn3d``, Sect. 3.3) or by local contrast (``cspp``, Sect. 4.1); whole images are normalised by
:class:`fer_lib.learn.normalisation.Normalisation`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

import numpy as np

from fer_lib.errors import FerError
from fer_lib.faces.search import Images, check_images, interpolation

if TYPE_CHECKING:
    from torch import Tensor

    Pixels = TypeVar("Pixels", np.ndarray, Tensor)

LEFT_EYE, RIGHT_EYE = slice(36, 42), slice(42, 48)  # contours among the 68 points, as seen in the image
WINDOW = 7  # pixels; that of Lopes et al., whom the paper follows without a figure


def crop(images: Images, boxes: np.ndarray, size: int, margin: float = 0.0) -> np.ndarray:
    """Cut squares around boxes and scale them to one size.

    The square has the centre of its box and the box's longer side. Where it reaches beyond the image,
    the image's outermost pixels are repeated, so that proportions are kept.

    Parameters
    ----------
    images : uint8 (N, H, W), or N arrays (H, W) of any sizes
    boxes : float (N, 4)
        As :func:`fer_lib.faces.detect` returns them; an image whose box is NaN is used whole, in the
        middle of a square of its longer side.
    size : int
        Side of the result in pixels.
    margin : float
        Added on every side of a box, as a part of its longer side; whole images get none.

    Returns
    -------
    uint8 (N, size, size)
        Averaged over areas where the square shrinks, interpolated linearly where it grows.

    Raises
    ------
    FerError
        If boxes and images do not align, or for a size below 1 or a margin that leaves nothing.
    """
    import cv2

    boxes = np.asarray(boxes, np.float64)
    check_images(images)
    if boxes.shape != (len(images), 4):
        raise FerError(f"Boxes are (N, 4), one per image; got {boxes.shape} for {len(images)} images.")
    if size < 1 or not -0.5 < margin < 10:
        raise FerError(f"A crop needs size >= 1 and -0.5 < margin < 10; got size {size}, margin {margin}.")
    crops = np.empty((len(images), size, size), np.uint8)
    for i, (image, box) in enumerate(zip(images, boxes, strict=True)):
        height, width = image.shape
        found = not np.isnan(box).any()
        x, y, w, h = box if found else (0, 0, width, height)
        side = max(1, round(max(w, h) * (1 + 2 * margin * found)))
        left, top = round(x + (w - side) / 2), round(y + (h - side) / 2)
        rows, columns = (np.arange(start, start + side) for start in (top, left))
        part = image[np.ix_(rows.clip(0, height - 1), columns.clip(0, width - 1))]
        crops[i] = cv2.resize(part, (size, size), interpolation=interpolation(size / side))
    return crops


def eyes(landmarks: np.ndarray) -> np.ndarray:
    """Return the centres of the eyes.

    Parameters
    ----------
    landmarks : float (N, 68, 2) or (N, 5, 2)
        As :func:`fer_lib.faces.landmarks` returns them.

    Returns
    -------
    float32 (N, 2, 2)
        The left and the right eye as seen in the image, (x, y) in pixels; of 68 points, the means of the
        six on each eye's contour. NaN where the landmarks are.

    Raises
    ------
    FerError
        For any other number of points.
    """
    marks = np.asarray(landmarks, np.float32)
    if marks.ndim != 3 or marks.shape[1:] not in ((68, 2), (5, 2)):
        raise FerError(f"Eyes are known among 68 or 5 landmarks (N, 68 or 5, 2); got {marks.shape}.")
    if marks.shape[1] == 5:
        return marks[:, :2].copy()
    return np.stack([marks[:, LEFT_EYE].mean(axis=1), marks[:, RIGHT_EYE].mean(axis=1)], axis=1)


def align(images: Images, eyes: np.ndarray, size: int = 48, **reach: float) -> tuple[np.ndarray, np.ndarray]:
    """Turn faces level, crop them by their eyes and scale them to one size.

    Parameters
    ----------
    images : uint8 (N, H, W), or N arrays (H, W) of any sizes
    eyes : float (N, 2, 2)
        As :func:`eyes` returns them.
    size, **reach
        Side of the result in pixels, and ``above``, ``below`` and ``beside`` as
        :func:`fer_lib.features.geometry.eye_matrices` takes them; by default those of Lopes et al.

    Returns
    -------
    aligned : uint8 (N, size, size)
        Averaged over areas where the crop shrinks, interpolated linearly where it grows; beyond the image
        its outermost pixels are repeated. An image whose eyes are NaN, or in one place, is used whole, in
        the middle of a square of its longer side.
    matrices : float32 (N, 2, 3)
        What was applied, from source to output pixels, so that landmarks can follow
        (:func:`fer_lib.features.geometry.warp_points`); always finite.

    Raises
    ------
    FerError
        As :func:`~fer_lib.features.geometry.eye_matrices`, and if eyes and images do not align.
    """
    import cv2
    import torch

    from fer_lib.features import geometry

    check_images(images)
    matrices = geometry.eye_matrices(torch.as_tensor(np.asarray(eyes, np.float64)), size, **reach).float()
    if len(matrices) != len(images):
        raise FerError(
            f"Eyes are (N, 2, 2), one pair per image; got {len(matrices)} for {len(images)} images."
        )
    for i in matrices.isnan().any(2).any(1).nonzero().flatten().tolist():
        matrices[i] = geometry.fitted(*images[i].shape, size)
    # A crop that shrinks is sampled finer and then averaged, as samples alone would alias.
    smallest = np.linalg.svd(matrices[:, :, :2].double().numpy(), compute_uv=False)[:, -1]
    finer = np.clip(np.ceil(1 / smallest - 1e-6), 1, 16).astype(int)
    larger = geometry.compose(matrices.double(), geometry.enlargement(torch.as_tensor(finer).double()))
    aligned = np.empty((len(images), size, size), np.uint8)
    for i, (image, matrix, times) in enumerate(zip(images, larger.numpy(), finer.tolist(), strict=True)):
        sampled = cv2.warpAffine(
            image, matrix, (size * times,) * 2, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
        )
        aligned[i] = cv2.resize(sampled, (size, size), interpolation=cv2.INTER_AREA) if times > 1 else sampled
    return aligned, matrices.numpy()


def clahe(images: np.ndarray, clip_limit: float = 2.0, tiles: int | tuple[int, int] = 8) -> np.ndarray:
    """Equalise the histogram of every image tile by tile, with limited contrast (OpenCV's CLAHE).

    Parameters
    ----------
    images : uint8 (..., H, W)
        Grey images, or sequences of them.
    clip_limit : float
        How far a tile's histogram may exceed its mean height; paper ``cnn3d`` takes 2.
    tiles : int or (int, int)
        Tiles along each side, or across and down; the paper takes (8, 8).

    Returns
    -------
    uint8 (..., H, W)

    Raises
    ------
    FerError
        For images of another type, a clip limit that is not positive or less than one tile.
    """
    import cv2

    across, down = (tiles, tiles) if isinstance(tiles, int) else tiles
    if images.dtype != np.uint8 or images.ndim < 2:
        raise FerError(f"CLAHE needs grey uint8 pixels (..., H, W); got {images.dtype} {images.shape}.")
    if not clip_limit > 0 or across < 1 or down < 1:
        raise FerError(f"CLAHE needs clip_limit > 0 and tiles >= 1; got {clip_limit} and {tiles}.")
    equaliser = cv2.createCLAHE(clip_limit, (across, down))
    equalised = np.empty_like(images, order="C")
    for index in np.ndindex(images.shape[:-2]):
        equalised[index] = equaliser.apply(images[index])
    return equalised


def local_contrast(images: Pixels, window: int = WINDOW, sigma: float | None = None) -> Pixels:
    """Normalise every pixel by its neighbourhood: the intensity normalisation of Lopes et al.

    First the mean of the neighbourhood is subtracted, then the result is divided by the deviation of the
    neighbourhood around that mean, both weighted by a Gaussian. A deviation below one grey level counts as
    one, so that even skin does not become noise and a constant image becomes zero.

    Parameters
    ----------
    images : ndarray or Tensor (..., H, W)
        Grey pixels, 0 to 255, uint8 or float. A tensor is computed on its device.
    window : int
        Side of the neighbourhood in pixels, odd. Beyond the image, pixels are mirrored at its outermost
        ones.
    sigma : float, optional
        Deviation of the Gaussian in pixels; by default OpenCV's for such a window, 1.4 for 7 pixels. (The
        cited work gives the window only.)

    Returns
    -------
    float32 (..., H, W)
        Of the kind that was given; about -3 to 3.

    Raises
    ------
    FerError
        For an even window, or one that reaches beyond the mirrored image.
    """
    import torch
    from torch.nn import functional as F

    height, width = images.shape[-2:]
    if window < 1 or window % 2 == 0 or window // 2 >= min(height, width):
        raise FerError(
            f"A neighbourhood is odd and less than twice as wide as the image ({height} x {width}); got "
            f"{window}."
        )
    x = torch.as_tensor(images).float().reshape(-1, 1, height, width)
    sigma = 0.3 * ((window - 1) * 0.5 - 1) + 0.8 if sigma is None else sigma
    offsets = torch.arange(window, device=x.device) - window // 2
    weights = torch.exp(-(offsets**2) / (2 * sigma**2))
    weights = weights / weights.sum()

    def average(values: Tensor) -> Tensor:
        padded = F.pad(values, [window // 2] * 4, mode="reflect")
        return F.conv2d(F.conv2d(padded, weights.view(1, 1, 1, -1)), weights.view(1, 1, -1, 1))

    # Around the image's own mean the squares stay small, and their difference precise.
    x = x - x.mean(dim=(2, 3), keepdim=True)
    # Ten bits, as TF32 has, are too few for that difference.
    with torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
        mean = average(x)
        deviation = (average(x.square()) - mean.square()).clamp_min(1.0).sqrt()
    normal = ((x - mean) / deviation).reshape(images.shape)
    return normal.numpy() if isinstance(images, np.ndarray) else normal
