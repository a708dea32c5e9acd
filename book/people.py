"""What people say: ten raters beside FER2013's labels, the papers' claims and our networks."""

from __future__ import annotations

import re
from collections.abc import Iterable
from html import escape

import numpy as np
from about_runs import NAMES, run_link
from IPython.display import HTML
from markup import NOT_RUN, Short, interval, number, table
from matplotlib.figure import Figure

from fer_lib import claims
from fer_lib.evidence.runs import Run
from fer_lib.judge import people
from fer_lib.show.plots.style import styled, subplots

CONTROLS = re.compile("@| again$| of six$")
"""Names of what only controls our own runs: other folds, second trainings and averages of these."""
NOT_RECORDED = HTML('<p class="not-run">The votes are not recorded here.</p>')


def lead() -> HTML:
    """Say how often most of ten people agree with the labels, and on which expressions least and most."""
    if (found := people.load()) is None:
        return NOT_RECORDED
    reached = {name: value for name, (value, _, _) in people.shares(found, found.majority()).items()}
    least, *_, most = sorted(found.classes, key=reached.get)
    return HTML(
        f"<p><strong>Most of ten people agree with the label on {reached['all']:.1f} % of the test "
        f"images</strong>: least often on {least} ({reached[least]:.1f} %), "
        f"most often on {most} ({reached[most]:.1f} %).</p>"
    )


def agreement() -> HTML:
    """Show how often people agree with the labels, over all images and by expression."""
    if (found := people.load()) is None:
        return NOT_RECORDED
    most, one = (people.shares(found, values) for values in (found.majority(), found.one_rater()))
    rows = []
    for i, name in enumerate(most):
        row = {"Label": "all seven" if name == "all" else name}
        row["Images"] = len(found.ids) if name == "all" else int((found.labels == i - 1).sum())
        row["Most of ten agree (%) [95 %]"] = interval(*most[name])
        rows.append(row | {"One rater agrees (%) [95 %]": interval(*one[name])})
    return table(rows, label="How often people agree with the labels of PrivateTest")


def facts() -> HTML:
    """Say how many images have ties, no vote for any of the seven, or agreement."""
    if (found := people.load()) is None:
        return NOT_RECORDED
    most = found.votes.max(1)
    tied = ((found.votes == most[:, None]).sum(1) > 1) & (most > 0)
    other = 2 * found.votes.sum(1) < found.cast
    return HTML(
        f"<p>On {100 * tied.mean():.1f} % of the {len(found.ids):,} images several expressions tie for "
        f"the most votes; each then counts in part. On {100 * other.mean():.1f} % fewer than half of the "
        "votes are for any of the seven: the others say contempt, unknown or no face. On "
        f"{100 * found.clear().mean():.1f} % at least {people.AGREED} of ten raters name the same "
        "expression; below, these are the images on which raters agree.</p>"
    )


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
    axes.set(xlim=(0, 100), xlabel="agreement with FER2013's label (%)")
    axes.legend(loc="upper left", bbox_to_anchor=(1.01, 1), frameon=False)
    return figure


def networks(shown: Iterable[Run]) -> HTML:
    """Show how networks stand where raters agree, where they do not, and where they contradict the label."""
    found = people.load()
    heads = {
        "clear": "Right where raters agree (%)",
        "unclear": "Right on the other images (%)",
        "theirs": "Where label and most raters differ: names the raters’ choice (%)",
        "label": "Where they differ: names the label (%)",
    }
    tables = []
    for run in shown if found else ():
        rows = []
        for model in (model for model in run.models() if not CONTROLS.search(model)):
            values = people.beside(found, run, model)
            first = {"Network": Short(escape(model))}
            rows.append(first | {head: number(values[key]) for key, head in heads.items()})
        caption = f"{NAMES[run.paper]}: {run_link(run)}"
        tables.append(table(rows, label="Networks beside raters", caption=caption).data)
    return HTML("".join(tables)) if tables else NOT_RUN
