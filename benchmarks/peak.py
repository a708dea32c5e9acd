"""Train five networks at full width, and set their speed beside what the processor can do at most.

Run ``python -m benchmarks.peak [--images N] [--rounds R] [--threads T]``. Synthetic faces; the peak is
the best of square matrix products in float32 and bf16. Of C2, VGG19, LKRNet, C-SPP and the 3D-CNN: images
per second by the library, in the precision and layout that it takes here, and by the same network in
float32 with torch's own layout and optimiser; and what part of the peak the first is, counting the
operations of a forward and a backward pass.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable

import numpy as np
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from fer_lib.data import datasets
from fer_lib.learn import training
from fer_lib.learn.precision import decide
from fer_lib.learn.recipes import cross_entropy, optimiser_of
from fer_lib.learn.training import Part
from fer_lib.play import zoo

NAMES = ("C2", "VGG19", "LKRNet", "C-SPP", "3D-CNN")
SIDE = 2048  # of the matrices


def best(work: Callable[[], object], rounds: int) -> float:
    """Return the fewest seconds of several rounds, after one to get ready."""
    seconds = []
    for _ in range(rounds + 1):
        began = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - began)
    return min(seconds[1:])


def peak(dtype: torch.dtype, rounds: int) -> float:
    """Return operations per second of a product of two matrices."""
    a, b = (torch.randn(SIDE, SIDE).to(dtype) for _ in range(2))
    return 2 * SIDE**3 / best(lambda: a @ b, rounds)


def operations(model: nn.Module, step: Callable[[nn.Module], torch.Tensor]) -> int:
    """Return the operations of a forward and a backward pass."""
    with FlopCounterMode(display=False) as counter:
        step(model).backward()
    return counter.get_total_flops()


def measured(
    name: str, part: Part, n_classes: int, rounds: int, peaks: dict[str, float]
) -> dict[str, object]:
    """Return images per second of one network in both ways, and their part of the peak."""
    network = zoo.NETWORKS[name]
    recipe = zoo.recipe_of(name, 1)
    part, feed, loss = zoo.training_of(network, part, recipe.augmentation)
    loss = loss or cross_entropy(recipe.true_class_target)
    batch = part.take(torch.arange(min(len(part), recipe.batch_size)))

    def step(model: nn.Module) -> torch.Tensor:
        return loss(model(*feed(batch, True)), batch.labels)[0]

    model = training.channels_last(network.build(n_classes, width=1.0), torch.device("cpu"))
    chosen = decide(model, training.real_batch(model, part, recipe, feed), loss, recipe)
    n = len(part)
    ours = n / best(lambda: training.fit(model, part, recipe, feed=feed, loss=loss, precision=chosen), rounds)

    twin = network.build(n_classes, width=1.0).train()
    optimiser = optimiser_of(twin, recipe)

    def as_written() -> None:
        for index in torch.randperm(n).split(recipe.batch_size):
            seen = part.take(index)
            optimiser.zero_grad()
            value, _ = loss(twin(*feed(seen, True)), seen.labels)
            value.backward()
            optimiser.step()
            value.item()

    written = n / best(as_written, rounds)
    each = operations(twin, step) / len(batch)
    return {
        "precision": chosen.name,
        "ours_images_per_second": round(ours, 1),
        "float32_images_per_second": round(written, 1),
        "times_faster": round(ours / written, 2),
        "million_operations_per_image": round(each / 1e6, 1),
        "per_cent_of_peak": round(100 * ours * each / peaks[chosen.name], 1),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=512)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    corpus = datasets.load("synthetic").resize(zoo.SIZE)
    corpus = corpus.select(np.arange(min(args.images, len(corpus))))
    part = zoo.part(corpus, clips=np.repeat(corpus.images[:, None], zoo.N_FRAMES, axis=1))
    peaks = {
        name: peak(dtype, args.rounds) for name, dtype in (("fp32", torch.float32), ("bf16", torch.bfloat16))
    }
    report: dict[str, object] = {"threads": args.threads, "images": len(corpus)}
    report |= {f"peak_{name}_gflop_per_second": round(value / 1e9) for name, value in peaks.items()}
    for name in NAMES:
        report[name] = measured(name, part, len(corpus.classes), args.rounds, peaks)
        print(name, report[name], flush=True)
    print(json.dumps(report, indent=1))


if __name__ == "__main__":
    main()
