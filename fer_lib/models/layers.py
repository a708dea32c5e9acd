"""Layers that more than one paper's network needs, and the table of a network's layers."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class Dropout(nn.Module):
    """Dropout under the three conventions that papers mix up.

    Parameters
    ----------
    p : float
        Probability that a unit is dropped, in [0, 1].
    mode : {"inverted", "plain", "test_time"}
        ``inverted``: kept units are scaled by ``1/(1-p)`` while training, identity at test.
        ``plain``: no scaling while training, every unit is multiplied by ``1-p`` at test.
        ``test_time``: inverted dropout that stays active at test.
    """

    def __init__(self, p: float, mode: str = "inverted") -> None:
        super().__init__()
        self.p, self.mode = p, mode

    def forward(self, x: Tensor) -> Tensor:
        """Return ``x`` (any shape) with units dropped or scaled; the shape is kept."""
        if self.p == 0 or (self.mode == "inverted" and not self.training):
            return x
        if self.mode == "plain":
            return x * _kept(x, self.p) if self.training else x * (1 - self.p)
        if x.device.type == "cpu" and 0 < self.p < 1:
            return x * _kept(x, self.p).mul_(1 / (1 - self.p))
        return F.dropout(x, self.p, training=True)

    def extra_repr(self) -> str:
        """Return what ``print(model)`` shows."""
        return f"p={self.p}, mode={self.mode!r}"


def _kept(x: Tensor, p: float) -> Tensor:
    """Return 1 for kept and 0 for dropped units, shaped and laid out as ``x``.

    On a CPU drawing random numbers is what dropout costs, so one 64-bit number serves four units; ``p``
    is rounded to 1/65536.
    """
    if x.device.type != "cpu":
        return (torch.rand_like(x) >= p).to(x.dtype)
    words = torch.empty(-(-x.numel() // 4), dtype=torch.int64).random_(-(2**63), None)
    bits = words.view(torch.int16)[: x.numel()]  # uniform in -32768..32767
    # Filling in memory order keeps channels-last inputs channels-last; the layout carries no meaning.
    return (bits >= round(p * 65536) - 32768).as_strided(x.shape, x.stride()).to(x.dtype)


def count_parameters(model: nn.Module) -> int:
    """Return the number of trainable values in ``model``."""
    return sum(p.numel() for p in model.parameters() if p.requires_grad)


@torch.no_grad()
def layer_table(model: nn.Module, *inputs: Tensor) -> list[dict[str, object]]:
    """Run ``model`` once and list its leaf layers.

    Returns
    -------
    list of dict
        ``layer`` (name), ``kind``, ``output`` (shape without the batch axis, as text) and
        ``parameters`` per leaf module, in the order in which they ran.
    """
    rows: list[dict[str, object]] = []

    def record(name: str) -> object:
        def hook(module: nn.Module, args: tuple, output: Tensor) -> None:
            shape = "×".join(str(n) for n in output.shape[1:])
            count = sum(p.numel() for p in module.parameters(recurse=False))
            rows.append({"layer": name, "kind": type(module).__name__, "output": shape, "parameters": count})

        return hook

    leaves = [(n, m) for n, m in model.named_modules() if not list(m.children())]
    handles = [module.register_forward_hook(record(name)) for name, module in leaves]
    training = model.training
    try:
        model.eval()(*inputs)
    finally:
        model.train(training)
        for handle in handles:
            handle.remove()
    return rows
