"""What a reader finds in a folder: whatever people's copies hold becomes a sentence, never a silent loss."""

from __future__ import annotations

import filecmp
import itertools
import os
import re
import shlex
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fer_lib.data.corpus import Corpus
from fer_lib.errors import AbsentDataError, FerError

HIDDEN = (".", "__MACOSX")  # folders that are left out
NAMED = 3  # of the files that are passed over
ALIKE = 3  # faults of one kind that are listed one by one
SOME = 5  # sequences that a remark names
ENTRIES = 500_000  # files that are looked at: more than twice what the largest corpus has
FRAMES = ("apex", "last3", "last10", "neutral", "all")  # apex: the last frame; neutral: the first

HEAD = 512  # first bytes of a file, whatever its name says: a tar archive says so behind 257 of them
ZIP = (b"PK\x03\x04", b"PK\x05\x06")
COMPRESSED = (b"\x1f\x8b", b"\xfd7zXZ", b"BZh")
PAGE = "a web page (a login page, perhaps) and not the file itself; download it again."
UNUSABLE = {
    b"version https://git-lfs": "a Git LFS pointer and not the file itself; run `git lfs pull` in the "
    "repository it came from.",
    b"<!doctype html": PAGE,
    b"<html": PAGE,
    b"rar!": "a RAR archive, which only its own program unpacks; unpack it first.",
    b"7z\xbc\xaf": "a 7-Zip archive, which only its own program unpacks; unpack it first.",
    b"pk\x07\x08": "one part of several, which only their own program unpacks; unpack them first.",
}


@dataclass
class Source:
    """What a corpus in a folder consists of."""

    root: Path  # the corpus's own folder
    form: str  # which of the corpus's layouts it has
    classes: tuple[str, ...] = ()  # canonical names of the selection's classes
    files: list[Path] = field(default_factory=list)  # that decide the corpus; a cache is keyed by them
    rows: list[dict[str, Any]] = field(default_factory=list)  # per file to open: `path`, what its name says
    ignored: int = 0  # files passed over because of their names
    ignored_names: list[str] = field(default_factory=list)  # the first of them, for a hint
    problems: list[str] = field(default_factory=list)  # sentences: what keeps samples out, or needs a hand
    remarks: list[str] = field(default_factory=list)  # what is worth knowing and no fault
    facts: dict[str, int] = field(default_factory=dict)  # the counts behind the remarks
    expected: dict[str, int] = field(default_factory=dict)  # a complete copy's facts, or its splits' counts
    images_per_row: int = 1  # a clip may give several

    def pass_over(self, name: str) -> None:
        """Count a file that is passed over because of its name, and keep a few such names."""
        self.ignored += 1
        if len(self.ignored_names) < NAMED and not name.startswith("."):
            self.ignored_names.append(shown(name))


def wrong_counts(source: Source, corpus: Corpus | None = None) -> list[str]:
    """Compare a source's facts with what is expected of a complete copy; one sentence per difference."""
    return [
        f"{what.replace('_', ' ')}: {source.facts.get(what, 0):,}, officially {official:,}."
        for what, official in source.expected.items()
        if source.facts.get(what, 0) != official
    ]


def shown(path: str | Path) -> str:
    """Return a path fit for print and JSON; bytes that are no UTF-8 are escaped."""
    return str(path).encode("utf-8", "backslashreplace").decode("utf-8")


def read_head(path: Path) -> bytes:
    """Return the first bytes of a file."""
    with path.open("rb") as file:
        return file.read(HEAD)


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


def walk(root: Path, problems: list[str]) -> Iterator[str]:
    """Yield the files below ``root`` as relative paths with ``/``, by name within each folder.

    Links are followed, but each folder is visited once; so links in circles end. Hidden folders and
    ``__MACOSX`` are left out. A folder that cannot be listed is described in ``problems``; one full of other
    things is given up after ``ENTRIES`` files with AbsentDataError.
    """

    def unlisted(error: OSError) -> None:
        problems.append(f"{shown(error.filename)} cannot be listed ({error.strerror}); make it readable.")

    seen, looked = set(), 0
    for folder, below, names in os.walk(root, followlinks=True, onerror=unlisted):
        if (real := os.path.realpath(folder)) in seen:
            below.clear()
            continue
        seen.add(real)
        below[:] = sorted(name for name in below if not name.startswith(HIDDEN))
        looked += len(names)
        if looked > ENTRIES:
            raise AbsentDataError(
                f"{shown(root)} holds more than {ENTRIES:,} files, too many to search; give the corpus's own "
                "folder."
            )
        prefix = os.path.relpath(folder, root).replace(os.sep, "/") + "/"
        for name in sorted(names):
            yield name if prefix == "./" else prefix + name


