"""What the networks of the matrix cost: parameters, multiply-adds, and the time of training and reading.

Times are those of :func:`fer_lib.play.matrix.clock`.
"""

from __future__ import annotations

import math
import time
from dataclasses import replace

import numpy as np
import torch

from fer_lib.features import sift as features
from fer_lib.learn.layers import count_parameters
from fer_lib.learn.recipes import Recipe
from fer_lib.learn.training import Part, fit
from fer_lib.play.matrix import ENTRIES, Trained, clock
from fer_lib.play.matrix_data import Augmented, Faces, find_landmarks


def multiply_adds(name: str, n_classes: int = 7, width: float = 1.0) -> tuple[int, int]:
    """Return a model's trainable parameters, and the multiply-adds of one image through it.

    Counted by torch's ``FlopCounterMode``, which takes convolutions and matrix products; two operations are
    one multiply-add. What comes before the network (landmarks, SIFT, HOG) is not counted, but timed.
    """
    from torch.utils.flop_counter import FlopCounterMode

    entry = ENTRIES[name]
    with torch.device("meta"):
        model = entry.build(n_classes, width).eval()
    with torch.inference_mode(), FlopCounterMode(display=False) as counter:
        model(*(x.to("meta") for x in entry.inputs))
    return count_parameters(model), counter.get_total_flops() // 2


def images_per_second(one: Trained, part: Part, seconds: float = 0.5) -> float:
    """Return how many images of a part a model predicts per second, its feed included.

    The best of as many passes as ``seconds`` allow, at least two after one that warms up.
    """
    now = clock(part.images.device)
    one.predict(part)
    best, began, passes = math.inf, now(), 0
    while passes < 2 or now() - began < seconds:
        started = now()
        one.predict(part)
        best, passes = min(best, now() - started), passes + 1
    return len(part) / best


def training_rate(
    name: str, learn: Part, n_classes: int, how: Recipe, width: float, batches: int = 6
) -> float:
    """Return how many images a network trains on per second, measured on a few batches."""
    entry, device = ENTRIES[name], learn.images.device
    some = learn.take(torch.arange(min(len(learn), batches * how.batch_size), device=device))
    model, feed = entry.build(n_classes, width), Augmented(entry.feed(some), how.augmentation)
    once, now = replace(how, epochs=1), clock(device)
    best = math.inf
    for _ in range(2):  # the first warms up
        started = now()
        fit(model, some, once, feed=feed, loss=entry.loss, label=f"{name}, timed")
        best = min(best, now() - started)
    return len(some) / best


def finding(faces: Faces, images: np.ndarray | None, n: int = 40) -> dict[str, float]:
    """Return the milliseconds of processor time per image that finding landmarks and SIFT words takes.

    Parameters
    ----------
    images : uint8 (N, H, W) or None
        Some images of the corpus as it is read, in which faces are looked for; None where the landmarks
        come with it.
    n : int
        How many are timed.
    """
    made = faces.corpus.images[:n]
    began = time.process_time()
    features.sift(made, workers=1)
    spent = {"words": 1000 * (time.process_time() - began) / len(made), "landmarks": math.nan}
    if images is not None:
        began = time.process_time()
        find_landmarks(images[:n])
        spent["landmarks"] = 1000 * (time.process_time() - began) / len(images[:n])
    return spent
