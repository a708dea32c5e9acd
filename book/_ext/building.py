"""Sphinx extension: what Jupyter Book has no option for when it builds this book.

* Pages are read and written side by side. Each page with cells starts a kernel of its own and keeps one core
  busy; ``$FER_JOBS`` names another number of processes.
* Kernels of pages speak encrypted where they can, as those of ``fer run`` do: else other users of the machine
  could listen in, of which every kernel warns.
* An executed notebook is titled by its run, and says at its top where the code behind it has changed since.
* ``$FER_REPOSITORY`` is the address of the repository to which the book links; without it there is no link.
* The API page lists the library by folder. What ``autosummary`` writes for it is in the table of contents by
  a pattern, so it needs no second tree of contents; and a folder's page leaves its inner folders to theirs.
"""

from __future__ import annotations

import os
import pkgutil
import sys
from pathlib import Path
from typing import Any

from docutils import nodes
from jupyter_client import KernelManager
from sphinx.ext.autosummary import Autosummary, autosummary_toc
from sphinx.transforms import SphinxTransform

import fer_lib
from fer_lib.evidence.runs import Run

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from about_runs import NAMES, STALE, run_name, stale_badge

# Neither says whether it may; the one numbers contents when all is read, the other is idle but for LaTeX.
SILENT = ("sphinx_multitoc_numbering", "sphinx_jupyterbook_latex")


class Listed(Autosummary):
    """An ``autosummary`` whose pages are in the table of contents already."""

    def run(self) -> list[nodes.Node]:
        """Return the table alone."""
        return [node for node in super().run() if not isinstance(node, autosummary_toc)]


class RunTitle(SphinxTransform):
    """Name an executed notebook after its run, and say where its code is no longer today's."""

    default_priority = 390  # before titles and figures are collected

    def apply(self, **_: Any) -> None:
        """Change the first title of one page."""
        if not self.env.docname.startswith("results/"):
            return
        run = Run((Path(self.env.srcdir) / self.env.docname).parent)
        title = self.document.next_node(nodes.title)
        title[:] = [nodes.Text(f"{NAMES[run.paper]} on {run_name(run)}")]
        if stale_badge(run):
            said = f"Made by {STALE}: the library or the notebook has changed since this page was executed."
            note = nodes.admonition("", nodes.title("", "An older run"), nodes.paragraph("", said))
            note["classes"] += ["warning", "stale-run"]
            title.parent.insert(title.parent.index(title) + 1, note)


def prepare(app: Any, config: Any) -> None:
    """Let all extensions work side by side, name the folders for the template, link the repository."""
    for name in SILENT:
        app.extensions[name].parallel_read_safe = True
    found = pkgutil.walk_packages(fer_lib.__path__, "fer_lib.")
    config.autosummary_context = {"folders": [module.name for module in found if module.ispkg]}
    if address := os.environ.get("FER_REPOSITORY"):
        config.html_theme_options |= {"repository_url": address, "use_repository_button": True}


def setup(app: Any) -> dict[str, Any]:
    """Register all of it; myst-nb has no option for the managers of its kernels."""
    app.parallel = int(os.environ.get("FER_JOBS") or os.cpu_count() or 1)
    KernelManager.transport_encryption.default_value = "auto"
    app.setup_extension("sphinx.ext.autosummary")
    app.add_directive("autosummary", Listed, override=True)
    app.add_transform(RunTitle)
    app.connect("config-inited", prepare)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
