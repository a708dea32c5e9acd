"""OpenCV's single-shot face detector on a ResNet-10 (paper ``cnn3d``, Sect. 4.1), if its model is supplied.

No package carries the model. It is two files of OpenCV's samples, ``deploy.prototxt`` and
``res10_300x300_ssd_iter_140000.caffemodel`` (or ``..._fp16.caffemodel``); ``$FER_SSD_MODEL`` names the
``.caffemodel`` file, or the folder that holds both.
"""

from __future__ import annotations

import os
import warnings
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from fer_lib.errors import FerError
from fer_lib.faces.lending import Lender
from fer_lib.faces.pixels import Images, View

VARIABLE = "FER_SSD_MODEL"
WORK, BORDER = 300, 0.25  # the network takes 300 x 300
SIDE = 300
MEANS = (104.0, 177.0, 123.0)  # of blue, green and red, subtracted as in training
THRESHOLD = 0.5  # least confidence, as in OpenCV's sample


def available() -> bool:
    """Say whether the model was supplied; warn, naming what is missing, where it was not.

    Raises
    ------
    FerError
        If ``$FER_SSD_MODEL`` names something that is not a model.
    """
    if os.environ.get(VARIABLE):
        model_files()
        return True
    warnings.warn(
        f"The SSD face detector needs OpenCV's files deploy.prototxt and res10_300x300_ssd_iter_140000"
        f".caffemodel, and ${VARIABLE} does not say where they are: the Haar cascade is used instead, "
        "which finds other faces.",
        stacklevel=4,
    )
    return False


def model_files() -> tuple[Path, Path]:
    """Return the network's description (``.prototxt``) and its weights (``.caffemodel``).

    Raises
    ------
    FerError
        If either is not there.
    """
    named = Path(os.environ[VARIABLE]).expanduser()
    weights = sorted(named.glob("*.caffemodel")) if named.is_dir() else [named]
    if len(weights) != 1 or weights[0].suffix != ".caffemodel" or not weights[0].is_file():
        raise FerError(
            f"${VARIABLE} is {named}; it must name a .caffemodel file, or a folder that holds exactly one."
        )
    descriptions = sorted(weights[0].parent.glob("*.prototxt"))
    same = [path for path in descriptions if path.stem == weights[0].stem]
    if len(same or descriptions) != 1:
        raise FerError(
            f"Beside {weights[0]} there must be the network's description, deploy.prototxt; there are "
            f"{len(descriptions)} files *.prototxt."
        )
    return (same or descriptions)[0], weights[0]


def find(images: Images) -> np.ndarray:
    """Return boxes (n, 4); of several faces the most confident."""
    import cv2

    boxes = np.full((len(images), 4), np.nan, np.float32)
    with _networks(*model_files()).lent() as network:
        for i, image in enumerate(images):
            view = View.of(image, WORK, BORDER)
            colour = cv2.cvtColor(view.pixels, cv2.COLOR_GRAY2BGR)
            network.setInput(cv2.dnn.blobFromImage(colour, 1.0, (SIDE, SIDE), MEANS))
            # Rows of image, class, confidence, and the edges as parts of the view's width and height.
            rows = network.forward().reshape(-1, 7)
            best = rows[np.argmax(rows[:, 2])] if len(rows) else np.zeros(7)
            if best[2] > THRESHOLD:
                height, width = view.pixels.shape
                left, top, right, bottom = best[3:] * [width, height, width, height]
                boxes[i] = view.box(left, top, right - left, bottom - top)
    return boxes


@cache
def _networks(description: Path, weights: Path) -> Lender:
    """Return the lender of the network in these files."""

    def read() -> Any:
        import cv2

        try:
            return cv2.dnn.readNetFromCaffe(str(description), str(weights))
        except cv2.error as broken:
            said = f"OpenCV cannot read the SSD model {weights} with {description.name}: {broken.err}"
            raise FerError(said) from None

    return Lender(read)
