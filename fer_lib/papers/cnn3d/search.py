"""The architecture search of paper 4: Optuna's TPE over Table 1, which any number of workers may join.

A study is one journal file; every process that opens it is a worker of it, on this machine or on another
that sees the file. A worker that is killed loses the trial it was at and nothing else: the others go on until
the study has as many finished trials as were asked for.
"""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import asdict
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from fer_lib.errors import FerError
from fer_lib.evidence.provenance import repository, variant
from fer_lib.learn import metrics
from fer_lib.papers.cnn3d import network
from fer_lib.papers.cnn3d.network import SEARCHED, Configuration
from fer_lib.papers.cnn3d.readings import BUDGETS, PAPER, Readings

if TYPE_CHECKING:
    import optuna
    import pandas as pd

THRESHOLD = PAPER["search"]["threshold"]  # Sect. 3.3: below this LOSO accuracy a trial is pruned (CK+)
HALFWAY = 600  # trials after which the paper's search converged (Sect. 4.1)
STUDY, BEGUN = "cnn3d", 4  # the study's name, and what a journal writes where a trial begins
STATES = {"COMPLETE": "complete", "PRUNED": "pruned"}  # of finished trials, as Optuna calls them and as we do


# --- the study ----------------------------------------------------------------------------------------------


def task(dataset: str, budget: str, readings: Readings, seed: int = 0) -> dict[str, Any]:
    """Return what a study searches on."""
    return {"dataset": dataset, "budget": budget, "seed": seed, "readings": asdict(readings)}


def folder() -> Path:
    """Return where journals lie unless a file is given."""
    return repository() / "results" / ".work" / "search"


def journal_of(task: dict[str, Any]) -> Path:
    """Return the file of a study on a :func:`task`, unless another is given."""
    readings = variant("cnn3d", task["readings"])
    name = "{dataset}-{budget}-seed{seed}".format(**task) + (f",{readings}" if readings else "")
    return folder() / f"{name}.journal"


def threshold_of(dataset: str, budget: str) -> float | None:
    """Return the accuracy below which trials are pruned; None on Oulu-CASIA.

    The paper prints one threshold, for leaving one subject out. It lies above its best on Oulu-CASIA.
    """
    return None if dataset == "oulu_casia" else BUDGETS[budget]["search"]["threshold"]


def suggest(trial: optuna.trial.BaseTrial) -> Configuration:
    """Return the configuration from Table 1 that the trial's sampler chooses."""
    chosen = {name: trial.suggest_categorical(name, options) for name, options in SEARCHED.items()}
    return Configuration(**chosen, dropout=trial.suggest_float("dropout", 0.0, 1.0))


def open_study(journal: str | Path, seed: int = 0, threshold: float | None = None) -> optuna.Study:
    """Open the study in a journal file, or begin one; ``seed`` is that of the sampler.

    Trials that can no longer reach the accuracy ``threshold`` are pruned. FerError if Optuna is not
    installed, or the file is no journal.
    """
    try:
        import optuna
    except ImportError:
        raise FerError(
            'The search needs Optuna, which is not installed: pip install "optuna>=5,<6".'
        ) from None
    from optuna.storages.journal import JournalFileBackend, JournalFileOpenLock

    path = Path(journal)

    class Lock(JournalFileOpenLock):  # a file that is created: holds on every file system, unlike a link
        def acquire(self) -> bool:
            acquired = super().acquire()
            whole = path.read_bytes()
            if not whole.endswith(b"\n"):  # half a line, as a full disk leaves it, would spoil the next one
                os.truncate(path, whole.rfind(b"\n") + 1)
            return acquired

    class Backend(JournalFileBackend):
        def read_logs(self, log_number_from: int) -> Iterator[dict[str, Any]]:
            with path.open("rb") as file:
                lines = [line for line in file if line.endswith(b"\n")]
            for number, line in enumerate(lines[log_number_from:], log_number_from):
                yield _record(line) or _lost(lines, number, path)

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    # After each fold a trial reports the best accuracy that it can still reach, but for rounding.
    lowest = -np.inf if threshold is None else threshold - 1e-9
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        return optuna.create_study(
            study_name=STUDY,
            storage=optuna.storages.JournalStorage(Backend(str(path), Lock(str(path)))),
            sampler=optuna.samplers.TPESampler(seed=seed),
            pruner=optuna.pruners.ThresholdPruner(lower=lowest),
            direction="maximize",
            load_if_exists=True,
        )
    except (ValueError, KeyError) as error:
        raise FerError(f"{path} is no journal of a search ({error}); give another file.") from None


