"""Tables and figures of what runs measured; runs that differ in nothing but their seed are taken together.

Each dataset and budget has its own. Drawn faces are shown only where nothing was measured on real data.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from html import escape
from itertools import permutations
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from about_runs import dataset_title, network_certificates, run_caption, run_link
from IPython.display import HTML, display
from markup import NOT_RUN, Html, Long, cell, folded, interval, number, table, with_note

from fer_lib import claims
from fer_lib.evidence import runs
from fer_lib.judge import answers, convergence, report
from fer_lib.judge.inflation import FEWEST
from fer_lib.show import plots
from fer_lib.show.pages import called, disturbance
from fer_lib.show.plots.matrix import losses

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Rows = list[dict[str, Any]]
HEADS = {"n": "images", "model": "network", "lambda": "λ"}
"""What a reader calls columns of the evidence."""


def families(shown: Iterable[runs.Run]) -> list[list[runs.Run]]:
    """Return runs that differ in nothing but their seed together."""
    found: dict[tuple[str, ...], list[runs.Run]] = {}
    for run in shown:
        found.setdefault((run.paper, run.dataset, run.budget, run.variant), []).append(run)
    return list(found.values())


def _firsts(shown: Iterable[runs.Run]) -> list[list[runs.Run]]:
    """Return the first seed of each family, of what is measured run by run."""
    return [members[:1] for members in families(shown)]


def caption(members: Sequence[runs.Run]) -> str:
    """Return what the caption of a table says: on what its runs were made, with links to them."""
    if len(members) == 1:
        return run_caption(members[0])
    first = members[0]
    words = filter(None, (dataset_title(first.dataset), f"budget {first.budget}", first.variant))
    drawn = "Drawn faces, a demonstration: " * (first.dataset == "synthetic")
    return f"{drawn}{escape(', '.join(words))}, means of {len(members)} seeds"


def _found(
    groups: Iterable[list[runs.Run]], rows_of: Callable[[list[runs.Run]], Rows]
) -> list[tuple[list[runs.Run], Rows]]:
    """Return the groups of runs that have rows; drawn faces only where no real ones have any."""
    found = [(members, rows) for members in groups if (rows := rows_of(members))]
    return [pair for pair in found if pair[0][0].dataset != "synthetic"] or found


def _tables(
    groups: Iterable[list[runs.Run]],
    rows_of: Callable[[list[runs.Run]], Rows],
    label: str,
    right: Sequence[str] | None = None,
) -> HTML:
    """Show a table for each group of runs that has rows."""
    found = _found(groups, rows_of)
    tables = [table(rows, right, label, caption(members)).data for members, rows in found]
    return HTML("".join(tables)) if tables else NOT_RUN


def _figures(
    groups: Iterable[list[runs.Run]],
    rows_of: Callable[[list[runs.Run]], Rows],
    draw: Callable[[pd.DataFrame], Figure],
) -> HTML | None:
    """Show a figure for each group of runs that has rows, under a line that says on what they were made."""
    found = _found(groups, rows_of)
    for members, rows in found:
        display(HTML(f'<p class="fer-caption">{caption(members)}</p>'), draw(pd.DataFrame(rows)))
    return None if found else NOT_RUN


def bounded(members: Sequence[runs.Run], found: answers.Answer, model: str) -> answers.Answer:
    """Return an answer without its interval where a model was tested on fewer people than one needs.

    Drawing from two or three people does little more than repeat them
    (:data:`fer_lib.judge.inflation.FEWEST`).
    """
    tested = set().union(*answers.scores(members, model).column("group"))
    return found if len(tested) >= FEWEST else found._replace(low=np.nan, high=np.nan)


def accuracies(shown: Iterable[runs.Run], models: Sequence[str]) -> HTML:
    """Show the accuracy of each model over the seeds of each family of runs, and the majority rule's."""

    def rows_of(members: list[runs.Run]) -> Rows:
        held = [model for model in models if all(model in run.models() for run in members)]
        rows = []
        for model in held:
            found = bounded(members, answers.scores(members, model).mean(), model)
            value = interval(found.ours, found.low, found.high)
            row = {"Network": called(model), "Accuracy (%) [95 %]": value, "Test samples": found.n}
            if len(members) > 1:
                row["By seed"] = Long(", ".join(f"{value:.1f}" for value in found.seeds))
            rows.append(row)
        if held:
            counts = np.bincount(members[0].predictions(held[0])["labels"])
            commonest = {"Accuracy (%) [95 %]": number(100 * counts.max() / counts.sum())}
            rows.append(dict.fromkeys(rows[0]) | {"Network": "the commonest expression, always"} | commonest)
        return rows

    return _tables(families(shown), rows_of, "Accuracy", ["Accuracy (%) [95 %]", "Test samples"])


