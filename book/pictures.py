"""Pictures that a page draws of claims and networks: claimed beside ours, and a network's diagram."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache, partial
from html import escape
from typing import TYPE_CHECKING, Any

import pandas as pd
import torch
from complete import complete
from IPython.display import HTML
from markup import folded

from fer_lib import claims
from fer_lib.claims import Claim
from fer_lib.judge import people
from fer_lib.judge.headlines import Headline
from fer_lib.learn.layers import count_parameters, layer_table
from fer_lib.papers.cnn3d import network as cnn3d
from fer_lib.papers.cnn_sift import network as cnn_sift
from fer_lib.papers.cspp import network as cspp
from fer_lib.papers.lkrnet import network as lkrnet
from fer_lib.papers.multimodal import network as multimodal
from fer_lib.show import pages
from fer_lib.show.plots.diagram import diagram
from fer_lib.show.plots.dumbbells import dumbbells
from fer_lib.show.plots.style import MODEL_COLOURS

if TYPE_CHECKING:
    from torch import Tensor, nn

FACE = (1, 48, 48)
NETWORKS = {
    "cnn_sift": ("S2", partial(cnn_sift.build, "S2")),
    "multimodal": ("Multimodal (authors’ network)", multimodal.Multimodal),
    "cspp": ("C-SPP", partial(cspp.build, "C-SPP")),
    "cnn3d": ("c1", cnn3d.c1),
    "lkrnet": ("LKRNet (full)", partial(lkrnet.build, "Our method")),
}
"""Paper to its network that is drawn: what it is called and how it is built."""
LAYERS = {
    "attention": "#aa3377",
    "pyramid": "#228833",
    "conv": "#4477aa",
    "dense": "#ee7733",
    "pool": "#bbbbbb",
}
"""A word in a box of a thumbnail, the first that fits, and the colour of the box."""
INPUT = "#555555"
SHAPES = {
    "cnn_sift": {"face": FACE, "SIFT words": (cnn_sift.VISUAL_WORDS["S2"],)},
    "multimodal": {"face": FACE, "landmarks": (136,), "HOG": (900,)},
    "cspp": {"face": FACE},
    "cnn3d": {"clip": (3, 10, 112, 112)},
    "lkrnet": {"face": (1, 44, 44), "mask": (1, 2, 2)},
}
"""Paper to what its network reads."""


def lines(found: Iterable[Headline]) -> list[dict[str, Any]]:
    """Return a line of the chart for each accuracy, named by its class or by its paper and dataset."""
    rows: list[dict[str, Any]] = []
    for one in found:
        claim, paper = one.claim, claims.load(one.claim.paper)
        label = f"{paper.short_name}, {claim.dataset}"
        if one.mean:
            label += " (class mean)"
        elif claim.expression:
            label = claim.expression
        elif any(row["label"] == label for row in rows):  # by another protocol
            label += f" ({claim.place})"
        row = {"label": label, "href": f"scorecard.html#claim-{claim.id}"}
        row["colour"] = MODEL_COLOURS.get(claim.model, paper.colour)  # that of its network, in every figure
        row |= {"claim": claim, "mean": one.mean, "claimed": one.claimed}
        row |= {"majority": None if claim.expression else majority(claim)}
        row["people"] = None if one.mean else agreed(claim.corpus).get(claim.expression or "all")
        if one.answer:
            row |= {"ours": one.answer.ours, "certified": one.certified}
            if one.answer.low == one.answer.low:
                row |= {"low": one.answer.low, "high": one.answer.high}
        rows.append(row)
    return rows


def majority(claim: Claim) -> float | None:
    """Return what always naming the commonest class gives on a claim's test images, in per cent."""
    known = complete(claim.corpus).counts if claim.corpus else None
    if known is not None and known.shape[1] > 1:  # an official split, whose last part is the test part
        return 100 * known.iloc[:, -1].max() / known.iloc[:, -1].sum()
    counts = claims.load(claim.paper).protocol(claim.protocol).get("class_counts")
    return 100 * max(counts.values()) / sum(counts.values()) if counts else None


