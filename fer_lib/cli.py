"""The ``fer`` command: check data, run a paper, read claims and the scorecard."""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fer_lib import __version__
from fer_lib.errors import AbsentDataError, FerError, one_of

if TYPE_CHECKING:
    import pandas as pd

    from fer_lib.runs import Run

DESCRIPTION = """\
Five facial-expression-recognition papers, re-executed and compared with what they claim.

A run takes a PAPER and a DATASET, executes notebooks/PAPER.ipynb and leaves evidence in
results/PAPER/DATASET/BUDGET/seedK/; the scorecard and the book are computed from that
evidence and from the papers' claims."""

EXAMPLES = """\
examples:
  fer data list                             which corpora there are, and which are on this machine
  fer data check fer2013 --data-dir ~/data  are the files complete? counts, duplicates, fingerprint
  fer run cnn_sift synthetic                minutes on two cores, on the embedded synthetic faces
  fer run cnn_sift fer2013 --budget paper --device cuda
  fer run cnn_sift fer2013 -p use_batchnorm=True    another reading of what the paper leaves open
  fer claims cnn_sift                       every figure the paper prints
  fer scorecard                             claimed, ours, verdict

papers:   cnn_sift multimodal cspp cnn3d lkrnet
datasets: synthetic fer2013 ckplus jaffe mmi nimstim oulu_casia cmu_faces
data:     looked for at --data-dir, else $FER_DATA, else ~/fer-data; give the corpus's own folder or
          the folder that holds it under its name
exit:     0 well, 1 problems found or a cell failed, 2 usage error or absent data, 130 interrupted"""

NARROWEST = 8  # columns are not cut further


def main(argv: list[str] | None = None) -> int:
    """Run the command line and return its exit code; a user's mistake is one sentence, never a traceback."""
    for stream in (sys.stdout, sys.stderr):
        with suppress(AttributeError):  # absent, or not a terminal's: what it cannot encode is escaped
            stream.reconfigure(errors="backslashreplace")
    arguments = parser().parse_args(argv)
    try:
        code = arguments.action(arguments)
        print(end="", flush=True)  # else a full disk or a closed pipe is only met at the interpreter's end
        return code
    except FerError as error:
        return _complain(error, 2)
    except KeyboardInterrupt:
        return _complain("Interrupted; finished parts are kept and the same command goes on from there.", 130)
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
    _add_data(commands)
    _add_run(commands)

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


def _add_data(commands: Any) -> None:
    data = commands.add_parser("data", help="list corpora, or check one's files")
    actions = data.add_subparsers(title="commands", metavar="COMMAND", required=True)
    listing = actions.add_parser("list", help="the corpora, where to obtain them, which are here")
    check = actions.add_parser("check", help="count and verify the files of one corpus")
    check.add_argument("name", metavar="NAME", help="corpus, for example fer2013")
    check.add_argument("--json", action="store_true", help="print one JSON object")
    for command in (listing, check):
        command.add_argument("--data-dir", metavar="D", help="its own folder, or the folder that holds it")
    listing.set_defaults(action=_data_list)
    check.set_defaults(action=_data_check)


def _add_run(commands: Any) -> None:
    run = commands.add_parser(
        "run",
        help="execute a paper's notebook on a corpus and keep the evidence",
        description="Everything is checked before a kernel starts. A run that was killed goes on from its "
        "last finished part when the same command is given again.",
    )
    run.add_argument("paper", metavar="PAPER", help="for example cnn_sift")
    run.add_argument("dataset", metavar="DATASET", help="for example fer2013")
    budgets = "smoke: two or three minutes; short: tens of minutes on two cores; paper: what the paper did"
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


# --- fer data ----------------------------------------------------------------------------------


def _data_list(arguments: argparse.Namespace) -> int:
    from fer_lib import datasets

    base = datasets.data_folder(arguments.data_dir)
    if arguments.data_dir and not base.is_dir():
        raise FerError(f"--data-dir {base}: there is no such folder.")
    print(f"Looked for in {base} (--data-dir, else $FER_DATA, else ~/fer-data)")
    for name, card in datasets.CARDS.items():
        try:
            state, more = "built in", ""
            if not card.synthetic:
                state, more = "here", os.fspath(datasets.find(name, base))
        except AbsentDataError:
            state, more = "absent", " ".join(card.obtain.split())
        except FerError as error:
            state, more = "faulty", str(error)
        print(f"{name:<11} {state:<9} {card.title}" + (f"\n{'':<21} {more}" if more else ""))
    return 0


