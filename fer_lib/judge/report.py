"""Claims beside evidence: verdicts, the scorecard, and what redundant images change.

All accuracies here are percent and all differences percentage points, as the papers print them; p-values
are probabilities.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from fer_lib import claims
from fer_lib.errors import FerError
from fer_lib.evidence.runs import BUDGETS, Run, find
from fer_lib.judge import answers, significance
from fer_lib.judge.answers import NotComparableError
from fer_lib.judge.beside import beside
from fer_lib.learn import metrics

if TYPE_CHECKING:
    import pandas as pd

VERDICTS = ("reproduced", "exceeded", "not reached", "not comparable", "needs data")
JUDGED = ("method", "ablation", "baseline")
"""Roles of the claims that get a verdict; ``quoted`` figures are other works', ``data`` are counts."""

_FROM_CLAIM = ("paper", "id", "table", "role", "model", "dataset", "protocol", "metric", "expression", "unit")
COLUMNS = (
    *(*_FROM_CLAIM, "claimed", "ours", "low", "high", "n", "verdict", "reason", "beside", "needs"),
    *("run", "commit", "hardware"),
)
DETAILS = (*COLUMNS, "budget", "variant", "seeds")


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


def conclusion(claim_value: float, ours: float, folds: int) -> tuple[str, str]:
    """Judge a p-value by what it is printed for: whether it lies below ``LEVEL``.

    Two p-values from different folds agree in nothing else, so neither an interval nor a tolerance applies.

    Returns
    -------
    verdict, reason : str
        ``reproduced`` where both or neither are significant, ``not reached`` where only the claim is and
        ``exceeded`` where only ours is.
    """
    level = significance.LEVEL
    words = ["significant" if value < level else "not significant" for value in (claim_value, ours)]
    name = "reproduced" if words[0] == words[1] else "not reached" if ours >= level else "exceeded"
    figures = f"ours {ours:.2g} ({words[1]}, {folds} folds), claimed {claim_value:g} ({words[0]})"
    return name, f"at {level:g}, by a one-sided paired t-test: {figures}"


