"""The findings most worth knowing, one for each kind of question, computed from claims and evidence.

A kind gathers its candidates from everything that there is, and :data:`RULES` say which of them is told. Runs
speak only where they may judge: at budget paper, or at budget full with networks that have converged. What
networks near the majority rate, or still learning, happen to show is no finding.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

import numpy as np

from fer_lib import claims
from fer_lib.evidence.runs import Run
from fer_lib.judge import answers, convergence, forensics
from fer_lib.judge.answers import Answer, Scores

RULES = {
    "printed": "a number printed for a paper's own method that the tables beside it do not give",
    "test set": "a choice of what is tested, or on whom, that our runs can undo",
    "part": "a part that a paper's method adds to a network",
}
"""Kind of question to what its candidates are.

The strongest example of each kind is told: the one whose 95 % interval stays farthest from zero. Arithmetic
has no interval, so there it is the one whose distance is largest.
"""


@dataclass(frozen=True)
class Finding:
    """One finding.

    Attributes
    ----------
    kind : str
        A key of :data:`RULES`.
    paper : str or None
        Key of the paper; None where there is nothing to tell.
    headline : str
        What is said, without its figure.
    points : float
        The figure in percentage points, NaN where there is none.
    low, high : float
        Its 95 % interval, NaN where it has none.
    detail, conditions : str
        How the figure comes about; on what, at which budget.
    run : Run or None
        The evidence, the first of its seeds; None for arithmetic on printed figures.
    of : int
        How many candidates it was chosen among: picking the largest exaggerates it.
    """

    kind: str
    paper: str | None
    headline: str
    points: float = np.nan
    low: float = np.nan
    high: float = np.nan
    detail: str = ""
    conditions: str = ""
    run: Run | None = None
    of: int = 0

    @property
    def weight(self) -> tuple[float, float]:
        """What the finding that is told is largest in: how surely it is not nothing."""
        surely = max(0.0, self.low, -self.high) if self.low == self.low else 0.0
        if self.run is None:  # arithmetic has no interval and needs none
            surely = abs(self.points)
        return surely, abs(self.points)


def findings(runs: Iterable[Run]) -> list[Finding]:
    """Return one finding for each of :data:`RULES`, or that there is nothing to tell.

    Parameters
    ----------
    runs
        Evidence; that on synthetic faces and that under another reading than the defaults are left out.
    """
    groups: dict[tuple[str, ...], list[Run]] = {}
    for run in runs:  # the matrix makes no claim
        may = run.dataset != "synthetic" and run.budget in ("full", "paper") and not run.variant
        if may and run.paper in claims.PAPERS:
            groups.setdefault((run.paper, run.dataset, run.budget), []).append(run)
    kinds = {
        "printed": printed(),
        "test set": (found for group in groups.values() for found in test_sets(group)),
        "part": (found for group in groups.values() for found in parts(group)),
    }
    absent = {
        "printed": "Every printed number that can be recomputed agrees with its table",
        "test set": "Not run: no run on a paper's own data can undo a choice of what is tested",
        "part": "Not run: no run on a paper's own data has a network with and without a method’s part",
    }
    told = []
    for kind, candidates in kinds.items():
        found = list(candidates)
        best = max(found, key=lambda finding: finding.weight, default=Finding(kind, None, absent[kind]))
        told.append(replace(best, of=len(found)))
    return told


def printed() -> Iterator[Finding]:
    """Yield the figures of papers' own methods that their own tables do not give; points are the distance."""
    roles = claims.frame().set_index("id")["role"]
    for row in forensics.averages().to_dict("records"):
        given = {"on average": row["class_mean"], "weighted by their images": row["weighted"]}
        if not row["agrees"] and roles[row["id"]] == "method":
            yield _apart(row, f"{row['printed']:g} % for {row['model']}", "class accuracies beside it", given)
    for row in forensics.differences().to_dict("records"):
        given = {
            "by accuracies": row["from_accuracies"],
            "by class means": row["from_class_means"],
            "by images": row["from_weighted_classes"],
        }
        if not row["agrees"] and roles[row["id"]] == "method":
            yield _apart(row, f"{row['printed']:+g} points for {row['model']}", "tables", given)


def _apart(row: dict, what: str, where: str, given: dict[str, float]) -> Finding:
    known = {name: value for name, value in given.items() if value == value}
    values = " or ".join(f"{value:.2f} {name}" for name, value in known.items())
    return Finding(
        "printed",
        row["paper"],
        "A headline number is not what its own table gives",
        min(abs(row["printed"] - value) for value in known.values()),
        detail=f"The paper prints {what} on {row['dataset']}; the {where} give {values}.",
        conditions="arithmetic on printed numbers, which has no interval; rounding is allowed for, and the "
        "images per class are those of a complete copy",
    )


