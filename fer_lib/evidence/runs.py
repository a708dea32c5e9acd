"""The evidence folder of a run, read back.

One run is one paper, dataset, budget, seed and variant; its evidence is
``results/<paper>/<dataset>/<budget>/seed<k>[,<variant>]/``:

* ``run.json``: parameters, recipes, corpus fingerprint, certificate, provenance;
* ``predictions/<model>.npz``: ``probabilities`` float16 (N, C), ``labels`` int64 (N,), ``ids`` and ``fold``
  str (N,);
* ``samples.csv``: one row per test sample (ids, label, subject, fold, flags);
* ``curves.csv``: model, fold, epoch, losses and accuracies;
* ``embeddings.npz``, ``figures/*.png``, ``notebook.ipynb`` where the run made them;
* ``weights/<network> <fold>.pt`` of networks to be looked at again (``$FER_WEIGHTS=no`` keeps none).
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from fer_lib.errors import FerError, one_of
from fer_lib.evidence.provenance import BUDGETS, OFFERED, PROBE, defaults, repository, sources, variant
from fer_lib.evidence.recorder import Recorder
from fer_lib.files import arrays

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["BUDGETS", "OFFERED", "PROBE", "Recorder", "Run", "current", "find", "variant"]


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
    budget = property(lambda self: self.info["budget"], doc="One of BUDGETS, or probe.")
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
        return self.table("curves")

    def samples(self) -> pd.DataFrame:
        """Return one row per test sample, ``ids``, ``subject`` and ``fold`` as text; empty if not stored."""
        return self.table("samples")

    def table(self, name: str) -> pd.DataFrame:
        """Return a table that only this paper has, empty if not stored."""
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
    chosen = [path.parent for path in paths if (path.parents[1].name == PROBE) == probes]
    return [Run(folder) for folder in sorted(chosen, key=_natural)]


def _natural(folder: Path) -> list[tuple[str, int]]:
    """Sort key that puts seed2 before seed10."""
    return [(text, int(number or 0)) for text, number in re.findall(r"(\D+)(\d*)", folder.as_posix())]


def current(folder: Path, values: dict[str, Any]) -> Run | None:
    """Return the run in ``folder`` if it is complete and would come out the same if it were made now.

    This is so where its parameters are those of ``values`` (the others being the defaults) and neither the
    library behind its notebook nor the notebook's code has changed since. On real data, what only draws and
    judges does not count, and code that was rearranged and then gave the same numbers
    (``benchmarks.unchanged``) counts as the same. Machine, packages and threads do not matter.
    """
    run = Run(folder)
    try:
        stored, asked = run.info["parameters"], defaults(run.paper) | values
        asked = {name: value for name, value in asked.items() if name not in ("device", "data_dir")}
        asked = json.loads(json.dumps(asked))  # as run.json has them
        same = all(stored.get(name, value) == value for name, value in asked.items())
        whole = run.info["status"] == "complete" and bool(run.models())
        known = run.info["sources"] == sources(run.paper)
        if not known and run.dataset != "synthetic":
            known = run.info.get("computing") in unchanged(run.paper)
        return run if same and whole and known else None
    except (FerError, KeyError):
        return None


def ledger() -> Path:
    """Return the file in which ``benchmarks.unchanged`` keeps which code gave the same numbers as which."""
    return repository() / "results" / "unchanged.json"


def unchanged(paper: str) -> set[str]:
    """Return digests of the code that computes what today's does: its own, and those compared with it."""
    found = {sources(paper, shown=False)}
    entries = json.loads(ledger().read_text("utf-8")) if ledger().exists() else []
    for entry in reversed(entries):  # the newest first: what an older comparison led to may lead on
        if entry["paper"] == paper and entry["now"] in found:
            found.add(entry["was"])
    return found
