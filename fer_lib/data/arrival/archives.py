"""The owners' archives, opened and judged: zip, tar, tar.gz, tar.xz and tar.bz2, told apart by their content.

Refused by name are members that would land outside the folder (absolute paths, ``..``, drives, backslashes),
links, devices, pipes and what is protected by a password; refused as a whole is what would not fit on the
disk. :mod:`fer_lib.data.arrival.unpacking` writes what passed.
"""

from __future__ import annotations

import lzma
import re
import shutil
import stat
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, NoReturn

from fer_lib.data.decoding import LFS_POINTER
from fer_lib.data.sources import shown
from fer_lib.errors import FerError
from fer_lib.progress import Bar

FOREIGN = {b"Rar!": "RAR", b"7z\xbc\xaf": "7-Zip"}  # first bytes of what is not unpacked here
COMPRESSED = (b"\x1f\x8b", b"\xfd7zXZ", b"BZh")
ZIP_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA)
DRIVE = re.compile("[A-Za-z]:")
KINDS = {  # of a zip's member, in the mode it may record
    stat.S_IFLNK: "is a symbolic link",
    stat.S_IFCHR: "is a device",
    stat.S_IFBLK: "is a device",
    stat.S_IFIFO: "is a named pipe",
    stat.S_IFSOCK: "is a socket",
}
DAMAGE = (
    zipfile.BadZipFile,
    tarfile.TarError,
    lzma.LZMAError,
    zlib.error,
    struct.error,
    EOFError,
    ValueError,
)
DAMAGE = (*DAMAGE, OverflowError, IndexError, RuntimeError, NotImplementedError)  # met with mutated archives
MEGABYTE = 10**6
PADDING = 64  # MiB that a tar may go on after its end mark
Entry = zipfile.ZipInfo | tarfile.TarInfo


