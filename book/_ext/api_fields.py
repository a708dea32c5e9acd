"""Sphinx extension: what numpy's docstrings say of attributes, as text that nothing tries to look up.

The types there are words with shapes, ``uint8 (N, H, W)``, and a line may stand for several attributes.
Sphinx would take each of these words for the name of a class.
"""

from __future__ import annotations

import re
from typing import Any

FIELD = re.compile(r":(ivar|vartype) ([^:]+): ?(.*)")
NAMES = re.compile(r"\w+(, \w+)*")


def plain_types(app: Any, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    """Put the type of each attribute before its description (after Napoleon has made fields)."""
    fields = [FIELD.fullmatch(line) for line in lines]
    types = {found[2]: found[3] for found in fields if found and found[1] == "vartype"}
    made: list[str] = []
    for line, found in zip(lines, fields, strict=True):
        if found is None:
            made.append(line)
        elif found[1] == "vartype":
            continue
        elif NAMES.fullmatch(found[2]):
            kind = f"*{types[found[2]]}*" if found[2] in types else ""
            # Without a blank, or Sphinx would take the first name for the type of the second.
            names = found[2].replace(", ", ",\N{ZERO WIDTH SPACE}")
            made.append(f":ivar {names}: " + " – ".join(filter(None, (kind, found[3]))))
        else:  # a paragraph that follows the attributes
            made += ["", f"{found[2]}: {found[3]}" if found[3] else found[2]]
    # Of a constant, "What it is: more" is a sentence and no type.
    if what in ("attribute", "data", "property") and made[2:3] and made[2].startswith(":type: "):
        made[:3] = [f"{made[2].removeprefix(':type: ')}: {made[0]}"]
    lines[:] = made


def setup(app: Any) -> dict[str, Any]:
    """Register the filter behind Napoleon's."""
    app.connect("autodoc-process-docstring", plain_types, priority=900)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
