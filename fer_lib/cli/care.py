"""``fer doctor`` and ``fer export``: is this machine ready, and a run for an archive."""

from __future__ import annotations

import argparse
import os
import shutil
from collections.abc import Iterator
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
    for name, fine, said in checks():
        well &= fine
        print(f"{'ok  ' if fine else 'MEND'}  {name:<11} {said}", flush=True)
    return int(not well)


def checks() -> Iterator[tuple[str, bool, str]]:
    """Look at the machine thing by thing: a name, whether it is as it should be, and what there is to say."""
    import torch
    from jupyter_client.kernelspec import KernelSpecManager

    from fer_lib.data import datasets
    from fer_lib.evidence.provenance import repository
    from fer_lib.files import cache_folder

    threads = f"{torch.get_num_threads()} of {os.cpu_count()} cores (--threads or OMP_NUM_THREADS change it)"
    said = f"no GPU that PyTorch can use, so {threads}; budget paper takes days"
    if torch.cuda.is_available():
        said = f"{torch.cuda.get_device_name()}, CUDA {torch.version.cuda}"
    yield "device", True, said
    yield "precision", True, _precision()
    if hasattr(os, "sysconf"):
        free = os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / GIB
        yield "memory", free >= MEMORY, f"{free:.1f} GiB free; runs at full size want {MEMORY}"
    folders = {"cache": (cache_folder(), "FER_CACHE"), "results": (repository() / "results", "--results")}
    for name, (path, variable) in folders.items():
        there = next(folder for folder in (path, *path.parents) if folder.exists())
        free = shutil.disk_usage(there).free / GIB if os.access(there, os.W_OK) else 0
        said = f"{path}, {free:.0f} GiB free to write; {ROOM} are wanted, {variable} moves it"
        yield name, free >= ROOM, said
    here = []
    for name in datasets.READERS:
        with suppress(FerError):
            here += [name] if datasets.find(name) else []
    yield "data", True, f"{', '.join(here) or 'none'} (`fer data list` says how to get others)"
    found = "python3" in KernelSpecManager().find_kernel_specs()
    said = "python3" if found else "no kernel python3: run `make book` once, or install ipykernel"
    yield "kernel", found, said
    said = browser() or "none: `make pdf` and the book's tests need Chromium or Chrome"
    yield "browser", True, said


def _precision() -> str:
    """Decide on the precision of a small network."""
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
    return f"{found.name}: {found.reason}"


def browser() -> str | None:
    """Return a browser of the Chromium family on this machine; None if there is none."""
    return next(filter(None, map(shutil.which, BROWSERS)), None)
