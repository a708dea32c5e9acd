"""Time HOG on batches against scikit-image, in turns on the same cores.

Run ``python -m benchmarks.hog [--data-dir D] [--rounds R] [--threads T]``. Both get the same images
(FER2013, or synthetic faces where it is absent) and give the same 900 values. scikit-image uses one
thread; to compare like with like, leave ``--threads`` at 1.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable

import numpy as np
import torch
from skimage.feature import hog as skimage_hog

from fer_lib.data import datasets
from fer_lib.errors import FerError
from fer_lib.features import hog

IMAGES, REFERENCE = 4096, 256  # images a round: ours, and scikit-image's


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data-dir")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    try:
        corpus = datasets.load("fer2013", args.data_dir)
    except FerError as absent:
        print(f"Synthetic faces are used: {absent}")
        corpus = datasets.load("synthetic")
    images = np.resize(corpus.images, (IMAGES, *corpus.images.shape[1:]))
    batch = torch.as_tensor(images)
    difference = np.abs(hog.describe(batch[:REFERENCE]).numpy() - _reference(images[:REFERENCE])).max()
    ours, theirs = [], []
    for _ in range(args.rounds):
        ours.append(_seconds(lambda: hog.describe(batch)) / IMAGES)
        theirs.append(_seconds(lambda: _reference(images[:REFERENCE])) / REFERENCE)
        print(f"{1e6 * ours[-1]:8.1f} us ours {1e6 * theirs[-1]:8.1f} us scikit-image, each image")
    report = {
        "threads": args.threads,
        "microseconds_ours": round(1e6 * min(ours), 1),
        "microseconds_scikit_image": round(1e6 * min(theirs), 1),
        "times_faster": round(min(theirs) / min(ours), 1),
        "largest_difference": float(difference),
    }
    print(json.dumps(report, indent=1))


def _reference(images: np.ndarray) -> np.ndarray:
    shape = {"pixels_per_cell": (8, 8), "cells_per_block": (2, 2)}
    return np.stack([skimage_hog(i, 9, **shape, block_norm="L2-Hys") for i in images])


def _seconds(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


if __name__ == "__main__":
    main()
