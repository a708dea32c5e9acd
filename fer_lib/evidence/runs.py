"""The evidence folder of a run: written whole or not at all, resumed after a kill, read back.

One run is one paper, dataset, budget, seed and variant; its evidence is
``results/<paper>/<dataset>/<budget>/seed<k>[,<variant>]/``:

* ``run.json``: parameters, recipes, corpus fingerprint, certificate, provenance;
* ``predictions/<model>.npz``: ``probabilities`` float16 (N, C), ``labels`` int64 (N,), ``ids`` and ``fold``
  str (N,);
* ``samples.csv``: one row per test sample (ids, label, subject, fold, flags);
* ``curves.csv``: model, fold, epoch, losses and accuracies;
* ``embeddings.npz``, ``figures/*.png``, ``notebook.ipynb`` where the run made them.

While a run is under way its finished units and checkpoints lie in ``results/.work/<key>/``; the key covers
parameters, data, library sources and notebook, so that a changed run never resumes from another's work.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import time
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

import numpy as np

from fer_lib.errors import FerError, one_of
from fer_lib.evidence.folders import (
    UnitFolder,
    arrays,
    evidence_folder,
    file_name,
    hold,
    public,
    publish,
    restore,
    save_arrays,
)
from fer_lib.evidence.provenance import provenance, repository, sources, variant, versions
from fer_lib.files import digest, write_json

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

__all__ = [
    "BUDGETS",
    "PROBE",
    "Recorder",
    "Run",
    "arrays",
    "evidence_folder",
    "find",
    "hold",
    "provenance",
    "publish",
    "variant",
]

BUDGETS = ("smoke", "short", "full", "paper")
PROBE = "probe"
"""A budget apart: one network on a part of the data, to compare readings with one another. Never judged."""


class Recorder(UnitFolder):
    """Collect a run's evidence; :meth:`commit` makes it appear in one rename.

    Parameters
    ----------
    paper, dataset, budget, seed, variant
        The run; ``variant`` names what differs from the notebook's defaults ("" for none).
    root
        Results folder; a relative one is taken from the repository root.
    parameters
        The notebook's parameters; part of the key and written into ``run.json``.
    fingerprint
        The corpus fingerprint; part of the key.

    Attributes
    ----------
    info : dict
        JSON-able facts for ``run.json`` (``protocol``, ``recipes``, ``corpus``, ``certificate``, ...).
    work : Path
        Work folder with finished units and checkpoints; it outlives a kill and goes at the commit.
    finished : bool
        Whether evidence with the same key is already in place.

    When ``$FER_STAGE`` is set (by ``fer run``), the finished folder is left there for ``fer run`` to add
    the executed notebook and to rename.

    Raises
    ------
    FerError
        For an unknown budget, or a model or unit name that is no plain file name.
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
        if self.stage:
            variant = os.environ.get("FER_VARIANT", variant)
        self.run = {"paper": paper, "dataset": dataset, "budget": budget, "seed": seed, "variant": variant}
        self.folder = evidence_folder(root, **self.run)
        self.parameters = dict(parameters or {})
        # Where the data lie and where results go do not change what the run computes.
        keyed = {k: v for k, v in self.parameters.items() if k not in ("data_dir", "results")}
        self.sources = sources(paper)
        # Parts that another version of a library made are not gone on with.
        self.key = digest(self.run, keyed, fingerprint, self.sources, versions())
        self.info: dict[str, Any] = {"fingerprint": fingerprint} if fingerprint else {}
        top = self.stage.parents[1] if self.stage else repository() / root / ".work"
        self._lock, _ = hold(top / f"{self.key}.lock")
        super().__init__(top / self.key)
        self._started = time.monotonic()
        self._build = self.work / "evidence"
        if not self.stage:
            restore(self._build, self.folder)
        shutil.rmtree(self._build, ignore_errors=True)  # half-written by a killed run
        (self._build / "predictions").mkdir(parents=True)
        self._resumed = sum(1 for _ in (self.work / "units").glob("*.npz"))
        self._predictions: dict[str, list[dict[str, np.ndarray]]] = {}
        self._tables: dict[str, list[pd.DataFrame]] = {}
        self._embeddings: dict[str, np.ndarray] = {}

    def __enter__(self) -> Recorder:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let another run of the same key go on; finished units stay."""
        self._lock.release(force=True)

    # --- evidence ------------------------------------------------------------------------------

    def add_predictions(
        self, model: str, probabilities: Any, labels: Any, ids: Any, fold: Any = "0"
    ) -> dict[str, np.ndarray]:
        """Add test predictions of ``model``; further calls for the same model append (fold by fold).

        Parameters
        ----------
        model
            Name as in the claims file (``C1``, ``CNN-SIFT-AVG``).
        probabilities
            float (N, C), rows summing to 1.
        labels, ids
            int (N,) into the run's classes; str (N,) sample ids of the corpus.
        fold
            One fold name for all rows, or one per row (N,).

        Returns
        -------
        dict
            The rows as stored: probabilities rounded to float16 (as float32), labels, ids, fold. Compute
            figures from these, so that they agree with the evidence to the last digit.
        """
        p = np.asarray(probabilities, dtype=np.float32)
        rows = {
            "probabilities": p.astype(np.float16),
            "labels": np.asarray(labels, dtype=np.int64),
            "ids": np.asarray(ids).astype(str),
            "fold": np.broadcast_to(np.asarray(fold).astype(str), (len(p),)),
        }
        if p.ndim != 2 or {len(value) for value in rows.values()} != {len(p)}:
            shapes = {name: value.shape for name, value in rows.items()}
            raise FerError(
                f"Predictions of {model!r} must be (N, C) with N labels, ids and folds, not {shapes}."
            )
        if not np.isfinite(p).all() or (len(p) and np.abs(p.sum(1) - 1).max() > 0.01):
            raise FerError(
                f"Predictions of {model!r} are no probabilities: rows must be finite and sum to 1."
            )
        if len(p) and not 0 <= rows["labels"].min() <= rows["labels"].max() < p.shape[1]:
            raise FerError(
                f"Labels of {model!r} must lie in 0..{p.shape[1] - 1}, as the probabilities' columns."
            )
        self._predictions.setdefault(file_name(model), []).append(rows)
        return rows | {"probabilities": rows["probabilities"].astype(np.float32)}

    def add_samples(self, frame: pd.DataFrame) -> None:
        """Add rows of ``samples.csv``: ids, label, subject, fold, twin_in_training, conflicting_label."""
        self._tables.setdefault("samples", []).append(frame)

    def add_curves(self, frame: pd.DataFrame) -> None:
        """Add rows of ``curves.csv``: model, fold, epoch, losses and accuracies."""
        # Curves that a resumed run reads back are all floats; without the kill an epoch was whole.
        frame = frame.astype({"epoch": np.int64}) if "epoch" in frame else frame
        self._tables.setdefault("curves", []).append(frame)

    def add_table(self, name: str, frame: pd.DataFrame) -> None:
        """Add rows of ``<name>.csv``, a table that only this paper has."""
        self._tables.setdefault(file_name(name), []).append(frame)

    def add_embeddings(self, **values: Any) -> None:
        """Add named arrays of ``embeddings.npz``."""
        self._embeddings |= values

    def add_figure(self, name: str, figure: Figure, dpi: int = 120) -> None:
        """Save ``figure`` as ``figures/<name>.png``; the caller minds whether the card allows its images."""
        path = self._build / "figures" / f"{file_name(name)}.png"
        path.parent.mkdir(exist_ok=True)
        figure.savefig(path, dpi=dpi, bbox_inches="tight", metadata={"Software": None})

    def commit(self) -> Path:
        """Write everything, make it appear in one rename and return the evidence folder.

        Raises
        ------
        FerError
            If there are no predictions, or a model predicts a sample twice in one fold.
        """
        import pandas as pd

        if not self._predictions:
            raise FerError(
                "A run without predictions leaves no evidence: call add_predictions before commit."
            )
        for model, parts in self._predictions.items():
            rows = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
            if len(set(zip(rows["fold"], rows["ids"], strict=True))) < len(rows["ids"]):
                raise FerError(f"Model {model!r} predicts a sample twice in one fold; each is tested once.")
            save_arrays(self._build / "predictions" / f"{model}.npz", rows)
        for name, frames in self._tables.items():
            pd.concat(frames, ignore_index=True).to_csv(self._build / f"{name}.csv", index=False)
        if self._embeddings:
            save_arrays(self._build / "embeddings.npz", self._embeddings)
        facts = {
            **self.run,
            "status": "complete",
            "parameters": self.parameters,
            **self.info,
            "precision": self._precision(),
            "key": self.key,
            "sources": self.sources,
            "units_resumed": self._resumed,
            "provenance": provenance(self._started),
        }
        write_json(self._build / "run.json", public(facts))
        if self.stage:
            # The work folder stays until `fer run` has published: a kill in between must lose nothing.
            shutil.rmtree(self.stage, ignore_errors=True)
            self._build.rename(self.stage)
            self.close()
            return self.stage
        publish(self._build, self.folder)
        shutil.rmtree(self.work, ignore_errors=True)
        self.close()
        return self.folder

    def _precision(self) -> list[dict[str, Any]]:
        """Return what the run's units were trained in and why, each decision with the ``units`` it is of."""
        decisions: dict[str, list[str]] = {}
        for path in sorted((self.work / "units").glob("*.npz")):
            with np.load(path, allow_pickle=False) as unit:
                if "precision" in unit:
                    decisions.setdefault(str(unit["precision"]), []).append(path.stem)
        return [json.loads(text) | {"units": units} for text, units in decisions.items()]


