"""Train the folds of C-SPP one after another with all threads, or side by side in processes that share them.

Run ``python -m benchmarks.folds [--network C-SPP] [--width 1] [--images 1024] [--copies 0] [--epochs 1]
[--folds 2] [--processes P] [--rounds R]``, on a GPU where there is one. Both ways are
:func:`fer_lib.learn.side_by_side.train_units` on the same random images with Lopes's synthetic samples, the
start of processes included; they take turns at being first. Given are the seconds until all folds are
trained, the median of the rounds, and their ratio. The paper's run on CK+ is ``--folds 8 --images 811
--copies 70 --epochs 50 --rounds 1``.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from functools import partial
from pathlib import Path

import torch

from fer_lib.files import UnitFolder
from fer_lib.learn.side_by_side import Job, train_units
from fer_lib.learn.training import Recipe, choose_device
from fer_lib.papers.cspp import network as cspp
from fer_lib.papers.cspp.eye_noise import WORKING, EyeFeed, NoisyPart


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--network", default="C-SPP")
    parser.add_argument("--width", type=float, default=1.0, help="scales every layer (default: 1)")
    parser.add_argument("--images", type=int, default=1024, help="of a fold's training part (default: 1024)")
    parser.add_argument("--copies", type=int, default=0, help="synthetic samples of each (default: none)")
    parser.add_argument("--batch-size", type=int, default=128)
    parser.add_argument("--epochs", type=int, default=1)
    parser.add_argument("--folds", type=int, default=2)
    parser.add_argument("--processes", type=int, help="default: one per thread, or per fold on a GPU")
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()
    device, threads = choose_device(), torch.get_num_threads()
    args.processes = args.processes or (threads if device.type == "cpu" else args.folds)
    jobs = [job(args, device, fold) for fold in range(args.folds)]
    ways = {"one after another": 1, "side by side": args.processes}
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for round_ in range(args.rounds):
        for name in sorted(ways, reverse=round_ % 2 == 0):
            with tempfile.TemporaryDirectory() as folder:
                began = time.perf_counter()
                train_units(UnitFolder(Path(folder)), jobs, ways[name])
                seconds[name].append(time.perf_counter() - began)
    medians = {name: round(statistics.median(rounds), 2) for name, rounds in seconds.items()}
    report = {
        "device": torch.cuda.get_device_name() if device.type == "cuda" else f"CPU, {threads} threads",
        **vars(args),
        "seconds": {name: [round(s, 2) for s in rounds] for name, rounds in seconds.items()},
        "median_seconds": medians,
        "side_by_side_is_faster_by": round(medians["one after another"] / medians["side by side"], 2),
    }
    print(json.dumps(report, indent=1))


def job(args: argparse.Namespace, device: torch.device, fold: int) -> Job:
    """Return the training of one fold on random images, tested on a few of them."""
    n, draw = args.images, torch.Generator().manual_seed(fold)
    pixels = torch.randint(256, (n, WORKING, WORKING), generator=draw, dtype=torch.uint8).to(device)
    labels = torch.randint(6, (n,), generator=draw).to(device)
    eyes = torch.tensor([[0.35, 0.4], [0.65, 0.4]]).mul(WORKING).expand(n, 2, 2).contiguous().to(device)
    part = NoisyPart(pixels, labels, (eyes,), args.copies)
    return {
        "unit": f"fold {fold}",
        "make": partial(cspp.build, args.network, width=args.width),
        "parts": (part, None, part.take(torch.arange(128, device=device))),
        "recipe": Recipe(args.epochs, args.batch_size, lr=0.0009, optimiser="sgd", momentum=0.9),
        "feed": EyeFeed(),
    }


if __name__ == "__main__":
    main()
