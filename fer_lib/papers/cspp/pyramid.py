"""Spatial pyramid pooling: a fixed number of features from a feature map of any size."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fer_lib.errors import FerError, one_of

POOLS = {"max": (F.max_pool2d, F.adaptive_max_pool2d), "average": (F.avg_pool2d, F.adaptive_avg_pool2d)}


class SpatialPyramidPooling(nn.Module):
    """Divide a feature map into 3x3, 2x2 and 1x1 cells (say) and pool each cell (He et al., 2014).

    Cell ``i`` of ``n`` along a side of ``s`` pixels runs from ``floor(i s / n)`` to ``ceil((i + 1) s / n)``.
    Where ``n`` divides ``s`` these are the non-overlapping steps ``s / n`` of the paper's Fig. 5; elsewhere,
    also where ``n`` exceeds ``s``, cells overlap, and no pixel is left out.

    Parameters
    ----------
    levels : sequence of int
        Cells per side, one pooling each.
    pool : {"max", "average"}
    """

    def __init__(self, levels: Sequence[int] = (3, 2, 1), pool: str = "max") -> None:
        super().__init__()
        one_of(pool, POOLS, "spp_pool")
        if not levels or min(levels) < 1:
            raise FerError(f"A pyramid needs levels of at least one cell per side, not {tuple(levels)}.")
        self.levels, self.pool = tuple(levels), pool

    @property
    def cells(self) -> int:
        """Features per channel: 14 for levels 3, 2 and 1."""
        return sum(level**2 for level in self.levels)

    def forward(self, x: Tensor) -> Tensor:
        """Return ``(B, cells * C)`` from a map ``(B, C, H, W)`` of any size, level after level."""
        return torch.cat([self._level(x, n).flatten(1) for n in self.levels], dim=1)

    def _level(self, x: Tensor, n: int) -> Tensor:
        """Return ``(B, C, n, n)``."""
        steps, adaptive = POOLS[self.pool]
        height, width = x.shape[2:]
        if height % n == 0 and width % n == 0:
            # The same cells, but on a GPU the adaptive pool's gradient differs from run to run.
            return steps(x, (height // n, width // n))
        return adaptive(x, n)

    def extra_repr(self) -> str:
        """Return what ``print(model)`` shows."""
        return f"levels={self.levels}, pool={self.pool!r}"
