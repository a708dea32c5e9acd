"""The corpora: where their files are, what is wrong with them, and their cached arrays.

``find`` looks for a corpus, ``load`` returns its :class:`~fer_lib.data.corpus.Corpus`, ``check`` reports on
the
copy at hand. Decoding happens once; the cache is keyed by the path, size and modification time of every
source file and by the reader's own source, so a changed file or reader is never served stale.
"""

from __future__ import annotations

import inspect
import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

from fer_lib import expressions, faces, files
from fer_lib.data import corpus as corpus_module
from fer_lib.data.corpus import Card, Corpus, pack, unpack
from fer_lib.data.datasets import ckplus, cmu_faces, fer2013, jaffe, mmi, nimstim, oulu_casia, synthetic
from fer_lib.data.printed import compare
from fer_lib.data.reporting import report
from fer_lib.data.sources import ENTRIES, Source, sighted
from fer_lib.errors import AbsentDataError, FerError, one_of

# Each has a CARD, `locate` (which lists a folder's files) and `read` (which opens them); their keyword
# arguments are the options of `load`.
READERS: dict[str, ModuleType] = {
    module.CARD.name: module for module in (fer2013, ckplus, jaffe, mmi, nimstim, oulu_casia, cmu_faces)
}
CARDS: dict[str, Card] = {module.CARD.name: module.CARD for module in (synthetic, *READERS.values())}
NAMES = tuple(CARDS)
SHOWN_PROBLEMS = 3  # in an error
LISTED_PROBLEMS = 100  # by `check`; a wrong file may have one per row
# Modules that bring a corpus here or speak about it; no pixel depends on them.
ARRIVAL = {"archives", "download", "importing", "printed", "reporting", "unpacking"}
ARCHIVES = (".zip", ".tar", ".gz", ".tgz", ".xz", ".bz2", ".7z", ".rar")


def find(name: str, data_dir: str | Path | None = None) -> Path:
    """Return the folder of a corpus on this machine.

    Parameters
    ----------
    name : str
        One of ``NAMES``.
    data_dir : path, optional
        The corpus's own folder or the folder that holds it under its name; default ``$FER_DATA``,
        else ``~/fer-data``.

    Raises
    ------
    AbsentDataError
        If the corpus is not there: what it is, who grants it, the expected files, how to check.
    FerError
        For an unknown name, a ``data_dir`` that is a file, or ``synthetic``, which has no files.
    """
    return _locate(name, data_dir).root


def _locate(name: str, data_dir: str | Path | None, **selection: Any) -> Source:
    """Return what the corpus on this machine consists of; raise where it is not here."""
    card = CARDS[one_of(name, NAMES, "dataset")]
    if card.synthetic:
        raise FerError(f"{name} is generated, not read from files; load it without a data folder.")
    base = data_folder(data_dir)
    reader, whole = READERS[name], True
    with _refusals():
        for folder in _candidates(name, base):
            if hasattr(reader, "is_ours"):  # those that search a folder to any depth
                seen, whole = sighted(folder, reader.is_ours)
                if not seen:
                    continue
            if (source := reader.locate(folder, **selection)) is not None:
                return source
        raise AbsentDataError(_absent(card, base, whole))


def data_folder(data_dir: str | Path | None = None) -> Path:
    """Return where corpora are looked for: ``data_dir``, else ``$FER_DATA``, else ``~/fer-data``.

    Raises
    ------
    FerError
        If it is a file, or no path at all.
    """
    base = Path(data_dir or os.environ.get("FER_DATA") or "~/fer-data")
    with _refusals():
        try:
            base = base.expanduser()
        except RuntimeError:
            raise FerError(f"{base}: there is no such user; give the folder in full.") from None
        if base.is_file():
            raise FerError(
                f"{base} is a file; give the folder that holds it (archives must be unpacked first)."
            )
    return base


@contextmanager
def _refusals() -> Iterator[None]:
    """Turn what the file system refuses into a sentence that names the file."""
    try:
        yield
    except OSError as error:
        raise FerError(
            f"{error.filename} cannot be read ({error.strerror}); is it the right folder, and yours to read?"
        ) from None


