"""Layers that more than one paper's network needs, and the table of a network's layers."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class Dropout(nn.Module):
    """Inverted dropout: each unit is dropped with probability ``p`` while training; identity at test.

    Drawing random numbers is what dropout costs on a CPU, so one 64-bit number serves four units there, and
    ``p`` is rounded to 1/65536.
    """

    def __init__(self, p: float) -> None:
        super().__init__()
        self.p = p

    def forward(self, x: Tensor) -> Tensor:
        """Return ``x`` (any shape) with units dropped and the others scaled by ``1/(1-p)``."""
        if self.p == 0 or not self.training:
            return x
        if x.device.type != "cpu" or self.p == 1:
            return F.dropout(x, self.p, training=True)
        words = torch.empty(-(-x.numel() // 4), dtype=torch.int64).random_(-(2**63), None)
        bits = words.view(torch.int16)[: x.numel()]  # uniform in -32768..32767
        # Filling in memory order keeps channels-last inputs channels-last; the layout carries no meaning.
        kept = (bits >= round(self.p * 65536) - 32768).as_strided(x.shape, x.stride()).to(x.dtype)
        return x * kept.mul_(1 / (1 - self.p))

    def extra_repr(self) -> str:
        """Return what ``print(model)`` shows."""
        return f"p={self.p}"


class BatchNorm1d(nn.BatchNorm1d):
    """Batch normalisation of ``(B, C)`` that lets a batch of one sample through while training.

    The last batch of an epoch can be one sample, which has no variance; it is normalised by the running
    statistics and leaves them as they are.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Return ``x`` normalised, ``(B, C)``."""
        if self.training and len(x) == 1:
            mean, variance = self.running_mean, self.running_var
            return F.batch_norm(x, mean, variance, self.weight, self.bias, training=False, eps=self.eps)
        return super().forward(x)


class CBAM(nn.Module):
    """Convolutional block attention module (Woo et al. 2018): what matters, then where.

    The hidden layer of the channel attention has ``channels // reduction`` units, at least one; the spatial
    attention is a convolution of side ``kernel`` (odd). Nothing has a bias.
    """

    def __init__(self, channels: int, reduction: int = 16, kernel: int = 7) -> None:
        super().__init__()
        hidden = max(1, channels // reduction)
        self.squeeze = nn.Linear(channels, hidden, bias=False)
        self.excite = nn.Linear(hidden, channels, bias=False)
        self.locate = nn.Conv2d(2, 1, kernel, padding=kernel // 2, bias=False)

    def channel_map(self, x: Tensor) -> Tensor:
        """Return which channels of ``x`` ``(B, C, H, W)`` matter, ``(B, C, 1, 1)`` in (0, 1)."""
        # The index of one maximum makes a cheaper gradient than amax, which divides it among equals.
        pooled = torch.stack([x.mean((2, 3)), F.adaptive_max_pool2d(x, 1).flatten(1)])  # (2, B, C)
        return self.excite(F.relu(self.squeeze(pooled))).sum(0).sigmoid()[:, :, None, None]

    def spatial_map(self, x: Tensor) -> Tensor:
        """Return which places of ``x`` ``(B, C, H, W)`` matter, ``(B, 1, H, W)`` in (0, 1)."""
        plane = torch.cat([x.mean(1, keepdim=True), x.max(1, keepdim=True).values], dim=1)  # (B, 2, H, W)
        return self.locate(plane).sigmoid()

    def forward(self, x: Tensor) -> Tensor:
        """Return ``x`` ``(B, C, H, W)`` weighted by its channel map and then by its spatial map."""
        x = x * self.channel_map(x)
        return x * self.spatial_map(x)  # (B, C, H, W)


def glorot(module: nn.Module) -> None:
    """Set a layer's weights to Glorot-uniform ones and its bias to zero; for ``nn.Module.apply``."""
    if isinstance(module, nn.Conv2d | nn.Linear):
        nn.init.xavier_uniform_(module.weight)
        if module.bias is not None:
            nn.init.zeros_(module.bias)


def count_parameters(model: nn.Module) -> int:
    """Return the number of trainable values in ``model``."""
    return sum(p.numel() for p in model.parameters() if p.requires_grad)


@torch.no_grad()
def layer_table(model: nn.Module, *inputs: Tensor) -> list[dict[str, object]]:
    """Run ``model`` once and list its leaf layers in the order in which they ran.

    Each is a dict of ``layer`` (name), ``kind``, ``output`` (shape without the batch axis, as text) and
    ``parameters``.
    """
    rows: list[dict[str, object]] = []

    def record(name: str, module: nn.Module, output: Tensor) -> None:
        shape = "×".join(str(n) for n in output.shape[1:])
        count = sum(p.numel() for p in module.parameters(recurse=False))
        rows.append({"layer": name, "kind": type(module).__name__, "output": shape, "parameters": count})

    handles = [
        module.register_forward_hook(lambda module, _, output, name=name: record(name, module, output))
        for name, module in model.named_modules()
        if not list(module.children())
    ]
    training = model.training
    try:
        model.eval()(*inputs)
    finally:
        model.train(training)
        for handle in handles:
            handle.remove()
    return rows
