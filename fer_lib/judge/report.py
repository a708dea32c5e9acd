"""Claims beside evidence: from a claim to its verdict, the scorecard, and how many claims are judged.

A claim is judged by running where runs may judge it (:func:`objection` says when not), else by what the
paper's own figures decide, or by counting a corpus. Runs that differ only in their seed are one piece of
evidence, also where their training parts differ. A figure from a run that may not judge is told apart from
the claim, and never as a gap. A figure that a paper prints twice is one claim. A single fold of a
cross-validation and a confidence on a single image are listed, but are no claims by themselves, since no run
can rebuild them.

All accuracies are per cent and all differences percentage points, as the papers print them; p-values are
probabilities.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from fer_lib import claims
from fer_lib.claims import Claim
from fer_lib.errors import FerError
from fer_lib.evidence.runs import Run, find
from fer_lib.judge import answers, convergence, forensics, order, significance, verdicts
from fer_lib.judge.answers import Answer, NotComparableError
from fer_lib.judge.verdicts import DECIDED, VERDICTS, Verdict

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "JUDGED",
    "VERDICTS",
    "Judgement",
    "Summary",
    "compare",
    "judge",
    "scorecard",
    "subsets",
    "summary",
]

JUDGED = ("method", "ablation", "baseline")
"""Roles of what runs can judge; ``data`` are counts, ``quoted`` figures are other works'."""
ROLES = (*JUDGED, "data")
BUDGETS = ("smoke", "short", "full", "paper")
"""Budgets, the smallest first; a probe judges nothing."""

_FROM_CLAIM = ("paper", "id", "table", "role", "model", "dataset", "protocol", "metric", "expression", "unit")
COLUMNS = (
    *(*_FROM_CLAIM, "kind", "claimed", "ours", "low", "high", "n", "verdict", "how", "sign", "reason"),
    *("apart", "remark", "needs", "run", "commit", "hardware"),
)
DETAILS = (*COLUMNS, "budget", "variant", "seeds")


@dataclass(frozen=True)
class Judgement:
    """What became of a claim.

    Attributes
    ----------
    claim : Claim
    verdict, reason, how : str
        One of :data:`VERDICTS`, why, and what decided it: ``running``, ``arithmetic``, ``counting`` or "".
    answer : Answer or None
        Our figure; None unless it may judge the claim.
    sign : str
        For a difference, whether its sign holds.
    apart, remark, needs : str
        A figure of ours that may not judge it; what else is to be said; the command whose run would.
    runs : tuple of Run
        The runs it rests on, which differ in nothing but their seed.
    """

    claim: Claim
    verdict: str = "not comparable"
    reason: str = ""
    how: str = ""
    answer: Answer | None = None
    sign: str = ""
    apart: str = ""
    remark: str = ""
    needs: str = ""
    runs: tuple[Run, ...] = ()

    @property
    def judged(self) -> bool:
        """Whether it has a verdict of the rule, be it inconclusive."""
        return bool(self.how)

    @property
    def kind(self) -> str:
        """``claim``, or what is none by itself: ``repeat``, ``fold``, ``image`` or ``quoted``."""
        claim = self.claim
        facts = {
            "quoted": claim.role == "quoted",
            "repeat": claim.same_as is not None,
            "fold": claim.fold is not None,
            "image": claim.metric == "confidence",
        }
        return next((name for name, true in facts.items() if true), "claim")

    def row(self) -> dict[str, Any]:
        """Return the columns of :data:`DETAILS`."""
        claim, runs = self.claim, self.runs
        made = [run.info.get("provenance", {}) for run in runs]
        answer = self.answer or Answer(np.nan, np.nan, np.nan, 0)
        commits = (m["commit"][:10] + "+" * bool(m.get("dirty")) for m in made if m.get("commit"))
        row = {name: getattr(claim, name) for name in _FROM_CLAIM if name != "table"}
        return row | {
            "table": claim.place,
            "model": claim.says or claim.model,
            "claimed": claim.value,
            "n": answer.n or None,
            **{name: getattr(answer, name) for name in ("ours", "low", "high")},
            **{name: getattr(self, name) for name in ("kind", "verdict", "how", "sign", "reason")},
            **{name: getattr(self, name) for name in ("apart", "remark", "needs")},
            "run": _join(map(answers.name, runs)),
            "commit": _join(commits),
            "hardware": _join(m.get("gpu") or m.get("cpu") or "unknown" for m in made),
            "budget": runs[0].budget if runs else None,
            "variant": runs[0].variant if runs else None,
            "seeds": len(runs) or None,
        }


