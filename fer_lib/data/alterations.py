"""Traces that common alterations leave in grey images: equalised histograms, JPEG, resizing."""

from __future__ import annotations

import numpy as np

FLAT = 0.05  # of a cumulative histogram, at most, from the straight line; faces as photographed have 0.25
BLOCK = 8  # pixels, of JPEG's cosine transform
STEPS = range(2, 20)  # of JPEG's quantisation that are looked for
LEAST = 300  # coefficients that say anything about a step
PERIODIC = 0.3  # of images that were never JPEG files, all frequencies stay below 0.05


def equalised_share(images: np.ndarray) -> float:
    """Return the share of images (uint8 (N, H, W)) whose grey levels are spread evenly over 0..255."""
    cumulative = [np.bincount(image.ravel(), minlength=256).cumsum() / image.size for image in images]
    distance = np.abs(np.array(cumulative) - np.arange(1, 257) / 256).max(axis=1)
    return float((distance < FLAT).mean())


def jpeg_frequencies(images: np.ndarray) -> int:
    """Count the frequencies, of 63, at which images (uint8 (N, H, W)) were quantised as JPEG does.

    The cosine transform of 8x8 blocks of a decompressed JPEG file has coefficients near the multiples of
    a step; how near is the mean of a cosine of that period. Quality 100 (a step of 1) cannot be told.
    """
    from scipy.fft import dct

    height, width = (n // BLOCK for n in images.shape[1:])
    transform = dct(np.eye(BLOCK), axis=0, norm="ortho").astype(np.float32)
    pixels = images[:, : height * BLOCK, : width * BLOCK].astype(np.float32)
    blocks = pixels.reshape(-1, height, BLOCK, width, BLOCK).swapaxes(2, 3).reshape(-1, BLOCK, BLOCK)
    coefficients = (transform @ blocks @ transform.T).reshape(-1, BLOCK**2)[:, 1:]
    found = 0
    for values in coefficients.T:
        large = (values[np.abs(values) > step / 2] / step for step in STEPS)
        found += any(len(v) >= LEAST and np.cos(2 * np.pi * v).mean() > PERIODIC for v in large)
    return found


def detail(images: np.ndarray) -> float:
    """Return the variance of the Laplacian over that of the pixels: how much fine detail images have."""
    import cv2

    fine = np.mean([cv2.Laplacian(image, cv2.CV_32F).var() for image in images])
    return float(fine / max(images.astype(np.float32).var(), 1e-6))
