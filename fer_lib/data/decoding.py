"""Image files to grey pixels of one size; what is wrong with a file becomes a sentence."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from fer_lib.data.sources import HEAD, refuse, shown
from fer_lib.errors import FerError
from fer_lib.progress import track

# A decoder may fill what a cut file lacks with grey and say nothing; then these markers are missing.
END_MARKERS = {b"\xff\xd8\xff": b"\xff\xd9", b"\x89PNG": b"IEND"}


def read_bytes(path: Path) -> bytes:
    """Return a file's content; FerError if it is empty, a Git LFS pointer or another file in its place."""
    data = path.read_bytes()
    refuse(data[:HEAD])
    return data


def decode(path: Path) -> np.ndarray:
    """Return one image file's grey pixels, uint8 (H, W), whatever its channels and its 8 or 16 bits.

    Colours weigh as in ITU-R BT.601, alpha is dropped. FerError if the file is empty, cut off, a Git LFS
    pointer or no image; the message lacks the file's name.
    """
    import cv2

    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)  # we say what is wrong with a file
    data = read_bytes(path)
    if any(data.startswith(start) and end not in data[-64:] for start, end in END_MARKERS.items()):
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


def grey(image: np.ndarray) -> np.ndarray:
    """Return uint8 pixels (H, W), (H, W, 1), BGR (H, W, 3) or BGRA (H, W, 4) as grey (H, W)."""
    import cv2

    if image.size == image.shape[0] * image.shape[1]:
        return image.reshape(image.shape[:2])
    return cv2.cvtColor(image, cv2.COLOR_BGR2GRAY if image.shape[2] == 3 else cv2.COLOR_BGRA2GRAY)


def fit(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Scale ``image`` (H, W) to the largest that fits ``size`` (height, width) and centre it there.

    The aspect ratio stays; what remains at two sides repeats the outermost pixels.
    """
    import cv2

    if image.shape == tuple(size):
        return image
    scale = min(size[0] / image.shape[0], size[1] / image.shape[1])
    height, width = (min(s, max(1, round(o * scale))) for o, s in zip(image.shape, size, strict=True))
    part = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)
    top, left = (size[0] - height) // 2, (size[1] - width) // 2
    rest = (size[0] - height - top, size[1] - width - left)
    return cv2.copyMakeBorder(part, top, rest[0], left, rest[1], cv2.BORDER_REPLICATE)


def decode_all(
    paths: Sequence[str | Path],
    label: str,
    faults: list[tuple[str, str]],
    size: int | tuple[int, int] | None = None,
    load: Callable[[int], Sequence[np.ndarray]] | None = None,
    unit: str = "image",
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Decode many files in threads, with progress (OpenCV lets go of the interpreter while decoding).

    ``load`` returns the images (H, W) of the file at a position in ``paths``; by default the one it holds.
    Those of another size than ``size`` are fitted in by :func:`fit`; None is the most frequent size, the
    larger of two as frequent. ``faults`` gains the name of each file that cannot be read, and what is wrong
    with it.

    Returned are the images, uint8 (K, H, W), in order; the position in ``paths`` of each, int64 (K,); and the
    height and width that each has in its file, int64 (K, 2).
    """
    load = load or (lambda position: [decode(Path(paths[position]))])
    size = None if size is None else checked_size(size)

    def attempt(position: int) -> tuple[list[np.ndarray], list[tuple[int, int]], str]:
        try:
            images = load(position)
        except FerError as error:
            return [], [], str(error)
        except OSError as error:
            return [], [], f"cannot be read ({error.strerror or error})."
        return [fit(i, size) if size else i for i in images], [i.shape for i in images], ""

    found: list[np.ndarray] = []
    owners, sizes = [], []
    with ThreadPoolExecutor(min(16, os.cpu_count() or 1)) as pool:
        results = track(pool.map(attempt, range(len(paths))), label, len(paths), unit)
        for position, (images, shapes, fault) in enumerate(results):
            found += images
            sizes += shapes
            owners += [position] * len(images)
            if fault:
                faults.append((shown(paths[position]), fault))
    counts = Counter(sizes)
    size = size or max(counts, key=lambda shape: (counts[shape], shape), default=(1, 1))
    stack = np.empty((len(found), *size), np.uint8)
    for i in reversed(range(len(found))):  # each is let go of, so that a corpus is never in memory twice
        stack[i] = fit(found.pop(), size)
    return stack, np.array(owners, np.int64), np.array(sizes, np.int64).reshape(-1, 2)


def checked_size(size: int | tuple[int, int]) -> tuple[int, int]:
    """Return (height, width) from one number or two; FerError unless both are at least 1."""
    pair = (size, size) if np.isscalar(size) else tuple(size)
    if len(pair) != 2 or not all(isinstance(n, int | np.integer) and n >= 1 for n in pair):
        raise FerError(f"size is one whole number of pixels or (height, width), at least 1; got {size!r}.")
    return int(pair[0]), int(pair[1])
