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
    """The N images of PrivateTest: str ids, int64 labels into the seven ``classes``, int64 votes (N, 7).

    ``cast`` (N,) counts all votes, with those for contempt, unknown and no face.
    """

    ids: np.ndarray
    labels: np.ndarray
    classes: tuple[str, ...]
    votes: np.ndarray
    cast: np.ndarray

    def one_rater(self) -> np.ndarray:
        """Return the share of all votes that the label has, float64 (N,): how often one person agrees."""
        return self.votes[np.arange(len(self.labels)), self.labels] / self.cast

    def majority(self) -> np.ndarray:
        """Return how far the most votes among the seven go to the label, float64 (N,).

        1 or 0, or a share where several expressions tie for the most; 0 where none has a vote.
        """
        most = (self.votes == self.votes.max(1, keepdims=True)) & (self.votes > 0)
        return most[np.arange(len(self.labels)), self.labels] / np.maximum(most.sum(1), 1)

    def clear(self) -> np.ndarray:
        """Return on which images at least :data:`AGREED` votes are for one expression, bool (N,)."""
        return self.votes.max(1) >= AGREED


def file() -> Path:
    """Return where the votes lie."""
    return repository() / "results/data/fer2013/people.npz"


def load() -> People | None:
    """Read the votes on PrivateTest; None where they were not recorded."""
    if not file().is_file():
        return None
    kept = arrays(file())
    here = kept["parts"] == "private_test"
    classes, columns = tuple(kept["classes"].tolist()), kept["columns"].tolist()
    votes, labels = (kept[name][here].astype(np.int64) for name in ("votes", "labels"))
    of_classes = votes[:, [columns.index(name) for name in classes]]
    return People(kept["ids"][here], labels, classes, of_classes, votes.sum(1))


def shares(people: People, values: np.ndarray) -> dict[str, tuple[float, float, float]]:
    """Return mean and 95 % interval of ``values`` (N,) in per cent, over all images and by class."""
    parts = {"all": np.ones(len(values), bool)}
    parts |= {name: people.labels == i for i, name in enumerate(people.classes)}
    found = {}
    for name, here in parts.items():
        if here.any():
            low, high = metrics.interval(values[here], people.ids[here])
            found[name] = 100 * float(values[here].mean()), 100 * low, 100 * high
    return found


def beside(people: People, run: Run, model: str) -> dict[str, float]:
    """Return how one network stands to labels and raters, in per cent.

    ``clear`` and ``unclear`` are its accuracy on images on which raters agree and on all others. Where most
    raters name one expression and the label another, ``theirs`` is how often the network names that of the
    raters, ``label`` how often the label's.
    """
    rows = run.predictions(model)
    _, here, there = np.intersect1d(people.ids, rows["ids"], return_indices=True)
    said, labels, clear = rows["probabilities"].argmax(1)[there], people.labels[here], people.clear()[here]
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
