"""Arithmetic on printed figures: whether they can be what they are said to be.

Nothing here needs data or a network. Each function recomputes one kind of relation between the figures of
the claims files, for all papers at once or for one. A figure that fails is inconsistent with what is printed
beside it; why, arithmetic cannot say: a slip of the pen, an unstated protocol and a test set that was changed
look alike.

:func:`decided` gathers what this makes of the claims themselves: an average, a difference or a p-value
*holds* if the figures printed beside it give it and *does not hold* if they do not. An accuracy itself can be
refuted so but not confirmed: that it agrees with its own classes does not show that a network reaches it. A
count of a corpus is set beside what a complete copy has.
"""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

from fer_lib import claims
from fer_lib.claims import Claim
from fer_lib.expressions import EXPRESSIONS, canonical
from fer_lib.judge import order, significance, verdicts
from fer_lib.judge.order import decimals
from fer_lib.judge.verdicts import Verdict

if TYPE_CHECKING:
    import pandas as pd

SLACK = 1e-9
LEVELS = ("accuracy", "class_accuracy", "mean_class_accuracy", "mean_fold_accuracy")


def fractions(paper: str | None = None) -> pd.DataFrame:
    """Ask of every printed accuracy whether it is a number of right answers over its test samples.

    With ``n`` test samples an accuracy is one of the ``n + 1`` values ``100 k / n``; where the samples are
    tested ``m`` times (repeats, or models whose mean is printed), of ``m n + 1``. For a cross-validation the
    mean over folds that are as equal as they can be is tried as well.

    Columns paper, id, table, model, dataset, expression, printed (percent), n (answers), nearest (the nearest
    possible figure, percent), fits (``rounded``, ``truncated``, ``mean of folds`` or "" for none), inferred
    (``n`` was itself found from the printed figures, so a fit says little).
    """
    import pandas as pd

    frame = _exact(paper)
    frame = frame[frame["metric"].isin(("accuracy", "class_accuracy")) & frame["n"].notna()]
    rows = []
    for _, group in frame.groupby(["paper", "table"], sort=False):
        digits = decimals(group["value"])
        for claim in group.to_dict("records"):
            row = {name: claim[name] for name in ("paper", "id", "table", "model", "dataset", "expression")}
            rows.append(row | {"printed": claim["value"]} | _fraction(claim, digits))
    return pd.DataFrame(rows)


def _exact(paper: str | None) -> pd.DataFrame:
    """Return the printed figures that are neither bounds nor rough nor of one fold."""
    frame = claims.frame(paper)
    return frame[frame["value"].notna() & frame["bound"].isna() & frame["fold"].isna() & ~frame["approx"]]


def _fraction(claim: dict[str, Any], digits: int) -> dict[str, Any]:
    """Return the last columns of :func:`fractions` for one claim."""
    repeats, samples, printed = _repeats(claim), int(claim["n"]), claim["value"]
    exact = 100 * np.arange(repeats * samples + 1) / (repeats * samples)
    unit, over = 10.0**-digits, exact - printed
    folds = re.search(r"_(\d+)fold", claim["protocol"]) if claim["metric"] == "accuracy" else None
    fits = ""
    if (np.abs(over) <= unit / 2 + SLACK).any():
        fits = "rounded"
    elif ((over >= -SLACK) & (over < unit - SLACK)).any():
        fits = "truncated"
    elif folds:
        means = _fold_means(samples, int(folds.group(1)), repeats)
        fits = "mean of folds" if (np.abs(means - printed) <= unit / 2 + SLACK).any() else ""
    nearest = exact[np.abs(over).argmin()]
    inferred = claim["expression"] is not None and _inferred(claim["paper"], claim["protocol"])
    return {"n": repeats * samples, "nearest": nearest, "fits": fits, "inferred": inferred}


def _inferred(paper: str, protocol: str) -> bool:
    """Whether the images of each class of a protocol were themselves found from the printed figures."""
    return "inferred" in (claims.load(paper).protocol(protocol).get("notes") or "")


def _repeats(claim: dict[str, Any]) -> int:
    """Return how often a protocol tests each sample: repeats, or models whose mean is printed."""
    named = re.search(r"_x(\d+)", claim["protocol"])
    frame = claims.frame(claim["paper"])
    # Every model of the training corpus's folds is tested on all images.
    counts = frame[(frame["metric"] == "fold_count") & (frame["dataset"] == claim["train_dataset"])]
    return int(named.group(1)) if named else int(counts["value"].iloc[0]) if len(counts) else 1


