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
import re
import sys
import time
from collections.abc import Sequence
from contextlib import redirect_stdout, suppress
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
    """Return the JSON object at the end of what a benchmark printed; FerError if it ends otherwise."""
    for found in reversed([*re.finditer(r"(?m)^{", text)]):
        with suppress(ValueError):
            return json.loads(text[found.start() :])
    raise FerError("The benchmark printed no JSON object at its end, so there is nothing to record.")


def record(name: str, options: Sequence[str] = (), folder: str | Path = "results/benchmarks") -> Path:
    """Run the benchmark ``name`` with a command line, write what it measured and return the file.

    A relative ``folder`` is taken from the repository root. The file has ``benchmark``, ``command`` (absolute
    paths cut to their last part), ``measured`` and ``provenance``. An unknown name, and a benchmark that
    prints no JSON object at its end, is a FerError.
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
    said = ["=".join(public(option.split("=", 1))) for option in options]  # --name value or --name=value
    facts = {
        "benchmark": name,
        "command": " ".join(["python", "-m", f"benchmarks.{name}", *said]),
        "measured": public(last_object(output.getvalue())),
        "provenance": public(provenance(started)),
    }
    paths = (repository() / folder / f"{name}-{n}.json" for n in count(1))
    free = next(path for path in paths if not path.exists())
    write_json(free, facts)
    return free


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
