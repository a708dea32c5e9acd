"""What training a network on clips costs: device memory and operations, counted without training it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import nn

from fer_lib.learn.layers import count_parameters, layer_table

if TYPE_CHECKING:
    import pandas as pd

KEPT = ("Convolution", "BatchNorm3d", "AvgPool3d", "MaxPool3d", "Linear", "Dropout")
"""Layers whose output stays in memory until backward; activations write into their input."""


def memory(
    model: nn.Module,
    clip: tuple[int, int, int],
    n_clips: int,
    batch_size: int = 30,
    *,
    lookahead: bool = False,
    element: int = 2,
) -> pd.DataFrame:
    """Return the device memory of training in MiB, item by item.

    Parameters
    ----------
    model : nn.Module
        On the meta device.
    clip : (T, H, W)
    n_clips : int
        Clips of the corpus, stored once as uint8: with CLAHE or without, as the network wants them.
    lookahead : bool
        Whether slow weights are kept.
    element : int
        Bytes of an activation: 2 under bf16.

    Returns
    -------
    pandas.DataFrame
        ``item`` and ``MiB``. What the library that convolves takes for itself comes on top.
    """
    import pandas as pd

    weights = 4 * count_parameters(model)
    frames, height, width = clip
    table = layer_table(model, torch.zeros(1, 3, *clip, device="meta"))
    outputs = [_size(row["output"]) for row in table]
    kept = sum(n for n, row in zip(outputs, table, strict=True) if row["kind"] in KEPT)
    # A maximum pool also keeps where each maximum was, as int64.
    indices = sum(8 * n for n, row in zip(outputs, table, strict=True) if row["kind"] == "MaxPool3d")
    items = {
        "clips, uint8": n_clips * frames * height * width,
        "weights, float32": weights,
        "their gradients": weights,
        "Adam's two moments": 2 * weights,
        "Lookahead's slow weights": weights if lookahead else 0,
        "weights as bf16": weights // 2 if element == 2 else 0,
        f"activations kept for backward, batch of {batch_size}": batch_size * (element * kept + indices),
        "two gradients of the largest activation": 2 * batch_size * element * max(outputs),
    }
    items["in all"] = sum(items.values())
    return pd.DataFrame({"item": list(items), "MiB": [n / 2**20 for n in items.values()]})


def _size(shape: str) -> int:
    """Return the number of values of a shape as :func:`layer_table` writes it."""
    n = 1
    for side in shape.split("×"):
        n *= int(side)
    return n


def operations(model: nn.Module, clip: tuple[int, int, int]) -> float:
    """Return the floating-point operations of training on one clip, forward and backward.

    A multiplication and an addition are two; the backward pass takes twice the forward one.
    """
    from torch.utils.flop_counter import FlopCounterMode

    with FlopCounterMode(display=False) as counter:
        model(torch.zeros(1, 3, *clip, device="meta"))
    return 3.0 * counter.get_total_flops()


def leave_one_out(copies: list[int], epochs: int) -> int:
    """Return how many clips a full leave-one-subject-out trains on.

    Parameters
    ----------
    copies : list of int
        Training copies that each subject's clips make.
    epochs : int
        Of every fold.
    """
    return epochs * (len(copies) - 1) * sum(copies)