def load(name: str, data_dir: str | Path | None = None, **options: Any) -> Corpus:
    """Return a corpus, from the cache if its files have not changed.

    Parameters
    ----------
    name, data_dir
        As in :func:`find`.
    **options
        ``synthetic``: the arguments of :func:`fer_lib.data.datasets.synthetic.generate`. Others: the keyword
        arguments of their reader's ``read`` (:func:`fer_lib.data.datasets.ckplus.read`, ...) and, for
        ``fer2013``, ``ckplus`` and ``jaffe``, ``strict`` (default True); False accepts a copy whose
        counts are not the official ones. Most corpora have the six basic expressions and more;
        ``cmu_faces``, which anyone may have, has four: ``anger``, ``happiness``, ``sadness`` and
        ``neutral`` (``pose="straight"`` takes its frontal quarter). :meth:`Corpus.only` takes those four
        of any other.

    Raises
    ------
    AbsentDataError
        If the corpus is not on this machine.
    FerError
        For an unknown name or option, files that cannot be read (which file and row), and, if
        ``strict``, wrong counts (of what, found and expected).
    """
    options = _options(name, options)
    if name == "synthetic":
        return _generate(options)
    strict = options.pop("strict", False)
    source = _locate(name, data_dir, **_selection(name, options))
    corpus, problems = _read(name, source, options)
    if problems and strict:
        shown = " ".join(problems[:SHOWN_PROBLEMS])
        more = f" ({len(problems) - SHOWN_PROBLEMS} more.)" if len(problems) > SHOWN_PROBLEMS else ""
        raise FerError(
            f"{source.root} is not the official {corpus.card.title}. {shown}{more} Get a complete copy, or "
            "pass strict=False to use this one knowingly."
        )
    return corpus


def check(name: str, data_dir: str | Path | None = None) -> dict[str, Any]:
    """Report on the copy of a corpus on this machine, read with the default options.

    Returns
    -------
    dict
        ``dataset``; ``licence``; ``ok`` (no problems); ``root`` (None if generated) and ``form``;
        ``images``; ``sequences`` and ``subjects`` (None where the corpus records none); ``splits`` and
        ``per_class`` (counts by name); ``facts`` (counts of the whole copy by name, whatever was
        selected) and ``expected`` (those of a complete copy); ``printed`` (what papers print of it, the
        count of this copy and of a complete one: :mod:`fer_lib.data.printed`); ``ignored`` (files
        passed over because of their names); ``problems`` (sentences, gravest first); ``remarks`` (what
        is no fault); ``fingerprint``; ``audit``.

    Raises
    ------
    AbsentDataError, FerError
        As :func:`find`. Faulty files do not raise: they are problems.
    """
    options = _options(name, {})
    if name == "synthetic":
        return report(_generate(options), None, [], [])
    options.pop("strict", None)
    source = _locate(name, data_dir)
    try:
        corpus, problems = _read(name, source, options)
    except FerError:  # the same again, collecting every fault and reading what can be read
        problems = fer2013.unfit(source) if name == "fer2013" else []
        corpus = READERS[name].read(source, problems, **options)
        problems += [said for said in _shortcomings(name, source, corpus) if said not in problems]
        if (more := len(problems) - LISTED_PROBLEMS) > 0:
            problems[LISTED_PROBLEMS:] = [f"{more:,} more problems are not listed."]
    return report(corpus, source, problems, compare(READERS[name], source.root))


def _options(name: str, given: dict[str, Any]) -> dict[str, Any]:
    """Return the options a corpus is read with: its reader's defaults, changed by what is ``given``."""
    one_of(name, NAMES, "dataset")
    function = synthetic.generate if name == "synthetic" else READERS[name].read
    parameters = inspect.signature(function).parameters.values()
    known = {p.name: p.default for p in parameters if p.default is not p.empty and p.name != "problems"}
    if hasattr(READERS.get(name), "wrong_counts"):
        known["strict"] = True
    for option in given:
        one_of(option, known, f"option of the dataset {name}")
    return known | given


