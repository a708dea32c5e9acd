"""From a claim to its verdict: by running, else by arithmetic or counting.

A claim is judged by running where runs may judge it (:func:`objection` says when not), else by what the
paper's own figures decide, or by counting a corpus. A figure from a run that may not judge is told apart from
the claim, and never as a gap.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from fer_lib import claims
from fer_lib.claims import Claim
from fer_lib.evidence.runs import BUDGETS, Run
from fer_lib.judge import answers, convergence, forensics, order, verdicts
from fer_lib.judge.answers import Answer, NotComparableError
from fer_lib.judge.significance import TESTS
from fer_lib.judge.verdicts import DECIDED, Verdict


@dataclass(frozen=True)
class Judgement:
    """What became of a claim.

    ``verdict`` is one of :data:`VERDICTS`, ``how`` what decided it: ``running``, ``arithmetic``, ``counting``
    or "". ``answer`` is our figure, also where it may not judge the claim; ``sign`` says of a difference
    whether its sign holds, ``apart`` what a figure is that may not judge it, ``remark`` what else is to be
    said, and ``needs`` is the command whose run would judge it. ``runs`` differ in nothing but their seed.
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
    def kind(self) -> str:
        """``claim``, or what is none by itself: ``quoted``, ``repeat``, ``fold`` or ``image``.

        A repeat says what another claim says, be it in words (``about`` a printed figure).
        """
        claim = self.claim
        facts = {"quoted": claim.role == "quoted", "repeat": claim.same_as or claim.about}
        facts |= {"fold": claim.fold is not None, "image": claim.metric == "confidence"}
        return next((name for name, true in facts.items() if true), "claim")


def groups(runs: Iterable[Run]) -> list[list[Run]]:
    """Return runs on real data by what they differ in besides their seed, the highest budget first."""
    found: dict[tuple, list[Run]] = {}
    for run in runs:
        if run.dataset != "synthetic" and run.budget in BUDGETS:
            key = (run.dataset, -BUDGETS.index(run.budget), run.variant, str(run.info.get("protocol")))
            found.setdefault(key, []).append(run)
    return [found[key] for key in sorted(found)]


def judgements(claim: Claim, grouped: Sequence[list[Run]]) -> list[Judgement]:
    """Judge a claim by every group of runs that can answer it, or once without any."""
    there = [group for group in grouped if group[0].dataset == claim.home]
    same = [group for group in there if answers.follows(group[0], claim)]
    return [judge(claim, group) for group in (same or there or [[]])]


def best(found: Sequence[Judgement]) -> Judgement:
    """Return the judgement by the highest budget that may judge, else by the highest that there is."""
    return max(found, key=lambda one: (one.how == "running", bool(one.apart)))


def judge(claim: Claim, runs: list[Run]) -> Judgement:
    """Judge a claim by runs that differ in nothing but their seed, else by arithmetic or counting."""
    if claim.same_as:
        return replace(judge(claims.load(claim.paper).claim(claim.same_as), runs), claim=claim)
    found = Judgement(claim, runs=tuple(runs), remark=_remark(claim, runs))
    if why := _never(claim):
        found = replace(found, reason=why)
    else:
        changed = "".join(f" -p {n}={v}" for n, v in parameters(claim.paper, claim.protocol).items())
        least = _only(claim) or "full"
        needs = f"fer run {claim.paper} {claim.home} --budget {least}{changed}" if claim.home else ""
        split = claims.load(claim.paper).protocol(claim.protocol)["split"]
        split = f", split {split}" if split.startswith("not stated") else f" ({split})"
        reason = f"needs data: {claim.dataset}{split}"
        found = replace(found, verdict="needs data", reason=reason, needs=needs)
        try:
            found = _by_running(found, runs) if runs else found
        except NotComparableError as error:
            found = replace(found, verdict="not comparable", reason=str(error))
    decided = forensics.decided(claim.paper).get(claim.id)
    if decided and not found.how:
        how, verdict = decided
        return replace(found, verdict=verdict.name, reason=verdict.reason, how=how, remark="")
    return found


