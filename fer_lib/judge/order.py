"""Claims without a figure of their own: what our runs, or the paper's printed figures, say of an order.

How an entry of ``order:`` in a claims file is tested stands in that entry. **By running**, sums of accuracies
are compared, paired by sample and seed: that A beats B, that a gain grows as data shrink, that a class is the
best. **By arithmetic**, a formula over printed figures is evaluated for every value that would have been
printed as they are: the claim *holds* if it does so for all of them, *does not hold* if for none, and is
*inconclusive* where rounding decides.
"""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np

from fer_lib import claims
from fer_lib.claims import Claim
from fer_lib.errors import FerError
from fer_lib.evidence.runs import Run
from fer_lib.expressions import canonical
from fer_lib.judge import verdicts
from fer_lib.judge.answers import Answer, NotComparableError, class_index, scores
from fer_lib.judge.verdicts import Verdict
from fer_lib.learn import metrics

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

MOST_FIGURES = 12
"""With more, a formula must be a sum: then each figure's rounding counts by itself."""
FUNCTIONS = {
    "mean": lambda *values: sum(values) / len(values),
    "min": lambda *values: np.minimum.reduce(np.broadcast_arrays(*values)),
    "max": lambda *values: np.maximum.reduce(np.broadcast_arrays(*values)),
}
SLACK = 1e-9


# --- by running -------------------------------------------------------------------------------------------


def contrasts(claim: Claim, run: Run) -> list[list[tuple[float, str, str | None]]]:
    """Return the sums of accuracies that must be above zero, as lists of (factor, model, class or None).

    NotComparableError if the claim names a class that the run has not.
    """
    test = claim.test
    if "better" in test or "equal" in test:
        pairs = product(test["better"], test["worse"]) if "better" in test else [test["equal"]]
        return [[(1.0, a, None), (-1.0, b, None)] for a, b in pairs]
    if "best_class" in test:
        model, own = test["best_class"]["model"], canonical(test["best_class"]["class"])
        class_index(run, own)
        others = [label for label in run.info["classes"] if label != own]
        return [[(1.0, model, own), (-1.0, model, other)] for other in others]
    sums = test.get("contrasts") or [test["contrast"]]
    return [[(float(w), model, of[0] if of else None) for w, model, *of in one] for one in sums]


def models(claim: Claim, run: Run) -> list[str]:
    """Return the names of the predictions that a claim of order rests on."""
    if "measured" in claim.test:
        return claim.test["measured"]["networks"]
    if "most_confused" in claim.test:
        return [claim.test["most_confused"]["model"]]
    return list(dict.fromkeys(model for terms in contrasts(claim, run) for _, model, _ in terms))


def by_running(claim: Claim, runs: list[Run]) -> Verdict:
    """Judge a claim of order by runs that differ in nothing but their seed.

    NotComparableError if they do not hold what it speaks of.
    """
    if "measured" in claim.test:
        return _measured(claim, runs)
    if "most_confused" in claim.test:
        return _most_confused(claim, runs)
    found = []
    for terms in contrasts(claim, runs[0]):
        answer = _sum(claim, runs, terms)
        if "equal" in claim.test:
            found.append(verdicts.equivalent(answer.low, answer.high, float(claim.test["within"]), answer.n))
        else:
            said = f"{' '.join(map(_words, terms)).removeprefix('plus ')}: "
            found.append(verdicts.order(answer.ours, answer.low, answer.high, answer.n, said))
    return verdicts.together(found)


def _words(term: tuple[float, str, str | None]) -> str:
    factor, model, of = term
    times = "" if abs(factor) == 1 else f"{abs(factor):g} times "
    return f"{'plus' if factor > 0 else 'minus'} {times}{model}{f' on {of}' if of else ''}"


def _sum(claim: Claim, runs: list[Run], terms: list[tuple[float, str, str | None]]) -> Answer:
    made, n = [], 0
    for factor, model, of in terms:
        one = scores(runs, model)
        if of:
            one = one.of_class(class_index(runs[0], canonical(of)))
        mean = one.term(factor)
        by_class = claim.test.get("metric") == "mean_class_accuracy"
        made += metrics.by_strata(mean, one.column("label")) if by_class else [mean]
        n = max(n, one.n)
    if any(not len(values) for term in made for values in term.values):
        raise NotComparableError("the run tested none of the images that the claim speaks of")
    return Answer.of(made, n)


def _most_confused(claim: Claim, runs: list[Run]) -> Verdict:
    """Judge which wrong answer is the most frequent on the images of one class."""
    test, classes = claim.test["most_confused"], list(runs[0].info.get("classes") or ())
    own, other = (class_index(runs[0], canonical(test[key])) for key in ("class", "with"))
    answered = scores(runs, test["model"]).of_class(own)
    n = len(set().union(*answered.column("group")))
    if not n:
        raise NotComparableError(f"the run tested no image of {classes[own]}")
    found = []
    for third in sorted(set(range(len(classes))) - {own, other}):
        lead = [(said == other) - (said == third).astype(float) for said in answered.column("answer")]
        answer = Answer.of([metrics.Term(lead, answered.column("group"))], n)
        said = f"taken for {classes[other]} minus for {classes[third]}: "
        found.append(verdicts.order(answer.ours, answer.low, answer.high, n, said))
    return verdicts.together(found)