@dataclass(frozen=True)
class Run:
    """One run's evidence, read back."""

    path: Path

    @cached_property
    def info(self) -> dict[str, Any]:
        """The content of ``run.json``."""
        try:
            return json.loads((self.path / "run.json").read_text("utf-8"))
        except (OSError, ValueError) as error:
            raise FerError(f"{self.path / 'run.json'} cannot be read ({error}); run it again.") from None

    paper = property(lambda self: self.info["paper"], doc="Paper key.")
    dataset = property(lambda self: self.info["dataset"], doc="Corpus key.")
    budget = property(lambda self: self.info["budget"], doc="smoke, short, paper or probe.")
    seed = property(lambda self: self.info["seed"], doc="The seed (int).")
    variant = property(lambda self: self.info.get("variant", ""), doc="What differs from the defaults.")

    def models(self) -> list[str]:
        """Names of the models with predictions."""
        return sorted(path.stem for path in (self.path / "predictions").glob("*.npz"))

    def predictions(self, model: str) -> dict[str, np.ndarray]:
        """Return ``probabilities`` float32 (N, C), ``labels`` int64 (N,), ``ids`` and ``fold`` str (N,)."""
        one_of(model, self.models(), "model of this run")
        rows = arrays(self.path / "predictions" / f"{model}.npz")
        return rows | {"probabilities": rows["probabilities"].astype(np.float32)}

    def embeddings(self) -> dict[str, np.ndarray]:
        """Return the stored embeddings, empty if there are none."""
        path = self.path / "embeddings.npz"
        return arrays(path) if path.exists() else {}

    def curves(self) -> pd.DataFrame:
        """Return the learning curves, empty if there are none."""
        return self._table("curves")

    def samples(self) -> pd.DataFrame:
        """Return one row per test sample, ``ids``, ``subject`` and ``fold`` as text; empty if not stored."""
        return self._table("samples")

    def table(self, name: str) -> pd.DataFrame:
        """Return a table that only this paper has, empty if not stored."""
        return self._table(name)

    def _table(self, name: str) -> pd.DataFrame:
        import pandas as pd

        path = self.path / f"{name}.csv"
        text = {"ids": str, "subject": str, "fold": str, "model": str}
        # Ids such as "NA" or "001" are names, not numbers or gaps; in curves a gap is a gap.
        options = {"keep_default_na": False} if name == "samples" else {}
        return pd.read_csv(path, dtype=text, **options) if path.exists() else pd.DataFrame()


def find(
    root: str | Path = "results", paper: str | None = None, dataset: str | None = None, probes: bool = False
) -> list[Run]:
    """Return the runs below ``root`` in a fixed order, optionally of one paper or dataset.

    Probes are no runs of a chapter: they are left out unless asked for, and then returned alone.
    """
    paths = (repository() / root).glob(f"{paper or '[!.]*'}/{dataset or '*'}/*/seed*/run.json")
    chosen = (path for path in paths if (path.parents[1].name == PROBE) == probes)
    return [Run(path.parent) for path in sorted(chosen, key=_natural)]


def _natural(path: Path) -> list[tuple[str, int]]:
    """Sort key that puts seed2 before seed10."""
    return [(text, int(number or 0)) for text, number in re.findall(r"(\D+)(\d*)", path.parent.as_posix())]
