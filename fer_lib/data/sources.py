"""What a reader finds in a folder, and how folders are listed safely.

A reader walks a folder and returns a :class:`Source`; later the files that it names are opened. Whatever
people's copies hold (links in circles, names in no known encoding, alien files) becomes a sentence that names
the file, never a crash and never a silent loss.
"""

from __future__ import annotations

import filecmp
import itertools
import os
import re
import shlex
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fer_lib.data.corpus import Corpus
from fer_lib.errors import FerError

DEPTH = 10  # of folders that are searched for a corpus; Oulu-CASIA's own tree has six levels
HIDDEN = (".", "__MACOSX")  # folders that are left out
NAMED = 3  # of the files that are passed over
ALIKE = 3  # faults of one kind that are listed one by one
ENTRIES = 250_000  # that are looked at; ten times what the largest corpus of files has


@dataclass
class Source:
    """What a corpus in a folder consists of.

    Attributes
    ----------
    root : Path
        The corpus's own folder.
    form : str
        Which of the corpus's layouts it has.
    classes : tuple of str
        Canonical names of the selection's classes.
    files : list of Path
        Every file that decides the corpus (images and label files); a cache is keyed by them.
    rows : list of dict
        One per sample or clip that is to be opened, with ``path`` and what its name says.
    ignored : int
        Files passed over because of their names.
    ignored_names : list of str
        The first of them, for a hint.
    problems : list of str
        What keeps samples out or needs the user's hand; one sentence each.
    remarks : list of str
        What is worth knowing and no fault: selections, files known to be unusable, gaps.
    facts : dict of str to int
        The counts behind the remarks.
    expected : dict of str to int
        What a complete copy has of the facts, or of the corpus's splits.
    images_per_row : int
        How many images a row gives; a clip may give several.
    """

    root: Path
    form: str
    classes: tuple[str, ...] = ()
    files: list[Path] = field(default_factory=list)
    rows: list[dict[str, Any]] = field(default_factory=list)
    ignored: int = 0
    ignored_names: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)
    facts: dict[str, int] = field(default_factory=dict)
    expected: dict[str, int] = field(default_factory=dict)
    images_per_row: int = 1

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


def walk(root: Path, problems: list[str]) -> Iterator[str]:
    """Yield the files below ``root`` as relative paths with ``/``, by name within each folder.

    Links are followed, but each folder is visited once, under its real path where that lies below
    ``root``; so links in circles end. Hidden folders and ``__MACOSX`` are left out. A folder that cannot
    be listed is described in ``problems``.
    """
    seen: set[tuple[int, int]] = set()
    folders, links = [""], []
    while folders or links:
        prefix = folders.pop() if folders else links.pop(0)
        folder = root / prefix
        try:
            stat = folder.stat()
            if (stat.st_dev, stat.st_ino) in seen:
                continue
            seen.add((stat.st_dev, stat.st_ino))
            with os.scandir(folder) as scan:
                entries = sorted(scan, key=lambda entry: entry.name)
        except OSError as error:
            problems.append(f"{shown(folder)} cannot be listed ({error.strerror}); make it readable.")
            continue
        below = []
        for entry in entries:
            kind = _kind(entry)
            if kind == "file":
                yield prefix + entry.name
            elif kind == "folder" and not entry.name.startswith(HIDDEN):
                (links if entry.is_symlink() else below).append(f"{prefix}{entry.name}/")
        folders.extend(reversed(below))


def _kind(entry: os.DirEntry) -> str:
    """Return ``file``, ``folder`` or, for broken links and devices (reading a pipe would hang), ``other``."""
    try:
        return "folder" if entry.is_dir() else "file" if entry.is_file() else "other"
    except OSError:  # a link to itself
        return "other"


