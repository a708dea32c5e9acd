"""FER2013 in every form it circulates in, read to one and the same corpus.

Accepted are ``fer2013.csv``, ``icml_face_data.csv`` and folders of images (``train/<class>/`` and
``test/<class>/``, with or without ``validation/<class>/``). The forms order their samples differently
and a csv row has no file name, so neither row nor file may enter the corpus. Samples are ordered by
split (train, public_test, private_test), then label, then the sha256 of their pixels, and named
``<split>-<first 12 hex digits>``, with ``-2``, ``-3`` ... for further copies of one image in one split.
Copies that agree in split, label and pixels are interchangeable, so this order has no ties that matter:
the same pixels give the same ids, the same row numbers and the same fingerprint in every form. (The
JPEG files are compressed once more, so folders and csv hold slightly different pixels.) Ordering by
hash and not by the pixels themselves keeps neighbours in the corpus unrelated.

The corpus has labels 0..6 in FER2013's (and canonical) order and ``split``; no subjects. With the option
``labels="ferplus"`` labels are 0..7 (7 is contempt), the same ids in the same order. With it or ``votes`` its
``meta`` has the votes (``neutral`` ... ``contempt``, ``unknown``, ``NF``, int64) and FER2013's own expression
(``original``).
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from fer_lib.data import first_bytes, pixel_csv
from fer_lib.data.corpus import SPLIT_ORDER, Card, Corpus
from fer_lib.data.datasets import fer2013_original, ferplus
from fer_lib.data.datasets.fer2013_folders import (
    CLASSES,
    SIZE,
    USAGE,
    Source,
    has_classes,
    list_images,
    read_images,
)
from fer_lib.data.reader import Reader
from fer_lib.data.sources import settle, shown
from fer_lib.errors import FerError

if TYPE_CHECKING:
    import pandas as pd

OFFICIAL = {
    "train": (3995, 436, 4097, 7215, 4830, 3171, 4965),
    "public_test": (467, 56, 496, 895, 653, 415, 607),
    "private_test": (491, 55, 528, 879, 594, 416, 626),
}
CSV_NAMES = ("fer2013.csv", "icml_face_data.csv", "fer2013")  # the last without suffix, if it is a csv
WRAPPERS = ("", "fer2013", "images", "archive")  # folders that the downloads unpack into
SPLITS = {usage: SPLIT_ORDER.index(split) for usage, split in USAGE.items()}

CARD = Card(
    name="fer2013",
    title="FER2013 (Facial Expression Recognition 2013)",
    owner="Pierre-Luc Carrier, Aaron Courville, Ian Goodfellow and others; ICML 2013 workshop",
    licence="Kaggle, Challenges in Representation Learning (ICML 2013): competition rules; no redistribution",
    obtain="Accept the rules of the Kaggle competition 'challenges-in-representation-learning-"
    "facial-expression-recognition-challenge' and download it with your own account.",
    tree="""\
fer2013/
    fer2013.csv              emotion,pixels,Usage          35,887 rows
or  icml_face_data.csv       "emotion"," Usage"," pixels"  35,887 rows
or  train/<class>/Training_<id>.jpg
    test/<class>/PublicTest_<id>.jpg, PrivateTest_<id>.jpg
    (PublicTest also under validation/<class>/)
