"""FER2013 in every form it circulates in, read to one and the same corpus.

The forms order their samples differently and a csv row has no file name, so neither row nor file may enter
the corpus. Samples are ordered by split (train, public_test, private_test), then label, then the sha256 of
their pixels, and named ``<split>-<first 12 hex digits>``, with ``-2``, ``-3`` ... for further copies of one
image in one split: the same pixels give the same corpus in every form. (The JPEG files are compressed once
more, so folders and csv hold slightly different pixels.) Ordering by hash and not by the pixels keeps
neighbours in the corpus unrelated.

The corpus has labels 0..6 in FER2013's (and canonical) order and ``split``; no subjects. With the option
``votes`` its ``meta`` has the votes of FER+ (``neutral`` ... ``contempt``, ``unknown``, ``NF``, int64) and
the ``original`` label.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from fer_lib.data import pixel_csv
from fer_lib.data.corpus import SPLIT_ORDER, Card, Corpus
from fer_lib.data.datasets import fer2013_original, ferplus
from fer_lib.data.datasets.ferplus import SPLITS
from fer_lib.data.decoding import decode, decode_all
from fer_lib.data.reader import Reader
from fer_lib.data.sources import Source, folded, read_head, settle, shown
from fer_lib.errors import FerError
from fer_lib.expressions import ALIASES, EXPRESSIONS

if TYPE_CHECKING:
    import pandas as pd

SIZE = 48
CLASSES = EXPRESSIONS[:7]  # FER2013's codes 0..6 are the canonical order
FOLDERS = {name: CLASSES.index(name) for name in CLASSES}
FOLDERS |= {name: FOLDERS[known] for name, known in ALIASES.items() if known in FOLDERS}
FOLDERS |= {str(code): code for code in range(len(CLASSES))}  # some copies name them so; counts tell
SPLIT_FOLDERS = ("train", "training", "validation", "val", "test", "publictest", "privatetest")
FILE_NAME = re.compile(r"(Training|PublicTest|PrivateTest)_\d+\.jpg")
OFFICIAL = {
    "train": (3995, 436, 4097, 7215, 4830, 3171, 4965),
    "public_test": (467, 56, 496, 895, 653, 415, 607),
    "private_test": (491, 55, 528, 879, 594, 416, 626),
}
WRAPPERS = ("", "fer2013", "images", "archive")  # folders that the downloads unpack into

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
        "FER+ (MIT licence, its own repository) adds ten votes per row: votes=True. It belongs to "
        "fer2013.csv row by row and cannot be joined to image folders.",
    ),
    place=1,
    codes={"In the csv": {str(code): name for code, name in enumerate(CLASSES)}},
    lacks={
        "subjects": "FER2013 is stills of unnamed people, so nothing can be held out by subject",
        "sequences": "FER2013 is unrelated stills of unnamed people, so nothing can be held out by subject "
        "and no sequence can be read",
    },
)


def locate(root: Path, votes: bool) -> Source | None:
    """Find FER2013 in ``root`` or in a folder its downloads unpack into; None where there is nothing.

    ``votes`` says whether the votes of FER+ (:mod:`fer_lib.data.datasets.ferplus`) come as columns of
    ``meta``; they can only be had with the csv form.
    """
    located = (source for wrapper in WRAPPERS if (source := _located(root / wrapper)))
    if (source := next(located, None)) is None:
        return None
    source.expected = {split: sum(counts) for split, counts in OFFICIAL.items()}
    path = ferplus.find(source.root) or ferplus.find(root)
    if votes and source.form != "csv":
        raise FerError(
            f"{shown(source.root)} holds FER2013 without the order of its rows, and the votes of FER+ have "
            "nothing else to be joined by; votes=True needs fer2013.csv."
        )
    if votes and path is None:
        raise FerError(
            f"{shown(source.root)} holds no {ferplus.NAME}; put the file of the FER+ repository beside "
            f"{source.files[0].name}."
        )
    if votes:
        source.files.append(path)
    elif path:
        said = "votes=True adds its votes" if source.form == "csv" else "its votes need fer2013.csv"
        if b"neutral" not in read_head(path):
            said = "but it is no file of votes (a login page, perhaps); download it again"
        source.remarks.append(f"FER+: {path.name} is here; {said}.")
    return source


def _located(folder: Path) -> Source | None:
    """Return FER2013 in this very folder; of several forms the csv, then the folders."""
    inside = sorted(folder.iterdir()) if folder.is_dir() else []
    files = {f.name.lower(): f for f in inside if f.suffix.lower() in (".csv", "") and f.is_file()}
    for name in ("fer2013.csv", "icml_face_data.csv", "fer2013"):
        if name in files:
            return Source(folder, "csv", files=[files[name]])
    parts = [f for f in inside if f.name.lower().replace("_", "") in SPLIT_FOLDERS and f.is_dir()]
    folders = [below for part in parts for below in sorted(part.iterdir()) if below.is_dir()]
    if any(below.name.lower() in FOLDERS for below in folders):
        return _list_images(Source(folder, "folders"), folders)
    if "train.csv" not in files:
        return None
    source = Source(folder, "raw")
    source.problems.append(
        f"{shown(folder)} holds the raw competition files: test.csv has no labels, so nothing can be scored "
        "on it; get icml_face_data.csv from the same competition, or fer2013.csv."
    )
    return source


def _list_images(source: Source, folders: list[Path]) -> Source:
    """List the images in class folders; the split is in their names, the label in the folder's."""
    first: dict[tuple[int, str], Path] = {}  # the official copy itself reuses a name across two classes
    for folder in folders:
        code, named = FOLDERS.get(folder.name.lower()), 0
        for name in sorted(os.listdir(folder)):  # noqa: PTH208 (36,000 names)
            if (match := FILE_NAME.fullmatch(name)) is None:
                source.pass_over(name)
            elif code is None:
                named += 1
            elif (twin := first.setdefault((code, name), folder)) != folder:
                source.problems.append(f"{name} lies both in {twin} and in {folder}; remove one of them.")
            else:
                # Paths would take half of a warm load's time.
                source.files.append(f"{folder}{os.sep}{name}")
                source.rows.append({"label": code, "split": SPLITS[match[1]]})
        if named:
            source.problems.append(
                f"{folder}: unknown class folder with {named} images; expected one of {', '.join(CLASSES)} "
                "or a usual spelling of it; rename or remove it."
            )
    return source


