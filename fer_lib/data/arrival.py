"""How a corpus comes into the data folder, from archives, plain files or a download: whole or not at all.

Everything is unpacked in the hidden folder ``.<name>.import`` beside its place, which no reader looks into.
The folder is renamed once the corpus's reader recognises it; whatever goes wrong before that leaves the data
folder as it was. A lock keeps two arrivals of one corpus apart.
"""

from __future__ import annotations

import filecmp
import logging
import os
import re
import shutil
import sys
import tarfile
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import unquote, urlsplit

from filelock import FileLock, Timeout

from fer_lib import files
from fer_lib.data import datasets
from fer_lib.data.sources import ZIP, is_archive, read_head, refuse, shown, wrong_counts
from fer_lib.errors import AbsentDataError, FerError, one_of
from fer_lib.progress import track

RECORD = "download.json"
TIMEOUT = 30  # seconds without an answer
# Python before 3.11.4 has no data filter; there files are written without their owner and mode.
SAFELY = {"filter": "data"} if hasattr(tarfile, "data_filter") else {"set_attrs": False}


def import_files(
    name: str, paths: Sequence[str | Path], data_dir: str | Path | None = None, replace: bool = False
) -> tuple[Path, list[str]]:
    """Bring a corpus into ``<data_dir>/<name>/`` from its owner's archives or plain files.

    Archives among ``paths`` are unpacked, other files (``fer2013.csv``) copied; several are merged.
    ``data_dir``, by default ``$FER_DATA``, else ``~/fer-data``, is made if needed; ``replace`` replaces a
    copy that is there. Returned are the folder and the archives inside it that are still packed.

    FerError if a file is refused (:func:`unpack`), a copy is there already, or the corpus's reader recognises
    nothing.
    """
    given = [Path(path).expanduser() for path in paths]
    with _arriving(name, data_dir, replace, given) as (folder, target):
        packed = unpack(given, folder)
        _recognise(name, folder, packed)
    return target, packed


def fetch(
    name: str,
    data_dir: str | Path | None = None,
    *,
    url: str | None = None,
    sha256: str | None = None,
    replace: bool = False,
) -> tuple[Path, dict[str, Any]]:
    """Download a corpus that anyone may have and record its source in its folder, in ``download.json``.

    ``data_dir`` and ``replace`` are as in :func:`import_files`. ``url`` is another address of the archive
    that the corpus's card names, and ``sha256`` the checksum that the archive must have. Returned are the
    folder and what is recorded: ``url``, ``sha256``, ``size`` in bytes and when it was ``fetched``.

    FerError if the corpus may not be downloaded (who grants it), the address cannot be reached or answers
    with something else, or a checksum or a count of the corpus is wrong.
    """
    import pooch
    import requests

    card = datasets.CARDS[one_of(name, datasets.NAMES, "dataset")]
    if not card.address and not card.synthetic:
        raise FerError(
            f"{card.title} may not be downloaded by a program ({card.licence}); it is granted by "
            f"{card.owner}. {' '.join(card.obtain.split())} Then: fer data import {name} ARCHIVE..."
        )
    url = url or card.address
    pooch.get_logger().setLevel(logging.WARNING)
    with _arriving(name, data_dir, replace) as (folder, target):
        try:
            file = Path(unquote(urlsplit(url).path)).name or "archive"
            downloader = pooch.HTTPDownloader(progressbar=sys.stderr.isatty(), timeout=TIMEOUT)
            place = folder.parent / "download"
            archive = Path(pooch.retrieve(url, sha256, file, place, downloader=downloader))
        except (requests.RequestException, ValueError) as error:  # pooch: another checksum
            why = str(error) if isinstance(error, ValueError) else "cannot be reached or stopped answering"
            if (answer := getattr(error, "response", None)) is not None:
                why = f"answered {answer.status_code} {answer.reason}"
            raise FerError(
                f"{url}: {why}. Nothing was kept. An archive that a browser downloaded serves as well: "
                f"fer data import {name} ARCHIVE"
            ) from None
        _recognise(name, folder, unpack([archive], folder))
        reader = datasets.READERS[name]
        for chosen in reader.whole:
            if wrong := wrong_counts(reader.locate(folder, **chosen)):
                what = " ".join([*(f"{key} {value}:" for key, value in chosen.items()), *wrong])
                raise FerError(f"{url} sent no complete {card.title} ({what}); nothing was kept.")
        now = datetime.now(UTC).isoformat(timespec="seconds")
        record = {"url": url, "sha256": pooch.file_hash(str(archive)), "size": archive.stat().st_size}
        files.write_json(folder / RECORD, record | {"fetched": now})
    return target, record


