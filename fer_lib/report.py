"""Claims beside evidence: verdicts, the scorecard, and what redundant images change.

All accuracies here are percent and all differences percentage points, as the papers print them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from fer_lib import claims, metrics
from fer_lib.errors import FerError
from fer_lib.expressions import EXPRESSIONS
from fer_lib.runs import BUDGETS, Run, find

if TYPE_CHECKING:
    import pandas as pd

VERDICTS = ("reproduced", "exceeded", "not reached", "not comparable", "needs data")
JUDGED = ("method", "ablation", "baseline")
"""Roles of the claims that get a verdict; ``quoted`` figures are other works', ``data`` are counts."""

COLUMNS = (
    *("paper", "id", "table", "model", "dataset", "protocol", "metric", "expression", "claimed"),
    *("ours", "low", "high", "n", "verdict", "reason", "run", "commit", "hardware"),
)
DETAILS = (*COLUMNS, "budget", "variant", "seeds")
MEASURES = ("accuracy", "class_accuracy", "mean_class_accuracy", "mean_fold_accuracy", "accuracy_difference")
"""Metrics that follow from a run's predictions."""


class _NotComparableError(FerError):
    """Why a claim cannot be set against a run."""


@dataclass(frozen=True)
class _Scores:
    """Right (1) or wrong (0) per test sample of one model.

    ``correct`` (S, N) and ``fold`` (S, N) have one row per seed where all seeds test the same samples,
    else one row with everything; ``labels``, ``groups`` (subjects, else samples) and ``ids`` are (N,).
    """

    correct: np.ndarray
    fold: np.ndarray
    labels: np.ndarray
    groups: np.ndarray
    ids: np.ndarray

    def mean(
        self, keep: np.ndarray | None = None, weights: np.ndarray | None = None, proportion: bool = True
    ) -> tuple[float, float, float, int]:
        """Return the (weighted) mean and its 95 % interval in percent, and how many samples it is over."""
        keep = np.ones(len(self.labels), bool) if keep is None else keep
        if not keep.any():
            return np.nan, np.nan, np.nan, 0
        correct, groups = self.correct[:, keep], self.groups[keep]
        weights = np.ones(correct.shape) if weights is None else weights
        low, high = metrics.interval(correct, groups, weights=weights)
        ours, n = float(np.average(correct, axis=1, weights=weights).mean()), len(np.unique(self.ids[keep]))
        if proportion and ours in (
            0.0,
            1.0,
        ):  # resampling equal answers says nothing: 30 of 30 is not certainty
            low, high = metrics.wilson(ours * n, n)
        return 100 * ours, 100 * low, 100 * high, n


def verdict(
    claim_value: float, ours: float, low: float, high: float, tolerance: float, n_claim: int | None = None
) -> tuple[str, str]:
    """Judge one figure against one claim; all values in percent (or points).

    Reproduced means that the claim lies within our interval, widened by the claim's own sampling
    interval (Wilson's) where the number of its test samples is known, or within the tolerance.

    Parameters
    ----------
    claim_value, ours, low, high
        The printed figure, ours, and our 95 % interval.
    tolerance
        Fixed in the claims file, in points.
    n_claim
        Test samples behind the claim; None if unknown or if the figure is no proportion.

    Returns
    -------
    verdict, reason : str
        ``reproduced``, ``exceeded`` or ``not reached``, and a phrase with the figures.
    """
    below, above = claim_value, claim_value
    figures = f"ours {ours:.2f} [{low:.2f}, {high:.2f}], claimed {claim_value:g}"
    if n_claim:
        below, above = (100 * bound for bound in metrics.wilson(claim_value / 100 * n_claim, n_claim))
        figures += f" [{below:.2f}, {above:.2f}]"
    gap = ours - claim_value
    if low <= above and below <= high:
        return "reproduced", f"{'the intervals meet' if n_claim else 'within our interval'}: {figures}"
    if abs(gap) <= tolerance + 1e-9:  # so that 73.51 against 72.51 is within one point
        return "reproduced", f"within the tolerance of {tolerance:g} points: {figures}"
    word, name = ("above", "exceeded") if gap > 0 else ("below", "not reached")
    return name, f"{abs(gap):.2f} points {word} the claim: {figures}"