and fer2013new.csv           votes of FER+, beside fer2013.csv (optional)""",
    may_show=True,
    notes=(
        "35,887 grey images of 48x48 in seven classes; 28,709 train, 3,589 public_test, 3,589 private_test.",
        "No subject ids: subject-independent splits are impossible.",
        "Measured on the csv: 12 black images, 1,851 redundant copies in 1,514 groups, 57 groups with "
        "conflicting labels, 557 groups across the official splits; 288 images of private_test and 280 of "
        "public_test have an identical twin in train.",
        "Altered copies (equalised histograms, JPEG, resized) circulate under the same names and counts; fer "
        "data check fer2013 tells them from the original.",
        "The public_test and private_test parts are told apart by file name or Usage, never by folder.",
        "FER+ (MIT licence, its own repository) adds ten votes per row; labels='ferplus' uses their majority "
        "in eight classes. It belongs to fer2013.csv row by row and cannot be joined to image folders.",
    ),
    place=1,
    codes={"In the csv": {str(code): name for code, name in enumerate(CLASSES)}},
    lacks={
        "subjects": "FER2013 is stills of unnamed people, so nothing can be held out by subject",
        "sequences": "FER2013 is unrelated stills of unnamed people, so nothing can be held out by subject "
        "and no sequence can be read",
    },
)


def locate(root: Path, labels: str, votes: bool) -> Source | None:
    """Find FER2013 in ``root`` or in a folder its downloads unpack into; None where there is nothing.

    Parameters
    ----------
    root : Path
    labels : {"original", "ferplus"}
        ``ferplus``: the majority of ten votes in eight classes (:mod:`fer_lib.data.datasets.ferplus`); only
        with the csv form. Rows without a majority, or with one for unknown or no face, are left out; how
        many, and which, is remarked.
    votes : bool
        Whether the votes come with the original labels, all rows kept, as columns of ``meta``; only with the
        csv form.
    """
    for folder in (root / wrapper for wrapper in WRAPPERS):
        if (source := _located(folder)) is not None:
            source.majority = labels == "ferplus"
            source.expected = {split: sum(counts) for split, counts in OFFICIAL.items()}
            _add_votes(source, ferplus.find(source.root) or ferplus.find(root), votes or source.majority)
            return source
    return None


def _located(folder: Path) -> Source | None:
    """Return FER2013 in this very folder; of several forms the csv, then the folders."""
    files = {f.name.lower(): f for f in sorted(folder.iterdir())} if folder.is_dir() else {}
    files = {name: f for name, f in files.items() if f.suffix.lower() in (".csv", "") and f.is_file()}
    for name in CSV_NAMES:
        if name in files and (name.endswith(".csv") or b"pixels" in first_bytes.read_head(files[name])):
            return Source(folder, "csv", files=[str(files[name])])
    if has_classes(folder):
        return list_images(folder)
    return Source(folder, "raw", files=[str(files["train.csv"])]) if "train.csv" in files else None


def _add_votes(source: Source, path: Path | None, asked: bool) -> None:
    """Say whether the votes of FER+ are here; if they are asked for, make them part of the source."""
    source.unusable = ferplus.no_votes(path) if path else ""
    source.facts["ferplus_rows"] = rows = pixel_csv.count_rows(path) if path and not source.unusable else 0
    if not asked:
        if rows:
            use = (
                "labels='ferplus' and votes=True use them"
                if source.form == "csv"
                else "they belong to the rows of fer2013.csv and cannot be joined to this form"
            )
            source.remarks.append(f"FER+: {path.name} with {rows:,} rows of votes is here; {use}.")
        return
    if source.form != "csv":
        raise FerError(
            f"{shown(source.root)} holds FER2013 without the order of its rows, and the votes of FER+ have "
            "nothing else to be joined by; labels='ferplus' needs fer2013.csv, as does votes=True."
        )
    if path is None:
        raise FerError(
            f"{shown(source.root)} holds no {ferplus.NAME}; put the file of the FER+ repository beside "
            f"{Path(source.files[0]).name}."
        )
    source.files.append(str(path))
    source.votes = path
    source.expected["ferplus_rows"] = sum(source.expected.values())
    ferplus.describe(ferplus.read(path, SPLITS), source)


def _build(source: Source, card: Card, problems: list[str] | None) -> Corpus:
    """Read whatever form of FER2013 was found."""
    found = list(source.problems)
    meta = None
    if source.form == "folders":
        images, codes, split = read_images(source, found)
    else:
        path = Path(source.files[0])
        columns = {"emotion": {str(code): code for code in range(len(CLASSES))}}
        columns |= {} if source.form == "raw" else {"Usage": SPLITS}  # raw rows are all for training
        images, read, kept, rows = pixel_csv.read_images(path, SIZE, columns, found)
        codes, split = read["emotion"], read.get("Usage", np.zeros(len(kept), np.int64))
        if source.votes:
            import pandas as pd

            counted = ferplus.read(source.votes, SPLITS)
            ferplus.match(counted, path, len(rows), kept, codes, split)
            meta = pd.DataFrame(counted.counts[kept], columns=list(ferplus.COLUMNS))
            meta = meta.assign(original=np.array(CLASSES)[codes])
    if not len(images) and not found:
        found.append(
            f"{source.root}: no image is named as FER2013 names them (Training_<id>.jpg, "
            "PublicTest_<id>.jpg, PrivateTest_<id>.jpg), so no split is known; get one with those names."
            if source.form == "folders"
            else f"{source.files[0]} has no rows; get it again."
        )
    settle(found, problems, card.name, source.root)
    corpus = _canonical_order(images, codes, split, meta)
    return ferplus.relabel(corpus) if source.majority else corpus


def authenticity(corpus: Corpus) -> dict[str, Any]:
    """Tell whether a corpus is the original FER2013 or an altered copy.

    Cheap enough for every run (about a second). For what is returned see
    :func:`fer_lib.data.datasets.fer2013_original.compare`.
    """
    return fer2013_original.compare(corpus, wrong_counts(corpus), whole=corpus.classes == CLASSES)


def doubts(source: Source, found: dict[str, Any]) -> list[str]:
    """Say what of the authenticity ``found`` and of the votes speaks against a copy, besides counts."""
    said = [f"{source.unusable} The votes of FER+ cannot be used."] if source.unusable else []
    if found["training_mean"] is None:  # too few images; `wrong_counts` says so
        return said
    said += [sentence for sentence in found["findings"] if not sentence.startswith("Images are missing")]
    if source.form == "csv" and found["first_rows"] == len(fer2013_original.ORIGINAL.first):
        rows = next(pixel_csv.blocks(Path(source.files[0]), ["emotion", "pixels"], []))[:10]
        pixels, _ = pixel_csv.parse_pixels(rows["pixels"].fillna("").tolist(), SIZE * SIZE)
        hashes = tuple(map(fer2013_original.short_hash, pixels))
        if hashes != tuple(digest for _, digest in fer2013_original.ORIGINAL.first):
            said.append(
                f"{shown(source.files[0])}: the rows are not in the original's order. That changes no "
                "result, but the votes of FER+ belong to rows by their order and cannot be joined."
            )
    return said


def wrong_counts(corpus: Corpus) -> list[str]:
    """Compare the counts per split and class with the official ones; one sentence per difference."""
    if corpus.classes != CLASSES:  # FER+ has other classes and leaves rows out; `unfit` counts its rows
        return []
    sentences = []
    for name, expected in OFFICIAL.items():
        found = np.bincount(corpus.labels[corpus.split == name], minlength=len(CLASSES))
        if not found.any():
            sentences.append(f"{name} is missing: 0 of {sum(expected):,} images.")
            continue
        for expression, have, want in zip(CLASSES, found.tolist(), expected, strict=True):
            if have != want:
                sentences.append(f"{name}, {expression}: {have:,} images, officially {want:,}.")
    return sentences


def unfit(source: Source) -> list[str]:
    """Say why a copy cannot serve whatever it counts: the competition's raw files, or too few votes."""
    if source.form == "raw":
        return [
            f"{source.root} holds the raw competition files: test.csv has no labels, so nothing can be "
            "scored on it; get icml_face_data.csv from the same competition, or fer2013.csv."
        ]
    have, want = (counts.get("ferplus_rows") for counts in (source.facts, source.expected))
    if source.votes and have != want:
        return [f"{source.votes} has {have:,} rows, officially {want:,}."]
    return []


def _canonical_order(
    images: np.ndarray, labels: np.ndarray, split: np.ndarray, meta: pd.DataFrame | None
) -> Corpus:
    """Order and name the samples by content alone; ``split`` holds positions in SPLIT_ORDER."""
    hashes = np.array([hashlib.sha256(image).hexdigest() for image in images], dtype="U64")
    order = np.lexsort((hashes, labels, split))
    names = np.array(SPLIT_ORDER)[split[order]]
    seen: dict[str, int] = {}
    ids = []
    for name, digest in zip(names.tolist(), hashes[order].tolist(), strict=True):
        key = f"{name}-{digest[:12]}"
        seen[key] = seen.get(key, 0) + 1
        ids.append(key if seen[key] == 1 else f"{key}-{seen[key]}")
    columns: dict[str, Any] = {"split": names, "meta": None if meta is None else meta.iloc[order]}
    return Corpus(images[order], labels[order], CLASSES, CARD, np.array(ids, dtype=np.str_), **columns)


READER = Reader(
    CARD,
    locate,
    {"labels": ("original", "ferplus"), "votes": (False, True)},
    {},
    _build,
    faults=lambda source, corpus: unfit(source) + wrong_counts(corpus),
    authenticity=authenticity,
    doubts=doubts,
)