@contextmanager
def _arriving(
    name: str, data_dir: str | Path | None, replace: bool, given: Sequence[Path] = ()
) -> Iterator[tuple[Path, Path]]:
    """Yield an empty folder for a corpus and its place, where it is put at the end unless the block raises.

    ``given`` are files that a replaced folder must not take with it.
    """
    if datasets.CARDS[one_of(name, datasets.NAMES, "dataset")].synthetic:
        raise FerError(f"{name} is generated and needs no files.")
    target = datasets.data_folder(data_dir) / name
    stage = target.with_name(f".{name}.import")
    try:
        with files.writing(target.parent):
            target.parent.mkdir(parents=True, exist_ok=True)
            with FileLock(f"{stage}.lock", timeout=0):
                _clear(stage, target)  # what an arrival that was killed has left
                _check_place(name, target, replace, given)
                try:
                    folder = stage / name
                    folder.mkdir(parents=True)
                    yield folder, target
                    if os.path.lexists(target):
                        target.rename(stage / "old")  # `_clear` puts it back should the next line fail
                    folder.rename(target)
                finally:
                    _clear(stage, target)
    except Timeout:
        raise FerError(
            f"Another import of {name} into {target.parent} is under way; wait until it ends."
        ) from None
    except KeyboardInterrupt:
        raise KeyboardInterrupt(f"Interrupted; {shown(target.parent)} is as it was before.") from None


def _clear(stage: Path, target: Path) -> None:
    """Remove what an import left; a copy that it moved away without a successor is put back first."""
    old = stage / "old"
    if os.path.lexists(old) and not os.path.lexists(target):
        old.rename(target)
    shutil.rmtree(stage, ignore_errors=True)


def _check_place(name: str, target: Path, replace: bool, given: Sequence[Path]) -> None:
    """Refuse to bring a corpus to a place where anything is that must not be replaced."""
    found = None
    with suppress(AbsentDataError):
        found = datasets.find(name, target.parent)
    if found is None and not (os.path.lexists(target) and (target.is_file() or any(target.iterdir()))):
        return
    elsewhere = found is not None and not found.is_relative_to(target)
    if elsewhere or not replace:
        how = "" if elsewhere else "add --replace to replace it, or "
        raise FerError(f"{name} is here already, in {shown(found or target)}; {how}move it away.")
    if inside := [path for path in given if path.resolve().is_relative_to(target.resolve())]:
        raise FerError(f"{shown(inside[0])} lies in the folder that would be replaced; move it out first.")


