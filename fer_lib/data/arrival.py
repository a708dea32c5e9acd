"""How a corpus comes into the data folder, from archives, plain files or a download: whole or not at all.

Everything is unpacked in the hidden folder ``.<name>.import`` beside its place, which no reader looks into.
The folder is renamed once the corpus's reader recognises it; whatever goes wrong before that leaves the data
folder as it was. A lock keeps two arrivals of one corpus apart.
"""

from __future__ import annotations

import filecmp
import json
import logging
import lzma
import os
import re
import shutil
import stat
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import unquote, urlsplit

from filelock import FileLock, Timeout

from fer_lib import files
from fer_lib.data import datasets, first_bytes
from fer_lib.data.sources import shown
from fer_lib.errors import AbsentDataError, FerError, one_of
from fer_lib.progress import Bar, track

RECORD = "download.json"
TIMEOUT = 30  # seconds without an answer
ARCHIVE = re.compile(r"(.+)\.(zip|tar|tgz|txz|tbz2?|tar\.(gz|xz|bz2))", re.I | re.S)
JUNK = re.compile(r"(.*/)?(__MACOSX(/.*)?|\.DS_Store|\._[^/]*|Thumbs\.db|desktop\.ini)/?", re.I | re.S)
FOREIGN = (".rar", ".7z")  # not unpacked
# Python before 3.11.4 has no data filter: what was judged is written there without its owner and mode.
SAFELY = {"filter": "data"} if hasattr(tarfile, "data_filter") else {"set_attrs": False}
DAMAGE = (zipfile.BadZipFile, tarfile.TarError, lzma.LZMAError, zlib.error, struct.error, EOFError)
DAMAGE += (ValueError, OverflowError, IndexError, RuntimeError)  # what mutated archives lead to
MEGABYTE = 10**6
CHUNK = 2**20
PADDING = 64  # chunks that a tar may go on for after its end mark


@dataclass
class Unpacked:
    """What :func:`unpack` wrote: the number of files and their bytes, and what it left."""

    files: int
    size: int
    left_behind: int  # files that operating systems leave in folders
    packed: list[str]  # archives two levels deep, or of a foreign kind


def import_files(
    name: str, paths: Sequence[str | Path], data_dir: str | Path | None = None, replace: bool = False
) -> tuple[Path, Unpacked]:
    """Bring a corpus into ``<data_dir>/<name>/`` from its owner's archives or plain files.

    Parameters
    ----------
    name : str
        A corpus that consists of files.
    paths : sequence of path
        Archives are unpacked, other files (``fer2013.csv``) copied; several are merged.
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
        If a file is refused (:func:`unpack`), a copy is there already, or the corpus's reader recognises
        nothing. The data folder is then as it was before.
    """
    target = _place(name, data_dir)
    given = [Path(path).expanduser() for path in paths]
    for path in given:  # before a folder is made
        with _blame(path, shown(path.name)):
            first_bytes.refuse(first_bytes.read_head(path), shown(path.name))
    with arriving(name, data_dir, replace, keep=given) as folder:
        unpacked = unpack(given, folder)
        _recognise(name, folder, unpacked)
    return target, unpacked


