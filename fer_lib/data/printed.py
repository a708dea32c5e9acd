"""The counts that papers print of a corpus, the selection that should give them, and where none does.

Each reader lists its own as ``printed``. The numbers themselves are claims (:mod:`fer_lib.claims`); here
stands what a complete copy yields, and why that is another number or cannot be known.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from fer_lib.errors import FerError

if TYPE_CHECKING:
    from fer_lib.data.reader import Reader
    from fer_lib.data.sources import Source


@dataclass(frozen=True)
class Printed:
    """One count of one paper."""

    claim: str  # id of the claim that holds the number
    what: str  # is counted: `images`, `sequences` or `subjects`
    complete: int | None  # number in a complete copy; None where copies differ or nobody has counted
    selection: dict[str, Any] = field(default_factory=dict)  # options of `datasets.load`
    why: str = ""  # that is not the printed number; empty where it is
    whole: str = ""  # if not of the selection: the name, among a source's facts, of the whole copy's count


def compare(reader: Reader, root: Any) -> list[dict[str, Any]]:
    """Set the printed counts of a corpus beside those of a copy and of a complete one, opening no image.

    Each row has the ``paper``, ``where`` (table or section), ``selection`` (options of ``datasets.load``,
    ``default`` or ``whole copy``), ``what`` is counted, ``printed``, ``complete``, ``why`` that is another
    number, and ``here``: the copy's own, None where this form of the corpus does not have the selection.
    """
    from fer_lib import claims

    frame = claims.frame().set_index("id")
    found: dict[str, Source | None] = {}
    rows = []
    for entry in reader.printed:
        claim = frame.loc[entry.claim]
        chosen = ", ".join(f"{name}={value}" for name, value in entry.selection.items())
        if chosen not in found:
            found[chosen] = None
            with suppress(FerError):
                found[chosen] = reader.locate(root, **entry.selection)
        row = {"paper": claim["paper"], "where": claim["table"]}
        row |= {"selection": "whole copy" if entry.whole else chosen or "default", "what": entry.what}
        row |= {"printed": int(claim["value"]), "complete": entry.complete, "why": entry.why}
        rows.append(row | {"here": count(found[chosen], entry)})
    return rows


def count(source: Source | None, entry: Printed) -> int | None:
    """Return a count of what was located; None if nothing was, or it holds no such thing."""
    if source is None:
        return None
    if entry.whole:
        return source.facts.get(entry.whole)
    if entry.what == "images":
        return len(source.rows) * source.images_per_row
    column = entry.what.removesuffix("s")
    return len({row[column] for row in source.rows if column in row}) or None


def remarks(rows: list[dict[str, Any]]) -> list[str]:
    """Say which printed counts a complete copy does not have either, where this one has another number."""
    return [
        f"{row['paper']} prints {row['printed']:,} {row['what']} ({row['where']}), this copy has "
        f"{row['here']:,} ({row['selection']}): {row['why']}"
        for row in rows
        if row["why"] and row["here"] is not None and row["here"] != row["printed"]
    ]
