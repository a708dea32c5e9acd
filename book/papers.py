"""What only one chapter or study shows, from claims and evidence."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from math import nan
from typing import TYPE_CHECKING

import pandas as pd
from about_runs import NAMES, dataset_title, run_caption, run_link, run_name
from IPython.display import HTML, Markdown, display
from markup import NOT_RUN, Html, Long, Short, interval, number, table, with_note
from measured import bounded, caption, families, guessing, whole

from fer_lib import claims
from fer_lib.data import datasets
from fer_lib.evidence import runs
from fer_lib.judge import answers, convergence, forensics, paper_tables, verdicts
from fer_lib.judge.inflation import FEWEST
from fer_lib.learn import metrics
from fer_lib.papers.control import published
from fer_lib.show import plots

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# --- CNN-SIFT-AVG and the fusion ---------------------------------------------------------------


def printed_gains(paper: str, better: str, worse: str) -> HTML:
    """Show what a paper's own tables print for two of its models, the largest dataset first."""
    rows = []
    for row in paper_tables.printed_gains(paper, better, worse).to_dict("records"):
        values = {name: number(row[name]) for name in (worse, better)}
        gain = {"Gain (points)": number(row["gain"], sign="+")}
        rows.append({"Dataset": Short(row["dataset"]), "Images": row["images"]} | values | gain)
    return table(rows, label="Printed gains by dataset")


def gains_by_size(made: Iterable[runs.Run], better: str, worse: str) -> HTML:
    """Say what one model gains over another at each number of training images, and whether that falls.

    Gains and their change are paired by test image. Drawn faces are left out.
    """
    said = []
    for members in families(run for run in made if run.dataset != "synthetic" and len(run.table("sizes"))):
        numbers = sorted(set.intersection(*(set(run.table("sizes")["n"]) for run in members)))
        pairs = [[f"{model}@n={n}" for model in (better, worse)] for n in numbers]
        every = {whole(run) for run in members if {better, worse} <= {*run.models()}}
        if len(every) == 1 and None not in every:
            numbers, pairs = [*numbers, *every], [*pairs, [better, worse]]
        gains = [answers.lead(members, *pair) for pair in pairs]
        told = [f"with {n:,} images {_points(gain)}" for n, gain in zip(numbers, gains, strict=True)]
        line = f"{caption(members)}: the gain is, in points, {'; '.join(told)}."
        if len(numbers) > 1:
            terms = [
                answers.scores(members, model).term(factor)
                for pair, sign in ((pairs[0], 1), (pairs[-1], -1))
                for model, factor in zip(pair, (sign, -sign), strict=True)
            ]
            change = answers.Answer.of(terms, gains[0].n)
            found = "the run does not decide whether it does"
            if change.low > 0 or change.high < 0:
                found = "it does" if change.low > 0 else "it rises instead"
            line += (
                f" From {numbers[0]:,} to {numbers[-1]:,} images it should fall, and {found}: with fewer "
                f"images it is larger by {_points(change)}."
            )
        said.append(f"<p>{line}</p>")
    return HTML("".join(said)) if said else NOT_RUN


def _points(found: answers.Answer) -> Html:
    """Return a difference with its interval."""
    return interval(found.ours, found.low, found.high, sign="+")


# --- C-SPP -------------------------------------------------------------------------------------