def compare(paper: str, runs: Iterable[Run], roles: Sequence[str] = JUDGED) -> pd.DataFrame:
    """Set every claim of a paper beside every matching group of runs.

    Runs that differ only in their seed are taken together. Runs on synthetic data are left out; runs
    under another protocol are shown only where none follows the claim's.

    Parameters
    ----------
    paper
        Key of the paper.
    runs
        Evidence, e.g. from :func:`fer_lib.runs.find`; that of other papers is ignored.
    roles
        Roles of the claims to list; ``quoted`` and ``data`` are listed but never judged.

    Returns
    -------
    pandas.DataFrame
        One row per claim and group of runs, with :data:`DETAILS`; a claim without a run has one row
        that says which data it needs.
    """
    import pandas as pd

    groups: dict[tuple, list[Run]] = {}
    for run in runs:
        if run.paper == paper and run.dataset != "synthetic":
            # A seed changes neither protocol nor data; where those differ it is another group.
            facts = (run.info.get("protocol"), run.info.get("fingerprint"))
            groups.setdefault((run.dataset, run.budget, run.variant, *facts), []).append(run)
    table = claims.frame(paper)
    rows = []
    for claim in table.astype(object).where(table.notna(), None).to_dict("records"):
        if claim["role"] not in roles:
            continue
        there = [group for key, group in groups.items() if key[0] == _home(claim)]
        same = [group for group in there if _follows(group[0], claim)]
        rows += [_row(claim, group) for group in (same or there or [[]])]
    frame = pd.DataFrame(rows, columns=list(DETAILS), dtype=object)
    return frame.astype(dict.fromkeys(("claimed", "ours", "low", "high"), float) | {"n": "Int64"})


def scorecard(root: str | Path = "results", roles: Sequence[str] = JUDGED, variant: str = "") -> pd.DataFrame:
    """Return the verdicts on all five papers from the evidence below ``root``.

    Of each paper and dataset the runs at the highest budget count. Runs that change a reading of the
    paper are left to :func:`compare`, unless their ``variant`` is asked for.

    Returns
    -------
    pandas.DataFrame
        One row per claim (and group of runs), with :data:`COLUMNS`.
    """
    import pandas as pd

    tables = []
    for paper in claims.PAPERS:
        runs = [run for run in find(root, paper=paper) if run.variant == variant]
        best: dict[str, int] = {}
        for run in runs:
            best[run.dataset] = max(best.get(run.dataset, 0), BUDGETS.index(run.budget))
        chosen = [run for run in runs if BUDGETS.index(run.budget) == best[run.dataset]]
        tables.append(compare(paper, chosen, roles))
    return pd.concat(tables, ignore_index=True)[list(COLUMNS)]


def subsets(run: Run, model: str) -> pd.DataFrame:
    """Return a model's accuracy as it is and without questionable test images.

    Returns
    -------
    pandas.DataFrame
        Columns subset, n, accuracy, low, high (percent, 95 % interval); rows: all test images, without
        those that have a pixel-identical twin in the training part, without those of which a
        pixel-identical copy carries another label.

    Raises
    ------
    FerError
        If the run has no such model or its ``samples.csv`` lacks the flags.
    """
    import pandas as pd

    scores, table = _scores([run], model), _table(run, model)
    keeps = {"all test images": np.ones(len(table), bool)}
    for flag, name in (
        ("twin_in_training", "without twins in training"),
        ("conflicting_label", "without conflicting labels"),
    ):
        if flag not in table:
            raise FerError(f"samples.csv of {_name(run)} has no column {flag!r}; run it again.")
        keeps[name] = ~table[flag].to_numpy(dtype=bool)
    rows = []
    for name, keep in keeps.items():
        ours, low, high, n = scores.mean(keep)
        rows.append({"subset": name, "n": n, "accuracy": ours, "low": low, "high": high})
    return pd.DataFrame(rows)


