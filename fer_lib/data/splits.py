"""Who trains and who is tested: official splits, k-fold, by subject, and the certificate of what they keep.

Samples are put in the order of their ids before a splitter sees them, so folds depend on the ids, labels and
subjects of a corpus, on ``k`` and on ``seed``; not on the order of its rows, on its pixels or on the machine.
"""

from __future__ import annotations

import hashlib
import warnings
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from fer_lib.data.corpus import Corpus, audit, split_names, twins
from fer_lib.errors import FerError, one_of


@dataclass(frozen=True, eq=False)
class Fold:
    """One division of a corpus: positions int64 for training, testing and (perhaps empty) validation."""

    name: str
    train: np.ndarray
    test: np.ndarray
    validation: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int64))

    def __post_init__(self) -> None:
        for part in ("train", "test", "validation"):
            object.__setattr__(self, part, np.sort(np.asarray(getattr(self, part), dtype=np.int64)))


def official(
    corpus: Corpus, test: str = "private_test", validation: str | None = "public_test"
) -> list[Fold]:
    """Return the one fold of a corpus's official split; FerError if it has none, or none of that name."""
    if corpus.split is None:
        raise FerError(f"{corpus.card.title} has no official split; use kfold or a subject protocol.")
    for name in filter(None, ("train", test, validation)):
        one_of(name, split_names(corpus.split), "split of this corpus")
    parts = (np.flatnonzero(corpus.split == (name or "")) for name in ("train", test, validation))
    return [Fold("official", *parts)]


def kfold(corpus: Corpus, k: int, seed: int = 0) -> list[Fold]:
    """Return ``k`` random folds with the classes in proportion (scikit-learn's StratifiedKFold).

    Samples of one subject, and frames of one sequence, which are nearly equal images, may fall on both
    sides: the certificate counts them.
    """
    from sklearn.model_selection import StratifiedKFold

    return _folds(corpus, StratifiedKFold(k, shuffle=True, random_state=seed))


def subject_kfold(corpus: Corpus, k: int, seed: int = 0) -> list[Fold]:
    """Return ``k`` folds that keep every subject on one side (scikit-learn's StratifiedGroupKFold).

    Classes are in proportion as far as whole subjects allow. Where that would leave a fold empty, folds hold
    equally many subjects instead (its GroupKFold). FerError if the corpus has no subjects, or too few.
    """
    from sklearn.model_selection import GroupKFold, StratifiedGroupKFold

    subjects = _subjects(corpus)
    folds = _folds(corpus, StratifiedGroupKFold(k, shuffle=True, random_state=seed), subjects)
    if all(len(fold.test) for fold in folds):
        return folds
    return _folds(corpus, GroupKFold(k, shuffle=True, random_state=seed), subjects)


def leave_one_subject_out(corpus: Corpus) -> list[Fold]:
    """Return one fold per subject, named by it, that tests on this subject alone."""
    from sklearn.model_selection import LeaveOneGroupOut

    subjects = _subjects(corpus)
    folds = _folds(corpus, LeaveOneGroupOut(), subjects)
    return [replace(fold, name=str(name)) for name, fold in zip(np.unique(subjects), folds, strict=True)]


def _folds(corpus: Corpus, splitter: Any, groups: np.ndarray | None = None) -> list[Fold]:
    """Split in the order of ids and map back to positions in the corpus."""
    order = np.argsort(corpus.ids)
    labels = corpus.labels[order]
    groups = None if groups is None else groups[order]
    with warnings.catch_warnings():  # a class smaller than k is allowed and shows in the certificate
        warnings.filterwarnings("ignore", message="The least populated class", category=UserWarning)
        try:
            pairs = list(splitter.split(labels, labels, groups))
        except ValueError as error:  # fewer subjects or samples than folds
            raise FerError(f"{corpus.card.title} cannot be split so: {error}") from None
    return [Fold(f"fold{i + 1}", order[train], order[test]) for i, (train, test) in enumerate(pairs)]


def _subjects(corpus: Corpus) -> np.ndarray:
    """Return the subjects, or refuse with the reason."""
    if corpus.subjects is None:
        raise FerError(
            f"{corpus.card.title} has no subject ids, so nobody can tell whether a person is on both sides: "
            "subject-independent protocols are impossible on it. Use its official split or kfold."
        )
    return corpus.subjects


def subset(corpus: Corpus, train_idx: np.ndarray, n: int, seed: int = 0) -> np.ndarray:
    """Return ``n`` of ``train_idx`` with the classes in proportion (each within one sample), int64 sorted.

    Subsets of one seed are nested: the 100 are among the 1,000, so a curve over sizes is not blurred by
    different draws.
    """
    train_idx = np.sort(np.asarray(train_idx, dtype=np.int64))
    if not 1 <= n <= len(train_idx):
        raise FerError(f"A subset of {len(train_idx)} training samples cannot have {n}.")
    # 64 bits that depend on seed and name alone, the same in every version of every library.
    hashes = (hashlib.blake2b(f"{seed} {name}".encode(), digest_size=8) for name in corpus.ids[train_idx])
    luck = np.array([int.from_bytes(made.digest(), "big") for made in hashes], dtype=np.uint64)
    labels = corpus.labels[train_idx]
    position = np.empty(len(train_idx))  # of a sample within its class, 0..1
    for label in np.unique(labels):
        members = np.flatnonzero(labels == label)
        position[members[np.argsort(luck[members])]] = (np.arange(len(members)) + 0.5) / len(members)
    return np.sort(train_idx[np.lexsort((luck, position))[:n]])


