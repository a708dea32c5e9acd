"""The architecture search of paper 4: Optuna's TPE over Table 1, which any number of workers may join.

Beside the two initialisers of Table 1 a third is searched, the framework's own: Table 3 prints "none".

A study is one journal file; every process that opens it is a worker of it, on this machine or on another
that sees the file. Optuna's heartbeats for lost workers need a database; without a server that is SQLite,
which is not safe on network file systems. So a worker holds a lock beside the journal for as long as it
lives: the others know a dead worker's trial by it and repeat it. Killing a worker loses that trial and
nothing else.
"""

from __future__ import annotations

import itertools
import json
import sys
import time
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from fer_lib.errors import FerError
from fer_lib.learn import metrics
from fer_lib.papers.cnn3d import network
from fer_lib.papers.cnn3d.network import Configuration
from fer_lib.papers.cnn3d.readings import PAPER

if TYPE_CHECKING:
    import optuna
    import pandas as pd
    from filelock import FileLock

THRESHOLD = PAPER["search"]["threshold"]  # Sect. 3.3: below this LOSO accuracy a trial is pruned (CK+)
STUDY = "cnn3d"  # name of the one study in a journal
WORKER = "worker"  # attribute of a trial: who runs it
TASK = "task"  # attribute of a study: what it searches on
ENOUGH = 4  # finished trials from which importances are computed
HALFWAY = 600  # trials after which the paper's search converged (Sect. 4.1)
WAIT = 0.2  # seconds between looks at what the other workers are doing
GRACE = 10  # seconds after which the lock of a worker killed while writing is broken
ASKING = "ask"  # who holds this lock may ask for a trial


# --- the study ----------------------------------------------------------------------------------------------


def suggest(trial: optuna.trial.BaseTrial) -> Configuration:
    """Return a configuration from Table 1, with a third initialiser, chosen by the trial's sampler."""
    yes_no = (False, True)
    return Configuration(
        lookahead=trial.suggest_categorical("lookahead", yes_no),
        clahe=trial.suggest_categorical("clahe", yes_no),
        normalise=trial.suggest_categorical("normalise", yes_no),
        activation=trial.suggest_categorical("activation", tuple(network.ACTIVATIONS)),
        class_weights=trial.suggest_categorical("class_weights", yes_no),
        temporal_size=trial.suggest_categorical("temporal_size", network.TEMPORAL_SIZES),
        initialiser=trial.suggest_categorical("initialiser", tuple(network.INITIALISERS)),
        pooling=trial.suggest_categorical("pooling", ("average", "max")),
        second_conv=trial.suggest_categorical("second_conv", yes_no),
        dropout=trial.suggest_float("dropout", 0.0, 1.0),
    )


def open_study(
    journal: str | Path, seed: int = 0, threshold: float | None = THRESHOLD, create: bool = True
) -> optuna.Study:
    """Open the study in a journal file, creating it if it is the first to come.

    Parameters
    ----------
    journal : path
        A file that all workers see.
    seed : int
        Of the sampler. With one worker the same seed gives the same trials; with several the order in
        which they finish decides as well.
    threshold : float or None
        Trials that cannot reach this accuracy any more are pruned; None prunes none.

    Raises
    ------
    FerError
        If Optuna is not installed, the file is no journal or, without ``create``, not there.
    """
    optuna = _optuna()
    from optuna.storages import JournalStorage

    path = Path(journal)
    if not create and not path.is_file():
        raise FerError(f"There is no study in {path}; start one with: fer search run.")
    path.parent.mkdir(parents=True, exist_ok=True)
    pruner: Any = optuna.pruners.NopPruner()
    if threshold is not None:
        # After each fold the best accuracy that the trial can still reach is reported, but for rounding.
        pruner = optuna.pruners.ThresholdPruner(lower=threshold - 1e-9)
    try:
        return optuna.create_study(
            study_name=STUDY,
            storage=JournalStorage(_backend(path)),
            sampler=optuna.samplers.TPESampler(seed=seed),
            pruner=pruner,
            direction="maximize",
            load_if_exists=True,
        )
    except (ValueError, KeyError) as error:
        raise FerError(f"{path} is no journal of a search ({error}); give another file.") from None


