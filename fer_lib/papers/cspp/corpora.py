"""The corpora as the paper uses them: six expressions, the frames that show them most, K folds (Sect. 3)."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from fer_lib.data import datasets, protocols, splits
from fer_lib.data.corpus import Corpus
from fer_lib.data.splits import Fold
from fer_lib.errors import AbsentDataError
from fer_lib.judge import inflation

OPTIONS: dict[str, dict[str, Any]] = {
    "ckplus": {"frames": "last3", "classes": "six"},
    "jaffe": {"classes": "six"},
    "mmi": {"frames": "peak2"},
    "cmu_faces": {"pose": "straight"},  # faces are aligned by two eyes
    "synthetic": {"n_subjects": 8, "per_expression": 2, "size": 64, "sequences": True, "n_frames": 5},
}
"""What is asked of each reader; photographs are read whole."""
FRAMES = 3  # of a sequence of CK+ (Sect. 3.1)
ACROSS = ("jaffe", "mmi", "nimstim")  # what models of CK+ are tested on (Sect. 5.2)


def as_used(corpus: Corpus) -> Corpus:
    """Return a corpus that was read with :data:`OPTIONS` as the paper would use it."""
    if not corpus.card.synthetic:
        return corpus
    return inflation.last_frames(corpus.only(protocols.SIX), FRAMES)


def folds(corpus: Corpus, k: int, grouping: str, seed: int) -> list[Fold]:
    """Return k folds of people (``subject``) or of images (``random``); of as many people, one at a time."""
    if grouping == "subject" and k == len(np.unique(corpus.subjects)):
        made = [replace(fold, name=f"subject-{fold.name}") for fold in splits.leave_one_subject_out(corpus)]
    else:
        made = protocols.cross_validation(corpus, k, grouping, seed)
    return [replace(fold, name=f"k{k}-{fold.name}") for fold in made]


def targets(corpus: Corpus, data_dir: str | Path | None = None) -> tuple[dict[str, Corpus], list[str]]:
    """Return the corpora that models of ``corpus`` are tested on, by name, and the names of absent ones.

    The paper tests models of CK+ on three (Sect. 5.2); those of drawn faces are tested on other drawn people.
    """
    if corpus.card.synthetic:
        others = datasets.load("synthetic", **OPTIONS["synthetic"] | {"seed": 1})
        return {"synthetic, others": as_used(others)}, []
    there, absent = {}, []
    for name in ACROSS if corpus.card.name == "ckplus" else ():
        try:
            found = datasets.load(name, data_dir or None, **OPTIONS.get(name, {}))
        except AbsentDataError:
            absent.append(name)
        else:
            there[name] = found.only(corpus.classes)  # what the models know
    return there, absent
