"""What a file is by its first bytes, whatever its name says."""

from __future__ import annotations

from pathlib import Path

from fer_lib.errors import FerError

LENGTH = 512  # of what is looked at: a tar archive says so behind its first 257 bytes
COMPRESSED = (b"\x1f\x8b", b"\xfd7zXZ", b"BZh")
ZIP = (b"PK\x03\x04", b"PK\x05\x06")
UNUSABLE = {
    b"version https://git-lfs": "a Git LFS pointer and not the file itself; run `git lfs pull` in the "
    "repository it came from.",
    b"<!doctype html": "a web page (a login page, perhaps) and not the file itself; download it again.",
    b"<html": "a web page (a login page, perhaps) and not the file itself; download it again.",
    b"rar!": "a RAR archive, which only its own program unpacks; unpack it first.",
    b"7z\xbc\xaf": "a 7-Zip archive, which only its own program unpacks; unpack it first.",
    b"pk\x07\x08": "one part of several, which only their own program unpacks; unpack them first.",
}


def read_head(path: Path) -> bytes:
    """Return the first bytes of a file."""
    with path.open("rb") as file:
        return file.read(LENGTH)


def is_archive(head: bytes) -> bool:
    """Return whether a file that begins with ``head`` is a zip or tar archive, or a compressed file."""
    return head.startswith((*COMPRESSED, *ZIP)) or head[257:262] == b"ustar"


def refuse(head: bytes, name: str = "") -> None:
    """Raise FerError if a file that begins with ``head`` holds no data, with what it is and what to do.

    The message begins with ``name``; without it, it lacks the subject.
    """
    start = head.lstrip().lower()
    why = next((why for magic, why in UNUSABLE.items() if start.startswith(magic)), "")
    if not head or why:
        raise FerError(f"{name} is {why or 'empty; get it again.'}".lstrip())