def _optuna() -> Any:
    """Import Optuna, which speaks only when something is wrong."""
    try:
        import optuna
    except ImportError:
        raise FerError(
            'The search needs Optuna, which is not installed: pip install "optuna>=5,<6".'
        ) from None
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return optuna


def _backend(path: Path) -> Any:
    """Return Optuna's file of records, made to bear what a full disk or a lost connection does to it."""
    from optuna.storages.journal import JournalFileBackend, JournalFileOpenLock

    class Lock(JournalFileOpenLock):  # a file that is created: holds on every file system, unlike a link
        def acquire(self) -> bool:
            acquired = super().acquire()
            if path.is_file():
                with path.open("r+b") as file:  # a half line at the end would spoil the next one
                    whole = file.read()
                    if whole and not whole.endswith(b"\n"):
                        file.truncate(whole.rfind(b"\n") + 1)
            return acquired

    class Backend(JournalFileBackend):
        def read_logs(self, log_number_from: int) -> Iterator[dict[str, Any]]:
            with path.open("rb") as file:
                for number, line in enumerate(file):
                    if line.endswith(b"\n") and number >= log_number_from:
                        yield _record(line, f"line {number + 1} of {path}")

    return Backend(str(path), Lock(str(path), GRACE))


def _record(line: bytes, name: str) -> dict[str, Any]:
    """Return one record of a journal; of a damaged line what stands for it, so that the count goes on."""
    start = line.rfind(b'{"op_code"')  # behind a half line that another record was glued to
    for text in (line, line[max(start, 0) :]):
        with suppress(ValueError):
            return json.loads(text)
    if name not in _told:
        _told.add(name)
        print(f"fer: {name} is damaged; it is passed over, and all others are kept.", file=sys.stderr)
    nothing = {"worker_id": "lost", "study_id": 0}
    if b'"op_code":4,' in line[:20]:  # a trial began: the later ones must keep their numbers
        return nothing | {"op_code": 4, "datetime_start": "1970-01-01T00:00:00.000000"}
    return nothing | {"op_code": 3, "system_attr": {"damaged": True}}


_told: set[str] = set()


def agree(journal: str | Path, task: dict[str, Any]) -> None:
    """Note what a study searches on, or check that it is the same as what its first worker noted.

    Raises
    ------
    FerError
        Naming the first thing that differs: accuracies of different tasks cannot be ranked together.
    """
    study = open_study(journal)
    with _lock(journal, ASKING):
        if not (found := study.user_attrs.get(TASK)):
            study.set_user_attr(TASK, task)
            return
    for name, value in task.items():
        if found.get(name) != value:
            raise FerError(
                f"The study in {journal} has {name}={found.get(name)!r}, not {value!r}; give another journal."
            )