def _fold_means(n: int, folds: int, repeats: int) -> np.ndarray:
    """Return every mean of accuracies (percent) of folds that are as equal as can be."""
    size, larger = divmod(n, folds)
    # Only the errors in all larger and in all smaller folds together matter for the mean.
    in_larger = np.arange(repeats * larger * (size + 1) + 1) / (size + 1)
    in_smaller = np.arange(repeats * (folds - larger) * size + 1) / size
    return 100 * (1 - np.add.outer(in_larger, in_smaller).ravel() / (folds * repeats))


def _means(classes: pd.DataFrame, paper: str, protocol: str, corpus: str | None) -> tuple[float, float]:
    """Return the mean of printed class accuracies, and that weighted by test images; NaN where unknown."""
    from fer_lib.data.datasets import ckplus, fer2013

    official = {
        "ckplus": ckplus.PER_CLASS,
        "fer2013": dict(zip(EXPRESSIONS, fer2013.OFFICIAL["private_test"], strict=False)),
    }
    counts = claims.load(paper).protocol(protocol).get("class_counts") or official.get(corpus, {})
    counts = {canonical(name): count for name, count in counts.items()}
    weights = [counts.get(name, 0) for name in classes["expression"]]
    weighted = np.average(classes["value"], weights=weights) if weights and all(weights) else np.nan
    return classes["value"].mean(), float(weighted)


def averages(paper: str | None = None) -> pd.DataFrame:
    """Set every printed average beside the averages of the class accuracies printed with it.

    Columns paper, id, model, dataset, metric, printed; class_mean and weighted (by the test images of each
    class where they are known), in percent; inferred (these were themselves found from the printed figures);
    agrees (``class mean``, ``weighted``, both or ""; half a unit of the rounded class accuracies is allowed).
    """
    import pandas as pd

    frame, rows, keys = _exact(paper), [], ["paper", "dataset", "protocol", "model"]
    beside = frame[frame["metric"].isin(("accuracy", "mean_class_accuracy"))].groupby(keys)
    for row, classes in frame[frame["metric"] == "class_accuracy"].groupby(keys, sort=False):
        key, _, protocol, _ = row
        wanted = claims.load(key).protocol(protocol).get("classes")
        if not wanted or len(classes) < len(wanted) or row not in beside.groups:
            continue
        mean, weighted = _means(classes, key, protocol, classes["corpus"].iloc[0])
        printed = beside.get_group(row)
        for claim in printed.to_dict("records"):
            near = 0.5 * 10.0 ** -decimals(classes["value"]) + 0.5 * 10.0 ** -decimals([claim["value"]])
            found = {"class mean": mean, "weighted": weighted}
            agrees = [n for n, value in found.items() if abs(value - claim["value"]) <= near + SLACK]
            row = {name: claim[name] for name in ("paper", "id", "model", "dataset", "metric")}
            row |= {"printed": claim["value"], "class_mean": mean, "weighted": weighted}
            rows.append(row | {"inferred": _inferred(key, protocol), "agrees": " and ".join(agrees)})
    return pd.DataFrame(rows)


def confusions() -> pd.DataFrame:
    """Set every row of a printed confusion matrix beside the class it tests.

    Columns paper, model, dataset, expression, images (the row's sum), expected (images of that class in the
    protocol's data), recall (percent, from the row), printed (class accuracy of the same model), agrees.
    """
    import pandas as pd

    rows = []
    for paper in claims.PAPERS:
        frame = claims.frame(paper)
        for matrix in claims.load(paper).confusion:
            where = (frame["model"] == matrix["model"]) & (frame["dataset"] == matrix["dataset"])
            classes = frame[where & (frame["metric"] == "class_accuracy")].set_index("expression")
            counts = {e: int(n) for e, n in classes["n"].items() if not pd.isna(n)}
            for i, (label, row) in enumerate(zip(matrix["labels"], matrix["rows"], strict=True)):
                expression, images, recall = canonical(label), sum(row), 100 * row[i] / sum(row)
                printed, expected = classes["value"].get(expression), counts.get(expression)
                near = printed is not None and abs(recall - printed) <= 0.005 + SLACK
                facts = {"paper": paper, "model": matrix["model"], "dataset": matrix["dataset"]}
                facts |= {"expression": expression, "images": images, "expected": expected, "recall": recall}
                rows.append(facts | {"printed": printed, "agrees": near and expected in (None, images)})
    return pd.DataFrame(rows)


