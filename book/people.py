"""What people say: ten raters beside FER2013's labels, the papers' claims and our networks."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from about_runs import NAMES, run_name
from IPython.display import HTML
from markup import Short, interval, number, table, with_note
from matplotlib.figure import Figure

from fer_lib import claims
from fer_lib.evidence.runs import Run
from fer_lib.judge import people
from fer_lib.show.plots.style import styled, subplots

NOT_RECORDED = HTML('<p class="not-run">The votes are not recorded here.</p>')


def agreement() -> HTML:
    """Show how often people agree with the labels, over all images and by expression."""
    if (found := people.load()) is None:
        return NOT_RECORDED
    most, one = (people.shares(found, values) for values in (found.majority(), found.one_rater()))
    rows = [
        {
            "Label": "all seven" if name == "all" else name,
            "Images": len(found.ids) if name == "all" else int((found.labels == i - 1).sum()),
            "Most of ten say so (%) [95 %]": interval(*most[name]),
            "One of them does (%) [95 %]": interval(*one[name]),
        }
        for i, name in enumerate(most)
    ]
    return table(rows, label="How often people agree with the labels of PrivateTest")


def facts() -> HTML:
    """Say how many images have ties, no vote for any of the seven, or agreement."""
    if (found := people.load()) is None:
        return NOT_RECORDED
    shares = people.shares(found, found.majority())
    least = min(found.classes, key=lambda name: shares[name][0])
    most = found.votes.max(1)
    tied = ((found.votes == most[:, None]).sum(1) > 1) & (most > 0)
    other = 2 * found.votes.sum(1) < found.cast
    text = (
        f"On {100 * tied.mean():.1f} % of the {len(found.ids):,} images several expressions tie for "
        f"the most votes; each then counts in part. On {100 * other.mean():.1f} % fewer than half of the "
        "votes are for any of the seven: the others say contempt, unknown or no face. On "
        f"{100 * found.clear().mean():.1f} % at least {people.AGREED} of ten raters name the same "
        f"expression. They follow the label least on {least}."
    )
    return HTML(f"<p>{text}</p>")


@styled
def picture(shown: Iterable[Run], models: dict[str, str]) -> Figure:
    """Draw, by expression, what people reach, what the papers claim and what our networks reach.

    ``models`` are the network to draw by paper.
    """
    found = people.load()
    most = people.shares(found, found.majority())
    frame = claims.frame().query("ours and metric == 'class_accuracy' and corpus == 'fer2013'")
    figure, axes = subplots(3.6)
    names = list(found.classes)
    for row, name in enumerate(names):
        value, low, high = most[name]
        label = "most of ten people" if not row else None
        axes.plot([low, high], [row, row], color="0.35", lw=6, alpha=0.5, solid_capstyle="butt")
        axes.plot([value], [row], "|", color="0.1", ms=16, mew=2.5, label=label)
        for place, paper in enumerate(claims.PAPERS):
            own = frame[(frame.paper == paper) & (frame.model == models.get(paper))]
            if own.empty:
                continue
            printed = own[own.expression == name].value
            look = {"mfc": "none", "color": claims.load(paper).colour}
            look["label"] = None if row else f"{NAMES[paper]}, claimed"
            axes.plot(printed, np.full(len(printed), row - 0.3 + 0.12 * place), "o", **look)
    for run in (run for run in shown if models.get(run.paper) in run.models()):
        rows = run.predictions(models[run.paper])
        right = rows["probabilities"].argmax(1) == rows["labels"]
        values = [100 * right[rows["labels"] == i].mean() for i in range(len(names))]
        look = {"color": claims.load(run.paper).colour, "label": f"{NAMES[run.paper]}, ours"}
        axes.plot(values, np.arange(len(names)) + 0.3, "o", **look)
    axes.set_yticks(range(len(names)), names)
    axes.invert_yaxis()
    axes.set_xlim(0, 100)
    axes.set_xlabel("agreement with FER2013's label (%)")
    axes.legend(loc="upper left", bbox_to_anchor=(1.01, 1), frameon=False)
    return figure


def networks(shown: Iterable[Run]) -> HTML:
    """Show how networks stand where raters agree, where they do not, and where they contradict the label."""
    found = people.load()
    heads = {
        "clear": "Right where raters agree (%)",
        "unclear": "Right elsewhere (%)",
        "theirs": "Names the raters’ choice where it differs (%)",
        "label": "Names the label there (%)",
    }
    rows = []
    for run in shown if found else ():
        for model in (model for model in run.models() if "@" not in model):
            values = people.beside(found, run, model)
            first = {"Network": with_note(model, run_name(run), Short)}
            rows.append(first | {head: number(values[key]) for key, head in heads.items()})
    return table(rows, label="Networks beside raters")
