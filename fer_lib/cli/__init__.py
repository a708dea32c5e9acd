"""The ``fer`` command: bring and check data, run a paper, read claims and the scorecard."""

from __future__ import annotations

import argparse
import difflib
import os
import re
import shutil
import signal
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import shtab

from fer_lib import __version__
from fer_lib.cli import care, data, search
from fer_lib.errors import FerError, one_of

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
  fer claims cnn_sift                       every claim of the paper, with its number
  fer scorecard                             claimed, ours, verdict
  fer export results/cnn_sift/fer2013/full/seed0    a run as an RO-Crate, which archives understand
  fer doctor                                what this machine can do, and what to mend

papers:   {papers} matrix control
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
    with suppress(ValueError):  # not the main thread: whoever called this hears of signals
        signal.signal(signal.SIGTERM, signal.default_int_handler)  # schedulers send it: as Ctrl-C
    try:
        arguments = parser().parse_args(argv)
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


class Parser(argparse.ArgumentParser):
    """A parser that names the nearest command."""

    def error(self, message: str) -> NoReturn:
        """Print usage and message, and exit with 2."""
        if found := re.search(r"invalid choice: '(.*?)' \(choose from (.*)\)", message):
            near = difflib.get_close_matches(found[1], re.findall(r"[\w-]+", found[2]), n=1)
            message += f". Did you mean {near[0]!r}?" if near else ""
        super().error(message)


def parser() -> argparse.ArgumentParser:
    """Return the argument parser of ``fer``."""
    raw = {"formatter_class": argparse.RawDescriptionHelpFormatter}
    papers = " ".join(sorted(path.stem for path in (Path(__file__).parents[1] / "claims").glob("*.yaml")))
    top = Parser(prog="fer", description=DESCRIPTION, epilog=EXAMPLES.format(papers=papers), **raw)
    top.add_argument("--version", action="version", version=f"fer {__version__}")
    shtab.add_argument_to(top, "--completion", help="print a shell's completion script, such as bash")
    commands = top.add_subparsers(title="commands", metavar="COMMAND", required=True)
    data.add(commands)
    _add_run(commands)
    search.add(commands)
    care.add(commands)

    claims = commands.add_parser("claims", help="what the papers claim, as a table")
    score = commands.add_parser("scorecard", help="claims against evidence, with verdicts and reasons")
    for command, action in ((claims, _claims), (score, _scorecard)):
        command.add_argument("paper", nargs="?", metavar="PAPER", help="one paper only (default: all)")
        form = command.add_mutually_exclusive_group()
        form.add_argument("--json", action="store_true", help="a JSON list, one object per claim")
        form.add_argument("--csv", action="store_true", help="comma-separated, all columns")
        command.set_defaults(action=action)
    score.add_argument(
        "--results", metavar="DIR", default="results", help="folder of evidence (default: results)"
    )
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
    budgets = (
        "smoke: a minute or two; probe: one small network, to compare readings; full: every layer at its "
    )
    budgets += "width, as many epochs as it takes; paper: what the paper did"
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
    run.add_argument(
        "--threads", type=int, metavar="N", help="threads of the run (default: $OMP_NUM_THREADS, else all)"
    )
    run.add_argument("--force", action="store_true", help="make it again although it is complete and current")
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
    from fer_lib.progress import duration

    options = {name: value for name, value in vars(arguments).items() if name not in ("action", "completion")}
    began = time.monotonic()
    try:
        folder = execute(**options)
    except NotebookError as error:
        return _complain(error, 1)
    print(f"Evidence: {_shown(folder)}")
    _headline(Run(folder))
    pictures = sorted((folder / "figures").glob("*.png"))
    if (page := folder / "notebook.ipynb").exists():
        print(f"Page:     {_shown(page)}")
    if pictures:
        print(f"Pictures: {_shown(pictures[0])}" + f" and {len(pictures) - 1} more" * (len(pictures) > 1))
    print(f"Took:     {duration(time.monotonic() - began)}")
    print(f"Next:     {_next(Run(folder))}")
    return 0