def _measured(claim: Claim, runs: list[Run]) -> Verdict:
    """Compare figures of a table of the runs with one another or with a bound; all seeds must agree.

    ``networks`` of the test are those that the table rests on, ``budget`` the only one that may judge it.
    """
    test, found = claim.test["measured"], []
    column = test["column"]
    for run in runs:
        frame = run.table(test["table"])
        if frame.empty:
            raise NotComparableError(f"the run has no table {test['table']}")
        named = test.get("rows") or [*test["smaller"], *test["larger"]]
        rows = {name: frame[frame[test["key"]] == name] for name in named}
        if missing := [str(name) for name, part in rows.items() if part.empty]:
            raise NotComparableError(f"table {test['table']} of the run has no {', '.join(missing)}")
        low, high = ("low", "high") if {"low", "high"} <= set(frame) else (column, column)
        figures = {name: (part[low].min(), part[high].max()) for name, part in rows.items()}
        said = {name: f"{part[column].mean():.4g} ({name})" for name, part in rows.items()}
        smaller = test.get("smaller", ["bound"])
        if "rows" in test:
            figures["bound"], said["bound"] = (test["above"],) * 2, f"{test['above']:g}"
        for a, b in product(smaller, test.get("rows") or test["larger"]):
            # Two figures without an interval that are equal are in no order.
            above, below = figures[a][1] < figures[b][0], figures[a][0] >= figures[b][1]
            name = "holds" if above else "does not hold" if below else "inconclusive"
            more = "" if above or below else "; the intervals overlap, and more seeds would narrow them"
            found.append(Verdict(name, f"{column} {said[b]} against {said[a]}{more}"))
    return verdicts.together(found)


# --- by arithmetic ----------------------------------------------------------------------------------------


def by_arithmetic(claim: Claim) -> Verdict:
    """Judge a claim of order by the figures that its paper prints."""
    test, paper = claim.test, claims.load(claim.paper)
    formula, ends = test["formula"], {name: _ends(paper, figure) for name, figure in test["where"].items()}
    middle = {name: float(np.mean(end)) for name, end in ends.items()}
    if len(ends) <= MOST_FIGURES:
        corners = np.array(list(product(*ends.values())))  # rounding has its extremes at the corners
    elif any(f"{name}(" in formula for name in ("min", "max")):
        raise FerError(f"{claim.id} has more than {MOST_FIGURES} figures, so its formula must be a sum.")
    else:
        by_end = {n: [float(evaluate(formula, middle | {n: v})) for v in end] for n, end in ends.items()}
        corners = np.array([[ends[n][pick(v)] for n, v in by_end.items()] for pick in (np.argmin, np.argmax)])
    values = evaluate(formula, dict(zip(ends, corners.T, strict=True)))
    said = f"the printed numbers give {_figure(float(evaluate(formula, middle)))}; the claim needs"
    return _compare(paper, test, float(np.min(values)), float(np.max(values)), said)


def _compare(paper: claims.Paper, test: dict[str, Any], least: float, most: float, said: str) -> Verdict:
    """Compare the range of a formula's values with what is claimed of it."""
    (word,) = (name for name in ("at_least", "at_most", "above", "equals") if name in test)
    bound = test[word]
    if word == "equals":
        half = 0.5 * 10.0 ** -len(str(bound).partition(".")[2])
        printed = any(claim.id == bound for claim in paper.claims)
        ends = _ends(paper, bound) if printed else (float(bound) - half, float(bound) + half)
        low, high = min(ends), max(ends)
        name = "holds" if least <= high + SLACK and most >= low - SLACK else "does not hold"
        return Verdict(name, f"{said} {_figure((low + high) / 2)}")
    limit = float(bound)
    always, never = {
        "at_least": (least >= limit - SLACK, most < limit - SLACK),
        "at_most": (most <= limit + SLACK, least > limit + SLACK),
        "above": (least > limit + SLACK, most <= limit + SLACK),
    }[word]
    name = "holds" if always else "does not hold" if never else "inconclusive"
    return Verdict(name, f"{said} {'more than' if word == 'above' else word.replace('_', ' ')} {limit:g}")


def _figure(value: float) -> str:
    """Return four figures of a number, or all of a large one: 35,887 images."""
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"


def _ends(paper: claims.Paper, figure: str | float) -> tuple[float, ...]:
    """Return the ends of what would be printed as a figure is; numbers are exact."""
    if not isinstance(figure, str):
        return (float(figure),)
    claim = paper.claim(figure)
    if claim.metric in ("sample_count", "subject_count", "fold_count"):
        return (claim.value,)
    beside = [c.value for c in paper.claims if c.place == claim.place and c.metric == claim.metric]
    half = 0.5 * 10.0 ** -decimals(value for value in beside if value is not None)
    return claim.value - half, claim.value + half


def decimals(values: Iterable[float]) -> int:
    """Return how many decimals a table prints (a trailing zero is lost in one figure, not in all)."""
    return max(len(f"{value:.6f}".rstrip("0").partition(".")[2]) for value in values)


def evaluate(formula: str, values: dict[str, Any]) -> NDArray:
    """Evaluate a formula of numbers, names, + - * / ** and :data:`FUNCTIONS`, elementwise on arrays."""
    # The claims files are part of this library: their formulas are code.
    return np.asarray(eval(formula, {"__builtins__": {}}, FUNCTIONS | values))
