"""FER+: ten people's votes for each row of fer2013.csv, and the majority label made of them.

Barsoum et al. (2016) had ten taggers look at every image. ``fer2013new.csv`` has a row for each row of
``fer2013.csv`` and nothing else to join them by: its column of image names is no row number and has blanks
and repeats. Whether the rows of a copy are still in that order is therefore tested: the two labellings of
one image agree far more often than those of two.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from fer_lib.data import pixel_csv
from fer_lib.data.corpus import SPLIT_ORDER, Corpus
from fer_lib.data.sources import Source, folded, shown
from fer_lib.errors import FerError
from fer_lib.expressions import EXPRESSIONS

NAME = "fer2013new.csv"
FOLDERS = ("", "ferplus", "fer+", "ferplus-master")  # where it lies beside fer2013.csv, in any case
LABELLED = ("neutral", "happiness", "surprise", "sadness", "anger", "disgust", "fear", "contempt")
COLUMNS = (*LABELLED, "unknown", "NF")
NO_MAJORITY = "no majority"
DROPPED = {NO_MAJORITY: "no majority", "unknown": "a majority for unknown", "NF": "a majority for no face"}
VOTES = 10  # in a row; one row of the original file has 9
BLOCK, FEW, AGREEMENT = 1000, 50, 0.4  # rows tested at once, too few to test, and what chance never gives
NAMED = 5  # rows that a remark names


@dataclass(frozen=True, eq=False)
class Votes:
    """The M rows of a file: votes int64 (M, 10) in the order of COLUMNS, and splits int64 (M,)."""

    path: Path
    counts: np.ndarray
    splits: np.ndarray


def find(folder: Path) -> Path | None:
    """Return the file of votes in ``folder`` or in a folder of FER+ below it, None if there is none."""
    if not folder.is_dir():
        return None
    for below in sorted(folder.iterdir(), key=lambda entry: entry.name):
        if below.name.lower() == NAME and below.is_file():
            return below
    others = (f for f in sorted(folder.iterdir()) if f.name.lower() in FOLDERS[1:] and f.is_dir())
    return next((found for other in others if (found := find(other))), None)


def read(path: Path, usages: dict[str, int]) -> Votes:
    """Read the votes; ``usages`` maps the column Usage to codes of splits.

    Raises
    ------
    FerError
        If the file is not one of FER+, or a row has anything but whole numbers of votes.
    """
    faults: list[str] = []
    wrong_rows: list[tuple[str, str]] = []
    counts, splits = [np.zeros((0, len(COLUMNS)), np.int64)], [np.zeros(0, np.int64)]
    for rows in pixel_csv.blocks(path, ["Usage", *COLUMNS], faults):
        split, wrong = pixel_csv.codes(rows["Usage"], usages)
        text = rows[list(COLUMNS)].fillna("").map(str.strip)
        whole = text.map(lambda cell: cell.isascii() and cell.isdigit() and len(cell) < 3).to_numpy()
        for i in np.flatnonzero(~whole.all(axis=1)).tolist():
            wrong[i] = f"{COLUMNS[int(whole[i].argmin())]} is no number of votes."
        wrong_rows += pixel_csv.row_faults(path, rows, wrong)
        counts.append(text.where(whole, "0").to_numpy().astype(np.int64))
        splits.append(split)
    if faults := [*faults, *folded(wrong_rows, "row")]:
        more = f" ({len(faults) - 1:,} more faults.)" if len(faults) > 1 else ""
        raise FerError(f"{faults[0]} Get the file of votes again.{more}")
    return Votes(path, np.concatenate(counts), np.concatenate(splits))


def no_votes(path: Path) -> str:
    """Say why the file is none of FER+, by its first row; empty if it is one."""
    faults: list[str] = []
    next(pixel_csv.blocks(path, ["Usage", *COLUMNS], faults), None)
    return faults[0] if faults else ""


def majority(counts: np.ndarray) -> np.ndarray:
    """Return what most voted for, str (M,): an expression, ``unknown``, ``NF`` or ``no majority``.

    As the owners do: an option with a single vote is left out as a slip, and a majority is more than half
    of the votes that remain.

    Parameters
    ----------
    counts : int (M, 10)
        Votes in the order of COLUMNS.
    """
    counted = np.where(counts > 1, counts, 0)
    enough = 2 * counted.max(axis=1, initial=0) > counted.sum(axis=1)
    return np.where(enough, np.array(COLUMNS)[counted.argmax(axis=1)], NO_MAJORITY)


def describe(votes: Votes, source: Source) -> None:
    """Add to the source how many rows have no label, why, and the first of them."""
    verdict = majority(votes.counts)
    for reason, text in DROPPED.items():
        rows = np.flatnonzero(verdict == reason) + 1
        source.facts[f"ferplus_{reason.replace(' ', '_').lower()}"] = len(rows)
        if len(rows):
            first = ", ".join(map(str, rows[:NAMED].tolist())) + (", ..." if len(rows) > NAMED else "")
            source.remarks.append(f"FER+: {len(rows):,} rows have {text} and are left out (rows {first}).")
    if odd := int((votes.counts.sum(axis=1) != VOTES).sum()):
        source.remarks.append(f"FER+: {odd:,} rows do not have {VOTES} votes; they are used as they are.")


def match(
    votes: Votes, path: Path, rows: int, kept: np.ndarray, labels: np.ndarray, splits: np.ndarray
) -> None:
    """Make sure that the votes belong to the rows of a csv of FER2013.

    Parameters
    ----------
    path : Path
        The csv.
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
    again = f"get the original fer2013.csv and {NAME}, whose rows belong together by their order alone."
    if rows != len(votes.counts):
        raise FerError(
            f"{shown(path)} has {rows:,} rows, {shown(votes.path)} has {len(votes.counts):,}: {again}"
        )
    if (other := np.flatnonzero(votes.splits[kept] != splits)).size:
        said = [SPLIT_ORDER[code[other[0]]] for code in (splits, votes.splits[kept])]
        raise FerError(
            f"{shown(path)}, row {kept[other[0]] + 1} is of {said[0]}, but in {shown(votes.path)} of "
            f"{said[1]}: {again}"
        )
    verdict = majority(votes.counts)[kept]
    told = np.isin(verdict, EXPRESSIONS[:7])
    same = verdict == np.array(EXPRESSIONS)[labels]
    for start in range(0, rows, BLOCK):
        block = told & (kept >= start) & (kept < start + BLOCK)
        if block.sum() >= FEW and same[block].mean() < AGREEMENT:
            raise FerError(
                f"{shown(path)}, rows {start + 1} to {min(start + BLOCK, rows)}: the votes of {NAME} agree "
                f"with only {same[block].mean():.0%} of the labels, so the order of rows differs; {again}"
            )


def relabel(corpus: Corpus) -> Corpus:
    """Return the samples whose votes (columns of its ``meta``) have a majority, in FER+'s eight classes."""
    from dataclasses import replace

    verdict = majority(corpus.meta[list(COLUMNS)].to_numpy())  # type: ignore[index]
    kept = corpus.select(np.isin(verdict, LABELLED))
    labels = np.array([EXPRESSIONS.index(name) for name in verdict if name in LABELLED], np.int64)
    return replace(kept, labels=labels, classes=EXPRESSIONS)
