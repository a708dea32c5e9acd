"""Faces in photographs: where they are, and square crops of them."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from fer_lib.errors import FerError, one_of
from fer_lib.progress import track

BATCH = 64  # images that one task searches
THREADS = min(16, os.cpu_count() or 1)
CASCADE = "haarcascade_frontalface_alt2.xml"  # of OpenCV's frontal ones it finds most on FER2013, and fastest
WORK = (
    128  # pixels of the shorter side while searching; windows have 20, so faces from a sixth of it are seen
)
BORDER = 0.25  # of the shorter side, replicated around the image: tight crops leave the windows no room
SMALLEST = 0.2  # of the shorter side; smaller finds in portraits are mistakes
STEP, NEIGHBOURS = 1.1, 3  # growth of the window; overlapping finds that make a face

Images = np.ndarray | Sequence[np.ndarray]


def detect(images: Images, method: str = "haar") -> np.ndarray:
    """Find the face of each image; of several, the one that most windows of the detector agree on.

    Up to ``BATCH`` images are searched in the calling thread and without a line of progress, so that a
    reader may call this from threads of its own; more are shared among threads.

    Parameters
    ----------
    images : uint8 (N, H, W), or N arrays (H, W) of any sizes
        Grey pixels.
    method : str
        ``haar``: the cascade of Viola and Jones that comes with OpenCV, on a copy of the image with a
        shorter side of 128 pixels (larger or smaller than the original) and a replicated border.

    Returns
    -------
    float32 (N, 4)
        Left edge x, upper edge y, width and height in pixels of the image; pixel edges are whole
        numbers and the upper left corner of the image is (0, 0). A box may reach beyond the image.
        NaN where no face was found.

    Raises
    ------
    FerError
        For an unknown method, or an image that is not uint8 (H, W).
    """
    find = METHODS[one_of(method, METHODS, "method of face detection")]
    _check_images(images)
    boxes = np.full((len(images), 4), np.nan, np.float32)

    def search(start: int) -> None:
        batch = slice(start, start + BATCH)
        boxes[batch] = find(images[batch])

    starts = range(0, len(images), BATCH)
    if len(starts) < 2:
        for start in starts:
            search(start)
        return boxes
    with ThreadPoolExecutor(THREADS) as pool:
        for _ in track(pool.map(search, starts), f"faces ({method})", len(starts), "batch"):
            pass
    return boxes


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
    _check_images(images)
    if boxes.shape != (len(images), 4):
        raise FerError(f"Boxes are (N, 4), one per image; got {boxes.shape} for {len(images)} images.")
    if size < 1 or not -0.5 < margin < 10:
        raise FerError(f"A crop needs size >= 1 and -0.5 < margin < 10; got size {size}, margin {margin}.")
    crops = np.empty((len(images), size, size), np.uint8)
    for i, (image, box) in enumerate(zip(images, boxes, strict=True)):
        crops[i] = _square(image, box, size, margin)
    return crops


def _check_images(images: Images) -> None:
    for i, image in enumerate(images):
        if image.dtype != np.uint8 or image.ndim != 2 or not image.size:
            raise FerError(f"Image {i} is {image.dtype} {image.shape}; faces need grey uint8 pixels (H, W).")


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
    return cv2.resize(part, (size, size), interpolation=_interpolation(size / side))


def _interpolation(scale: float) -> int:
    """Return the kind of interpolation that neither aliases nor makes blocks at this scale."""
    import cv2

    return cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR


def _haar(images: Images) -> np.ndarray:
    """Return the boxes of one batch."""
    import cv2

    cascade = _cascade()
    border, smallest = round(BORDER * WORK), round(SMALLEST * WORK)
    boxes = np.full((len(images), 4), np.nan, np.float32)
    for i, image in enumerate(images):
        scale = WORK / min(image.shape)
        shape = [max(1, round(side * scale)) for side in image.shape[::-1]]
        small = cv2.resize(image, shape, interpolation=_interpolation(scale))
        small = cv2.copyMakeBorder(small, *[border] * 4, cv2.BORDER_REPLICATE)
        found, votes = cascade.detectMultiScale2(small, STEP, NEIGHBOURS, minSize=(smallest, smallest))
        if len(found):  # in any order, as OpenCV searches in threads: ties are decided by size and place
            x, y, w, h = max(zip(votes, found.tolist(), strict=True), key=lambda f: (f[0], f[1][2], f[1]))[1]
            boxes[i] = (x - border) / scale, (y - border) / scale, w / scale, h / scale
    return boxes


_local = threading.local()


def _cascade() -> Any:
    """Return this thread's classifier, which keeps state while it searches and so cannot be shared."""
    import cv2

    if not hasattr(_local, "cascade"):
        _local.cascade = cv2.CascadeClassifier(str(Path(cv2.data.haarcascades) / CASCADE))
    return _local.cascade


METHODS: dict[str, Callable[[Images], np.ndarray]] = {"haar": _haar}
