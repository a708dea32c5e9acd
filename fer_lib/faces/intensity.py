"""The light on faces: CLAHE (paper ``cnn3d``, Sect. 3.3) and local contrast (``cspp``, Sect. 4.1).

Normalisation of whole images by their mean and deviation is :class:`fer_lib.learn.augment.Normalisation`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

import numpy as np

from fer_lib.errors import FerError

if TYPE_CHECKING:
    from torch import Tensor

    Pixels = TypeVar("Pixels", np.ndarray, Tensor)

WINDOW = 7  # pixels; that of Lopes et al., whom the paper follows without a figure


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
    for before, after in zip(_flat(images), _flat(equalised), strict=True):
        after[:] = equaliser.apply(before)
    return equalised


def _flat(images: np.ndarray) -> np.ndarray:
    """Return images (..., H, W) as (N, H, W), without a copy where they lie in one piece."""
    return images.reshape(int(np.prod(images.shape[:-2])), *images.shape[-2:])


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