def _row(claim: dict[str, Any], runs: list[Run]) -> dict[str, Any]:
    """Return one row of :func:`compare`; ``runs`` differ in nothing but their seed."""
    row = {name: claim[name] for name in COLUMNS[:8]} | {"claimed": claim["value"]}
    if runs:
        made = [run.info.get("provenance", {}) for run in runs]
        row |= {
            "run": _join(map(_name, runs)),
            "commit": _join(m["commit"][:10] + "+" * bool(m.get("dirty")) for m in made if m.get("commit")),
            "hardware": _join(m.get("gpu") or m.get("cpu") or "unknown" for m in made),
            "budget": runs[0].budget,
            "variant": runs[0].variant,
            "seeds": len(runs),
        }
    try:
        _refuse_claim(claim)
        if not runs:
            split = claims.load(claim["paper"]).protocol(claim["protocol"])["split"]
            return row | {"verdict": "needs data", "reason": f"needs data: {claim['dataset']} ({split})"}
        ours, low, high, n = _measure(claim, runs)
        row |= {"ours": ours, "low": low, "high": high, "n": n}
        _refuse_run(claim, runs[0])
        kind = "difference" if claim["metric"] == "accuracy_difference" else "accuracy"
        tolerance = claims.load(claim["paper"]).tolerance[f"{kind}_points"]
        # Wilson's interval is a proportion's: not for means of classes or folds, nor for differences.
        n_claim = claim["n"] if claim["metric"] in ("accuracy", "class_accuracy") else None
        row["verdict"], row["reason"] = verdict(claim["value"], ours, low, high, tolerance, n_claim)
    except _NotComparableError as why:
        row |= {"verdict": "not comparable", "reason": str(why)}
    return row


def _home(claim: dict[str, Any]) -> str | None:
    """Return the corpus whose runs can answer a claim: across corpora, the one that was trained on."""
    return claims.CORPORA.get(claim["train_dataset"], claim["corpus"])


def _stored(claim: dict[str, Any], run: Run) -> str:
    """Return the name that a claim's model has in a run: under a further protocol it ends in that.

    A run tests by its own protocol, and may by others: on another corpus, or with other folds.
    """
    further = f"{claim['model']}@{claim.get('protocol')}"
    return further if claim.get("train_dataset") or further in run.models() else claim["model"]


def _follows(run: Run, claim: dict[str, Any]) -> bool:
    own = run.info.get("protocol") == claim["protocol"]
    return own or f"{claim['model']}@{claim['protocol']}" in run.models()


def _refuse_claim(claim: dict[str, Any]) -> None:
    """Raise where no run at all could be set against the claim."""
    metric, why = claim["metric"], None
    if claim["role"] == "data":
        why = "a count, checked when the corpus is read"
    elif not claim["ran_by_authors"]:
        why = f"quoted from other work ({claim['ref'] or 'no reference given'})"
    elif claim["value"] is None:
        why = f"no figure is printed ({claim['note']})"
    elif "difference" in metric and claim["model"].endswith((" other methods", " quoted methods")):
        why = "a margin over figures quoted from other works, which are not re-run here"
    elif claim["fold"] is not None:
        why = "the paper's folds cannot be rebuilt one by one; their mean is compared instead"
    elif metric not in MEASURES:
        why = f"{metric.replace('_', ' ')} does not follow from a run's predictions"
    elif claim["bound"]:
        why = f"a bound ({claim['bound']}), not a figure"
    if why:
        raise _NotComparableError(why)


def _refuse_run(claim: dict[str, Any], run: Run) -> None:
    """Raise where this run's figures may be shown but not judged."""
    if not _follows(run, claim):
        protocol = run.info.get("protocol")
        raise _NotComparableError(f"the run follows protocol {protocol}, the claim {claim['protocol']}")
    if run.budget != "paper":
        raise _NotComparableError(f"run at budget {run.budget}; claims are judged at budget paper only")