def named_rows(source: Source, parse: Callable[[str], dict[str, Any] | None]) -> Iterator[dict[str, Any]]:
    """Yield ``path`` and what ``parse`` reads from the name for each file; count the others as ignored."""
    for file in walk(source.root, source.problems):
        if (said := parse(file.rpartition("/")[2])) is None:
            source.pass_over(file)
        else:
            yield {"path": source.root / file, **said}


def use(source: Source, rows: Iterable[dict[str, Any]]) -> None:
    """Make ``rows``, by id, the source's rows, and their files its files."""
    source.rows = sorted(rows, key=lambda row: row["id"])
    source.files = [row["path"] for row in source.rows]


def drop_repeats(source: Source) -> None:
    """Keep the first of the rows that share an id; files that differ are a problem, equal ones a remark."""
    first: dict[str, Path] = {}
    pairs = [(first.setdefault(row["id"], row["path"]), row["path"]) for row in source.rows]
    repeats = [pair for pair in pairs if pair[0] != pair[1]]
    source.rows = [row for row in source.rows if first[row["id"]] == row["path"]]
    differ = [pair for pair in repeats if not _same(*pair)]
    if copies := len(repeats) - len(differ):
        source.remarks.append(
            f"{copies:,} files are here more than once, byte for byte; one of each is used."
        )
    if differ:
        one, other = map(shown, differ[0])
        source.problems.append(
            f"{len(differ):,} files are here in several versions, the first as {one} and as {other}; remove "
            "one copy, or give the folder of the other as data folder."
        )


def _same(one: Path, other: Path) -> bool:
    try:
        return filecmp.cmp(one, other, shallow=False)
    except OSError:  # decoding says so
        return False


def by_sequence(rows: Sequence[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    """Return the rows of each sequence in the order of their ids, which is that of the frames."""
    ordered = sorted(rows, key=lambda row: row["id"])
    return {name: list(group) for name, group in itertools.groupby(ordered, lambda row: row["sequence"])}


def take_frames(
    source: Source, sequences: dict[str, list[dict[str, Any]]], labels: dict[str, str], which: str
) -> None:
    """Make the frames ``which`` of FRAMES, of the sequences of the source's classes, its rows and files.

    A sequence with fewer frames than asked for gives all.
    """
    n = int(which.removeprefix("last")) if which.startswith("last") else 1
    part = slice(1) if which == "neutral" else slice(None) if which == "all" else slice(-n, None)
    taken = {name: rows[part] for name, rows in sequences.items() if labels[name] in source.classes}
    source.rows = [{**row, "expression": labels[row["sequence"]]} for rows in taken.values() for row in rows]
    source.files += [row["path"] for row in source.rows]
    if short := [name for name, rows in taken.items() if len(rows) < n]:
        source.facts["short_sequences"] = len(short)
        source.remarks.append(f"{counted(short)} have fewer than {n} frames; all they have are taken.")


def counted(sequences: Sequence[str]) -> str:
    """Return the number of sequences and the names of the first few."""
    more = ", ..." if len(sequences) > SOME else ""
    return f"{len(sequences):,} sequences ({', '.join(sequences[:SOME])}{more})"


def folded(faults: Sequence[tuple[str, str]], unit: str) -> list[str]:
    """Return a sentence per fault (place, what); of many that differ only in numbers, one and the count."""
    kinds: dict[str, list[tuple[str, str]]] = {}
    for where, what in faults:
        kinds.setdefault(re.sub(r"'[^']*'|\d+", "#", what), []).append((where, what))
    sentences = []
    for alike in kinds.values():
        many = len(alike) > ALIKE
        count = f" ({len(alike):,} {unit}s have a fault of this kind.)" if many else ""
        sentences += [f"{where}: {what}{count}" for where, what in alike[: 1 if many else None]]
    return sentences


def settle(found: list[str], problems: list[str] | None, name: str, root: Path) -> None:
    """Hand what was ``found`` to the caller's ``problems``; without such a list raise the first of them.

    ``name`` and ``root``, the corpus and its folder, are for the hint where the others are told.
    """
    if problems is not None:
        problems.extend(found)
    elif found:
        hint = f"`fer data check {name} --data-dir {shlex.quote(shown(root))}`"
        more = f" ({len(found) - 1:,} more: see {hint})" if len(found) > 1 else ""
        raise FerError(found[0] + more)
