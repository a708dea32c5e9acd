"""The corpora: where their files are, what is wrong with them, and their cached arrays.

Each file of this folder describes one corpus with a :class:`~fer_lib.data.reader.Reader`, ``READER``; a file
put here is a corpus wherever corpora are listed. Decoding happens once; the cache is keyed by the path, size
and modification time of every source file and by what the readers' code does, so a changed file or reader is
never served stale.
"""

from __future__ import annotations

import os
import pkgutil
import re
import shlex
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from fer_lib import expressions, files
from fer_lib.data.corpus import Card, Corpus, audit, pack, split_names, unpack
from fer_lib.data.image_files import Crop, image_remarks
from fer_lib.data.printed import compare, remarks
from fer_lib.data.reader import Reader
from fer_lib.data.sources import Source, shown
from fer_lib.errors import AbsentDataError, FerError, one_of

_modules = [import_module(f"{__name__}.{found.name}") for found in pkgutil.iter_modules(__path__)]
_readers: list[Reader] = [vars(module)["READER"] for module in _modules if "READER" in vars(module)]
_readers.sort(key=lambda reader: (reader.card.place, reader.card.name))
CARDS: dict[str, Card] = {reader.card.name: reader.card for reader in _readers}
READERS: dict[str, Reader] = {reader.card.name: reader for reader in _readers if not reader.card.synthetic}
GENERATED: dict[str, Reader] = {reader.card.name: reader for reader in _readers if reader.card.synthetic}
NAMES = tuple(CARDS)
SHOWN_PROBLEMS = 3  # in an error
LISTED_PROBLEMS = 100  # by `check`; a wrong file may have one per row
# Modules that bring a corpus here, speak about it or use it; no pixel depends on them.
APART = {"arrival", "printed", "splits", "protocols", "clips"}
ARCHIVES = (".zip", ".tar", ".gz", ".tgz", ".xz", ".bz2", ".7z", ".rar")


def find(name: str, data_dir: str | Path | None = None) -> Path:
    """Return the folder of a corpus (one of ``NAMES``) on this machine.

    ``data_dir`` is the corpus's own folder or the folder that holds it under its name; default ``$FER_DATA``,
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
    with _refusals():
        # Folders under the corpus's name come first, then the folder itself.
        inside = sorted(base.iterdir()) if base.is_dir() else []
        named = [folder for folder in inside if _plain(folder.name) == _plain(name) and folder.is_dir()]
        for folder in [*named, base] if base.is_dir() else []:
            if (source := READERS[name].locate(folder, **selection)) is not None:
                return source
        raise AbsentDataError(_absent(card, base))


def data_folder(data_dir: str | Path | None = None) -> Path:
    """Return where corpora are looked for: ``data_dir``, else ``$FER_DATA``, else ``~/fer-data``.

    FerError if it is a file, or below the home of a user that there is not.
    """
    base = Path(data_dir or os.environ.get("FER_DATA") or "~/fer-data")
    with _refusals():
        try:
            base = base.expanduser()
        except RuntimeError:
            raise FerError(f"{base}: there is no such user; give the folder in full.") from None
        if base.is_file():
            raise FerError(
                f"{base} is a file; give the folder that holds it, or bring it in with `fer data import`."
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
        ``synthetic``: the arguments of :func:`fer_lib.data.datasets.synthetic.generate`. Others: what
        their module describes (:mod:`fer_lib.data.datasets.ckplus`, ...) and, where the owners' counts are
        known (``fer2013``, ``ckplus``, ``jaffe``, ...), ``strict`` (default True); False accepts a copy that
        has others. Photographs of more than a face (``ckplus``, ``jaffe``) are returned whole, or with
        ``crop=fer_lib.faces.FACE`` cropped to the face. Most corpora have the six basic expressions and
        more; ``cmu_faces``, which anyone may have, has four: ``anger``, ``happiness``, ``sadness`` and
        ``neutral`` (``pose="straight"`` takes its frontal quarter).

    Raises
    ------
    AbsentDataError
        If the corpus is not on this machine.
    FerError
        For an unknown name or option, files that cannot be read (which file and row), and, if
        ``strict``, wrong counts (of what, found and expected).
    """
    options = _options(name, options)
    if name in GENERATED:
        return _generate(name, options)
    strict = options.pop("strict", False)
    source = _locate(name, data_dir, **{option: options[option] for option in READERS[name].choices})
    corpus, problems = _read(name, source, options)
    if problems and strict:
        some = " ".join(problems[:SHOWN_PROBLEMS])
        more = f" ({len(problems) - SHOWN_PROBLEMS} more.)" if len(problems) > SHOWN_PROBLEMS else ""
        raise FerError(
            f"{source.root} is not the official {corpus.card.title}. {some}{more} Get a complete copy, or "
            "pass strict=False to use this one knowingly."
        )
    return corpus


