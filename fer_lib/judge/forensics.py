"""Arithmetic on printed figures: whether they can be what they are said to be.

Nothing here needs data or a network. Each function recomputes one kind of relation between the figures of
the claims files, for all papers at once. A figure that fails is inconsistent with what is printed beside
it; why, arithmetic cannot say: a slip of the pen, an unstated protocol and a test set that was changed
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


def _agrees(exact: np.ndarray, printed: float, digits: int) -> dict[str, np.ndarray]:
    """Return per way of shortening which of the exact figures would be printed as ``printed``."""
    unit = 10.0**-digits
    difference = np.asarray(exact) - printed
    slack = 1e-9
    return {
        "rounded": np.abs(difference) <= unit / 2 + slack,
        "truncated": (difference >= -slack) & (difference < unit - slack),
    }


def fractions(paper: str | None = None) -> pd.DataFrame:
    """Ask of every printed accuracy whether it is a number of right answers over its test samples.

    With ``n`` test samples an accuracy is one of the ``n + 1`` values ``100 k / n``; where the samples are
    tested several times (repeats, or several models of which the mean is printed), of ``m n + 1``. For a
    cross-validation the mean of its folds' accuracies is tried as well, with folds as equal as they can
    be (K folds hold ``n // K`` samples or one more).

    Returns
    -------
    pandas.DataFrame
        paper, id, table, model, dataset, expression, printed (percent), n (answers), nearest (the
        nearest possible figure, percent), fits: ``rounded``, ``truncated``, ``mean of folds`` or "" for
        none; inferred (bool): ``n`` was itself found from the printed figures, so a fit says little.
    """
    import pandas as pd

    frame = claims.frame(paper)
    keep = frame["metric"].isin(("accuracy", "class_accuracy")) & frame["n"].notna() & frame["value"].notna()
    keep &= ~frame["approx"] & frame["bound"].isna() & frame["fold"].isna()
    rows = []
    for _, group in frame[keep].groupby(["paper", "table"], sort=False):
        digits = decimals(group["value"])
        for claim in group.to_dict("records"):
            row = {name: claim[name] for name in ("paper", "id", "table", "model", "dataset", "expression")}
            rows.append(row | {"printed": claim["value"]} | _fraction(claim, digits))
    return pd.DataFrame(rows)


def _fraction(claim: dict[str, Any], digits: int) -> dict[str, Any]:
    """Return the last columns of :func:`fractions` for one claim."""
    protocol = claims.load(claim["paper"]).protocol(claim["protocol"])
    repeats, samples, printed = _repeats(claim), int(claim["n"]), claim["value"]
    exact = 100 * np.arange(repeats * samples + 1) / (repeats * samples)
    fits = [way for way, hits in _agrees(exact, printed, digits).items() if hits.any()]
    folds = re.search(r"_(\d+)fold", claim["protocol"])
    if not fits and folds and claim["metric"] == "accuracy":
        means = _fold_means(samples, int(folds.group(1)), repeats)
        fits = ["mean of folds"] * bool(_agrees(means, printed, digits)["rounded"].any())
    return {
        "n": repeats * samples,
        "nearest": exact[np.abs(exact - printed).argmin()],
        "fits": fits[0] if fits else "",
        "inferred": claim["expression"] is not None and "inferred" in (protocol.get("notes") or ""),
    }


def _repeats(claim: dict[str, Any]) -> int:
    """Return how often a protocol tests each sample: repeats, or models whose mean is printed."""
    named = re.search(r"_x(\d+)", claim["protocol"])
    if named:
        return int(named.group(1))
    if claim["train_dataset"]:  # every model of the training corpus's folds is tested on all images
        frame = claims.frame(claim["paper"])
        counts = frame[(frame["metric"] == "fold_count") & (frame["dataset"] == claim["train_dataset"])]
        return int(counts["value"].iloc[0]) if len(counts) else 1
    return 1


def _fold_means(n: int, folds: int, repeats: int) -> np.ndarray:
    """Return every mean of accuracies (percent) of folds that are as equal as can be."""
    size, larger = divmod(n, folds)
    # Only the errors in all larger and in all smaller folds together matter for the mean.
    in_larger = np.arange(repeats * larger * (size + 1) + 1) / (size + 1)
    in_smaller = np.arange(repeats * (folds - larger) * size + 1) / size
    return 100 * (1 - np.add.outer(in_larger, in_smaller).ravel() / (folds * repeats))


def _class_counts(protocol: dict[str, Any], corpus: str | None) -> dict[str, int]:
    """Return the test images per expression: the protocol's, else the official ones of the corpus."""
    from fer_lib.data.datasets import ckplus, fer2013

    if protocol.get("class_counts"):
        return {canonical(name): count for name, count in protocol["class_counts"].items()}
    official = dict(zip(EXPRESSIONS, fer2013.OFFICIAL["private_test"], strict=False))
    known = {"ckplus": ckplus.PER_CLASS, "fer2013": official}
    return dict(known.get(corpus, {}))


def averages(paper: str | None = None) -> pd.DataFrame:
    """Set every printed average beside the averages of the class accuracies printed with it.

    Returns
    -------
    pandas.DataFrame
        paper, id, model, dataset, metric, printed; class_mean and weighted (by the test images of each
        class where they are known), in percent; inferred (bool): these were themselves found from the printed
        figures; agrees: ``class mean``, ``weighted``, both or "".
        The class accuracies are rounded themselves, so half a unit of theirs is allowed.
    """
    import pandas as pd

    frame = claims.frame(paper)
    frame = frame[frame["value"].notna() & frame["bound"].isna() & frame["fold"].isna() & ~frame["approx"]]
    classes = frame[frame["metric"] == "class_accuracy"]
    rows = []
    for (key, dataset, protocol, model), group in classes.groupby(
        ["paper", "dataset", "protocol", "model"], sort=False
    ):
        facts = claims.load(key).protocol(protocol)
        if not facts.get("classes") or len(group) < len(facts["classes"]):
            continue
        same = (frame["paper"] == key) & (frame["dataset"] == dataset) & (frame["protocol"] == protocol)
        printed = frame[same & (frame["model"] == model)]
        printed = printed[printed["metric"].isin(("accuracy", "mean_class_accuracy"))]
        counts = _class_counts(facts, group["corpus"].iloc[0])
        weights = [counts.get(name, 0) for name in group["expression"]]
        mean = group["value"].mean()
        weighted = np.average(group["value"], weights=weights) if all(weights) else np.nan
        slack = 0.5 * 10.0 ** -decimals(group["value"])
        for claim in printed.to_dict("records"):
            near = slack + 0.5 * 10.0 ** -decimals([claim["value"]]) + 1e-9
            agrees = [
                name
                for name, value in (("class mean", mean), ("weighted", weighted))
                if abs(value - claim["value"]) <= near
            ]
            row = {name: claim[name] for name in ("paper", "id", "model", "dataset", "metric")}
            row |= {"printed": claim["value"], "class_mean": mean, "weighted": weighted}
            row |= {"inferred": "inferred" in (facts.get("notes") or "")}
            rows.append(row | {"agrees": " and ".join(agrees)})
    return pd.DataFrame(rows)


def confusions(paper: str | None = None) -> pd.DataFrame:
    """Set every row of a printed confusion matrix beside the class it tests.

    Returns
    -------
    pandas.DataFrame
        paper, model, dataset, expression, images (the row's sum), expected (images of that class in the
        protocol's data), recall (percent, from the row), printed (class accuracy of the same model),
        agrees (bool).
    """
    import pandas as pd

    rows = []
    for key in [paper] if paper else claims.PAPERS:
        frame = claims.frame(key)
        for matrix in claims.load(key).confusion:
            where = (frame["model"] == matrix["model"]) & (frame["dataset"] == matrix["dataset"])
            printed = frame[where & (frame["metric"] == "class_accuracy")].set_index("expression")
            counts = {e: int(n) for e, n in printed["n"].items() if not pd.isna(n)}
            for i, (label, row) in enumerate(zip(matrix["labels"], matrix["rows"], strict=True)):
                expression = canonical(label)
                recall, claimed = 100 * row[i] / sum(row), printed["value"].get(expression)
                expected = counts.get(expression)
                near = claimed is not None and abs(recall - claimed) <= 0.005 + 1e-9
                facts = {"paper": key, "model": matrix["model"], "dataset": matrix["dataset"]}
                facts |= {"expression": expression, "images": sum(row), "expected": expected}
                facts |= {"recall": recall, "printed": claimed}
                rows.append(facts | {"agrees": near and expected in (None, sum(row))})
    return pd.DataFrame(rows)


def differences(paper: str | None = None) -> pd.DataFrame:
    """Set every printed difference of two models beside what the tables give for it.

    Returns
    -------
    pandas.DataFrame
        paper, id, dataset, model (``A minus B``), printed (points); from_accuracies, from_class_means and
        from_weighted_classes, in points, NaN where the tables do not print what it takes; agrees (bool):
        one of them does, as far as the rounding of the printed figures can tell.
    """
    import pandas as pd

    frame = claims.frame(paper)
    stated = frame[(frame["metric"] == "accuracy_difference") & frame["value"].notna()]
    rows = []
    for claim in stated.to_dict("records"):
        left, _, right = claim["model"].partition(" minus ")
        others = claim["against"] if isinstance(claim["against"], list) else [right]
        here = frame[(frame["paper"] == claim["paper"]) & (frame["dataset"] == claim["dataset"])]
        levels = {model: _levels(here[here["model"] == model], claim) for model in (left, *others)}
        if any(all(np.isnan(value)) for value in levels.values()):
            continue  # a margin over works whose figures are scattered: left to the reader
        gaps = np.array(levels[left]) - np.mean([levels[model] for model in others], axis=0)
        row = {name: claim[name] for name in ("paper", "id", "dataset", "model")} | {
            "printed": claim["value"]
        }
        names = ("from_accuracies", "from_class_means", "from_weighted_classes")
        # Each of the figures that are subtracted was rounded, and so was the difference.
        printed = here[here["model"].isin(levels) & here["metric"].isin(("accuracy", "class_accuracy"))]
        near = 10.0 ** -decimals(printed["value"]) + 0.5 * 10.0 ** -decimals([claim["value"]])
        agrees = bool((np.abs(gaps - claim["value"]) <= near + 1e-9).any())
        rows.append(row | dict(zip(names, gaps, strict=True)) | {"agrees": agrees})
    return pd.DataFrame(rows)


def _levels(of_model: pd.DataFrame, claim: dict[str, Any]) -> tuple[float, float, float]:
    """Return a model's printed accuracy, class mean and weighted class accuracy (percent, NaN if absent)."""
    overall = of_model[of_model["metric"] == "accuracy"]["value"]
    classes = of_model[of_model["metric"] == "class_accuracy"]
    counts = _class_counts(claims.load(claim["paper"]).protocol(claim["protocol"]), claim["corpus"])
    weights = [counts.get(name, 0) for name in classes["expression"]]
    weighted = len(classes) and all(weights)
    return (
        overall.iloc[0] if len(overall) else np.nan,
        classes["value"].mean() if len(classes) else np.nan,
        float(np.average(classes["value"], weights=weights)) if weighted else np.nan,
    )


def chains(paper: str | None = None) -> pd.DataFrame:
    """Ask whether printed differences add up: (A minus C) less (B minus C) must be (A minus B).

    Returns
    -------
    pandas.DataFrame
        paper, id, dataset, model (``A minus B``), printed, implied (both in points), over (C), agrees (bool;
        one unit of the last printed decimal is allowed, as three rounded figures meet).
    """
    import pandas as pd

    frame = claims.frame(paper)
    stated = frame[(frame["metric"] == "accuracy_difference") & frame["value"].notna()]
    rows = []
    for (key, dataset), group in stated.groupby(["paper", "dataset"], sort=False):
        pairs = {tuple(c["model"].split(" minus ")): c for c in group.to_dict("records")}
        gap = {pair: claim["value"] for pair, claim in pairs.items()}
        unit = 10.0 ** -decimals(group["value"])
        for (a, b), printed in gap.items():
            for c in {right for left, right in gap if left == a and right != b and (b, right) in gap}:
                implied = gap[a, c] - gap[b, c]
                row = {"paper": key, "id": pairs[a, b]["id"], "dataset": dataset, "model": f"{a} minus {b}"}
                row["printed"] = printed
                row |= {"implied": implied, "over": c}
                rows.append(row | {"agrees": abs(implied - printed) <= 1.5 * unit + 1e-9})
    return pd.DataFrame(rows)


# --- what this decides ------------------------------------------------------------------------------------


LEVELS = ("accuracy", "class_accuracy", "mean_class_accuracy", "mean_fold_accuracy")


def decided(paper: str) -> dict[str, tuple[str, Verdict]]:
    """Return the claims that a paper's printed figures, or a corpus, decide: id to (how, verdict).

    How is ``arithmetic`` or ``counting``. That an accuracy agrees with what is printed beside it decides
    nothing, and is only a remark.
    """
    made = claims.load(paper)
    levels = {claim.id for claim in made.claims if claim.metric in LEVELS}
    return {n: said for n, said in _found(paper).items() if n not in levels or said[1].name != "holds"}


@cache
def _found(paper: str) -> dict[str, tuple[str, Verdict]]:
    """Return what arithmetic and counting find; a claim of order ``about`` a figure speaks of that too."""
    made = claims.load(paper)
    found = {claim.id: ("counting", counted) for claim in made.claims if (counted := count(claim))}
    for row in averages(paper).to_dict("records"):
        if row["inferred"] and row["agrees"] == "weighted":
            continue  # the images of each class were found from these very figures
        mean, weighted = f"{row['class_mean']:.2f}", row["weighted"]
        images = "" if np.isnan(weighted) else f", or {weighted:.2f} by their images"
        found[row["id"]] = _said(row, f"The class accuracies printed with it average {mean}{images}.")
    for row in chains(paper).to_dict("records"):
        found[row["id"]] = _said(row, f"Two other printed differences imply {row['implied']:+.3f}.")
    for row in differences(paper).to_dict("records"):
        gaps = (row["from_accuracies"], row["from_class_means"], row["from_weighted_classes"])
        said = _said(row, f"The tables give {' or '.join(f'{gap:+.2f}' for gap in gaps if gap == gap)}.")
        _, before = found.get(row["id"], said)
        # A difference must agree with the tables and with the other differences.
        if before.name != "holds" and before is not said[1]:
            said = "arithmetic", Verdict("does not hold", f"{said[1].reason} {before.reason}")
        found[row["id"]] = said
    if any(claim.metric == "p_value" for claim in made.claims):
        for row in significance.printed(paper).to_dict("records"):
            agrees = (row["two_sided"] < verdicts.LEVEL) == (row["printed"] < verdicts.LEVEL)
            values = ", ".join(f"{row[key]:.2g} ({test})" for key, test in significance.TESTS.items())
            found[row["id"]] = _said({"agrees": agrees}, f"The folds as printed give {values}.")
    for claim in made.order:
        if claim.decided_by == "arithmetic":
            found[claim.id] = ("arithmetic", order.by_arithmetic(claim))
            if claim.about:
                found[claim.about] = found[claim.id]
    return found


def _said(row: dict[str, Any], sentence: str) -> tuple[str, Verdict]:
    return "arithmetic", Verdict("holds" if row["agrees"] else "does not hold", sentence)


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
    entries = {entry.claim: entry for entry in READERS[claim.corpus].printed}
    parts = dict(fer2013.OFFICIAL)
    parts["all"] = tuple(sum(counts) for counts in zip(*parts.values(), strict=True))
    known, why = None, ""
    if claim.id in entries:
        known, why = entries[claim.id].complete, entries[claim.id].why
    elif claim.metric == "sample_count" and claim.expression:
        by_class = {
            "fer2013": dict(zip(EXPRESSIONS, parts[claim.part or "all"], strict=False)),
            "ckplus": ckplus.PER_CLASS | {"neutral": 0},
            "jaffe": jaffe.OFFICIAL,
        }
        complete = READERS[claim.corpus].card.complete
        known = by_class.get(claim.corpus, complete).get(claim.expression)
    elif claim.metric == "sample_count" and claim.part:
        known = sum(parts[claim.part])
    elif claim.metric in ("sample_count", "subject_count") and not claim.expression:
        kinds = ("sequences", "images") if claim.metric == "sample_count" else ("subjects",)
        totals = {entry.complete for entry in entries.values() if entry.what in kinds and not entry.why}
        totals |= {sum(counts) for counts in parts.values()} if claim.corpus == "fer2013" else set()
        known = int(claim.value) if claim.value in totals else None  # other selections say nothing of it
    if known is None:
        return None
    name = "holds" if known == claim.value else "does not hold"
    return Verdict(name, f"A complete copy has {known:,}. {why}".strip())
