"""The list of the library's modules, read from the pages that document them."""

from __future__ import annotations

import ast
import re
from pathlib import Path

from IPython.display import HTML
from markup import Html, Long, table, two_lines

from fer_lib.evidence.provenance import repository

PARTS = ("ground", "corpora", "inputs", "models", "training", "evidence", "surface")
"""The pages, from what everything stands on to what a user meets."""


def documented(part: str) -> list[str]:
    """Return the modules on one page, in its order."""
    text = (repository() / "book" / f"api_{part}.md").read_text("utf-8")
    return re.findall(r"^\.\. automodule:: (fer_lib[\w.]*)$", text, re.MULTILINE)


def source(module: str) -> Path:
    """Return the file of a module or package."""
    path = repository().joinpath(*module.split("."))
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


def purpose(module: str) -> str:
    """Return the first line of a module's docstring, its roles and quotes taken off."""
    doc = ast.get_docstring(ast.parse(source(module).read_text("utf-8"))) or ""
    return re.sub(r":\w+:`([^`]*)`|``([^`]*)``", lambda found: found[1] or found[2], doc.split("\n")[0])


def modules() -> HTML:
    """Show each part with its modules and what they are for."""
    rows = []
    for part in PARTS:
        title = (
            (repository() / "book" / f"api_{part}.md").read_text("utf-8").split("\n")[0].removeprefix("# ")
        )
        for module in documented(part):
            link = Html(f'<a href="api_{part}.html#module-{module}"><code>{module}</code></a>')
            rows.append({"Module": two_lines(link, title), "What it is for": Long(purpose(module))})
    return table(rows, label="Modules of the library")
