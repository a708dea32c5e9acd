"""Look for the faces of FER2013 by every method: how many are found, of which class, and how long it takes.

Run ``python -m benchmarks.faces [--data-dir D] [--write]``. What is found in all images comes from the cache
if it is there; times are always measured, on images evenly spread over the corpus. The clock's time is the
best of several rounds and still depends on what else the machine does; the processor's hardly does.
``--write`` puts the figures into ``results/data/fer2013/faces.json``, which the book's page on FER2013 shows.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from typing import Any

import cv2
import numpy as np

from fer_lib import faces, files
from fer_lib.data import datasets
from fer_lib.data.corpus import Corpus, split_names
from fer_lib.evidence.provenance import provenance, repository
from fer_lib.faces import detection

METHODS = ("dlib", "mtcnn", "haar")
TIMED = 512  # images per round
ROUNDS = 3


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data-dir")
    parser.add_argument("--images", type=int, help="take so many only, evenly spread (not to be written)")
    parser.add_argument("--write", action="store_true")
    args = parser.parse_args()
    if args.write and args.images:
        parser.error("--write is for all images: leave --images away")
    started = time.monotonic()
    corpus = datasets.load("fer2013", args.data_dir)
    if args.images:
        corpus = corpus.select(spread(len(corpus), args.images))
    of = {"name": corpus.card.name, "images": len(corpus), "fingerprint": corpus.fingerprint}
    methods = {method: found(corpus, method) | times(corpus, method) for method in METHODS}
    report = {"corpus": of, "methods": methods, "landmarks": landmarks(corpus)}
    report["provenance"] = provenance(started)
    print(json.dumps(report, indent=1))
    if args.write:
        files.write_json(repository() / "results" / "data" / corpus.card.name / "faces.json", report)


def found(corpus: Corpus, method: str) -> dict[str, Any]:
    """Return how many faces one method finds, and the rates by class and by split."""
    valid = faces.annotate(corpus, method, points=False).valid
    labels = enumerate(corpus.classes)
    return {
        "detected": int(valid.sum()),
        "rate": rate(valid),
        "per_class": {name: rate(valid[corpus.labels == label]) for label, name in labels},
        "per_split": {name: rate(valid[corpus.split == name]) for name in split_names(corpus.split)},
    }


def times(corpus: Corpus, method: str) -> dict[str, Any]:
    """Return the milliseconds per image in one thread and in all of them."""
    images = corpus.images[spread(len(corpus), TIMED)]
    every, _ = timed(lambda: faces.detect(images, method), len(images))
    # A single batch is searched in the calling thread, where OpenCV would start threads of its own.
    parts = [images[i : i + detection.BATCH] for i in range(0, len(images), detection.BATCH)]
    inner = cv2.getNumThreads()
    cv2.setNumThreads(1)
    one, processor = timed(lambda: [faces.detect(part, method) for part in parts], len(images))
    cv2.setNumThreads(inner)
    return {
        "milliseconds_per_image": every,
        "threads": detection.THREADS,
        "one_thread_milliseconds_per_image": one,
        "processor_milliseconds_per_image": processor,
    }


def landmarks(corpus: Corpus) -> dict[str, Any]:
    """Compare dlib's eyes with MTCNN's where both find a face, and time dlib's predictor by itself."""
    images = corpus.images[spread(len(corpus), 4 * TIMED)]
    boxes = faces.detect(images, "dlib")
    points = faces.landmarks(images, boxes)
    some = np.flatnonzero(np.isfinite(boxes).all(axis=1))[:TIMED]
    clock, processor = timed(lambda: faces.landmarks(images[some], boxes[some]), len(some))
    ours, theirs = faces.eyes(points), faces.eyes(detection.find(images, "mtcnn")[1])
    apart = np.linalg.norm(ours - theirs, axis=2) / np.linalg.norm(ours[:, 1:] - ours[:, :1], axis=2)
    apart = apart[np.isfinite(apart).all(axis=1)]
    parts = {str(q): round(float(np.quantile(apart, q)), 3) for q in (0.5, 0.9)}
    return {
        "images": len(images),
        "found_by_both": len(apart),
        "eyes_apart_in_eye_distances": parts,
        "dlib_milliseconds_per_face": clock,
        "dlib_processor_milliseconds_per_face": processor,
    }


def timed(work: Callable[[], Any], n: int) -> tuple[float, float]:
    """Return the least milliseconds of the clock and of the processor for one of ``n`` images."""
    rounds = []
    for _ in range(ROUNDS + 1):  # the first one reads models
        clock, processor = time.perf_counter(), time.process_time()
        work()
        rounds.append((time.perf_counter() - clock, time.process_time() - processor))
    best = np.min(rounds[1:], axis=0) * 1000 / n
    return round(float(best[0]), 2), round(float(best[1]), 2)


def spread(n: int, k: int) -> np.ndarray:
    """Return at most ``k`` of ``n`` positions, evenly spread: a corpus may be ordered by class."""
    return np.unique(np.linspace(0, n - 1, min(n, k)).round().astype(int))


def rate(valid: np.ndarray) -> float | None:
    return round(float(valid.mean()), 4) if len(valid) else None


if __name__ == "__main__":
    main()
