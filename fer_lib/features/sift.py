"""SIFT descriptors and their bag of visual words (paper ``cnn_sift``, Sect. 2.2, 3.2)."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import cv2
import numpy as np
import torch

from fer_lib import files
from fer_lib.data.corpus import Corpus
from fer_lib.errors import FerError, one_of
from fer_lib.progress import track

SIFT_MODES = ("dog_x4", "dog_x1", "dense")
BOW_NORMS = ("counts", "l1", "l2")


@dataclass(frozen=True, eq=False)
class Descriptors:
    """The SIFT descriptors of N images, one after another."""

    values: np.ndarray  # (M, 128) uint8: 4 x 4 cells of 8 orientations
    offsets: np.ndarray  # (N + 1,) int64; image i owns rows offsets[i] to offsets[i + 1]
    keypoints: np.ndarray  # (M, 4) float32: x, y and diameter in pixels of the image, angle in degrees

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def counts(self) -> np.ndarray:
        """Return the number of keypoints per image, ``(N,)`` int64."""
        return np.diff(self.offsets)

    def take(self, index: np.ndarray) -> Descriptors:
        """Return the descriptors of the images at ``index``, in that order."""
        counts = self.counts()[index]
        offsets = np.concatenate([[0], np.cumsum(counts)])
        rows = np.repeat(self.offsets[:-1][index] - offsets[:-1], counts) + np.arange(offsets[-1])
        return Descriptors(self.values[rows], offsets, self.keypoints[rows])


def sift(images: np.ndarray, mode: str = "dog_x4", workers: int | None = None) -> Descriptors:
    """Compute SIFT on every image ``(N, H, W)`` uint8, on all cores, with progress.

    Keypoints are those of the Difference of Gaussians on the image enlarged four times (``"dog_x4"``) or as
    it is (``"dog_x1"``), or a grid, one every 4 pixels (``"dense"``; ambiguity ``sift_detector``).
    """
    one_of(mode, SIFT_MODES, "sift_mode")
    parts = [(np.empty((0, 128), np.uint8), np.empty((0, 4), np.float32))]
    inner = cv2.getNumThreads()
    cv2.setNumThreads(1)  # the parallelism is over images
    try:
        with ThreadPoolExecutor(workers or os.cpu_count() or 1) as pool:
            found = pool.map(lambda image: _sift(image, mode), images)
            parts += track(found, f"SIFT {mode}", len(images), "img")
    finally:
        cv2.setNumThreads(inner)
    values, points = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
    offsets = np.cumsum([len(values) for values, _ in parts], dtype=np.int64)
    return Descriptors(values, offsets, points)


def _sift(image: np.ndarray, mode: str) -> tuple[np.ndarray, np.ndarray]:
    """Return descriptors ``(m, 128)`` uint8 and keypoints ``(m, 4)`` of an image."""
    detector, zoom = cv2.SIFT_create(), 4 if mode == "dog_x4" else 1
    if mode == "dense":
        ys, xs = np.mgrid[4 : image.shape[0] : 4, 4 : image.shape[1] : 4]
        grid = [cv2.KeyPoint(float(x), float(y), 8.0) for x, y in zip(xs.flat, ys.flat, strict=True)]
        keypoints, values = detector.compute(image, grid)
    else:
        if zoom > 1:
            image = cv2.resize(image, None, fx=zoom, fy=zoom, interpolation=cv2.INTER_CUBIC)
        keypoints, values = detector.detectAndCompute(image, None)
    values = np.empty((0, 128)) if values is None else values  # whole numbers in 0..255
    points = np.array([(*k.pt, k.size, k.angle) for k in keypoints], np.float32).reshape(-1, 4)
    # Pixel centres: x in the enlarged image is (x + 0.5) / zoom - 0.5 in the original.
    points[:, :2] = (points[:, :2] + 0.5) / zoom - 0.5
    points[:, 2] /= zoom
    return values.astype(np.uint8), points


def sift_of(corpus: Corpus, mode: str = "dog_x4") -> Descriptors:
    """Return :func:`sift` of a corpus, cached by its fingerprint, the mode and OpenCV's version."""
    key = files.digest(corpus.fingerprint, mode, cv2.__version__)
    arrays = files.cached_arrays("sift", key, lambda: vars(sift(corpus.images, mode)))
    return Descriptors(**arrays)


