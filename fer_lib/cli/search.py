"""``fer search``: join paper 4's architecture search as a worker, or see how it stands."""

from __future__ import annotations

import argparse
from dataclasses import asdict
from pathlib import Path
from typing import Any

from fer_lib.errors import FerError

RUN = """\
Join the architecture search of cnn3d (Table 1 of the paper, and the framework's own initial weights, for
Table 3 prints none) as one worker, until it has enough trials.

Start the same command as often as there are cores, GPUs (each with its own CUDA_VISIBLE_DEVICES) or
machines: all workers of one journal file share one study. A worker that is killed loses the trial it was
at, and the others go on. The search sees the training part of the first of the ten folds only, so that
the subjects of that fold can test what it finds."""
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
    help_ = "another reading of what the paper leaves open (repeatable; fer_lib.papers.cnn3d.readings)"
    run.add_argument("-p", dest="knobs", action="append", default=[], metavar="name=value", help=help_)
    status = actions.add_parser("status", help="the study so far: its trials, and the best")
    for command, default in ((run, "named by what is searched"), (status, "the latest")):
        help_ = f"the study's file, which all workers share (default: {default})"
        command.add_argument("--journal", metavar="FILE", help=help_)
    run.set_defaults(action=_run)
    status.set_defaults(action=_status)


def _run(arguments: argparse.Namespace) -> int:
    from fer_lib.evidence.preflight import asked
    from fer_lib.learn.training import choose_device
    from fer_lib.papers.cnn3d import search
    from fer_lib.papers.cnn3d.readings import BUDGETS, Readings
    from fer_lib.papers.cnn3d.trainer import Evaluation

    dataset, budget, seed = arguments.dataset, arguments.budget, arguments.seed
    given = {name: getattr(arguments, name) for name in ("dataset", "budget", "seed", "device", "data_dir")}
    values = asked("cnn3d", given, arguments.knobs)
    plan = BUDGETS[budget]
    n_trials = plan["search"]["trials"] if arguments.trials is None else arguments.trials
    if n_trials < 1:
        raise FerError(f"--trials {n_trials}: a study has at least one.")
    readings = Readings(**{name: values[name] for name in asdict(Readings())})
    task = search.task(dataset, budget, readings, seed)
    journal = Path(arguments.journal) if arguments.journal else search.journal_of(task)
    search.agree(journal, task)
    print(f"Study: {journal}", flush=True)
    sequences = readings.load(dataset, arguments.data_dir, plan)
    evaluation = Evaluation(sequences, readings, plan, seed, choose_device(arguments.device))
    threshold = search.threshold_of(dataset, budget)
    try:
        done = search.work(journal, evaluation, n_trials, seed=seed, threshold=threshold, on_trial=_tell)
    except KeyboardInterrupt:
        raise KeyboardInterrupt("Interrupted; finished trials are in the journal.") from None
    print(f"The study has its {n_trials} trials; {done} of them were made here.")
    return 0


def _tell(row: Any) -> None:
    print("  trial {number:>3} {state:<8} {accuracy:7.2%}  {seconds:.1f} s".format(**row), flush=True)


def _status(arguments: argparse.Namespace) -> int:
    from fer_lib.papers.cnn3d import search

    if arguments.journal:
        journal = Path(arguments.journal)
    else:
        found = search.folder().glob("*.journal")
        journal = max(found, key=lambda path: path.stat().st_mtime, default=search.folder() / "*.journal")
    if not journal.is_file():
        raise FerError(f"There is no study in {journal}; start one with `fer search run`.")
    frame, task = search.trials(journal), search.noted(journal)
    counts = ", ".join(f"{n} {state}" for state, n in frame["state"].value_counts().items())
    print(f"Study: {journal}")
    if task:
        print("  {dataset}, budget {budget}, seed {seed}".format(**task))
    print(f"  trials: {counts or 'none yet'}")
    if (winner := search.best(journal)) is not None:
        options = ", ".join(f"{name}={value}" for name, value in asdict(winner[0]).items())
        print(f"  best: {winner[1]:.2%} with {options}")
    return 0
