"""Lookahead: every k steps of an optimiser, slow weights go part of the way after the fast ones.

Zhang, Lucas, Hinton and Ba, "Lookahead Optimizer: k steps forward, 1 step back", 2019 (paper ``cnn3d``, Sect.
3.3: k = 5, alpha = 0.5).
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from fer_lib.errors import FerError


class Lookahead:
    """An optimiser around another, which keeps its own moments when the weights step back.

    Between two synchronisations, and so perhaps at the end of an epoch, the model holds fast weights.

    Parameters
    ----------
    inner : torch.optim.Optimizer
        Takes the fast steps.
    k : int
        Fast steps per slow step, from 1.
    alpha : float
        Part of the way that the slow weights go, in (0, 1].

    Raises
    ------
    FerError
        For a number out of its range.
    """

    def __init__(self, inner: torch.optim.Optimizer, k: int = 5, alpha: float = 0.5) -> None:
        if k < 1 or not 0 < alpha <= 1:
            raise FerError(f"Lookahead needs k >= 1 and 0 < alpha <= 1; got {k} and {alpha}.")
        self.inner, self.k, self.alpha, self.steps = inner, k, alpha, 0
        self.slow = [weights.detach().clone() for weights in self._fast()]

    def _fast(self) -> list[Tensor]:
        return [weights for group in self.param_groups for weights in group["params"]]

    @property
    def param_groups(self) -> list[dict[str, Any]]:
        """The inner optimiser's parameter groups."""
        return self.inner.param_groups

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget the gradients."""
        self.inner.zero_grad(set_to_none)

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
