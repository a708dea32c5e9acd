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
"""

from __future__ import annotations

import hashlib
import os
import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from fer_lib.corpus import SPLIT_ORDER, Card, Corpus
from fer_lib.datasets import image_files, pixel_csv
from fer_lib.errors import FerError
from fer_lib.expressions import EXPRESSIONS, canonical
from fer_lib.progress import track

SIZE = 48
CLASSES = EXPRESSIONS[:7]  # FER2013's codes 0..6 are the canonical order
USAGE = {"Training": "train", "PublicTest": "public_test", "PrivateTest": "private_test"}
OFFICIAL = {
    "train": (3995, 436, 4097, 7215, 4830, 3171, 4965),
    "public_test": (467, 56, 496, 895, 653, 415, 607),
    "private_test": (491, 55, 528, 879, 594, 416, 626),
}
FILE_NAME = re.compile(r"(Training|PublicTest|PrivateTest)_\d+\.jpg")
CSV_NAMES = ("fer2013.csv", "icml_face_data.csv")
SPLIT_FOLDERS = ("train", "training", "validation", "val", "test", "publictest", "privatetest")
WRAPPERS = ("", "fer2013", "images", "archive")  # folders that the downloads unpack into
FILES = 256  # image files decoded by one task

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
    (PublicTest also under validation/<class>/)""",
    may_show=True,
    notes=(
        "35,887 grey images of 48x48 in seven classes; 28,709 train, 3,589 public_test, 3,589 private_test.",
        "No subject ids: subject-independent splits are impossible.",
        "Measured on the image folders: 12 black images, 1,853 redundant copies in 1,516 groups, 57 groups "
        "with conflicting labels, 557 groups across the official splits; 288 images of private_test and 280 "
        "of public_test have an identical twin in train.",
        "The public_test and private_test parts are told apart by file name or Usage, never by folder.",
    ),
)


@dataclass
class Source(image_files.Source):
    """What :func:`locate` found: the form, the files it consists of, and what was passed over.

    ``form`` is ``csv``, ``folders`` or ``raw`` (train.csv and test.csv of the competition).
    ``files`` are paths as text (as many ``Path`` would take half of a warm load's time); ``labels`` and
    ``splits`` are the codes of each file (forms with one image per file only).
    """

    files: list[str] = field(default_factory=list)
    labels: list[int] = field(default_factory=list)
    splits: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.expected = {split: sum(counts) for split, counts in OFFICIAL.items()}


def locate(root: Path) -> Source | None:
    """Find FER2013 in ``root`` or in a folder its downloads unpack into; None where there is nothing."""
    for folder in (root / wrapper for wrapper in WRAPPERS):
        for name in CSV_NAMES:
            if (folder / name).is_file():
                return Source(folder, "csv", files=[str(folder / name)])
        if any(_class_code(c.name) is not None for s in _split_folders(folder) for c in _folders(s)):
            return _list_images(folder)
        if (folder / "train.csv").is_file():
            return Source(folder, "raw", files=[str(folder / "train.csv")])
    return None


def _folders(folder: Path) -> list[Path]:
    """Return the folders in ``folder``, by name; a link that leads in a circle is none."""
    return sorted(f for f in folder.iterdir() if f.is_dir()) if folder.is_dir() else []


def _split_folders(folder: Path) -> list[Path]:
    return [f for f in _folders(folder) if f.name.lower().replace("_", "") in SPLIT_FOLDERS]


def _class_code(name: str) -> int | None:
    """Return the code of a class folder's name, None where it names no class of FER2013."""
    try:
        return CLASSES.index(canonical(name))
    except ValueError:  # FerError is one
        return None


def _list_images(root: Path) -> Source:
    """List the image files below the split folders; the split is in their names, the class above them."""
    source = Source(root, "folders")
    first: dict[tuple[int, str], Path] = {}  # the official copy itself reuses a name across two classes
    for folder in (c for s in _split_folders(root) for c in _folders(s)):
        code = _class_code(folder.name)
        ours = _images(folder, source)
        if code is None:
            if ours:
                source.problems.append(
                    f"{folder}: unknown class folder with {len(ours)} images; expected one of "
                    f"{', '.join(CLASSES)} or a usual spelling of it; rename or remove it."
                )
            continue
        for name in sorted(ours):
            if (twin := first.setdefault((code, name), folder)) != folder:
                source.problems.append(f"{name} lies both in {twin} and in {folder}; remove one of them.")
                continue
            source.files.append(f"{folder}{os.sep}{name}")
            source.labels.append(code)
            source.splits.append(ours[name])
    return source


def _images(folder: Path, source: Source) -> dict[str, int]:
    """Return the names of the image files in ``folder`` with their splits; count and describe the rest."""
    found = {}
    with os.scandir(folder) as entries:
        for entry in entries:
            match = FILE_NAME.fullmatch(entry.name)
            try:
                is_file = entry.is_file()
            except OSError:  # a link that leads in a circle
                is_file = False
            if match and is_file:
                found[entry.name] = SPLIT_ORDER.index(USAGE[match[1]])
            elif match:
                source.problems.append(
                    f"{entry.path} is named like an image but is no file (a folder, or a link to nowhere); "
                    "get this file again."
                )
            else:
                source.ignored += is_file
    return found


