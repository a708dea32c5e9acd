"""What the readers of image folders share: listing files safely, decoding to grey, one size for all.

A reader's ``locate`` walks a folder and returns a :class:`Source`, its ``read`` opens the files the
source names. Whatever people's copies hold (links in circles, names in no known encoding, damaged or
alien files) becomes a sentence that names the file, never a crash and never a silent loss.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from fer_lib.corpus import Card, Corpus
from fer_lib.errors import FerError
from fer_lib.expressions import canonical
from fer_lib.progress import track

LFS_POINTER = b"version https://git-lfs"
# A decoder may fill what a cut file lacks with grey and say nothing; then these markers are missing.
END_MARKERS = {b"\xff\xd8\xff": b"\xff\xd9", b"\x89PNG": b"IEND"}


@dataclass
class Source:
    """What a reader's ``locate`` found.

    Attributes
    ----------
    root : Path
        The corpus's own folder.
    form : str
        Which of the corpus's layouts it has.
    classes : tuple of str
        Canonical names of the selection's classes.
    files : list of Path
        Every file that decides the corpus (images and label files); a cache is keyed by them.
    rows : list of dict
        One per sample or clip that is to be opened, with ``path`` and what its name says.
    ignored : int
        Files passed over because of their names.
    problems : list of str
        What keeps samples out or needs the user's hand; one sentence each.
    remarks : list of str
        What is worth knowing and no fault: selections, files known to be unusable, gaps.
    facts : dict of str to int
        The counts behind the remarks.
    expected : dict of str to int
        What a complete copy has of the facts, or of the corpus's splits.
    """

    root: Path
    form: str
    classes: tuple[str, ...] = ()
    files: list[Path] = field(default_factory=list)
    rows: list[dict[str, Any]] = field(default_factory=list)
    ignored: int = 0
    problems: list[str] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)
    facts: dict[str, int] = field(default_factory=dict)
    expected: dict[str, int] = field(default_factory=dict)


def shown(path: str | Path) -> str:
    """Return a path fit for print and JSON; bytes that are no UTF-8 are escaped."""
    return str(path).encode("utf-8", "backslashreplace").decode("utf-8")


def walk(root: Path, problems: list[str]) -> Iterator[str]:
    """Yield the files below ``root`` as relative paths with ``/``, by name within each folder.

    Links are followed, but each folder is visited once, under its real path where that lies below
    ``root``; so links in circles end. Hidden folders and ``__MACOSX`` are left out. A folder that cannot
    be listed is described in ``problems``.
    """
    seen: set[tuple[int, int]] = set()
    folders, links = [""], []
    while folders or links:
        prefix = folders.pop() if folders else links.pop(0)
        folder = root / prefix
        try:
            stat = folder.stat()
            if (stat.st_dev, stat.st_ino) in seen:
                continue
            seen.add((stat.st_dev, stat.st_ino))
            with os.scandir(folder) as scan:
                entries = sorted(scan, key=lambda entry: entry.name)
        except OSError as error:
            problems.append(f"{shown(folder)} cannot be listed ({error.strerror}); make it readable.")
            continue
        below = []
        for entry in entries:
            kind = _kind(entry)
            if kind == "file":
                yield prefix + entry.name
            elif kind == "folder" and not entry.name.startswith((".", "__MACOSX")):
                (links if entry.is_symlink() else below).append(f"{prefix}{entry.name}/")
        folders.extend(reversed(below))


def _kind(entry: os.DirEntry) -> str:
    """Return ``file``, ``folder`` or, for broken links and devices (reading a pipe would hang), ``other``."""
    try:
        return "folder" if entry.is_dir() else "file" if entry.is_file() else "other"
    except OSError:  # a link to itself
        return "other"


def read_bytes(path: Path) -> bytes:
    """Return a file's content; FerError if it is empty or a Git LFS pointer in a file's place."""
    data = path.read_bytes()
    if not data:
        raise FerError("is empty; get this file again.")
    if data.startswith(LFS_POINTER):
        raise FerError(
            "is a Git LFS pointer and not the file itself; run `git lfs pull` in the repository it came from."
        )
    return data


def decode(path: Path) -> np.ndarray:
    """Return one image file's grey pixels, uint8 (H, W).

    Whatever the channels (grey, palette, colour, with alpha) and 8 or 16 bits; colours weigh as in
    ITU-R BT.601, alpha is dropped.

    Raises
    ------
    FerError
        If the file is empty, cut off, a Git LFS pointer or no image. The message lacks the file's name.
    OSError
        If it cannot be opened.
    """
    import cv2

    _quieten()
    data = read_bytes(path)
    for start, end in END_MARKERS.items():
        if data.startswith(start) and end not in data[-64:]:
            raise FerError("is cut off; get this file again.")
    try:
        image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    except cv2.error:  # absurd sizes in a damaged header
        image = None
    if image is None or image.dtype not in (np.uint8, np.uint16) or not image.size:
        raise FerError("cannot be decoded as an image; get this file again.")
    if image.dtype == np.uint16:
        image = (image >> 8).astype(np.uint8)
    return grey(image)


@cache
def _quieten() -> None:
    """Keep OpenCV from writing about damaged files itself; what is wrong with them is told in a sentence."""
    import cv2

    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)


def grey(image: np.ndarray) -> np.ndarray:
    """Return uint8 pixels (H, W), (H, W, 1), BGR (H, W, 3) or BGRA (H, W, 4) as grey (H, W)."""
    import cv2

    channels = 1 if image.ndim == 2 else image.shape[2]
    if channels == 1:
        return image.reshape(image.shape[:2])
    return cv2.cvtColor(image, cv2.COLOR_BGR2GRAY if channels == 3 else cv2.COLOR_BGRA2GRAY)


def fit(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Scale ``image`` (H, W) to the largest that fits ``size`` (height, width) and centre it there.

    The aspect ratio stays; what remains at two sides repeats the outermost pixels.
    """
    import cv2

    if image.shape == tuple(size):
        return image
    height, width, top, left = _placing(image.shape, size)
    part = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)
    rest = (size[0] - height - top, size[1] - width - left)
    return cv2.copyMakeBorder(part, top, rest[0], left, rest[1], cv2.BORDER_REPLICATE)


