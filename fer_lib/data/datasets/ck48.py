"""CK+48: the circulating crops of CK+, the last three frames of each labelled sequence in class folders."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from fer_lib.data.sequence_frames import by_sequence, take
from fer_lib.data.sources import Source, drop_repeats, shown
from fer_lib.errors import FerError

LEAK = (
    "CK+48 holds three nearly equal frames of each sequence: split it by sequence or subject, never at "
    "random, which leaks frames of one sequence between the parts."
)


def select(source: Source, crops: list[dict[str, Any]], frames: str, classes: Iterable[str]) -> None:
    """Make the frames asked for the source's rows, and count what the copy holds of ``classes``."""
    if frames not in ("apex", "last3"):
        raise FerError(
            f"{shown(source.root)} is CK+48, which holds only the last three frames of a sequence; frames is "
            f"'apex' or 'last3', {frames!r} needs the original tree."
        )
    source.rows = crops
    drop_repeats(source)
    found = [row["expression"] for row in source.rows]
    source.facts = {"images": len(found), **{name: found.count(name) for name in classes}}
    sequences = by_sequence(source.rows)
    labels: dict[str, str] = {}
    for name, rows in sequences.items():
        said = sorted({row["expression"] for row in rows})
        labels[name] = said[0]
        if len(said) > 1:
            source.problems.append(
                f"{shown(source.root)}: sequence {name} lies in the folders of {' and '.join(said)}; remove "
                "the wrong one."
            )
    source.remarks.append(LEAK)
    take(source, sequences, labels, frames)
