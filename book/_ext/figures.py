"""Sphinx extension: pictures that cells made become numbered figures with caption and alternative text.

What is said of a figure stands in ``book/captions.yml``, so that neither notebooks nor evidence are touched
by it. An output of a recorded notebook names its figure in its metadata, ``{"figure": name}``. In a page of
``book/`` the cell does, with ``:figure: <key>``.

``recorded-figure`` shows a figure of the evidence on another page::

    ```{recorded-figure} cnn_sift/fer2013 confusion
    :name: fer2013-confusion
    Markdown here replaces the caption of book/captions.yml.
    ```

Of the runs of that paper and dataset the one at the highest budget that has it is taken; ``*`` is any
dataset, photographs before drawn faces. Where there is none, the figure says that it was not run. A name
with ``*`` shows all pictures that it fits, one below the other, each under what ``*`` stands for. Of names
with ``|`` between them the first that a run has is shown. ``:cells: 2 3`` shows the upper left corner of a
sheet, two rows of three pictures, on white paper of four by three.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from fnmatch import translate
from functools import cache
from os.path import relpath
from pathlib import Path
from re import match
from typing import Any, ClassVar

import numpy as np
import yaml
from docutils import nodes
from docutils.parsers.rst import directives
from PIL import Image, ImageOps
from sphinx import addnodes
from sphinx.transforms import SphinxTransform
from sphinx.util.docutils import SphinxDirective

from fer_lib.data import datasets
from fer_lib.evidence.runs import BUDGETS, Run, find
from fer_lib.show.pages import called

CAPTIONS = Path(__file__).resolve().parents[1] / "captions.yml"


@cache
def captions() -> dict[str, dict[str, str]]:
    """Return what is said of each figure, by key."""
    return yaml.safe_load(CAPTIONS.read_text("utf-8"))


def words(name: str, paper: str = "") -> dict[str, str] | None:
    """Return ``caption`` and ``alt`` of a figure; None where the file says nothing of it.

    Exact keys go before patterns, and what is said for one paper before what is said for all.
    """
    everything = captions()
    for pattern in sorted(everything, key=lambda key: ("*" in key, "/" not in key)):
        asked = f"{paper}/{name}" if "/" in pattern else name
        if found := match(translate(pattern).replace(".*", "(.*)"), asked):
            filled = ["each network" if text == "*" else called(text) for text in found.groups()]
            return {kind: text.format(*filled) for kind, text in everything[pattern].items()}
    return None


def recorded_names(notebook: Path) -> list[str | None]:
    """Return under which name each picture of an executed notebook was recorded, as its output says."""
    cells = json.loads(notebook.read_text("utf-8"))["cells"]
    made = [out for cell in cells for out in cell.get("outputs", ()) if "image/png" in out.get("data", {})]
    return [out.get("metadata", {}).get("figure") for out in made]


class Captions(SphinxTransform):
    """Put each picture that a cell made into a figure."""

    default_priority = 400  # before labels and images are collected

    def apply(self, **_: Any) -> None:
        """Wrap the pictures of one page."""
        boxes = self.document.findall(nodes.container)
        cells = [box for box in boxes if box.get("nb_element") == "cell_code"]
        made = [(image, cell) for cell in cells for image in cell.findall(nodes.image)]
        # Where MyST-NB made a figure, as the cell asked, only the alternative text may be missing.
        for image, _cell in made:
            if isinstance(image.parent, nodes.figure) and not image.get("alt"):
                image["alt"] = " ".join(part.astext() for part in image.parent.findall(nodes.caption))
        names = [cell["cell_metadata"].get("figure") for _, cell in made]
        parts = self.env.docname.split("/")
        page = "-".join(parts[1:])
        if parts[0] == "results":
            known = recorded_names((Path(self.env.srcdir) / self.env.docname).with_suffix(".ipynb"))
            names = known if len(known) == len(made) else names
            page = "-".join(parts[1:-1])
        named = zip(made, names, strict=True)
        pairs = [(image, name) for (image, _), name in named if not isinstance(image.parent, nodes.figure)]
        for count, (image, name) in enumerate(pairs, 1):
            said = (words(name, parts[1]) if name else None) or _by_heading(image, count)
            figure = _figure(image.copy(), said["alt"], nodes.Text(said["caption"]))
            label = nodes.fully_normalize_name(f"{page}-{name or 'picture'}")
            if label in self.document.nameids:  # a cell may make several pictures of one kind
                label += f"-{count}"
            figure["names"].append(label)  # also what numbers it, and what {numref} looks for
            self.document.note_explicit_target(figure, figure)
            image.replace_self(figure)


def _figure(picture: nodes.Node, alt: str, *said: nodes.Node) -> nodes.figure:
    """Return a figure of a picture, or of what stands in its place, with its caption."""
    if isinstance(picture, nodes.image):
        picture["alt"] = alt
    return nodes.figure("", picture, nodes.caption("", "", *said))


def _by_heading(image: nodes.image, count: int) -> dict[str, str]:
    """Return a caption of what the section is about, where nothing better is known."""
    section = image.parent
    while section is not None and not isinstance(section, nodes.section):
        section = section.parent
    about = section.next_node(nodes.title).astext() if section is not None else "This page"
    return {"caption": f"{about}, picture {count} of this page.", "alt": f"Picture on: {about}"}


WHITE, LEAST, SHAPE = 250, 0.04, (4, 3)
"""Grey values that are paper, the share of a sheet that is a picture and no text, width and height shown."""


def corner(sheet: Image.Image, rows: int, columns: int) -> Image.Image:
    """Return the upper left corner of a sheet: so many rows and columns of pictures, with their words.

    Pictures are told from words by their size, and from one another by the white between them.
    """
    inked = np.asarray(sheet.convert("L")) < WHITE

    def end(lines: np.ndarray, count: int) -> int:
        edges = np.flatnonzero(np.diff(np.r_[0, lines.astype(int), 0])).reshape(-1, 2)
        large = np.flatnonzero(edges[:, 1] - edges[:, 0] >= LEAST * len(lines))
        if count >= len(large):
            return len(lines)
        last, following = large[count - 1], large[count]
        # Words belong to the picture that they are nearer to.
        while edges[last + 1, 0] - edges[large[count - 1], 1] < edges[following, 0] - edges[last + 1, 1]:
            last += 1
        return int(edges[last : last + 2].ravel()[1:3].mean())  # half-way to what follows

    bottom = end(inked.any(axis=1), rows)
    return sheet.crop((0, 0, end(inked[:bottom].any(axis=0), columns), bottom))


class RecordedFigure(SphinxDirective):
    """Show a figure of a run's evidence, numbered, with its caption and a link to the run."""

    required_arguments = 2
    final_argument_whitespace = True  # a figure is named after a model, whose name may be of two words
    has_content = True
    option_spec: ClassVar = {"name": directives.unchanged, "cells": directives.positive_int_list}

    def run(self) -> list[nodes.Node]:
        """Return one figure."""
        where, name = self.arguments
        paper, dataset = where.split("/")
        said = words(name.partition("|")[0], paper)
        if said is None and not self.content:
            raise self.error(f"book/captions.yml says nothing of {name!r}")
        paths, drawn = self._files(where, name)
        caption = self._caption(said)
        if not paths:
            on = "" if dataset == "*" else f" on {datasets.CARDS[dataset].title.split(' (')[0]}"
            place = nodes.paragraph("", f"Not run{on}.", classes=["not-run"])
            figure = _figure(place, "", *caption)
        else:
            alt = (said or {}).get("alt") or nodes.Element("", *caption).astext()
            run = self._run(Run(paths[0].parents[1]))
            figure = _figure(nodes.Text(""), "", *caption, nodes.Text(" "), run)
            figure[0:1] = [node for path in paths for node in self._picture(path, drawn, alt)]
        self.set_source_info(figure)
        figure["classes"].append("recorded-figure")
        self.options.setdefault("name", f"{where.replace('/', '-').replace('*', 'any')}-{name}-shown")
        self.add_name(figure)
        return [figure]

    def _picture(self, path: Path, name: str, alt: str) -> list[nodes.Node]:
        """Return one picture, under what it is of where there may be several."""
        self.env.note_dependency(str(path))
        image = nodes.image(uri="/" + Path(relpath(self._cropped(path), self.env.srcdir)).as_posix(), alt=alt)
        of = called(path.stem.removeprefix(name.partition("*")[0]).replace("_", ", "))
        return [nodes.paragraph("", of, classes=["fer-caption"]), image] if "*" in name else [image]

    def _cropped(self, path: Path) -> Path:
        """Return the file of a picture, or of the corner of it that is asked for."""
        if "cells" not in self.options:
            return path
        rows, columns = self.options["cells"]
        name = "-".join((*path.relative_to(self.env.srcdir).parts[1:-2], path.stem, f"{rows}x{columns}.png"))
        made = Path(self.env.doctreedir) / "corners" / name
        made.parent.mkdir(parents=True, exist_ok=True)
        with Image.open(path) as sheet:
            part = corner(sheet.convert("RGB"), rows, columns)
            high = max(part.height, -(-part.width * SHAPE[1] // SHAPE[0]))
            ImageOps.pad(part, (high * SHAPE[0] // SHAPE[1], high), color="white").save(made)
        return made

    def _files(self, where: str, names: str) -> tuple[list[Path], str]:
        """Return the pictures in the best run that has some, and which of ``a|b`` they are called by."""
        paper, dataset = where.split("/")
        found = find(Path(self.env.srcdir) / "results", paper, None if dataset == "*" else dataset)
        runs = [run for run in found if not run.variant]  # stable sorting: the first seed stays first
        runs.sort(key=lambda run: (datasets.CARDS[run.dataset].synthetic, -BUDGETS.index(run.budget)))
        tried = ((sorted(run.path.glob(f"figures/{n}.png")), n) for run in runs for n in names.split("|"))
        return next((found for found in tried if found[0]), ([], names))

    def _caption(self, said: dict[str, str] | None) -> Iterable[nodes.Node]:
        if not self.content:
            return [nodes.Text(said["caption"])]
        holder = nodes.Element()
        self.state.nested_parse(self.content, self.content_offset, holder)
        if len(holder) != 1 or not isinstance(holder[0], nodes.paragraph):
            raise self.error("the caption must be one paragraph")
        return holder[0].children

    def _run(self, run: Run) -> nodes.Node:
        """Say which run the figure is of, with a link where the book has its notebook."""
        card, variant = datasets.CARDS[run.dataset], f", {run.variant}" if run.variant else ""
        title = card.title.split(" (")[0] + " (drawn faces)" * card.synthetic
        text = f"{title}, budget {run.budget}, seed {run.seed}{variant}"
        page = (run.path / "notebook").relative_to(self.env.srcdir).as_posix()
        shown: nodes.Node = nodes.inline("", text)
        if page in self.env.found_docs:
            shown = addnodes.pending_xref(
                "", nodes.inline("", text), refdomain="std", reftype="doc", reftarget=f"/{page}",
                refexplicit=True, refwarn=True, refdoc=self.env.docname,
            )  # fmt: skip
        return nodes.inline("", "", nodes.Text("Run: "), shown, nodes.Text("."), classes=["figure-run"])


def number_by_chapter(app: Any, env: Any) -> list[str]:
    """Give figures a number within their chapter, which takes in the pages below it: 1.1, 1.2 and on.

    Sphinx does so only where headings are numbered too. It has numbered the figures from the first page to
    the last, in the order in which they are counted here.
    """

    def pages(docname: str) -> list[str]:
        return [docname, *(page for below in env.toctree_includes.get(docname, ()) for page in pages(below))]

    for chapter, docname in enumerate(env.toctree_includes.get(env.config.root_doc, ()), 1):
        numbers = [env.toc_fignumbers.get(page, {}).get("figure", {}) for page in pages(docname)]
        count = 0
        for figures in numbers:
            for name in sorted(figures, key=figures.get):
                count += 1
                figures[name] = (chapter, count)
    return []


def setup(app: Any) -> dict[str, Any]:
    """Register the transform, the directive and the numbering."""
    app.connect("env-get-updated", number_by_chapter, priority=900)  # after Sphinx's own
    app.add_transform(Captions)
    app.add_directive("recorded-figure", RecordedFigure)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
