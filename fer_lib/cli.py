"""The ``fer`` command: bring and check data, run a paper, read claims and the scorecard."""

from __future__ import annotations

import argparse
import os
import shutil
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fer_lib import __version__, cli_data, cli_search
from fer_lib.errors import FerError

if TYPE_CHECKING:
    import pandas as pd

    from fer_lib.evidence.runs import Run

DESCRIPTION = """\
Five facial-expression-recognition papers, re-executed and compared with what they claim.

A run takes a PAPER and a DATASET, executes notebooks/PAPER.ipynb and leaves evidence in
results/PAPER/DATASET/BUDGET/seedK/; the scorecard and the book are computed from that
evidence and from the papers' claims."""

EXAMPLES = """\
examples:
  fer data list                             which corpora there are, and which are on this machine
  fer data import jaffe jaffe.zip           unpack the owner's archive into the data folder, and check it
  fer data fetch cmu_faces                  download the one corpus that anyone may have
  fer data check fer2013 --data-dir ~/data  are the files complete? counts, duplicates, fingerprint
  fer run cnn_sift synthetic                minutes on two cores, on the embedded synthetic faces
  fer run cnn_sift fer2013 --budget paper --device cuda
  fer run cnn_sift fer2013 -p use_batchnorm=True    another reading of what the paper leaves open
  fer claims cnn_sift                       every claim of the paper, with its figure
  fer scorecard                             claimed, ours, verdict

papers:   cnn_sift multimodal cspp cnn3d lkrnet
datasets: synthetic, which is built in, and those that `fer data list` names
data:     looked for at --data-dir, else $FER_DATA, else ~/fer-data; give the corpus's own folder or
          the folder that holds it under its name
exit:     0 well, 1 problems found or a cell failed, 2 usage error or absent data, 130 interrupted"""

NARROWEST = 8  # columns are not cut further


def main(argv: list[str] | None = None) -> int:
    """Run the command line and return its exit code; a user's mistake is one sentence, never a traceback."""
    for stream in (sys.stdout, sys.stderr):
        with suppress(AttributeError):  # absent, or not a terminal's: what it cannot encode is escaped
            stream.reconfigure(errors="backslashreplace")
    # Before any library loads OpenMP, whose threads wait by spinning for long: where anything else wants a
    # core, two of them are then many times slower than one.
    os.environ.setdefault("GOMP_SPINCOUNT", "1000")
    arguments = parser().parse_args(argv)
    try:
        code = arguments.action(arguments)
        print(end="", flush=True)  # else a full disk or a closed pipe is only met at the interpreter's end
        return code
    except FerError as error:
        return _complain(error, 2)
    except KeyboardInterrupt as stop:  # who knows better what is kept says so in it
        kept = "Interrupted; finished parts are kept and the same command goes on from there."
        return _complain(str(stop) or kept, 130)
    except BrokenPipeError:  # the reader, such as `head`, has seen enough
        _silence()
        return 0
    except OSError as error:
        if error.filename is None:  # it was standard output that failed
            _silence()
        where = "" if error.filename is None else f": {error.filename}"
        return _complain(f"{error.strerror or error}{where}.", 2)


def parser() -> argparse.ArgumentParser:
    """Return the argument parser of ``fer``."""
    raw = {"formatter_class": argparse.RawDescriptionHelpFormatter}
    top = argparse.ArgumentParser(prog="fer", description=DESCRIPTION, epilog=EXAMPLES, **raw)
    top.add_argument("--version", action="version", version=f"fer {__version__}")
    commands = top.add_subparsers(title="commands", metavar="COMMAND", required=True)
    cli_data.add(commands)
    _add_run(commands)
    cli_search.add(commands)

    claims = commands.add_parser("claims", help="what the papers claim, as a table")
    claims.add_argument("paper", nargs="?", metavar="PAPER", help="one paper only (default: all five)")
    form = claims.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="a JSON list, one object per claim")
    form.add_argument("--csv", action="store_true", help="comma-separated, all columns")
    claims.set_defaults(action=_claims)

    score = commands.add_parser("scorecard", help="claims against evidence, with verdicts")
    score.add_argument(
        "--results", metavar="DIR", default="results", help="folder of evidence (default: results)"
    )
    score.add_argument("--csv", action="store_true", help="comma-separated, all columns")
    score.set_defaults(action=_scorecard)
    return top


