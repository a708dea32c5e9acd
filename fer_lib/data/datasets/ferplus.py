"""FER+: ten people's votes for each row of fer2013.csv (Barsoum et al., 2016).

``fer2013new.csv`` has nothing but the order of its rows to join them by: its column of image names is no row
number and has blanks and repeats. Whether a copy still has that order is therefore tested: the two labellings
of one image agree far more often than those of two.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from fer_lib.data import pixel_csv
from fer_lib.data.corpus import SPLIT_ORDER
from fer_lib.data.sources import folded, shown
from fer_lib.errors import FerError
from fer_lib.expressions import EXPRESSIONS

NAME = "fer2013new.csv"
FOLDERS = ("ferplus", "fer+", "ferplus-master")  # where it lies beside fer2013.csv, in any case
SPLITS = {"Training": 0, "PublicTest": 1, "PrivateTest": 2}  # by Usage: the position in SPLIT_ORDER
COLUMNS = ("neutral", "happiness", "surprise", "sadness", "anger", "disgust", "fear", "contempt")
COLUMNS += ("unknown", "NF")
VOTES = {str(n): n for n in range(11)}
BLOCK, FEW, AGREEMENT = 1000, 50, 0.4  # rows tested at once, too few to test, and what chance never gives


def find(folder: Path) -> Path | None:
    """Return the file of votes in ``folder`` or in a folder of FER+ below it, None if there is none."""
    inside = sorted(folder.iterdir()) if folder.is_dir() else []
    below = [f for f in inside if f.name.lower() in FOLDERS and f.is_dir()]
    files = [*inside, *(file for other in below for file in sorted(other.iterdir()))]
    return next((file for file in files if file.name.lower() == NAME and file.is_file()), None)


def read(path: Path) -> np.ndarray:
    """Return the M rows of a file, int64 (M, 11): the split and the votes in the order of COLUMNS.

    FerError if the file is not one of FER+, or a row has anything but numbers of votes.
    """
    known = {"Usage": SPLITS, **dict.fromkeys(COLUMNS, VOTES)}
    faults: list[str] = []
    wrong_rows: list[tuple[str, str]] = []
    found = [np.zeros((0, len(known)), np.int64)]
    for rows in pixel_csv.blocks(path, list(known), faults):
        votes, wrong = pixel_csv.read_codes(rows, known)
        found.append(np.stack(votes, axis=1))
        wrong_rows += pixel_csv.row_faults(path, rows, wrong)
    if faults := [*faults, *folded(wrong_rows, "row")]:
        more = f" ({len(faults) - 1:,} more faults.)" if len(faults) > 1 else ""
        raise FerError(f"{faults[0]} Get the file of votes again.{more}")
    return np.concatenate(found)


def join(
    path: Path, table: Path, rows: int, kept: np.ndarray, labels: np.ndarray, splits: np.ndarray
) -> np.ndarray:
    """Return the votes in ``path`` for rows of a csv of FER2013, int64 (N, 10) in the order of COLUMNS.

    Of ``table`` (the csv) are given: ``rows`` (how many it has, unreadable ones counted); ``kept``, int64
    (N,), the positions from 0 of those that were read; and their ``labels`` and ``splits``, int64 (N,).
    FerError if numbers of rows or Usage differ, or the labels agree no more often than those of other rows.
    """
    found = read(path)
    again = f"get the original fer2013.csv and {NAME}, whose rows belong together by their order alone."
    if rows != len(found):
        raise FerError(f"{shown(table)} has {rows:,} rows, {shown(path)} has {len(found):,}: {again}")
    others, counts = found[kept, 0], found[kept, 1:]
    if (other := np.flatnonzero(others != splits)).size:
        said = [SPLIT_ORDER[code[other[0]]] for code in (splits, others)]
        raise FerError(
            f"{shown(table)}, row {kept[other[0]] + 1} is of {said[0]}, but in {shown(path)} of {said[1]}: "
            f"{again}"
        )
    same = np.array(COLUMNS)[counts.argmax(axis=1)] == np.array(EXPRESSIONS)[labels]
    for start in range(0, rows, BLOCK):
        block = (kept >= start) & (kept < start + BLOCK)
        if block.sum() >= FEW and same[block].mean() < AGREEMENT:
            raise FerError(
                f"{shown(table)}, rows {start + 1} to {min(start + BLOCK, rows)}: the votes of {NAME} agree "
                f"with only {same[block].mean():.0%} of the labels, so the order of rows differs; {again}"
            )
    return counts
