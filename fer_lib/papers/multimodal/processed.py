"""The processed data: images in which dlib finds a face, turned level and cropped by the eyes (Sect. 4.1).

Images without a face are treated as the others in all else, so that both can be compared: dlib's predictor
puts landmarks into the whole image, and these align it (ambiguities ``noise_removal`` and ``alignment``).
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch

from fer_lib import faces
from fer_lib.data.corpus import Corpus
from fer_lib.errors import FerError, one_of
from fer_lib.features.geometry import warp_points

SIZE = 48  # pixels (Sect. 3.2)
REACH = {"above": 2.2, "below": 3.4, "beside": 2.8}  # in half eye distances: a square with brows and chin


def searched(corpus: Corpus) -> Corpus:
    """Return a corpus in whose images dlib looked for a face: ``valid`` says where it found one.

    All 68 ``landmarks`` are known. Synthetic faces, whose landmarks are known, all count as found. FerError
    if no image has a face.
    """
    if not corpus.card.synthetic:
        corpus = faces.annotate(corpus, "dlib")
    if not corpus.valid.any():
        raise FerError(
            f"dlib finds no face in any of the {len(corpus)} images of {corpus.card.title}, so nothing is "
            "left to train on; check the data with `fer data check`."
        )
    return replace(corpus, landmarks=completed(corpus.images, corpus.landmarks))


def completed(images: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Return landmarks ``(N, 68, 2)``, those of the whole image where no face was found (NaN)."""
    lost = ~np.isfinite(points).all((1, 2))
    if not lost.any():
        return points
    height, width = images.shape[1:]
    whole = np.tile(np.float32([0, 0, width, height]), (lost.sum(), 1))
    points = points.copy()
    points[lost] = faces.landmarks(images[lost], whole)
    return points


def aligned(corpus: Corpus, align: str = "eyes", by: np.ndarray | None = None) -> Corpus:
    """Return what the networks read: images of 48x48 and the landmarks in them.

    They are turned level and cropped by the eyes (``align="eyes"``; ``by`` are landmarks in place of the
    corpus's own), or scaled alone (``"none"``).
    """
    if one_of(align, ("eyes", "none"), "align") == "none":
        return corpus.resize(SIZE)
    eyes = faces.eyes(corpus.landmarks if by is None else by)
    images, matrices = faces.align(corpus.images, eyes, SIZE, **REACH)
    points = warp_points(torch.as_tensor(corpus.landmarks), torch.as_tensor(matrices)).numpy()
    return replace(corpus, images=images, landmarks=points)
