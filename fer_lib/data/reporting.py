"""What is said of one copy of a corpus: its counts beside those of a complete one, and its faults."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from fer_lib.data.corpus import Corpus, audit, split_names
from fer_lib.data.image_files import face_remarks, size_remarks
from fer_lib.data.printed import remarks as unreachable
from fer_lib.data.sources import Source


def report(
    corpus: Corpus,
    source: Source | None,
    problems: list[str],
    printed: list[dict[str, Any]],
    doubts: Sequence[str] = (),
) -> dict[str, Any]:
    """Return the report of :func:`fer_lib.data.datasets.check`.

    Parameters
    ----------
    corpus : Corpus
        What was read of the copy.
    source : Source or None
        The files it was read from; None for a generated corpus.
    problems : list of str
        Sentences, gravest first.
    printed : list of dict
        From :func:`fer_lib.data.printed.compare`.
    doubts : list of str
        Problems that keep the copy from being the original, and nobody from using it.
    """
    if source is None:
        copy: dict[str, Any] = {"root": None, "form": "generated", "ignored": 0, "facts": {}, "expected": {}}
        copy["ignored_names"] = []
        remarks = []
    else:
        copy = {
            name: getattr(source, name) for name in ("form", "ignored", "ignored_names", "facts", "expected")
        }
        copy["root"] = str(source.root.resolve())
        remarks = [*source.remarks, *size_remarks(corpus), *face_remarks(corpus), *unreachable(printed)]
    split = corpus.split
    per_class = np.bincount(corpus.labels, minlength=len(corpus.classes)).tolist()
    return {
        "dataset": corpus.card.name,
        "licence": corpus.card.licence,
        "ok": not problems and not doubts,
        **copy,
        "images": len(corpus),
        "sequences": None if corpus.sequences is None else len(np.unique(corpus.sequences)),
        "subjects": None if corpus.subjects is None else len(np.unique(corpus.subjects)),
        "splits": {} if split is None else {s: int((split == s).sum()) for s in split_names(split)},
        "per_class": dict(zip(corpus.classes, per_class, strict=True)),
        "printed": printed,
        "problems": [*problems, *doubts],
        "doubts": list(doubts),
        "remarks": remarks,
        "fingerprint": corpus.fingerprint,
        "audit": audit(corpus),
    }
