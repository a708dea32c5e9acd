"""Pictures that a page draws of claims and networks: claimed beside ours, and a network's diagram."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from html import escape
from typing import TYPE_CHECKING, Any

import pandas as pd
import torch
from complete import complete
from IPython.display import HTML
from markup import folded

from fer_lib import claims
from fer_lib.claims import Claim
from fer_lib.evidence.runs import BUDGETS, Run
from fer_lib.judge import answers
from fer_lib.judge.judgement import judge
from fer_lib.learn.layers import count_parameters, layer_table
from fer_lib.papers.cnn3d import network as cnn3d
from fer_lib.papers.cnn_sift import network as cnn_sift
from fer_lib.papers.cspp import network as cspp
from fer_lib.papers.lkrnet import network as lkrnet
from fer_lib.papers.multimodal import network as multimodal
from fer_lib.show import pages
from fer_lib.show.plots.diagram import diagram
from fer_lib.show.plots.dumbbells import dumbbells

if TYPE_CHECKING:
    from torch import Tensor, nn

FACE = (1, 48, 48)
NETWORKS = {
    "cnn_sift": (
        "S2",
        partial(cnn_sift.build, "S2"),
        {"face": FACE, "SIFT words": (cnn_sift.VISUAL_WORDS["S2"],)},
    ),
    "multimodal": (
        "Multimodal (authors’ network)",
        multimodal.Multimodal,
        {"face": FACE, "landmarks": (136,), "HOG": (900,)},
    ),
    "cspp": ("C-SPP", partial(cspp.build, "C-SPP"), {"face": FACE}),
    "cnn3d": ("c1", cnn3d.c1, {"clip": (3, 10, 112, 112)}),
    "lkrnet": (
        "LKRNet (full)",
        partial(lkrnet.build, "Our method"),
        {"face": (1, 44, 44), "mask": (1, 2, 2)},
    ),
}
"""Paper to its network that is drawn: what it is called, how it is built, and the shapes of what it reads."""


def headline(paper: str) -> list[Claim]:
    """Return the accuracies that a paper prints of its own method, one for each dataset and protocol."""
    found: dict[tuple[str, str], Claim] = {}
    for claim in claims.load(paper).claims:
        own = claim.role == "method" and claim.metric == "accuracy" and claim.train_dataset is None
        if own and claim.expression is None and claim.fold is None and claim.same_as is None:
            found.setdefault((claim.dataset, claim.protocol), claim)
    return list(found.values())


def per_class(paper: str, dataset: str) -> list[Claim]:
    """Return the accuracies of single expressions that a paper prints of its own method on a dataset."""
    found = {
        claim.expression: claim
        for claim in reversed(claims.load(paper).claims)
        if claim.role == "method" and claim.metric == "class_accuracy" and claim.dataset == dataset
    }
    return list(reversed(found.values()))


def lines(chosen: Iterable[Claim], made: Iterable[Run]) -> list[dict[str, Any]]:
    """Return a line of the chart for each claim: what is printed, what our best runs give, what is common.

    The best runs are those that may judge, else those at the highest budget, which are not certified.
    """
    made = [run for run in made if run.dataset != "synthetic" and not run.variant]
    found = []
    for claim in chosen:
        paper = claims.load(claim.paper)
        there = [run for run in made if run.paper == claim.paper and run.dataset == claim.home]
        groups = [[run for run in there if run.budget == budget] for budget in reversed(BUDGETS)]
        groups = [group for group in groups if group]
        judged = [group for group in groups if judge(claim, group).how == "running"]
        label = claim.expression or f"{paper.short_name}, {claim.dataset}"
        if any(line["label"] == label for line in found):  # by another protocol
            label += f" ({claim.place})"
        line = {"label": label, "href": f"scorecard.html#claim-{claim.id}", "colour": paper.colour}
        line |= {"claimed": claim.value, "majority": None if claim.expression else majority(claim)}
        answer = _measured(claim, (judged or groups or [[]])[0])
        if answer is not None:
            line |= {"ours": answer.ours, "certified": bool(judged)}
            line |= {"low": answer.low, "high": answer.high} if answer.low == answer.low else {}
        found.append(line)
    return found


def _measured(claim: Claim, group: list[Run]) -> answers.Answer | None:
    """Return what runs give for a claim; None where they say nothing of it."""
    try:
        found = answers.measure(claim, group) if group else None
    except answers.NotComparableError:
        return None
    return found if found and found.n else None


def majority(claim: Claim) -> float | None:
    """Return what always naming the commonest class gives on a claim's test images, in per cent."""
    known = complete(claim.corpus).counts if claim.corpus else None
    if known is not None and known.shape[1] > 1:  # an official split, whose last part is the test part
        return 100 * known.iloc[:, -1].max() / known.iloc[:, -1].sum()
    counts = claims.load(claim.paper).protocol(claim.protocol).get("class_counts")
    return 100 * max(counts.values()) / sum(counts.values()) if counts else None


def means(paper: str, made: Iterable[Run]) -> list[dict[str, Any]]:
    """Return lines for a paper that prints single expressions only: their means, dataset by dataset."""
    found = []
    for dataset in dict.fromkeys(claim.dataset for claim in claims.load(paper).claims):
        parts = lines(chosen := per_class(paper, dataset), made)
        if parts and len({claim.expression for claim in chosen}) > 5:
            line = parts[0] | {"label": f"{claims.load(paper).short_name}, {dataset} (class mean)"}
            for key in ("claimed", "ours"):
                values = [part.get(key) for part in parts]
                line[key] = None if None in values else sum(values) / len(values)
            line["certified"] = all(part.get("certified") for part in parts)
            line.pop("low", None), line.pop("high", None)
            found.append(line)
    return found


def overall(paper: str, made: Iterable[Run]) -> list[dict[str, Any]]:
    """Return the lines of a paper's own method: accuracies as printed, else the means of its classes."""
    return lines(headline(paper), made) or means(paper, made)


def chart(rows: list[dict[str, Any]], title: str, said: str = "") -> HTML:
    """Show printed figures beside ours, with a caption."""
    if not rows:
        return HTML("")
    keys = ["◇ claimed"]
    keys += ["● ours"] * any(row.get("certified") for row in rows)
    keys += ["○ ours, not certified"] * any(
        row.get("ours") is not None and not row["certified"] for row in rows
    )
    keys += ["❘ always the commonest class"] * any(row.get("majority") is not None for row in rows)
    legend = "".join(f"<span>{key}</span>" for key in keys)
    return HTML(
        f'<figure class="fer-chart"><p class="fer-legend">{legend}</p>{dumbbells(rows, title)}'
        f"<figcaption>{escape(said or title)}. Accuracy in per cent.</figcaption></figure>"
    )


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
    """Return a network's diagram for a card, where its words are left out."""
    name, model, inputs = built(paper)
    return diagram(model, inputs, f"Diagram of {name}").replace("fer-diagram", "fer-diagram thumbnail")


def built(paper: str) -> tuple[str, nn.Module, dict[str, Tensor]]:
    """Return a paper's network under our reading: its name, itself and a batch of one; all without values."""
    name, build, shapes = NETWORKS[paper]
    with torch.device("meta"):
        return name, build(), {what: torch.zeros(1, *shape) for what, shape in shapes.items()}


def guesses(paper: str) -> list[dict[str, str]]:
    """Return what is guessed of a network's layers: a pattern of their names, the problem and its place."""
    return [
        {"href": f"ambiguities.html#{paper}-{entry['id']}"} | entry
        for entry in claims.load(paper).ambiguities
        if "layers" in entry
    ]
