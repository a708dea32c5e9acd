"""The face cut out of a photograph while a corpus is read: ``datasets.load("jaffe", crop=faces.FACE)``."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from fer_lib.data.image_files import Crop


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
    from fer_lib import faces  # which offers this module's FACE

    boxes = faces.detect([photograph])
    return faces.crop([photograph], boxes, size)[0], not np.isnan(boxes).any()


FACE = Crop(cut_out, tuple(sorted(Path(__file__).parent.glob("*.py"))))
"""Cuts out faces as :func:`cut_out` does."""
