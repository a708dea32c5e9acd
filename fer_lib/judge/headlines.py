"""A paper's own accuracies, as printed and as our best runs have them: what its charts show."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from fer_lib import claims
from fer_lib.claims import Claim
from fer_lib.evidence.runs import BUDGETS, Run
from fer_lib.judge import answers
from fer_lib.judge.answers import Answer
from fer_lib.judge.judgement import judge

if TYPE_CHECKING:
    import pandas as pd


class Headline(NamedTuple):
    """A printed accuracy beside ours, in per cent.

    ``answer`` is None without a run; ``certified`` says whether its runs may judge the claim. A ``mean`` is
    of the classes of a dataset: ``claim`` is then that of the first class, ``claimed`` the mean.
    """

    claim: Claim
    claimed: float
    answer: Answer | None
    certified: bool
    mean: bool = False


def overall(paper: str, runs: Iterable[Run]) -> list[Headline]:
    """Return the accuracies of a paper's own method, one for each dataset and protocol.

    Of a paper that prints single classes only, they are the means of these.
    """
    found: dict[tuple[str, str], Claim] = {}
    for claim in claims.load(paper).claims:
        own = claim.role == "method" and claim.metric == "accuracy" and claim.train_dataset is None
        if own and claim.expression is None and claim.fold is None and claim.same_as is None:
            found.setdefault((claim.dataset, claim.protocol), claim)
    runs = list(runs)
    datasets = dict.fromkeys(claim.dataset for claim in claims.load(paper).claims)
    means = (_mean(per_class(paper, dataset, runs)) for dataset in datasets if not found)
    return [beside(claim, runs) for claim in found.values()] or [mean for mean in means if mean]


def per_class(paper: str, dataset: str, runs: Iterable[Run]) -> list[Headline]:
    """Return the accuracies of single expressions that a paper prints of its own method on a dataset."""
    found: dict[str, Claim] = {}
    for claim in claims.load(paper).claims:
        if claim.role == "method" and claim.metric == "class_accuracy" and claim.dataset == dataset:
            found.setdefault(claim.expression, claim)
    runs = list(runs)
    return [beside(claim, runs) for claim in found.values()]


def beside(claim: Claim, runs: Iterable[Run]) -> Headline:
    """Return a claim beside the runs that may judge it, else those at the highest budget."""
    there = [run for run in runs if (run.paper, run.dataset) == (claim.paper, claim.home) and not run.variant]
    groups = [[run for run in there if run.budget == budget] for budget in reversed(BUDGETS)]
    groups = [group for group in groups if group]
    judged = [group for group in groups if judge(claim, group).how == "running"]
    for group in (judged or groups)[:1]:
        try:
            answer = answers.measure(claim, group)
        except answers.NotComparableError:
            break
        return Headline(claim, claim.value, answer if answer.n else None, bool(judged))
    return Headline(claim, claim.value, None, False)


def levels(curves: pd.DataFrame, paper: str, dataset: str, labels: np.ndarray) -> pd.DataFrame:
    """Return learning curves with what their accuracies are read against, as fractions.

    ``claimed`` is the overall accuracy that the paper prints of a network on the corpus, the first of several
    protocols (NaN without one); ``majority`` is the share of the commonest of the test ``labels``.
    """
    printed: dict[str, float] = {}
    for claim in claims.load(paper).claims if paper in claims.PAPERS else ():
        whole = claim.expression is None and claim.fold is None and claim.train_dataset is None
        if claim.metric == "accuracy" and claim.role != "quoted" and claim.corpus == dataset and whole:
            printed.setdefault(claim.model, claim.value / 100)
    majority = np.bincount(labels).max() / len(labels)
    return curves.assign(claimed=curves["model"].map(printed), majority=majority)


def _mean(parts: list[Headline]) -> Headline | None:
    """Return the mean of the classes of a dataset; None of fewer than six."""
    if len(parts) < 6:
        return None
    answer = None
    if all(part.answer for part in parts):
        ours = sum(part.answer.ours for part in parts) / len(parts)
        answer = Answer(ours, float("nan"), float("nan"), sum(part.answer.n for part in parts))
    claimed = sum(part.claimed for part in parts) / len(parts)
    return Headline(parts[0].claim, claimed, answer, all(part.certified for part in parts), mean=True)
