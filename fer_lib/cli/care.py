"""``fer doctor`` and ``fer export``: is this machine ready, and a run for an archive."""

from __future__ import annotations

import argparse
import os
import shutil
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from fer_lib.errors import FerError

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
GIB = 2**30
ROOM, MEMORY = 10, 4  # GiB that an environment and runs take, and that a run at full size takes


def add(commands: Any) -> None:
    """Add ``doctor`` and ``export`` to the subparsers of ``fer``."""
    doctor = commands.add_parser("doctor", help="what this machine can do, and what to mend")
    doctor.set_defaults(action=_doctor)
    export = commands.add_parser("export", help="write a run as an RO-Crate (zip) for an archive")
    export.add_argument("run", metavar="RUN", help="its folder, as results/cnn_sift/fer2013/full/seed0")
    export.add_argument("--output", metavar="FILE", help="the zip to write (default: the run's name)")
    export.set_defaults(action=_export)


def _export(arguments: argparse.Namespace) -> int:
    from fer_lib.evidence.crate import export
    from fer_lib.evidence.runs import Run

    folder = Path(arguments.run)
    if not (folder / "run.json").is_file():
        raise FerError(f"{folder} is no run: it has no run.json. `fer scorecard` shows which runs there are.")
    run = Run(folder)
    parts = (run.paper, run.dataset, run.budget, f"seed{run.seed}", run.variant)
    name = "-".join(filter(None, parts)).replace("=", "-").replace(",", "-")
    print(export(run, Path(arguments.output or f"{name}.crate.zip")))
    return 0


def _doctor(_: argparse.Namespace) -> int:
    """Print a line per thing looked at; return 1 if anything must be mended."""
    well = True
    for name, look in CHECKS.items():
        fine, said = look()
        well &= fine
        print(f"{'ok  ' if fine else 'MEND'}  {name:<11} {said}")
    return int(not well)


def _device() -> tuple[bool, str]:
    import torch

    if torch.cuda.is_available():
        return True, f"{torch.cuda.get_device_name()}, CUDA {torch.version.cuda}"
    threads = f"{torch.get_num_threads()} of {os.cpu_count()} cores (--threads or OMP_NUM_THREADS change it)"
    return True, f"no GPU that PyTorch can use, so {threads}; budget paper takes days"


def _precision() -> tuple[bool, str]:
    import torch
    from torch import nn

    from fer_lib.learn.layout import channels_last
    from fer_lib.learn.precision import decide
    from fer_lib.learn.recipes import Recipe, cross_entropy

    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    layers = nn.Conv2d(16, 64, 3), nn.ReLU(), nn.Conv2d(64, 64, 3), nn.Flatten(), nn.Linear(25_600, 7)
    network = channels_last(nn.Sequential(*layers), device)
    x = torch.randn(64, 16, 24, 24, device=device).contiguous(memory_format=torch.channels_last)
    labels = torch.arange(64, device=device) % 7
    found = decide(network, lambda: ((x,), labels), cross_entropy(), Recipe(1))
    return True, f"{found.name}: {found.reason}"


def _memory() -> tuple[bool, str]:
    if not hasattr(os, "sysconf"):
        return True, "not known on this system"
    free = os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / GIB
    return free >= MEMORY, f"{free:.1f} GiB free; runs at full size want {MEMORY}"


def _folder(path: Path, variable: str) -> tuple[bool, str]:
    there = next(folder for folder in (path, *path.parents) if folder.exists())
    free = shutil.disk_usage(there).free / GIB if os.access(there, os.W_OK) else 0
    return free >= ROOM, f"{path}, {free:.0f} GiB free to write; {ROOM} are wanted, {variable} moves it"


def _cache() -> tuple[bool, str]:
    from fer_lib.files import cache_folder

    return _folder(cache_folder(), "FER_CACHE")


def _results() -> tuple[bool, str]:
    from fer_lib.evidence.provenance import repository

    return _folder(repository() / "results", "--results")


def _kernel() -> tuple[bool, str]:
    from jupyter_client.kernelspec import KernelSpecManager

    found = "python3" in KernelSpecManager().find_kernel_specs()
    return found, "python3" if found else "no kernel python3: run `make book` once, or install ipykernel"


def _data() -> tuple[bool, str]:
    from fer_lib.data import datasets

    here = []
    for name in datasets.NAMES:
        with suppress(FerError):
            here += [name] * (name != "synthetic" and datasets.find(name) is not None)
    return True, f"{', '.join(here) or 'none'} (`fer data list` says how to get others)"


def browser() -> str | None:
    """Return a browser of the Chromium family on this machine; None if there is none."""
    return next(filter(None, map(shutil.which, BROWSERS)), None)


def _browser() -> tuple[bool, str]:
    return True, browser() or "none: `make pdf` and the book's tests need Chromium or Chrome"


CHECKS: dict[str, Callable[[], tuple[bool, str]]] = {
    "device": _device,
    "precision": _precision,
    "memory": _memory,
    "cache": _cache,
    "results": _results,
    "data": _data,
    "kernel": _kernel,
    "browser": _browser,
}