def noted(journal: str | Path) -> dict[str, Any]:
    """Return what a study searches on, as its first worker noted it; empty if nobody did."""
    return open_study(journal, create=False).user_attrs.get(TASK, {})


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

    The last workers wait for each other, so that a trial whose worker dies late is still repeated. A trial
    whose network does not fit into the device's memory counts as pruned.

    Parameters
    ----------
    evaluate
        Trains a configuration and yields, fold by fold, how much of the accuracy its errors cost.
    n_trials : int
        Of the whole study, pruned ones included, whoever ran them.
    seed, threshold
        See :func:`open_study`; each worker's sampler has a seed of its own, made of this and its name.
    on_trial
        Called with the row (see :func:`trials`) of each trial that this worker finished.
    """
    optuna = _optuna()
    from optuna.trial import TrialState

    done = 0
    open_study(journal, seed, threshold)
    with _signed_in(journal) as worker:
        study = open_study(journal, zlib.crc32(f"{seed}/{worker}".encode()), threshold)
        while (trial := _next_trial(study, journal, worker, n_trials)) is not None:
            reached = 1.0
            try:
                for step, lost in enumerate(evaluate(suggest(trial))):
                    reached -= lost
                    trial.report(reached, step)
                    if trial.should_prune():
                        raise optuna.TrialPruned
                study.tell(trial, reached)
            except (optuna.TrialPruned, torch.OutOfMemoryError):
                study.tell(trial, state=TrialState.PRUNED)
            done += 1
            if on_trial is not None:
                on_trial(trials(journal).set_index("number", drop=False).loc[trial.number])
    return done


def _next_trial(study: optuna.Study, journal: str | Path, worker: str, n_trials: int) -> optuna.Trial | None:
    """Ask for a trial, waiting while the others may still leave one; None once the study has enough."""
    from optuna.trial import TrialState

    while True:
        with _lock(journal, ASKING):
            reclaim(study, journal)
            counts = Counter(trial.state for trial in study.get_trials(deepcopy=False))
            finished = counts[TrialState.COMPLETE] + counts[TrialState.PRUNED]
            if finished + counts[TrialState.RUNNING] < n_trials:
                trial = study.ask()
                trial.set_user_attr(WORKER, worker)
                return trial
        if finished >= n_trials:
            return None
        time.sleep(WAIT)


@contextmanager
def _signed_in(journal: str | Path) -> Iterator[str]:
    """Yield a name that no trial bears yet, and hold its lock meanwhile."""
    with _lock(journal, ASKING):
        used = {trial.user_attrs.get(WORKER) for trial in open_study(journal, create=False).trials}
        names = (f"worker{number}" for number in itertools.count(1))
        name = next(name for name in names if name not in used and not alive(journal, name))
        lock = _lock(journal, name)
        lock.acquire()
    try:
        yield name
    finally:
        lock.release()


def reclaim(study: optuna.Study, journal: str | Path) -> None:
    """Give up the trials of workers that died, and queue the same configurations again.

    To be called while no other worker is asking for a trial, as :func:`work` does.
    """
    from optuna.trial import TrialState

    for trial in study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
        worker = trial.user_attrs.get(WORKER)  # none if it died between asking and signing
        if worker is None or not alive(journal, worker):
            study.tell(trial.number, state=TrialState.FAIL, skip_if_finished=True)
            study.enqueue_trial(trial.params, user_attrs={"again": trial.number})


def alive(journal: str | Path, worker: str) -> bool:
    """Whether a worker holds its lock; the operating system releases that of a killed process."""
    from filelock import Timeout

    try:
        with _lock(journal, worker, timeout=0):
            return False
    except Timeout:
        return True


def _lock(journal: str | Path, name: str, timeout: float = -1) -> FileLock:
    from filelock import FileLock

    return FileLock(f"{journal}.{name}.lock", timeout=timeout)


# --- what was found -----------------------------------------------------------------------------------------


def trials(journal: str | Path) -> pd.DataFrame:
    """Return every trial of a study.

    Returns
    -------
    pandas.DataFrame
        ``number``, ``state`` (``complete``, ``pruned``, ``running``, ``waiting``, or ``lost`` when its
        worker died), ``worker``, ``accuracy`` (of a pruned trial what it could still have reached),
        ``folds`` done, ``seconds``, and the parameters of Table 1.
    """
    import pandas as pd

    study = open_study(journal, create=False)
    rows = []
    for trial in study.get_trials(deepcopy=False):
        state, worker = trial.state.name.lower(), trial.user_attrs.get(WORKER)
        if state == "fail" or (state == "running" and worker is not None and not alive(journal, worker)):
            state = "lost"
        reached = trial.intermediate_values
        rows.append(
            {
                "number": trial.number,
                "state": state,
                "worker": worker,
                "accuracy": trial.value if trial.value is not None else reached.get(max(reached, default=0)),
                "folds": len(reached),
                "seconds": trial.duration.total_seconds() if trial.duration else None,
                **trial.params,
            }
        )
    columns = ["number", "state", "worker", "accuracy", "folds", "seconds"]
    return pd.DataFrame(rows, columns=None if rows else columns)


def importances(journal: str | Path) -> dict[str, float]:
    """Return how much each parameter decides the accuracy, summing to 1 (fANOVA), highest first.

    Pruned trials count with the accuracy they could still have reached. Empty where too few trials
    finished, or all are alike.
    """
    optuna = _optuna()
    from optuna.trial import TrialState, create_trial

    source = open_study(journal, create=False)
    study = optuna.create_study(direction="maximize")
    for trial in source.get_trials(deepcopy=False, states=(TrialState.COMPLETE, TrialState.PRUNED)):
        if trial.params and (reached := trial.intermediate_values):
            options = {"params": trial.params, "distributions": trial.distributions}
            study.add_trial(create_trial(**options, value=reached[max(reached)]))
    if len(study.trials) < ENOUGH or len({trial.value for trial in study.trials}) < 2:
        return {}
    evaluator = optuna.importance.FanovaImportanceEvaluator(seed=0)
    return optuna.importance.get_param_importances(study, evaluator=evaluator)


def best(journal: str | Path) -> tuple[Configuration, float] | None:
    """Return the best configuration and its accuracy, None if no trial was completed."""
    study = open_study(journal, create=False)
    with suppress(ValueError):
        return Configuration(**study.best_params), study.best_value
    return None


def beside_printed(frame: pd.DataFrame, n: int = 3) -> pd.DataFrame:
    """Return the n best completed trials above the paper's c1 and c2, and what they are made of."""
    import pandas as pd

    done = frame[frame["state"] == "complete"].sort_values("accuracy", ascending=False, kind="stable").head(n)
    rows = done.assign(which=[f"trial {number}" for number in done["number"]]).to_dict("records")
    rows += [asdict(made) | {"which": name} for name, made in (("c1", network.C1), ("c2", network.C2))]
    return pd.DataFrame(rows, columns=["which", "accuracy", *asdict(network.C1)], dtype=object)


