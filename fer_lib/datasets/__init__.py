"""The corpora: where their files are, what is wrong with them, and their cached arrays.

``find`` looks for a corpus, ``load`` returns its :class:`~fer_lib.corpus.Corpus`, ``check`` reports on the
copy at hand. Decoding happens once; the cache is keyed by the path, size and modification time of every
source file and by the reader's own source, so a changed file or reader is never served stale.
"""

from __future__ import annotations

import inspect
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from fer_lib import corpus as corpus_module
from fer_lib import files
from fer_lib.corpus import Card, Corpus, audit, pack, split_names, unpack
from fer_lib.datasets import cards, fer2013, synthetic
from fer_lib.errors import AbsentDataError, FerError, one_of

CARDS: dict[str, Card] = {c.name: c for c in (synthetic.CARD, fer2013.CARD, *cards.CARDS)}
NAMES = tuple(CARDS)
SHOWN_PROBLEMS = 3  # in an error
LISTED_PROBLEMS = 100  # by `check`; a wrong file may have one per row


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
    return _find(name, data_dir)[0]


def _find(name: str, data_dir: str | Path | None) -> tuple[Path, fer2013.Source | None]:
    """Return the folder and, for FER2013, what it consists of (listing it twice would double a warm load)."""
    card = CARDS[one_of(name, NAMES, "dataset")]
    if card.synthetic:
        raise FerError(f"{name} is generated, not read from files; load it without a data folder.")
    base = Path(data_dir or os.environ.get("FER_DATA") or "~/fer-data").expanduser()
    if base.is_file():
        raise FerError(f"{base} is a file; give the folder that holds it (archives must be unpacked first).")
    for folder in _candidates(name, base):
        if name == "fer2013":
            if (source := fer2013.locate(folder)) is not None:
                return source.root, source
        elif folder != base or _plain(base.name) == _plain(name):
            return folder, None
    raise AbsentDataError(_absent(card, base))


def load(name: str, data_dir: str | Path | None = None, **options: Any) -> Corpus:
    """Return a corpus, from the cache if its files have not changed.

    Parameters
    ----------
    name, data_dir
        As in :func:`find`.
    **options
        ``synthetic``: the arguments of :func:`fer_lib.datasets.synthetic.generate`. ``fer2013``:
        ``strict`` (default True); False accepts a copy whose counts are not the official ones.

    Raises
    ------
    AbsentDataError
        If the corpus is not on this machine.
    FerError
        For an unknown name or option, a corpus without a reader, files that cannot be read (which file
        and row), and, if ``strict``, wrong counts (which split and class, found and expected).
    """
    _reader(name)
    if name == "synthetic":
        return _load_synthetic(options)
    _known(options, ["strict"], name)
    source = _source(data_dir)
    corpus, problems = _load_fer2013(source)
    if problems and options.get("strict", True):
        shown = " ".join(problems[:SHOWN_PROBLEMS])
        more = f" ({len(problems) - SHOWN_PROBLEMS} more.)" if len(problems) > SHOWN_PROBLEMS else ""
        raise FerError(
            f"{source.root} is not the official FER2013. {shown}{more} Get a complete copy, or pass "
            "strict=False to use this one knowingly."
        )
    return corpus


def check(name: str, data_dir: str | Path | None = None) -> dict[str, Any]:
    """Report on the copy of a corpus on this machine.

    Returns
    -------
    dict
        ``dataset``; ``ok`` (no problems); ``root`` (None if generated) and ``form``; ``images``;
        ``sequences`` and ``subjects`` (None where the corpus records none); ``splits`` and
        ``per_class`` (counts by name); ``ignored`` (files passed over because of their names);
        ``problems`` (sentences, gravest first); ``fingerprint``; ``audit``.

    Raises
    ------
    AbsentDataError, FerError
        As :func:`find`, and for a corpus without a reader. Faulty files do not raise: they are problems.
    """
    _reader(name)
    if name == "synthetic":
        return _report(name, _load_synthetic({}), [], None, "generated", 0)
    source = _source(data_dir)
    try:
        corpus, problems = _load_fer2013(source)
    except FerError:  # the same again, collecting every fault and reading what can be read
        problems = fer2013.unfit(source)
        corpus = fer2013.read(source, problems)
        problems += fer2013.wrong_counts(corpus)
        if (more := len(problems) - LISTED_PROBLEMS) > 0:
            problems[LISTED_PROBLEMS:] = [f"{more:,} more problems are not listed."]
    return _report(name, corpus, problems, source.root, source.form, source.ignored)


