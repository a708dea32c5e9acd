"""Claims without a figure of their own: what our runs, or the paper's printed figures, say of an order.

How an entry of ``order:`` in a claims file is tested stands in that entry. **By running**, sums of accuracies
are compared, paired by sample and seed: that A beats B, that a gain grows as data shrink, that a class is the
best. **By arithmetic**, a formula over printed figures is evaluated for every value that would have been
printed as they are: the claim *holds* if it does so for all of them, *does not hold* if for none, and is
*inconclusive* where rounding decides.
"""

from __future__ import annotations

import ast
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np

from fer_lib import claims
from fer_lib.claims import Claim
from fer_lib.errors import FerError
from fer_lib.evidence.runs import Run
from fer_lib.expressions import canonical
from fer_lib.judge import significance, verdicts
from fer_lib.judge.answers import Answer, NotComparableError, class_index, predictions, scores
from fer_lib.judge.verdicts import Verdict
from fer_lib.learn import metrics

if TYPE_CHECKING:
    from numpy.typing import NDArray

MOST_FIGURES = 12
"""With more, a formula must be a sum: then each figure's rounding counts by itself."""
FUNCTIONS = {
    "mean": lambda *values: sum(values) / len(values),
    "min": lambda *values: np.minimum.reduce(np.broadcast_arrays(*values)),
    "max": lambda *values: np.maximum.reduce(np.broadcast_arrays(*values)),
    "abs": abs,
}
ALLOWED = (
    *(ast.Expression, ast.BinOp, ast.UnaryOp, ast.Call, ast.Name, ast.Load, ast.Constant),
    *(ast.operator, ast.unaryop),
)


# --- by running -------------------------------------------------------------------------------------------


def contrasts(claim: Claim, run: Run) -> list[tuple[float, list[tuple[float, str, str | None]]]]:
    """Return the sums of accuracies of which each must exceed a bound: (bound, [(factor, model, class)]).

    Raises
    ------
    NotComparableError
        If the claim names a class that the run has not.
    """
    test, by = claim.test, float(claim.test.get("by", 0))
    if "better" in test:
        pairs = product(test["better"], test["worse"])
        return [(by, [(1.0, a, test.get("class")), (-1.0, b, test.get("class"))]) for a, b in pairs]
    if "equal" in test:
        return [(by, [(1.0, test["equal"][0], None), (-1.0, test["equal"][1], None)])]
    if "contrast" in test or "contrasts" in test:
        sums = test.get("contrasts") or [test["contrast"]]
        return [(by, [(float(w), m, rest[0] if rest else None) for w, m, *rest in one]) for one in sums]
    name, factor = ("best_class", 1.0) if "best_class" in test else ("worst_class", -1.0)
    model, own = test[name]["model"], canonical(test[name]["class"])
    class_index(run, own)
    others = [label for label in run.info["classes"] if label != own]
    return [(by, [(factor, model, own), (-factor, model, other)]) for other in others]


def models(claim: Claim, run: Run) -> list[str]:
    """Return the names of the predictions that a claim of order rests on."""
    if "measured" in claim.test:
        return []
    if "most_confused" in claim.test:
        return [claim.test["most_confused"]["model"]]
    return list(dict.fromkeys(model for _, terms in contrasts(claim, run) for _, model, _ in terms))


def by_running(claim: Claim, runs: list[Run]) -> Verdict:
    """Judge a claim of order by runs that differ in nothing but their seed.

    Raises
    ------
    NotComparableError
        If the runs do not hold what it speaks of.
    """
    if "measured" in claim.test:
        return _measured(claim, runs)
    if "most_confused" in claim.test:
        return _most_confused(claim, runs)
    found = []
    for by, terms in contrasts(claim, runs[0]):
        answer = _sum(claim, runs, terms)
        if "equal" in claim.test:
            found.append(verdicts.equivalent(answer.low, answer.high, float(claim.test["within"])))
            continue
        said = f"{' '.join(map(_words, terms)).removeprefix('plus ')}: "
        found.append(verdicts.order(answer.ours, answer.low, answer.high, by, answer.n, said))
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
        made += metrics.by_strata(mean, one.labels) if by_class else [mean]
        n = max(n, one.n)
    if any(not len(values) for term in made for values in term.values):
        raise NotComparableError("the run tested none of the images that the claim speaks of")
    return Answer.of(made, n)


