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

RESULTS = {"metavar": "DIR", "default": "results", "help": "folder of evidence (default: results)"}


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
        print(end="", flush=True)  # else a closed pipe is only met at the interpreter's end
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
        return _complain(f"{error.strerror or error}{f': {error.filename}' if error.filename else ''}.", 2)


def _complain(message: object, code: int) -> int:
    print(f"fer: {message}", file=sys.stderr)
    return code


def _silence() -> None:
    """Drop what standard output still holds: writing it would fail once more."""
    with suppress(AttributeError, OSError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


class Parser(argparse.ArgumentParser):
    """A parser that names the nearest command or option."""

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> tuple[argparse.Namespace, list]:
        """Refuse what a command does not know with that command's usage."""
        known, unknown = super().parse_known_args(args, namespace)
        if unknown:
            self.error(f"unrecognized arguments: {' '.join(unknown)}")
        return known, unknown

    def error(self, message: str) -> NoReturn:
        """Print usage and message, and exit with 2."""
        given = choices = None
        if found := re.search(r"invalid choice: '(.*?)' \(choose from (.*)\)", message):
            given, choices = found[1], re.findall(r"[\w-]+", found[2])
        elif found := re.search(r"unrecognized arguments: (--[\w-]+)", message):
            given, choices = found[1], re.findall(r"--[\w-]+", self.format_usage())
        near = difflib.get_close_matches(given, choices, n=1) if given else ()
        super().error(message + (f". Did you mean {near[0]!r}?" if near else ""))


def parser() -> argparse.ArgumentParser:
    """Return the argument parser of ``fer``."""
    raw = {"formatter_class": argparse.RawDescriptionHelpFormatter}
    papers = " ".join(sorted(path.stem for path in (Path(__file__).parents[1] / "claims").glob("*.yaml")))
    epilog = EXAMPLES.format(papers=papers)
    top = Parser(prog="fer", description=DESCRIPTION, epilog=epilog, **raw)
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
    score.add_argument("--results", **RESULTS)
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
        "width, as many epochs as it takes; paper: what the paper did (default: smoke)"
    )
    run.add_argument("--budget", default="smoke", help=budgets)
    run.add_argument("--seed", type=int, default=0, metavar="S", help="random seed (default: 0)")
    run.add_argument("--device", default="auto", help="auto, cpu or cuda (default: auto)")
    places = "where the corpus is (default: $FER_DATA, else ~/fer-data)"
    run.add_argument("--data-dir", metavar="D", help=places)
    run.add_argument("--results", **RESULTS)
    knobs = "set a parameter of the notebook (repeatable); evidence is kept apart from the default run's"
    run.add_argument("-p", dest="knobs", action="append", default=[], metavar="name=value", help=knobs)
    threads = "threads of the run (default: $OMP_NUM_THREADS, else all)"
    run.add_argument("--threads", type=int, metavar="N", help=threads)
    run.add_argument("--force", action="store_true", help="make it again although it is complete and current")
    run.set_defaults(action=_run)


def _run(arguments: argparse.Namespace) -> int:
    """Make the run, and say what its models reached, where its page is and what one does with it."""
    from fer_lib import claims
    from fer_lib.evidence.execution import NotebookError, execute
    from fer_lib.evidence.runs import Run
    from fer_lib.learn.metrics import accuracy
    from fer_lib.progress import duration

    options = {name: value for name, value in vars(arguments).items() if name not in ("action", "completion")}
    began = time.monotonic()
    try:
        run = Run(execute(**options))
    except NotebookError as error:
        return _complain(error, 1)
    print(f"Evidence: {run.path}")
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
    pictures = sorted((run.path / "figures").glob("*.png"))
    if (page := run.path / "notebook.ipynb").exists():
        print(f"Page:     {page}" + f", and {len(pictures)} pictures in figures/" * bool(pictures))
    print(f"Took:     {duration(time.monotonic() - began)}")
    steps = [f"`fer data list` names the corpora; `fer run {run.paper} DATASET` is the same on one of them"]
    if run.dataset != "synthetic":
        steps = [f"`fer scorecard {run.paper}` sets it beside the claims"] * (run.paper in claims.PAPERS)
        steps.append("`make book` puts it on its page")
        kept = any((run.path / "weights").glob("*.pt"))
        if kept and run.paper != "cnn3d":  # which reads ten frames, and a face is one
            steps.append("`make lab` shows what its networks say of a face")
    print(f"Next:     {'; '.join(steps)}")
    return 0


def _claims(arguments: argparse.Namespace) -> int:
    from fer_lib import claims

    frame = claims.frame(arguments.paper)
    value = [f"{value:g} {unit}" for value, unit in zip(frame["value"], frame["unit"], strict=True)]
    shown = frame.assign(value=value)
    columns = [*["paper"] * (arguments.paper is None), "table", "model", "dataset", "fold", "metric", "value"]
    _show(frame, shown, columns, arguments)
    return 0


def _scorecard(arguments: argparse.Namespace) -> int:
    from fer_lib import claims
    from fer_lib.evidence.execution import results_folder
    from fer_lib.judge import report

    papers = claims.PAPERS
    if arguments.paper:
        papers = [one_of(arguments.paper, papers, "paper")]
    folder = results_folder(arguments.results)
    if arguments.results != "results" and not folder.is_dir():
        raise FerError(f"--results {arguments.results}: there is no such folder.")
    frame = report.scorecard(folder, papers=papers)
    figures = {
        name: frame[name].map("{:.2f}".format).where(frame[name].notna(), "") for name in ("claimed", "ours")
    }
    columns = ["claim", "dataset", "metric", "claimed", "ours", "verdict", "reason"]
    _show(frame, frame.assign(claim=frame["id"], **figures), columns, arguments)
    return 0


def _show(
    frame: pd.DataFrame, shown: pd.DataFrame, columns: list[str], arguments: argparse.Namespace
) -> None:
    """Print all of ``frame`` if that was asked for, else some columns of ``shown`` as a table."""
    if arguments.json:
        print(frame.to_json(orient="records", indent=1, force_ascii=False))
    elif arguments.csv:
        print(frame.to_csv(index=False), end="")
    else:
        metric = frame["metric"].str.cat(frame["expression"].fillna(""), " ").str.strip()
        _table(shown.assign(metric=metric)[columns])
        counts = frame["verdict"].value_counts().items() if "verdict" in frame else ()
        said = ", ".join([f"{len(frame)} claims", *(f"{n} {verdict}" for verdict, n in counts)])
        print(f"{said}; --csv and --json print every column.")


def _table(frame: pd.DataFrame) -> None:
    """Print the columns that say something, cut to the width of the terminal, the widest first."""
    shown = frame[[name for name in frame if frame[name].notna().any()]].astype(object)
    shown = shown.where(shown.notna(), "")
    rows = [list(shown), *([str(value) for value in row] for row in shown.itertuples(index=False))]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    room = shutil.get_terminal_size((120, 24)).columns
    while sum(widths) + 2 * len(widths) - 2 > room and max(widths) > 8:
        widths[widths.index(max(widths))] -= 1  # rather a cut name than lines that wrap
    for row in rows:
        cells = (text if len(text) <= n else text[: n - 1] + "…" for text, n in zip(row, widths, strict=True))
        print("  ".join(f"{text:<{n}}" for text, n in zip(cells, widths, strict=True)).rstrip())
