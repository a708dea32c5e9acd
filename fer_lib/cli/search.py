"""``fer search``: join paper 4's architecture search as a worker, or see how it stands."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fer_lib.errors import FerError, one_of

if TYPE_CHECKING:
    import pandas as pd

    from fer_lib.papers.cnn3d.readings import Readings

RUN = """\
Join the architecture search of cnn3d (Table 1 of the paper, and the framework's own initial weights, for
Table 3 prints none) as one worker, until it has enough trials.

Start the same command as often as there are cores, GPUs (each with its own CUDA_VISIBLE_DEVICES) or
machines: all workers of one journal file share one study. A worker that is killed loses the trial it was
at, which another repeats. The search sees the training part of the first of the ten folds only, so that
the subjects of that fold can test what it finds; --everything searches on all subjects, as the paper did."""
EXAMPLES = """\
examples:
  fer search run synthetic                          6 small trials on drawn faces
  fer search run ckplus --budget paper --journal /shared/ckplus.journal --device cuda
  fer search status --journal /shared/ckplus.journal"""


def add(commands: Any) -> None:
    """Add ``search`` with its commands to the subparsers of ``fer``."""
    search = commands.add_parser("search", help="paper 4's architecture search: join it, or watch it")
    actions = search.add_subparsers(title="commands", metavar="COMMAND", required=True)
    raw = {"formatter_class": argparse.RawDescriptionHelpFormatter}
    run = actions.add_parser("run", help="join as a worker", description=RUN, epilog=EXAMPLES, **raw)
    run.add_argument("dataset", metavar="DATASET", help="synthetic, ckplus or oulu_casia")
    run.add_argument("--budget", default="smoke", help="smoke, full or paper (default: smoke)")
    run.add_argument("--trials", type=int, metavar="N", help="of the whole study (default: the budget's)")
    run.add_argument("--seed", type=int, default=0, metavar="S", help="random seed (default: 0)")
    run.add_argument("--device", default="auto", help="auto, cpu or cuda (default: auto)")
    run.add_argument("--data-dir", metavar="D", help="where the corpus is (default: $FER_DATA)")
    run.add_argument("--everything", action="store_true", help="search on all subjects, as the paper did")
    run.add_argument(
        "-p",
        dest="knobs",
        action="append",
        default=[],
        metavar="name=value",
        help="another reading of what the paper leaves open (repeatable; fer_lib.papers.cnn3d.readings)",
    )
    status = actions.add_parser("status", help="the study so far: trials, workers, the best")
    status.add_argument("--json", action="store_true", help="print one JSON object")
    for command, default in ((run, "named by what is searched"), (status, "the latest")):
        command.add_argument(
            "--journal",
            metavar="FILE",
            help=f"the study's file, which all workers share (default: {default})",
        )
    run.set_defaults(action=_run)
    status.set_defaults(action=_status)


def _run(arguments: argparse.Namespace) -> int:
    from fer_lib.learn.training import choose_device
    from fer_lib.papers.cnn3d import clips, search, trials
    from fer_lib.papers.cnn3d.readings import BUDGETS

    one_of(arguments.dataset, clips.CLASSES, "dataset")
    plan = BUDGETS[one_of(arguments.budget, BUDGETS, "budget")]
    n_trials = arguments.trials or plan["search"]["trials"]
    if n_trials < 1:
        raise FerError(f"--trials {n_trials}: a study has at least one.")
    chosen = readings(arguments.knobs)
    options = {"everything": arguments.everything, "seed": arguments.seed}
    task = trials.task(arguments.dataset, arguments.budget, chosen, **options)
    journal = Path(arguments.journal) if arguments.journal else trials.journal_of(task)
    search.agree(journal, task)
    print(f"Study: {journal}", flush=True)
    sequences = chosen.load(arguments.dataset, arguments.data_dir, plan)
    device = choose_device(arguments.device)
    try:
        done = search.work(
            journal,
            trials.Evaluation(sequences, chosen, plan, **options, device=device),
            n_trials,
            seed=arguments.seed,
            threshold=trials.threshold_of(arguments.dataset, arguments.budget),
            on_trial=_tell,
        )
    except KeyboardInterrupt:
        raise KeyboardInterrupt(
            "Interrupted; finished trials are in the journal, and the one under way will be repeated."
        ) from None
    print(f"The study has its {n_trials} trials; {done} of them were made here.")
    return 0


def readings(knobs: list[str]) -> Readings:
    """Return the readings of ``name=value`` texts.

    Raises
    ------
    FerError
        For an unknown name, or a value of another type or not in the paper's register.
    """
    from fer_lib.evidence.preflight import asked
    from fer_lib.papers.cnn3d.readings import Readings

    values = asked("cnn3d", {}, knobs)
    return Readings(**{name: values[name] for name in asdict(Readings()) if name in values})


def _status(arguments: argparse.Namespace) -> int:
    from fer_lib.papers.cnn3d import search

    journal = Path(arguments.journal) if arguments.journal else _latest()
    frame, task = search.trials(journal), search.noted(journal)
    if arguments.json:
        rows = json.loads(frame.to_json(orient="records"))
        print(json.dumps({"journal": str(journal), "task": task, "trials": rows}, indent=1))
        return 0
    counts = frame["state"].value_counts()
    about = ", ".join(f"{n} {state}" for state, n in counts.items()) or "none yet"
    print(f"Study: {journal}")
    if task:
        print(f"  {task['dataset']}, budget {task['budget']}, seed {task['seed']}")
    print(f"  trials: {about}")
    living = sorted(set(frame.loc[frame["state"] == "running", "worker"].dropna()))
    print(f"  at work: {', '.join(living) or 'nobody'}")
    if (found := search.best(journal)) is not None:
        configuration, accuracy = found
        options = ", ".join(f"{name}={value}" for name, value in asdict(configuration).items())
        print(f"  best: {accuracy:.2%} with {options}")
    for name, share in search.importances(journal).items():
        print(f"  importance {name:<14} {share:.2f}")
    return 0


def _tell(row: pd.Series) -> None:
    print(
        f"  trial {row['number']:>3} {row['state']:<8} {row['accuracy']:7.2%}  {row['seconds']:.1f} s",
        flush=True,
    )


def _latest() -> Path:
    """Return the journal that was last written to."""
    from fer_lib.papers.cnn3d import search

    found = sorted(search.folder().glob("*.journal"), key=lambda path: path.stat().st_mtime)
    if not found:
        raise FerError("There is no study here yet; start one with `fer search run`, or give --journal FILE.")
    return found[-1]
