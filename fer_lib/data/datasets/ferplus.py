"""FER+: ten people's votes for each row of fer2013.csv, and the majority label made of them.

Barsoum et al. (2016) had ten taggers look at every image. ``fer2013new.csv`` has a row for each row of
``fer2013.csv`` and nothing else to join them by: its column of image names is no row number and has blanks
and repeats. Whether the rows of a copy are still in that order is therefore tested: the two labellings of
one image agree far more often than those of two.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from fer_lib.data import pixel_csv
from fer_lib.data.corpus import SPLIT_ORDER, Corpus
from fer_lib.data.sources import folded, shown
from fer_lib.errors import FerError
from fer_lib.expressions import EXPRESSIONS

NAME = "fer2013new.csv"
FOLDERS = ("ferplus", "fer+", "ferplus-master")  # where it lies beside fer2013.csv, in any case
SPLITS = {"Training": 0, "PublicTest": 1, "PrivateTest": 2}  # by Usage: the position in SPLIT_ORDER
LABELLED = ("neutral", "happiness", "surprise", "sadness", "anger", "disgust", "fear", "contempt")
COLUMNS = (*LABELLED, "unknown", "NF")
BLOCK, FEW, AGREEMENT = 1000, 50, 0.4  # rows tested at once, too few to test, and what chance never gives


def find(folder: Path) -> Path | None:
    """Return the file of votes in ``folder`` or in a folder of FER+ below it, None if there is none."""
    inside = sorted(folder.iterdir()) if folder.is_dir() else []
    below = [f for f in inside if f.name.lower() in FOLDERS and f.is_dir()]
    files = [*inside, *(file for other in below for file in sorted(other.iterdir()))]
    return next((file for file in files if file.name.lower() == NAME and file.is_file()), None)


def read(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Return the M rows of a file: votes int64 (M, 10) in the order of COLUMNS, and splits int64 (M,).

    FerError if the file is not one of FER+, or a row has anything but whole numbers of votes.
    """
    faults: list[str] = []
    wrong_rows: list[tuple[str, str]] = []
    counts, splits = [np.zeros((0, len(COLUMNS)), np.int64)], [np.zeros(0, np.int64)]
    for rows in pixel_csv.blocks(path, ["Usage", *COLUMNS], faults):
        split, wrong = pixel_csv.codes(rows["Usage"], SPLITS)
        text = rows[list(COLUMNS)].fillna("")
        whole = text.apply(lambda column: column.str.fullmatch(r"\s*[0-9]{1,2}\s*")).to_numpy(bool)
        for i in np.flatnonzero(~whole.all(axis=1)).tolist():
            wrong[i] = f"{COLUMNS[int(whole[i].argmin())]} is no number of votes."
        wrong_rows += pixel_csv.row_faults(path, rows, wrong)
        counts.append(text.where(whole, "0").to_numpy().astype(np.int64))
        splits.append(split)
    if faults := [*faults, *folded(wrong_rows, "row")]:
        more = f" ({len(faults) - 1:,} more faults.)" if len(faults) > 1 else ""
        raise FerError(f"{faults[0]} Get the file of votes again.{more}")
    return np.concatenate(counts), np.concatenate(splits)


def majority(counts: np.ndarray) -> np.ndarray:
    """Return what most voted for, str (M,), of int64 (M, 10): one of COLUMNS or ``no majority``.

    As the owners do: an option with a single vote is left out as a slip, and a majority is more than half
    of the votes that remain.
    """
    counted = np.where(counts > 1, counts, 0)
    enough = 2 * counted.max(axis=1, initial=0) > counted.sum(axis=1)
    return np.where(enough, np.array(COLUMNS)[counted.argmax(axis=1)], "no majority")


def join(
    path: Path, table: Path, rows: int, kept: np.ndarray, labels: np.ndarray, splits: np.ndarray
) -> np.ndarray:
    """Return the votes in ``path`` for rows of a csv of FER2013, int64 (N, 10) in the order of COLUMNS.

    Parameters
    ----------
    path, table : Path
        The file of votes, and the csv.
    rows : int
        Rows it has, unreadable ones counted.
    kept : int64 (N,)
        Positions, from 0, of the rows that were read.
    labels, splits : int64 (N,)
        Their codes in FER2013 (in the canonical order) and of their splits.

    Raises
    ------
    FerError
        If numbers of rows or Usage differ, or the labels agree no more often than those of other rows.
    """
    counts, others = read(path)
    again = f"get the original fer2013.csv and {NAME}, whose rows belong together by their order alone."
    if rows != len(counts):
        raise FerError(f"{shown(table)} has {rows:,} rows, {shown(path)} has {len(counts):,}: {again}")
    if (other := np.flatnonzero(others[kept] != splits)).size:
        said = [SPLIT_ORDER[code[other[0]]] for code in (splits, others[kept])]
        raise FerError(
            f"{shown(table)}, row {kept[other[0]] + 1} is of {said[0]}, but in {shown(path)} of {said[1]}: "
            f"{again}"
        )
    verdict = majority(counts)[kept]
    told, same = np.isin(verdict, EXPRESSIONS[:7]), verdict == np.array(EXPRESSIONS)[labels]
    for start in range(0, rows, BLOCK):
        block = told & (kept >= start) & (kept < start + BLOCK)
        if block.sum() >= FEW and same[block].mean() < AGREEMENT:
            raise FerError(
                f"{shown(table)}, rows {start + 1} to {min(start + BLOCK, rows)}: the votes of {NAME} agree "
                f"with only {same[block].mean():.0%} of the labels, so the order of rows differs; {again}"
            )
    return counts[kept]


def relabel(corpus: Corpus) -> Corpus:
    """Return the samples whose votes (columns of its ``meta``) have a majority, in FER+'s eight classes."""
    verdict = majority(corpus.meta[list(COLUMNS)].to_numpy())  # type: ignore[index]
    kept = corpus.select(np.isin(verdict, LABELLED))
    labels = np.array([EXPRESSIONS.index(name) for name in verdict if name in LABELLED], np.int64)
    return replace(kept, labels=labels, classes=EXPRESSIONS)
