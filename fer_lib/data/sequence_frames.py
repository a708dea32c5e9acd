"""Which frames of a sequence are taken: the last ones, towards the apex, or the first, neutral one."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

from fer_lib.data.sources import Source

FRAMES = ("apex", "last3", "last10", "neutral", "all")  # apex: the last frame; neutral: the first
NAMED = 5  # sequences that a remark names


def wanted(which: str) -> int:
    """Return how many frames ``which`` asks of a sequence; 1 where any number will do."""
    return int(which.removeprefix("last")) if which.startswith("last") else 1


def by_sequence(rows: Sequence[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    """Return the rows of each sequence in the order of their ids, which is that of the frames."""
    ordered = sorted(rows, key=lambda row: row["id"])
    return {name: list(group) for name, group in itertools.groupby(ordered, lambda row: row["sequence"])}


def take(
    source: Source, sequences: dict[str, list[dict[str, Any]]], labels: dict[str, str], which: str
) -> None:
    """Make the frames ``which`` asks for, of the sequences of the source's classes, its rows and files.

    A sequence with fewer frames than asked for gives all.
    """
    part = slice(1) if which == "neutral" else slice(None) if which == "all" else slice(-wanted(which), None)
    taken = {name: rows[part] for name, rows in sequences.items() if labels[name] in source.classes}
    source.rows = [{**row, "expression": labels[row["sequence"]]} for rows in taken.values() for row in rows]
    source.files += [row["path"] for row in source.rows]
    if short := [name for name, rows in taken.items() if len(rows) < wanted(which)]:
        source.facts["short_sequences"] = len(short)
        source.remarks.append(
            f"{named(short)} have fewer than {wanted(which)} frames; all they have are taken."
        )


def named(sequences: Sequence[str]) -> str:
    """Return the number of sequences and the names of the first few."""
    more = ", ..." if len(sequences) > NAMED else ""
    return f"{len(sequences):,} sequences ({', '.join(sequences[:NAMED])}{more})"
