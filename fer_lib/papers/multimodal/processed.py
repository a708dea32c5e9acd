"""The processed data: images in which dlib finds a face, turned level and cropped by the eyes (Sect. 4.1).

The paper says neither by what rule images are noise nor how faces are aligned (ambiguities ``noise_removal``
and ``alignment``). Images without a face are treated as the others in all else, so that both can be compared:
dlib's predictor puts landmarks into the whole image, and these align it.
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
    """Return a corpus in whose images dlib looked for a face.

    Synthetic faces, whose landmarks are known, all count as found.

    Returns
    -------
    Corpus
        With ``valid`` (a face was found) and ``landmarks`` ``(N, 68, 2)`` in pixels (x, y), all known.

    Raises
    ------
    FerError
        If no image has a face.
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
    """Return landmarks, those of the whole image where a face has none.

    Parameters
    ----------
    images : uint8 (N, H, W)
    points : float (N, 68, 2)
        In pixels (x, y); NaN where no face was found.
    """
    lost = ~np.isfinite(points).all((1, 2))
    if not lost.any():
        return points
    height, width = images.shape[1:]
    whole = np.tile(np.float32([0, 0, width, height]), (lost.sum(), 1))
    points = points.copy()
    points[lost] = faces.landmarks(images[lost], "dlib", whole)
    return points


def aligned(corpus: Corpus, align: str = "eyes", by: np.ndarray | None = None) -> Corpus:
    """Return what the networks read: images of 48x48 and the landmarks in them.

    Parameters
    ----------
    corpus : Corpus
        Images as read, with all landmarks known.
    align : {"eyes", "none"}
        Turned level and cropped by the eyes, or scaled alone.
    by : float (N, 68, 2), optional
        Landmarks of which the eyes are, in place of the corpus's own.
    """
    if one_of(align, ("eyes", "none"), "align") == "none":
        return corpus.resize(SIZE)
    eyes = faces.eyes(corpus.landmarks if by is None else by)
    images, matrices = faces.align(corpus.images, eyes, SIZE, **REACH)
    points = warp_points(torch.as_tensor(corpus.landmarks), torch.as_tensor(matrices)).numpy()
    return replace(corpus, images=images, landmarks=points)