@cache
def agreed(corpus: str | None) -> dict[str, float]:
    """Return how often most of ten people say a test image's label, in per cent: of all and by class."""
    known = people.load() if corpus == "fer2013" else None
    return {name: found[0] for name, found in people.shares(known, known.majority()).items()} if known else {}


def chart(rows: list[dict[str, Any]], title: str, said: str = "") -> HTML:
    """Show printed numbers beside ours, with a caption: ``said``, else the title and what the marks are."""
    marks = ""
    if not said and any(row.get("ours") is not None for row in rows):
        marks += " On the right: claimed → ours."
    if not said and any(row.get("people") is not None for row in rows):
        marks += " The triangle is how often the votes of ten people give the label"
        marks += ' (<a href="people.html">what people say</a>).'
    text = f"{escape(said or title)}. Accuracy in per cent.{marks}"
    drawn = f"{dumbbells(rows, title)}<figcaption>{text}</figcaption>"
    return HTML(f'<figure class="fer-chart">{drawn}</figure>' if rows else "")


def network(paper: str) -> HTML:
    """Show the diagram of a paper's network, what is guessed of it, and its layers folded up."""
    name, model, inputs = built(paper)
    links = ", ".join(
        f'<a href="{guess["href"]}">{escape(guess["id"].replace("_", " "))}</a>' for guess in guesses(paper)
    )
    said = f"{escape(name)}, drawn from the network itself: {count_parameters(model):,} parameters. "
    said += "Sizes are channels by height by width. " * ("clip" not in inputs)
    said += f"A dashed box holds a guess of ours and links to it: {links}." if links else ""
    drawn = diagram(model, inputs, f"Diagram of {name}", guesses(paper))
    layers = pages.table(pd.DataFrame(layer_table(model, *inputs.values()))).data
    return HTML(
        f'<figure class="fer-chart">{drawn}<figcaption>{said}</figcaption></figure>'
        + folded(f"Every layer of {escape(name)}", layers)
    )


def thumbnail(paper: str) -> str:
    """Return a network's diagram for a card: its words are left out, its boxes coloured by their layers."""
    name, model, inputs = built(paper)
    drawn = diagram(model, inputs, f"Diagram of {name}").replace('diagram"', 'diagram thumbnail"', 1)

    def coloured(box: re.Match[str]) -> str:
        texts = re.findall(r"<text[^>]*>(.*?)</text>", box[0])
        kinds = [kind for kind in LAYERS if any(kind in text for text in texts)]
        tint = LAYERS[kinds[0]] if kinds else INPUT
        return box[0].replace("<rect ", f'<rect style="fill:{tint};stroke:{tint}" ', 1)

    return re.sub(r'<g class="\w+">.*?</g>', coloured, drawn).replace(
        "<svg ", '<svg style="stroke-width:6" ', 1
    )


def key() -> str:
    """Return what the colours of thumbnails mean."""
    names = LAYERS | {"input, or a mean": INPUT}
    said = {"conv": "convolutions", "dense": "dense layers", "pool": "pools"}
    said |= {"attention": "convolutions with attention", "pyramid": "spatial pyramid"}
    squares = (
        f'<span><span style="color:{tint}">■</span> {said.get(name, name)}</span>'
        for name, tint in names.items()
    )
    return f'<p class="fer-legend">{"".join(squares)}</p>'


def built(paper: str) -> tuple[str, nn.Module, dict[str, Tensor]]:
    """Return a paper's network under our reading: its name, itself and a batch of one; all without values."""
    name, build = NETWORKS[paper]
    with torch.device("meta"):
        return name, build(), {what: torch.zeros(1, *shape) for what, shape in SHAPES[paper].items()}


def guesses(paper: str) -> list[dict[str, str]]:
    """Return what is guessed of a network's layers: a pattern of their names, the problem and its place."""
    guessed = [entry for entry in claims.load(paper).ambiguities if "layers" in entry]
    return [{"href": f"ambiguities.html#{paper}-{entry['id']}"} | entry for entry in guessed]
