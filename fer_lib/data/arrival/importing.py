"""A corpus comes into the data folder whole or not at all.

It grows in the hidden folder ``.<name>.import`` beside its place, which no reader looks into, and is renamed
once its reader recognises it. A lock keeps two arrivals of one corpus apart; who holds it may clear what an
arrival that was killed has left.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from fer_lib.data import datasets
from fer_lib.data.arrival import archives, unpacking
from fer_lib.data.sources import shown
from fer_lib.errors import AbsentDataError, FerError, one_of


def import_archives(
    name: str, paths: Sequence[str | Path], data_dir: str | Path | None = None, replace: bool = False
) -> tuple[Path, unpacking.Unpacked]:
    """Unpack the owners' archives of a corpus, all of them into ``<data_dir>/<name>/``.

    Parameters
    ----------
    name : str
        A corpus that consists of files.
    paths : sequence of path
        One or more archives; several are merged.
    data_dir : path, optional
        The folder that holds corpora; default ``$FER_DATA``, else ``~/fer-data``. It is made if needed.
    replace : bool
        Whether to replace a copy that is there.

    Returns
    -------
    folder : Path
    unpacked : Unpacked

    Raises
    ------
    FerError
        If an archive is refused (:func:`fer_lib.data.arrival.unpacking.unpack`), a copy is there already, or
        the corpus's reader recognises nothing. The data folder is then as it was before.
    """
    place(name, data_dir)  # names a mistake in either before the archives are looked at
    sources = [Path(path).expanduser() for path in paths]
    for path in sources:  # before a folder is made
        archives.open_archive(path).close()
    with arriving(name, data_dir, replace, keep=sources) as folder:
        unpacked = unpacking.unpack(sources, folder)
        recognise(name, folder, unpacked)
    return place(name, data_dir), unpacked


def place(name: str, data_dir: str | Path | None = None) -> Path:
    """Return where a corpus is put: ``<data_dir>/<name>``; FerError for one that has no files."""
    if datasets.CARDS[one_of(name, datasets.NAMES, "dataset")].synthetic:
        raise FerError(f"{name} is generated and needs no files.")
    return datasets.data_folder(data_dir) / name


@contextmanager
def arriving(
    name: str, data_dir: str | Path | None = None, replace: bool = False, keep: Sequence[Path] = ()
) -> Iterator[Path]:
    """Yield an empty folder for a corpus; it is put in place at the end of the block unless that raises.

    Parameters
    ----------
    name, data_dir, replace
        As in :func:`import_archives`.
    keep : sequence of Path
        Files that a replaced folder must not take with it.

    Raises
    ------
    FerError
        If a copy is there already, another arrival is under way, or the folder cannot be written to.
    KeyboardInterrupt
        With a sentence that says what became of the data.
    """
    target = place(name, data_dir)
    stage = target.with_name(f".{name}.import")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(f"{stage}.lock", timeout=0):
            _clear(stage, target)
            _check_place(name, target, replace, keep)
            try:
                folder = stage / name
                folder.mkdir(parents=True)
                yield folder
                _exchange(folder, target, stage / "old")
            finally:
                _clear(stage, target)
    except Timeout:
        raise FerError(
            f"Another import of {name} into {target.parent} is under way; wait until it ends."
        ) from None
    except OSError as error:
        where = shown(error.filename or target.parent)
        raise FerError(
            f"{where} cannot be written to ({error.strerror or error}); make it writable, or choose another "
            "folder with --data-dir."
        ) from None
    except KeyboardInterrupt:
        raise KeyboardInterrupt(f"Interrupted; {shown(target.parent)} is as it was before.") from None


def _clear(stage: Path, target: Path) -> None:
    """Remove what an import left, at its end or when it was killed.

    A copy that it had moved away without putting the new one in place is put back first; if that fails,
    nothing is removed.
    """
    old = stage / "old"
    if os.path.lexists(old) and not os.path.lexists(target):
        old.rename(target)
    shutil.rmtree(stage, ignore_errors=True)


def _exchange(folder: Path, target: Path, old: Path) -> None:
    """Put ``folder`` in the place of ``target``, which, if there, is moved to ``old``."""
    if os.path.lexists(target):
        target.rename(old)  # `_clear` puts it back should the next line fail
    folder.rename(target)


def _check_place(name: str, target: Path, replace: bool, keep: Sequence[Path]) -> None:
    """Refuse to bring a corpus where a copy or anything else is that must not be replaced."""
    try:
        found = datasets.find(name, target.parent)
    except AbsentDataError:
        found = None
    if found is not None and not found.is_relative_to(target):
        raise FerError(
            f"{name} is here already, in {shown(found)}; use that copy, move it away, or choose another "
            "folder with --data-dir."
        )
    if not os.path.lexists(target) or (target.is_dir() and not any(target.iterdir())):
        return
    if target.is_file():
        raise FerError(f"{shown(target)} is a file, where the folder of {name} belongs; move it away.")
    if not replace:
        what = f"{name} is here already, in" if found else "There are other files in"
        raise FerError(f"{what} {shown(target)}; add --replace to replace the folder, or move it away.")
    if inside := [path for path in keep if path.resolve().is_relative_to(target.resolve())]:
        raise FerError(f"{shown(inside[0])} lies in the folder that would be replaced; move it out first.")


def recognise(name: str, folder: Path, unpacked: unpacking.Unpacked) -> None:
    """Let needless top folders go until the corpus's reader finds its files.

    Raises
    ------
    FerError
        If it never does: what was expected.
    """
    unpacking.lift(folder)
    while True:
        try:
            datasets.find(name, folder.parent)  # as it will be looked for in the data folder
            return
        except AbsentDataError:
            if unpacking.lift(folder, whatever_name=True):
                continue
        card = datasets.CARDS[name]
        packed = f" ({unpacked.packed[0]} would have to be unpacked by hand)" if unpacked.packed else ""
        raise FerError(
            f"What was unpacked is not recognised as {card.title}{packed}; nothing was kept. "
            f"Expected files:\n{card.tree}"
        )
