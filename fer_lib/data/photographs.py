"""Corpora of whole photographs, of which the face is wanted: decoding, detection and cropping in one pass."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from fer_lib.data.corpus import Card, Corpus
from fer_lib.data.decoding import checked_size, decode
from fer_lib.data.image_files import read_stills
from fer_lib.data.sources import Source
from fer_lib.errors import FerError
from fer_lib.faces import crop, detect

SIZE = 96  # of a face, in pixels: the models take 48 to 112


def read_faces(source: Source, card: Card, size: int | None, problems: list[str] | None) -> Corpus:
    """Read the faces of the source's rows; arguments and errors as those of ``image_files.read_stills``.

    No more photographs are in memory than there are threads.

    Returns
    -------
    Corpus
        Crops uint8 (N, size, size) by :func:`fer_lib.faces.detect` and :func:`~fer_lib.faces.crop`,
        without margin. ``valid`` is False where no face was found; there the whole photograph is
        fitted into the square.
    """
    side, other = checked_size(SIZE if size is None else size)
    if side != other:
        raise FerError(f"A face is cropped to a square; size is one number, got {size!r}.")

    def load(row: dict[str, Any]) -> tuple[np.ndarray, list[dict[str, Any]]]:
        photograph = [decode(row["path"])]
        boxes = detect(photograph)
        return crop(photograph, boxes, side), [{**row, "valid": not np.isnan(boxes).any()}]

    corpus = read_stills(source, card, side, problems, load)
    valid = np.array(corpus.meta["valid"] if len(corpus) else [], bool)
    meta = corpus.meta.drop(columns=["valid", "height", "width"], errors="ignore")  # crops have one size
    return replace(corpus, valid=valid, meta=meta)


def face_remarks(corpus: Corpus) -> list[str]:
    """Say in how many images no face was found; nothing for a corpus that was read without looking."""
    missed = [] if corpus.valid is None else np.flatnonzero(~corpus.valid)
    if not len(missed):
        return []
    return [
        f"No face was found in {len(missed):,} of {len(corpus):,} images (first {corpus.ids[missed[0]]}); "
        "they are used whole and marked in the column valid."
    ]
