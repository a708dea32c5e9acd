"""FER2013 as folders of JPEG files: the split is in a file's name, the class in its folder's."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from fer_lib.data import sources
from fer_lib.data.corpus import SPLIT_ORDER
from fer_lib.data.decoding import decode, decode_all
from fer_lib.errors import FerError
from fer_lib.expressions import EXPRESSIONS, canonical

SIZE = 48
CLASSES = EXPRESSIONS[:7]  # FER2013's codes 0..6 are the canonical order
# Some copies name their folders so; counts tell if that is meant.
CODES = tuple(map(str, range(len(CLASSES))))
USAGE = {"Training": "train", "PublicTest": "public_test", "PrivateTest": "private_test"}
FILE_NAME = re.compile(r"(Training|PublicTest|PrivateTest)_\d+\.jpg")
SPLIT_FOLDERS = ("train", "training", "validation", "val", "test", "publictest", "privatetest")


@dataclass
class Source(sources.Source):
    """What ``locate`` found: the form, the files it consists of, and what was passed over.

    ``form`` is ``csv``, ``folders`` or ``raw`` (train.csv and test.csv of the competition).
    ``files`` are paths as text (as many ``Path`` would take half of a warm load's time); ``labels`` and
    ``splits`` are the codes of each file (forms with one image per file only); ``votes`` is the file of
    FER+ if it is asked for, ``unusable`` why one that is here is none; ``majority`` says whether the labels
    are to be theirs.
    """

    files: list[str] = field(default_factory=list)
    labels: list[int] = field(default_factory=list)
    splits: list[int] = field(default_factory=list)
    votes: Path | None = None
    unusable: str = ""
    majority: bool = False


def has_classes(folder: Path) -> bool:
    """Return whether ``folder`` holds folders of splits that hold folders of classes."""
    return any(_class_code(c.name) is not None for s in _split_folders(folder) for c in _folders(s))


def _folders(folder: Path) -> list[Path]:
    """Return the folders in ``folder``, by name; a link that leads in a circle is none."""
    return sorted(f for f in folder.iterdir() if f.is_dir()) if folder.is_dir() else []


def _split_folders(folder: Path) -> list[Path]:
    return [f for f in _folders(folder) if f.name.lower().replace("_", "") in SPLIT_FOLDERS]


def _class_code(name: str) -> int | None:
    """Return the code of a class folder's name (``angry`` or ``0``), None where it names no class."""
    if name in CODES:
        return CODES.index(name)
    try:
        return CLASSES.index(canonical(name))
    except ValueError:  # FerError is one
        return None


def list_images(root: Path) -> Source:
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
            elif is_file:
                source.pass_over(entry.name)
    return found


def read_images(source: Source, problems: list[str]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Decode the files of ``source``; return images uint8 (N, 48, 48), labels and splits int64 (N,)."""

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
    problems += sources.folded(faults, "file")
    return images, np.array(source.labels, np.int64)[kept], np.array(source.splits, np.int64)[kept]