def _measure(claim: dict[str, Any], runs: list[Run]) -> tuple[float, float, float, int]:
    """Return our figure for a claim, its interval (both in percent) and the number of test samples."""
    if claim["metric"] == "accuracy_difference":
        # Paired sample by sample; against several models, against the mean of their accuracies.
        left, _, right = claim["model"].partition(" minus ")
        scores, *others = (_scores(runs, model) for model in (left, *(claim["against"] or [right])))
        against = np.mean([other.correct for other in others], axis=0)
        return replace(scores, correct=scores.correct - against).mean(proportion=False)
    scores = _scores(runs, _stored(claim, runs[0]))
    if claim["metric"] == "class_accuracy":
        return scores.mean(keep=scores.labels == _class_index(runs[0], claim["expression"]))
    if claim["metric"] == "mean_class_accuracy":
        return scores.mean(weights=np.tile(metrics.class_weights(scores.labels), (len(scores.correct), 1)))
    if claim["metric"] == "mean_fold_accuracy":
        return scores.mean(weights=np.stack([metrics.class_weights(fold) for fold in scores.fold]))
    return scores.mean()


def _class_index(run: Run, expression: str) -> int:
    classes = run.info.get("classes") or (EXPRESSIONS[:7] if run.dataset == "fer2013" else ())
    if expression not in classes:
        raise _NotComparableError(f"the run does not name {expression} among its classes")
    return list(classes).index(expression)


def _table(run: Run, model: str) -> pd.DataFrame:
    """Return one row per prediction, sorted by sample and fold: ids, fold, label, correct and flags."""
    import pandas as pd

    stored = run.predictions(model)
    table = pd.DataFrame({name: stored[name] for name in ("ids", "fold")})
    table["label"] = stored["labels"]
    table["correct"] = stored["probabilities"].argmax(axis=1) == stored["labels"]
    samples = run.samples()
    if len(samples):
        key = ["ids"] if samples["ids"].is_unique else ["ids", "fold"]
        extra = samples[[*key, *samples.columns.difference([*table.columns])]].drop_duplicates(key)
        table = table.merge(extra, how="left", on=key, indicator="found")
        if (table.pop("found") != "both").any():
            raise FerError(f"samples.csv of {_name(run)} misses samples of {model}; run it again.")
    return table.sort_values(["ids", "fold"], kind="stable", ignore_index=True)


def _scores(runs: list[Run], model: str) -> _Scores:
    """Collect a model's right and wrong answers over the seeds."""
    if any(model not in run.models() for run in runs):
        raise _NotComparableError(f"the run holds no predictions of a model called {model}")
    tables = [_table(run, model) for run in runs]
    groups = [t["subject"] if "subject" in t and t["subject"].ne("").all() else t["ids"] for t in tables]
    columns = {name: [t[name].to_numpy() for t in tables] for name in ("correct", "fold", "label", "ids")}
    aligned = all(np.array_equal(ids, columns["ids"][0]) for ids in columns["ids"])
    # Where seeds test different samples, what they share is the sample (or subject) itself.
    rows, flat = (np.stack, lambda parts: parts[0]) if aligned else (_one_row, np.concatenate)
    return _Scores(
        correct=rows(columns["correct"]).astype(float),
        fold=rows(columns["fold"]).astype(str),
        labels=flat(columns["label"]),
        groups=flat([group.to_numpy(str) for group in groups]),
        ids=flat(columns["ids"]).astype(str),
    )


def _one_row(parts: list[np.ndarray]) -> np.ndarray:
    return np.concatenate(parts)[None]


def _name(run: Run) -> str:
    """Return ``paper/dataset/budget/seed``, which says where a run lies below the results folder."""
    return "/".join(Path(run.path).parts[-4:])


def _join(words: Iterable[str]) -> str | None:
    return ", ".join(dict.fromkeys(words)) or None
