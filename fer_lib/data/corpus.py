"""One dataset in memory: aligned columns, a fingerprint, and the facts about its duplicate images."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from fer_lib.errors import FerError, one_of
from fer_lib.expressions import EXPRESSIONS, canonical

if TYPE_CHECKING:
    import pandas as pd

SPLIT_ORDER = ("train", "public_test", "private_test")


@dataclass(frozen=True)
class Card:
    """What a user must know of a corpus before touching it, and what the rest of the library says of it."""

    name: str  # its key everywhere
    title: str  # what people call it
    owner: str
    licence: str
    obtain: str  # how
    tree: str  # the expected files
    may_show: bool  # whether its images appear in a published book
    synthetic: bool = False  # generated, and so no evidence
    notes: tuple[str, ...] = ()
    place: int = 100  # in lists of corpora; equal ones stand in the order of their names
    # For each form that writes labels its own way: code or word -> canonical expression.
    codes: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    # Counts of a complete copy: `images`, `sequences`, `subjects`, and those of expressions.
    complete: Mapping[str, int] = field(default_factory=dict)
    # `subjects` or `sequences`, where it has none -> why not, for a sentence that refuses a protocol.
    lacks: Mapping[str, str] = field(default_factory=dict)
    stands_in: tuple[str, ...] = ()  # papers without a claim about it in which it may stand in for theirs
    address: str = ""  # of an archive of the whole corpus that the owners let anyone download


@dataclass(frozen=True, eq=False)
class Corpus:
    """Aligned columns of N samples.

    Attributes
    ----------
    images : uint8 (N, H, W)
        Grey pixels, 0 black to 255 white.
    labels : int64 (N,)
        Indices into ``classes``.
    classes : tuple of str
        Canonical expression names.
    card : Card
    ids : str (N,)
        Unique name of each sample; folds and evidence refer to it.
    subjects, sequences, split : str (N,) or None
        Person, image sequence and official split of each sample; like what follows None where there is none.
    landmarks : float32 (N, K, 2) or None
        Points (x, y) in pixels; the centre of the top left pixel is (0, 0).
    valid : bool (N,) or None
        Whether the landmarks, or the crop of a face, are to be trusted.
    meta : pandas.DataFrame (N rows) or None
        Further columns (pose, illumination, frame).

    FerError if a column does not align with the images, a label has no class or an id is not unique.
    """

    images: np.ndarray
    labels: np.ndarray
    classes: tuple[str, ...]
    card: Card
    ids: np.ndarray
    subjects: np.ndarray | None = None
    sequences: np.ndarray | None = None
    split: np.ndarray | None = None
    landmarks: np.ndarray | None = None
    valid: np.ndarray | None = None
    meta: pd.DataFrame | None = None

    def __post_init__(self) -> None:
        if self.images.dtype != np.uint8 or self.images.ndim != 3:
            found = f"{self.images.dtype} {self.images.shape}"
            raise FerError(f"A corpus holds grey uint8 images (N, H, W); got {found}.")
        kinds = {"labels": np.int64, "ids": np.str_, "landmarks": np.float32, "valid": np.bool_}
        for name, kind in (kinds | dict.fromkeys(("subjects", "sequences", "split"), np.str_)).items():
            if (column := getattr(self, name)) is not None:
                object.__setattr__(self, name, np.asarray(column, dtype=kind))
        object.__setattr__(self, "classes", tuple(canonical(c) for c in self.classes))
        if self.meta is not None:
            object.__setattr__(self, "meta", self.meta.reset_index(drop=True))
        for name, column in self._columns().items():
            if column is not None and len(column) != len(self):
                raise FerError(f"{name} has {len(column)} entries for {len(self)} images.")
        if len(self) and not (self.labels.min() >= 0 and self.labels.max() < len(self.classes)):
            raise FerError(f"A label lies outside 0..{len(self.classes) - 1}, the classes of this corpus.")
        if len(np.unique(self.ids)) != len(self):
            raise FerError("Sample ids must be unique; at least one occurs twice.")

    def _columns(self) -> dict[str, Any]:
        """Return the aligned columns by name, ``images`` first; None for those that the corpus lacks."""
        names = (f.name for f in fields(self) if f.name not in ("classes", "card"))
        return {name: getattr(self, name) for name in names}

    def __len__(self) -> int:
        return len(self.images)

    def __repr__(self) -> str:
        size = "x".join(map(str, self.images.shape[1:]))
        return f"Corpus({self.card.name}: {len(self)} images of {size}, {len(self.classes)} classes)"

    @cached_property
    def fingerprint(self) -> str:
        """Sha256 (64 hex digits) over pixels, shape, classes and every column; the card is left out."""
        sha = hashlib.sha256(json.dumps([self.images.shape, self.classes]).encode())
        sha.update(np.ascontiguousarray(self.images))
        for name, column in list(self._columns().items())[1:]:
            sha.update(f"\n{name} {column is not None}\n".encode())
            if column is None:
                continue
            if name == "meta":
                sha.update(column.to_csv(index=False, lineterminator="\n").encode())
            elif column.dtype.kind == "U":  # the item size of a str array is no part of its content
                sha.update("\0".join(column.tolist()).encode())
            else:
                sha.update(np.ascontiguousarray(column, dtype=column.dtype.newbyteorder("<")))
        return sha.hexdigest()

    def select(self, index: np.ndarray | slice | Iterable[int]) -> Corpus:
        """Return the samples at ``index`` (positions, in that order) or where a bool mask is true."""
        if not isinstance(index, slice):
            index = np.asarray(index if isinstance(index, np.ndarray) else list(index))
            index = index if index.dtype == bool else index.astype(np.int64)
        columns = {name: column for name, column in self._columns().items() if column is not None}
        parts = {name: c.iloc[index] if name == "meta" else c[index] for name, c in columns.items()}
        return replace(self, **parts)

    def only(self, classes: Iterable[str]) -> Corpus:
        """Keep the samples of ``classes`` and relabel them to those classes in canonical order."""
        wanted = {one_of(canonical(name), self.classes, "class of this corpus") for name in classes}
        kept = tuple(name for name in EXPRESSIONS if name in wanted)
        new = np.array([kept.index(name) if name in kept else -1 for name in self.classes])
        part = self.select(new[self.labels] >= 0)
        return replace(part, labels=new[part.labels], classes=kept)

    def counts(self) -> pd.DataFrame:
        """Return the number of samples, one row per class, one column per official split (else ``all``)."""
        import pandas as pd

        split = np.full(len(self), "all") if self.split is None else self.split
        n = len(self.classes)
        table = {name: np.bincount(self.labels[split == name], minlength=n) for name in split_names(split)}
        return pd.DataFrame(table, index=pd.Index(self.classes, name="class"))

    def resize(self, size: int | tuple[int, int]) -> Corpus:
        """Return the corpus at ``size`` (height, width; or one number for a square).

        Pixels are averaged over areas (``cv2.INTER_AREA``); landmarks follow, pixel centres being the
        whole numbers: x' = (x + 0.5) s - 0.5.
        """
        import cv2

        height, width = (size, size) if np.isscalar(size) else size
        if (height, width) == self.images.shape[1:]:
            return self
        images = np.empty((len(self), height, width), np.uint8)
        for i, image in enumerate(self.images):
            cv2.resize(image, (width, height), dst=images[i], interpolation=cv2.INTER_AREA)
        landmarks = self.landmarks
        if landmarks is not None:
            scale = np.array([width / self.images.shape[2], height / self.images.shape[1]], np.float32)
            landmarks = (landmarks + 0.5) * scale - 0.5
        return replace(self, images=images, landmarks=landmarks)


def split_names(split: np.ndarray) -> list[str]:
    """Return the names that occur in a split column: FER2013's in order, then others by name."""
    found = set(np.unique(split).tolist())
    return [s for s in SPLIT_ORDER if s in found] + sorted(found - set(SPLIT_ORDER))