def _record(line: bytes) -> dict[str, Any] | None:
    """Return a record of a journal, also where it was glued to half a line; None for a damaged line."""
    for text in (line, line[max(line.rfind(b'{"op_code"'), 0) :]):
        with suppress(ValueError):
            record = json.loads(text)
            if isinstance(record, dict) and "op_code" in record:  # not a number or {} that is left of a line
                return record
    return None


def _lost(lines: list[bytes], place: int, path: Path) -> dict[str, Any]:
    """Return what stands in for the damaged line at ``place``, so that all others keep their meaning.

    The first line made the study. Any other began a trial if a later line tells of one that never began.
    """
    records = [_record(line) for line in lines]
    if not any(records):
        raise ValueError("no line is a record")
    _tell(f"fer: line {place + 1} of {path} is damaged; it is passed over, and all others are kept.")
    nothing = {"worker_id": "lost", "study_id": 0}
    if place == 0:
        return nothing | {"op_code": 0, "study_name": STUDY, "directions": [2]}  # to be maximised
    begun = 0
    for number, record in enumerate(records[: place + 1]):
        missing = begun  # trials begun by later lines, and before
        began = record is not None and record["op_code"] == BEGUN
        for later in filter(None, records[number + 1 :] if record is None and number else ()):
            missing += later["op_code"] == BEGUN
            began |= later.get("trial_id", -1) >= missing
        begun += began
    if began:
        return nothing | {"op_code": BEGUN, "datetime_start": "1970-01-01T00:00:00.000000"}
    return nothing | {"op_code": 3, "system_attr": {"damaged": True}}


@cache
def _tell(sentence: str) -> None:
    """Say something once, however often the journal is read."""
    print(sentence, file=sys.stderr)


def agree(journal: str | Path, task: dict[str, Any]) -> None:
    """Note what a study searches on; FerError if its first worker noted something else."""
    study = open_study(journal)
    if "task" not in study.user_attrs:
        study.set_user_attr("task", task)
    found = study.user_attrs["task"]
    for name, value in task.items():
        if found.get(name) != value:
            raise FerError(
                f"The study in {journal} has {name}={found.get(name)!r}, not {value!r}; give another journal."
            )


def noted(journal: str | Path) -> dict[str, Any]:
    """Return what a study searches on, empty if nobody noted it."""
    return open_study(journal).user_attrs.get("task", {})


# --- workers ------------------------------------------------------------------------------------------------


def work(
    journal: str | Path,
    evaluate: Callable[[Configuration], Iterable[float]],
    n_trials: int,
    *,
    seed: int = 0,
    threshold: float | None = THRESHOLD,
    on_trial: Callable[[pd.Series], None] | None = None,
) -> int:
    """Join a study and work on it until it has ``n_trials`` finished trials; return how many were ours.

    ``evaluate`` trains a configuration and yields, fold by fold, how much accuracy its errors cost;
    ``on_trial`` is given the row (see :func:`trials`) of each trial that this worker finished. Pruned trials
    are finished ones, and a network that does not fit into the device's memory is pruned. With one worker
    the same seed gives the same trials; with several, the order in which they finish decides as well.
    """
    open_study(journal)
    for number in itertools.count(1):  # the first name that no worker has had
        with suppress(FileExistsError):
            Path(f"{journal}.worker{number}").touch(exist_ok=False)
            break
    worker = f"worker{number}"
    study = open_study(journal, zlib.crc32(f"{seed}/{worker}".encode()), threshold)
    from optuna import TrialPruned
    from optuna.trial import TrialState

    done = 0
    while sum(trial.state.name in STATES for trial in study.get_trials(deepcopy=False)) < n_trials:
        trial = study.ask()
        trial.set_user_attr("worker", worker)
        reached = 1.0
        try:
            for step, lost in enumerate(evaluate(suggest(trial))):
                reached -= lost
                trial.report(reached, step)
                if trial.should_prune():
                    raise TrialPruned
            study.tell(trial, reached)
        except (TrialPruned, torch.OutOfMemoryError):
            study.tell(trial, state=TrialState.PRUNED)
        done += 1
        if on_trial is not None:
            on_trial(trials(journal).iloc[trial.number])
    return done


def demonstrate(journal: Path, workers: int, seed: int = 0) -> None:
    """Let several workers share a small study on drawn faces; FerError says what a failing one said."""
    command = [sys.executable, "-m", "fer_lib.cli", "search", "run", "synthetic", "--device", "cpu"]
    command += ["--journal", str(journal), "--seed", str(seed)]
    environment = {name: value for name, value in os.environ.items() if name != "FER_PROGRESS"}
    how = {"env": environment | {"OMP_NUM_THREADS": "1"}, "stderr": subprocess.STDOUT, "text": True}
    for worker in [subprocess.Popen(command, stdout=subprocess.PIPE, **how) for _ in range(workers)]:
        said, _ = worker.communicate()
        if worker.returncode:
            raise FerError(f"A worker of the demonstration failed: {said}")