def sighted(root: Path, is_ours: Callable[[str, str], bool]) -> tuple[bool, bool]:
    """Look for one file of a corpus below ``root``: whether there is one, and whether all was looked at.

    Folders near ``root`` come first, so a corpus is found at once where it is, and a folder full of other
    things is given up after ``DEPTH`` levels and ``ENTRIES`` names. ``is_ours`` is given the path of a
    folder, with ``/`` and from the file system's root, and a name in it.
    """
    above = root.absolute().as_posix()
    folders, seen, looked = deque([("", 0)]), set(), 0
    whole = True
    while folders:
        prefix, depth = folders.popleft()
        try:
            stat = (root / prefix).stat()
            if (stat.st_dev, stat.st_ino) in seen:
                continue
            seen.add((stat.st_dev, stat.st_ino))
            with os.scandir(root / prefix) as scan:
                entries = list(itertools.islice(scan, ENTRIES - looked + 1))
        except OSError:  # `walk` says so where it matters
            continue
        folder = f"{above}/{prefix}".rstrip("/")
        if any(is_ours(folder, entry.name) for entry in entries):
            return True, True
        looked += len(entries)
        if looked > ENTRIES:
            return False, False
        below = [e.name for e in entries if _kind(e) == "folder" and not e.name.startswith(HIDDEN)]
        whole &= not below or depth < DEPTH
        if depth < DEPTH:
            folders.extend((f"{prefix}{name}/", depth + 1) for name in sorted(below))
    return False, whole


def named_rows(source: Source, parse: Callable[[str], dict[str, Any] | None]) -> Iterator[dict[str, Any]]:
    """Yield ``path`` and what ``parse`` reads from the name for each file; count the others as ignored."""
    for file in walk(source.root, source.problems):
        if (said := parse(file.rpartition("/")[2])) is None:
            source.pass_over(file)
        else:
            yield {"path": source.root / file, **said}


def named_like(pattern: re.Pattern[str]) -> Callable[[str, str], bool]:
    """Return what tells whether a file, given as its folder and its name, is named like a corpus's."""
    return lambda folder, name: pattern.fullmatch(name) is not None


def use(source: Source, rows: Iterable[dict[str, Any]]) -> None:
    """Make ``rows``, by id, the source's rows, and their files its files."""
    source.rows = sorted(rows, key=lambda row: row["id"])
    source.files = [row["path"] for row in source.rows]


def drop_repeats(source: Source) -> None:
    """Keep the first of the rows that share an id; files that differ are a problem, equal ones a remark."""
    first: dict[str, Path] = {}
    rows, repeats, copies = [], [], 0
    for row in source.rows:
        if (known := first.setdefault(row["id"], row["path"])) == row["path"]:
            rows.append(row)
        elif _same(known, row["path"]):
            copies += 1
        else:
            repeats.append((known, row["path"]))
    source.rows = rows
    if copies:
        source.remarks.append(
            f"{copies:,} files are here more than once, byte for byte; one of each is used."
        )
    if repeats:
        one, other = (shown(path) for path in repeats[0])
        source.problems.append(
            f"{len(repeats):,} files are here in several versions, the first as {one} and as {other}; remove "
            "one copy, or give the folder of the other as data folder."
        )


def _same(one: Path, other: Path) -> bool:
    try:
        return filecmp.cmp(one, other, shallow=False)
    except OSError:  # decoding says so
        return False


def folded(faults: Sequence[tuple[str, str]], unit: str) -> list[str]:
    """Return a sentence per fault (where, what); of many that differ in numbers alone, one with their count.

    Examples
    --------
    >>> folded([(f"row {n}", f"is {n}.") for n in range(9)], "row")
    ['row 0: is 0. (9 rows have a fault of this kind.)']
    """
    kinds: dict[str, list[tuple[str, str]]] = {}
    for where, what in faults:
        kinds.setdefault(re.sub(r"'[^']*'|\d+", "#", what), []).append((where, what))
    sentences = []
    for alike in kinds.values():
        many = len(alike) > ALIKE
        count = f" ({len(alike):,} {unit}s have a fault of this kind.)" if many else ""
        sentences += [f"{where}: {what}{count}" for where, what in alike[: 1 if many else None]]
    return sentences


def settle(found: list[str], problems: list[str] | None, name: str, root: Path | None = None) -> None:
    """Hand what was ``found`` to the caller's ``problems``; without such a list raise the first of them.

    ``root`` is the corpus's folder, for the hint where the others are told.
    """
    if problems is not None:
        problems.extend(found)
    elif found:
        place = f" --data-dir {shlex.quote(shown(root))}" if root else ""
        more = f" ({len(found) - 1:,} more: see `fer data check {name}{place}`)" if len(found) > 1 else ""
        raise FerError(found[0] + more)