def check(name: str, data_dir: str | Path | None = None, crop: Crop | None = None) -> dict[str, Any]:
    """Report on the copy of a corpus on this machine, read with the default options.

    Faulty files do not raise: they are problems. ``name`` and ``data_dir``, and what is raised, are those of
    :func:`find`; ``crop`` is how faces are cut out of a corpus of whole photographs.

    Returns
    -------
    dict
        ``dataset``; ``licence``; ``ok`` (no problems); ``root`` (None if generated) and ``form``;
        ``images``; ``sequences`` and ``subjects`` (None where the corpus records none); ``splits`` and
        ``per_class`` (counts by name); ``facts`` (counts of the whole copy by name, whatever was
        selected) and ``expected`` (those of a complete copy); ``printed`` (what papers print of it, the
        count of this copy and of a complete one: :mod:`fer_lib.data.printed`); ``ignored`` (files
        passed over because of their names) and ``ignored_names`` (some of them); ``problems``
        (sentences, gravest first); ``doubts`` (those of them that stop no run: an altered copy, where
        there is no other problem); ``remarks`` (what is no fault); ``fingerprint``; ``audit``;
        ``authenticity`` (from :func:`authenticity`).
    """
    options = _options(name, {})
    source, printed = Source(Path(), "generated"), []
    problems: list[str] = []
    if name in GENERATED:
        corpus = _generate(name, options)
    else:
        options.pop("strict", None)
        options |= {"crop": crop} if "crop" in options else {}
        reader, source = READERS[name], _locate(name, data_dir)
        try:
            corpus, problems = _read(name, source, options)
        except FerError:  # the same again, collecting every fault and reading what can be read
            corpus = reader.read(source, problems, **options)
            problems += [fault for fault in _faults(reader, source, corpus) if fault not in problems]
            if (more := len(problems) - LISTED_PROBLEMS) > 0:
                problems[LISTED_PROBLEMS:] = [f"{more:,} more problems are not listed."]
        printed = compare(reader, source.root)
    told = authenticity(corpus)
    doubts = told["findings"] if told and not problems else []
    split = corpus.split
    per_class = np.bincount(corpus.labels, minlength=len(corpus.classes)).tolist()
    copied = ("form", "ignored", "ignored_names", "facts", "expected")
    return {
        "dataset": name,
        "licence": corpus.card.licence,
        "ok": not problems and not doubts,
        **{key: getattr(source, key) for key in copied},
        "root": str(source.root.resolve()) if name in READERS else None,
        "images": len(corpus),
        "sequences": None if corpus.sequences is None else len(np.unique(corpus.sequences)),
        "subjects": None if corpus.subjects is None else len(np.unique(corpus.subjects)),
        "splits": {} if split is None else {s: int((split == s).sum()) for s in split_names(split)},
        "per_class": dict(zip(corpus.classes, per_class, strict=True)),
        "printed": printed,
        "problems": [*problems, *doubts],
        "doubts": doubts,
        "remarks": [*source.remarks, *image_remarks(corpus), *remarks(printed)],
        "fingerprint": corpus.fingerprint,
        "audit": audit(corpus),
        "authenticity": told,
    }


def authenticity(corpus: Corpus) -> dict[str, Any] | None:
    """Tell whether a corpus is what its owner published; None for a corpus of which nothing is known.

    The dict has at least ``original`` (bool) and ``findings`` (a sentence for each difference and what it
    does to a comparison); the rest are facts of that corpus, such as those of
    :func:`fer_lib.data.datasets.fer2013_original.compare`.
    """
    reader = READERS.get(corpus.card.name)
    return reader.authenticity(corpus) if reader and reader.authenticity else None


