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
from fer_lib.evidence.runs import Run, find
from fer_lib.judge import answers
from fer_lib.judge.answers import Answer
from fer_lib.judge.judgement import Judgement, best, groups, judgements, parameters
from fer_lib.judge.verdicts import DECIDED
from fer_lib.progress import track

if TYPE_CHECKING:
    import pandas as pd

ROLES = ("method", "ablation", "baseline", "data")
"""Roles of what can be judged: three by runs, and ``data``, which are counts."""
_FROM_CLAIM = ("paper", "id", "table", "role", "model", "dataset", "protocol", "metric", "expression", "unit")
COLUMNS = (
    *(*_FROM_CLAIM, "kind", "claimed", "ours", "low", "high", "n", "verdict", "how", "sign", "reason"),
    *("apart", "remark", "needs", "run", "commit", "hardware"),
)


def compare(paper: str, runs: Iterable[Run]) -> pd.DataFrame:
    """Set every claim of a paper beside every matching group of runs, one row each, with :data:`COLUMNS`.

    Runs on synthetic data and of other papers are left out; runs under another protocol are shown only where
    none follows the claim's. A claim without a run has one row that says which data it needs, unless
    arithmetic or counting decides it.
    """
    grouped = groups(run for run in runs if run.paper == paper)
    return _frame(j for claim in _claims(paper, ROLES) for j in judgements(claim, grouped))


def scorecard(
    root: str | Path = "results", roles: Sequence[str] = ROLES, papers: Sequence[str] = claims.PAPERS
) -> pd.DataFrame:
    """Return the verdicts on papers (all five) from the evidence below ``root``: a row per claim.

    It is that of the highest budget which may judge the claim, else of the highest that there is, with
    :data:`COLUMNS`. Claims of role ``quoted`` are listed if asked for, but never judged. Runs that change a
    reading of the paper, beyond what one of its protocols takes, are left to :func:`compare`.
    """
    found = []
    for paper in track(papers, "judging", unit="paper"):
        grouped = groups(run for run in find(root, paper=paper) if not run.variant or _by_protocol(run))
        found += [best(judgements(claim, grouped)) for claim in _claims(paper, roles)]
    return _frame(found)


def _by_protocol(run: Run) -> bool:
    """Whether a run differs from the defaults in nothing but what the protocol that it follows takes."""
    changed = parameters(run.paper, run.info.get("protocol"))
    return run.variant == ",".join(f"{name}={value}" for name, value in sorted(changed.items()))


def _claims(paper: str, roles: Sequence[str]) -> list[claims.Claim]:
    made = claims.load(paper)
    return [claim for claim in (*made.claims, *made.order) if claim.role in roles]


def _frame(judged: Iterable[Judgement]) -> pd.DataFrame:
    import pandas as pd

    frame = pd.DataFrame([_row(one) for one in judged], columns=list(COLUMNS), dtype=object)
    return frame.astype(dict.fromkeys(("claimed", "ours", "low", "high"), float) | {"n": "Int64"})


def _row(found: Judgement) -> dict[str, Any]:
    """Return the columns of :data:`COLUMNS`."""
    claim, runs = found.claim, found.runs
    made = [run.info.get("provenance", {}) for run in runs]
    answer = found.answer if found.answer and found.how == "running" else Answer(np.nan, np.nan, np.nan, 0)
    commits = (m["commit"][:10] + "+" * bool(m.get("dirty")) for m in made if m.get("commit"))
    row = {name: getattr(claim, name) for name in _FROM_CLAIM if name != "table"}
    told = ("kind", "verdict", "how", "sign", "reason", "apart", "remark", "needs")
    return row | {
        "table": claim.place,
        "model": claim.says or claim.model,
        "claimed": claim.value,
        "n": answer.n or None,
        **{name: getattr(answer, name) for name in ("ours", "low", "high")},
        **{name: getattr(found, name) for name in told},
        "run": _join(map(answers.name, runs)),
        "commit": _join(commits),
        "hardware": _join(m.get("gpu") or m.get("cpu") or "unknown" for m in made),
    }


def _join(words: Iterable[str]) -> str | None:
    return ", ".join(dict.fromkeys(words)) or None


class Summary(NamedTuple):
    """How many claims there are and what became of each; all parts but ``claims`` add up to it.

    ``running``, ``arithmetic`` and ``counting`` have a verdict; ``inconclusive`` are judged and undecided; of
    ``apart`` there is a number that may not judge them; ``waiting`` need a run, ``never`` no run can answer.
    ``folds``, ``images`` and ``repeats`` are no claims.
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
    mine, known = score[score["kind"] == "claim"], Summary._fields[1:8]
    facts = [mine["verdict"].isin(DECIDED), mine["verdict"] == "inconclusive", mine["apart"] != ""]
    states = [mine["how"], "inconclusive", "apart", "waiting"]
    state = np.select([*facts, mine["needs"] != ""], states, "never")
    # Of a claim with several groups of runs, the one that says most counts.
    most: dict[str, int] = {}
    for claim, found in zip(mine["id"], map(known.index, state), strict=True):
        most[claim] = min(most.get(claim, found), found)
    counts = [sum(found == i for found in most.values()) for i in range(len(known))]
    others = [score.loc[score["kind"] == kind, "id"].nunique() for kind in ("fold", "image", "repeat")]
    return Summary(len(most), *counts, *others)


def subsets(run: Run, model: str) -> pd.DataFrame:
    """Return a model's accuracy as it is and without questionable test images.

    Columns subset, n, accuracy, low, high (percent, 95 % interval); rows: all test images, without those that
    have a pixel-identical twin in the training part, without those of which a pixel-identical copy carries
    another label. FerError if the run has no such model or its ``samples.csv`` lacks the flags.
    """
    import pandas as pd

    scores, rows = answers.scores([run], model), []
    parts = {"all test images": None, "without twins in training": "twin_in_training"}
    for name, flag in (parts | {"without conflicting labels": "conflicting_label"}).items():
        if flag and flag not in scores.tables[0]:
            raise FerError(f"samples.csv of {answers.name(run)} has no column {flag!r}; run it again.")
        kept = scores.where(lambda table, flag=flag: ~table[flag].astype(bool)) if flag else scores
        found = kept.mean()
        rows.append((name, found.n, found.ours, found.low, found.high))
    return pd.DataFrame(rows, columns=["subset", "n", "accuracy", "low", "high"])