# --- what was found -----------------------------------------------------------------------------------------


def trials(journal: str | Path) -> pd.DataFrame:
    """Return every trial of a study, with the options of Table 1 as columns.

    ``state`` is ``complete``, ``pruned``, or ``unfinished`` (under way, or lost with its worker), and the
    ``accuracy`` of a pruned trial what it could still have reached.
    """
    import pandas as pd

    rows = []
    for trial in open_study(journal).get_trials(deepcopy=False):
        reached = trial.intermediate_values
        rows.append(
            {
                "number": trial.number,
                "state": STATES.get(trial.state.name, "unfinished"),
                "worker": trial.user_attrs.get("worker"),
                "accuracy": trial.value if trial.value is not None else reached.get(max(reached, default=0)),
                "folds": len(reached),
                "seconds": trial.duration.total_seconds() if trial.duration else None,
                **trial.params,
            }
        )
    columns = ["number", "state", "worker", "accuracy", "folds", "seconds", *SEARCHED, "dropout"]
    return pd.DataFrame(rows, columns=columns)


def importances(journal: str | Path) -> dict[str, float]:
    """Return each option's share in the variance of :func:`trials`' accuracies (fANOVA), highest first.

    Empty where fewer than four trials finished, or all reach the same.
    """
    source = open_study(journal)
    import optuna

    study = optuna.create_study(direction="maximize")
    for trial in source.get_trials(deepcopy=False):
        if trial.state.name in STATES and (reached := trial.intermediate_values):
            chosen = {"params": trial.params, "distributions": trial.distributions}
            study.add_trial(optuna.trial.create_trial(**chosen, value=reached[max(reached)]))
    if len(study.trials) < 4 or len({trial.value for trial in study.trials}) < 2:
        return {}
    evaluator = optuna.importance.FanovaImportanceEvaluator(seed=0)
    return optuna.importance.get_param_importances(study, evaluator=evaluator)


def best(journal: str | Path) -> tuple[Configuration, float] | None:
    """Return the best configuration and its accuracy, None if no trial was completed."""
    study = open_study(journal)
    with suppress(ValueError):
        return Configuration(**study.best_params), study.best_value
    return None


def beside_printed(frame: pd.DataFrame) -> pd.DataFrame:
    """Return the configurations of the three best completed ``trials``, and the paper's c1 and c2."""
    import pandas as pd

    done = frame[frame["state"] == "complete"].sort_values("accuracy", ascending=False, kind="stable").head(3)
    rows = done.assign(which=[f"trial {number}" for number in done["number"]]).to_dict("records")
    rows += [asdict(found) | {"which": name} for name, found in (("c1", network.C1), ("c2", network.C2))]
    return pd.DataFrame(rows, columns=["which", "accuracy", *asdict(network.C1)], dtype=object)


def effects(frame: pd.DataFrame) -> pd.DataFrame:
    """Return the mean accuracy of the finished ``trials`` with each option of which the paper says something.

    Columns are ``option``, ``n`` trials, ``accuracy``, and its 95 % interval (``low``, ``high``) as if trials
    were independent; NaN where there are too few.
    """
    import pandas as pd

    frame = frame[frame["state"].isin(("complete", "pruned")) & frame["accuracy"].notna()]
    asked: dict[str, tuple[Any, ...]] = dict.fromkeys(("clahe", "normalise", "second_conv"), (True, False))
    asked |= {"initialiser": ("xavier_uniform", "xavier_normal"), "temporal_size": SEARCHED["temporal_size"]}
    options = {f"{name}={str(x).lower()}": frame[name] == x for name, xs in asked.items() for x in xs}
    options |= {"dropout>=0.5": frame["dropout"] >= 0.5, "dropout<0.5": frame["dropout"] < 0.5}
    early = frame["number"] < HALFWAY
    options |= {f"trials 1 to {HALFWAY}": early, f"trials after {HALFWAY}": ~early}
    rows = []
    for option, chosen in options.items():
        values = frame.loc[chosen, "accuracy"].to_numpy(float)
        low, high = metrics.interval(values) if len(values) > 1 else (np.nan, np.nan)
        mean = values.mean() if len(values) else np.nan
        rows.append({"option": option, "n": len(values), "accuracy": mean, "low": low, "high": high})
    return pd.DataFrame(rows)
