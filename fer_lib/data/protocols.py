"""Who trains and who is tested in a chapter: parts of a corpus, repeated folds, images to select on.

:mod:`fer_lib.data.splits` makes single splits and certifies them; a chapter asks for them by these.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd

from fer_lib.data import splits
from fer_lib.data.corpus import Corpus
from fer_lib.data.splits import Fold
from fer_lib.errors import one_of

GROUPINGS = ("subject", "random")
SIX = ("anger", "disgust", "fear", "happiness", "sadness", "surprise")


def limited(corpus: Corpus, n: int, seed: int, others: dict[str, int] | None = None) -> Corpus:
    """Return n stratified training images of a corpus with an official split, and fewer of other parts.

    Those are n / 4 images, or as many as ``others`` says of a part.
    """
    counts = {"train": n} | (others or {})
    parts = [
        splits.subset(corpus, np.flatnonzero(corpus.split == name), counts.get(name, n // 4), seed)
        for name in pd.unique(corpus.split)
    ]
    return corpus.select(np.sort(np.concatenate(parts)))


def cross_validation(
    corpus: Corpus, k: int, grouping: str, seed: int, repeats: int = 1, keep: int | None = None
) -> list[Fold]:
    """Return the folds of repeated k-fold cross-validation, named by grouping, repeat and fold.

    ``grouping``: ``subject`` keeps every person on one side, ``random`` does not ask. ``keep`` returns
    only so many folds of every repeat.
    """
    by_subject = one_of(grouping, GROUPINGS, "grouping") == "subject"
    split = splits.subject_kfold if by_subject else splits.kfold
    return [
        replace(fold, name=f"{grouping}-r{repeat}-{fold.name}")
        for repeat in range(repeats)
        for fold in split(corpus, k, seed + 1000 * repeat)[:keep]  # so that runs of other seeds share none
    ]


def with_validation(corpus: Corpus, fold: Fold, grouping: str, seed: int) -> Fold:
    """Set a tenth of a fold's training side aside, for something to be selected on."""
    train, validation = splits.hold_out(corpus, fold.train, 0.1, seed, grouping == "subject")
    return replace(fold, train=train, validation=validation)