def _recognise(name: str, folder: Path, packed: list[str]) -> None:
    """Remove needless top folders until the corpus's reader finds its files; FerError if it never does."""
    while True:
        with suppress(AbsentDataError):
            datasets.find(name, folder.parent)  # as it will be looked for in the data folder
            return
        entries = list(folder.iterdir())
        if len(entries) != 1 or not entries[0].is_dir():
            break
        aside = entries[0].rename(folder.with_name(".lifted"))
        folder.rmdir()
        aside.rename(folder)
    card = datasets.CARDS[name]
    more = f" ({packed[0]} would have to be unpacked by hand)" if packed else ""
    some = sorted(shown(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())[:3]
    raise FerError(
        f"What was given ({', '.join(some) or 'no file'} ...) is not recognised as {card.title}{more}; "
        f"nothing was kept. Expected files:\n{card.tree}"
    )


def unpack(paths: Sequence[Path], folder: Path) -> list[str]:
    """Unpack zip and tar archives into one folder that nobody else writes to, and copy other files there.

    Archives are told by their content. An archive inside an archive is unpacked into a folder of its name
    without the suffix; those that are still packed are returned. What macOS adds (``__MACOSX``) is left out.
    A file that comes twice is kept once if both are equal.

    FerError names the file: absent, cut off, damaged or protected by a password; or a member: a link or
    device, outside the folder, in two versions.
    """
    for path in paths:
        _unpack(path, shown(path.name), folder)
    packed = [path for path in folder.rglob("*") if path.suffix.lower() in datasets.ARCHIVES]
    return sorted(shown(path.relative_to(folder)) for path in packed)


def _unpack(path: Path, name: str, folder: Path, nested: bool = False) -> None:
    """Unpack or copy one file into ``folder``, aside at first, so that nothing there is overwritten."""
    with TemporaryDirectory(prefix=".unpacking-", dir=folder.parent) as place:
        part = Path(place)
        with _blame(path, name):
            head = read_head(path)
            refuse(head, name)
            if is_archive(head) or path.suffix.lower() in datasets.ARCHIVES:
                _extract(path, name, part)
            else:
                shutil.copyfile(path, part / path.name)
        archives = [] if nested else [f for f in part.rglob("*") if f.suffix.lower() in datasets.ARCHIVES]
        for inner in archives:
            if inner.is_file() and (zipfile.is_zipfile(inner) or tarfile.is_tarfile(inner)):
                home = inner.with_name(re.sub(r"(\.tar)?\.\w+$", "", inner.name))
                _unpack(inner, f"{shown(inner.relative_to(part))} (inside {name})", home, nested=True)
                inner.unlink()
        if nested and [entry.name for entry in part.iterdir()] == [folder.name]:
            folder = folder.parent  # not faces/faces
        for source in sorted(found for found in part.rglob("*") if found.is_file()):
            target = folder / source.relative_to(part)
            try:
                target.parent.mkdir(parents=True, exist_ok=True)
                if target.exists() and not filecmp.cmp(source, target, shallow=False):
                    raise FileExistsError
            except (FileExistsError, NotADirectoryError, IsADirectoryError):
                member = shown(source.relative_to(part))
                raise FerError(
                    f"{name} is refused: its member {member!r} is there already, with other content. "
                    "Nothing was kept."
                ) from None
            source.replace(target)


def _extract(path: Path, name: str, folder: Path) -> None:
    """Unpack one archive into ``folder``: files and folders that stay inside it; no corpus has links."""
    packed = read_head(path).startswith(ZIP)
    archive: Any
    with zipfile.ZipFile(path) if packed else tarfile.open(path, encoding="utf-8") as archive:
        members = archive.infolist() if packed else archive.getmembers()
        for info in track(members, f"unpacking {name}", unit="file"):
            member = info.filename if packed else info.name
            inside = (folder / member).resolve().is_relative_to(folder.resolve())
            if not inside or not (packed or info.isfile() or info.isdir()):
                why = "is a link or device" if inside else "leads out of the folder"
                raise FerError(f"{name} is refused: its member {member!r} {why}. Nothing was kept.")
            if not member.startswith("__MACOSX/"):
                archive.extract(info, folder, **({} if packed else SAFELY))


@contextmanager
def _blame(path: Path, name: str) -> Iterator[None]:
    """Turn what goes wrong while a file is read or unpacked into a FerError that names it."""
    try:
        yield
    except FerError:
        raise
    except IsADirectoryError:
        where = shown(path)
        raise FerError(f"{where} is a folder; use it as it is, with --data-dir {where}.") from None
    except RuntimeError as error:  # a password, or a method that zipfile does not know
        raise FerError(f"{name} cannot be unpacked here ({error}); unpack it yourself first.") from None
    except Exception as error:  # damaged archives lead to many kinds
        if getattr(error, "errno", None) is not None:  # else it is gzip's or bzip2's complaint
            raise FerError(f"{name} cannot be read or unpacked ({error.strerror}).") from None  # type: ignore[attr-defined]
        raise FerError(
            f"{name} is cut off, damaged, one part of several or no archive; get it again."
        ) from None
