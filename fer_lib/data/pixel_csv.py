"""Csv files that hold an image per row: read in blocks, faults by row."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from fer_lib.data.sources import folded, is_archive, read_head, refuse, shown
from fer_lib.errors import FerError
from fer_lib.progress import track

if TYPE_CHECKING:
    import pandas as pd

POINT = re.compile(r"(?<=\d)\.0*(?= |$)")  # of 255.0, as programs that know only floats write it
NUMBERS = re.compile(r" *\d{1,3}(?: +\d{1,3})* *", re.ASCII)
ROWS = 1000  # parsed at once: about 8 MB of FER2013's text, which bounds the memory of the parser


def blocks(path: Path, columns: list[str], problems: list[str]) -> Iterator[pd.DataFrame]:
    """Yield blocks of rows that are not blank as text, indexed by the row's number in the file less one.

    Blanks around the names of ``columns`` in the file do not matter. ``problems`` receives a sentence if the
    file is no csv or lacks a column; reading ends there.
    """
    import pandas as pd

    try:
        head = read_head(path)
        refuse(head)
        if is_archive(head):
            raise FerError("is an archive; move it elsewhere and unpack it with `fer data import`.")
        # Blank lines are kept while reading, so that the row numbers in messages are right.
        with (
            warnings.catch_warnings(),
            pd.read_csv(path, dtype=str, chunksize=ROWS, skip_blank_lines=False, index_col=False) as reader,
        ):
            warnings.simplefilter("ignore", pd.errors.ParserWarning)  # rows of another length: seen below
            for block in reader:
                block.columns = [str(name).strip() for name in block.columns]
                if missing := [name for name in columns if name not in block.columns]:
                    names = (name if name.isprintable() else repr(name) for name in block.columns[:8])
                    found = ", ".join(names)[:200]
                    problems.append(f"{path}: no column {', '.join(missing)}; found {found}.")
                    return
                yield block[columns].dropna(how="all")
    except FerError as error:
        problems.append(f"{path} {error}")
    except OSError as error:
        problems.append(f"{path} cannot be read ({error.strerror}).")
    except ValueError as error:  # pandas' parser errors and UnicodeDecodeError are ValueErrors
        why = str(error).strip().removeprefix("Error tokenizing data. C error: ")
        problems.append(f"{path}: not a readable csv file ({why}); get it again.")


def read_images(
    path: Path, size: int, columns: dict[str, dict[str, int]], problems: list[str]
) -> tuple[np.ndarray, list[np.ndarray], np.ndarray, int]:
    """Read a csv with an image of ``size`` pixels a side in each row; show progress.

    ``columns`` tells for each column what its entries mean, as codes. ``problems`` receives what is wrong
    with the file and with rows, which are then left out.

    Returned are the N images, uint8 (N, size, size); their codes, int64 (N,) for each column; their positions
    among the rows that are not blank, int64 (N,); and the number of those rows.
    """
    images, kept = [np.zeros((0, size, size), np.uint8)], [np.zeros(0, np.int64)]
    values = [[np.zeros(0, np.int64)] for _ in columns]
    faults: list[tuple[str, str]] = []
    count = 0
    first, *others = columns
    found = blocks(path, [first, "pixels", *others], problems)
    expected = path.stat().st_size // (ROWS * 8400) + 1  # a row has about 8,400 bytes
    for rows in track(found, path.name, expected, "block"):
        read, wrong = read_codes(rows, columns)
        pixels, unread = parse_pixels(rows["pixels"].fillna("").tolist(), size**2)
        wrong |= unread  # last: a row that ends within its pixels lacks what stands behind them
        faults += row_faults(path, rows, wrong)
        good = np.array([i for i in range(len(rows)) if i not in wrong], np.int64)
        images.append(pixels.reshape(-1, size, size)[good])
        kept.append(good + count)
        for parts, column in zip(values, read, strict=True):
            parts.append(column[good])
        count += len(rows)
    problems += folded(faults, "row")
    return np.concatenate(images), [np.concatenate(parts) for parts in values], np.concatenate(kept), count


def row_faults(path: Path, rows: pd.DataFrame, faults: dict[int, str]) -> list[tuple[str, str]]:
    """Return where and what for faults by position in a block of rows (blank ones are counted)."""
    numbers = rows.index.to_numpy() + 1
    return [(f"{shown(path)}, row {numbers[i]} (line {numbers[i] + 1})", faults[i]) for i in sorted(faults)]


def read_codes(
    rows: pd.DataFrame, columns: dict[str, dict[str, int]]
) -> tuple[list[np.ndarray], dict[int, str]]:
    """Map text columns to codes, int64 (N,) each; unknown entries are 0 and described by position."""
    found, faults = [], {}
    for name, known in columns.items():
        text = rows[name].fillna("").str.strip()
        values = text.map(known)
        for i in np.flatnonzero(values.isna()).tolist():
            faults[i] = f"{name} is {text.iloc[i][:20]!r}, expected one of {', '.join(known)}."
        found.append(values.fillna(0).to_numpy(np.int64))
    return found, faults


def parse_pixels(texts: list[str], n: int) -> tuple[np.ndarray, dict[int, str]]:
    """Parse rows of ``n`` whole numbers 0..255 separated by blanks; 255.0 is one.

    Returns uint8 (len(texts), n), in which rows that cannot be parsed are zero, and by position what is wrong
    with those.
    """
    pixels = np.zeros((len(texts), n), np.uint8)
    faults = {}
    for i, given in enumerate(texts):
        text = POINT.sub("", given) if "." in given else given
        values = np.fromstring(text, np.int64, sep=" ") if NUMBERS.fullmatch(text) else []
        if len(values) == n and values.max() < 256:
            pixels[i] = values
        else:
            faults[i] = _why_not(text, n)
    return pixels, faults


def _why_not(text: str, n: int) -> str:
    """Say what is wrong with one row's pixels."""
    words = text.split()
    for position, word in enumerate(words, 1):
        if not (word.isascii() and word.isdigit() and len(word) < 4 and int(word) < 256):
            return f"pixel {position} is {word[:20]!r}, not a whole number from 0 to 255."
    return f"{len(words)} pixel values, expected {n}; cut off or damaged, get it again."