def fetch(
    name: str,
    data_dir: str | Path | None = None,
    *,
    url: str | None = None,
    sha256: str | None = None,
    replace: bool = False,
) -> tuple[Path, dict[str, Any]]:
    """Download a corpus into ``<data_dir>/<name>/`` and record its source there, in ``download.json``.

    Parameters
    ----------
    name : str
        A corpus that anyone may have: its card has an ``address``.
    data_dir, replace
        As in :func:`import_files`.
    url : str, optional
        Another address (http or https) of the same archive.
    sha256 : str, optional
        The checksum that the archive must have, 64 hexadecimal digits. Without it the archive must have
        the one that an earlier download from the same address recorded, and the corpus its own counts.

    Returns
    -------
    folder : Path
    record : dict
        ``url``, ``sha256``, ``size`` in bytes, what it was ``verified`` by, and when it was ``fetched``.

    Raises
    ------
    FerError
        If the corpus may not be downloaded (who grants it), the address cannot be reached or answers with
        something else, or a checksum or count is wrong. The data folder is then as it was before.
    """
    import pooch

    card = datasets.CARDS[one_of(name, datasets.NAMES, "dataset")]
    if not card.address and not card.synthetic:
        raise FerError(
            f"{card.title} may not be downloaded by a program ({card.licence}); it is granted by "
            f"{card.owner}. {' '.join(card.obtain.split())} Then: fer data import {name} ARCHIVE..."
        )
    target = _place(name, data_dir)
    url = url or card.address
    if not re.match(r"https?://\w", url):
        raise FerError(f"--url {url}: an address begins with https:// or http://.")
    if sha256 is not None and not re.fullmatch("[0-9a-fA-F]{64}", sha256):
        raise FerError(f"--sha256 {sha256}: a sha256 is 64 hexadecimal digits.")
    before = ""
    with suppress(OSError, ValueError, KeyError, TypeError):  # no record, or none of ours
        record = json.loads((target / RECORD).read_text(encoding="utf-8"))
        before = record["sha256"] if record["url"] == url and not sha256 else ""
    with arriving(name, data_dir, replace) as folder:
        archive = _download(url, folder.parent / "download")
        found = pooch.file_hash(str(archive), alg="sha256")
        if sha256 and found != sha256.lower():
            raise FerError(f"{url} has the sha256 {found}, not {sha256}; nothing was kept.")
        if before and found != before:
            raise FerError(
                f"{url} has another sha256 ({found}) than when it was downloaded before ({before}); if that "
                f"is meant, add --sha256 {found}."
            )
        size = archive.stat().st_size
        _recognise(name, folder, unpack([archive], folder))
        if not sha256 and (wrong := _wrong_counts(name, folder)):
            raise FerError(
                f"What {url} sent is not the complete {card.title}: {'; '.join(wrong)}. Nothing was kept; if "
                f"you want it all the same, add --sha256 {found}."
            )
        verified = "the corpus's own counts (no sha256 of it is published)"
        if sha256 or before:
            verified = f"the sha256 {'given' if sha256 else 'of before'}"
        now = datetime.now(UTC).isoformat(timespec="seconds")
        record = {"url": url, "sha256": found, "size": size, "verified": verified, "fetched": now}
        files.write_json(folder / RECORD, record)
    return target, record


def _place(name: str, data_dir: str | Path | None) -> Path:
    if datasets.CARDS[one_of(name, datasets.NAMES, "dataset")].synthetic:
        raise FerError(f"{name} is generated and needs no files.")
    return datasets.data_folder(data_dir) / name


# --- whole or not at all -------------------------------------------------------------------------


@contextmanager
def arriving(
    name: str, data_dir: str | Path | None = None, replace: bool = False, keep: Sequence[Path] = ()
) -> Iterator[Path]:
    """Yield an empty folder for a corpus; it is put in place at the end of the block unless that raises.

    ``keep`` are files that a replaced folder must not take with it. Raises FerError if a copy is there
    already, another arrival is under way or the folder cannot be written to, and KeyboardInterrupt with a
    sentence that says what became of the data.
    """
    target = _place(name, data_dir)
    stage = target.with_name(f".{name}.import")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(f"{stage}.lock", timeout=0):
            _clear(stage, target)  # what an arrival that was killed has left
            _check_place(name, target, replace, keep)
            try:
                folder = stage / name
                folder.mkdir(parents=True)
                yield folder
                if os.path.lexists(target):
                    target.rename(stage / "old")  # `_clear` puts it back should the next line fail
                folder.rename(target)
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
    """Remove what an import left; a copy that it moved away without a successor is put back first."""
    old = stage / "old"
    if os.path.lexists(old) and not os.path.lexists(target):
        old.rename(target)
    shutil.rmtree(stage, ignore_errors=True)


def _check_place(name: str, target: Path, replace: bool, keep: Sequence[Path]) -> None:
    """Refuse to bring a corpus to a place where anything is that must not be replaced."""
    found = None
    with suppress(AbsentDataError):
        found = datasets.find(name, target.parent)
    if found is not None and not found.is_relative_to(target):
        raise FerError(
            f"{name} is here already, in {shown(found)}; use that copy, move it away, or choose another "
            "folder with --data-dir."
        )
    if not os.path.lexists(target) or (target.is_dir() and not any(target.iterdir())):
        return
    if not replace:
        what = f"{name} is here already, in" if found else "Something else is already in the place of"
        raise FerError(f"{what} {shown(target)}; add --replace to replace it, or move it away.")
    if inside := [path for path in keep if path.resolve().is_relative_to(target.resolve())]:
        raise FerError(f"{shown(inside[0])} lies in the folder that would be replaced; move it out first.")