def ladder() -> Figure:
    """Draw the five networks as the paper grows them: claimed accuracy and what it is in images.

    Images are marked ``about`` where no number of them rounds to the claim.
    """
    from fer_lib.learn.layers import count_parameters
    from fer_lib.papers.cspp.network import NETWORKS, build

    frame = claims.frame("cspp").query("table == 'Sect. 4.2' and metric == 'accuracy'").set_index("model")
    fits = forensics.fractions("cspp").set_index("id")["fits"]
    rows, right, about = [], {}, {}
    for name, origin in zip(NETWORKS, (None, *NETWORKS[:-2], "Plain7CNN"), strict=True):
        claimed = frame.loc[name]
        n = claims.load("cspp").protocol(claimed["protocol"])["samples"]
        right[name] = round(n * claimed["value"] / 100)
        about[name] = "" if fits[claimed["id"]] == "rounded" else "about "
        low, high = metrics.wilson(right[name], n)
        note = f"{about[name]}{right[name]} of {n}"
        if origin is not None:
            step = f"{about[name] or about[origin]}{right[name] - right[origin]:+d}".replace("-", "−")
            note += f"\n{step} from {origin}"
        label = f"{name}\n{count_parameters(build(name)):,} parameters"
        row = {"label": label, "group": name, "value": claimed["value"], "note": note}
        rows.append(row | {"low": 100 * low, "high": 100 * high})
    return plots.forest(pd.DataFrame(rows), "Claimed accuracy (%)", zero=False)


def waterfalls(made: Iterable[runs.Run]) -> HTML | None:
    """Show, run by run, what each habit adds to an accuracy; real people before drawn ones."""
    shown = [(run, frame) for run in made if len(frame := run.table("inflation"))]
    for run, frame in sorted(shown, key=lambda pair: pair[0].dataset == "synthetic"):
        display(Markdown(f"### {run_name(run)}"))
        model, folds = frame["model"].iloc[0], frame["folds"].iloc[0]
        said = f"{run_link(run)}: {model} in {folds}-fold cross-validation, one seed."
        used = [name for name in (model, f"{model}@random") if name in run.models()]
        if run.dataset != "synthetic" and (doubted := convergence.objections([run], used)):
            said += (
                f" {len(doubted)} of its {len(used)} networks (people held out; random folds) have not "
                "converged, so longer training or another seed may change these gains."
            )
        display(HTML(f"<p>{said}</p>"))
        display(plots.waterfall(frame))
        figures = 100 * frame[["accuracy", "low", "high", "gain", "gain_low", "gain_high"]].to_numpy()
        rows = [
            {"Step": step, "Accuracy (%) [95 %]": interval(*values[:3], digits=1)}
            | {"Gain (points) [95 %]": interval(*values[3:], digits=1, sign="+")}
            for step, values in zip(frame["step"], figures, strict=True)
        ]
        display(table(rows, label=run_name(run)))
    return None if shown else NOT_RUN


def own_people(made: Iterable[runs.Run], model: str = "C-SPP@random") -> Markdown | None:
    """Say how often answers on random folds are what the training part shows of the same real people."""
    said = []
    for run in made:
        if run.dataset == "synthetic" or model not in run.models():
            continue
        rows = run.predictions(model)
        samples = run.samples().drop_duplicates("ids").set_index("ids")
        who = samples["subject"].reindex(rows["ids"]).to_numpy(str)
        own = (who[:, None] == who) & (rows["fold"][:, None] != rows["fold"])  # in whose training part
        shares = [
            100 * ((rows["labels"] == labels[:, None]) & own).sum(1) / own.sum(1).clip(1)
            for labels in (rows["labels"], rows["probabilities"].argmax(1))
        ]
        label, answer = (f"{share.mean():.0f} %" for share in shares)
        said.append(
            f"In {run_link(run)}, on random folds, {label} of the training images of the tested person show "
            f"the same expression as the test image, and {answer} show the one that the network answers."
        )
    return Markdown(" ".join(said)) if said else None


def across(made: Iterable[runs.Run]) -> HTML:
    """Show what the models of one corpus's folds reach on other corpora."""
    rows = []
    for run in made:
        for name, found in run.info.get("across_datasets", {}).items():
            other = name if name.startswith("synthetic") else dataset_title(name)
            few = len(found["models"]) < FEWEST  # too few for an interval
            mean = interval(
                100 * found["accuracy"], *(nan if few else 100 * found[k] for k in ("low", "high"))
            )
            row = {"Trained on": run_link(run), "Tested on": Short(other), "Models": len(found["models"])}
            rows.append(row | {"Mean accuracy (%) [95 %]": mean})
    return table(rows, ["Models", "Mean accuracy (%) [95 %]"], "Across datasets")


