"""Faces as networks take them: square crops, faces turned level by their eyes, and even light.

Light is evened by CLAHE (paper ``cnn3d``, Sect. 3.3) or by local contrast (paper ``cspp``, Sect. 4.1); whole
images are normalised by :class:`fer_lib.learn.normalisation.Normalisation`.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from fer_lib.data.image_files import Crop
from fer_lib.faces import detection, search
from fer_lib.faces.search import Images, check_images, interpolation

if TYPE_CHECKING:
    from torch import Tensor

LEFT_EYE, RIGHT_EYE = slice(36, 42), slice(42, 48)  # contours among the 68 points, as seen in the image
WINDOW = 7  # pixels; that of Lopes et al., whom paper cspp follows without a figure
SIGMA = 1.4  # OpenCV's deviation of a Gaussian for such a window; the cited work gives the window only


def crop(images: Images, boxes: np.ndarray, size: int) -> np.ndarray:
    """Cut squares around boxes and scale them to one size, uint8 (N, size, size).

    ``images`` are uint8 (N, H, W), or N arrays (H, W) of any sizes, and ``boxes`` (N, 4) as
    :func:`fer_lib.faces.detect` returns them. A square has the centre of its box and the box's longer side;
    beyond the image the outermost pixels are repeated. An image whose box is NaN is used whole, in the middle
    of a square of its longer side. Pixels are averaged where the square shrinks, else interpolated linearly.
    """
    import cv2

    check_images(images)
    crops = np.empty((len(images), size, size), np.uint8)
    for i, (image, box) in enumerate(zip(images, np.asarray(boxes, np.float64), strict=True)):
        height, width = image.shape
        x, y, w, h = (0, 0, width, height) if np.isnan(box).any() else box
        side = max(1, round(max(w, h)))
        left, top = round(x + (w - side) / 2), round(y + (h - side) / 2)
        rows, columns = (np.arange(start, start + side) for start in (top, left))
        part = image[np.ix_(rows.clip(0, height - 1), columns.clip(0, width - 1))]
        crops[i] = cv2.resize(part, (size, size), interpolation=interpolation(size / side))
    return crops


def _cut_out(photograph: np.ndarray, size: int) -> tuple[np.ndarray, bool]:
    """Return the face that Haar's cascade finds, else the whole photograph, and whether it found one."""
    boxes = detection.detect([photograph])
    return crop([photograph], boxes, size)[0], not np.isnan(boxes).any()


FACE = Crop(_cut_out, (Path(__file__), *(Path(module.__file__) for module in (detection, search))))
"""Cuts the face out of a photograph while a corpus is read: ``datasets.load("jaffe", crop=faces.FACE)``."""


def eyes(landmarks: np.ndarray) -> np.ndarray:
    """Return the centres of the left and right eye as seen in the image, float32 (N, 2, 2).

    ``landmarks`` are float (N, 68 or 5, 2); of 68 points, an eye is the mean of the six on its contour.
    """
    marks = np.asarray(landmarks, np.float32)
    if marks.shape[1] == 5:
        return marks[:, :2].copy()
    return np.stack([marks[:, LEFT_EYE].mean(axis=1), marks[:, RIGHT_EYE].mean(axis=1)], axis=1)


def align(images: Images, eyes: np.ndarray, size: int = 48, **reach: float) -> tuple[np.ndarray, np.ndarray]:
    """Turn faces level, crop them by their eyes and scale them to one size.

    ``images`` are as :func:`crop` takes them, ``eyes`` as :func:`eyes` returns them, ``reach`` as
    :func:`fer_lib.features.geometry.eye_matrices` takes it. An image whose eyes are NaN, or in one place, is
    used whole, in the middle of a square of its longer side.

    Returns the faces, uint8 (N, size, size), scaled and bordered as :func:`crop` does, and the maps from
    source to output pixels, float32 (N, 2, 3), so that landmarks can follow
    (:func:`fer_lib.features.geometry.warp_points`).
    """
    import cv2
    import torch

    from fer_lib.features import geometry

    check_images(images)
    matrices = geometry.eye_matrices(torch.as_tensor(np.asarray(eyes, np.float64)), size, **reach).float()
    for i in matrices.isnan().any(2).any(1).nonzero().flatten().tolist():
        matrices[i] = geometry.fitted(*images[i].shape, size)
    # A crop that shrinks is sampled finer and then averaged, as samples alone would alias.
    smallest = np.linalg.svd(matrices[:, :, :2].double().numpy(), compute_uv=False)[:, -1]
    finer = np.clip(np.ceil(1 / smallest - 1e-6), 1, 16).astype(int)
    larger = geometry.compose(matrices.double(), geometry.enlargement(torch.as_tensor(finer).double()))
    aligned = np.empty((len(images), size, size), np.uint8)
    for i, (image, matrix, times) in enumerate(zip(images, larger.numpy(), finer.tolist(), strict=True)):
        sampled = cv2.warpAffine(
            image, matrix, (size * times,) * 2, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
        )
        aligned[i] = cv2.resize(sampled, (size, size), interpolation=cv2.INTER_AREA) if times > 1 else sampled
    return aligned, matrices.numpy()


def clahe(images: np.ndarray) -> np.ndarray:
    """Equalise the histogram of each grey image, uint8 (..., H, W), tile by tile with limited contrast.

    OpenCV's CLAHE with the clip limit of 2 and the 8 x 8 tiles of paper ``cnn3d``.
    """
    import cv2

    equaliser = cv2.createCLAHE(2.0, (8, 8))
    equalised = np.empty_like(images, order="C")
    for index in np.ndindex(images.shape[:-2]):
        equalised[index] = equaliser.apply(images[index])
    return equalised


def local_contrast(images: Tensor) -> Tensor:
    """Normalise every pixel by its neighbourhood: the intensity normalisation of Lopes et al.

    Grey levels (..., H, W) in 0..255 become float32, about -3 to 3: less the mean of the neighbourhood,
    divided by its deviation around that mean, both weighted by a Gaussian over :data:`WINDOW` pixels. Beyond
    the image, pixels are mirrored. A deviation below one grey level counts as one, so that even skin does
    not become noise and a constant image becomes zero.
    """
    import torch
    from torch.nn import functional as F

    x = images.float().reshape(-1, 1, *images.shape[-2:])
    offsets = torch.arange(WINDOW, device=x.device) - WINDOW // 2
    weights = torch.exp(-(offsets**2) / (2 * SIGMA**2))
    weights = weights / weights.sum()

    def average(values: Tensor) -> Tensor:
        padded = F.pad(values, [WINDOW // 2] * 4, mode="reflect")
        return F.conv2d(F.conv2d(padded, weights.view(1, 1, 1, -1)), weights.view(1, 1, -1, 1))

    # Around the image's own mean the squares stay small, and their difference precise.
    x = x - x.mean(dim=(2, 3), keepdim=True)
    # Ten bits, as TF32 has, are too few for that difference.
    with torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
        mean = average(x)
        deviation = (average(x.square()) - mean.square()).clamp_min(1.0).sqrt()
    return ((x - mean) / deviation).reshape(images.shape)