def _selection(name: str, options: dict[str, Any]) -> dict[str, Any]:
    """Return those of ``options`` that decide which files are listed."""
    known = inspect.signature(READERS[name].locate).parameters
    return {option: value for option, value in options.items() if option in known}


def _read(name: str, source: Source, options: dict[str, Any]) -> tuple[Corpus, list[str]]:
    """Return the corpus and what keeps it from being the official one; raise for unreadable files."""
    reader = READERS[name]
    with _refusals():
        stats = [(str(path), os.stat(path)) for path in source.files]  # noqa: PTH116 (36,000 times: as text)
    below = len(str(source.root)) + 1
    listing = [(path[below:], s.st_size, s.st_mtime_ns) for path, s in stats]
    if source.problems:  # the cache knows nothing of files that were passed over
        return reader.read(source, **options), []
    import cv2  # another OpenCV may decode a JPEG to other pixels

    key = files.digest(str(source.root.resolve()), listing, options, cv2.__version__, *_versions())
    corpus = _cached(reader.CARD, key, lambda: reader.read(source, **options))
    return corpus, _shortcomings(name, source, corpus)


def _shortcomings(name: str, source: Source, corpus: Corpus) -> list[str]:
    """Say what keeps a copy from being the official one, for the corpora that have official counts."""
    if name == "fer2013":  # its splits are only known once it is read
        return fer2013.unfit(source) + fer2013.wrong_counts(corpus)
    reader = READERS[name]
    return reader.wrong_counts(source) if hasattr(reader, "wrong_counts") else []


def _generate(options: dict[str, Any]) -> Corpus:
    key = files.digest(options, *_versions())
    return _cached(synthetic.CARD, key, lambda: synthetic.generate(**options))


def _cached(card: Card, key: str, build: Callable[[], Corpus]) -> Corpus:
    return unpack(files.cached_arrays(f"corpus-{card.name}", key, lambda: pack(build())), card)


def _versions() -> list[str]:
    """Return the sources of the modules that decide what is read or drawn."""
    faces_found = (faces.detection, faces.framing, faces.search)
    others = [Path(module.__file__) for module in (corpus_module, expressions, *faces_found)]
    own = sorted(path for path in Path(__file__).parents[1].rglob("*.py") if path.stem not in ARRIVAL)
    return [path.read_text(encoding="utf-8") for path in (*others, *own)]


def _plain(name: str) -> str:
    """Return what a folder's name has in common with its corpus's: FER-2013 -> fer2013, CK+ -> ckplus."""
    return re.sub("[^a-z0-9]", "", name.lower().replace("+", "plus"))


def _candidates(name: str, base: Path) -> list[Path]:
    """Return the folders that may be the corpus: those under its name first, then ``base`` itself."""
    if not base.is_dir():
        return []
    named = sorted(f for f in base.iterdir() if _plain(f.name) == _plain(name) and f.is_dir())
    return [*named, base]


def _absent(card: Card, base: Path, whole: bool) -> str:
    there = "there is no such folder"
    if base.is_dir():
        packed = sorted(f.name for f in base.iterdir() if f.suffix.lower() in ARCHIVES)
        there = "it holds nothing that looks like it" + (
            f" (unpack {packed[0]}: fer data import {card.name} {packed[0]})" if packed else ""
        )
        if not whole:
            there += f" among its first {ENTRIES:,} files; give the corpus's own folder"
    return (
        f"{card.title} was looked for in {base}, but {there}.\n"
        f"Owner:    {card.owner}\nLicence:  {card.licence}\nObtain:   {card.obtain}\n"
        f"Expected files:\n{card.tree}\n"
        f"Unpack the owner's archives with: fer data import {card.name} ARCHIVE... --data-dir DIR\n"
        f"Say where they are with --data-dir DIR or $FER_DATA (the folder itself or the one above); check "
        f"them with: fer data check {card.name} --data-dir DIR"
    )
