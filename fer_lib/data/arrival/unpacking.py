"""Archives unpacked into one folder: merged, one level of archives inside them too, with progress.

Every member has been judged (:mod:`fer_lib.data.arrival.archives`) before the first is written. What
operating
systems leave behind (``.DS_Store``, ``__MACOSX`` and the like) is left out and counted.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from fer_lib.data.arrival.archives import Archive, Megabytes, blame, open_archive, refuse, survey
from fer_lib.data.sources import shown
from fer_lib.errors import FerError

SUFFIXES = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.xz", ".txz", ".tar.bz2", ".tbz2", ".tbz")
FOREIGN = (".rar", ".7z")  # not unpacked
LEFT_BEHIND = re.compile(r"(.*/)?(__MACOSX(/.*)?|\.DS_Store|\._[^/]*|Thumbs\.db|desktop\.ini)", re.I | re.S)
CHUNK = 2**20


@dataclass
class Unpacked:
    """What :func:`unpack` wrote: the number of files, their bytes, and what it did not unpack."""

    files: int = 0
    size: int = 0
    left_behind: int = 0  # files of operating systems
    packed: list[str] = field(default_factory=list)  # archives two levels deep, or of a foreign kind


def unpack(archives: Sequence[Path], folder: Path) -> Unpacked:
    """Unpack ``archives`` into one ``folder``, merging them; shows progress.

    A file that comes twice is kept once if both are equal. Modes, owners and times are those of new
    files. Names that are not UTF-8 keep their bytes (tar) or are read as the zip format's own code page.
    An archive inside an archive is unpacked into a folder that has its name without the suffix, and
    removed; should that folder then hold a single thing of the same name, this takes its place.

    Parameters
    ----------
    archives : sequence of Path
        All of them are judged before anything of the first is written.
    folder : Path
        An existing folder without links, which nobody else writes to.

    Raises
    ------
    FerError
        Naming the archive and, where one is to blame, its member: refused by name, protected by a
        password, in two versions; or the archive is absent, cut off, damaged, none, or larger than
        what is free on the disk. What had been written by then stays in ``folder``.
    """
    result, inner = Unpacked(), []
    with ExitStack() as stack:
        outer = [open_archive(path) for path in archives]
        for archive in outer:
            stack.callback(archive.close)
        survey(outer, folder)
        for archive in outer:
            inner += _extract(archive, folder, result)
    outside = " or ".join(archive.name for archive in outer)
    for path in inner:
        archive = open_archive(path, f"{path.relative_to(folder)} (inside {outside})")
        with closing(archive):
            survey([archive], folder)
            home = path.with_name(_stem(path.name))
            if home.is_file():
                home = path.with_name(f"{path.name}.unpacked")
            home.mkdir(exist_ok=True)
            deeper = _extract(archive, home, result)
        result.packed += [shown(deep.relative_to(folder)) for deep in deeper]
        result.files -= 1
        result.size -= path.stat().st_size
        path.unlink()
        lift(home)
    return result


def lift(folder: Path, whatever_name: bool = False) -> bool:
    """Let the only thing in ``folder`` take the folder's place if both have the same name; say whether.

    With ``whatever_name``, do so for an only folder of any name.
    """
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


def _stem(name: str) -> str:
    """Return an archive's name without its suffix: ``faces.tar.gz`` -> ``faces``."""
    suffix = max((s for s in SUFFIXES if name.lower().endswith(s)), key=len, default="")
    return name[: len(name) - len(suffix)] or name + ".unpacked"


def _extract(archive: Archive, folder: Path, result: Unpacked) -> list[Path]:
    """Write the members into ``folder``; return those that are archives themselves."""
    inner = []
    with blame(archive.path, archive.name), Megabytes(archive.size, f"unpacking {archive.name}") as bar:
        for name, entry, size in archive.members:
            if LEFT_BEHIND.fullmatch(name.rstrip("/")):
                result.left_behind += size is not None
                continue
            target = folder.joinpath(*(part for part in name.split("/") if part not in ("", ".")))
            try:
                if size is None:
                    target.mkdir(parents=True, exist_ok=True)
                    continue
                target.parent.mkdir(parents=True, exist_ok=True)
                with archive.stream(entry) as stream:
                    fresh = _write(stream, target, size, bar.advance)
            except (FileExistsError, NotADirectoryError, IsADirectoryError):
                refuse(
                    archive, name, "is there already, with other content, from this archive or one before it"
                )
            except OSError as error:
                if error.errno is None:  # a damaged archive
                    raise
                raise FerError(f"{shown(target)} cannot be written ({error.strerror}).") from None
            if not fresh:
                continue
            result.files += 1
            result.size += size
            if name.lower().endswith(SUFFIXES):
                inner.append(target)
            elif name.lower().endswith(FOREIGN):
                result.packed.append(shown(name))
    return inner


def _write(stream: IO[bytes], target: Path, size: int, advance: Callable[[int], None]) -> bool:
    """Write ``size`` bytes to a new file and return True; False where the same content is there already."""
    there = target.is_file()  # or one of the same name, but for its case, on some file systems
    written = 0
    with target.open("rb" if there else "xb") as file:
        while chunk := stream.read(CHUNK):
            if there and file.read(len(chunk)) != chunk:
                raise FileExistsError(target)
            if not there:
                file.write(chunk)
            written += len(chunk)
            advance(len(chunk))
        if there and file.read(1):
            raise FileExistsError(target)
    if written != size:
        raise EOFError
    return not there
