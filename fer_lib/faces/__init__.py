"""Faces in photographs: where they are, their landmarks, crops and aligned copies, and the light on them.

OpenCV's cascade is always there; dlib and MTCNN come with ``pip install "fer-lib[faces]"``.
"""

from fer_lib.faces.annotation import annotate, boxes, detection_counts
from fer_lib.faces.detection import detect, landmarks
from fer_lib.faces.framing import FACE, align, clahe, crop, eyes, local_contrast

__all__ = [
    "FACE",
    "align",
    "annotate",
    "boxes",
    "clahe",
    "crop",
    "detect",
    "detection_counts",
    "eyes",
    "landmarks",
    "local_contrast",
]