def hold_out(
    corpus: Corpus, train_idx: np.ndarray, fraction: float, seed: int = 0, by_subject: bool = False
) -> tuple[np.ndarray, np.ndarray]:
    """Part ``train_idx`` into (train, validation), both int64 sorted and not empty.

    ``fraction``, between 0 and 1, is the share of validation: of the subjects if ``by_subject``; else of the
    sequences where the corpus has them (frames of one sequence stay together); else of the samples, with the
    classes in proportion. FerError if there is too little to part, or the corpus has no subjects.
    """
    train_idx = np.sort(np.asarray(train_idx, dtype=np.int64))
    units = _subjects(corpus) if by_subject else corpus.sequences
    here = train_idx if units is None else np.unique(units[train_idx])
    n = max(1, round(fraction * len(here)))
    if n >= len(here):
        what = "samples" if units is None else "subjects" if by_subject else "sequences"
        raise FerError(f"{fraction:.0%} of {len(here)} {what} leaves nothing to train on.")
    if units is None:
        validation = subset(corpus, train_idx, n, seed)
    else:
        from sklearn.model_selection import GroupShuffleSplit

        splitter = GroupShuffleSplit(1, test_size=n, random_state=seed)
        validation = train_idx[next(splitter.split(train_idx, groups=units[train_idx]))[1]]
    return np.setdiff1d(train_idx, validation), validation


def certify(corpus: Corpus, folds: list[Fold], subject_independent: bool) -> dict[str, Any]:
    """Establish what the folds keep, for the evidence; ``subject_independent`` is what the protocol promises.

    ``subjects_shared`` and ``sequences_shared`` lie both in training or validation and in test, summed over
    folds (None where the corpus records none); ``twins_crossing`` and ``twins_in_validation`` are test
    samples with a pixel-identical image in training and in validation. ``index_sha256`` is over names and
    index lists; ``folds`` has the same per fold, with ``sizes``, ``counts`` per class and the number of
    ``subjects`` of its parts.

    FerError if ``subject_independent`` is promised and violated, or cannot be known; if the parts of a fold
    overlap, or one lacks training or test samples.
    """
    if subject_independent:
        _subjects(corpus)
    group = twins(corpus.images)
    facts = [_certify_fold(corpus, fold, group) for fold in folds]
    for fact in facts:
        if subject_independent and fact["subjects_shared"]:
            raise FerError(
                f"{fact['name']}: {fact['subjects_shared']} subjects are on both sides, but the protocol "
                "promises subject-independent folds; make them with subject_kfold or leave_one_subject_out."
            )
    times = np.bincount(np.concatenate([fold.test for fold in folds]), minlength=len(corpus))
    sha = hashlib.sha256()
    for fold in folds:
        for part in (fold.train, fold.validation, fold.test):
            sha.update(f"{fold.name} {len(part)} ".encode() + part.astype("<i8").tobytes())
    summed = ("subjects_shared", "sequences_shared", "twins_crossing", "twins_in_validation")
    totals = {name: [fact[name] for fact in facts] for name in summed}
    return {
        "dataset": corpus.card.name,
        "fingerprint": corpus.fingerprint,
        "images": len(corpus),
        "classes": list(corpus.classes),
        "subject_independent": subject_independent,
        "n_folds": len(folds),
        "every_sample_tested_once": bool((times == 1).all()),
        "tested": int((times > 0).sum()),
        **{name: None if None in values else sum(values) for name, values in totals.items()},
        "audit": audit(corpus),
        "index_sha256": sha.hexdigest(),
        "folds": facts,
    }


def _certify_fold(corpus: Corpus, fold: Fold, group: np.ndarray) -> dict[str, Any]:
    """Return the facts of one fold; ``group`` numbers the pixel-identical images."""
    parts = {"train": fold.train, "validation": fold.validation, "test": fold.test}
    every = np.concatenate(list(parts.values()))
    if not len(fold.train) or not len(fold.test):
        raise FerError(f"{fold.name} has {len(fold.train)} training and {len(fold.test)} test samples.")
    if len(np.unique(every)) != len(every):
        raise FerError(
            f"{fold.name}: a sample lies in two of training, validation and test, or twice in one."
        )
    seen = np.concatenate([fold.train, fold.validation])  # validation chooses the model: it is not unseen

    def shared(column: np.ndarray | None) -> int | None:
        return None if column is None else len(np.intersect1d(column[seen], column[fold.test]))

    def per_class(index: np.ndarray) -> dict[str, int]:
        counts = np.bincount(corpus.labels[index], minlength=len(corpus.classes)).tolist()
        return dict(zip(corpus.classes, counts, strict=True))

    subjects = corpus.subjects
    people = None if subjects is None else {name: len(np.unique(subjects[i])) for name, i in parts.items()}
    return {
        "name": fold.name,
        "sizes": {name: len(index) for name, index in parts.items()},
        "counts": {name: per_class(index) for name, index in parts.items()},
        "subjects": people,
        "subjects_shared": shared(subjects),
        "sequences_shared": shared(corpus.sequences),
        "twins_crossing": int(np.isin(group[fold.test], group[fold.train]).sum()),
        "twins_in_validation": int(np.isin(group[fold.test], group[fold.validation]).sum()),
    }
