"""Faces turned level and cropped by their eyes, as Lopes et al. do (paper ``cspp``, Sect. 4.1).

The paper names the method and prints no figure of it. Those here are taken to be the cited work's (Pattern
Recognition 61, 2017; ambiguity ``augmentation_noise``): with the eyes level, the crop reaches from 1.3 above
them to 3.2 below, in units of half the distance between the eyes' centres, and its width is given as 2.4. We
read 2.4 as the reach on either side of the middle: as the whole width it would cut through both eyes and
stretch a crop of 2.4 x 4.5 into a square.
"""

from __future__ import annotations

import numpy as np

from fer_lib.errors import FerError
from fer_lib.faces.pixels import Images, check_images, whole

ABOVE, BELOW, BESIDE = 1.3, 3.2, 2.4  # reach of the crop from the middle of the eyes, in half eye distances
LEFT_EYE, RIGHT_EYE = slice(36, 42), slice(42, 48)  # contours among the 68 points, as seen in the image


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


def eye_matrices(
    eyes: np.ndarray, size: int = 48, above: float = ABOVE, below: float = BELOW, beside: float = BESIDE
) -> np.ndarray:
    """Return the transforms that turn faces level and crop them by their eyes.

    Parameters
    ----------
    eyes : float (N, 2, 2)
        Centres of the left and right eye in pixels; noise on them is the augmentation of Lopes et al.
    size : int
        Side of the result in pixels.
    above, below, beside : float
        Reach of the crop from the middle of the eyes, in half distances between them. Width and height
        are scaled to ``size`` each by itself.

    Returns
    -------
    float32 (N, 2, 3)
        Matrices that map source pixels (x, y, 1) to output pixels, as
        :func:`fer_lib.learn.augment.warp_images`
        and ``warp_points`` take them (after ``torch.from_numpy``). NaN where an eye is, or where both are
        in one place.

    Raises
    ------
    FerError
        For eyes of another shape, a size below 1 or a crop without extent.
    """
    eyes = np.asarray(eyes, np.float64)
    if eyes.ndim != 3 or eyes.shape[1:] != (2, 2):
        raise FerError(f"Eyes are (N, 2, 2): left and right, x and y; got {eyes.shape}.")
    if size < 1 or not above + below > 0 or not beside > 0:
        raise FerError(
            f"A crop needs size >= 1, above + below > 0 and beside > 0; got {size}, {above} + {below} and "
            f"{beside}."
        )
    line, middle = eyes[:, 1] - eyes[:, 0], eyes.mean(axis=1)
    half = np.linalg.norm(line, axis=1) / 2
    half[half == 0] = np.nan
    cos, sin = (line / (2 * half[:, None])).T
    across, down = size / (2 * beside * half), size / ((above + below) * half)
    turn = np.stack([across * cos, across * sin, -down * sin, down * cos], axis=1).reshape(-1, 2, 2)
    # Half a pixel: the crop is measured from edge to edge, matrices from pixel centre to pixel centre.
    target = np.array([size / 2, size * above / (above + below)]) - 0.5
    shift = target - np.einsum("nij,nj->ni", turn, middle)
    return np.concatenate([turn, shift[:, :, None]], axis=2).astype(np.float32)


def align(
    images: Images,
    eyes: np.ndarray,
    size: int = 48,
    above: float = ABOVE,
    below: float = BELOW,
    beside: float = BESIDE,
) -> tuple[np.ndarray, np.ndarray]:
    """Turn faces level, crop them by their eyes and scale them to one size.

    Parameters
    ----------
    images : uint8 (N, H, W), or N arrays (H, W) of any sizes
    eyes, size, above, below, beside
        As :func:`eye_matrices` takes them.

    Returns
    -------
    aligned : uint8 (N, size, size)
        Averaged over areas where the crop shrinks, interpolated linearly where it grows; beyond the image
        its outermost pixels are repeated. An image whose eyes are NaN is used whole, in the middle of a
        square of its longer side.
    matrices : float32 (N, 2, 3)
        What was applied, from source to output pixels, so that landmarks can follow; always finite.

    Raises
    ------
    FerError
        As :func:`eye_matrices`, and if eyes and images do not align.
    """
    check_images(images)
    matrices = eye_matrices(eyes, size, above, below, beside)
    if len(matrices) != len(images):
        raise FerError(
            f"Eyes are (N, 2, 2), one pair per image; got {len(matrices)} for {len(images)} images."
        )
    aligned = np.empty((len(images), size, size), np.uint8)
    for i, image in enumerate(images):
        if np.isnan(matrices[i]).any():
            matrices[i] = whole(image, size)
        aligned[i] = _warped(image, matrices[i], size)
    return aligned, matrices


def _warped(image: np.ndarray, matrix: np.ndarray, size: int) -> np.ndarray:
    """Apply one matrix; a crop that shrinks is sampled finer and averaged, as samples alone would alias."""
    import cv2

    smallest = np.linalg.svd(matrix[:, :2].astype(np.float64), compute_uv=False)[-1]
    finer = int(np.clip(np.ceil(1 / smallest - 1e-6), 1, 16))
    larger = matrix.astype(np.float64) * finer
    larger[:, 2] += (finer - 1) / 2  # pixel centres: x' = (x + 0.5) s - 0.5
    sampled = cv2.warpAffine(
        image, larger, (size * finer, size * finer), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    return cv2.resize(sampled, (size, size), interpolation=cv2.INTER_AREA) if finer > 1 else sampled
