"""The cascade of Viola and Jones that comes with OpenCV (paper ``cspp``, Sect. 4.1)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from fer_lib.faces.lending import Lender
from fer_lib.faces.pixels import Images, View

CASCADE = "haarcascade_frontalface_alt2.xml"  # of OpenCV's frontal ones it finds most on FER2013, and fastest
# The shorter side while searching, in pixels; windows have 20, so faces from a sixth of it are seen.
WORK = 128
BORDER = 0.25  # of the shorter side
SMALLEST = 0.2  # of the shorter side; smaller finds in portraits are mistakes
STEP, NEIGHBOURS = 1.1, 3  # growth of the window; overlapping finds that make a face


def find(images: Images) -> np.ndarray:
    """Return boxes (n, 4); of several faces the one that most windows agree on."""
    boxes = np.full((len(images), 4), np.nan, np.float32)
    smallest = [round(SMALLEST * WORK)] * 2
    with _cascades.lent() as cascade:
        for i, image in enumerate(images):
            view = View.of(image, WORK, BORDER)
            found, votes = cascade.detectMultiScale2(view.pixels, STEP, NEIGHBOURS, minSize=smallest)
            if len(found):  # in any order, as OpenCV searches in threads: ties are decided by size and place
                ranked = zip(votes, found.tolist(), strict=True)
                boxes[i] = view.box(*max(ranked, key=lambda f: (f[0], f[1][2], f[1]))[1])
    return boxes


def _cascade() -> Any:
    import cv2

    return cv2.CascadeClassifier(str(Path(cv2.data.haarcascades) / CASCADE))


_cascades = Lender(_cascade)
