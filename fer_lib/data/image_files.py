"""What the readers of image files share: from the rows of a source to a corpus."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from fer_lib.data.corpus import Card, Corpus
from fer_lib.data.decoding import decode, decode_all
from fer_lib.data.sources import Source, settle, shown
from fer_lib.expressions import canonical

Load = Callable[[dict[str, Any]], tuple[Sequence[np.ndarray], Sequence[dict[str, Any]]]]


def read_stills(
    source: Source,
    card: Card,
    size: int | tuple[int, int] | None,
    problems: list[str] | None,
    load: Load | None = None,
    unit: str = "image",
) -> Corpus:
    """Decode the files of the source's rows and return the corpus.

    Parameters
    ----------
    source : Source
        What a reader's ``locate`` found. Every reader's ``read`` also takes a folder (``root``) in its
        place and lists that itself.
    card : Card
    size : int or (height, width), optional
        Size of the images; one number for a square. Default: the most frequent one among the files,
        into which others are fitted with their proportions kept.
    problems : list of str, optional
        If given, what cannot be read is described here, a sentence naming the file each, and left out;
        without it the first such thing raises.
    load : callable, optional
        Returns the images (H, W) of one row and the row of each; the default decodes ``path`` to one.
    unit : str
        What a row is, for the progress line.

    Returns
    -------
    Corpus
        Images uint8 (N, H, W) in the order of the rows; see :func:`assemble`.

    Raises
    ------
    FerError
        If nothing was selected or, without ``problems``, something cannot be read.
    """
    found = list(source.problems)
    rows: dict[int, list[dict[str, Any]]] = {}

    def attempt(position: int) -> list[np.ndarray]:
        row = source.rows[position]
        images, rows[position] = load(row) if load else ([decode(row["path"])], [row])
        return images

    paths = [row["path"] for row in source.rows]
    images, owners, sizes = decode_all(paths, card.name, found, size, attempt, unit)
    if not source.rows and not found:
        found.append(f"{shown(source.root)} holds no {unit} of the selection that was asked for.")
    settle(found, problems, card.name, source.root)
    used = [row for position in dict.fromkeys(owners.tolist()) for row in rows[position]]
    return assemble(used, images, sizes, card, source.classes)


def assemble(
    rows: Sequence[dict[str, Any]],
    images: np.ndarray,
    sizes: np.ndarray,
    card: Card,
    classes: tuple[str, ...],
) -> Corpus:
    """Return the corpus of ``images`` (N, H, W) with one of ``rows`` for each.

    A row has ``id``, ``expression`` (any spelling) and ``subject``, may have ``sequence`` and ``path``
    (not stored), and everything else becomes a column of ``meta``, followed by the ``height`` and
    ``width`` that ``sizes`` (N, 2) gives.
    """
    import pandas as pd

    columns = {key: [row[key] for row in rows] for key in (rows[0] if rows else ())}
    taken = ("id", "expression", "subject", "sequence", "path")
    meta = pd.DataFrame({key: values for key, values in columns.items() if key not in taken})
    labels = [classes.index(canonical(name)) for name in columns.get("expression", [])]
    return Corpus(
        images,
        np.array(labels, np.int64),
        classes,
        card,
        np.array(columns.get("id", []), np.str_),
        subjects=np.array(columns.get("subject", []), np.str_),
        sequences=np.array(columns["sequence"], np.str_) if "sequence" in columns else None,
        meta=meta.assign(height=sizes[:, 0], width=sizes[:, 1]),
    )


def size_remarks(corpus: Corpus) -> list[str]:
    """Say which images were of another size than the corpus; from ``height`` and ``width`` in its meta."""
    if corpus.meta is None or "height" not in corpus.meta:
        return []
    sizes = Counter(zip(corpus.meta["width"].tolist(), corpus.meta["height"].tolist(), strict=True))
    height, width = corpus.images.shape[1:]
    return [
        f"{n:,} of {len(corpus):,} images are {w}x{h} pixels and were fitted into {width}x{height}."
        for (w, h), n in sizes.most_common()
        if (h, w) != (height, width)
    ]