def _add_run(commands: Any) -> None:
    run = commands.add_parser(
        "run",
        help="execute a paper's notebook on a corpus and keep the evidence",
        description="Everything is checked before a kernel starts. A run that was killed goes on from its "
        "last finished part when the same command is given again.",
    )
    run.add_argument("paper", metavar="PAPER", help="for example cnn_sift")
    run.add_argument("dataset", metavar="DATASET", help="for example fer2013")
    budgets = "smoke: a minute or two; short: tens of minutes on two cores; paper: what the paper did"
    run.add_argument("--budget", default="smoke", help=f"{budgets} (default: smoke)")
    run.add_argument("--seed", type=int, default=0, metavar="S", help="random seed (default: 0)")
    run.add_argument("--device", default="auto", help="auto, cpu or cuda (default: auto)")
    run.add_argument(
        "--data-dir", metavar="D", help="where the corpus is (default: $FER_DATA, else ~/fer-data)"
    )
    run.add_argument(
        "--results", metavar="DIR", default="results", help="folder for evidence (default: results)"
    )
    run.add_argument(
        "-p",
        dest="knobs",
        action="append",
        default=[],
        metavar="name=value",
        help="set a parameter of the notebook (repeatable); evidence is kept apart from the default run's",
    )
    run.set_defaults(action=_run)


def _complain(message: object, code: int) -> int:
    print(f"fer: {message}", file=sys.stderr)
    return code


def _silence() -> None:
    """Drop what standard output still holds: writing it would fail once more."""
    with suppress(AttributeError, OSError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


# --- fer run -----------------------------------------------------------------------------------


def _run(arguments: argparse.Namespace) -> int:
    from fer_lib.evidence.execution import NotebookError, execute
    from fer_lib.evidence.runs import Run

    options = {name: value for name, value in vars(arguments).items() if name != "action"}
    try:
        folder = execute(**options)
    except NotebookError as error:
        return _complain(error, 1)
    print(f"Evidence: {_shown(folder)}")
    _headline(Run(folder))
    return 0


def _headline(run: Run) -> None:
    """Print the accuracy of every model from its stored predictions."""
    from fer_lib.learn.metrics import accuracy

    for model in run.models():
        rows = run.predictions(model)
        value = accuracy(rows["labels"], rows["probabilities"].argmax(1))
        print(f"  {model:<24} accuracy {value:7.2%}  (n = {len(rows['labels'])})")
    if run.dataset == "synthetic":
        print("  Synthetic faces: these figures say nothing about the paper.")
    elif run.budget != "paper":
        print(f"  Budget {run.budget}: not what the paper did, so not compared with its claims.")


def _shown(folder: os.PathLike) -> str:
    """Return ``folder`` relative to the working directory where it lies below it."""
    shown = os.path.relpath(folder)
    return os.fspath(folder) if shown.startswith("..") else shown


# --- tables ------------------------------------------------------------------------------------


def _claims(arguments: argparse.Namespace) -> int:
    from fer_lib import claims

    frame = claims.frame(arguments.paper)
    if arguments.json:
        print(frame.to_json(orient="records", indent=1, force_ascii=False))
        return 0
    columns = ["paper", "table", "model", "role", "dataset", "fold", "metric", "expression", "value", "unit"]
    _table(frame, arguments.csv, columns)
    return 0


def _scorecard(arguments: argparse.Namespace) -> int:
    from fer_lib.judge import report

    columns = ["paper", "table", "model", "dataset", "metric", "expression", "claimed", "ours", "low", "high"]
    _table(report.scorecard(_results(arguments.results)), arguments.csv, [*columns, "verdict"])
    return 0


def _results(name: str) -> Path:
    """Return the folder of evidence: the repository's, or another below the working directory."""
    from fer_lib.evidence.execution import results_folder

    folder = results_folder(name)
    if name != "results" and not folder.is_dir():
        raise FerError(f"--results {name}: there is no such folder.")
    return folder


def _table(frame: pd.DataFrame, csv: bool, columns: list[str]) -> None:
    """Print ``frame``: whole as csv, or the named columns that say something, cut for a narrow terminal."""
    if csv:
        print(frame.to_csv(index=False), end="")
        return
    shown = frame[[name for name in columns if name in frame and frame[name].notna().any()]].astype(object)
    shown = shown.where(shown.notna(), "")
    rows = [list(shown), *([_text(value) for value in row] for row in shown.itertuples(index=False))]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    room = shutil.get_terminal_size().columns if sys.stdout.isatty() else sys.maxsize
    while sum(widths) + 2 * len(widths) > room and max(widths) > NARROWEST:
        widths[widths.index(max(widths))] -= 1  # rather a cut name than lines that wrap
    for row in rows:
        cells = (text if len(text) <= n else text[: n - 1] + "…" for text, n in zip(row, widths, strict=True))
        print("  ".join(f"{text:<{n}}" for text, n in zip(cells, widths, strict=True)).rstrip())


def _text(value: Any) -> str:
    """Return a table's cell, never more than 44 characters."""
    return f"{value:g}" if isinstance(value, float) else str(value)[:44]


if __name__ == "__main__":
    sys.exit(main())