def _most_confused(claim: Claim, runs: list[Run]) -> Verdict:
    """Judge which wrong answer is the most frequent on the images of one class."""
    test, classes = claim.test["most_confused"], list(runs[0].info.get("classes") or ())
    own, other = (class_index(runs[0], canonical(test[key])) for key in ("class", "with"))
    if any(test["model"] not in run.models() for run in runs):
        raise NotComparableError(f"the run holds no predictions of a model called {test['model']}")
    tables = [predictions(run, test["model"]) for run in runs]
    tables = [table[table["label"] == own] for table in tables]
    groups = [table["group"].to_numpy(str) for table in tables]
    found = []
    for third in sorted(set(range(len(classes))) - {own, other}):
        lead = [
            (t["answer"] == other).to_numpy(float) - (t["answer"] == third).to_numpy(float) for t in tables
        ]
        n = len(set(np.concatenate(groups)))
        if not n:
            raise NotComparableError(f"the run tested no image of {classes[own]}")
        answer = Answer.of([metrics.Term(lead, groups)], n)
        said = f"taken for {classes[other]} minus for {classes[third]}: "
        found.append(verdicts.order(answer.ours, answer.low, answer.high, 0.0, n, said))
    return verdicts.together(found)


def _measured(claim: Claim, runs: list[Run]) -> Verdict:
    """Compare figures of tables of the runs with one another or with a bound; all seeds must agree."""
    tests = claim.test["measured"]
    found = []
    for test, run in product(tests if isinstance(tests, list) else [tests], runs):
        frame = run.table(test["table"])
        if frame.empty:
            raise NotComparableError(f"the run has no table {test['table']}")
        named = test.get("rows") or [*test["smaller"], *test["larger"]]
        rows = {name: frame[frame[test["key"]] == name] for name in named}
        if missing := [str(name) for name, part in rows.items() if part.empty]:
            raise NotComparableError(f"table {test['table']} of the run has no {', '.join(missing)}")
        bounds = ("low", "high") if {"low", "high"} <= set(frame) else (test["column"],) * 2
        ends = {name: (part[bounds[0]].min(), part[bounds[1]].max()) for name, part in rows.items()}
        means = {name: part[test["column"]].mean() for name, part in rows.items()}
        if "rows" in test:
            pairs = [((None, test["above"]), (name, None)) for name in named]
        else:
            pairs = [((a, None), (b, None)) for a, b in product(test["smaller"], test["larger"])]
        for (a, bound), (b, _) in pairs:
            (low, high), (low_b, high_b) = (bound, bound) if a is None else ends[a], ends[b]
            # Two figures without an interval that are equal are in no order.
            name = "holds" if high < low_b else "does not hold" if low >= high_b else "inconclusive"
            than = f"{bound:g}" if a is None else f"{means[a]:.4g} ({a})"
            found.append(Verdict(name, f"{test['column']} {means[b]:.4g} ({b}) against {than}"))
    return verdicts.together(found)


# --- by arithmetic ----------------------------------------------------------------------------------------


