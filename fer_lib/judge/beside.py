"""What stands beside a claim that no verdict rests on, in one sentence computed from figures and evidence.

A p-value stands beside what the printed folds give; a confidence on one image beside what the same
interference does to all test images; a printed accuracy that cannot be is said to be so.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from fer_lib.evidence.runs import Run
from fer_lib.judge import answers, forensics, significance


def beside(claim: dict[str, Any], runs: list[Run]) -> str:
    """Return the sentence for a claim; "" where there is nothing to add.

    Parameters
    ----------
    claim
        A row of :func:`fer_lib.claims.frame`.
    runs
        Those that it is set against, which differ in nothing but their seed; may be empty.
    """
    if claim["metric"] == "p_value":
        return _folds(claim) + _other_tests(claim, runs)
    if claim["metric"] == "confidence":
        return _interference(claim, runs[0]) if runs else ""
    return _impossible(claim["paper"]).get(claim["id"], "")


def _folds(claim: dict[str, Any]) -> str:
    """Say what the folds that the paper prints give, by each test."""
    found = _printed(claim["paper"])[claim["id"]]
    values = ", ".join(f"{found[key]:.2g} ({test})" for key, test in significance.TESTS.items())
    return f"The folds as printed give {values}."


def _other_tests(claim: dict[str, Any], runs: list[Run]) -> str:
    """Say what the tests that the paper did not use give on our folds."""
    if not runs:
        return ""
    try:
        found = answers.p_values(claim, runs)
    except answers.NotComparableError:
        return ""
    others = [key for key in significance.TESTS if key != "one_sided"]
    values = ", ".join(f"{found[key]:.2g} ({significance.TESTS[key]})" for key in others)
    return f" Our {found['folds']} folds give {values}."


def _interference(claim: dict[str, Any], run: Run) -> str:
    """Say how right a model is on all test images under the condition of a figure's image."""
    frame = run.table("robustness")
    if frame.empty:
        return ""
    mine = frame[frame["model"] == claim["model"]]
    if claim["condition"] == "original":
        calm, what = mine[mine["severity"] == 0], "undisturbed"
    else:
        calm = mine[mine["condition"] == claim["condition"]].sort_values("severity")
        what = f"under {claim['condition'].replace('_', ' ')} at the strongest setting"
    if calm.empty:
        return ""
    row = calm.iloc[-1]
    accuracy, low, high = (100 * row[part] for part in ("accuracy", "low", "high"))
    seen = f"the {int(row['n']):,} test images with a face of {answers.name(run)}"
    return f"On {seen}, {what}, {claim['model']} is right in {accuracy:.1f} % [{low:.1f}, {high:.1f}]."


@cache
def _printed(paper: str) -> dict[str, dict[str, Any]]:
    return significance.printed(paper).set_index("id").to_dict("index")


@cache
def _impossible(paper: str) -> dict[str, str]:
    """Return, by claim, what arithmetic says against a printed figure."""
    said = {}
    for row in forensics.fractions(paper).to_dict("records"):
        if not row["fits"]:
            said[row["id"]] = f"No number of right answers among {row['n']:,} gives the printed figure."
    for row in forensics.averages(paper).to_dict("records"):
        if not row["agrees"]:
            said[row["id"]] = (
                f"The class accuracies printed with it average {row['class_mean']:.2f}, or "
                f"{row['weighted']:.2f} by their images."
            )
    for row in forensics.chains(paper).to_dict("records"):
        if not row["agrees"]:
            said[row["id"]] = f"Two other printed differences imply {row['implied']:+.3f}."
    for row in forensics.differences(paper).to_dict("records"):
        if not row["agrees"]:
            gaps = (row["from_accuracies"], row["from_class_means"], row["from_weighted_classes"])
            given = " or ".join(f"{gap:+.2f}" for gap in gaps if gap == gap)
            said[row["id"]] = f"The tables give {given}. {said.get(row['id'], '')}".strip()
    return said
