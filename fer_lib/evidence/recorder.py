"""Write the evidence of a run: whole or not at all, by one process at a time, resumed after a kill.

While a run is under way its finished units and checkpoints lie in ``results/.work/<key>/``; the key covers
parameters, data, library sources, notebook, packages and threads, so that a changed run never resumes from
another's work.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from filelock import FileLock, Timeout

from fer_lib.errors import FerError, one_of
from fer_lib.evidence.provenance import (
    BUDGETS,
    PROBE,
    evidence_folder,
    notebook_code,
    notebook_path,
    provenance,
    repository,
    sources,
    versions,
)
from fer_lib.files import UnitFolder, code_digest, digest, file_name, save_arrays, write_json, writing

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

WAITING = "Another run with the same key is under way; waiting until it ends."
BY_HAND = """\
> This run was made by hand, in JupyterLab or with papermill; its outputs are in the copy that was
> executed. Its evidence is complete. `{command}` executes the notebook once more and puts the result here."""


class Recorder(UnitFolder):
    """Collect a run's evidence; :meth:`commit` makes it appear in one rename.

    Weights that :func:`fer_lib.learn.units.train_unit` kept are left in ``weights`` beside the evidence,
    where git ignores them, unless ``$FER_WEIGHTS`` is ``no``. Where ``$FER_STAGE`` names a folder, the
    evidence is left there for ``fer run`` to add the executed notebook and to put both in place. A relative
    ``root`` is taken from the repository. ``parameters`` (the notebook's) and ``fingerprint`` (of the corpus)
    are part of the key and of ``run.json``.

    Attributes
    ----------
    info : dict
        JSON-able facts for ``run.json`` (``protocol``, ``recipes``, ``corpus``, ``certificate``, ...).
    work : Path
        Work folder with finished units and checkpoints; it outlives a kill and goes at the commit.
    """

    def __init__(
        self,
        paper: str,
        dataset: str,
        budget: str,
        seed: int,
        variant: str = "",
        root: str | Path = "results",
        *,
        parameters: dict[str, Any] | None = None,
        fingerprint: str = "",
    ) -> None:
        one_of(budget, (*BUDGETS, PROBE), "budget")
        self.stage = Path(os.environ["FER_STAGE"]) if os.environ.get("FER_STAGE") else None
        self.run = {"paper": paper, "dataset": dataset, "budget": budget, "seed": seed, "variant": variant}
        self.folder = evidence_folder(root, **self.run)
        self.parameters = dict(parameters or {})
        self.sources, self.computing = sources(paper), sources(paper, shown=False)
        keyed = {name: value for name, value in self.parameters.items() if name != "data_dir"}
        # What another version of a library made, or another number of threads, is not gone on with: units
        # made in two ways would add up to figures that nobody gets again.
        threads = sys.modules["torch"].get_num_threads() if "torch" in sys.modules else None
        self.key = digest(self.run, keyed, fingerprint, self.computing, versions(), threads)
        self.info: dict[str, Any] = {"fingerprint": fingerprint} if fingerprint else {}
        top = self.stage.parents[1] if self.stage else repository() / root / ".work"
        self._lock, _ = hold(top / f"{self.key}.lock")
        super().__init__(top / self.key)
        self._started = time.monotonic()
        self._build = self.work / "evidence"
        restore(self._build, self.stage or self.folder)
        shutil.rmtree(self._build, ignore_errors=True)  # half-written by a killed run
        (self._build / "predictions").mkdir(parents=True)
        self._resumed = sum(1 for _ in (self.work / "units").glob("*.npz"))
        self._predictions: dict[str, list[dict[str, np.ndarray]]] = {}
        self._tables: dict[str, list[pd.DataFrame]] = {}
        self._embeddings: dict[str, np.ndarray] = {}

    def __enter__(self) -> Recorder:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """Let another run of the same key go on; finished units stay."""
        let_go(self._lock)

    def add_predictions(
        self, model: str, probabilities: Any, labels: Any, ids: Any, fold: Any = "0"
    ) -> dict[str, np.ndarray]:
        """Add test predictions of ``model``; further calls for the same model append (fold by fold).

        ``probabilities`` are float (N, C), rows summing to 1; ``labels`` int (N,) into the run's classes;
        ``ids`` str (N,) of the corpus; ``fold`` one name for all rows, or one per row. Returned are the rows
        as stored, probabilities rounded to float16 (as float32): compute figures from these, so that they
        agree with the evidence to the last digit. What are no probabilities or labels is a FerError.
        """
        p = np.asarray(probabilities, dtype=np.float32)
        rows = {
            "probabilities": p.astype(np.float16),
            "labels": np.asarray(labels, dtype=np.int64),
            "ids": np.asarray(ids).astype(str),
            "fold": np.broadcast_to(np.asarray(fold).astype(str), (len(p),)),
        }
        if p.ndim != 2 or {len(value) for value in rows.values()} != {len(p)}:
            raise FerError(f"Predictions of {model!r} must be (N, C) with N labels, ids and folds.")
        if not np.isfinite(p).all() or (len(p) and np.abs(p.sum(1) - 1).max() > 0.01):
            raise FerError(
                f"Predictions of {model!r} are no probabilities: rows must be finite and sum to 1."
            )
        if len(p) and not 0 <= rows["labels"].min() <= rows["labels"].max() < p.shape[1]:
            raise FerError(f"Labels of {model!r} must lie in 0..{p.shape[1] - 1}, as its probabilities do.")
        self._predictions.setdefault(file_name(model), []).append(rows)
        return rows | {"probabilities": rows["probabilities"].astype(np.float32)}

    def add_samples(self, frame: pd.DataFrame) -> None:
        """Add rows of ``samples.csv``: ids, label, subject, fold, twin_in_training, conflicting_label."""
        self.add_table("samples", frame)

    def add_curves(self, frame: pd.DataFrame) -> None:
        """Add rows of ``curves.csv``: model, fold, epoch, losses and accuracies."""
        # Curves that a resumed run reads back are all floats; without the kill an epoch was whole.
        self.add_table("curves", frame.astype({"epoch": np.int64}) if "epoch" in frame else frame)

    def add_table(self, name: str, frame: pd.DataFrame) -> None:
        """Add rows of ``<name>.csv``, a table that only this paper has."""
        self._tables.setdefault(file_name(name), []).append(frame)

    def add_embeddings(self, **values: Any) -> None:
        """Add named arrays of ``embeddings.npz``."""
        self._embeddings |= values

    def add_figure(self, name: str, figure: Figure) -> None:
        """Save ``figure`` as ``figures/<name>.png``; the caller minds whether the card allows its images."""
        path = self._build / "figures" / f"{file_name(name)}.png"
        path.parent.mkdir(exist_ok=True)
        figure.savefig(path, dpi=120, bbox_inches="tight", metadata={"Software": None})

    def commit(self) -> Path:
        """Write everything, make it appear in one rename and return the evidence folder.

        A run without predictions, or with a sample that a model predicts twice in one fold, is a FerError.
        """
        import pandas as pd

        if not self._predictions:
            raise FerError("A run without predictions leaves no evidence: call add_predictions first.")
        for model, parts in self._predictions.items():
            rows = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
            if len(set(zip(rows["fold"], rows["ids"], strict=True))) < len(rows["ids"]):
                raise FerError(f"Model {model!r} predicts a sample twice in one fold; each is tested once.")
            save_arrays(self._build / "predictions" / f"{model}.npz", rows)
        if self._embeddings:
            save_arrays(self._build / "embeddings.npz", self._embeddings)
        facts = {
            **self.run,
            "status": "complete",
            "parameters": self.parameters,
            **self.info,
            "precision": self._precision(),
            "key": self.key,
            **self._code(),
            "units_resumed": self._resumed,
            "provenance": provenance(self._started),
        }
        write_json(self._build / "run.json", public(facts))
        with writing(self._build):
            for name, frames in self._tables.items():
                pd.concat(frames, ignore_index=True).to_csv(self._build / f"{name}.csv", index=False)
            self._add_weights()
            if not self.stage and self.run["budget"] != PROBE:  # of which no page shows the notebook
                self._add_notebook()
        publish(self._build, self.stage or self.folder)
        if not self.stage:  # else it stays until `fer run` has published: a kill in between must lose nothing
            shutil.rmtree(self.work, ignore_errors=True)
        self.close()
        return self.stage or self.folder

    def _code(self) -> dict[str, str]:
        """Return the digests of the code, or that a cell was changed in JupyterLab and not on disk."""
        shell = sys.modules["IPython"].get_ipython() if "IPython" in sys.modules else None
        if shell is not None and not self.stage:
            done = [code_digest(source) for source in shell.user_ns.get("In", ())]
            cells = [code_digest(cell["source"]) for cell in notebook_code(notebook_path(self.run["paper"]))]
            if done[-1] not in cells or not set(cells[: cells.index(done[-1])]) <= set(done):
                return dict.fromkeys(("sources", "computing"), "changed by hand")
        return {"sources": self.sources, "computing": self.computing}

    def _add_weights(self) -> None:
        """Link the kept weights: a kill before the evidence is in place must find them where they were."""
        kept = [*(self.work / "checkpoints").glob("*.weights.pt")]
        if kept and os.environ.get("FER_WEIGHTS") != "no":
            (self._build / "weights").mkdir()
            for path in kept:
                place = self._build / "weights" / path.name.replace(".weights", "")
                try:
                    place.hardlink_to(path)
                except OSError:  # not every file system has links
                    shutil.copyfile(path, place)

    def _precision(self) -> list[dict[str, Any]]:
        """Return what the run's units were trained in and why, each decision with the ``units`` it is of."""
        decisions: dict[str, list[str]] = {}
        for path in sorted((self.work / "units").glob("*.npz")):
            with np.load(path, allow_pickle=False) as unit:
                if "precision" in unit:
                    decisions.setdefault(str(unit["precision"]), []).append(path.stem)
        return [json.loads(text) | {"units": units} for text, units in decisions.items()]

    def _add_notebook(self) -> None:
        """Put a notebook beside evidence made by hand, for the page that the book has of the run.

        That is the executed one that is there already, if it is of the same key; else the source.
        """
        with suppress(OSError, ValueError, KeyError):
            if json.loads((self.folder / "run.json").read_text("utf-8"))["key"] == self.key:
                shutil.copy(self.folder / "notebook.ipynb", self._build)
                return
        content = json.loads(notebook_path(self.run["paper"]).read_text("utf-8"))
        command = "fer run {paper} {dataset} --budget {budget} --seed {seed} --force".format(**self.run)
        if self.run["variant"]:
            command += f" (with -p for {self.run['variant']})"
        said = BY_HAND.format(command=command)
        note = {"cell_type": "markdown", "id": "by-hand", "metadata": {}, "source": said}
        content["cells"].insert(1, note)
        (self._build / "notebook.ipynb").write_text(json.dumps(content, indent=1), encoding="utf-8")


def hold(path: Path) -> tuple[FileLock, bool]:
    """Take the lock file ``path``, waiting (with one printed sentence) for another holder.

    Return the lock, which this process may take again, and whether another run had it first.
    """
    lock = FileLock(path, is_singleton=True)  # running a notebook's first cell twice must not deadlock
    try:
        with writing(path.parent):
            path.parent.mkdir(parents=True, exist_ok=True)
            lock.acquire(timeout=0)
    except Timeout:
        # Under `fer run` the sentence belongs on the terminal, not into the recorded notebook.
        if os.environ.get("FER_PROGRESS"):
            Path(os.environ["FER_PROGRESS"]).write_text(WAITING, encoding="utf-8")
        else:
            print(WAITING, flush=True)
        lock.acquire()
        return lock, True
    return lock, False


def let_go(lock: FileLock) -> None:
    """Release a lock of :func:`hold`, and leave no file behind.

    Whoever waits finds that the file it has open is gone, and takes a new one: filelock looks.
    """
    if lock.is_locked:
        with suppress(OSError):  # Windows removes no open file
            Path(lock.lock_file).unlink()
    lock.release(force=True)


def publish(folder: Path, target: Path) -> None:
    """Rename the finished ``folder`` to ``target``, exchanging it for one that is there (on one disk).

    One process does so at a time: two may have made the same run by hand with other parameters.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    lock, _ = hold(target.with_name(f".{target.name}.lock"))
    try:
        restore(folder, target)
        old = _aside(folder)
        shutil.rmtree(old, ignore_errors=True)
        if target.exists():
            target.rename(old)
        folder.rename(target)
        shutil.rmtree(old, ignore_errors=True)
    finally:
        let_go(lock)


def restore(folder: Path, target: Path) -> None:
    """Put back what a :func:`publish` of ``folder``, killed in between, had moved aside from ``target``."""
    if _aside(folder).is_dir() and not target.exists():
        _aside(folder).rename(target)


def _aside(folder: Path) -> Path:
    return folder.with_name(f"{folder.name}.replaced")


def public(value: Any) -> Any:
    """Return JSON-able ``value`` with absolute paths cut to their last component: results are published."""
    if isinstance(value, dict):
        return {str(name): public(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [public(item) for item in value]
    if isinstance(value, str | Path) and Path(value).is_absolute() and "\n" not in str(value):
        return Path(value).name
    return value
