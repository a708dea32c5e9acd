"""What is said of one copy of a corpus: its counts beside those of a complete one, and its faults."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
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
    """Return the report of :func:`fer_lib.data.datasets.check` on what was read of a copy.

    ``source`` is None for a generated corpus, ``printed`` comes from :func:`fer_lib.data.printed.compare`,
    and ``doubts`` are problems that keep the copy from being the original, and nobody from using it.
    """
    copied = ("form", "ignored", "ignored_names", "facts", "expected")
    copy: dict[str, Any] = {name: getattr(source or Source(Path(), "generated"), name) for name in copied}
    copy["root"] = str(source.root.resolve()) if source else None
    remarks = list(source.remarks) if source else []
    if source:
        remarks += [*size_remarks(corpus), *face_remarks(corpus), *unreachable(printed)]
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