def _report(
    name: str, corpus: Corpus, problems: list[str], root: Path | None, form: str, ignored: int
) -> dict[str, Any]:
    split = corpus.split
    per_class = np.bincount(corpus.labels, minlength=len(corpus.classes)).tolist()
    return {
        "dataset": name,
        "ok": not problems,
        "root": None if root is None else str(root.resolve()),
        "form": form,
        "images": len(corpus),
        "sequences": None if corpus.sequences is None else len(np.unique(corpus.sequences)),
        "subjects": None if corpus.subjects is None else len(np.unique(corpus.subjects)),
        "splits": {} if split is None else {s: int((split == s).sum()) for s in split_names(split)},
        "per_class": dict(zip(corpus.classes, per_class, strict=True)),
        "ignored": ignored,
        "problems": problems,
        "fingerprint": corpus.fingerprint,
        "audit": audit(corpus),
    }


def _reader(name: str) -> None:
    one_of(name, NAMES, "dataset")
    if name not in ("synthetic", "fer2013"):
        raise FerError(
            f"{CARDS[name].title} ({name}) has no reader in this version; datasets that can be read: "
            "synthetic, fer2013."
        )


def _known(options: dict[str, Any], names: list[str], dataset: str) -> None:
    for option in options:
        one_of(option, names, f"option of the dataset {dataset}")


def _source(data_dir: str | Path | None) -> fer2013.Source:
    source = _find("fer2013", data_dir)[1]
    assert source is not None, "FER2013 is only found where it can be located"
    return source


def _load_fer2013(source: fer2013.Source) -> tuple[Corpus, list[str]]:
    """Return the corpus and what keeps it from being the official one; raise for unreadable files."""
    stats = [(path, path.stat()) for path in source.files]
    listing = [(str(path.relative_to(source.root)), s.st_size, s.st_mtime_ns) for path, s in stats]
    if source.problems:  # the cache knows nothing of files that were passed over
        return fer2013.read(source), []
    import cv2  # another OpenCV may decode a JPEG to other pixels

    key = files.digest(str(source.root.resolve()), listing, cv2.__version__, *_versions())
    corpus = _cached(fer2013.CARD, key, lambda: fer2013.read(source))
    return corpus, fer2013.unfit(source) + fer2013.wrong_counts(corpus)


def _load_synthetic(options: dict[str, Any]) -> Corpus:
    _known(options, list(inspect.signature(synthetic.generate).parameters), "synthetic")
    key = files.digest(options, *_versions())
    return _cached(synthetic.CARD, key, lambda: synthetic.generate(**options))


def _cached(card: Card, key: str, build: Callable[[], Corpus]) -> Corpus:
    return unpack(files.cached_arrays(f"corpus-{card.name}", key, lambda: pack(build())), card)


def _versions() -> list[str]:
    """Return the sources of the modules that decide what is read or drawn."""
    sources = [Path(corpus_module.__file__), *sorted(Path(__file__).parent.glob("*.py"))]
    return [path.read_text(encoding="utf-8") for path in sources]


def _plain(name: str) -> str:
    """Return what a folder's name has in common with its corpus's: FER-2013 -> fer2013, CK+ -> ckplus."""
    return re.sub("[^a-z0-9]", "", name.lower().replace("+", "plus"))


def _candidates(name: str, base: Path) -> list[Path]:
    """Return the folders that may be the corpus: those under its name first, then ``base`` itself."""
    if not base.is_dir():
        return []
    named = sorted(f for f in base.iterdir() if _plain(f.name) == _plain(name) and f.is_dir())
    return [*named, base]


def _absent(card: Card, base: Path) -> str:
    there = "there is no such folder" if not base.is_dir() else "it holds nothing that looks like it"
    return (
        f"{card.title} ({card.name}) was looked for in {base}, but {there}.\n"
        f"Owner: {card.owner}. Licence: {card.licence}.\nHow to get it: {card.obtain}\n"
        f"Expected files:\n{card.tree}\n"
        f"Then check it with: fer data check {card.name} --data-dir DIR (the folder itself or the one above)"
    )
