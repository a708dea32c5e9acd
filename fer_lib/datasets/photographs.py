"""Corpora of whole photographs, of which the face is wanted: decoding, detection and cropping in one pass."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from fer_lib.corpus import Card, Corpus
from fer_lib.datasets.image_files import Source, assemble, checked_size, decode, decode_all, settle, shown
from fer_lib.errors import FerError
from fer_lib.faces import crop, detect

SIZE = 96  # of a face, in pixels: the models take 48 to 112


def read_faces(source: Source, card: Card, size: int | None, problems: list[str] | None) -> Corpus:
    """Read the faces of the source's rows, as ``image_files.read_stills`` reads whole images.

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
    seen: dict[str, bool] = {}

    def load(row: dict[str, Any]) -> np.ndarray:
        photograph = [decode(row["path"])]
        boxes = detect(photograph)
        seen[row["id"]] = not np.isnan(boxes).any()
        return crop(photograph, boxes, side)

    found = list(source.problems)
    images, items, sizes = decode_all(source.rows, card.name, found, side, load)
    if not source.rows and not found:
        found.append(f"{shown(source.root)} holds no image of the selection that was asked for.")
    settle(found, problems, card.name)
    rows = [source.rows[i] for i in items]
    corpus = assemble(rows, images, sizes, card, source.classes)
    meta = corpus.meta.drop(columns=["height", "width"])  # those of the crops say nothing
    return replace(corpus, valid=np.array([seen[row["id"]] for row in rows], bool), meta=meta)


def face_remarks(corpus: Corpus) -> list[str]:
    """Say in how many images no face was found; nothing for a corpus that was read without looking."""
    missed = [] if corpus.valid is None else np.flatnonzero(~corpus.valid)
    if not len(missed):
        return []
    return [
        f"No face was found in {len(missed):,} of {len(corpus):,} images (first {corpus.ids[missed[0]]}); "
        "they are used whole and marked in the column valid."
    ]
