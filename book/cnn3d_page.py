"""What the page on the 3D-CNN shows, from claims and evidence."""

from __future__ import annotations

from collections.abc import Iterable

from IPython.display import HTML, Markdown
from markup import Html, Short, interval, table, two_lines
from overview import dataset_title, guessing, run_name

from fer_lib import claims
from fer_lib.evidence import runs
from fer_lib.judge import significance
from fer_lib.learn import metrics

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


def headline() -> str:
    """Return the accuracies that the paper's abstract claims."""
    frame = claims.frame("cnn3d").set_index("id")["value"]
    loso, ten, oulu = (frame[f"cnn3d-t{n}-ours"] for n in (6, 7, 8))
    return (
        f"CK+ {loso:.2f} % (one subject left out at a time) and {ten:.0f} % (ten folds), "
        f"Oulu-CASIA {oulu:.2f} % (ten folds)"
    )


def network(run: runs.Run) -> str:
    """Return which architecture the paper found for a run's corpus."""
    return "c2" if run.dataset == "oulu_casia" else "c1"


def guesses(made: Iterable[runs.Run]) -> Markdown | None:
    """Say what guessing gives, and where the :func:`network` of a corpus is not surely better."""
    made = list(made)
    said = [guessing([run for run in made if network(run) == name], name) for name in ("c1", "c2")]
    lines = [part.data for part in said if part is not None]
    return Markdown("\n\n".join(lines)) if lines else None


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


def p_values() -> HTML:
    """Show the printed p-values beside those that follow from the printed folds."""
    rows = []
    for row in significance.printed().to_dict("records"):
        compared = two_lines(
            f"{row['better']} against {row['worse']}", f"{row['dataset']}, {row['table']}", Short
        )
        figures = {name.capitalize(): _p(row[key]) for key, name in significance.TESTS.items()}
        rows.append({"Comparison": compared, "Printed": Html(f"{row['printed']:.5f}")} | figures)
    return table(rows, list(rows[0])[1:], "p-values from the printed folds")


def _p(value: float) -> Html:
    """Return a p-value, marked where it is not significant."""
    text = f"{value:.5f}"
    return Html(text if value < significance.LEVEL else f"{text} (not significant)")


def leaving_one_out(made: Iterable[runs.Run]) -> HTML:
    """Show, per run, the accuracy of leaving one subject out, pooled and by subject."""
    rows = []
    for run in made:
        for name in (name for name in run.models() if name.endswith("loso")):
            stored = run.predictions(name)
            right = stored["probabilities"].argmax(1) == stored["labels"]
            folds = stored["fold"]  # one subject each
            row = {"Model": two_lines(name.partition("@")[0], run_name(run), Short)}
            for title, weights in (("Pooled", None), ("Mean over subjects", metrics.class_weights(folds))):
                mean = right.mean() if weights is None else (right * weights).sum() / weights.sum()
                bounds = metrics.interval(right, folds, weights=weights)
                row[f"{title} [95 %]"] = interval(*(100 * value for value in (mean, *bounds)))
            rows.append(row | {"Clips": len(right)})
    return table(rows, list(rows[0])[1:] if rows else (), "Leaving one subject out")


def epochs(made: Iterable[runs.Run]) -> HTML:
    """Show what choosing the epoch on the test folds adds to each model."""
    rows = []
    for run in made:
        frame = run.table("epoch_selection")
        for row in frame[frame["average"] == "pooled"].to_dict("records") if len(frame) else []:
            loso = row["protocol"].endswith("loso")
            names = {"subject": "folds by subject", "random": "random folds"}
            folds = "one subject left out" if loso else names[row["protocol"]]
            about = f"{folds}, {run_name(run)}"
            figures = {name: Html(f"{value:.1f}") for name, value in row.items() if "epoch" in name}
            rows.append({"Model": two_lines(row["model"], about, Short)} | figures)
    return table(rows, list(rows[0])[1:] if rows else (), "Accuracy by which epoch counts")


def views(made: Iterable[runs.Run]) -> HTML:
    """Show accuracies on clips whose frames are fewer, or in another order."""
    rows = []
    for run in made:
        for row in run.table("views").to_dict("records"):
            ours = interval(*(100 * row[name] for name in ("accuracy", "low", "high")))
            against = None
            if row["difference"] == row["difference"]:
                middle, *bounds = (100 * row[f"difference{end}"] for end in ("", "_low", "_high"))
                against = Html(f"{middle:+.1f} [{bounds[0]:+.1f}, {bounds[1]:+.1f}]")
            shown = two_lines(row["view"], f"{network(run)}, {run_name(run)}", Short)
            rows.append({"Shown": shown, "Accuracy [95 %]": ours, "Against all frames, points": against})
        if len(run.table("views")):
            guess = Html(f"{100 / len(run.info['classes']):.2f}")
            shown = two_lines("guessing", run_name(run), Short)
            rows.append({"Shown": shown, "Accuracy [95 %]": guess, "Against all frames, points": None})
    return table(rows, list(rows[0])[1:] if rows else (), "What frames are worth")


def studies(made: Iterable[runs.Run]) -> HTML:
    """Show the search of each run: on what, its trials by state, its workers and the best accuracy."""
    rows = []
    for run in made:
        frame = run.table("search")
        if frame.empty:
            continue
        counts = frame["state"].value_counts()
        best = frame.loc[frame["state"] == "complete", "accuracy"].max()
        states = {name.capitalize(): int(counts.get(name, 0)) for name in ("complete", "pruned", "lost")}
        about = two_lines(run_name(run), f"searched on: {_searched(run)}", Short)
        rows.append(
            {"Run": about, "Workers": frame["worker"].nunique()}
            | states
            | {"Best accuracy, %": None if best != best else Html(f"{100 * best:.1f}")}
        )
    return table(rows, list(rows[0])[1:] if rows else (), "Studies of the search")


def _searched(run: runs.Run) -> str:
    """Return the corpus and the budget of a run's search, which may be a demonstration on drawn faces."""
    first = run.table("search").iloc[0]
    if "corpus" in first:
        corpus, budget = first["corpus"], first["budget"]
        if not isinstance(corpus, str):
            return "not noted"
    else:  # evidence from before these were recorded: workers of the notebook's own searched drawn faces
        corpus, budget = ("synthetic", "smoke") if run.info["plan"]["workers"] else (run.dataset, run.budget)
    return f"{dataset_title(corpus)}, budget {budget}"