# --- from a claim to its verdict --------------------------------------------------------------------------


def judge(claim: Claim, runs: Sequence[Run] = ()) -> Judgement:
    """Judge a claim by runs that differ in nothing but their seed, else by arithmetic or counting."""
    if claim.same_as:
        return replace(judge(claims.load(claim.paper).claim(claim.same_as), runs), claim=claim)
    runs = list(runs)
    found = Judgement(claim, runs=tuple(runs), remark=_remark(claim, runs))
    try:
        _refuse(claim)
        found = replace(found, needs=_command(claim))
        if runs:
            found = _by_running(found, runs)
        else:
            split = claims.load(claim.paper).protocol(claim.protocol)["split"]
            split = f", split {split}" if split.startswith("not stated") else f" ({split})"
            found = replace(found, verdict="needs data", reason=f"needs data: {claim.dataset}{split}")
    except NotComparableError as why:
        found = replace(found, reason=str(why))
    decided = forensics.decided(claim.paper).get(claim.id)
    if decided and not found.judged:
        how, verdict = decided
        return replace(found, verdict=verdict.name, reason=verdict.reason, how=how, remark="")
    return found


def _by_running(found: Judgement, runs: list[Run]) -> Judgement:
    claim = found.claim
    if claim.metric == "order":
        verdict, sign, answer = order.by_running(claim, runs), "", None
        models, said = order.models(claim, runs[0]), f"{verdict.name}, {verdict.reason}"
    else:
        answer = answers.measure(claim, runs)
        if not answer.n:
            raise NotComparableError("the run tested none of the samples that the claim is of")
        verdict, sign = _figure(claim, runs, answer)
        models = answers.models(claim, runs[0])
        bounds = "" if np.isnan(answer.low) else f" [{answer.low:.2f}, {answer.high:.2f}]"
        said = f"{answer.ours:.2{'f' if bounds else 'g'}}{bounds}, n = {answer.n:,}"
    if why := objection(claim, runs, models):
        return replace(found, reason=why, apart=f"Apart from the claim, at budget {runs[0].budget}: {said}.")
    needs = "" if verdict.name in DECIDED else found.needs
    return replace(
        found,
        **{"verdict": verdict.name, "reason": verdict.reason, "how": "running"},
        **{"answer": answer, "sign": sign, "needs": needs},
    )


def _figure(claim: Claim, runs: list[Run], answer: Answer) -> tuple[Verdict, str]:
    """Return the verdict on a printed figure, by the rule of its metric, and that on a difference's sign."""
    if claim.metric == "p_value":
        return verdicts.p_value(claim.value, answer.ours, answer.n, answer.seeds[0]), ""
    tolerance, difference = claim.tolerance, "difference" in claim.metric
    if claim.metric == "relative_error_reduction":
        # A share of the errors that is saved may be off by what the difference of the accuracies may be off.
        errors = 100 - answers.scores(runs, answers.models(claim, runs[0])[1]).mean().ours
        tolerance = 100 * claims.load(claim.paper).tolerance["difference_points"] / errors
    same = claim.n is not None and claim.n == answer.n
    over_seeds = same and len(runs) > 1
    low, high = (answer.seeds_low, answer.seeds_high) if over_seeds else (answer.low, answer.high)
    proportion = claim.metric in ("accuracy", "class_accuracy")
    verdict = verdicts.figure(
        *(claim.value, answer.ours, low, high, tolerance),
        **{"n": claim.n, "tested": answer.n, "same_samples": same, "seeds": len(runs)},
        proportion=proportion,
    )
    if claim.metric in ("accuracy", "mean_fold_accuracy"):
        model = answers.stored(claim, runs[0])
        gains = [max(0.0, convergence.best_gain(run, model)) for run in runs]
        best = [ours + gain for ours, gain in zip(answer.seeds, gains, strict=True)]
        verdict = verdicts.reached_by_best_epoch(verdict, claim.value, tolerance, best)
    if over_seeds:
        verdict = verdict._replace(reason=f"{verdict.reason} (of {len(runs)} seeds on the same samples)")
    elif len(runs) == 1:
        verdict = verdict._replace(reason=f"{verdict.reason} (one seed)")
    if not difference:
        return verdict, ""
    sign = verdicts.sign(claim.value, answer.ours, answer.low, answer.high, answer.n)
    return verdict._replace(reason=f"sign: {sign.name}, {sign.reason}; size: {verdict.reason}"), sign.name


