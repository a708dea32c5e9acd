"""How weights and inputs lie in memory: channels last, as kernels want them, or plainly; and freed memory."""

from __future__ import annotations

import contextlib
import ctypes
import sys
from collections.abc import Iterator

import torch
from torch import Tensor, nn

LAYOUTS = {4: torch.channels_last, 5: torch.channels_last_3d}
"""Channels last by the number of dimensions, of images and of clips."""


def channels_last(model: nn.Module, device: torch.device | str) -> nn.Module:
    """Move a network to a device and lay its weights out channels last; return it."""
    model.to(device)
    for values in (*model.parameters(), *model.buffers()):
        if values.ndim in LAYOUTS:
            values.data = values.data.to(device, memory_format=LAYOUTS[values.ndim])
    return model


def plain(model: nn.Module) -> nn.Module:
    """Lay a network's weights out plainly; return it."""
    for values in (*model.parameters(), *model.buffers()):
        values.data = values.data.clone(memory_format=torch.contiguous_format)
    return model


def as_weights(model: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    """Return inputs laid out as the network's weights are: of the two, torch lets either decide."""
    if not lies_channels_last(model):
        # What lies in both ways at once, such as images of one channel, keeps its strides in contiguous().
        return tuple(x.clone(memory_format=torch.contiguous_format) for x in inputs)
    return tuple(x.contiguous(memory_format=LAYOUTS[x.ndim]) if x.ndim in LAYOUTS else x for x in inputs)


def lies_channels_last(model: nn.Module) -> bool:
    """Whether the weights lie channels last; those that lie both ways, such as 1x1 kernels, do not count."""
    for w in model.parameters():
        if w.ndim in LAYOUTS and w.shape[1] > 1 and max(w.shape[2:]) > 1:
            return w.is_contiguous(memory_format=LAYOUTS[w.ndim])
    return True


@contextlib.contextmanager
def keep_freed_memory(device: torch.device) -> Iterator[None]:
    """Let a training loop on a CPU keep large freed blocks instead of returning them (glibc only).

    Every step frees and allocates the same hundreds of megabytes; without this, page faults take about a
    fifth of its time. Afterwards large blocks are returned again: kept for good, they fragment the heap.
    """
    libc = ctypes.CDLL(None) if sys.platform == "linux" and device.type == "cpu" else None
    if not hasattr(libc, "mallopt"):
        yield
        return
    mmap_threshold, trim_threshold = -3, -1  # as in malloc.h
    libc.mallopt(mmap_threshold, 1 << 30)
    libc.mallopt(trim_threshold, (1 << 31) - 1)
    try:
        yield
    finally:
        libc.mallopt(mmap_threshold, 1 << 20)
        libc.mallopt(trim_threshold, 1 << 20)
        libc.malloc_trim(0)
