"""What the readers of image files and clips share: from the rows of a source to a corpus."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from fer_lib.data.corpus import Card, Corpus
from fer_lib.data.decoding import checked_size, decode, decode_all
from fer_lib.data.sources import Source, settle, shown
from fer_lib.errors import FerError
from fer_lib.expressions import canonical

CROP = 96  # of a face, in pixels: the models take 48 to 112
# Keys of a row that are no meta.
APART = ("id", "expression", "subject", "sequence", "path", "valid", "frames_to_take", "apex")


@dataclass(frozen=True)
class Crop:
    """A way to cut the face out of a photograph while a corpus is read (:data:`fer_lib.faces.FACE`).

    ``cut(photograph, size)`` takes uint8 (H, W) and returns uint8 (size, size) and whether a face was found.
    ``sources`` are the Python files that decide its pixels: a cache of crops is keyed by what they do.
    """

    cut: Callable[[np.ndarray, int], tuple[np.ndarray, bool]]
    sources: tuple[Path, ...]


def read_stills(
    source: Source,
    card: Card,
    problems: list[str] | None = None,
    *,
    size: int | tuple[int, int] | None = None,
    crop: Crop | None = None,
    load: Callable[[dict[str, Any]], tuple[Sequence[np.ndarray], Sequence[dict[str, Any]]]] | None = None,
    unit: str = "image",
) -> Corpus:
    """Decode the files of the source's rows, and return the corpus with its images in their order.

    Parameters
    ----------
    source
        A row has ``id``, ``expression`` (any spelling), ``subject`` and ``path``, may have ``sequence``
        and ``frames_to_take``, and everything else becomes a column of ``meta``.
    problems
        Gains a sentence for what cannot be read and is left out; without it the first raises FerError.
    size
        Default: 96 for crops, else the most frequent one among the files, into which others are fitted with
        their proportions kept. ``meta`` has the ``height`` and ``width`` that each had in its file.
    crop
        How the face is cut out of each image; ``valid`` is then False where none was found.
    load
        Returns the images (H, W) of one row and the row of each; the default decodes ``path`` to one.
    unit
        What a row is, for the progress line.
    """
    import pandas as pd

    if crop:
        size, width = checked_size(CROP if size is None else size)
        if size != width:
            raise FerError(f"A face is cropped to a square; size is one number, got {(size, width)}.")
    rows: dict[int, Sequence[dict[str, Any]]] = {}

    def attempt(position: int) -> Sequence[np.ndarray]:
        row = source.rows[position]
        images, rows[position] = load(row) if load else ([decode(row["path"])], [row])
        if crop:
            cuts = [crop.cut(image, size) for image in images]
            images = [face for face, _ in cuts]
            rows[position] = [{**r, "valid": v} for r, (_, v) in zip(rows[position], cuts, strict=True)]
        return images

    faults: list[tuple[str, str]] = []
    paths = [row["path"] for row in source.rows]
    images, owners, sizes = decode_all(paths, card.name, faults, size, attempt, unit)
    found = [*source.problems, *(f"{where}: {what}" for where, what in faults)]
    if not source.rows and not found:
        found.append(f"{shown(source.root)} holds no {unit} of the selection that was asked for.")
    settle(found, problems, card.name, source.root)
    used = [row for position in dict.fromkeys(owners.tolist()) for row in rows[position]]
    columns = {key: [row[key] for row in used] for key in (used[0] if used else ())}
    meta = pd.DataFrame({key: values for key, values in columns.items() if key not in APART})
    if not crop:
        meta = meta.assign(height=sizes[:, 0], width=sizes[:, 1])
    labels = [source.classes.index(canonical(name)) for name in columns.get("expression", [])]
    return Corpus(
        images,
        np.array(labels, np.int64),
        source.classes,
        card,
        np.array(columns.get("id", []), np.str_),
        subjects=np.array(columns.get("subject", []), np.str_),
        sequences=np.array(columns["sequence"], np.str_) if "sequence" in columns else None,
        valid=np.array(columns.get("valid", []), bool) if crop else None,
        meta=meta,
    )


def image_remarks(corpus: Corpus) -> list[str]:
    """Say which images were fitted into another size, and in how many no face was found."""
    remarks = []
    if corpus.meta is not None and "height" in corpus.meta:
        height, width = corpus.images.shape[1:]
        sizes = Counter(zip(corpus.meta["width"].tolist(), corpus.meta["height"].tolist(), strict=True))
        remarks += [
            f"{n:,} of {len(corpus):,} images are {w}x{h} pixels and were fitted into {width}x{height}."
            for (w, h), n in sizes.most_common()
            if (h, w) != (height, width)
        ]
    if corpus.valid is not None and not corpus.valid.all():
        missed = corpus.ids[~corpus.valid]
        remarks.append(
            f"No face was found in {len(missed):,} of {len(corpus):,} images (first {missed[0]}); they "
            "are used whole and marked in the column valid."
        )
    return remarks