def compare(paper: str, runs: Iterable[Run], roles: Sequence[str] = JUDGED) -> pd.DataFrame:
    """Set every claim of a paper beside every matching group of runs.

    Runs that differ only in their seed are taken together. Runs on synthetic data are left out; runs
    under another protocol are shown only where none follows the claim's.

    Parameters
    ----------
    paper
        Key of the paper.
    runs
        Evidence, e.g. from :func:`fer_lib.evidence.runs.find`; that of other papers is ignored.
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
        same = [group for group in there if answers.follows(group[0], claim)]
        rows += [_row(claim, group) for group in (same or there or [[]])]
    frame = pd.DataFrame(rows, columns=list(DETAILS), dtype=object)
    return frame.astype(dict.fromkeys(("claimed", "ours", "low", "high"), float) | {"n": "Int64"})


def scorecard(root: str | Path = "results", roles: Sequence[str] = JUDGED, variant: str = "") -> pd.DataFrame:
    """Return the verdicts on all five papers from the evidence below ``root``.

    Of each paper and dataset the runs at the highest budget count. Runs that change a reading of the
    paper are left to :func:`compare`, unless their ``variant`` is asked for; changing no more than what one
    of the paper's protocols takes is no change of reading.

    Returns
    -------
    pandas.DataFrame
        One row per claim (and group of runs), with :data:`COLUMNS`.
    """
    import pandas as pd

    tables = []
    for paper in claims.PAPERS:
        runs = [run for run in find(root, paper=paper) if run.variant == variant or _takes(run, variant)]
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

    scores, table = answers.scores([run], model), answers.predictions(run, model)
    keeps = {"all test images": np.ones(len(table), bool)}
    for flag, name in (
        ("twin_in_training", "without twins in training"),
        ("conflicting_label", "without conflicting labels"),
    ):
        if flag not in table:
            raise FerError(f"samples.csv of {answers.name(run)} has no column {flag!r}; run it again.")
        keeps[name] = ~table[flag].to_numpy(dtype=bool)
    rows = []
    for name, keep in keeps.items():
        ours, low, high, n = scores.mean(keep)
        rows.append({"subset": name, "n": n, "accuracy": ours, "low": low, "high": high})
    return pd.DataFrame(rows)


def _row(claim: dict[str, Any], runs: list[Run]) -> dict[str, Any]:
    """Return one row of :func:`compare`; ``runs`` differ in nothing but their seed."""
    row = dict.fromkeys(DETAILS) | {name: claim[name] for name in _FROM_CLAIM}
    row |= {"claimed": claim["value"], "needs": "", "beside": beside(claim, runs)}
    if runs and claim["role"] in JUDGED:
        row |= _made(runs)
    try:
        _refuse_claim(claim)
    except NotComparableError as why:
        return row | {"verdict": "not comparable", "reason": str(why)}
    row["needs"] = _command(claim)
    try:
        if not runs:
            split = claims.load(claim["paper"]).protocol(claim["protocol"])["split"]
            split = f", split {split}" if split.startswith("not stated") else f" ({split})"
            return row | {"verdict": "needs data", "reason": f"needs data: {claim['dataset']}{split}"}
        row |= answers.measure(claim, runs)._asdict()
        _refuse_run(claim, runs[0])
        name, reason = _judge(claim, row)
        return row | {"verdict": name, "reason": reason, "needs": ""}
    except NotComparableError as why:
        return row | {"verdict": "not comparable", "reason": str(why)}


def _made(runs: list[Run]) -> dict[str, Any]:
    """Return which runs these are and what they were made with."""
    made = [run.info.get("provenance", {}) for run in runs]
    return {
        "run": _join(map(answers.name, runs)),
        "commit": _join(m["commit"][:10] + "+" * bool(m.get("dirty")) for m in made if m.get("commit")),
        "hardware": _join(m.get("gpu") or m.get("cpu") or "unknown" for m in made),
        "budget": runs[0].budget,
        "variant": runs[0].variant,
        "seeds": len(runs),
    }


def _judge(claim: dict[str, Any], row: dict[str, Any]) -> tuple[str, str]:
    """Return the verdict on a claim, by the rule of its metric, and the reason."""
    metric, tolerance = claim["metric"], claims.load(claim["paper"]).tolerance
    if metric == "p_value":
        return conclusion(claim["value"], row["ours"], row["n"])
    kind = "difference" if metric == "accuracy_difference" else "accuracy"
    # Points of accuracy are no measure of a share of errors.
    points = 0.0 if metric == "relative_error_reduction" else tolerance[f"{kind}_points"]
    # Wilson's interval is a proportion's: not for means of classes or folds, nor for differences.
    n_claim = claim["n"] if metric in ("accuracy", "class_accuracy") else None
    return verdict(claim["value"], *(row[part] for part in ("ours", "low", "high")), points, n_claim)


def _command(claim: dict[str, Any]) -> str | None:
    """Return the command whose evidence would answer a claim; None if no corpus has a reader."""
    corpus = _home(claim)
    if corpus is None:
        return None
    changed = _parameters(claim["paper"], claim["protocol"])
    flags = "".join(f" -p {name}={value}" for name, value in changed.items())
    return f"fer run {claim['paper']} {corpus} --budget paper{flags}"


def _takes(run: Run, variant: str) -> bool:
    """Whether a run differs from the defaults in nothing but what the protocol that it follows takes."""
    changed = _parameters(run.paper, run.info.get("protocol"))
    names = ",".join(f"{name}={value}" for name, value in sorted(changed.items()))
    return not variant and bool(changed) and run.variant == names


def _parameters(paper: str, protocol: str | None) -> dict[str, Any]:
    """Return the notebook parameters that a paper's protocol takes, where they are not the defaults."""
    known = {entry["id"]: entry for entry in claims.load(paper).protocols}
    return known.get(protocol, {}).get("parameters", {})


def _home(claim: dict[str, Any]) -> str | None:
    """Return the corpus whose runs can answer a claim: across corpora, the one that was trained on."""
    return claims.CORPORA.get(claim["train_dataset"], claim["corpus"])


def _refuse_claim(claim: dict[str, Any]) -> None:
    """Raise where no run at all could be set against the claim."""
    metric, why = claim["metric"], None
    if claim["role"] == "data":
        why = "a count, checked when the corpus is read"
    elif not claim["ran_by_authors"]:
        why = f"quoted from other work ({claim['ref'] or 'no reference given'})"
    elif not claim["built"]:
        why = f"the network of {claim['ref']} is not built here"
    elif claim["value"] is None:
        why = f"no figure is printed ({claim['note']})"
    elif "difference" in metric and claim["model"].endswith((" other methods", " quoted methods")):
        why = "a margin over figures quoted from other works, which are not re-run here"
    elif claim["fold"] is not None:
        why = "the paper's folds cannot be rebuilt one by one; their mean is compared instead"
    elif metric == "confidence":
        why = "confidence on one image: which it is, and how strong the interference, the paper does not say"
    elif metric not in answers.METRICS:
        why = f"{metric.replace('_', ' ')} does not follow from a run's predictions"
    elif claim["bound"]:
        why = f"a bound ({claim['bound']}), not a figure"
    if why:
        raise NotComparableError(why)


def _refuse_run(claim: dict[str, Any], run: Run) -> None:
    """Raise where this run's figures may be shown but not judged."""
    if not answers.follows(run, claim):
        protocol = run.info.get("protocol")
        raise NotComparableError(f"the run follows protocol {protocol}, the claim {claim['protocol']}")
    if run.budget != "paper":
        raise NotComparableError(f"run at budget {run.budget}; claims are judged at budget paper only")


def _join(words: Iterable[str]) -> str | None:
    return ", ".join(dict.fromkeys(words)) or None
