"""How a network is trained, as data: optimiser, rates, targets; and what torch makes of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from math import cos, pi
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fer_lib.errors import FerError, one_of
from fer_lib.learn.lookahead import Lookahead

CHECKPOINTS = ("last", "best_validation", "best_test")
OPTIMISERS = ("adam", "sgd")

Loss = Callable[[Any, Tensor], tuple[Tensor, Tensor]]
"""(a model's output, labels) -> (scalar loss, logits (B, C))."""

Augment = Callable[[Tensor], tuple[Tensor, Any]]
"""Float images (B, C, H, W) -> (each changed at random, what was done to them)."""


@dataclass(frozen=True)
class Recipe:
    """How a network is trained; ``sources`` names the section each value comes from.

    Attributes
    ----------
    epochs, batch_size, lr
        An epoch visits every training image once.
    optimiser : {"adam", "sgd"}
        ``betas`` and ``eps`` are Adam's, ``momentum`` is that of stochastic gradient descent.
    weight_decay : float
        As torch adds it to the gradient, for all weights without a penalty of their own.
    learning_rates : tuple of float or None
        One rate per epoch in place of ``lr``; the last one holds for all further epochs.
    true_class_target : float or None
        The probability that the target gives the true class, the others sharing the rest equally;
        None is 1. A framework's ``label_smoothing=s`` gives the true class ``1 - s + s / C``.
    lookahead : (int, float) or None
        k and alpha of :class:`fer_lib.learn.lookahead.Lookahead` around the optimiser.
    drop_last : bool
        Leave out the last batch of an epoch where it is not full, unless it is the only one.
    augmentation : callable or None
        See :data:`Augment`; drawn anew for every image and epoch. A dataclass, such as
        ``fer_lib.features.geometry.Augmentation``, is written into the evidence field by field.
    precision : {"auto", "bf16", "fp32"}
        ``auto`` takes bf16 where the device computes it natively.
    patience : int
        Training ends before ``epochs`` once more than 99 % of the training images are right and this many
        epochs have brought no better validation accuracy; 0 never ends early. Nothing is selected by it.
    checkpoint : {"last", "best_validation", "best_test"}
        The epoch whose weights are kept. ``best_test`` selects on the test part and exists only
        because papers do it.

    Raises
    ------
    FerError
        For an unknown choice, or a number out of its range.
    """

    epochs: int
    batch_size: int = 128
    lr: float = 1e-3
    betas: tuple[float, float] = (0.9, 0.999)
    eps: float = 1e-8
    optimiser: str = "adam"
    momentum: float = 0.9
    weight_decay: float = 0.0
    learning_rates: tuple[float, ...] | None = None
    true_class_target: float | None = None
    lookahead: tuple[int, float] | None = None
    drop_last: bool = False
    augmentation: Augment | None = None
    precision: str = "auto"
    patience: int = 0
    checkpoint: str = "last"
    sources: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        one_of(self.checkpoint, CHECKPOINTS, "checkpoint")
        one_of(self.precision, ("auto", "bf16", "fp32"), "precision")
        one_of(self.optimiser, OPTIMISERS, "optimiser")
        if self.epochs < 1 or self.batch_size < 1:
            raise FerError(f"epochs={self.epochs} and batch_size={self.batch_size} must both be at least 1.")
        if self.true_class_target is not None and not 0 < self.true_class_target <= 1:
            raise FerError(f"true_class_target={self.true_class_target} must lie in (0, 1].")

    def learning_rate(self, epoch: int) -> float:
        """Return the rate of an epoch, counted from 0."""
        if not self.learning_rates:
            return self.lr
        return self.learning_rates[min(epoch, len(self.learning_rates) - 1)]

    def describe(self) -> dict[str, object]:
        """Return what was used of the recipe as plain data for the evidence."""
        facts = asdict(self)
        for name in ("momentum",) if self.optimiser == "adam" else ("betas", "eps"):
            del facts[name]
        if self.learning_rates:
            del facts["lr"]
        for name in ("learning_rates", "true_class_target", "lookahead", "drop_last", "patience"):
            if not facts[name]:
                del facts[name]
        return facts


def falling(
    epochs: int, lr: float, *, steady: float = 0.0, lowest: float = 0.0, level: float = 0.0
) -> tuple[float, ...]:
    """Return rates per epoch: ``lr``, then along a cosine down to a part ``lowest`` of it.

    ``steady`` and ``level`` are the shares of all epochs at the two ends in which the rate stays as it is.
    """
    start = round(steady * epochs)
    steps = max(1, epochs - start - round(level * epochs))
    parts = ((1 + cos(pi * min(1.0, max(0, epoch - start) / steps))) / 2 for epoch in range(epochs))
    return tuple(float(f"{lr * (lowest + (1 - lowest) * part):.6g}") for part in parts)


def one_cycle(epochs: int, peak: float = 0.03, lowest: float = 3e-4) -> tuple[float, ...]:
    """Return rates per epoch: up to ``peak`` in a fifth, down by a cosine, ``lowest`` for the last quarter.

    In that quarter a network that has converged no longer changes.
    """
    rise, hold = max(1, round(0.2 * epochs)), epochs // 4
    fall = epochs - rise - hold
    rates = [peak * (i + 1) / rise for i in range(rise)]
    rates += [max(lowest, peak * (1 + cos(pi * i / fall)) / 2) for i in range(1, fall + 1)] + [lowest] * hold
    return tuple(float(f"{rate:.6g}") for rate in rates)


def optimiser_of(model: nn.Module, recipe: Recipe) -> torch.optim.Optimizer | Lookahead:
    """Return the recipe's optimiser over the model, with the L2 factors that the model asks for.

    A penalty of ``c * ||w||^2`` in the loss (``model.l2_penalties``: parameter's name -> c) has the
    gradient ``2 c w``, which is what ``weight_decay=2c`` adds.
    """
    penalties = getattr(model, "l2_penalties", {})
    trained = [(name, p) for name, p in model.named_parameters() if p.requires_grad]
    groups = [{"params": [p for name, p in trained if name not in penalties]}]
    groups += [
        {"params": [p], "weight_decay": 2 * penalties[name]} for name, p in trained if name in penalties
    ]
    shared = {"lr": recipe.learning_rate(0), "weight_decay": recipe.weight_decay, "fused": True}
    if recipe.optimiser == "adam":
        optimiser = torch.optim.Adam(groups, betas=recipe.betas, eps=recipe.eps, **shared)
    else:
        optimiser = torch.optim.SGD(groups, momentum=recipe.momentum, **shared)
    return Lookahead(optimiser, *recipe.lookahead) if recipe.lookahead else optimiser


def cross_entropy(true_class_target: float | None = None) -> Loss:
    """Return the categorical cross-entropy against targets that may give the other classes a share.

    Parameters
    ----------
    true_class_target : float, optional
        See :class:`Recipe`.
    """

    def loss(logits: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        logits = logits.float()
        smoothing = 0.0
        if true_class_target is not None:  # target t for the true one of C classes: t = 1 - s + s / C
            n = logits.shape[1]
            smoothing = (1 - true_class_target) * n / (n - 1)
        return F.cross_entropy(logits, labels, label_smoothing=smoothing), logits

    return loss
