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

Loss = Callable[[Any, Tensor], tuple[Tensor, Tensor]]
"""(a model's output, labels) -> (scalar loss, logits (B, C))."""

Augment = Callable[[Tensor], tuple[Tensor, Any]]
"""Float images (B, C, H, W) -> (each changed at random, what was done to them)."""


@dataclass(frozen=True)
class Recipe:
    """How a network is trained; ``sources`` names the section each value comes from.

    An epoch visits every training image once. ``betas`` and ``eps`` are Adam's, ``momentum`` is SGD's;
    ``weight_decay`` is added to the gradient of all weights without a penalty of their own.
    ``learning_rates`` has one rate per epoch in place of ``lr``; the last one holds for all further epochs.
    ``true_class_target`` is the probability that the target gives the true class, the others sharing the rest
    equally (a framework's ``label_smoothing=s`` gives the true class ``1 - s + s / C``). ``lookahead`` are k
    and alpha of :class:`Lookahead`. ``augmentation`` is drawn anew for every image and epoch. ``precision``
    ``auto`` takes bf16 where this machine computes it right (:mod:`fer_lib.learn.precision`). With
    ``patience``, training ends once more than 99 % of the training images are right and that many epochs have
    brought no better validation accuracy. ``checkpoint`` says of which epoch the weights are kept;
    ``best_test`` selects on the test part and exists only because papers do it. FerError for an unknown
    choice, or a number out of its range.
    """

    epochs: int
    batch_size: int = 128
    lr: float = 1e-3
    betas: tuple[float, float] = (0.9, 0.999)
    eps: float = 1e-8
    optimiser: str = "adam"  # or sgd
    momentum: float = 0.9
    weight_decay: float = 0.0
    learning_rates: tuple[float, ...] | None = None
    true_class_target: float | None = None
    lookahead: tuple[int, float] | None = None
    augmentation: Augment | None = None
    precision: str = "auto"  # bf16, fp32
    patience: int = 0
    checkpoint: str = "last"  # best_validation, best_test
    sources: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        one_of(self.checkpoint, ("last", "best_validation", "best_test"), "checkpoint")
        one_of(self.precision, ("auto", "bf16", "fp32"), "precision")
        one_of(self.optimiser, ("adam", "sgd"), "optimiser")
        if self.epochs < 1 or self.batch_size < 1:
            raise FerError(f"epochs={self.epochs} and batch_size={self.batch_size} must both be at least 1.")

    def learning_rate(self, epoch: int) -> float:
        """Return the rate of an epoch, counted from 0."""
        if not self.learning_rates:
            return self.lr
        return self.learning_rates[min(epoch, len(self.learning_rates) - 1)]

    def describe(self) -> dict[str, object]:
        """Return what was used of the recipe as plain data for the evidence."""
        unused = {"momentum"} if self.optimiser == "adam" else {"betas", "eps"}
        unused |= {"lr"} if self.learning_rates else set()
        optional = {"learning_rates", "true_class_target", "lookahead", "patience"}
        return {
            name: value
            for name, value in asdict(self).items()
            if name not in unused and (value or name not in optional)
        }


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


def one_cycle(epochs: int) -> tuple[float, ...]:
    """Return rates per epoch: up to 0.03 in a fifth, down by a cosine, 3e-4 for the last quarter.

    In that quarter a network that has converged no longer changes.
    """
    peak, lowest = 0.03, 3e-4
    rise, hold = max(1, round(0.2 * epochs)), epochs // 4
    fall = epochs - rise - hold
    rates = [peak * (i + 1) / rise for i in range(rise)]
    rates += [max(lowest, peak * (1 + cos(pi * i / fall)) / 2) for i in range(1, fall + 1)] + [lowest] * hold
    return tuple(float(f"{rate:.6g}") for rate in rates)


class Lookahead:
    """An optimiser around another: every k steps, slow weights go a part alpha of the way after it.

    Zhang et al., "Lookahead Optimizer", 2019 (paper ``cnn3d``, Sect. 3.3). The inner optimiser keeps its own
    moments when the weights step back; between two synchronisations the model holds fast weights.
    """

    def __init__(self, inner: torch.optim.Optimizer, k: int, alpha: float) -> None:
        self.inner, self.k, self.alpha, self.steps = inner, k, alpha, 0
        self.zero_grad = inner.zero_grad
        self.slow = [weights.detach().clone() for weights in self._fast()]

    @property
    def param_groups(self) -> list[dict[str, Any]]:
        """The inner optimiser's parameter groups."""
        return self.inner.param_groups

    def _fast(self) -> list[Tensor]:
        return [weights for group in self.param_groups for weights in group["params"]]

    @torch.no_grad()
    def step(self) -> None:
        """Take a fast step; after every k-th, move the slow weights and put the model there."""
        self.inner.step()
        self.steps += 1
        if self.steps % self.k == 0:
            fast = self._fast()
            torch._foreach_lerp_(self.slow, fast, self.alpha)
            torch._foreach_copy_(fast, self.slow)

    def state_dict(self) -> dict[str, Any]:
        """Return the inner state, the slow weights and the number of steps, to go on from."""
        return {"inner": self.inner.state_dict(), "slow": self.slow, "steps": self.steps}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from what :meth:`state_dict` returned; the model's weights are restored with the model."""
        self.inner.load_state_dict(state["inner"])
        torch._foreach_copy_(self.slow, state["slow"])
        self.steps = state["steps"]


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
    """Return the categorical cross-entropy against targets that may give the other classes a share."""

    def loss(logits: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        logits, smoothing = logits.float(), 0.0
        if true_class_target is not None:  # target t for the true one of C classes: t = 1 - s + s / C
            n = logits.shape[1]
            smoothing = (1 - true_class_target) * n / (n - 1)
        return F.cross_entropy(logits, labels, label_smoothing=smoothing), logits

    return loss