def differences(paper: str | None = None) -> pd.DataFrame:
    """Set every printed difference of two models beside what the tables give for it.

    Columns paper, id, dataset, model (``A minus B``), printed (points); from_accuracies, from_class_means and
    from_weighted_classes, in points, NaN where the tables do not print what it takes; agrees (one does, as
    far as rounding can tell).
    """
    import pandas as pd

    frame = claims.frame(paper)
    stated = frame[(frame["metric"] == "accuracy_difference") & frame["value"].notna()]
    rows = []
    for claim in stated.to_dict("records"):
        left, _, right = claim["model"].partition(" minus ")
        others = claim["against"] if isinstance(claim["against"], list) else [right]
        here = frame[(frame["paper"] == claim["paper"]) & (frame["dataset"] == claim["dataset"])]
        levels = {}
        for model in (left, *others):
            mine = here[here["model"] == model]
            overall = mine.loc[mine["metric"] == "accuracy", "value"]
            classes = mine[mine["metric"] == "class_accuracy"]
            means = _means(classes, claim["paper"], claim["protocol"], claim["corpus"])
            levels[model] = (overall.iloc[0] if len(overall) else np.nan, *means)
        if any(all(np.isnan(value)) for value in levels.values()):
            continue  # a margin over works whose figures are scattered: left to the reader
        gaps = np.array(levels[left]) - np.mean([levels[model] for model in others], axis=0)
        # Each of the figures that are subtracted was rounded, and so was the difference.
        printed = here[here["model"].isin(levels) & here["metric"].isin(("accuracy", "class_accuracy"))]
        near = 10.0 ** -decimals(printed["value"]) + 0.5 * 10.0 ** -decimals([claim["value"]])
        row = {name: claim[name] for name in ("paper", "id", "dataset", "model")}
        names = ("printed", "from_accuracies", "from_class_means", "from_weighted_classes", "agrees")
        agrees = bool((np.abs(gaps - claim["value"]) <= near + SLACK).any())
        rows.append(row | dict(zip(names, (claim["value"], *gaps, agrees), strict=True)))
    return pd.DataFrame(rows)


def chains(paper: str | None = None) -> pd.DataFrame:
    """Ask whether printed differences add up: (A minus C) less (B minus C) must be (A minus B).

    Columns paper, id, dataset, model (``A minus B``), printed, implied (both in points), over (C), agrees
    (one unit of the last printed decimal is allowed, as three rounded figures meet).
    """
    import pandas as pd

    frame = claims.frame(paper)
    stated = frame[(frame["metric"] == "accuracy_difference") & frame["value"].notna()]
    rows = []
    for _, group in stated.groupby(["paper", "dataset"], sort=False):
        gap = {tuple(model.split(" minus ")): value for model, value in group[["model", "value"]].to_numpy()}
        unit = 10.0 ** -decimals(group["value"])
        for claim in group.to_dict("records"):
            a, b = claim["model"].split(" minus ")
            for c in {right for left, right in gap if left == a and right != b and (b, right) in gap}:
                implied = gap[a, c] - gap[b, c]
                row = {name: claim[name] for name in ("paper", "id", "dataset", "model")}
                row |= {"printed": claim["value"], "implied": implied, "over": c}
                rows.append(row | {"agrees": abs(implied - claim["value"]) <= 1.5 * unit + SLACK})
    return pd.DataFrame(rows)


# --- what this decides ------------------------------------------------------------------------------------


def decided(paper: str) -> dict[str, tuple[str, Verdict]]:
    """Return the claims that a paper's printed figures, or a corpus, decide: id to (how, verdict).

    How is ``arithmetic`` or ``counting``. That an accuracy agrees with what is printed beside it decides
    nothing, and is only a remark.
    """
    levels = {claim.id for claim in claims.load(paper).claims if claim.metric in LEVELS}
    return {n: said for n, said in _found(paper).items() if n not in levels or said[1].name != "holds"}


