"""The findings most worth knowing, one for each kind of question, computed from claims and evidence.

A kind gathers its candidates from everything that there is, and :data:`RULES` say which of them is told. Runs
speak only where they may judge: at budget paper, or at budget full with networks that have converged. What
networks near the majority rate, or still learning, happen to show is no finding.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from fer_lib import claims
from fer_lib.evidence.runs import Run
from fer_lib.judge import answers, convergence, forensics
from fer_lib.judge.answers import Answer, Scores
from fer_lib.judge.judgement import groups

RULES = {
    "printed": "a number printed for a paper's own method that its own tables do not give",
    "test set": "a choice of test images or people that changes the accuracy",
    "part": "a part that a paper's method adds to a network",
}
"""Kind of question to what its candidates are.

The strongest example of each kind is told: the one whose 95 % interval stays farthest from zero. Arithmetic
has no interval, so there it is the one whose distance is largest.
"""
ABSENT = {
    "printed": "Every printed number that can be recomputed agrees with its table",
    "test set": "Not run: no run on a paper's own data can undo a choice of what is tested",
    "part": "Not run: no run on a paper's own data has a network with and without a method’s part",
}


@dataclass(frozen=True)
class Finding:
    """One finding.

    ``paper`` is None where there is nothing to tell, ``headline`` what is said, without its figure:
    ``points`` (percentage points) with its 95 % interval, NaN where there is none. ``detail`` says how it
    comes about, ``conditions`` on what. ``run`` is the first seed of its evidence, None for arithmetic on
    printed figures. ``of`` is how many candidates it was chosen among: picking the largest exaggerates it.
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
        return surely if self.run else abs(self.points), abs(self.points)


def findings(runs: Iterable[Run]) -> list[Finding]:
    """Return one finding for each of :data:`RULES`, or that there is nothing to tell.

    Evidence on synthetic faces, and that under another reading than the defaults, is left out.
    """
    candidates, told = [*printed()], []
    may = [run for run in runs if run.budget in ("full", "paper") and not run.variant]
    for paper in claims.PAPERS:
        for group in groups(run for run in may if run.paper == paper):
            candidates += [*test_sets(group), *parts(group)]
    for kind, absent in ABSENT.items():
        found = [one for one in candidates if one.kind == kind]
        best = max(found, key=lambda finding: finding.weight, default=Finding(kind, None, absent))
        told.append(replace(best, of=len(found)))
    return told


def printed() -> Iterator[Finding]:
    """Yield the figures of papers' own methods that their own tables do not give; points are the distance."""
    averages = {"class_mean": "on average", "weighted": "weighted by their images"}
    gaps = {"from_accuracies": "by accuracies", "from_class_means": "by class means"}
    gaps |= {"from_weighted_classes": "by images"}
    roles = claims.frame().set_index("id")["role"]
    for frame, names, form, where in (
        (forensics.averages(), averages, "{:g} %", "class accuracies next to it"),
        (forensics.differences(), gaps, "{:+g} points", "tables"),
    ):
        for row in frame.to_dict("records"):
            if not row["agrees"] and roles[row["id"]] == "method":
                known = {said: row[name] for name, said in names.items() if row[name] == row[name]}
                values = " or ".join(f"{value:.2f} {said}" for said, value in known.items())
                what = f"{form.format(row['printed'])} for {row['model']} on {row['dataset']}"
                yield Finding(
                    "printed",
                    row["paper"],
                    "A headline number is not what its own table gives",
                    min(abs(row["printed"] - value) for value in known.values()),
                    detail=f"The paper prints {what}; the {where} give {values}.",
                    conditions="arithmetic on printed numbers, which has no interval; rounding is allowed "
                    "for, and the images per class are those of a complete copy",
                )


def test_sets(runs: list[Run]) -> Iterator[Finding]:
    """Yield what leaving test images out, keeping twins and flattering folds add to an accuracy.

    ``runs`` differ in nothing but their seed.
    """
    own = claims.frame(runs[0].paper).query("ours and role == 'method'")["model"].unique()
    for model in (name for name in own if _may(runs, name)):
        every = answers.scores(runs, model)
        if all(f"{model}@whole" in run.models() for run in runs):
            whole = answers.scores(runs, f"{model}@whole")
            seen = [set(ids) for ids in every.column("ids")]
            pairs = [(table, table["ids"].isin(ids)) for table, ids in zip(whole.tables, seen, strict=True)]
            kept, others = (Scores(tuple(t[h == side] for t, h in pairs)) for side in (True, False))
            headline = "What is gained by leaving out test images in which no face is found"
            detail = (
                f"{model} is right on {kept.mean().ours:.1f} % of the {kept.n:,} images that are kept, "
                f"on {whole.mean().ours:.1f} % of all {whole.n:,} and on {others.mean().ours:.1f} % of the "
                "others."
            )
            yield _compared(runs, headline, kept, whole, detail)
        if all("twin_in_training" in one and one["twin_in_training"].any() for one in every.tables):
            alone = every.where(lambda table: ~table["twin_in_training"].astype(bool))
            headline = "What is gained by test images that have a pixel-identical twin in the training part"
            detail = (
                f"{model} is right on {every.mean().ours:.1f} % of all images and on "
                f"{alone.mean().ours:.1f} % of the {alone.n:,} that have none."
            )
            yield _compared(runs, headline, every, alone, detail)
        for run in runs:
            steps = run.table("inflation")
            for row in steps[steps["gain_low"].notna()].to_dict("records") if len(steps) else ():
                yield Finding(
                    "test set",
                    run.paper,
                    f"What a flattering protocol adds: {row['step'].removeprefix('+ ')}",
                    *(100 * row[part] for part in ("gain", "gain_low", "gain_high")),
                    detail=f"The accuracy becomes {100 * row['accuracy']:.1f} %, with the same network.",
                    **_on([run], int(row["n"])),
                )


def _compared(runs: list[Run], headline: str, one: Scores, other: Scores, detail: str) -> Finding:
    """Return what one set of test images adds to the accuracy on another."""
    n = max(one.n, other.n)
    found = Answer.of([one.term(), other.term(-1.0)], n)
    figures = (found.ours, found.low, found.high)
    return Finding("test set", runs[0].paper, headline, *figures, detail, **_on(runs, n))


def parts(runs: list[Run]) -> Iterator[Finding]:
    """Yield what each part of a method adds to an accuracy; ``runs`` differ in nothing but their seed."""
    for part, (with_it, without) in claims.load(runs[0].paper).adds.items():
        if _may(runs, with_it, without):
            points, low, high, n, *_ = answers.lead(runs, with_it, without)
            detail = f"{with_it} against {without}, on the same test images."
            headline, on = f"What is added by {part}", _on(runs, n)
            yield Finding("part", runs[0].paper, headline, points, low, high, detail, **on)


def _may(runs: list[Run], *models: str) -> bool:
    """Whether runs hold models, all of whose networks have converged if the budget is full."""
    if not all(set(models) <= set(run.models()) for run in runs):
        return False
    return runs[0].budget == "paper" or not convergence.objections(runs, models)


def _on(runs: list[Run], n: int) -> dict[str, Any]:
    """Return the evidence of a finding, and on what it was made."""
    changes = runs[0].info.get("changes") or []
    less = f" ({'; '.join(changes)})" if runs[0].budget != "paper" and changes else ""
    seeds = f"seed{'s' * (len(runs) > 1)} {', '.join(str(run.seed) for run in runs)}"
    said = f"{n:,} test images, budget {runs[0].budget}{less}, {seeds}"
    return {"conditions": said, "run": runs[0]}