def _read_images(source: Source, problems: list[str]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Decode image files: uint8 (N, 48, 48), labels and splits int64 (N,)."""

    def load(position: int) -> list[np.ndarray]:
        image = decode(Path(source.files[position]))
        if image.shape != (SIZE, SIZE):
            raise FerError(
                f"is {image.shape[1]}x{image.shape[0]} pixels, expected {SIZE}x{SIZE}; a resized copy has "
                "other grey levels than FER2013, get one of the original size."
            )
        return [image]

    faults: list[tuple[str, str]] = []
    images, kept, _ = decode_all(source.files, "FER2013", faults, SIZE, load)
    problems += folded(faults, "file")
    if not source.files and not problems:
        problems.append(
            f"{source.root}: no image is named as FER2013 names them (Training_<id>.jpg, "
            "PublicTest_<id>.jpg, PrivateTest_<id>.jpg), so no split is known; get one with those names."
        )
    labels, split = ([source.rows[i][key] for i in kept] for key in ("label", "split"))
    return images, np.array(labels, np.int64), np.array(split, np.int64)


def _build(source: Source, card: Card, problems: list[str] | None) -> Corpus:
    """Read whatever form of FER2013 was found."""
    found = list(source.problems)
    meta = None
    if source.form == "csv":
        path, *votes = source.files
        columns = {"emotion": {str(code): code for code in range(len(CLASSES))}, "Usage": SPLITS}
        images, (labels, split), kept, rows = pixel_csv.read_images(path, SIZE, columns, found)
        if not len(images) and not found:
            found.append(f"{path} has no rows; get it again.")
        if votes:
            import pandas as pd

            counts = ferplus.join(votes[0], path, rows, kept, labels, split)
            meta = pd.DataFrame(counts, columns=list(ferplus.COLUMNS))
            meta = meta.assign(original=np.array(CLASSES)[labels])
    else:
        images, labels, split = _read_images(source, found)
    settle(found, problems, card.name, source.root)
    return _canonical_order(images, labels, split, meta)


def wrong_counts(corpus: Corpus) -> list[str]:
    """Compare the counts per split and class with the official ones; one sentence per difference."""
    sentences = []
    for name, expected in OFFICIAL.items():
        found = np.bincount(corpus.labels[corpus.split == name], minlength=len(CLASSES))
        if not found.any():
            sentences.append(f"{name} is missing: 0 of {sum(expected):,} images.")
            continue
        sentences += [
            f"{name}, {expression}: {have:,} images, officially {want:,}."
            for expression, have, want in zip(CLASSES, found.tolist(), expected, strict=True)
            if have != want
        ]
    return sentences


def _canonical_order(
    images: np.ndarray, labels: np.ndarray, split: np.ndarray, meta: pd.DataFrame | None
) -> Corpus:
    """Order and name the samples by content alone; ``split`` holds positions in SPLIT_ORDER."""
    hashes = np.array([hashlib.sha256(image).hexdigest() for image in images], dtype="U64")
    order = np.lexsort((hashes, labels, split))
    names = np.array(SPLIT_ORDER)[split[order]]
    seen: Counter[str] = Counter()
    ids = []
    for name, digest in zip(names.tolist(), hashes[order].tolist(), strict=True):
        key = f"{name}-{digest[:12]}"
        seen[key] += 1
        ids.append(key if seen[key] == 1 else f"{key}-{seen[key]}")
    columns: dict[str, Any] = {"split": names, "meta": None if meta is None else meta.iloc[order]}
    return Corpus(images[order], labels[order], CLASSES, CARD, np.array(ids, dtype=np.str_), **columns)


READER = Reader(
    CARD,
    locate,
    {"votes": (False, True)},
    {},
    _build,
    faults=lambda source, corpus: wrong_counts(corpus),
    authenticity=lambda corpus: fer2013_original.compare(corpus, wrong_counts(corpus)),
)