def parameters(paper: str, protocol: str | None) -> dict[str, Any]:
    """Return the notebook parameters that a paper's protocol takes, where they are not the defaults."""
    known = {entry["id"]: entry for entry in claims.load(paper).protocols}
    return known.get(protocol, {}).get("parameters", {})


def _by_running(found: Judgement, runs: list[Run]) -> Judgement:
    """Judge by a run's own folds and, where the paper leaves them open, by others, which must agree."""
    claim, first = found.claim, _by_folds(found, runs)
    for folds in claims.load(claim.paper).protocol(claim.protocol).get("also", ()):
        other = _by_folds(replace(found, claim=_under(claim, folds, runs[0])), runs)
        if not first.how or not other.how:
            return replace(other, claim=claim) if first.how else first
        if other.verdict != first.verdict:
            said = f"{first.verdict} ({first.reason}), but on {folds} folds {other.verdict} ({other.reason})"
            return replace(first, verdict="inconclusive", reason=said, needs="")
    return first


def _under(claim: Claim, folds: str, run: Run) -> Claim:
    """Return the claim of the same models as a run tested them on further folds."""
    models = run.models()

    def renamed(value: Any) -> Any:
        if isinstance(value, list):
            return [renamed(item) for item in value]
        if isinstance(value, dict):
            return {key: renamed(item) for key, item in value.items()}
        return f"{value}@{folds}" if value in models else value

    return replace(claim, model=renamed(claim.model), test=renamed(dict(claim.test)))


def _by_folds(found: Judgement, runs: list[Run]) -> Judgement:
    claim = found.claim
    if claim.metric == "order":
        verdict, sign, answer = order.by_running(claim, runs), "", None
        verdict = verdict._replace(reason=verdict.reason + " (one seed)" * (len(runs) == 1))
        models, said = order.models(claim, runs[0]), verdict.reason
    else:
        answer = answers.measure(claim, runs)
        if not answer.n:
            raise NotComparableError("the run tested none of the samples that the claim is of")
        verdict, sign = _figure(claim, runs, answer)
        models = answers.models(claim, runs[0])
        bounds = "" if np.isnan(answer.low) else f" [{answer.low:.2f}, {answer.high:.2f}]"
        said = f"{answer.ours:.2{'f' if bounds else 'g'}}{bounds}, n = {answer.n:,}"
    if why := objection(claim, runs, models):
        apart = f"For information only, from our run at budget {runs[0].budget}: {said}."
        # Longer training helps networks that have not converged, not a run under another protocol.
        longer = runs[0].budget == "full" and answers.follows(runs[0], claim)
        needs = _at(found.needs, "paper") if longer else found.needs
        return replace(found, verdict="not comparable", reason=why, apart=apart, answer=answer, needs=needs)
    another = f"{_at(found.needs, runs[0].budget)} --seed {1 + max(run.seed for run in runs)}"
    needs = "" if verdict.name in DECIDED else another
    found = replace(found, verdict=verdict.name, reason=verdict.reason, how="running")
    return replace(found, answer=answer, sign=sign, needs=needs)


def _at(command: str, budget: str) -> str:
    return command.replace("--budget full", f"--budget {budget}")


