"""What ten people said of FER2013's test images (the votes of FER+), beside labels, claims and networks.

FER2013's labels come from image searches, corrected once. For FER+ ten people looked at every image anew. A
network that agrees with the labels more often than those people do has learnt how the labels were given.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from fer_lib.evidence.provenance import repository
from fer_lib.evidence.runs import Run
from fer_lib.files import arrays
from fer_lib.learn import metrics

AGREED = 8  # votes of ten that make an image clear


@dataclass(frozen=True, eq=False)
class People:
    """The N test images of one part, with their labels and votes.

    Attributes
    ----------
    ids : str (N,)
    labels : int64 (N,)
        Of FER2013, into ``classes``.
    classes : tuple of str
        The seven expressions.
    votes : int64 (N, 7)
        For those expressions.
    cast : int64 (N,)
        All votes, with those for contempt, unknown and no face.
    """

    ids: np.ndarray
    labels: np.ndarray
    classes: tuple[str, ...]
    votes: np.ndarray
    cast: np.ndarray

    def one_rater(self) -> np.ndarray:
        """Return the share of all votes that the label has, float64 (N,): how often one person agrees."""
        return np.take_along_axis(self.votes, self.labels[:, None], 1)[:, 0] / self.cast

    def majority(self) -> np.ndarray:
        """Return how far the most votes among the seven go to the label, float64 (N,).

        1 or 0, or a share where several expressions tie for the most; 0 where none has a vote.
        """
        most = (self.votes == self.votes.max(1, keepdims=True)) & (self.votes > 0)
        right = np.take_along_axis(most, self.labels[:, None], 1)[:, 0]
        return right / np.maximum(most.sum(1), 1)

    def clear(self) -> np.ndarray:
        """Return on which images at least :data:`AGREED` votes are for one expression, bool (N,)."""
        return self.votes.max(1) >= AGREED


def file() -> Path:
    """Return where the votes lie."""
    return repository() / "results" / "data" / "fer2013" / "people.npz"


def load(part: str = "private_test") -> People | None:
    """Read the votes of one part of FER2013; None where they were not recorded."""
    if not file().is_file():
        return None
    kept = arrays(file())
    here = kept["parts"] == part
    classes = tuple(kept["classes"].tolist())
    columns = [kept["columns"].tolist().index(name) for name in classes]
    votes = kept["votes"][here].astype(np.int64)
    labels = kept["labels"][here].astype(np.int64)
    return People(kept["ids"][here], labels, classes, votes[:, columns], votes.sum(1))


def shares(people: People, values: np.ndarray) -> dict[str, tuple[float, float, float]]:
    """Return mean and 95 % interval of ``values`` (N,) in per cent, over all images and by class."""
    parts = {"all": np.ones(len(values), bool)}
    parts |= {name: people.labels == i for i, name in enumerate(people.classes)}
    return {
        name: (
            100 * float(values[here].mean()),
            *(100 * bound for bound in metrics.interval(values[here], people.ids[here])),
        )
        for name, here in parts.items()
        if here.any()
    }


def beside(people: People, run: Run, model: str) -> dict[str, float]:
    """Return how one network stands to labels and raters, in per cent.

    Returns
    -------
    dict
        ``clear`` and ``unclear``: accuracy on images on which raters agree and on all others. ``theirs`` and
        ``label``: where most raters name one expression and the label another, how often the network names
        that of the raters, and how often the label's.
    """
    rows = run.predictions(model)
    place = {name: i for i, name in enumerate(people.ids.tolist())}
    found = np.array([place.get(name, -1) for name in rows["ids"].tolist()])
    said, here = rows["probabilities"].argmax(1)[found >= 0], found[found >= 0]
    labels, clear = people.labels[here], people.clear()[here]
    votes = people.votes[here]
    favourite = votes.argmax(1)
    differ = (2 * votes.max(1) > people.cast[here]) & (favourite != labels)
    values = {
        "clear": (said == labels)[clear],
        "unclear": (said == labels)[~clear],
        "theirs": (said == favourite)[differ],
        "label": (said == labels)[differ],
    }
    return {name: 100 * float(value.mean()) if len(value) else np.nan for name, value in values.items()}