# --- 3D-CNN ------------------------------------------------------------------------------------

OPTIONS = {
    "optimization": "optimiser",
    "clahe": "contrast equalised (CLAHE)",
    "normalization": "pixels scaled to [−1, 1]",
    "activation": "activation",
    "loss_weights": "weights of the classes in the loss",
    "temporal_size": "frames that a kernel spans",
    "initializer": "initial weights",
    "pooling": "pooling",
    "second_conv": "a second convolution in the first two groups",
    "dropout": "dropout",
}
"""What the paper's search decides (its Table 1), in words."""


def chosen() -> HTML:
    """Show what the paper's two searches chose, option by option."""
    printed = {entry["id"]: entry["value"] for entry in claims.load("cnn3d").hyperparameters}
    words = {True: "yes", False: "no"}
    rows = []
    for name, title in OPTIONS.items():
        both = [printed[f"best_{corpus}_{name}"] for corpus in ("ck", "oulu")]
        c1, c2 = (words[value] if isinstance(value, bool) else str(value) for value in both)
        rows.append({"Option": title, "CK+ (c1)": c1, "Oulu-CASIA (c2)": c2, "Same": c1 == c2})
    return table(rows, (), "What the two searches chose")


def searches(made: Iterable[runs.Run]) -> HTML:
    """Show the search of each run: on what, its trials by state, its workers and the best accuracy.

    A search whose best trial guesses says nothing of what it searched, and is named only.
    """
    rows, idle = [], []
    for run in made:
        if (frame := run.table("search")).empty:
            continue
        counts = frame["state"].value_counts()
        best = frame.loc[frame["state"] == "complete", "accuracy"].max()
        if 100 * best < guessing(run):
            idle.append(f"{run_caption(run)} (best trial {100 * best:.1f} %)")
            continue
        corpus, budget = frame.iloc[0].get("corpus"), frame.iloc[0].get("budget")
        on = f"{dataset_title(corpus)}, budget {budget}" if isinstance(corpus, str) else "not noted"
        row = {"Run": with_note(run_name(run), f"searched on: {on}", Short)}
        row |= {"Workers": frame["worker"].nunique()}
        row |= {name.capitalize(): int(counts.get(name, 0)) for name in ("complete", "pruned")}
        row["Lost"] = len(frame) - row["Complete"] - row["Pruned"]  # or under way
        rows.append(row | {"Best accuracy (%)": number(100 * best, 1)})
    shown = table(rows, label="Studies of the search").data if rows or not idle else ""
    said = f"<p>Not shown, because even its best trial only guesses: {'; '.join(idle)}.</p>" * bool(idle)
    return HTML(shown + said)


# --- the matrix --------------------------------------------------------------------------------


def best(made: Iterable[runs.Run]) -> list[runs.Run]:
    """Return of each corpus the runs at its highest budget; photographs come before drawn faces."""
    plain = [run for run in made if not run.variant]
    top: dict[str, int] = {}
    for run in plain:
        top[run.dataset] = max(top.get(run.dataset, 0), runs.BUDGETS.index(run.budget))
    kept = [run for run in plain if runs.BUDGETS.index(run.budget) == top[run.dataset]]
    return sorted(kept, key=lambda run: (run.dataset == "synthetic", datasets.NAMES.index(run.dataset)))