def guessing(run: runs.Run) -> float:
    """Return the accuracy in per cent below which a network of a run has learnt nothing."""
    labels = run.predictions(run.models()[0])["labels"]
    return 100 * np.bincount(labels).max() / len(labels) + convergence.CHANCE


def at_chance(shown: Iterable[runs.Run]) -> str:
    """Say which networks learnt nothing, by what they know of their own training images."""
    said = []
    for run in shown:
        curves = run.curves()
        if not len(curves):
            continue
        ends = curves.sort_values("epoch").groupby(["model", "fold"]).tail(1)
        reached = 100 * ends.groupby("model", sort=False)["train_accuracy"].mean()
        least = guessing(run)
        if names := [f"{called(name)} ({value:.0f} %)" for name, value in reached.items() if value < least]:
            listed, of = ", ".join(names), run_link(run)
            if len(names) == len(reached) > 1:
                listed = f"every network ({reached.min():.0f} to {reached.max():.0f} %)"
            said.append(
                f'<p class="not-run">In {of} {listed} learnt nothing: the number is its accuracy on its own '
                "training images at the end. Such a row says nothing about the design of a network, "
                "and neither does a difference from it.</p>"
            )
    return "".join(said)


def uncertified(shown: Iterable[runs.Run]) -> str:
    """Say which networks of real runs at budget full have not converged, and why, folded up."""
    parts = []
    for run in shown:
        curves = run.curves()
        if run.dataset == "synthetic" or run.budget != "full" or not len(curves):
            continue
        made = network_certificates(run)
        if idle := [one for one in made if not one.converged]:
            why = [f"<li>{escape(called(one.model))}: {escape('; '.join(one.reasons))}</li>" for one in idle]
            body = f"<p>{run_link(run)}. No claim that rests on one of them is judged.</p>"
            body += f"<ul>{''.join(why)}</ul>"
            parts.append(folded(f"{len(idle)} of {len(made)} networks have not converged", body))
    return "".join(parts)


def training(shown: Iterable[runs.Run]) -> HTML:
    """Show how long and at which rates networks were trained, and what departs from the paper."""
    rows = []
    for members in families(shown):
        recipe = members[0].info["recipe"]
        rates = recipe.get("learning_rates") or [recipe["lr"]]
        row = {"Run": Html(caption(members)), "Epochs": recipe["epochs"], "Batch": recipe["batch_size"]}
        row["Optimiser"] = {"adam": "Adam", "sgd": "SGD"}[recipe["optimiser"]]
        row["Rate"] = f"{max(rates):g}" + f", at the end {rates[-1]:.1g}" * (rates[-1] < max(rates))
        rows.append(row | {"Not as in the paper": Long("; ".join(members[0].info["changes"]) or "nothing")})
    return table(rows, ["Epochs", "Batch"], "How the networks were trained")


def _printed(paper: str) -> dict[tuple[str, str], float]:
    """Return the differences in points that a paper prints, by corpus and ``A minus B``.

    Where it prints none they are those of two accuracies of one table.
    """
    frame, found = claims.frame(paper), {}
    whole = frame[["expression", "fold", "train_dataset"]].isna().all(axis=1)
    whole &= (frame["metric"] == "accuracy") & (frame["role"] != "quoted")
    for (_, corpus, _), part in frame[whole].groupby(["table", "corpus", "protocol"], sort=False):
        values = dict(zip(part["model"], part["value"], strict=True))
        for better, worse in permutations(values, 2):
            found.setdefault((corpus, f"{better} minus {worse}"), values[better] - values[worse])
    said = frame[frame["metric"] == "accuracy_difference"]
    return found | said.set_index(["corpus", "model"])["value"].to_dict()


def leads(paper: str, shown: Iterable[runs.Run], pairs: Sequence[tuple[str, str]]) -> HTML | None:
    """Draw the lead of one model over another on the same samples, beside the difference that is printed."""
    printed = _printed(paper)
    one = len({better for better, _ in pairs}) == 1

    def rows_of(members: list[runs.Run]) -> Rows:
        rows = []
        for better, worse in pairs:
            if all({better, worse} <= set(run.models()) for run in members):
                found = bounded(members, answers.lead(members, better, worse), better)
                label = called(worse if one else f"{better}\nover {worse}")
                row = {"label": label, "group": better, "value": found.ours}
                row |= {"low": found.low, "high": found.high, "note": f"{found.ours:+.2f}"}
                row["clear"] = found.low > 0 or found.high < 0  # never without an interval
                row["printed"] = printed.get((members[0].dataset, f"{better} minus {worse}"), np.nan)
                rows.append(row)
        return rows

    xlabel = f"Lead of {called(pairs[0][0])} (points)" if one else "Lead (points)"
    return _figures(families(shown), rows_of, lambda frame: plots.forest(frame, xlabel))


