"""Square crops around boxes."""

from __future__ import annotations

import numpy as np

from fer_lib.errors import FerError
from fer_lib.faces.pixels import Images, check_images, interpolation


def crop(images: Images, boxes: np.ndarray, size: int, margin: float = 0.0) -> np.ndarray:
    """Cut squares around boxes and scale them to one size.

    The square has the centre of its box and the box's longer side. Where it reaches beyond the image,
    the image's outermost pixels are repeated, so that proportions are kept.

    Parameters
    ----------
    images : uint8 (N, H, W), or N arrays (H, W) of any sizes
    boxes : float (N, 4)
        As :func:`detect` returns them; an image whose box is NaN is used whole, in the middle of a
        square of its longer side.
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
    boxes = np.asarray(boxes, np.float64)
    check_images(images)
    if boxes.shape != (len(images), 4):
        raise FerError(f"Boxes are (N, 4), one per image; got {boxes.shape} for {len(images)} images.")
    if size < 1 or not -0.5 < margin < 10:
        raise FerError(f"A crop needs size >= 1 and -0.5 < margin < 10; got size {size}, margin {margin}.")
    crops = np.empty((len(images), size, size), np.uint8)
    for i, (image, box) in enumerate(zip(images, boxes, strict=True)):
        crops[i] = _square(image, box, size, margin)
    return crops


def _square(image: np.ndarray, box: np.ndarray, size: int, margin: float) -> np.ndarray:
    """Return one crop, uint8 (size, size)."""
    import cv2

    height, width = image.shape
    if np.isnan(box).any():
        box, margin = np.array([0, 0, width, height]), 0.0
    x, y, w, h = box
    side = max(1, round(max(w, h) * (1 + 2 * margin)))
    left, top = round(x + (w - side) / 2), round(y + (h - side) / 2)
    rows, columns = (np.arange(start, start + side) for start in (top, left))
    part = image[np.ix_(rows.clip(0, height - 1), columns.clip(0, width - 1))]
    return cv2.resize(part, (size, size), interpolation=interpolation(size / side))
