"""Run a benchmark and keep what it measured, with the machine it ran on, for the book's page on performance.

Run ``python -m benchmarks.record NAME [its options]``, as in
``python -m benchmarks.record training --rounds 5``. The benchmark's output appears as always; the JSON
object that it prints at its end goes, whole or not at all, into
``results/benchmarks/NAME-<n>.json``, beside the command and what
:func:`fer_lib.evidence.provenance.provenance` says.
"""

from __future__ import annotations

import argparse
import importlib
import io
import json
import sys
import time
from collections.abc import Sequence
from contextlib import redirect_stdout
from itertools import count
from pathlib import Path
from typing import Any

from fer_lib.errors import FerError, one_of
from fer_lib.evidence.provenance import provenance, repository
from fer_lib.evidence.recorder import public
from fer_lib.files import write_json

HERE = Path(__file__).resolve().parent
NAMES = tuple(sorted({path.stem for path in HERE.glob("*.py")} - {"__init__", "record", "unchanged"}))


class Tee(io.StringIO):
    """Text that is shown as it comes, and kept."""

    def __init__(self, shown: Any) -> None:
        super().__init__()
        self.shown = shown

    def write(self, text: str) -> int:
        """Show and keep ``text``."""
        self.shown.write(text)
        self.shown.flush()
        return super().write(text)


def last_object(text: str) -> dict[str, Any]:
    """Return the JSON object at the end of what a benchmark printed.

    Raises
    ------
    FerError
        If the text ends with anything else.
    """
    lines = text.rstrip().splitlines()
    for i in (i for i, line in reversed(list(enumerate(lines))) if line.startswith("{")):
        try:
            return json.loads("\n".join(lines[i:]))
        except ValueError:
            continue
    raise FerError("The benchmark printed no JSON object at its end, so there is nothing to record.")


def record(name: str, options: Sequence[str] = (), folder: str | Path = "results/benchmarks") -> Path:
    """Run a benchmark's ``main`` and write what it measured.

    Parameters
    ----------
    name
        A module of ``benchmarks/``.
    options
        Its command line; absolute paths are cut to their last part in what is written.
    folder
        Where the file goes; a relative one is taken from the repository root.

    Returns
    -------
    Path
        The file, with ``benchmark``, ``command``, ``measured`` and ``provenance``.

    Raises
    ------
    FerError
        For an unknown name, and for a benchmark that prints no JSON object at its end.
    """
    one_of(name, NAMES, "benchmark")
    module = importlib.import_module(f"benchmarks.{name}")
    started, given, output = time.monotonic(), sys.argv, Tee(sys.stdout)
    sys.argv = [f"benchmarks.{name}", *options]
    try:
        with redirect_stdout(output):
            module.main()
    finally:
        sys.argv = given
    facts = {
        "benchmark": name,
        "command": " ".join(["python", "-m", f"benchmarks.{name}", *map(_without_folder, options)]),
        "measured": public(last_object(output.getvalue())),
        "provenance": public(provenance(started)),
    }
    paths = (repository() / folder / f"{name}-{n}.json" for n in count(1))
    free = next(path for path in paths if not path.exists())
    write_json(free, facts)
    return free


def _without_folder(option: str) -> str:
    """Return an option whose value, given as ``--name value`` or ``--name=value``, is no absolute path."""
    return "=".join(map(str, public(option.split("=", 1))))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("name", metavar="NAME", help=", ".join(NAMES))
    parser.add_argument("options", nargs=argparse.REMAINDER, help="of the benchmark")
    args = parser.parse_args()
    try:
        path = record(args.name, args.options)
    except FerError as error:
        sys.exit(f"error: {error}")
    print(f"Recorded in {path.relative_to(repository())}.")


if __name__ == "__main__":
    main()
