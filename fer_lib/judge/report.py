"""Claims beside evidence: what became of every claim, the scorecard, and how many claims are judged.

Runs that differ only in their seed are one piece of evidence, also where their training parts differ. A
number that a paper prints twice is one claim. A single fold of a cross-validation and a confidence on one
image are listed, but are no claims by themselves, since no run can rebuild them.

All accuracies are per cent and all differences percentage points, as the papers print them; p-values are
probabilities.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from fer_lib import claims
from fer_lib.errors import FerError
from fer_lib.evidence.runs import BUDGETS, Run, find
from fer_lib.judge import answers
from fer_lib.judge.answers import Answer
from fer_lib.judge.judgement import Judgement, judge, parameters
from fer_lib.judge.verdicts import DECIDED, VERDICTS

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
"""Roles of what runs can judge; ``data`` are counts, ``quoted`` numbers are other works'."""
ROLES = (*JUDGED, "data")

_FROM_CLAIM = ("paper", "id", "table", "role", "model", "dataset", "protocol", "metric", "expression", "unit")
COLUMNS = (
    *(*_FROM_CLAIM, "kind", "claimed", "ours", "low", "high", "n", "verdict", "how", "sign", "reason"),
    *("apart", "remark", "needs", "run", "commit", "hardware"),
)
DETAILS = (*COLUMNS, "budget", "variant", "seeds")


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

    frame = pd.DataFrame([_row(j) for j in judgements], columns=list(columns), dtype=object)
    return frame.astype(dict.fromkeys(("claimed", "ours", "low", "high"), float) | {"n": "Int64"})


def _row(found: Judgement) -> dict[str, Any]:
    """Return the columns of :data:`DETAILS`."""
    claim, runs = found.claim, found.runs
    made = [run.info.get("provenance", {}) for run in runs]
    answer = found.answer or Answer(np.nan, np.nan, np.nan, 0)
    commits = (m["commit"][:10] + "+" * bool(m.get("dirty")) for m in made if m.get("commit"))
    row = {name: getattr(claim, name) for name in _FROM_CLAIM if name != "table"}
    return row | {
        "table": claim.place,
        "model": claim.says or claim.model,
        "claimed": claim.value,
        "n": answer.n or None,
        **{name: getattr(answer, name) for name in ("ours", "low", "high")},
        **{name: getattr(found, name) for name in ("kind", "verdict", "how", "sign", "reason")},
        **{name: getattr(found, name) for name in ("apart", "remark", "needs")},
        "run": _join(map(answers.name, runs)),
        "commit": _join(commits),
        "hardware": _join(m.get("gpu") or m.get("cpu") or "unknown" for m in made),
        "budget": runs[0].budget if runs else None,
        "variant": runs[0].variant if runs else None,
        "seeds": len(runs) or None,
    }


def _takes(run: Run, variant: str) -> bool:
    """Whether a run differs from the defaults in nothing but what the protocol that it follows takes."""
    changed = parameters(run.paper, run.info.get("protocol"))
    names = ",".join(f"{name}={value}" for name, value in sorted(changed.items()))
    return not variant and bool(changed) and run.variant == names


class Summary(NamedTuple):
    """How many claims there are and what became of each; all parts but ``claims`` add up to it.

    ``running``, ``arithmetic`` and ``counting`` have a verdict; ``inconclusive`` were run, and more seeds or
    samples would decide; beside ``apart`` stands a number that may not judge them; ``waiting`` need a run,
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