def read(root: str | Path | Source, problems: list[str] | None = None) -> Corpus:
    """Read FER2013 from ``root``.

    Parameters
    ----------
    root : path or Source
        The folder that :func:`locate` accepts, or what it returned.
    problems : list of str, optional
        If given, what cannot be read is described here (one sentence each, naming file and row) and
        left out; without it the first such thing raises.

    Returns
    -------
    Corpus
        N images uint8 (N, 48, 48), labels 0..6 in FER2013's (and canonical) order, ``split`` one of
        train, public_test, private_test; no subjects. In the order the module's text describes.

    Raises
    ------
    FerError
        If nothing is there or, without ``problems``, if something cannot be read.
    """
    source = root if isinstance(root, Source) else locate(Path(root))
    if source is None:
        raise FerError(f"{root} holds no FER2013; expected\n{CARD.tree}")
    found = list(source.problems)
    if source.form == "folders":
        images, labels, split = _read_images(source, found)
    else:
        images, labels, split = _read_csv(Path(source.files[0]), found, raw=source.form == "raw")
    if not len(images) and not found:
        found.append(_nothing(source))
    if problems is not None:
        problems.extend(found)
    elif found:
        more = f" ({len(found) - 1} more: see `fer data check fer2013`)" if len(found) > 1 else ""
        raise FerError(found[0] + more)
    return _canonical_order(images, labels, split)


def _nothing(source: Source) -> str:
    if source.form != "folders":
        return f"{source.files[0]} has no rows; get it again."
    return (
        f"{source.root}: no image is named as FER2013 names them (Training_<id>.jpg, PublicTest_<id>.jpg, "
        "PrivateTest_<id>.jpg), so its splits cannot be told; get a copy with the original names."
    )


def wrong_counts(corpus: Corpus) -> list[str]:
    """Compare the counts per split and class with the official ones; one sentence per difference."""
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
    """Say why the competition's train.csv + test.csv cannot serve; nothing for the other forms."""
    if source.form != "raw":
        return []
    why = (
        f"{source.root} holds the raw competition files: test.csv has no labels, so nothing can be scored on "
        "it; get icml_face_data.csv from the same competition, or fer2013.csv."
    )
    return [why]


def _canonical_order(images: np.ndarray, labels: np.ndarray, split: np.ndarray) -> Corpus:
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
    return Corpus(images[order], labels[order], CLASSES, CARD, np.array(ids, dtype=np.str_), split=names)


def _read_images(source: Source, problems: list[str]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Decode the files of ``source`` in threads (OpenCV lets go of the interpreter while decoding)."""
    images = np.zeros((len(source.files), SIZE, SIZE), np.uint8)
    faults: dict[int, str] = {}

    def decode(start: int) -> None:
        for i in range(start, min(start + FILES, len(images))):
            try:
                images[i] = _decode(source.files[i])
            except OSError as error:
                faults[i] = f"{source.files[i]} cannot be read ({error.strerror})."
            except FerError as error:
                faults[i] = f"{source.files[i]}: {error}"

    with ThreadPoolExecutor(min(16, os.cpu_count() or 1)) as pool:
        starts = range(0, len(images), FILES)
        for _ in track(pool.map(decode, starts), "FER2013 images", len(starts), "batch"):
            pass
    problems += [faults[i] for i in sorted(faults)]
    keep = np.array([i for i in range(len(images)) if i not in faults], dtype=np.int64)
    return images[keep], np.array(source.labels, np.int64)[keep], np.array(source.splits, np.int64)[keep]


def _decode(path: str) -> np.ndarray:
    """Return one file's grey pixels, uint8 (48, 48)."""
    import cv2

    data = Path(path).read_bytes()
    # A cut JPEG decodes to a partly grey image without complaint; its end marker is what is missing.
    if b"\xff\xd9" not in data[-64:]:
        raise FerError("not a whole JPEG image (cut off or damaged); get this file again.")
    image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_GRAYSCALE)
    if image is None:
        raise FerError("cannot be decoded as an image; get this file again.")
    if image.shape != (SIZE, SIZE):
        raise FerError(f"is {image.shape[1]}x{image.shape[0]} pixels, expected {SIZE}x{SIZE}.")
    return image


def _read_csv(
    path: Path, problems: list[str], raw: bool = False
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Parse a csv in blocks of rows; ``raw`` files have no Usage and are all training samples."""
    emotions = {str(code): code for code in range(len(CLASSES))}
    usages = {usage: SPLIT_ORDER.index(split) for usage, split in USAGE.items()}
    columns = ["emotion", "pixels"] if raw else ["emotion", "pixels", "Usage"]
    parts = [(np.zeros((0, SIZE, SIZE), np.uint8), np.zeros(0, np.int64), np.zeros(0, np.int64))]
    expected = path.stat().st_size // (pixel_csv.ROWS * 8400) + 1  # a row has about 8,400 bytes
    blocks = pixel_csv.blocks(path, columns, problems)
    for rows in track(blocks, f"FER2013 {path.name}", expected, "block"):
        emotion, faults = pixel_csv.codes(rows["emotion"], emotions)
        split = np.zeros(len(rows), np.int64)
        if not raw:
            split, wrong = pixel_csv.codes(rows["Usage"], usages)
            faults |= wrong
        pixels, wrong = pixel_csv.parse_pixels(rows["pixels"].fillna("").tolist(), SIZE * SIZE)
        faults |= wrong  # last: a row that ends within its pixels has no Usage either
        number = rows.index.to_numpy() + 1  # of the row in the file, blank ones counted
        problems += [f"{path}, row {number[i]} (line {number[i] + 1}): {faults[i]}" for i in sorted(faults)]
        good = np.array([i not in faults for i in range(len(rows))], dtype=bool)
        parts.append((pixels.reshape(-1, SIZE, SIZE)[good], emotion[good], split[good]))
    images, labels, split = (np.concatenate(column) for column in zip(*parts, strict=True))
    return images, labels, split