def pack(corpus: Corpus) -> dict[str, np.ndarray]:
    """Return the corpus as named arrays without object dtype, for :func:`fer_lib.files.cached_arrays`."""
    columns = corpus._columns().items()
    arrays = {name: column for name, column in columns if column is not None and name != "meta"}
    arrays["classes"] = np.array(corpus.classes)
    if corpus.meta is not None:
        for i, name in enumerate(corpus.meta.columns):  # numbered, so that the column order returns
            column = corpus.meta[name].to_numpy()
            arrays[f"meta.{i:02d}.{name}"] = column if column.dtype.kind in "biuf" else column.astype(np.str_)
    return arrays


def unpack(arrays: dict[str, np.ndarray], card: Card) -> Corpus:
    """Return the corpus that :func:`pack` took apart."""
    columns: dict[str, Any] = {name: a for name, a in arrays.items() if not name.startswith("meta.")}
    meta = {name.split(".", 2)[2]: arrays[name] for name in sorted(arrays) if name.startswith("meta.")}
    if meta:
        import pandas as pd

        columns["meta"] = pd.DataFrame(meta)
    columns["classes"] = tuple(columns["classes"].tolist())
    return Corpus(card=card, **columns)


def twins(images: np.ndarray) -> np.ndarray:
    """Return the group (int64 (N,), numbered by first occurrence) of pixel-identical images (N, H, W)."""
    seen: dict[bytes, int] = {}
    groups = (seen.setdefault(image.tobytes(), len(seen)) for image in images)
    return np.fromiter(groups, np.int64, len(images))