def fit_points(points: np.ndarray, old: tuple[int, int], size: tuple[int, int]) -> np.ndarray:
    """Return points (..., 2), x then y in pixels, where :func:`fit` moves them from an ``old`` size."""
    height, width, top, left = _placing(old, size)
    scale = np.array([width / old[1], height / old[0]])
    return ((np.asarray(points) + 0.5) * scale - 0.5 + [left, top]).astype(np.float32)


def _placing(old: tuple[int, ...], size: tuple[int, int]) -> tuple[int, int, int, int]:
    """Return height, width, top and left of an image of size ``old`` fitted into ``size``."""
    scale = min(size[0] / old[0], size[1] / old[1])
    height, width = (min(s, max(1, round(o * scale))) for o, s in zip(old, size, strict=True))
    return height, width, (size[0] - height) // 2, (size[1] - width) // 2


def decode_all(
    items: Sequence[Any],
    label: str,
    problems: list[str],
    size: int | tuple[int, int] | None = None,
    load: Callable[[Any], Sequence[np.ndarray]] | None = None,
    unit: str = "image",
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Decode many files in threads, with progress (OpenCV lets go of the interpreter while decoding).

    Parameters
    ----------
    items : sequence
        Paths or, with ``load``, anything.
    label, unit
        Of the progress line.
    problems : list of str
        Gains a sentence for each item that fails.
    size : int, (height, width) or None
        Size of the returned images (one number for a square); None for the most frequent one.
        Images of another size are fitted in by :func:`fit`.
    load : callable, optional
        Returns the images (H, W) of one item; the default decodes a path to one image.

    Returns
    -------
    images : uint8 (K, H, W)
    items : int64 (K,)
        Position in ``items`` of each image; in order, failed items are absent.
    sizes : int64 (K, 2)
        Height and width of each image in its file.
    """
    load = load or (lambda path: [decode(path)])
    size = None if size is None else checked_size(size)

    def attempt(item: Any) -> tuple[list[np.ndarray], list[tuple[int, int]], str]:
        try:
            images = load(item)
        except (OSError, FerError) as error:
            reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
            return [], [], reason
        return [fit(i, size) if size else i for i in images], [i.shape for i in images], ""

    images: list[Any] = []
    owners, sizes = [], []
    with ThreadPoolExecutor(min(16, os.cpu_count() or 1)) as pool:
        results = track(pool.map(attempt, items), label, len(items), unit)
        for position, (found, shapes, fault) in enumerate(results):
            images += found
            sizes += shapes
            owners += [position] * len(found)
            if fault:
                item = items[position]
                where = item if isinstance(item, str | Path) else item["path"]
                problems.append(f"{shown(where)}: {fault}")
    height, width = size or most_frequent(sizes)
    stack = np.empty((len(images), height, width), np.uint8)
    for i in range(len(images)):  # emptied as it goes: two copies of the corpus need not fit in memory
        stack[i] = fit(images[i], (height, width))
        images[i] = None
    return stack, np.array(owners, np.int64), np.array(sizes, np.int64).reshape(-1, 2)


def checked_size(size: int | tuple[int, int]) -> tuple[int, int]:
    """Return (height, width) from one number or two; FerError unless both are at least 1."""
    pair = (size, size) if np.isscalar(size) else tuple(size)
    if len(pair) != 2 or not all(isinstance(n, int | np.integer) and n >= 1 for n in pair):
        raise FerError(f"size is one whole number of pixels or (height, width), at least 1; got {size!r}.")
    return int(pair[0]), int(pair[1])


def most_frequent(sizes: Sequence[tuple[int, int]]) -> tuple[int, int]:
    """Return the most frequent (height, width), the larger one of two as frequent; (1, 1) for none."""
    counts = Counter(sizes)
    return max(counts, key=lambda size: (counts[size], size), default=(1, 1))


def size_remarks(corpus: Corpus) -> list[str]:
    """Say which images were of another size than the corpus; from ``height`` and ``width`` in its meta."""
    if corpus.meta is None or "height" not in corpus.meta:
        return []
    sizes = Counter(zip(corpus.meta["width"].tolist(), corpus.meta["height"].tolist(), strict=True))
    height, width = corpus.images.shape[1:]
    return [
        f"{n:,} of {len(corpus):,} images are {w}x{h} pixels and were fitted into {width}x{height}."
        for (w, h), n in sizes.most_common()
        if (h, w) != (height, width)
    ]


def assemble(
    rows: Sequence[dict[str, Any]],
    images: np.ndarray,
    sizes: np.ndarray,
    card: Card,
    classes: tuple[str, ...],
) -> Corpus:
    """Return the corpus of ``images`` (N, H, W) with one of ``rows`` for each.

    A row has ``id``, ``expression`` (any spelling) and ``subject``, may have ``sequence`` and ``path``
    (not stored), and everything else becomes a column of ``meta``, followed by the ``height`` and
    ``width`` that ``sizes`` (N, 2) gives.
    """
    import pandas as pd

    columns = {key: [row[key] for row in rows] for key in (rows[0] if rows else ())}
    taken = ("id", "expression", "subject", "sequence", "path")
    meta = pd.DataFrame({key: values for key, values in columns.items() if key not in taken})
    labels = [classes.index(canonical(name)) for name in columns.get("expression", [])]
    return Corpus(
        images,
        np.array(labels, np.int64),
        classes,
        card,
        np.array(columns.get("id", []), np.str_),
        subjects=np.array(columns.get("subject", []), np.str_),
        sequences=np.array(columns["sequence"], np.str_) if "sequence" in columns else None,
        meta=meta.assign(height=sizes[:, 0], width=sizes[:, 1]),
    )


def read_stills(source: Source, card: Card, size: Any, problems: list[str] | None) -> Corpus:
    """Decode the image of each of the source's rows and return the corpus; faults as in :func:`settle`."""
    found = list(source.problems)
    images, items, sizes = decode_all([row["path"] for row in source.rows], card.name, found, size)
    if not source.rows and not found:
        found.append(f"{shown(source.root)} holds no image of the selection that was asked for.")
    settle(found, problems, card.name)
    return assemble([source.rows[i] for i in items], images, sizes, card, source.classes)


def drop_repeats(source: Source) -> None:
    """Keep the first of the rows that share an id; one problem says how many there were and where."""
    first: dict[str, Path] = {}
    rows, repeats = [], []
    for row in source.rows:
        if (known := first.setdefault(row["id"], row["path"])) == row["path"]:
            rows.append(row)
        else:
            repeats.append((known, row["path"]))
    source.rows = rows
    if repeats:
        one, other = (shown(path) for path in repeats[0])
        source.problems.append(
            f"{len(repeats):,} files are here more than once, the first as {one} and as {other}; remove one "
            "copy, or give the folder of the other as data folder."
        )


def located(
    root: str | Path | Source, card: Card, locate: Callable[..., Source | None], **selection: Any
) -> Source:
    """Return ``root`` if it is a source, else what ``locate`` finds there; FerError for nothing."""
    source = root if isinstance(root, Source) else locate(Path(root), **selection)
    if source is None:
        raise FerError(f"{shown(root)} holds no {card.title}; expected\n{card.tree}")
    return source


def settle(found: list[str], problems: list[str] | None, name: str) -> None:
    """Hand what was ``found`` to the caller's ``problems``; without such a list raise the first of them."""
    if problems is not None:
        problems.extend(found)
    elif found:
        more = f" ({len(found) - 1:,} more: see `fer data check {name}`)" if len(found) > 1 else ""
        raise FerError(found[0] + more)
