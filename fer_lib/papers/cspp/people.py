"""Do features know the person or the expression? A vote of the nearest neighbours in them."""

from __future__ import annotations

import numpy as np
import pandas as pd

from fer_lib.errors import FerError
from fer_lib.learn import embeddings

EXPRESSION, PERSON = "expression, from other people", "person, from other expressions"


def neighbours(features: dict[str, np.ndarray], labels: np.ndarray, people: np.ndarray) -> pd.DataFrame:
    """Return how often five neighbours name the expression and the person, in per cent, and chance.

    ``features`` are float (N, D) by what they are called, ``labels`` and ``people`` int (N,). For the
    expression only other people's images vote, for the person only images of other expressions. Chance is
    the share of the most frequent class or person. A figure is NaN where a single person leaves nothing to
    ask, or there are too few images.
    """
    asked = {EXPRESSION: (labels, people), PERSON: (people, labels)}
    rows = [
        {"features": name} | {what: _vote(values, *codes) for what, codes in asked.items()}
        for name, values in features.items()
    ]
    alone = len(np.unique(people)) < 2
    chance = {
        what: np.nan if alone else 100 * np.bincount(codes).max() / len(codes)
        for what, (codes, _) in asked.items()
    }
    return pd.DataFrame([*rows, {"features": "chance"} | chance])


def _vote(features: np.ndarray, codes: np.ndarray, groups: np.ndarray) -> float:
    if min(len(np.unique(codes)), len(np.unique(groups))) < 2:
        return np.nan
    try:
        return 100 * embeddings.knn_accuracy(embeddings.prepare(features), codes, groups=groups)
    except FerError:
        return np.nan
