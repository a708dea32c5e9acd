"""Time SIFT and a vocabulary of 1,024 words over all of FER2013 (synthetic faces where it is absent).

Run ``python -m benchmarks.sift [--data-dir D]``. Nothing is taken from the cache.
"""

from __future__ import annotations

import argparse
import json
import os
import time

import numpy as np

from fer_lib.data import datasets
from fer_lib.errors import FerError
from fer_lib.features import sift as features


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data-dir")
    args = parser.parse_args()
    try:
        corpus = datasets.load("fer2013", args.data_dir)
    except FerError as absent:
        print(f"Synthetic faces are used: {absent}")
        corpus = datasets.load("synthetic")
    times = [time.perf_counter()]
    descriptors = features.sift(corpus.images)
    times.append(time.perf_counter())
    train = np.arange(len(corpus)) if corpus.split is None else np.flatnonzero(corpus.split == "train")
    words = features.Vocabulary.fit(descriptors.take(train), 1024)
    times.append(time.perf_counter())
    words.histograms(descriptors)
    times.append(time.perf_counter())
    steps = dict(zip(("sift", "k-means", "histograms"), np.diff(times).round(1).tolist(), strict=True))
    print(
        json.dumps(
            {"images": len(corpus), "descriptors": len(descriptors.values), "cores": os.cpu_count()}
            | {f"{name}_seconds": value for name, value in steps.items()}
            | {"total_seconds": round(times[-1] - times[0], 1)},
            indent=1,
        )
    )


if __name__ == "__main__":
    main()