@cache
def _found(paper: str) -> dict[str, tuple[str, Verdict]]:
    """Return what arithmetic and counting find; a claim of order ``about`` a figure speaks of that too."""
    made = claims.load(paper)
    found = {claim.id: ("counting", counted) for claim in made.claims if (counted := count(claim))}
    for row in averages(paper).to_dict("records"):
        if row["inferred"] and row["agrees"] == "weighted":
            continue  # the images of each class were found from these very figures
        mean, weighted = row["class_mean"], row["weighted"]
        images = "" if np.isnan(weighted) else f", or {weighted:.2f} by their images"
        sentence = f"The class accuracies printed with it average {mean:.2f}{images}."
        found[row["id"]] = _said(row["agrees"], sentence)
    for row in chains(paper).to_dict("records"):
        implied = f"Two other printed differences imply {row['implied']:+.3f}."
        found[row["id"]] = _said(row["agrees"], implied)
    for row in differences(paper).to_dict("records"):
        gaps = (row["from_accuracies"], row["from_class_means"], row["from_weighted_classes"])
        sentence = f"The tables give {' or '.join(f'{gap:+.2f}' for gap in gaps if gap == gap)}."
        # A difference must agree with the tables and with the other differences.
        if row["id"] in found and found[row["id"]][1].name != "holds":
            found[row["id"]] = _said(False, f"{sentence} {found[row['id']][1].reason}")
        else:
            found[row["id"]] = _said(row["agrees"], sentence)
    for row in significance.printed(paper).to_dict("records"):
        agrees = (row["two_sided"] < verdicts.LEVEL) == (row["printed"] < verdicts.LEVEL)
        values = ", ".join(f"{row[key]:.2g} ({test})" for key, test in significance.TESTS.items())
        found[row["id"]] = _said(agrees, f"The folds as printed give {values}.")
    for claim in made.order:
        if claim.decided_by == "arithmetic":
            found[claim.id] = ("arithmetic", order.by_arithmetic(claim))
            if claim.about:
                found[claim.about] = found[claim.id]
    return found


def _said(agrees: Any, sentence: str) -> tuple[str, Verdict]:
    return "arithmetic", Verdict("holds" if agrees else "does not hold", sentence)


@cache
def remarks(paper: str) -> dict[str, str]:
    """Return what arithmetic says of printed figures, by claim, beside whatever else judges them."""
    said = {
        row["id"]: f"No number of right answers among {row['n']:,} gives the printed number."
        for row in fractions(paper).to_dict("records")
        if not row["fits"]
    }
    kept = {claim.id for claim in claims.load(paper).claims if claim.metric in ("p_value", *LEVELS)}
    for name, (how, verdict) in _found(paper).items():
        if how == "arithmetic" and (verdict.name == "does not hold" or name in kept):
            said[name] = f"{said.get(name, '')} {verdict.reason}".strip()
    return said


def count(claim: Claim) -> Verdict | None:
    """Set a printed count of a corpus beside that of a complete copy; None where that is not known."""
    from fer_lib.data.datasets import READERS, ckplus, fer2013, jaffe

    if claim.role != "data" or claim.corpus is None or claim.value is None:
        return None
    known, why, entries = None, "", READERS[claim.corpus].printed
    if own := next((entry for entry in entries if entry.claim == claim.id), None):
        known, why = own.complete, own.why
    elif claim.metric == "sample_count" and claim.corpus == "fer2013":
        parts = [claim.part] if claim.part in fer2013.OFFICIAL else [*fer2013.OFFICIAL]
        counts = np.sum([fer2013.OFFICIAL[part] for part in parts], axis=0)
        known = int(counts[EXPRESSIONS.index(claim.expression)] if claim.expression else counts.sum())
    elif claim.metric == "sample_count" and claim.expression:
        by_class = {"ckplus": ckplus.PER_CLASS | {"neutral": 0}, "jaffe": jaffe.OFFICIAL}
        known = by_class.get(claim.corpus, {}).get(claim.expression)
    elif claim.metric in ("sample_count", "subject_count") and not claim.expression:
        kinds = ("sequences", "images") if claim.metric == "sample_count" else ("subjects",)
        totals = {entry.complete for entry in entries if entry.what in kinds and not entry.why}
        known = int(claim.value) if claim.value in totals else None  # other selections say nothing of it
    if known is None:
        return None
    name = "holds" if known == claim.value else "does not hold"
    return Verdict(name, f"A complete copy has {known:,}. {why}".strip())
