"""Prove that code which was rearranged computes what it computed before.

``python -m benchmarks.unchanged RUN`` makes a recorded run (its folder below ``results/``) once more by
today's code, on the threads that it had, and compares every number that training left: predictions, samples,
curves, embeddings. ``python -m benchmarks.unchanged COMMIT PAPER DATASET BUDGET [name=value ...]`` compares
with a commit's code instead, for runs that were made on another machine. If all numbers are the same to the
last bit, ``results/unchanged.json`` says so, and evidence made by the older code counts as current for as
long as the newer code stays as it is.
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
from fer_lib.evidence.provenance import RUN_PARAMETERS, defaults, repository
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


def made(folder: Path, results: Path, arguments: Sequence[str], threads: int) -> Run:
    """Make a run by the code in ``folder`` and return its evidence below ``results``."""
    command = [sys.executable, "-m", "fer_lib.cli", "run", *arguments]
    command += ["--threads", str(threads), "--results", str(results)]
    environment = os.environ | {"PYTHONPATH": str(folder), "FER_WEIGHTS": "no"}
    if subprocess.run(command, cwd=folder, env=environment).returncode:
        raise FerError(f"The run failed with the code in {folder}; see above.")
    (path,) = results.glob("[!.]*/*/*/seed*/run.json")
    return Run(path.parent)


def by_commit(commit: str, place: Path, arguments: Sequence[str]) -> Run:
    """Make a run by the code of a commit, on one thread."""
    older, git = place / "older", ["git", "-C", str(repository()), "worktree"]
    subprocess.run([*git, "add", "-q", "--detach", older, commit], check=True)
    try:
        return made(older, place / "was", arguments, 1)
    finally:
        subprocess.run([*git, "remove", "--force", older], check=True)


def main(arguments: Sequence[str] | None = None) -> int:
    """Compare, keep the outcome if nothing moved, and return 0 then, else 1."""
    parser = argparse.ArgumentParser(prog="benchmarks.unchanged", description=__doc__.partition("\n")[0])
    parser.add_argument("older", metavar="RUN | COMMIT", help="folder of a recorded run, or a commit")
    parser.add_argument("asked", nargs="*", metavar="PAPER DATASET BUDGET [name=value]", help="with a commit")
    chosen = parser.parse_args(arguments)
    recorded = Run(Path(chosen.older)) if Path(chosen.older, "run.json").exists() else None
    if recorded:
        paper, dataset, budget = recorded.paper, recorded.dataset, recorded.budget
        ours = defaults(paper)
        values = {n: v for n, v in recorded.info["parameters"].items() if n in ours and v != ours[n]}
        knobs = [f"{name}={value}" for name, value in values.items() if name not in RUN_PARAMETERS]
    elif len(chosen.asked) >= 3:
        paper, dataset, budget, *knobs = chosen.asked
    else:
        parser.error(f"{chosen.older} is no recorded run; with a commit, name paper, dataset and budget too")
    asked = [paper, dataset, "--budget", budget, "--seed", str(recorded.seed if recorded else 0)]
    asked += [word for knob in knobs for word in ("-p", knob)]
    with tempfile.TemporaryDirectory() as name:
        was = recorded or by_commit(chosen.older, Path(name), asked)
        now = made(repository(), Path(name) / "is", asked, was.info["provenance"]["threads"])
        numbers, moved = differences(was, now)
        entry = {"paper": paper, "was": was.info["computing"], "now": now.info["computing"]}
        entry |= {"dataset": dataset, "budget": budget, "seed": now.seed, "variant": now.variant}
    if moved:
        print(f"Not the same: {', '.join(moved)}.", file=sys.stderr)
        return 1
    print(f"All {numbers:,} numbers are the same.")
    entry |= {"numbers": numbers, "cpu": processor(), "when": time.strftime("%Y-%m-%d")}
    earlier = json.loads(ledger().read_text("utf-8")) if ledger().exists() else []
    write_json(ledger(), [*earlier, entry])
    return 0


if __name__ == "__main__":
    try:
        raise SystemExit(main())
    except FerError as error:
        raise SystemExit(str(error)) from None