def _figure(claim: Claim, runs: list[Run], answer: Answer) -> tuple[Verdict, str]:
    """Return the verdict on a printed figure, by the rule of its metric, and that on a difference's sign."""
    if claim.metric == "p_value":
        return verdicts.p_value(claim.value, answer.ours, answer.n, answer.seeds[0]), ""
    tolerance = claim.tolerance
    if claim.metric == "relative_error_reduction":
        # A share of the errors that is saved may be off by what the difference of the accuracies may be off.
        errors = 100 - answers.scores(runs, answers.models(claim, runs[0])[1]).mean().ours
        tolerance = 100 * claims.load(claim.paper).tolerance["difference_points"] / errors
    same = claim.n is not None and claim.n == answer.n
    over_seeds = same and len(runs) > 1
    low, high = (answer.seeds_low, answer.seeds_high) if over_seeds else (answer.low, answer.high)
    verdict = verdicts.figure(
        *(claim.value, answer.ours, low, high, tolerance),
        **{"n": claim.n, "tested": answer.n, "same_samples": same, "seeds": len(runs)},
        proportion=claim.metric in ("accuracy", "class_accuracy"),
    )
    if claim.metric in ("accuracy", "mean_fold_accuracy"):
        gains = [convergence.best_gain(run, answers.stored(claim, runs[0])) for run in runs]
        best = [ours + gain for ours, gain in zip(answer.seeds, gains, strict=True)]
        verdict = verdicts.reached_by_best_epoch(verdict, claim.value, tolerance, best)
    of = f" (of {len(runs)} seeds on the same samples)" if over_seeds else " (one seed)" * (len(runs) == 1)
    verdict = verdict._replace(reason=f"{verdict.reason}{of}")
    if "difference" not in claim.metric:
        return verdict, ""
    sign = verdicts.sign(claim.value, answer.ours, answer.low, answer.high, answer.n)
    return verdict._replace(reason=f"sign: {sign.name}, {sign.reason}; size: {verdict.reason}"), sign.name


def objection(claim: Claim, runs: list[Run], models: Sequence[str]) -> str:
    """Say why runs may show a figure for a claim but not judge it; "" where they may."""
    run = runs[0]
    if not answers.follows(run, claim):
        return f"the run follows protocol {run.info.get('protocol')}, the claim {claim.protocol}"
    if (only := _only(claim)) and run.budget != only:
        return f"a run at budget {run.budget}; this claim is judged at budget {only} alone"
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


def _only(claim: Claim) -> str | None:
    """Return the one budget that may judge a claim, where a shorter run lacks what it speaks of."""
    return claim.test.get("measured", {}).get("budget")


def _never(claim: Claim) -> str | None:
    """Say why no run at all could be set against a claim; None where one could."""
    metric = claim.metric
    if claim.role == "data":
        chosen = metric == "fold_count"
        return "a number of folds is chosen, not found" if chosen else "a count that no complete copy settles"
    if not claim.ran_by_authors:
        return f"quoted from other work ({claim.ref or 'no reference given'})"
    if not claim.built:
        return f"the network of {claim.ref} is not built here"
    if metric == "order":
        printed = "the printed numbers decide it, and no run is needed"
        return {"nothing": claim.why, "arithmetic": printed}.get(claim.decided_by)
    if claim.value is None:
        return f"no number is printed ({claim.note})"
    if "difference" in metric and claim.model.endswith((" other methods", " quoted methods")):
        return "a margin over numbers quoted from other works, which are not re-run here"
    if claim.fold is not None:
        return "the paper's folds cannot be rebuilt one by one; their mean is compared instead"
    if metric == "confidence":
        why = "the paper says neither which image nor how strong the interference was"
        return f"confidence on one image; {why}"
    if metric not in answers.METRICS:
        return f"{metric.replace('_', ' ')} does not follow from a run's predictions"
    return f"a bound ({claim.bound}), not a number" if claim.bound else None


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
        others = (f"{found[key]:.2g} ({test})" for key, test in TESTS.items() if key != "two_sided")
        said.append(f"Our {found['folds']} folds give {', '.join(others)}.")
    return " ".join(filter(None, said))


def _interference(claim: Claim, run: Run) -> str:
    """Say how right a model is on all test images under the condition of a figure's image."""
    frame, condition = run.table("robustness"), claim.condition or ""
    if frame.empty:
        return ""
    what = f"under {condition.replace('_', ' ')} at the strongest setting"
    where = frame["condition"] == condition
    if condition == "original":
        what, where = "undisturbed", frame["severity"] == 0
    rows = frame[where & (frame["model"] == claim.model)].sort_values("severity", kind="stable")
    if rows.empty:
        return ""
    row = rows.iloc[-1]
    accuracy, low, high = (100 * row[part] for part in ("accuracy", "low", "high"))
    tested = f"the {int(row['n']):,} test images of {answers.name(run)} in which a face was found"
    return f"On {tested}, {what}, {claim.model} is right on {accuracy:.1f} % [{low:.1f}, {high:.1f}]."
