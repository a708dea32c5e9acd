"""Train one network on one fold as a unit of work that survives a kill.

A run is many units (networks x folds). Each finished unit is kept by a :class:`Store`; the one under way
resumes from its checkpoint.
"""

from __future__ import annotations

import json
import time
import zlib
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from torch import nn

from fer_lib import progress
from fer_lib.files import arrays, atomic, write_json
from fer_lib.learn.normalisation import Normalisation
from fer_lib.learn.precision import Batch, Precision, decide
from fer_lib.learn.recipes import Loss, cross_entropy
from fer_lib.learn.training import Feed, ImageFeed, Part, Recipe, channels_last, fit, predict, real_batch


class Store(Protocol):
    """Where finished units and checkpoints survive a kill, such as ``UnitFolder``."""

    def unit(self, name: str) -> Path | None:
        """Return the ``.npz`` of a finished unit, or None."""

    def finish_unit(self, name: str, **values: Any) -> Path:
        """Store a finished unit's arrays."""

    def checkpoint(self, name: str) -> Path:
        """Return a path for weights or a checkpoint."""


UNKNOWN = Precision("unknown", "trained before this was kept")


@dataclass(frozen=True)
class Outcome:
    """What one network trained on one fold leaves.

    Attributes
    ----------
    test, validation : ndarray
        Softmax probabilities ``(N, C)`` float32; ``validation`` is empty without that part.
    curves : list of dict
        The rows that :func:`fit` returned, and in the last one ``known_accuracy``: that on the training
        images as the network is tested, without dropout and augmentation (NaN in the others).
    weights : Path or None
        Where the weights are kept while the run is under way, if that was asked for; a recorder puts them
        beside the run's evidence.
    precision : Precision
        What the network was trained in, and why.
    """

    test: np.ndarray
    validation: np.ndarray
    curves: list[dict[str, float]]
    weights: Path | None
    precision: Precision = UNKNOWN


def train_unit(
    store: Store,
    unit: str,
    make: Callable[[], nn.Module],
    parts: tuple[Part, Part | None, Part],
    recipe: Recipe,
    *,
    normalisation: str = "image",
    feed: Feed | None = None,
    loss: Loss | None = None,
    seed: int = 0,
    keep_weights: bool = False,
    statistics: Mapping[str, torch.Tensor] | None = None,
    score_epochs: bool = True,
) -> Outcome:
    """Train one network on one fold, or return what ``store`` already holds of it.

    Parameters
    ----------
    unit
        Name of this piece of work; with ``seed`` it determines initial weights and order of batches.
    make
        Builds the network; called after the random state is set.
    parts
        Training, validation (or None) and test part.
    normalisation
        See :meth:`fer_lib.learn.normalisation.Normalisation.fit`; statistics come from the training part.
    feed, loss
        See :func:`fer_lib.learn.training.fit`; a feed normalises by itself.
    statistics
        What a feed of one's own has learnt of the training part, to be kept with the weights.
    score_epochs
        Whether the curves hold validation and test accuracy after every epoch. Where the training part
        is much smaller than the test part, scoring every epoch would take most of the time.
    """
    train, validation, test = parts
    weights = store.checkpoint(f"{unit}.weights.pt") if keep_weights else None
    if (done := _finished(store, unit, weights)) is not None:
        progress.trained(None)
        return done
    began = time.monotonic()
    own_seed = zlib.crc32(f"{seed}/{unit}".encode())
    torch.manual_seed(own_seed)
    model = channels_last(make(), train.images.device)
    if feed is None:
        normalise = Normalisation.fit(train.images, normalisation)
        feed, statistics = ImageFeed(normalise, recipe.augmentation), normalise.statistics
    loss = loss or cross_entropy(recipe.true_class_target)
    precision = _precision(store, unit, model, real_batch(model, train, recipe, feed), loss, recipe)
    scored_on = {"validation": validation, "test": test}
    if not score_epochs:
        scored_on = {name: part for name, part in scored_on.items() if recipe.checkpoint == f"best_{name}"}
    options = {"feed": feed, "loss": loss, **scored_on, "seed": own_seed, "precision": precision}
    checkpoint = store.checkpoint(f"{unit}.pt")
    rows = fit(model, train, recipe, **options, checkpoint=checkpoint, label=unit)
    scored = [
        predict(model, part, feed, precision=precision.name) if part else np.empty((0, 0), np.float32)
        for part in (test, validation, _own(train))
    ]
    known = scored[2].argmax(1) == train.labels.cpu().numpy()
    rows = [row | {"known_accuracy": float("nan")} for row in rows]
    rows[-1]["known_accuracy"] = float(known.mean())
    if weights is not None:
        with atomic(weights) as temporary:
            torch.save({"weights": model.state_dict(), "statistics": dict(statistics or {})}, temporary)
    columns = np.array(list(rows[0]))
    curves = [[*row.values()] for row in rows]
    said = json.dumps(asdict(precision))
    store.finish_unit(
        unit, test=scored[0], validation=scored[1], columns=columns, curves=curves, precision=said
    )
    progress.trained(time.monotonic() - began)
    return Outcome(scored[0], scored[1], rows, weights, precision)


def _own(train: Part) -> Part:
    """Return the training images themselves, of a part that makes several samples of each."""
    n, device = len(train.labels), train.labels.device
    return train if len(train) == n else train.take(torch.arange(n, device=device))


def _finished(store: Store, unit: str, weights: Path | None) -> Outcome | None:
    """Read a finished unit back; one that holds no probabilities is discarded, to be made again."""
    path = store.unit(unit)
    if path is None:
        return None
    a = arrays(path)
    parts = [p for p in (a["test"], a["validation"]) if p.size]
    sound = all(np.isfinite(p).all() and np.allclose(p.sum(1), 1, atol=0.01) for p in parts)
    if not sound or (weights is not None and not weights.exists()):
        path.unlink()
        return None
    rows = [dict(zip(a["columns"].tolist(), row, strict=True)) for row in a["curves"].tolist()]
    precision = Precision(**json.loads(str(a["precision"]))) if "precision" in a else UNKNOWN
    return Outcome(a["test"], a["validation"], rows, weights, precision)


def _precision(
    store: Store, unit: str, model: nn.Module, batch: Batch, loss: Loss, recipe: Recipe
) -> Precision:
    """Decide on the precision of a unit; one that is resumed goes on in what it began in."""
    path = store.checkpoint(f"{unit}.precision.json")
    with suppress(OSError, ValueError, TypeError):
        return Precision(**json.loads(path.read_text("utf-8")))
    found = decide(model, batch, loss, recipe, unit)
    write_json(path, asdict(found))
    return found


def read_weights(path: Path, what: str = "weights") -> dict[str, torch.Tensor]:
    """Read the weights that :func:`train_unit` kept, on the CPU, never unpickling objects.

    ``what="statistics"`` are those of the training part by which inputs are normalised: ``mean`` and ``std``
    of grey levels and ``mean_face``, as far as the network's inputs need them.
    """
    return torch.load(path, map_location="cpu", weights_only=True)[what]
