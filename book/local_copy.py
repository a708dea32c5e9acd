"""What a page says of the copy of a corpus on the machine that built the book, and its pictures.

Only the folder that $FER_DATA names is looked at, so that a book built without it is the same everywhere.
Of a corpus whose images may not be shown no image file is even opened: its files are counted by their names.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import cache
from typing import Any

import numpy as np
from IPython.display import HTML, Image
from markup import table

from fer_lib.data import datasets
from fer_lib.data.corpus import Corpus
from fer_lib.errors import AbsentDataError, FerError
from fer_lib.evidence import runs


def copy_here(name: str) -> HTML:
    """Say whether a copy is here, and what it holds against what a complete one has."""
    if not os.environ.get("FER_DATA"):
        return _sentence(
            "The book was built without a data folder, so no copy was looked for. Built with "
            "<code>$FER_DATA</code> naming the folder that holds it, this page counts it here."
        )
    try:
        found, expected = _counts(name)
    except AbsentDataError:
        return _sentence("Absent: the data folder that the book was built with does not hold it.")
    except (FerError, OSError):
        return _faulty(name)
    rows = []
    for what in dict.fromkeys([*expected, *found]):
        row = {"What": what.replace("_", " "), "Found": found.get(what, 0)}
        rows.append(row | {"In a complete copy": expected.get(what)})
    return table(rows, label="The copy here")


def _sentence(text: str) -> HTML:
    return HTML(f'<p class="not-run">{text}</p>')


def _faulty(name: str) -> HTML:
    return _sentence(f"Faulty: <code>fer data check {name}</code> says which file, and what to do.")


def _counts(name: str) -> tuple[Mapping[str, int], Mapping[str, int]]:
    """Return what the copy here holds and what a complete one has, by name."""
    reader, folder = datasets.READERS[name], datasets.find(name)
    source = reader.locate(folder)
    if not datasets.CARDS[name].may_show:
        return source.facts, source.expected
    corpus = corpus_here(name)
    split = [] if corpus.split is None else corpus.split.tolist()
    subjects = {} if corpus.subjects is None else {"subjects": len(np.unique(corpus.subjects))}
    parts = {part: split.count(part) for part in dict.fromkeys(split)}
    return source.facts | {"images": len(corpus)} | parts | subjects, source.expected


def refuse_restricted(name: str) -> None:
    """Raise FerError for a corpus whose images may not be shown, present or not."""
    if not datasets.CARDS[name].may_show:
        raise FerError(f"The licence of {name} does not let its images appear in a book.")


@cache
def corpus_here(name: str) -> Corpus | None:
    """Return the corpus that is here, None where there is none; FerError for one that may not be shown."""
    refuse_restricted(name)
    if not os.environ.get("FER_DATA"):
        return None
    try:
        return datasets.load(name, **({"strict": False} if name == "fer2013" else {}))
    except AbsentDataError:
        return None


def faces(name: str, run: runs.Run | None = None, per_class: int = 8, **kept: str) -> Any:
    """Show some faces of each class: as a recorded run drew them, else of the copy that is here.

    ``kept`` are columns of the corpus and the value that each must have: ``pose="straight"``. FerError for a
    corpus whose images may not be shown.
    """
    from fer_lib.show import plots

    refuse_restricted(name)
    if run is not None and (drawn := run.path / "figures" / "contact_sheet.png").is_file():
        return Image(filename=drawn)
    try:
        corpus = corpus_here(name)
    except FerError:
        return _faulty(name)
    if corpus is None:
        return _sentence("The machine that built the book had no copy, so none of its images are shown.")
    rows = np.arange(len(corpus))
    for column, value in kept.items():
        rows = rows[(corpus.meta[column] == value).to_numpy()[rows]]
    rng = np.random.default_rng(0)
    of_class = [rows[corpus.labels[rows] == code] for code in range(len(corpus.classes))]
    some = np.concatenate([rng.permutation(part)[:per_class] for part in of_class])
    return plots.contact_sheet(corpus.images[some], corpus.labels[some], corpus.classes, columns=per_class)