class Megabytes(Bar):
    """A line of progress that is moved by bytes and counts whole megabytes."""

    def __init__(self, size: int, label: str) -> None:
        super().__init__(max(1, size // MEGABYTE), label, "MB")
        self.position = 0

    def advance(self, count: int) -> None:
        """Move on by ``count`` bytes."""
        self.reach(self.position + count)

    def reach(self, position: int) -> None:
        """Move to ``position`` bytes from the start."""
        self.position = position
        self.update(position // MEGABYTE - self.done)


@dataclass
class Archive:
    """An open archive and, once surveyed, its members: path, what the archive knows it by, size or None."""

    path: Path
    name: str  # as it is called in sentences
    raw: IO[bytes]
    content: zipfile.ZipFile | tarfile.TarFile
    members: list[tuple[str, Entry, int | None]] = field(default_factory=list)

    @property
    def size(self) -> int:
        """Bytes of all members as the archive declares them."""
        return sum(size or 0 for _, _, size in self.members)

    def stream(self, entry: Entry) -> IO[bytes]:
        """Open one of the files."""
        if isinstance(self.content, zipfile.ZipFile):
            return self.content.open(entry)
        return self.content.extractfile(entry)  # type: ignore[return-value] (judged to be a file)

    def close(self) -> None:
        """Close the archive."""
        self.content.close()
        self.raw.close()


class _StrictInfo(tarfile.TarInfo):
    """A tar header; a damaged or missing one is an error, which tarfile alone would take for the end."""

    @classmethod
    def fromtarfile(cls, archive: tarfile.TarFile) -> tarfile.TarInfo:
        try:
            return super().fromtarfile(archive)
        except tarfile.EOFHeaderError:  # the end as it should be: a block of zeros
            raise
        except tarfile.HeaderError:
            raise tarfile.ReadError("a header is damaged or missing") from None


def open_archive(path: Path, name: str = "") -> Archive:
    """Open an archive of whichever kind.

    Parameters
    ----------
    path : Path
    name : str, optional
        What to call it in sentences; default its file's name.

    Raises
    ------
    FerError
        If it is absent, unreadable, empty, or no archive (but a folder, a web page, ...).
    """
    name = shown(name or path.name)
    with blame(path, name), ExitStack() as stack:
        raw = stack.enter_context(path.open("rb"))
        head = raw.read(256)
        raw.seek(0)
        if why := _no_archive(head):
            raise FerError(f"{name} {why}")
        if head.startswith(b"PK"):
            content: zipfile.ZipFile | tarfile.TarFile = zipfile.ZipFile(raw)
        else:
            try:
                content = tarfile.open(fileobj=raw, tarinfo=_StrictInfo, encoding="utf-8")  # noqa: SIM115
            except tarfile.TarError:
                if head.startswith(COMPRESSED):
                    raise
                raise FerError(
                    f"{name} is neither a zip nor a tar archive, or its beginning is damaged."
                ) from None
        stack.pop_all()
        return Archive(path, name, raw, content)


def _no_archive(head: bytes) -> str:
    """Say what a file that begins like this is if it is known to be none of our archives."""
    for magic, kind in FOREIGN.items():
        if head.startswith(magic):
            return f"is a {kind} archive, which only its own program unpacks; do so first."
    if not head:
        return "is empty; get it again."
    if head.startswith(LFS_POINTER):
        return "is a Git LFS pointer and not the archive; run `git lfs pull` where it is from."
    if head.lstrip().lower().startswith((b"<!doctype", b"<html")):
        return "is a web page (of a login, perhaps), not an archive; download it again."
    return ""


@contextmanager
def blame(path: Path, name: str) -> Iterator[None]:
    """Turn what goes wrong while an archive is read into a FerError that names it."""
    try:
        yield
    except FerError:
        raise
    except IsADirectoryError:
        raise FerError(
            f"{shown(path)} is a folder and needs no unpacking; give archives, or use it as it is."
        ) from None
    except OSError as error:
        if error.errno is not None:
            raise FerError(f"{shown(path)} cannot be read ({error.strerror}).") from None
        raise _damaged(name) from None  # gzip's and bzip2's complaints
    except DAMAGE:
        raise _damaged(name) from None


def _damaged(name: str) -> FerError:
    return FerError(f"{name} is cut off or damaged; get it again.")


def refuse(archive: Archive, member: str, why: str) -> NoReturn:
    """Raise the FerError that names an archive's member and says why it is refused."""
    raise FerError(f"{archive.name} is refused: its member {member[:200]!r} {why}. Nothing was kept.")


def misplaced(name: str) -> str:
    """Say why a member of this name might land outside the folder it is unpacked into; empty if it cannot.

    Examples
    --------
    >>> misplaced("faces/../../x")
    'leads out of the folder'
    """
    parts = name.split("/")
    if name.startswith("/"):
        return "has an absolute path"
    if any(part not in ("", ".") and not part.strip(". ") for part in parts):  # some systems drop end spaces
        return "leads out of the folder"
    if "\\" in name:
        return "has a backslash in its name"
    if any(DRIVE.match(part) for part in parts):
        return "names a drive"
    return "has a NUL in its name" if "\0" in name else ""


def survey(archives: Sequence[Archive], folder: Path) -> None:
    """List and judge the members of ``archives``; refuse them, or more than the disk has room for.

    Parameters
    ----------
    archives : sequence of Archive
        Open; their ``members`` are filled.
    folder : Path
        On the disk they are to be unpacked to.

    Raises
    ------
    FerError
        Naming the archive and the member.
    """
    free = shutil.disk_usage(folder).free
    total = 0
    for archive in archives:
        whole = archive.path.stat().st_size
        with blame(archive.path, archive.name), Megabytes(whole, f"reading {archive.name}") as bar:
            for name, entry, size in _listed(archive, folder):
                if why := misplaced(name):
                    refuse(archive, name, why)
                archive.members.append((name, entry, size))
                total += size or 0
                if total > free:  # before the rest is even read: it may be endless
                    names = " and ".join(a.name for a in archives)
                    raise FerError(
                        f"{names}: at least {total / MEGABYTE:,.0f} MB when unpacked, but the disk of "
                        f"{shown(folder)} has {free / MEGABYTE:,.0f} MB free; make room, or choose another "
                        "folder with --data-dir."
                    )
                if isinstance(entry, tarfile.TarInfo):
                    bar.reach(archive.raw.tell())
            if isinstance(archive.content, tarfile.TarFile):
                for _ in range(PADDING):  # to the end, where the compression's own checksum is
                    if not archive.content.fileobj.read(2**20):  # type: ignore[union-attr]
                        break
        if not any(size is not None for _, _, size in archive.members):
            raise FerError(f"{archive.name} holds no files.")


def _listed(archive: Archive, folder: Path) -> Iterator[tuple[str, Entry, int | None]]:
    """Yield name, entry and size (None for a folder) of each member; refuse what is no file or folder."""
    if isinstance(archive.content, zipfile.ZipFile):
        for info in archive.content.infolist():
            name = info.orig_filename  # as it is in the archive, with backslashes and all
            if why := KINDS.get(stat.S_IFMT(info.external_attr >> 16)):
                refuse(archive, name, why)
            if info.flag_bits & 1:
                refuse(
                    archive, name, "is protected by a password: unpack it yourself and pack it without one"
                )
            if info.compress_type not in ZIP_METHODS:
                refuse(
                    archive, name, "is compressed in a way that only newer programs know: unpack it yourself"
                )
            yield name, info, None if name.endswith("/") else info.file_size
        return
    for info in archive.content:
        if info.issym() or info.islnk():
            refuse(archive, info.name, "is a symbolic link" if info.issym() else "is a hard link")
        if not (info.isreg() or info.isdir()):
            kind = "named pipe" if info.isfifo() else "device" if info.isdev() else "thing of unknown kind"
            refuse(archive, info.name, f"is a {kind}")
        if not misplaced(info.name) and hasattr(tarfile, "data_filter"):  # from Python 3.11.4 on
            try:  # a second judgement, by the library
                tarfile.data_filter(info, str(folder))
            except tarfile.FilterError:
                refuse(archive, info.name, "is not plain data")
        yield info.name, info, None if info.isdir() else info.size
