"""Detection and landmarks by one of several methods, in batches that threads share."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from fer_lib.errors import one_of
from fer_lib.faces import mtcnn
from fer_lib.faces.search import Box, Images, View, check_images, lent, package, package_file
from fer_lib.progress import track

BATCH = 64  # images that one task searches
THREADS = min(16, os.cpu_count() or 1)

METHODS = ("haar", "dlib", "mtcnn")
BORDER = 0.25  # around every view, as a part of its shorter side
# The shorter side of a view in pixels. The cascade's windows have 20, so it sees faces from a sixth of the
# view. dlib's window has 80, more than an image of FER2013: there, larger views than this find no more and
# take longer, and without a border it finds a tenth less.
SIDES = {"haar": 128, "dlib": 112}
POINTS_SIDE = 256  # dlib's predictor answers in whole pixels of its view

CASCADE = "haarcascade_frontalface_alt2.xml"  # of OpenCV's frontal ones it finds most on FER2013, and fastest
SMALLEST = 0.2  # of the shorter side; smaller finds in portraits are mistakes
STEP, NEIGHBOURS = 1.1, 3  # growth of the window; overlapping finds that make a face
DLIB_THRESHOLD = 0.0  # dlib's own; less finds more, and more that are none


def detect(images: Images, method: str = "haar") -> np.ndarray:
    """Find the face of each image; of several, the one that the detector is surest of.

    Parameters
    ----------
    images : uint8 (N, H, W), or N arrays (H, W) of any sizes
        Grey pixels. Up to ``BATCH`` images are searched in the calling thread, so that a reader may call this
        from threads of its own.
    method : {"haar", "dlib", "mtcnn"}
        The cascade of Viola and Jones that comes with OpenCV (paper ``cspp``, Sect. 4.1); dlib's frontal
        detector, HOG and a linear classifier (paper ``multimodal``, Sect. 4.1); or the cascade of three
        networks of Zhang et al. (paper ``lkrnet``).

    Returns
    -------
    float32 (N, 4)
        Left edge x, upper edge y, width and height in pixels of the image, whose upper left corner is (0, 0).
        A box may reach beyond the image. NaN where no face was found.
    """
    return find(images, method)[0]


def find(images: Images, method: str) -> tuple[np.ndarray, np.ndarray | None]:
    """Return the boxes of :func:`detect` and, of ``mtcnn``, which finds both in one, the points (N, 5, 2)."""
    one_of(method, METHODS, "method of face detection")
    check_images(images)
    boxes = np.full((len(images), 4), np.nan, np.float32)
    points = np.full((len(images), 5, 2), np.nan, np.float32) if method == "mtcnn" else None

    def search(batch: slice) -> None:
        if points is not None:
            boxes[batch], points[batch] = mtcnn.find(images[batch])
            return
        build, best = {"haar": (_cascade, _haar), "dlib": (_dlib_detector, _dlib)}[method]
        with lent(build) as detector:
            for i, image in enumerate(images[batch], batch.start):
                view = View.of(image, SIDES[method], BORDER)
                if (box := best(detector, view.pixels)) is not None:
                    boxes[i] = view.box(*box)

    _in_batches(search, len(images), f"faces ({method})")
    return boxes, points


def landmarks(images: Images, boxes: np.ndarray | None = None) -> np.ndarray:
    """Find 68 landmarks of the face of each image: the points of iBUG 300-W, by dlib's regression trees.

    ``boxes`` are as :func:`detect` returns them; by default dlib's own detector looks for the faces. Points
    are float32 (N, 68, 2), (x, y) in pixels; the centre of the upper left pixel is (0, 0). NaN where no face
    was found.
    """
    check_images(images)
    boxes = detect(images, "dlib") if boxes is None else np.asarray(boxes, np.float64)
    points = np.full((len(images), 68, 2), np.nan, np.float32)

    def search(batch: slice) -> None:
        predictor, rectangle = _dlib_predictor(), package("dlib").rectangle
        for i in batch.start + np.flatnonzero(np.isfinite(boxes[batch]).all(axis=1)):
            view = View.of(images[i], POINTS_SIDE, BORDER)
            left, top, width, height = view.inside(boxes[i])
            edges = np.rint([left, top, left + width - 1, top + height - 1]).astype(int)
            shape = predictor(view.pixels, rectangle(*edges.tolist()))
            points[i] = view.points(np.array([(point.x, point.y) for point in shape.parts()]))

    _in_batches(search, len(images), "landmarks (dlib)")
    return points


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


# --- the detectors, and how they find the best face in the pixels of a view ---------------------------------


def _cascade() -> Any:
    import cv2

    return cv2.CascadeClassifier(str(Path(cv2.data.haarcascades) / CASCADE))


def _haar(cascade: Any, pixels: np.ndarray) -> Box | None:
    """Of several faces, the one that most windows agree on."""
    smallest = [round(SMALLEST * SIDES["haar"])] * 2
    found, votes = cascade.detectMultiScale2(pixels, STEP, NEIGHBOURS, minSize=smallest)
    # In any order, as OpenCV searches in threads: ties are decided by size and place.
    ranked = zip(votes, found.tolist(), strict=True) if len(found) else ()
    return max(ranked, key=lambda f: (f[0], f[1][2], f[1]), default=(0, None))[1]


def _dlib_detector() -> Any:
    return package("dlib").get_frontal_face_detector()


def _dlib(detector: Any, pixels: np.ndarray) -> Box | None:
    """Of several faces, the one with the highest score."""
    found, scores, _ = detector.run(pixels, 0, DLIB_THRESHOLD)
    if not len(found):
        return None
    face = found[int(np.argmax(scores))]
    return face.left(), face.top(), face.width(), face.height()


@cache
def _dlib_predictor() -> Any:
    """Return the predictor (100 MB). It holds Python's lock, so that threads may share it."""
    dlib = package("dlib")
    weights = package_file("face_recognition_models", "models", "shape_predictor_68_face_landmarks.dat")
    return dlib.shape_predictor(str(weights))
