"""The findings most worth knowing, one for each kind of question, computed from claims and evidence.

A kind gathers its candidates from everything that there is, and :data:`RULES` say which of them is told.
Figures on synthetic faces are none.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from fer_lib import claims
from fer_lib.evidence.runs import BUDGETS, Run
from fer_lib.judge import answers, forensics, inflation

RULES = {
    "printed": "a figure printed for a paper's own method that the tables beside it do not give",
    "test set": "a choice of what is tested, or on whom, that our runs can undo",
    "part": "a part that a paper's method adds to a network",
}
"""Kind of question to what its candidates are.

Of each kind the one is told whose 95 % interval stays farthest from zero, and for arithmetic, which has no
interval, whose distance is largest; runs at a higher budget come before all others.
"""

PARTS = {
    "cnn_sift": {"SIFT features beside the image": ("CNN-SIFT", "CNN-ONLY")},
    "multimodal": {
        "landmarks and HOG beside the image": ("OURS", "image"),
        "attention": ("OURS", "OURS without CBAM"),
    },
    "cspp": {"small kernels, a third stage and the spatial pyramid": ("C-SPP", "Benchmark")},
    "lkrnet": {"key regions and triplets": ("Our method", "VGG19")},
}
"""What a method adds, as the network with it and the one without, by their names in the evidence."""


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
        The evidence; None for arithmetic on printed figures.
    of : int
        How many candidates it was chosen among: the largest of several flatters itself.
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
    def weight(self) -> tuple[int, float, float]:
        """What the finding that is told is largest in: the budget, and how surely it is not nothing."""
        budget = BUDGETS.index(self.run.budget) if self.run else 0
        surely = max(0.0, self.low, -self.high) if self.low == self.low else 0.0
        if self.run is None:  # arithmetic has no interval and needs none
            surely = abs(self.points)
        return budget, surely, abs(self.points)


def findings(runs: Iterable[Run]) -> list[Finding]:
    """Return one finding for each of :data:`RULES`, or that there is nothing to tell.

    Parameters
    ----------
    runs
        Evidence; that on synthetic faces and that under another reading than the defaults are left out.
    """
    own = [run for run in runs if run.paper in claims.PAPERS]  # the matrix makes no claim
    real = [run for run in own if run.dataset != "synthetic" and not run.variant]
    kinds = {"printed": printed(), "test set": test_sets(real), "part": parts(real)}
    absent = {
        "printed": "Every printed figure that can be recomputed agrees with its table",
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
        "A headline figure is not what its own table gives",
        min(abs(row["printed"] - value) for value in known.values()),
        detail=f"The paper prints {what} on {row['dataset']}; the {where} give {values}.",
        conditions="arithmetic on printed figures, which has no interval; rounding is allowed for, and the "
        "images per class are those of a complete copy",
    )


def test_sets(runs: Sequence[Run]) -> Iterator[Finding]:
    """Yield what leaving test images out, keeping twins and flattering folds add to an accuracy, per run."""
    for run in runs:
        own = claims.frame(run.paper).query("ours and role == 'method'")["model"].unique()
        for model in (name for name in own if name in run.models()):
            if f"{model}@whole" in run.models():
                yield _left_out(run, model)
            table = answers.predictions(run, model)
            if "twin_in_training" in table and table["twin_in_training"].any():
                yield _twins(run, model)
        steps = run.table("inflation")
        for row in steps[steps["gain_low"].notna()].to_dict("records") if len(steps) else ():
            yield Finding(
                "test set",
                run.paper,
                f"What a flattering protocol adds: {row['step'].removeprefix('+ ')}",
                *(100 * row[part] for part in ("gain", "gain_low", "gain_high")),
                detail=f"The accuracy becomes {100 * row['accuracy']:.1f} %, with the same network.",
                conditions=_conditions(run, int(row["n"])),
                run=run,
            )


def _left_out(run: Run, model: str) -> Finding:
    """Compare a model on the test images that were kept with the same model on all of them."""
    scores = answers.scores([run], f"{model}@whole")
    right, kept = scores.correct[0], np.isin(scores.ids, run.predictions(model)["ids"])
    every = inflation.Step.of("all", right, scores.groups)
    some = inflation.Step.of("kept", right, scores.groups, kept.astype(float))
    dropped = 100 * right[~kept].mean()
    return Finding(
        "test set",
        run.paper,
        "What is gained by leaving out test images in which no face is found",
        *(100 * value for value in inflation.gain(every, some)),
        detail=f"{model} is right in {100 * some.accuracy:.1f} % of the {kept.sum():,} images that are kept, "
        f"in {100 * every.accuracy:.1f} % of all {len(kept):,} and in {dropped:.1f} % of the others.",
        conditions=_conditions(run, len(kept)),
        run=run,
    )


def _twins(run: Run, model: str) -> Finding:
    """Compare a model on all test images with the same on those that have no twin in the training part."""
    scores, table = answers.scores([run], model), answers.predictions(run, model)
    alone = ~table["twin_in_training"].to_numpy(bool)
    every = inflation.Step.of("all", scores.correct[0], scores.groups)
    without = inflation.Step.of("without twins", scores.correct[0], scores.groups, alone.astype(float))
    return Finding(
        "test set",
        run.paper,
        "What is gained by test images that have a pixel-identical twin in the training part",
        *(100 * value for value in inflation.gain(without, every)),
        detail=f"{model} is right in {100 * every.accuracy:.1f} % of all images and in "
        f"{100 * without.accuracy:.1f} % of the {alone.sum():,} that have none.",
        conditions=_conditions(run, len(alone)),
        run=run,
    )


def parts(runs: Sequence[Run]) -> Iterator[Finding]:
    """Yield what each of :data:`PARTS` adds to an accuracy, per run and size of the training part."""
    for run in runs:
        for part, (with_it, without) in PARTS.get(run.paper, {}).items():
            whole = ""
            if {with_it, without} <= set(run.models()):
                claim = {"model": f"{with_it} minus {without}", "against": None}
                points, low, high, n = answers.METRICS["accuracy_difference"](claim, [run])
                figures = (points, low, high)
                detail = f"{with_it} against {without}, on the same test images."
                yield _part(run, part, figures, detail, _conditions(run, n))
                whole = f" Trained on all images it adds {points:+.2f} points [{low:+.2f}, {high:+.2f}]."
            yield from _by_size(run, part, with_it, without, whole)


def _by_size(run: Run, part: str, with_it: str, without: str, whole: str) -> Iterator[Finding]:
    frame = run.table("sizes")
    if frame.empty or not {with_it, without} <= set(frame["model"]):
        return
    steps = f" after about {run.info['plan']['steps']} steps" if "steps" in run.info.get("plan", {}) else ""
    means = frame.groupby(["n", "model"])[["accuracy", "low", "high"]].mean()
    for n in means.index.unique("n"):
        one, other = means.loc[(n, with_it)], means.loc[(n, without)]
        gain = one["accuracy"] - other["accuracy"]
        # The table has no answers to pair: two intervals taken as independent are wider than they need be.
        half = np.hypot(one["high"] - one["low"], other["high"] - other["low"]) / 2
        detail = (
            f"{with_it} reaches {100 * one['accuracy']:.1f} % and {without} {100 * other['accuracy']:.1f} % "
            f"on {n:,} training images{steps}; the interval takes the two as independent.{whole}"
        )
        figures = (100 * gain, 100 * (gain - half), 100 * (gain + half))
        yield _part(run, f"{part}, with {n:,} training images", figures, detail, _conditions(run))


def _part(run: Run, part: str, figures: Sequence[float], detail: str, conditions: str) -> Finding:
    return Finding("part", run.paper, f"What is added by {part}", *figures, detail, conditions, run)


def _conditions(run: Run, n: int | None = None) -> str:
    tested = f"{n:,} test images, " if n else ""
    changes = run.info.get("changes") or []
    less = f" ({'; '.join(changes)})" if run.budget != "paper" and changes else ""
    return f"{tested}budget {run.budget}{less}, seed {run.seed}"
