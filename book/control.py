"""The positive control's verdict, from its runs."""

from __future__ import annotations

from collections.abc import Sequence

from about_runs import run_name
from IPython.display import HTML
from markup import NOT_RUN, Long, interval, table, with_note

from fer_lib.evidence.runs import Run
from fer_lib.judge import answers, convergence, verdicts
from fer_lib.papers.control import published

MODEL = "mini-Xception"


def verdicts_of(shown: Sequence[Run]) -> HTML:
    """Show the published figure beside ours, a line per budget, with the seeds of a budget together."""
    rows = []
    for budget in dict.fromkeys(run.budget for run in shown):
        members = [run for run in shown if run.budget == budget]
        found = answers.scores(members, MODEL).mean()
        verdict = verdicts.figure(
            *(published.ACCURACY, found.ours, found.low, found.high, published.TOLERANCE),
            tested=found.n,
            same_samples=True,
            seeds=len(members),
        )
        objections = convergence.objections(members, [MODEL])
        name = "not judged" if objections else verdict.name
        rows.append(
            {
                "Runs": ", ".join(run_name(run) for run in members),
                "Published (%)": published.ACCURACY,
                "Ours (%) [95 %]": interval(found.ours, found.low, found.high),
                "Verdict": with_note(name, "; ".join(objections) or verdict.reason, Long),
            }
        )
    return table(rows, label="The positive control") if rows else NOT_RUN
