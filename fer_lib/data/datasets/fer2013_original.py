"""Whether a copy of FER2013 is the original: counts and file names are the same in altered copies, too."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from fer_lib.data.corpus import Corpus

ENOUGH = 1000  # training images below which grey levels say nothing
SAMPLE = 500  # training images whose traces are looked for
NOTHING_ELSE = "the figures of a run on it belong to this copy alone."

# Traces that alterations leave in grey images: equalised histograms, JPEG, resizing.
FLAT = 0.05  # of a cumulative histogram, at most, from the straight line; faces as photographed have 0.25
BLOCK = 8  # pixels, of JPEG's cosine transform
STEPS = range(2, 20)  # of JPEG's quantisation that are looked for
LEAST = 300  # coefficients that say anything about a step
PERIODIC = 0.3  # of images that were never JPEG files, all frequencies stay below 0.05


@dataclass(frozen=True)
class Original:
    """What is known of the original: measured on the csv of the challenge."""

    mean: float = 0.5077  # of the training part's grey levels, of 255; published, as is the deviation
    deviation: float = 0.2550
    detail: float = 0.54  # :func:`detail` of ``SAMPLE`` of its images
    distinct: int = 34036  # different images of all parts
    # Code and first 12 hex digits of the sha256 of the pixels of the first ten rows.
    first: str = (
        "0-90164f2200b1 0-86f4a1adce41 2-59e60e05587c 4-2dee657c7775 6-d1f84aeebbe3 "
        "2-51b308b37569 4-0e93c177e3c2 3-7afcc83f3927 3-8ea801b0d8bc 2-10ae981791e1"
    )


ORIGINAL = Original()


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


def compare(corpus: Corpus, wrong_counts: list[str]) -> dict[str, Any]:
    """Compare a copy of FER2013, in any form, with the original.

    ``wrong_counts`` are sentences about counts that are not the official ones. Returned are ``original``
    (bool); ``findings``: a sentence for each difference and what it does to a comparison; ``training_mean``
    and ``training_deviation`` (of 255); ``equalised`` (share of images); ``jpeg_frequencies`` (of 63);
    ``detail``; ``distinct`` images; ``first_rows`` (of ten that are here pixel for pixel under their label).
    The middle five are None for fewer than ``ENOUGH`` training images.
    """
    import cv2

    train, known = corpus.images[corpus.split == "train"], ORIGINAL.first.split()
    hashes = [name.split("-")[1] for name in corpus.ids.tolist()]  # <split>-<hash>[-<number>]
    rows = zip(corpus.split.tolist(), corpus.labels.tolist(), hashes, strict=True)
    named = {f"{label}-{name}" for split, label, name in rows if split == "train"}
    found: dict[str, Any] = {
        **dict.fromkeys(("training_mean", "training_deviation", "equalised", "jpeg_frequencies", "detail")),
        "distinct": len(set(hashes)),
        "first_rows": len(named.intersection(known)),
    }
    findings = []
    if wrong_counts:
        more = f" ({len(wrong_counts):,} such differences)" if len(wrong_counts) > 1 else ""
        findings.append(f"Images are missing or added: {wrong_counts[0]}{more} Then {NOTHING_ELSE}")
    if len(train) < ENOUGH:
        return {"original": False, "findings": findings, **found}
    levels = cv2.calcHist([train.reshape(-1, train.shape[2])], [0], None, [256], [0, 256]).ravel()
    levels = levels.astype(np.float64) / levels.sum()
    grey = np.arange(256) / 255
    mean = float(levels @ grey)
    sample = train[:: max(1, len(train) // SAMPLE)]
    found |= {
        "training_mean": round(mean, 5),
        "training_deviation": round(float(np.sqrt(levels @ (grey - mean) ** 2)), 5),
        "equalised": round(equalised_share(sample), 3),
        "jpeg_frequencies": jpeg_frequencies(sample[::2]),
        "detail": round(detail(sample), 3),
    }
    mean, deviation, fine = found["training_mean"], found["training_deviation"], found["detail"]
    if max(abs(mean - ORIGINAL.mean), abs(deviation - ORIGINAL.deviation)) > 0.0015:
        findings.append(
            f"The grey levels are not the original's: the training part has mean {mean:.4f} and deviation "
            f"{deviation:.4f} (of 255), the original {ORIGINAL.mean:.4f} and {ORIGINAL.deviation:.4f}; "
            f"{NOTHING_ELSE}"
        )
    if found["equalised"] > 0.25:
        findings.append(
            f"The histograms were equalised ({found['equalised']:.0%} of the images have a flat one, of the "
            "original under 1%). Every image has the same contrast, so accuracies, face detection and what a "
            "network learns are those of another dataset: compare them with no published figure."
        )
    elif abs(fine / ORIGINAL.detail - 1) > 0.12:
        change = "smoothed, as by resizing" if fine < ORIGINAL.detail else "sharpened"
        findings.append(
            f"The images were {change}: they have {fine / ORIGINAL.detail:.0%} of the original's fine "
            "detail. A network sees other faces than the papers' did, and gradients (HOG, SIFT) differ."
        )
    if found["jpeg_frequencies"] > 3:
        findings.append(
            "The images were saved as JPEG: they show its 8x8 blocks, which the original does not. Grey "
            "levels are a few units off, so figures that depend on single pixels (identical images, hashes, "
            "local descriptors) differ; accuracies may differ a little."
        )
    if abs(found["distinct"] - ORIGINAL.distinct) > 20:
        findings.append(
            f"{found['distinct']:,} different images are here, the original has {ORIGINAL.distinct:,}: some "
            f"are doubled in the place of others, or were changed one by one; {NOTHING_ELSE}"
        )
    if not findings and found["first_rows"] < len(known):
        findings.append(
            f"Of the first {len(known)} images of the original, {found['first_rows']} are here "
            "pixel for pixel under their label: pixels or labels were changed without another trace."
        )
    return {"original": not findings, "findings": findings, **found}
