"""The face cut out of a photograph while a corpus is read: ``datasets.load("jaffe", crop=faces.FACE)``."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from fer_lib.data.image_files import Crop
from fer_lib.faces import detection, framing, search


def cut_out(photograph: np.ndarray, size: int) -> tuple[np.ndarray, bool]:
    """Return the face that Haar's cascade finds, without margin, and whether it found one.

    Parameters
    ----------
    photograph : uint8 (H, W)
    size : int
        Side of the result in pixels.

    Returns
    -------
    face : uint8 (size, size)
        The whole photograph, fitted in, where there is no face.
    found : bool
    """
    boxes = detection.detect([photograph])
    return framing.crop([photograph], boxes, size)[0], not np.isnan(boxes).any()


FACE = Crop(cut_out, (Path(__file__), *(Path(module.__file__) for module in (detection, framing, search))))
"""Cuts out faces as :func:`cut_out` does."""