def _options(name: str, given: dict[str, Any]) -> dict[str, Any]:
    """Return the options a corpus is read with: its reader's defaults, changed by what is ``given``."""
    known = (READERS | GENERATED)[one_of(name, NAMES, "dataset")].defaults
    for option in given:
        one_of(option, known, f"option of the dataset {name}")
    return known | given


def _read(name: str, source: Source, options: dict[str, Any]) -> tuple[Corpus, list[str]]:
    """Return the corpus and what keeps it from being the official one; raise for unreadable files."""
    reader, crop = READERS[name], options.get("crop")
    if crop and not isinstance(crop, Crop):
        raise FerError(f"crop is fer_lib.faces.FACE, or None for whole photographs; got {crop!r}.")
    with _refusals():
        stats = [(str(path), os.stat(path)) for path in source.files]  # noqa: PTH116 (36,000 times: as text)
    below = len(str(source.root)) + 1
    listing = [(path[below:], s.st_size, s.st_mtime_ns) for path, s in stats]
    if source.problems:  # the cache knows nothing of files that were passed over
        return reader.read(source, **options), []
    import cv2  # another OpenCV may decode a JPEG to other pixels

    how = [files.source_digest(path) for path in crop.sources] if crop else None
    key = [str(source.root.resolve()), listing, options | {"crop": how}, cv2.__version__]
    corpus = _cached(reader.card, key, lambda: reader.read(source, **options))
    return corpus, _faults(reader, source, corpus)


def _faults(reader: Reader, source: Source, corpus: Corpus) -> list[str]:
    """Say what keeps a copy from being the official one: wrong counts, or whole classes that are missing."""
    if reader.faults:
        return reader.faults(source, corpus)
    missing = [name for i, name in enumerate(corpus.classes) if i not in corpus.labels]
    return [f"No image of {' or '.join(missing)} is here; get a complete copy."] if missing else []


def _generate(name: str, options: dict[str, Any]) -> Corpus:
    reader = GENERATED[name]
    return _cached(reader.card, [options], lambda: reader.build(**options))


def _cached(card: Card, key: list[Any], build: Callable[[], Corpus]) -> Corpus:
    """Return a corpus from the cache, keyed also by the code that decides what is read or drawn."""
    data = Path(__file__).parents[1]
    paths = [p for p in data.rglob("*.py") if not APART & {p.stem, *p.relative_to(data).parts}]
    code = [files.source_digest(path) for path in sorted([*paths, Path(expressions.__file__)])]
    digest = files.digest(*key, code)
    return unpack(files.cached_arrays(f"corpus-{card.name}", digest, lambda: pack(build())), card)


def _plain(name: str) -> str:
    """Return what a folder's name has in common with its corpus's: FER-2013 -> fer2013, CK+ -> ckplus."""
    return re.sub("[^a-z0-9]", "", name.lower().replace("+", "plus"))


def _absent(card: Card, base: Path) -> str:
    """Say what was looked for, where, what is there instead, and how to get the corpus."""
    there = "there is no such folder"
    if base.is_dir():
        held = [f for f in sorted(base.iterdir()) if not f.name.startswith(".")]
        names, there = [shown(path.name) for path in held], "it holds nothing that looks like it"
        if packed := [path for path in held if path.suffix.lower() in ARCHIVES]:
            unpack_it = f"fer data import {card.name} {shlex.quote(shown(packed[0]))}"
            there += f" (unpack {shown(packed[0].name)}: {unpack_it})"
        elif names:
            there += f" (it holds {', '.join(names[:4])}{', ...' if len(names) > 4 else ''})"
    return (
        f"{card.title} was looked for in {base}, but {there}.\n"
        f"Owner:    {card.owner}\nLicence:  {card.licence}\nObtain:   {card.obtain}\n"
        f"Expected files:\n{card.tree}\n"
        f"Unpack the owner's archives with: fer data import {card.name} ARCHIVE... --data-dir DIR\n"
        f"Say where they are with --data-dir DIR or $FER_DATA (the folder itself or the one above); check "
        f"them with: fer data check {card.name} --data-dir DIR"
    )
