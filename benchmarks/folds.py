"""Train the folds of one experiment one after another with all threads, or side by side with a thread each.

Run ``python -m benchmarks.folds [--network C-SPP] [--width 1] [--images 512] [--folds 2] [--rounds R]``, on a
GPU where there is one. Both ways train the same network of paper ``cspp`` on the same random images in
processes that wait for each other before the clock starts; they take turns, so that what else the machine
does hits both. Given are the seconds until all folds are trained, the median of the rounds, and their ratio.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from multiprocessing import get_context

import torch


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--network", default="C-SPP")
    parser.add_argument("--width", type=float, default=1.0, help="scales every layer (default: 1)")
    parser.add_argument("--images", type=int, default=512, help="of a fold's training part (default: 512)")
    parser.add_argument("--batch-size", type=int, default=128)
    parser.add_argument("--folds", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()
    threads = torch.get_num_threads()
    ways = {"one after another": (1, threads), "side by side": (args.folds, max(1, threads // args.folds))}
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(args.rounds):
        for name, (workers, each) in ways.items():
            seconds[name].append(wall(args, workers, each))
    medians = {name: round(statistics.median(rounds), 2) for name, rounds in seconds.items()}
    report = {
        "device": torch.cuda.get_device_name() if torch.cuda.is_available() else f"CPU, {threads} threads",
        **vars(args),
        "seconds": {name: [round(s, 2) for s in rounds] for name, rounds in seconds.items()},
        "median_seconds": medians,
        "side_by_side_is_faster_by": round(medians["one after another"] / medians["side by side"], 2),
    }
    print(json.dumps(report, indent=1))


def wall(args: argparse.Namespace, workers: int, threads: int) -> float:
    """Return the seconds that all folds take, shared out among so many processes of so many threads."""
    context = get_context("spawn")  # a forked process can use neither a GPU nor the threads of its parent
    ready = context.Barrier(workers + 1)
    shares = [args.folds // workers] * workers
    processes = [context.Process(target=work, args=(args, share, threads, ready)) for share in shares]
    for process in processes:
        process.start()
    ready.wait()
    began = time.perf_counter()
    for process in processes:
        process.join()
        if process.exitcode:
            raise SystemExit(f"a worker ended with exit code {process.exitcode}")
    return time.perf_counter() - began


def work(args: argparse.Namespace, folds: int, threads: int, ready: object) -> None:
    """Train so many folds one after another, once every worker has trained a first batch."""
    from fer_lib.models import cspp
    from fer_lib.training import Part, Recipe, choose_device, fit

    torch.set_num_threads(threads)
    device = choose_device()
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(256, (args.images, 48, 48), generator=generator, dtype=torch.uint8)
    part = Part(images.to(device), torch.randint(6, (args.images,), generator=generator).to(device))
    recipe = Recipe(epochs=1, batch_size=args.batch_size, lr=0.0009, optimiser="sgd")
    fit(cspp.build(args.network, width=args.width), part.take(torch.arange(args.batch_size)), recipe)
    ready.wait()
    for _ in range(folds):
        fit(cspp.build(args.network, width=args.width), part, recipe)
    if device.type == "cuda":
        torch.cuda.synchronize()


if __name__ == "__main__":
    main()