def effects(frame: pd.DataFrame) -> pd.DataFrame:
    """Return the mean accuracy of the trials that took each option of which the paper says something.

    Parameters
    ----------
    frame : DataFrame
        As :func:`trials` returns it; finished trials count. Of a pruned one the accuracy is what it could
        still have reached.

    Returns
    -------
    pandas.DataFrame
        ``option``, ``n`` trials, ``accuracy`` and its 95 % interval ``low``, ``high`` over trials, as if they
        were independent; an option of fewer than two trials has no interval, and one of none no accuracy.
    """
    import pandas as pd

    frame = frame[frame["state"].isin(("complete", "pruned")) & frame["accuracy"].notna()]
    options = {f"{name}={str(yes).lower()}": frame[name] == yes
               for name in ("clahe", "normalise", "second_conv") for yes in (True, False)}  # fmt: skip
    options |= {f"initialiser={n}": frame["initialiser"] == n for n in ("xavier_uniform", "xavier_normal")}
    options |= {f"temporal_size={n}": frame["temporal_size"] == n for n in network.TEMPORAL_SIZES}
    options |= {"dropout>=0.5": frame["dropout"] >= 0.5, "dropout<0.5": frame["dropout"] < 0.5}
    options |= {
        f"trials 1 to {HALFWAY}": frame["number"] < HALFWAY,
        f"trials after {HALFWAY}": frame["number"] >= HALFWAY,
    }
    rows = []
    for option, chosen in options.items():
        values = frame.loc[chosen, "accuracy"].to_numpy(float)
        low, high = metrics.interval(values) if len(values) > 1 else (np.nan, np.nan)
        mean = values.mean() if len(values) else np.nan
        rows.append({"option": option, "n": len(values), "accuracy": mean, "low": low, "high": high})
    return pd.DataFrame(rows)