def _next(run: Run) -> str:
    """Say what one does with a run."""
    if run.dataset == "synthetic":
        return f"`fer data list` names the corpora; `fer run {run.paper} DATASET` is the same on one of them"
    from fer_lib import claims

    steps = [f"`fer scorecard {run.paper}` sets it beside the claims"] * (run.paper in claims.PAPERS)
    steps.append("`make book` puts it on its page")
    if run.paper != "cnn3d" and any((run.path / "weights").glob("*.pt")):  # a still face has no ten frames
        steps.append("`make lab` shows what its networks say of a face")
    return "; ".join(steps)


def _headline(run: Run) -> None:
    """Print the accuracy of every model from its stored predictions."""
    from fer_lib.learn.metrics import accuracy

    for model in run.models():
        rows = run.predictions(model)
        value = accuracy(rows["labels"], rows["probabilities"].argmax(1))
        print(f"  {model:<24} accuracy {value:7.2%}  (n = {len(rows['labels'])})")
    if run.dataset == "synthetic":
        print("  Synthetic faces: these numbers say nothing about the paper.")
    elif run.budget == "full":
        print("  Budget full: a claim is judged where the networks are certified to have converged.")
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
    if not _whole(frame, arguments):
        metric = frame["metric"].str.cat(frame["expression"].fillna(""), " ").str.strip()
        value = [f"{value:g} {unit}" for value, unit in zip(frame["value"], frame["unit"], strict=True)]
        shown = ["paper"] * (arguments.paper is None) + [
            "table",
            "model",
            "dataset",
            "fold",
            "metric",
            "value",
        ]
        _table(frame.assign(metric=metric, value=value)[shown])
        print(f"{len(frame)} claims; --csv and --json print every column.")
    return 0


def _scorecard(arguments: argparse.Namespace) -> int:
    from fer_lib import claims
    from fer_lib.judge import report

    if arguments.paper:
        one_of(arguments.paper, claims.PAPERS, "paper")
    frame = report.scorecard(_results(arguments.results))
    frame = frame[frame["paper"] == arguments.paper] if arguments.paper else frame
    if not _whole(frame, arguments):
        metric = frame["metric"].str.cat(frame["expression"].fillna(""), " ").str.strip()
        ours = frame["ours"].map("{:.2f}".format).where(frame["ours"].notna(), "")
        claimed = frame["claimed"].map("{:.2f}".format).where(frame["claimed"].notna(), "")
        columns = frame.assign(claim=frame["id"], metric=metric, ours=ours, claimed=claimed)
        _table(columns[["claim", "dataset", "metric", "claimed", "ours", "verdict", "reason"]])
        counts = ", ".join(f"{n} {verdict}" for verdict, n in frame["verdict"].value_counts().items())
        print(f"{len(frame)} claims: {counts}. --csv and --json print every column.")
    return 0


def _whole(frame: pd.DataFrame, arguments: argparse.Namespace) -> bool:
    """Print all columns if that was asked for."""
    if arguments.json:
        print(frame.to_json(orient="records", indent=1, force_ascii=False))
    elif arguments.csv:
        print(frame.to_csv(index=False), end="")
    return arguments.json or arguments.csv


def _results(name: str) -> Path:
    """Return the folder of evidence: the repository's, or another below the working directory."""
    from fer_lib.evidence.execution import results_folder

    folder = results_folder(name)
    if name != "results" and not folder.is_dir():
        raise FerError(f"--results {name}: there is no such folder.")
    return folder


def _table(frame: pd.DataFrame) -> None:
    """Print the columns that say something, cut to the width of the terminal, the widest first."""
    shown = frame[[name for name in frame if frame[name].notna().any()]].astype(object)
    shown = shown.where(shown.notna(), "")
    rows = [list(shown), *([str(value) for value in row] for row in shown.itertuples(index=False))]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    room = shutil.get_terminal_size((120, 24)).columns
    while sum(widths) + 2 * len(widths) - 2 > room and max(widths) > NARROWEST:
        widths[widths.index(max(widths))] -= 1  # rather a cut name than lines that wrap
    for row in rows:
        cells = (text if len(text) <= n else text[: n - 1] + "…" for text, n in zip(row, widths, strict=True))
        print("  ".join(f"{text:<{n}}" for text, n in zip(cells, widths, strict=True)).rstrip())