def by_arithmetic(claim: Claim) -> Verdict:
    """Judge a claim of order by the figures that its paper prints.

    Raises
    ------
    FerError
        If its formula cannot be evaluated, or a figure that it names is not printed.
    """
    test, paper = claim.test, claims.load(claim.paper)
    if "p_value" in test:
        sides = [[paper.claim(name).value for name in test["p_value"][side]] for side in ("better", "worse")]
        p = significance.p_values(*sides)["two_sided"]
        below = float(test["p_value"]["below"])
        name = "inconclusive" if np.isnan(p) else "holds" if p < below else "does not hold"
        return Verdict(name, f"the printed folds give p = {p:.2g} in a two-sided paired t-test")
    names = list(test["where"])
    ends = {name: _ends(paper, test["where"][name]) for name in names}
    middle = {name: float(np.mean(end)) for name, end in ends.items()}
    if len(names) <= MOST_FIGURES:
        corners = np.array(list(product(*ends.values())))  # rounding has its extremes at the corners
    elif any(f"{name}(" in test["formula"] for name in ("min", "max", "abs")):
        raise FerError(f"{claim.id} has more than {MOST_FIGURES} figures, so its formula must be a sum.")
    else:
        by_end = {
            name: [float(evaluate(test["formula"], middle | {name: value})) for value in end]
            for name, end in ends.items()
        }
        corners = np.array([[ends[n][pick(v)] for n, v in by_end.items()] for pick in (np.argmin, np.argmax)])
    values = evaluate(test["formula"], dict(zip(names, corners.T, strict=True)))
    return _compare(
        claim, float(np.min(values)), float(np.max(values)), float(evaluate(test["formula"], middle))
    )


def _ends(paper: claims.Paper, figure: str | float) -> tuple[float, ...]:
    """Return the ends of what would be printed as a figure is; numbers are exact."""
    if not isinstance(figure, str):
        return (float(figure),)
    claim = paper.claim(figure)
    if claim.value is None:
        raise FerError(f"{figure} prints no figure, so no formula can use it.")
    if claim.metric in ("sample_count", "subject_count", "fold_count"):
        return (claim.value,)
    beside = [c.value for c in paper.claims if c.place == claim.place and c.metric == claim.metric]
    half = 0.5 * 10.0 ** -decimals(value for value in beside if value is not None)
    return claim.value - half, claim.value + half


def decimals(values: Any) -> int:
    """Return how many decimals a table prints (a trailing zero is lost in one figure, not in all)."""
    return max(len(f"{value:.6f}".rstrip("0").partition(".")[2]) for value in values)


def evaluate(formula: str, values: dict[str, Any]) -> NDArray:
    """Evaluate a formula of numbers, names, + - * / ** and :data:`FUNCTIONS`, elementwise on arrays."""
    try:
        tree = ast.parse(formula, mode="eval")
        bad = [node for node in ast.walk(tree) if not isinstance(node, ALLOWED)]
        if not bad:
            return np.asarray(
                eval(compile(tree, "formula", "eval"), {"__builtins__": {}}, FUNCTIONS | values)
            )
    except (SyntaxError, NameError, TypeError) as error:
        raise FerError(
            f"The formula {formula!r} cannot be evaluated ({error}); correct the claims file."
        ) from None
    raise FerError(
        f"The formula {formula!r} may hold names, numbers, + - * / ** and {', '.join(FUNCTIONS)} only."
    )


def _compare(claim: Claim, least: float, most: float, exact: float) -> Verdict:
    """Compare the range of a formula's values with what is claimed of it."""
    slack = 1e-9
    (word,) = (name for name in ("at_least", "at_most", "above", "below", "equals") if name in claim.test)
    bound = claim.test[word]
    if word == "equals":
        known = {c.id for c in claims.load(claim.paper).claims}
        if bound in known:
            ends = _ends(claims.load(claim.paper), bound)
            low, high = min(ends), max(ends)
        else:
            half = 0.5 * 10.0 ** -len(str(bound).partition(".")[2])
            low, high = float(bound) - half, float(bound) + half
        name = "holds" if least <= high + slack and most >= low - slack else "does not hold"
        return Verdict(name, f"the printed numbers give {exact:.4g}, claimed {(low + high) / 2:.4g}")
    limit = float(bound)
    inside = {
        "at_least": (least >= limit - slack, most < limit - slack),
        "at_most": (most <= limit + slack, least > limit + slack),
        "above": (least > limit + slack, most <= limit + slack),
        "below": (most < limit - slack, least >= limit - slack),
    }[word]
    name = "holds" if inside[0] else "does not hold" if inside[1] else "inconclusive"
    return Verdict(name, f"the printed numbers give {exact:.4g}, claimed {word.replace('_', ' ')} {limit:g}")
