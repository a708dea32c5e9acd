"""Faces in photographs: where they are, their landmarks, crops and aligned copies, and the light on them.

One module per question: :mod:`~fer_lib.faces.detection` (with one module per detector),
:mod:`~fer_lib.faces.annotation` (of a whole corpus), :mod:`~fer_lib.faces.cropping`,
:mod:`~fer_lib.faces.alignment`, :mod:`~fer_lib.faces.intensity`. OpenCV's cascade is always there; dlib and
MTCNN come with ``pip install "fer-lib[faces]"``.
"""

from fer_lib.faces.alignment import align, eye_matrices, eyes
from fer_lib.faces.annotation import annotate, boxes, detection_counts
from fer_lib.faces.cropping import crop
from fer_lib.faces.detection import detect, landmarks
from fer_lib.faces.intensity import clahe, local_contrast
from fer_lib.faces.photographs import FACE

__all__ = [
    "FACE",
    "align",
    "annotate",
    "boxes",
    "clahe",
    "crop",
    "detect",
    "detection_counts",
    "eye_matrices",
    "eyes",
    "landmarks",
    "local_contrast",
]