def objection(claim: Claim, runs: list[Run], models: Sequence[str]) -> str:
    """Say why runs may show a figure for a claim but not judge it; "" where they may."""
    run = runs[0]
    if not answers.follows(run, claim):
        return f"the run follows protocol {run.info.get('protocol')}, the claim {claim.protocol}"
    if run.budget == "full":
        why = convergence.objections(runs, models)
        more = f" (and {len(why) - 1} more)" if len(why) > 1 else ""
        return f"{why[0]}{more}" if why else ""
    if run.budget == "paper":
        return ""
    return (
        f"a run at budget {run.budget}; claims are judged at budget paper, and at budget full where the "
        "networks have converged"
    )


def _refuse(claim: Claim) -> None:
    """Raise where no run at all could be set against the claim."""
    metric, why = claim.metric, None
    if claim.role == "data":
        chosen = metric == "fold_count"
        why = "a number of folds is chosen, not found" if chosen else "a count that no complete copy settles"
    elif not claim.ran_by_authors:
        why = f"quoted from other work ({claim.ref or 'no reference given'})"
    elif not claim.built:
        why = f"the network of {claim.ref} is not built here"
    elif metric == "order":
        printed = "the printed figures decide it, and no run is needed"
        why = {"nothing": claim.why, "arithmetic": printed}.get(claim.decided_by or "")
    elif claim.value is None:
        why = f"no figure is printed ({claim.note})"
    elif "difference" in metric and claim.model.endswith((" other methods", " quoted methods")):
        why = "a margin over figures quoted from other works, which are not re-run here"
    elif claim.fold is not None:
        why = "the paper's folds cannot be rebuilt one by one; their mean is compared instead"
    elif metric == "confidence":
        why = "confidence on one image: which it is, and how strong the interference, the paper does not say"
    elif metric not in answers.METRICS:
        why = f"{metric.replace('_', ' ')} does not follow from a run's predictions"
    elif claim.bound:
        why = f"a bound ({claim.bound}), not a figure"
    if why:
        raise NotComparableError(why)


def _remark(claim: Claim, runs: list[Run]) -> str:
    """Return what is to be said of a claim that no verdict rests on; "" where there is nothing."""
    said = [forensics.remarks(claim.paper).get(claim.id, "")]
    if claim.metric == "confidence" and runs:
        said.append(_interference(claim, runs[0]))
    if claim.metric == "p_value" and runs:
        try:
            found = answers.p_values(claim, runs)
        except NotComparableError:
            return said[0]
        others = (
            f"{found[key]:.2g} ({test})" for key, test in significance.TESTS.items() if key != "two_sided"
        )
        said.append(f"Our {found['folds']} folds give {', '.join(others)}.")
    return " ".join(filter(None, said))


def _interference(claim: Claim, run: Run) -> str:
    """Say how right a model is on all test images under the condition of a figure's image."""
    frame = run.table("robustness")
    if frame.empty:
        return ""
    mine = frame[frame["model"] == claim.model]
    condition = claim.condition or ""
    if condition == "original":
        rows, what = mine[mine["severity"] == 0], "undisturbed"
    else:
        rows = mine[mine["condition"] == condition].sort_values("severity")
        what = f"under {condition.replace('_', ' ')} at the strongest setting"
    if rows.empty:
        return ""
    row = rows.iloc[-1]
    accuracy, low, high = (100 * row[part] for part in ("accuracy", "low", "high"))
    tested = f"the {int(row['n']):,} test images with a face of {answers.name(run)}"
    return f"On {tested}, {what}, {claim.model} is right in {accuracy:.1f} % [{low:.1f}, {high:.1f}]."


def _command(claim: Claim) -> str:
    """Return the command whose evidence would answer a claim; "" if no corpus has a reader."""
    if claim.home is None:
        return ""
    changed = _parameters(claim.paper, claim.protocol)
    flags = "".join(f" -p {name}={value}" for name, value in changed.items())
    return f"fer run {claim.paper} {claim.home} --budget full{flags}"


def _parameters(paper: str, protocol: str | None) -> dict[str, Any]:
    """Return the notebook parameters that a paper's protocol takes, where they are not the defaults."""
    known = {entry["id"]: entry for entry in claims.load(paper).protocols}
    return known.get(protocol, {}).get("parameters", {})


# --- all claims -------------------------------------------------------------------------------------------