def _recognise(name: str, folder: Path, unpacked: Unpacked) -> None:
    """Remove needless top folders until the corpus's reader finds its files; FerError if it never does."""
    _lift(folder)
    while True:
        try:
            datasets.find(name, folder.parent)  # as it will be looked for in the data folder
            return
        except AbsentDataError:
            if _lift(folder, whatever_name=True):
                continue
        card = datasets.CARDS[name]
        packed = f" ({unpacked.packed[0]} would have to be unpacked by hand)" if unpacked.packed else ""
        some = sorted(shown(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())[:3]
        raise FerError(
            f"What was given ({', '.join(some)}{', ...' if unpacked.files > 3 else ''}) is not recognised as "
            f"{card.title}{packed}; nothing was kept. Expected files:\n{card.tree}"
        )


def _lift(folder: Path, whatever_name: bool = False) -> bool:
    """Let the only thing in ``folder`` take its place if it has its name (or is a folder); say whether."""
    entries = list(folder.iterdir())
    if len(entries) != 1:
        return False
    (only,) = entries
    if only.name.casefold() != folder.name.casefold() and not (whatever_name and only.is_dir()):
        return False
    aside = folder.with_name(f".{folder.name}.lifted")
    only.rename(aside)
    folder.rmdir()
    aside.rename(folder)
    return True


# --- unpacking -----------------------------------------------------------------------------------


def unpack(paths: Sequence[Path], folder: Path) -> Unpacked:
    """Unpack archives into one folder, merging them, and copy other files there; shows progress.

    Zip, tar, tar.gz, tar.xz and tar.bz2 are told by their content. An archive inside an archive is
    unpacked into a folder of its name without the suffix, and removed. What operating systems leave
    behind is left out. A file that comes twice is kept once if both are equal.

    Parameters
    ----------
    paths : sequence of Path
    folder : Path
        An existing folder that nobody else writes to.

    Raises
    ------
    FerError
        Naming the file: absent, cut off, damaged, one part of several, protected by a password, larger
        than what is free on the disk; or a member: a link or device, outside the folder, in two versions.
        What had been written by then stays in ``folder`` and beside it.
    """
    left = 0
    for path in paths:
        name = shown(path.name)
        with _blame(path, name), TemporaryDirectory(prefix=".unpacking-", dir=folder.parent) as place:
            head, part = first_bytes.read_head(path), Path(place)
            first_bytes.refuse(head, name)
            if first_bytes.is_archive(head) or ARCHIVE.fullmatch(path.name) or tarfile.is_tarfile(path):
                _extract(path, name, part)
                for inner in [f for f in part.rglob("*") if ARCHIVE.fullmatch(f.name) and f.is_file()]:
                    stem = ARCHIVE.fullmatch(inner.name)[1]  # type: ignore[index]
                    taken = inner.with_name(stem).is_file()
                    home = inner.with_name(f"{inner.name}.unpacked" if taken else stem)
                    home.mkdir(exist_ok=True)
                    _extract(inner, f"{shown(inner.relative_to(part))} (inside {name})", home)
                    inner.unlink()
                    _lift(home)
            else:
                shutil.copyfile(path, part / path.name)
            left += _merge(part, folder, name)
    found = [path for path in folder.rglob("*") if path.is_file()]
    still = [path for path in found if ARCHIVE.fullmatch(path.name) or path.suffix.lower() in FOREIGN]
    packed = sorted(shown(path.relative_to(folder)) for path in still)
    return Unpacked(len(found), sum(path.stat().st_size for path in found), left, packed)


def _extract(path: Path, name: str, folder: Path) -> None:
    """Unpack one archive into ``folder``; the library keeps every member inside it."""
    with _blame(path, name), path.open("rb") as file:
        if file.read(4) in first_bytes.ZIP:
            file.seek(-min(file.seek(0, os.SEEK_END), CHUNK // 16), os.SEEK_END)
            _, end, disk = file.read().rpartition(b"PK\x05\x06")
            if re.search(r"\.z?\d{2,3}$", path.name) or (end and disk[:2] not in (b"\0\0", b"\xff\xff")):
                raise FerError(
                    f"{name} is one part of several; join them first with the program they are from."
                )
            with zipfile.ZipFile(file) as archive:
                _extract_members(archive, archive.infolist(), name, folder)
            return
        file.seek(0)
        with tarfile.open(fileobj=file, encoding="utf-8") as archive:
            members = archive.getmembers()
            archive.fileobj.seek(archive.offset)
            if archive.fileobj.read(tarfile.BLOCKSIZE) != bytes(tarfile.BLOCKSIZE):
                raise EOFError  # tarfile takes a header that is damaged or missing for the end
            for _ in range(PADDING):  # on to the end, where the compression's own checksum is
                if not archive.fileobj.read(CHUNK):
                    break
            _extract_members(archive, members, name, folder)


def _extract_members(archive: Any, members: Sequence[Any], name: str, folder: Path) -> None:
    """Judge all members of an open archive by name and kind, then write them."""
    packed = isinstance(archive, zipfile.ZipFile)
    size = 0
    for info in members:
        member = info.orig_filename if packed else info.name
        is_link = stat.S_ISLNK(info.external_attr >> 16) if packed else info.issym() or info.islnk()
        why = "leads out of the folder" if misplaced(member) else "is a link" if is_link else ""
        if not why and not packed and not (info.isfile() or info.isdir()):
            why = "is a device"
        if packed and info.flag_bits & 1:
            why = "is protected by a password: unpack it yourself first"
        if why:
            raise _refused(name, member, why)
        size += info.file_size if packed else info.size
    if not any(not (info.is_dir() if packed else info.isdir()) for info in members):
        raise FerError(f"{name} holds no files.")
    if size > (free := shutil.disk_usage(folder).free):
        raise FerError(
            f"{name} has {size / MEGABYTE:,.0f} MB when unpacked, but the disk of {shown(folder.parent)} has "
            f"{free / MEGABYTE:,.0f} MB free; make room, or choose another folder with --data-dir."
        )
    for info in track(members, f"unpacking {name}", len(members), "file"):
        archive.extract(info, folder, **({} if packed else SAFELY))


def misplaced(name: str) -> bool:
    """Return whether a member of this name might land outside the folder on any system."""
    parts = name.split("/")
    up = any(part not in ("", ".") and not part.strip(". ") for part in parts)  # some drop dots and spaces
    return name.startswith("/") or up or "\\" in name or "\0" in name or any(p[1:2] == ":" for p in parts)


def _refused(name: str, member: str, why: str) -> FerError:
    return FerError(f"{name} is refused: its member {member[:200]!r} {why}. Nothing was kept.")


def _merge(part: Path, folder: Path, name: str) -> int:
    """Move the files below ``part`` into ``folder``; return how many were left out as junk."""
    left = 0
    for path in sorted(found for found in part.rglob("*") if found.is_file()):
        member = path.relative_to(part).as_posix()
        if JUNK.fullmatch(member):
            left += 1
            continue
        target = folder / member
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            if target.exists() and not filecmp.cmp(path, target, shallow=False):
                raise FileExistsError
        except (FileExistsError, NotADirectoryError, IsADirectoryError):
            raise _refused(name, shown(member), "is there already, with other content") from None
        path.replace(target)
    return left


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
    except (OSError, *DAMAGE) as error:
        if getattr(error, "errno", None) is not None:  # else it is gzip's or bzip2's complaint
            raise FerError(f"{name} cannot be read or unpacked ({error.strerror}).") from None  # type: ignore[union-attr]
        if isinstance(error, NotImplementedError):
            raise FerError(
                f"{name} is packed as only newer programs know; unpack it yourself first."
            ) from None
        raise FerError(f"{name} is cut off, damaged or no archive; get it again.") from None


# --- download ------------------------------------------------------------------------------------


class _Received(Bar):
    """The line of progress as pooch wants it."""

    def reset(self) -> None:
        self.done = 0

    def close(self) -> None:
        pass


def _download(url: str, folder: Path) -> Path:
    """Download ``url`` into ``folder`` and return the file; pooch cannot take up one that broke off."""
    import pooch
    import requests

    name = re.sub(r"[^\w.+-]", "_", Path(unquote(urlsplit(url).path)).name) or "archive"
    pooch.get_logger().setLevel(logging.WARNING)
    # A server might send a tar.gz as a tar that is compressed on its way; the checksum would be another.
    options = {"timeout": TIMEOUT, "headers": {"Accept-Encoding": "identity"}, "chunk_size": 2**16}
    try:
        with _Received(1, f"downloading {name}", "B") as bar:
            downloader = pooch.HTTPDownloader(progressbar=bar, **options)
            return Path(pooch.retrieve(url, None, name, folder, downloader=downloader))
    except requests.RequestException as error:
        why = "cannot be reached; is there a way to the internet?"
        if error.response is not None:
            why = f"answered {error.response.status_code} {error.response.reason}; is the address right?"
        elif isinstance(error, requests.Timeout):
            why = f"does not answer ({TIMEOUT} s); try again later."
        elif isinstance(error, requests.exceptions.ChunkedEncodingError):
            why = "stopped before everything had arrived; try again."
        raise FerError(
            f"{url} {why} An archive that a browser downloaded serves as well: fer data import NAME ARCHIVE"
        ) from None


def _wrong_counts(name: str, folder: Path) -> list[str]:
    """Hold what arrived against what the reader knows of a complete copy, in every selection of its files."""
    reader, wrong = datasets.READERS[name], []
    for selection in reader.whole:
        source = reader.locate(folder, **selection)
        chosen = "".join(f" at {key} {value}" for key, value in selection.items())
        wrong += [
            f"{source.facts.get(what, 0):,} {what} images{chosen}, not {number:,}"
            for what, number in source.expected.items()
            if source.facts.get(what, 0) != number
        ]
    return wrong
