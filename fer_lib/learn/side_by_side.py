"""Train units of work side by side, each in a process of its own, for what one process does one by one.

Folds and networks of one experiment wait for nothing of each other, and small networks do not fill several
cores, or a GPU, by themselves (``python -m benchmarks.folds`` measures it).
"""

from __future__ import annotations

import pickle
from collections.abc import Iterator, Sequence
from contextlib import suppress
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from typing import Any

import torch

from fer_lib.files import UnitFolder
from fer_lib.learn.units import Outcome, train_unit
from fer_lib.progress import Bar, told

Job = dict[str, Any]
"""The arguments of ``train_unit`` beside the store, by name; all of them can be pickled."""


def processes(device: torch.device) -> int:
    """Return how many units train side by side: as many as this process has threads, on a GPU one.

    On two cores, two folds of C-SPP that visit 8,192 samples each take as long side by side as one after
    another, the start of the processes included (``results/benchmarks``): longer ones gain, shorter ones
    lose. A GPU has not been measured.
    """
    return torch.get_num_threads() if device.type == "cpu" else 1


def train_units(store: UnitFolder, jobs: Sequence[Job], workers: int = 1) -> list[Outcome]:
    """Train units of work, or find them in ``store``; return their outcomes in the order of ``jobs``.

    Parameters
    ----------
    store
        Where finished units and checkpoints are kept, such as a :class:`fer_lib.evidence.runs.Recorder`.
    jobs
        See :data:`Job`. Networks are made by something that can be pickled, such as
        ``functools.partial(cspp.build, "C-SPP")``.
    workers
        Processes; they share this process's threads. What a process leaves undone, because it failed or was
        killed, is done here at the end, where an error can be seen.
    """
    waiting = [job for job in jobs if store.unit(job["unit"]) is None]
    if min(workers, len(waiting)) > 1:
        _train(store, waiting, min(workers, len(waiting)))
    return [train_unit(store, **job) for job in jobs]


def _train(store: UnitFolder, jobs: list[Job], workers: int) -> None:
    """Hand the jobs to processes, one whenever one is free, and show how far they are together."""
    context = get_context("spawn")  # a forked process can use neither a GPU nor the threads of its parent
    threads = max(1, torch.get_num_threads() // workers)
    started, pipes = [], []
    images = sum(job["recipe"].epochs * len(job["parts"][0]) for job in jobs)
    left = iter(jobs)
    try:
        for _ in range(workers):
            ours, theirs = context.Pipe()
            process = context.Process(target=_work, args=(theirs, store.work, threads), daemon=True)
            process.start()
            theirs.close()  # else a process that ends would not be noticed
            started.append(process)
            pipes.append(ours)
        with Bar(images, f"{len(jobs)} trainings, {workers} at a time", "img") as bar:
            for n in _served(pipes, left):
                bar.update(n)
    finally:
        for process in started:
            process.kill()
            process.join()


def _served(pipes: list[Connection], jobs: Iterator[Job]) -> Iterator[int]:
    """Give each process another job until there is none; yield the images that it has trained on since."""
    seen = dict.fromkeys(pipes, 0)
    while seen:
        for pipe in wait(list(seen)):
            try:
                said = pipe.recv()
                if said is not None:  # how many images of its unit it has been through
                    yield said - seen[pipe]
                    seen[pipe] = said
                elif (job := next(jobs, None)) is not None:
                    pipe.send_bytes(pickle.dumps(job))  # tensors by value: shared memory may be scarce
                    seen[pipe] = 0
                else:
                    del seen[pipe]
            except (EOFError, OSError):  # it failed or was killed
                del seen[pipe]


def _work(pipe: Connection, folder: Any, threads: int) -> None:
    """Train one unit after another until no more are sent; what fails is done, and told, by the parent."""
    torch.set_num_threads(threads)
    # A parent that is gone breaks the pipe, so that nobody trains on for nothing.
    with suppress(Exception, KeyboardInterrupt), told(lambda bar: pipe.send(bar.done)):
        while True:
            pipe.send(None)
            job = pickle.loads(pipe.recv_bytes())
            train_unit(UnitFolder(folder), **job)
            pipe.send(job["recipe"].epochs * len(job["parts"][0]))
