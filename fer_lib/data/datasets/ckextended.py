"""ckextended.csv: a derivative of CK+ as rows of 48x48 pixels, with codes of its own and no subjects."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from fer_lib.data import pixel_csv
from fer_lib.data.corpus import Card, Corpus
from fer_lib.data.sources import folded, shown
from fer_lib.expressions import CODES

NAME = "ckextended.csv"
SIZE = 48


def read_rows(path: Path, classes: tuple[str, ...], card: Card, problems: list[str]) -> Corpus:
    """Read the rows of the given classes.

    The column Usage is nobody's official split and is left alone.

    Parameters
    ----------
    path : Path
    classes : tuple of str
        Canonical names; rows of other classes are left out.
    card : Card
    problems : list of str
        Gains a sentence for each row that cannot be read, and one if there is nothing of these classes.

    Returns
    -------
    Corpus
        Images uint8 (N, 48, 48) in the order of the rows, named ``row0001`` ... by their number in the
        file; no subjects.
    """
    emotions = {str(code): code for code in CODES["ckextended"]}
    images, labels, ids = [np.zeros((0, SIZE, SIZE), np.uint8)], [], []
    before, wrong_rows = len(problems), []
    for rows in pixel_csv.blocks(path, ["emotion", "pixels"], problems):
        codes, faults = pixel_csv.codes(rows["emotion"], emotions)
        pixels, wrong = pixel_csv.parse_pixels(rows["pixels"].fillna("").tolist(), SIZE**2)
        faults |= wrong
        numbers = rows.index.to_numpy() + 1
        wrong_rows += pixel_csv.row_faults(path, rows, faults)
        names = [CODES["ckextended"][code] for code in codes.tolist()]
        good = [i for i, name in enumerate(names) if i not in faults and name in classes]
        images.append(pixels.reshape(-1, SIZE, SIZE)[good])
        labels += [classes.index(names[i]) for i in good]
        ids += [f"row{numbers[i]:04}" for i in good]
    problems += folded(wrong_rows, "row")
    if not ids and len(problems) == before:
        problems.append(f"{shown(path)} holds no image of the selection that was asked for.")
    return Corpus(np.concatenate(images), np.array(labels, np.int64), classes, card, np.array(ids, np.str_))
