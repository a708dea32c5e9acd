"""Sphinx extension: what docstrings say of attributes, as text, and what signatures mean by short names.

The types there are words with shapes, ``uint8 (N, H, W)``, and a line may stand for several attributes.
Sphinx would take each of these words for the name of a class.
"""

from __future__ import annotations

import ast
import re
import sys
from functools import cache
from pathlib import Path
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
    kinds = [i for i, line in enumerate(made) if line.startswith(":type: ")]
    if what in ("attribute", "data", "property") and kinds:
        # Of a constant, "What it is: more" is a sentence and no type.
        said = made.pop(kinds[0]).removeprefix(":type: ")
        made[:1] = [f"{said}: {made[0]}"]
    lines[:] = made


@cache
def _only_for_types(module: str) -> dict[str, str]:
    """Return what a module imports of this library for its type hints alone: name to full name."""
    found = {}
    for node in ast.parse(Path(sys.modules[module].__file__).read_text("utf-8")).body:
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            for line in node.body:
                if isinstance(line, ast.ImportFrom) and (line.module or "").startswith("fer_lib"):
                    found |= {alias.name: f"{line.module}.{alias.name}" for alias in line.names}
    return found


def full_names(
    app: Any, what: str, name: str, obj: Any, options: Any, signature: str | None, returned: str | None
) -> tuple[str | None, str | None] | None:
    """Write such names out in signatures, so that each leads to the one class it means."""
    module = str(getattr(obj, "__module__", ""))
    short = _only_for_types(module) if module.startswith("fer_lib") else {}
    if not short:
        return None

    def written(text: str | None) -> str | None:
        return text and re.sub(r"(?<![.\w])[A-Z]\w*", lambda found: short.get(found[0], found[0]), text)

    return written(signature), written(returned)


def setup(app: Any) -> dict[str, Any]:
    """Register both; the filter of fields comes after Napoleon."""
    app.connect("autodoc-process-docstring", plain_types, priority=900)
    app.connect("autodoc-process-signature", full_names)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