def matrix_accuracies(shown: Sequence[runs.Run]) -> HTML:
    """Show the accuracy of every model, a table for each corpus, photographs before drawn faces."""
    parts = []
    for run in shown:
        rows = []
        for row in run.table("costs").to_dict("records"):
            paper = Html(f'<a href="{row["paper"]}.html">{NAMES[row["paper"]]}</a>')
            found = answers.Answer(*(100 * row[name] for name in ("accuracy", "low", "high")), 0)
            found = bounded([run], found, row["model"])
            value = interval(found.ours, found.low, found.high)
            rows.append({"Model": row["model"], "From": paper, "Accuracy (%) [95 %]": value})
        parts.append(table(rows, ["Accuracy (%) [95 %]"], "Accuracy of every model", run_caption(run)).data)
    return HTML("".join(parts)) if parts else NOT_RUN


def tested(shown: Sequence[runs.Run]) -> HTML:
    """Show on what each run of the matrix tested, and which corpora it could not use."""
    rows = []
    for run in shown:
        (certificate,) = run.info["certificates"].values()
        protocol = {"official": "official split", "subject": "people held out"}[run.info["common_protocol"]]
        folds = certificate["n_folds"]
        row = {"Run": run_link(run), "Protocol": with_note(protocol, f"{folds} fold{'s' * (folds > 1)}")}
        row["Images"] = int(pd.DataFrame(run.info["counts"]).to_numpy().sum())
        row["Tested"] = int(certificate["tested"])
        row["No face found"] = run.info["faces_found"]["missed"]
        rows.append(row | {"Not on the machine": ", ".join(map(dataset_title, run.info["absent"]))})
    return table(rows, ["Images", "Tested", "No face found"], "Runs of the matrix")


# --- the positive control ----------------------------------------------------------------------


def _controls(shown: Iterable[runs.Run]) -> Iterator[tuple[list[runs.Run], answers.Answer, str, str]]:
    """Yield the seeds of each budget of the control with our figure, its verdict and the reason."""
    for members in families(shown):
        found = answers.scores(members, "mini-Xception").mean()
        verdict = verdicts.figure(
            *(published.ACCURACY, found.ours, found.low, found.high, published.TOLERANCE),
            tested=found.n,
            same_samples=True,
            seeds=len(members),
        )
        objections = convergence.objections(members, ["mini-Xception"])
        name = "not judged" if objections else verdict.name
        yield members, found, name, "; ".join(objections) or verdict.reason


def control_verdicts(shown: Iterable[runs.Run]) -> HTML:
    """Show the positive control's published figure beside ours: a line per budget, its seeds together."""
    rows = []
    for members, found, name, reason in _controls(shown):
        row = {"Runs": ", ".join(map(run_name, members)), "Published (%)": published.ACCURACY}
        row["Ours (%) [95 %]"] = interval(found.ours, found.low, found.high)
        rows.append(row | {"Verdict": with_note(name, reason, Long)})
    return table(rows, label="The positive control")


def control_answer(shown: Iterable[runs.Run]) -> HTML:
    """Say what the positive control reached and what that means for *not reached* elsewhere.

    The run at the highest budget counts.
    """
    link, published_ = '<a href="control.html">positive control</a>', f"{published.ACCURACY:g} %"
    made = sorted(_controls(shown), key=lambda one: runs.BUDGETS.index(one[0][0].budget))
    if not made:
        return HTML(
            f"<p>The {link} has not been run: nothing shows yet that our training reaches {published_}, an "
            "accuracy that is known.</p>"
        )
    _, found, name, _ = made[-1]
    means = "Training that falls short is then no explanation for a claim that is <em>not reached</em>."
    if name not in ("reproduced", "exceeded"):
        means = "A claim that is <em>not reached</em> elsewhere may therefore be due to our training code."
        if found.low < published.ACCURACY:
            means = (
                f"Our training code may fall short by up to {published.ACCURACY - found.low:.1f} points. A "
                "claim that is <em>not reached</em> by no more than that says nothing about its paper."
            )
    ours = interval(found.ours, found.low, found.high)
    return HTML(
        f"<p>The {link} is published at {published_}; our training code reaches {ours} % ({name}, tolerance "
        f"{published.TOLERANCE:g} points). {means}</p>"
    )