def _data_check(arguments: argparse.Namespace) -> int:
    from fer_lib import datasets

    one_of(arguments.name, datasets.NAMES, "dataset")
    try:
        found = datasets.check(arguments.name, arguments.data_dir)
    except (FerError, OSError) as error:
        if arguments.json:
            empty = {"images": 0, "sequences": 0, "subjects": 0, "splits": {}, "per_class": {}}
            problem = {"problems": [str(error)], "fingerprint": None}
            print(_json({"dataset": arguments.name, "ok": False, "root": None, **empty, **problem}))
        raise
    if arguments.json:
        print(_json(found))
    else:
        _print_check(found)
    return 0 if found["ok"] else 1


def _print_check(found: dict[str, Any]) -> None:
    """Print a check's findings, the problems last where they are seen."""
    form = f" ({found['form']})" if found.get("form") else ""
    print(f"{found['dataset']} at {found['root']}{form}" if found["root"] else f"{found['dataset']}{form}")
    rows = {name: found.get(name) for name in ("images", "sequences", "subjects", "splits", "per_class")}
    if found.get("ignored"):
        rows["passed over"] = f"{found['ignored']} files, because of their names"
    expected = found.get("expected") or {}
    counted = rows["splits"] | (found.get("facts") or {})
    rows["found of expected"] = {name: f"{counted.get(name, 0)}/{n}" for name, n in expected.items()}
    rows["also found"] = {name: n for name, n in (found.get("facts") or {}).items() if name not in expected}
    audit = {name: value for name, value in (found.get("audit") or {}).items() if name not in rows}
    for name, value in (rows | audit | {"fingerprint": found["fingerprint"]}).items():
        if value is not None and value != {}:
            inner = value.items() if isinstance(value, dict) else ()
            shown = ", ".join(f"{key} {count}" for key, count in inner) if inner else value
            print(f"  {name.replace('_', ' '):<24} {shown}")
    if found.get("licence"):
        print(f"  {'licence':<24} {found['licence']}")
    for remark in found.get("remarks", ()):
        print(f"  note: {remark}")
    problems = found["problems"]
    title = "1 problem:" if len(problems) == 1 else f"{len(problems)} problems, gravest first:"
    print("all well" if found["ok"] else title)
    for problem in problems:
        print(f"  - {problem}")


# --- fer run -----------------------------------------------------------------------------------


def _run(arguments: argparse.Namespace) -> int:
    from fer_lib.execution import NotebookError, execute
    from fer_lib.runs import Run

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
    from fer_lib.metrics import accuracy

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
    columns = ["paper", "table", "model", "role", "dataset", "metric", "expression", "value", "unit"]
    _table(frame, arguments.csv, columns)
    return 0


def _scorecard(arguments: argparse.Namespace) -> int:
    from fer_lib import report

    columns = ["paper", "table", "model", "dataset", "metric", "expression", "claimed", "ours", "low", "high"]
    _table(report.scorecard(_results(arguments.results)), arguments.csv, [*columns, "verdict"])
    return 0


def _results(name: str) -> Path:
    """Return the folder of evidence: the repository's, or another below the working directory."""
    from fer_lib.execution import results_folder

    folder = results_folder(name)
    if name != "results" and not folder.is_dir():
        raise FerError(f"--results {name}: there is no such folder.")
    return folder


def _table(frame: pd.DataFrame, csv: bool, columns: list[str]) -> None:
    """Print ``frame``: whole as csv, or the named columns as text, cut where a terminal is too narrow."""
    if csv:
        print(frame.to_csv(index=False), end="")
        return
    shown = frame[[name for name in columns if name in frame]].astype(object)
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


def _json(value: Any) -> str:
    """Return JSON of ``value``, numpy scalars and paths included."""
    return json.dumps(
        value, indent=1, ensure_ascii=False, default=lambda v: v.tolist() if hasattr(v, "tolist") else str(v)
    )


if __name__ == "__main__":
    sys.exit(main())
