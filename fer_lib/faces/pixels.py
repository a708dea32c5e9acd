"""Images as the detectors want them: checked, enlarged, with a border; and the way back to their own pixels.

Two conventions meet here. A *box* counts pixel edges: the image's upper left corner is (0, 0). A *point*
counts pixel centres: the centre of the upper left pixel is (0, 0).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from fer_lib.errors import FerError

Images = np.ndarray | Sequence[np.ndarray]


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

    Attributes
    ----------
    pixels : uint8 (h, w)
        The image with its shorter side scaled to a fixed length and its outermost pixels repeated
        around it: tight crops leave the windows of a detector no room.
    scale : float
        Pixels of the view per pixel of the image, before rounding to whole pixels.
    border : int
        Width of the repeated border in pixels of the view.
    """

    pixels: np.ndarray
    scale: float
    border: int

    @classmethod
    def of(cls, image: np.ndarray, side: int, border: float) -> View:
        """Scale the shorter side to ``side`` pixels and add ``border`` of it on each side."""
        import cv2

        scale = side / min(image.shape)
        shape = [max(1, round(length * scale)) for length in image.shape[::-1]]
        pixels = cv2.resize(image, shape, interpolation=interpolation(scale))
        width = round(border * side)
        return cls(cv2.copyMakeBorder(pixels, *[width] * 4, cv2.BORDER_REPLICATE), scale, width)

    def box(self, x: float, y: float, width: float, height: float) -> tuple[float, float, float, float]:
        """Return a box of the view in pixels of the image."""
        left, top = (x - self.border) / self.scale, (y - self.border) / self.scale
        return left, top, width / self.scale, height / self.scale

    def points(self, points: np.ndarray) -> np.ndarray:
        """Return points (K, 2) of the view in pixels of the image."""
        return (points - self.border + 0.5) / self.scale - 0.5

    def inside(self, box: np.ndarray) -> np.ndarray:
        """Return a box of the image (x, y, width, height) in pixels of the view."""
        return np.asarray(box) * self.scale + [self.border, self.border, 0, 0]


def whole(image: np.ndarray, size: int) -> np.ndarray:
    """Return the matrix (2, 3) that fits an image (H, W) into the middle of a square of ``size`` pixels."""
    height, width = image.shape
    scale = size / max(height, width)
    return np.array(
        [
            [scale, 0, (size - 1) / 2 - scale * (width - 1) / 2],
            [0, scale, (size - 1) / 2 - scale * (height - 1) / 2],
        ],
        np.float32,
    )