def compare(paper: str, runs: Iterable[Run], roles: Sequence[str] = ROLES) -> pd.DataFrame:
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
        Roles of the claims to list; ``quoted`` ones are listed but never judged.

    Returns
    -------
    pandas.DataFrame
        One row per claim and group of runs, with :data:`DETAILS`; a claim without a run has one row
        that says which data it needs, unless arithmetic or counting decides it.
    """
    return _frame([j for found in _judgements(paper, runs, roles) for j in found], DETAILS)


def scorecard(root: str | Path = "results", roles: Sequence[str] = ROLES, variant: str = "") -> pd.DataFrame:
    """Return the verdicts on all five papers from the evidence below ``root``.

    A claim has one row: that of the highest budget which may judge it, else of the highest that there is.
    Runs that change a reading of the paper are left to :func:`compare`, unless their ``variant`` is asked
    for; changing no more than what one of the paper's protocols takes is no change of reading.

    Returns
    -------
    pandas.DataFrame
        One row per claim, with :data:`COLUMNS`.
    """
    best = []
    for paper in claims.PAPERS:
        runs = [run for run in find(root, paper=paper) if run.variant == variant or _takes(run, variant)]
        for found in _judgements(paper, runs, roles):
            best.append(max(found, key=lambda j: (j.how == "running", bool(j.apart))))
    return _frame(best, COLUMNS)


def _judgements(paper: str, runs: Iterable[Run], roles: Sequence[str]) -> list[list[Judgement]]:
    """Judge every claim by every group of runs that can answer it, the highest budget first."""
    groups: dict[tuple, list[Run]] = {}
    for run in runs:
        if run.paper == paper and run.dataset != "synthetic" and run.budget in BUDGETS:
            key = (run.dataset, -BUDGETS.index(run.budget), run.variant, str(run.info.get("protocol")))
            groups.setdefault(key, []).append(run)
    ordered = [groups[key] for key in sorted(groups)]
    made = []
    for claim in (*claims.load(paper).claims, *claims.load(paper).order):
        if claim.role in roles:
            there = [group for group in ordered if group[0].dataset == claim.home]
            same = [group for group in there if answers.follows(group[0], claim)]
            made.append([judge(claim, group) for group in (same or there or [[]])])
    return made


def _frame(judgements: Iterable[Judgement], columns: Sequence[str]) -> pd.DataFrame:
    import pandas as pd

    frame = pd.DataFrame([j.row() for j in judgements], columns=list(columns), dtype=object)
    return frame.astype(dict.fromkeys(("claimed", "ours", "low", "high"), float) | {"n": "Int64"})


def _takes(run: Run, variant: str) -> bool:
    """Whether a run differs from the defaults in nothing but what the protocol that it follows takes."""
    changed = _parameters(run.paper, run.info.get("protocol"))
    names = ",".join(f"{name}={value}" for name, value in sorted(changed.items()))
    return not variant and bool(changed) and run.variant == names


class Summary(NamedTuple):
    """How many claims there are and what became of each; all parts but ``claims`` add up to it.

    ``running``, ``arithmetic`` and ``counting`` have a verdict; ``inconclusive`` were run, and more seeds or
    samples would decide; beside ``apart`` stands a figure that may not judge them; ``waiting`` need a run,
    ``never`` no run can answer. The lists of ``folds``, ``images`` and ``repeats`` are no claims.
    """

    claims: int
    running: int
    arithmetic: int
    counting: int
    inconclusive: int
    apart: int
    waiting: int
    never: int
    folds: int
    images: int
    repeats: int

    @property
    def judged(self) -> int:
        """Claims with a verdict that decides them."""
        return self.running + self.arithmetic + self.counting


def summary(score: pd.DataFrame) -> Summary:
    """Count the claims in rows of :func:`scorecard` or :func:`compare`, each once."""
    known = ("running", "arithmetic", "counting", "inconclusive", "apart", "waiting", "never")
    # Of a claim with several groups of runs, the one that says most counts.
    best: dict[str, int] = {}
    for row in score[score["kind"] == "claim"].to_dict("records"):
        if row["verdict"] in DECIDED:
            state = row["how"]
        elif row["verdict"] == "inconclusive":
            state = "inconclusive"
        else:
            state = "apart" if row["apart"] else "waiting" if row["needs"] else "never"
        best[row["id"]] = min(best.get(row["id"], len(known)), known.index(state))
    counts = [sum(state == i for state in best.values()) for i in range(len(known))]
    others = [score.loc[score["kind"] == kind, "id"].nunique() for kind in ("fold", "image", "repeat")]
    return Summary(len(best), *counts, *others)


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
        ours, low, high, n, *_ = scores.where(lambda _, keep=keep: keep).mean()
        rows.append({"subset": name, "n": n, "accuracy": ours, "low": low, "high": high})
    return pd.DataFrame(rows)


def _join(words: Iterable[str]) -> str | None:
    return ", ".join(dict.fromkeys(words)) or None
