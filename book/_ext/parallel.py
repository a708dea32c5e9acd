"""Sphinx extension: pages are read and written side by side; `jupyter-book build` has no option for it.

Each page with cells starts a kernel of its own and keeps one core busy. ``$FER_JOBS`` names another number.
"""

from __future__ import annotations

import os
from typing import Any

# Neither says whether it may; the one numbers contents when all is read, the other is idle but for LaTeX.
SILENT = ("sphinx_multitoc_numbering", "sphinx_jupyterbook_latex")


def allow(app: Any, _config: Any) -> None:
    """Say it for them."""
    for name in SILENT:
        app.extensions[name].parallel_read_safe = True


def setup(app: Any) -> dict[str, Any]:
    """Set how many processes Sphinx takes."""
    app.parallel = int(os.environ.get("FER_JOBS") or os.cpu_count() or 1)
    app.connect("config-inited", allow)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