def _other_label(group: np.ndarray, labels: np.ndarray, among: np.ndarray, of: np.ndarray) -> np.ndarray:
    """Tell which samples ``of`` (positions) have a twin ``among`` others with another label, bool."""
    held = np.zeros((group.max(initial=0) + 1, labels.max(initial=0) + 1), bool)
    held[group[among], labels[among]] = True
    rows = held[group[of]]
    rows[np.arange(len(of)), labels[of]] = False
    return rows.any(axis=1)


def audit(corpus: Corpus) -> dict[str, Any]:
    """Count the images, the black ones and pixel-identical copies.

    ``distinct`` are pixel contents, ``redundant`` the copies beyond the first, ``groups`` those of identical
    images; ``conflicting_groups`` hold several labels, ``cross_split_groups`` lie in several official splits.
    Per split other than ``train`` are counted the images with a twin in ``train`` (``twins_in_training``) and
    those whose twin there has another label (``twins_with_other_label``).
    """
    import pandas as pd

    group = twins(corpus.images)
    sizes = np.bincount(group)
    black = ~corpus.images.any(axis=(1, 2))

    def groups_with_several(column: np.ndarray) -> int:
        return int(pd.Series(column).groupby(group).nunique().gt(1).sum())

    facts: dict[str, Any] = {
        "images": len(corpus),
        "distinct": len(sizes),
        "redundant": len(corpus) - len(sizes),
        "groups": int((sizes > 1).sum()),
        "conflicting_groups": groups_with_several(corpus.labels),
        "cross_split_groups": 0,
        "black": {"total": int(black.sum())},
        "twins_in_training": {},
        "twins_with_other_label": {},
    }
    if corpus.split is None:
        return facts
    facts["cross_split_groups"] = groups_with_several(corpus.split)
    train = np.flatnonzero(corpus.split == "train")
    for name in split_names(corpus.split):
        here = np.flatnonzero(corpus.split == name)
        facts["black"][name] = int(black[here].sum())
        if len(train) and name != "train":
            facts["twins_in_training"][name] = int(np.isin(group[here], group[train]).sum())
            other = _other_label(group, corpus.labels, train, here)
            facts["twins_with_other_label"][name] = int(other.sum())
    return facts


def flags(corpus: Corpus, train_idx: np.ndarray, test_idx: np.ndarray) -> dict[str, np.ndarray]:
    """Mark the test samples whose result says less than it seems, bool (len(test_idx),) each.

    ``twin_in_training``: a pixel-identical image lies in the training part. ``conflicting_label``: a
    pixel-identical image anywhere in the corpus has another label, so no prediction is right on both.
    """
    group = twins(corpus.images)
    train_idx, test_idx = np.asarray(train_idx, np.int64), np.asarray(test_idx, np.int64)
    return {
        "twin_in_training": np.isin(group[test_idx], group[train_idx]),
        "conflicting_label": _other_label(group, corpus.labels, np.arange(len(corpus)), test_idx),
    }
