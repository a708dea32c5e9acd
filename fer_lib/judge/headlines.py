"""A paper's own accuracies, as printed and as our best runs have them: what its charts show."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from fer_lib import claims
from fer_lib.claims import Claim
from fer_lib.evidence.runs import Run
from fer_lib.judge.answers import Answer
from fer_lib.judge.judgement import best, groups, judgements

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
    runs, printed = list(runs), claims.load(paper).claims
    found: dict[tuple[str, str], Claim] = {}
    for claim in printed:
        if claim.role == "method" and _is_whole(claim) and claim.same_as is None:
            found.setdefault((claim.dataset, claim.protocol), claim)
    if found:
        return [_beside(claim, runs) for claim in found.values()]
    parts = (per_class(paper, name, runs) for name in dict.fromkeys(claim.dataset for claim in printed))
    return [_mean(classes) for classes in parts if len(classes) >= 6]


def per_class(paper: str, dataset: str, runs: Iterable[Run]) -> list[Headline]:
    """Return the accuracies of single expressions that a paper prints of its own method on a dataset."""
    runs, found = list(runs), {}
    for claim in claims.load(paper).claims:
        if claim.role == "method" and claim.metric == "class_accuracy" and claim.dataset == dataset:
            found.setdefault(claim.expression, claim)
    return [_beside(claim, runs) for claim in found.values()]


def _is_whole(claim: Claim) -> bool:
    """Whether a claim is of an accuracy over a whole test set of the corpus that was trained on."""
    narrowed = (claim.expression, claim.fold, claim.train_dataset)
    return claim.metric == "accuracy" and narrowed == (None, None, None)


def _beside(claim: Claim, runs: Iterable[Run]) -> Headline:
    """Return a claim beside the runs that may judge it, else those at the highest budget."""
    own = groups(run for run in runs if run.paper == claim.paper and not run.variant)
    found = best(judgements(claim, own))
    return Headline(claim, claim.value, found.answer, found.how == "running")


def _mean(parts: list[Headline]) -> Headline:
    """Return the mean of the classes of a dataset."""
    answer = None
    if all(part.answer for part in parts):
        ours = sum(part.answer.ours for part in parts) / len(parts)
        answer = Answer(ours, np.nan, np.nan, sum(part.answer.n for part in parts))
    claimed = sum(part.claimed for part in parts) / len(parts)
    return Headline(parts[0].claim, claimed, answer, all(part.certified for part in parts), mean=True)


def levels(curves: pd.DataFrame, paper: str, dataset: str, labels: np.ndarray) -> pd.DataFrame:
    """Return learning curves with what their accuracies are read against, as fractions.

    ``claimed`` is the overall accuracy that the paper prints of a network on the corpus, the first of several
    protocols (NaN without one); ``majority`` is the share of the commonest of the test ``labels``.
    """
    printed: dict[str, float] = {}
    for claim in claims.load(paper).claims if paper in claims.PAPERS else ():
        if _is_whole(claim) and claim.role != "quoted" and claim.corpus == dataset:
            printed.setdefault(claim.model, claim.value / 100)
    majority = np.bincount(labels).max() / len(labels)
    return curves.assign(claimed=curves["model"].map(printed), majority=majority)