def without_questionable(shown: Iterable[runs.Run], models: Sequence[str]) -> HTML:
    """Show accuracies on all test images, without twins in training and without conflicting labels."""

    def rows_of(members: list[runs.Run]) -> Rows:
        rows = []
        for model in (model for model in models if model in members[0].models()):
            row = {"Network": called(model)}
            for part in report.subsets(members[0], model).to_dict("records"):
                value = interval(part["accuracy"], part["low"], part["high"])
                row[part["subset"].capitalize()] = with_note(value, f"{part['n']:,} images")
            rows.append(row)
        return rows

    return _tables(_firsts(shown), rows_of, "Accuracy without questionable test images")


def evidence(
    shown: Iterable[runs.Run],
    name: str,
    by: Sequence[str],
    columns: Mapping[str, tuple] | None = None,
    label: str = "",
) -> HTML:
    """Show a table of the evidence over seeds: means, and below them the smallest and the largest.

    The columns ``by`` say what a row is about. ``columns`` are (column, digits, factor, sign) by their heads,
    the last three optional; all others unless given. What a run did not measure is a dash.
    """

    def rows_of(members: list[runs.Run]) -> Rows:
        frames = [frame.assign(seed=run.seed) for run in members if len(frame := run.table(name))]
        if not frames:
            return []
        frame, rows = pd.concat(frames), []
        first = _head(", ".join(HEADS.get(text, text.replace("_", " ")) for text in by))
        wanted = columns or {_head(text): (text, 2) for text in frame if text not in (*by, "seed")}
        for key, part in frame.groupby(list(by), sort=False, dropna=False):
            cells = {head: _over_seeds(part.get(how[0]), *how[1:]) for head, how in wanted.items()}
            rows.append({first: called(", ".join(map(str, key)).replace("_", " ")), **cells})
        return rows

    return _tables(families(shown), rows_of, label or name.replace("_", " ").capitalize())


def _head(text: str) -> str:
    """Return a column's head: its first letter large, unless it is a symbol such as λ."""
    return text[:1].upper() + text[1:] if text[:1].isascii() else text


def _over_seeds(values: pd.Series | None, digits: int = 2, factor: float = 1, sign: str = "") -> Html | None:
    """Return the mean and, where they differ as printed, the smallest and the largest below it, or text."""
    if values is None or values.isna().all():
        return None
    if not pd.api.types.is_numeric_dtype(values):
        return Html("<br>".join(map(cell, dict.fromkeys(values.dropna()))))
    values = factor * values.dropna()
    mean, least, most = (
        f"{value:{sign},.{digits}f}" for value in (values.mean(), values.min(), values.max())
    )
    return with_note(Html(mean), f"{least} to {most}" if least != most else "")


def detection(shown: Iterable[runs.Run]) -> HTML | None:
    """Draw in how many images of each expression a face was found, split by split."""

    def rows_of(members: list[runs.Run]) -> Rows:
        frame = members[0].table("detection")
        if not len(frame):
            return []
        frame = frame.assign(model=frame["split"].str.replace("_", " "))
        return frame.rename(columns={"class": "expression", "rate": "recall"}).to_dict("records")

    return _figures(_firsts(shown), rows_of, lambda frame: plots.per_class_bars(frame, "Face found (%)"))


def robustness(shown: Iterable[runs.Run]) -> HTML | None:
    """Draw the points that full severity costs each model, whose name has its accuracy on clear images.

    A network that guesses has nothing to lose and is left out.
    """

    def rows_of(members: list[runs.Run]) -> Rows:
        frame, rows = members[0].table("robustness"), []
        for model, mine in frame.groupby("model", sort=False) if len(frame) else ():
            clear = mine[mine["severity"] == 0].iloc[0]["accuracy"]
            if 100 * clear < guessing(members[0]):
                continue
            hard = mine[mine["severity"] == mine["severity"].max()].set_index("condition")["accuracy"]
            lost = (100 * (hard - clear)).rename(disturbance)
            rows.append({"model": f"{called(model)}: {100 * clear:.1f} %", **lost})
        return rows

    return _figures(_firsts(shown), rows_of, lambda frame: losses(frame.set_index("model")))


def whole(run: runs.Run) -> int | None:
    """Return the size of a run's training part; None where its folds are several."""
    first, *_ = run.info.get("certificates", {}).values() or [{}]
    return first["folds"][0]["sizes"]["train"] if len(first.get("folds", ())) == 1 else None


def sizes(shown: Iterable[runs.Run]) -> HTML | None:
    """Draw accuracy by the number of training images, up to the whole training part."""

    def rows_of(members: list[runs.Run]) -> Rows:
        rows = (run := members[0]).table("sizes").to_dict("records")
        for model in {row["model"] for row in rows} & {*run.models()} if (n := whole(run)) else ():
            found = answers.scores([run], model).mean()
            said = {"accuracy": found.ours / 100, "low": found.low / 100, "high": found.high / 100}
            rows.append({"n": n, "model": model, **said})
        return rows

    return _figures(_firsts(shown), rows_of, plots.learning_size)