def test_sets(runs: list[Run]) -> Iterator[Finding]:
    """Yield what leaving test images out, keeping twins and flattering folds add to an accuracy.

    ``runs`` differ in nothing but their seed.
    """
    own = claims.frame(runs[0].paper).query("ours and role == 'method'")["model"].unique()
    for model in (name for name in own if _may(runs, name)):
        if all(f"{model}@whole" in run.models() for run in runs):
            yield _left_out(runs, model)
        tables = [answers.predictions(run, model) for run in runs]
        if all("twin_in_training" in table and table["twin_in_training"].any() for table in tables):
            yield _twins(runs, model, [~table["twin_in_training"].to_numpy(bool) for table in tables])
        for run in runs:
            steps = run.table("inflation")
            for row in steps[steps["gain_low"].notna()].to_dict("records") if len(steps) else ():
                yield Finding(
                    "test set",
                    run.paper,
                    f"What a flattering protocol adds: {row['step'].removeprefix('+ ')}",
                    *(100 * row[part] for part in ("gain", "gain_low", "gain_high")),
                    detail=f"The accuracy becomes {100 * row['accuracy']:.1f} %, with the same network.",
                    conditions=_conditions([run], int(row["n"])),
                    run=run,
                )


def _may(runs: list[Run], *models: str) -> bool:
    """Whether runs hold models, all of whose networks have converged if the budget is full."""
    if not all(set(models) <= set(run.models()) for run in runs):
        return False
    return runs[0].budget == "paper" or not convergence.objections(runs, models)


def _apart_by(one: Scores, other: Scores) -> tuple[float, float, float]:
    """Return the accuracy of one less that of the other, in points, with its interval."""
    found = Answer.of([one.term(), other.term(-1.0)], max(one.n, other.n))
    return found.ours, found.low, found.high


def _left_out(runs: list[Run], model: str) -> Finding:
    """Compare a model on the test images that were kept with the same model on all of them."""
    every, kept = answers.scores(runs, f"{model}@whole"), answers.scores(runs, model)
    here = [np.isin(ids, some) for ids, some in zip(every.ids, kept.ids, strict=True)]
    some, others = every.where(lambda seed: here[seed]), every.where(lambda seed: ~here[seed])
    return Finding(
        "test set",
        runs[0].paper,
        "What is gained by leaving out test images in which no face is found",
        *_apart_by(some, every),
        detail=f"{model} is right on {some.mean().ours:.1f} % of the {some.n:,} images that are kept, "
        f"on {every.mean().ours:.1f} % of all {every.n:,} and on {others.mean().ours:.1f} % of the others.",
        conditions=_conditions(runs, every.n),
        run=runs[0],
    )


def _twins(runs: list[Run], model: str, alone: list[np.ndarray]) -> Finding:
    """Compare a model on all test images with the same on those that have no twin in the training part."""
    every = answers.scores(runs, model)
    without = every.where(lambda seed: alone[seed])
    return Finding(
        "test set",
        runs[0].paper,
        "What is gained by test images that have a pixel-identical twin in the training part",
        *_apart_by(every, without),
        detail=f"{model} is right on {every.mean().ours:.1f} % of all images and on "
        f"{without.mean().ours:.1f} % of the {without.n:,} that have none.",
        conditions=_conditions(runs, every.n),
        run=runs[0],
    )


def parts(runs: list[Run]) -> Iterator[Finding]:
    """Yield what each part of a method adds to an accuracy; ``runs`` differ in nothing but their seed."""
    for part, (with_it, without) in claims.load(runs[0].paper).adds.items():
        if _may(runs, with_it, without):
            points, low, high, n, *_ = answers.lead(runs, with_it, without)
            detail = f"{with_it} against {without}, on the same test images."
            headline, conditions = f"What is added by {part}", _conditions(runs, n)
            yield Finding("part", runs[0].paper, headline, points, low, high, detail, conditions, runs[0])


def _conditions(runs: list[Run], n: int) -> str:
    changes = runs[0].info.get("changes") or []
    less = f" ({'; '.join(changes)})" if runs[0].budget != "paper" and changes else ""
    seeds = f"seed{'s' * (len(runs) > 1)} {', '.join(str(run.seed) for run in runs)}"
    return f"{n:,} test images, budget {runs[0].budget}{less}, {seeds}"