@dataclass(frozen=True, eq=False)
class Vocabulary:
    """K visual words: ``centres`` ``(K, 128)`` float32 in descriptor units (0..255)."""

    centres: np.ndarray

    @classmethod
    def fit(cls, descriptors: Descriptors, k: int, seed: int = 0, sample: int = 200_000) -> Vocabulary:
        """Cluster descriptors, at most ``sample`` of them, to ``k`` words by mini-batch k-means.

        They are to be of the training part only (ambiguity ``kmeans_fit_data``).
        """
        from sklearn.cluster import MiniBatchKMeans

        values = descriptors.values
        if len(values) < k:
            raise FerError(
                f"A vocabulary of {k} visual words needs at least {k} SIFT descriptors, and the training "
                f"images have {len(values)}; use more images or sift_mode='dense'."
            )
        if len(values) > sample:
            drawn = np.random.default_rng(seed).choice(len(values), sample, replace=False)
            values = values[np.sort(drawn)]
        means = MiniBatchKMeans(
            k, batch_size=8192, max_iter=20, n_init=1, init_size=max(3 * k, 8192), random_state=seed
        )
        return cls(means.fit(values.astype(np.float32)).cluster_centers_.astype(np.float32))

    def assign(self, values: np.ndarray) -> np.ndarray:
        """Return the nearest word of every descriptor, ``(M,)`` int64."""
        centres = torch.from_numpy(self.centres)
        offset = -centres.square().sum(1) / 2
        words, chunk = np.empty(len(values), np.int64), 16_384
        scores = torch.empty(min(chunk, len(values)), len(centres))  # one buffer for all chunks
        for i in range(0, len(values), chunk):
            part = torch.from_numpy(values[i : i + chunk]).float()
            # |x - c|^2 is least where x.c - |c|^2 / 2 is greatest.
            torch.addmm(offset, part, centres.T, out=scores[: len(part)])
            words[i : i + chunk] = scores[: len(part)].argmax(1).numpy()
        return words

    def histograms(self, descriptors: Descriptors, norm: str = "l2") -> np.ndarray:
        """Return the bag of visual words of every image, ``(N, K)`` float32.

        ``norm`` is ``"counts"``, or ``"l1"`` or ``"l2"`` for counts scaled to unit sum or length; an image
        without keypoints gives zeros (ambiguity ``codebook_histogram``).
        """
        one_of(norm, BOW_NORMS, "bow_normalisation")
        n, k = len(descriptors), len(self.centres)
        image = np.repeat(np.arange(n), descriptors.counts())
        cells = image * k + self.assign(descriptors.values)
        bags = np.bincount(cells, minlength=n * k).reshape(n, k).astype(np.float32)
        if norm == "counts":
            return bags
        order = 1 if norm == "l1" else 2
        return bags / np.maximum(np.linalg.norm(bags, ord=order, axis=1, keepdims=True), 1e-12)


def word_patches(
    vocabulary: Vocabulary,
    descriptors: Descriptors,
    images: np.ndarray,
    n_words: int = 12,
    n_patches: int = 12,
    seed: int = 0,
) -> dict[str, np.ndarray]:
    """Cut the patches of images uint8 ``(N, H, W)`` that fell into a few visual words, nearest first.

    Words are drawn with ``seed`` among those met often enough in the first 2,000 images. A patch is twice its
    keypoint's diameter wide, turned upright. The result is uint8 ``(n_patches, 24, 24)`` by a word's number.
    """
    side = 24
    descriptors = descriptors.take(np.arange(min(len(images), 2000)))
    words = vocabulary.assign(descriptors.values)
    image = np.repeat(np.arange(len(descriptors)), descriptors.counts())
    frequent = np.flatnonzero(np.bincount(words, minlength=len(vocabulary.centres)) >= n_patches)
    patches = {}
    for word in np.sort(np.random.default_rng(seed).permutation(frequent)[:n_words]):
        rows = np.flatnonzero(words == word)
        away = np.linalg.norm(descriptors.values[rows] - vocabulary.centres[word], axis=1)
        cut = []
        for row in rows[np.argsort(away, kind="stable")][:n_patches]:
            x, y, size, angle = descriptors.keypoints[row]
            turn = cv2.getRotationMatrix2D((float(x), float(y)), float(angle), side / max(2 * size, 4))
            turn[:, 2] += (side - 1) / 2 - np.array([x, y])
            upright = cv2.warpAffine(images[image[row]], turn, (side, side), borderMode=cv2.BORDER_REPLICATE)
            cut.append(upright)
        patches[str(word)] = np.stack(cut)
    return patches
