"""Train one network on one fold as a unit of work that survives a kill.

Each finished unit is kept in a :class:`fer_lib.files.UnitFolder`; the one under way resumes from its
checkpoint.
"""

from __future__ import annotations

import json
import time
import zlib
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from torch import nn

from fer_lib import progress
from fer_lib.files import UnitFolder, arrays, atomic, write_json
from fer_lib.learn.normalisation import Normalisation
from fer_lib.learn.precision import Precision, decide
from fer_lib.learn.recipes import Loss, cross_entropy
from fer_lib.learn.training import Feed, ImageFeed, Part, Recipe, channels_last, fit, predict, real_batch

UNTRAINED = Precision("fp32", "no network was trained")


@dataclass(frozen=True)
class Outcome:
    """What one network trained on one fold leaves.

    ``test`` and ``validation`` are softmax probabilities ``(N, C)`` float32, empty without that part.
    ``curves`` are the rows that :func:`fit` returned, and in the last one ``known_accuracy``: that on the
    training images as the network is tested, without dropout and augmentation (NaN in the others).
    ``weights`` is where they are kept while the run is under way, if that was asked for; a recorder puts them
    beside the run's evidence.
    """

    test: np.ndarray
    validation: np.ndarray
    curves: list[dict[str, float]]
    weights: Path | None
    precision: Precision = UNTRAINED


def train_unit(
    store: UnitFolder,
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

    ``store`` is such as a :class:`fer_lib.evidence.recorder.Recorder`. ``unit`` names this piece of work;
    with ``seed`` it determines initial weights and order of batches. ``make`` builds the network, once the
    random state is set. ``parts`` are training, validation (or None) and test part. ``normalisation`` is a
    mode of :meth:`fer_lib.learn.normalisation.Normalisation.fit` on the training part, ``feed`` and ``loss``
    are as in :func:`fer_lib.learn.training.fit`: a feed normalises by itself, and ``statistics`` are what it
    has learnt of the training part, kept with the weights. ``score_epochs`` says whether the curves hold
    validation and test accuracy after every epoch, which takes most of the time where the training part is
    small.
    """
    train, validation, test = parts
    weights = store.checkpoint(f"{unit}.weights.pt") if keep_weights else None
    held = None if (path := store.unit(unit)) is None else arrays(path)
    if held is not None and _sound(held) and (weights is None or weights.exists()):
        progress.trained(None)
        rows = [dict(zip(held["columns"].tolist(), row, strict=True)) for row in held["curves"].tolist()]
        said = Precision(**json.loads(str(held["precision"])))
        return Outcome(held["test"], held["validation"], rows, weights, said)
    began = time.monotonic()
    own_seed = zlib.crc32(f"{seed}/{unit}".encode())
    torch.manual_seed(own_seed)
    model = channels_last(make(), train.images.device)
    if feed is None:
        normalise = Normalisation.fit(train.images, normalisation)
        feed, statistics = ImageFeed(normalise, recipe.augmentation), normalise.statistics
    loss = loss or cross_entropy(recipe.true_class_target)
    decided = store.checkpoint(f"{unit}.precision.json")  # what is resumed goes on in what it began in
    try:
        precision = Precision(**json.loads(decided.read_text("utf-8")))
    except (OSError, ValueError, TypeError):
        precision = decide(model, real_batch(model, train, recipe, feed), loss, recipe, unit)
        write_json(decided, asdict(precision))
    scored_on = {"validation": validation, "test": test}
    if not score_epochs:
        scored_on = {name: part for name, part in scored_on.items() if recipe.checkpoint == f"best_{name}"}
    options = {"feed": feed, "loss": loss, **scored_on, "seed": own_seed, "precision": precision}
    checkpoint = store.checkpoint(f"{unit}.pt")
    rows = fit(model, train, recipe, **options, checkpoint=checkpoint, label=unit)
    once = train
    if len(train.labels) != len(train):  # a part that makes several samples of each image
        once = train.take(torch.arange(len(train.labels), device=train.labels.device))
    tested, validated, known = (
        predict(model, part, feed, precision=precision.name) if part else np.empty((0, 0), np.float32)
        for part in (test, validation, once)
    )
    rows = [row | {"known_accuracy": float("nan")} for row in rows]
    rows[-1]["known_accuracy"] = float((known.argmax(1) == train.labels.cpu().numpy()).mean())
    if weights is not None:
        with atomic(weights) as temporary:
            torch.save({"weights": model.state_dict(), "statistics": dict(statistics or {})}, temporary)
    table = {"columns": np.array(list(rows[0])), "curves": [[*row.values()] for row in rows]}
    said = json.dumps(asdict(precision))
    store.finish_unit(unit, test=tested, validation=validated, **table, precision=said)
    progress.trained(time.monotonic() - began)
    return Outcome(tested, validated, rows, weights, precision)


def _sound(held: Mapping[str, np.ndarray]) -> bool:
    """Return whether a unit holds probabilities; one that does not is made again."""
    parts = [part for part in (held["test"], held["validation"]) if part.size]
    return all(np.isfinite(part).all() and np.allclose(part.sum(1), 1, atol=0.01) for part in parts)


def read_weights(path: Path, what: str = "weights") -> dict[str, torch.Tensor]:
    """Read the weights that :func:`train_unit` kept, on the CPU, never unpickling objects.

    ``what="statistics"`` are those of the training part by which inputs are normalised: ``mean`` and ``std``
    of grey levels and ``mean_face``, as far as the network's inputs need them.
    """
    return torch.load(path, map_location="cpu", weights_only=True)[what]
