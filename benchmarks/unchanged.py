"""Prove that code which was rearranged computes what it computed before.

``python -m benchmarks.unchanged COMMIT PAPER DATASET BUDGET [name=value ...]`` makes one run twice on this
machine, by the code of a commit and by today's, and compares every number that training left: predictions,
samples, curves, embeddings. If all are the same to the last bit, ``results/unchanged.json`` says so, and
evidence made by the older code counts as current for as long as the newer code stays as it is.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from fer_lib.errors import FerError
from fer_lib.evidence.provenance import repository
from fer_lib.evidence.runs import Run, ledger
from fer_lib.files import write_json
from fer_lib.machine import processor

TIMES = {"seconds"}
"""Columns of the curves that no two runs share."""


def differences(old: Run, new: Run) -> tuple[int, list[str]]:
    """Return how many numbers two runs have in common, and the names of files in which they differ."""
    names = {path.name for run in (old, new) for path in run.path.glob("*.csv")}
    tables = {name: [run.table(name.removesuffix(".csv")) for run in (old, new)] for name in names}
    stored = {"embeddings.npz": [run.embeddings() for run in (old, new)]}
    for model in {*old.models(), *new.models()}:
        known = [model in run.models() for run in (old, new)]
        stored[model] = [
            run.predictions(model) if has else {} for run, has in zip((old, new), known, strict=True)
        ]
    found, numbers = [], 0
    for name, (was, now) in tables.items():
        was, now = (frame.drop(columns=TIMES, errors="ignore") for frame in (was, now))
        numbers += was.size
        found += [] if was.equals(now) else [name]
    for name, (was, now) in stored.items():
        numbers += sum(array.size for array in was.values())
        same = was.keys() == now.keys() and all(np.array_equal(was[key], now[key]) for key in was)
        found += [] if same else [name]
    return numbers, sorted(found)


def made(folder: Path, results: Path, arguments: Sequence[str]) -> Run:
    """Make a run by the code in ``folder``, on one thread, and return its evidence below ``results``."""
    command = [
        sys.executable,
        "-m",
        "fer_lib.cli",
        "run",
        *arguments,
        "--threads",
        "1",
        "--results",
        str(results),
    ]
    environment = os.environ | {"PYTHONPATH": str(folder), "FER_WEIGHTS": "no"}
    if subprocess.run(command, cwd=folder, env=environment).returncode:
        raise FerError(f"The run failed with the code in {folder}; see above.")
    (path,) = results.glob("[!.]*/*/*/seed*/run.json")
    return Run(path.parent)


def main(arguments: Sequence[str] | None = None) -> int:
    """Compare, keep the outcome if nothing moved, and return 0 then, else 1."""
    parser = argparse.ArgumentParser(prog="benchmarks.unchanged", description=__doc__.partition("\n")[0])
    for name in ("commit", "paper", "dataset", "budget"):
        parser.add_argument(name)
    parser.add_argument("knobs", nargs="*", metavar="name=value")
    chosen = parser.parse_args(arguments)
    asked = [chosen.paper, chosen.dataset, "--budget", chosen.budget]
    asked += [word for knob in chosen.knobs for word in ("-p", knob)]
    with tempfile.TemporaryDirectory() as place:
        older = Path(place) / "older"
        subprocess.run(
            ["git", "worktree", "add", "-q", "--detach", older, chosen.commit], check=True, cwd=repository()
        )
        try:
            runs = [
                made(folder, Path(place) / name, asked)
                for folder, name in ((older, "was"), (repository(), "is"))
            ]
        finally:
            subprocess.run(["git", "worktree", "remove", "--force", older], check=True, cwd=repository())
        numbers, moved = differences(*runs)
        was, now = (run.info["computing"] for run in runs)
        variant = runs[1].variant
    if moved:
        print(f"Not the same: {', '.join(moved)}.", file=sys.stderr)
        return 1
    print(f"All {numbers:,} numbers are the same.")
    entry = {
        "paper": chosen.paper,
        "was": was,
        "now": now,
        "dataset": chosen.dataset,
        "budget": chosen.budget,
    }
    entry |= {"variant": variant, "numbers": numbers, "cpu": processor(), "when": time.strftime("%Y-%m-%d")}
    earlier = json.loads(ledger().read_text("utf-8")) if ledger().exists() else []
    write_json(ledger(), [*earlier, entry])
    return 0


if __name__ == "__main__":
    try:
        raise SystemExit(main())
    except FerError as error:
        raise SystemExit(str(error)) from None
