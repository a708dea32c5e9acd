"""Train units of work side by side, each in a process of its own, for what one process does one by one.

Folds and networks of one experiment wait for nothing of each other, and small networks do not fill several
cores, or a GPU, by themselves (``python -m benchmarks.folds`` measures it).
"""

from __future__ import annotations

import os
import pickle
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch

from fer_lib.files import UnitFolder
from fer_lib.learn.units import Outcome, train_unit
from fer_lib.progress import Bar, expect, plan, told, track

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

    ``workers`` processes, no more than there are jobs, share this process's threads. Every unit has its share
    of them, however few wait: with another number of threads its figures would be others. Networks are made
    by something that can be pickled, such as ``functools.partial(cspp.build, "C-SPP")``. What fails in a
    process, or is left undone because it was killed, is done here at the end, where an error can be seen.
    """
    waiting = [(i, job) for i, job in enumerate(jobs) if store.unit(job["unit"]) is None]
    every, workers = torch.get_num_threads(), min(workers, len(jobs))
    threads = max(1, every // max(1, workers))
    workers = min(workers, len(waiting))
    done, total = plan(len(jobs))
    if workers > 1:
        from joblib import Parallel, delayed
        from joblib.externals.loky.process_executor import TerminatedWorkerError

        file = os.environ.get("FER_PROGRESS")  # through which `fer run` hears of each worker
        # Pickled here, tensors go by value: shared memory may be scarce.
        work = (
            delayed(_attempt)(store.work, pickle.dumps(job), threads, done + i, total, file)
            for i, job in waiting
        )
        made = Parallel(workers, return_as="generator_unordered")(work)
        with suppress(TerminatedWorkerError):
            for _ in track(made, f"trainings, {workers} at a time", len(waiting), "training"):
                pass
    torch.set_num_threads(threads)
    try:
        return [train_unit(store, **job) for job in jobs]
    finally:
        torch.set_num_threads(every)


def _attempt(folder: Path, job: bytes, threads: int, number: int, total: int, file: str | None) -> None:
    """Train one unit of several in a process of its own, which tells ``file`` alone how far it is."""

    def tell(bar: Bar) -> None:
        if file:
            Path(file).write_text(bar.line(), encoding="utf-8")

    torch.set_num_threads(threads)
    expect(total, number)
    with suppress(Exception), told(tell):
        train_unit(UnitFolder(folder), **pickle.loads(job))
