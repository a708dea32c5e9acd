"""Where evidence lies, and how it is put in place: whole, by one run at a time, fit to be published."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

import numpy as np
from filelock import FileLock, Timeout

from fer_lib.errors import FerError
from fer_lib.evidence.provenance import repository
from fer_lib.files import atomic

WAITING = "Another run with the same key is under way; waiting until it ends."


def evidence_folder(
    root: str | Path, paper: str, dataset: str, budget: str, seed: int, variant: str = ""
) -> Path:
    """Return where the evidence of a run lies; a relative ``root`` is taken from the repository root."""
    name = f"seed{seed},{variant}" if variant else f"seed{seed}"
    return repository() / root / paper / dataset / budget / name


class UnitFolder:
    """Finished units of work and checkpoints in a folder, where they survive a kill.

    Parameters
    ----------
    work
        The folder; it gets ``units`` and ``checkpoints``.
    """

    def __init__(self, work: Path) -> None:
        self.work = work
        for name in ("units", "checkpoints"):
            (work / name).mkdir(parents=True, exist_ok=True)

    def unit(self, name: str) -> Path | None:
        """Return the ``.npz`` of a finished unit (a fold, a network), or None if it is still to be done."""
        path = self._unit(name)
        return path if path.exists() else None

    def finish_unit(self, name: str, **values: Any) -> Path:
        """Store a unit's arrays; from now on a killed run does not repeat it."""
        path = self._unit(name)
        save_arrays(path, values)
        return path

    def checkpoint(self, name: str) -> Path:
        """Return the path for a training checkpoint (it may not exist yet)."""
        return self.work / "checkpoints" / file_name(name)

    def _unit(self, name: str) -> Path:
        return self.work / "units" / f"{file_name(name)}.npz"


def arrays(path: str | Path) -> dict[str, np.ndarray]:
    """Read all arrays of an ``.npz`` file, never unpickling."""
    with np.load(path, allow_pickle=False) as stored:
        return {name: stored[name] for name in stored.files}


def hold(path: Path) -> tuple[FileLock, bool]:
    """Take the lock file ``path``, waiting (with one printed sentence) for another holder.

    Returns
    -------
    lock, waited
        The held lock, which this process may take again, and whether another run had it first.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(path, is_singleton=True)  # running a notebook's first cell twice must not deadlock
    try:
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


def publish(folder: Path, target: Path) -> None:
    """Rename the finished ``folder`` to the evidence folder ``target``, exchanging it for an existing one.

    Both must lie on one file system. Safe against another process publishing to the same ``target``.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    restore(folder, target)
    old = _aside(folder)
    shutil.rmtree(old, ignore_errors=True)
    work = target.parents[3] / ".work"
    work.mkdir(exist_ok=True)
    with FileLock(work / "publish.lock"):
        if target.exists():
            target.rename(old)
        folder.rename(target)
    shutil.rmtree(old, ignore_errors=True)


def restore(folder: Path, target: Path) -> None:
    """Put back the evidence that a :func:`publish` of ``folder``, killed in between, had moved aside."""
    if _aside(folder).is_dir() and not target.exists():
        _aside(folder).rename(target)


def _aside(folder: Path) -> Path:
    return folder.with_name(f"{folder.name}.replaced")


def file_name(name: str) -> str:
    """Return ``name`` if it can be a file's name."""
    if not re.fullmatch(r"[\w@=+,][\w@=+,. -]*", name):
        raise FerError(f"{name!r} cannot be a file name: use letters, digits and -_.@=+, only.")
    return name


def save_arrays(path: Path, values: dict[str, Any]) -> None:
    """Write arrays as ``.npz``, atomically; text becomes fixed-width strings, other objects are refused."""
    plain = {}
    for name, value in values.items():
        array = np.asarray(value)
        if array.dtype.hasobject:
            if not all(isinstance(item, str) for item in array.flat):
                raise FerError(
                    f"Array {name!r} holds Python objects; only numbers, booleans and text are stored."
                )
            array = array.astype(str)
        plain[name] = array
    with atomic(path) as temporary, temporary.open("wb") as handle:
        np.savez_compressed(handle, **plain)


def public(value: Any) -> Any:
    """Return JSON-able ``value`` with absolute paths cut to their last component: results are published."""
    if isinstance(value, dict):
        return {str(name): public(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [public(item) for item in value]
    if isinstance(value, np.generic | np.ndarray):
        return value.tolist()
    if isinstance(value, Path):
        value = str(value)
    if isinstance(value, str):
        for flavour in (PurePosixPath, PureWindowsPath):
            path = flavour(value)
            if path.is_absolute() and "\n" not in value:
                return path.name
    return value
