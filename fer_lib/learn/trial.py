"""Try layers in a process of its own, where a kernel that writes past its memory does no harm.

Some kernels damage the memory of the process that calls them, which then ends at once or, worse, later. It
has been seen of three-dimensional convolutions in bf16, and in float32 of strided 1x1 convolutions laid out
channels last. A fault depends on a layer's shapes and not on its values, so its shapes alone are sent to a
second process, which computes the layer on random numbers.
"""

from __future__ import annotations

import atexit
import copy
import json
import math
import subprocess
import sys
from contextlib import suppress
from typing import Any

import torch
from torch import Tensor, nn

from fer_lib.learn.layout import LAYOUTS, as_weights, plain

_CONVOLUTION = ("in_channels", "out_channels", "kernel_size", "stride", "padding", "dilation", "groups")
ARGUMENTS = {"Linear": ("in_features", "out_features")} | dict.fromkeys(("Conv2d", "Conv3d"), _CONVOLUTION)
_helper: subprocess.Popen | None = None


def shapes_of(model: nn.Module, inputs: tuple[Tensor, ...]) -> dict[str, dict[str, Any]]:
    """Return what decides how each convolution and dense layer of ``model`` is computed, by its name.

    A copy of ``model`` is run once in float32, in the plain layout and without gradients.
    """
    model = plain(copy.deepcopy(model))
    found: dict[str, dict[str, Any]] = {}

    def note(name: str, layer: nn.Module, x: Tensor) -> None:
        kind = type(layer).__name__
        arguments = {key: getattr(layer, key) for key in ARGUMENTS[kind]} | {"bias": layer.bias is not None}
        last = x.ndim in LAYOUTS
        found[name] = {"kind": kind, "arguments": arguments, "input": list(x.shape), "channels_last": last}

    for name, layer in model.named_modules():
        if type(layer).__name__ in ARGUMENTS:
            layer.register_forward_pre_hook(lambda layer, args, name=name: note(name, layer, args[0]))
    with torch.no_grad():
        model(*as_weights(model, inputs))
    return found


def errors(layers: dict[str, dict[str, Any]], precision: str, tolerance: float) -> dict[str, float]:
    """Return each layer's largest relative error, of output or gradients, up to the first that is wrong.

    ``layers`` is what :func:`shapes_of` returned, ``precision`` ``"bf16"`` or ``"fp32"``; the reference is
    float32 in the plain layout. An error above ``tolerance``, or NaN where the process did not survive, ends
    the trial and the process with it: its memory may be damaged.
    """
    tried: dict[str, float] = {}
    for name, layer in layers.items():
        tried[name] = _ask({"layer": layer, "precision": precision, "threads": torch.get_num_threads()})
        if not tried[name] <= tolerance:
            close()
            break
    return tried


def _ask(request: dict[str, Any]) -> float:
    """Send one layer to the second process, which is started if none is there."""
    global _helper
    with suppress(OSError, ValueError):
        if _helper is None or _helper.poll() is not None:
            pipes = dict.fromkeys(("stdin", "stdout"), subprocess.PIPE) | {"stderr": subprocess.DEVNULL}
            _helper = subprocess.Popen([sys.executable, "-m", __name__], text=True, bufsize=1, **pipes)
        _helper.stdin.write(json.dumps(request) + "\n")
        return float(json.loads(_helper.stdout.readline()))
    return math.nan


@atexit.register
def close() -> None:
    """End the second process, if there is one."""
    global _helper
    if _helper is not None:
        with _helper:  # closes its pipes and waits for it
            _helper.kill()
        _helper = None


def relative(got: Tensor, wanted: Tensor, least: float = 0.0) -> float:
    """Return the deviation of ``got`` over the size of ``wanted`` (root mean squares), at least ``least``."""
    error, scale = rms(got.double() - wanted.double()), max(rms(wanted), least)
    if not math.isfinite(error):
        return math.inf
    if not scale:
        return math.inf if error else 0.0
    return error / scale


def rms(x: Tensor) -> float:
    """Return the root of the mean square."""
    return float(x.double().square().mean().sqrt())


def _compute(spec: dict[str, Any], precision: str) -> float:
    """Return a layer's largest relative error, of output or gradients, on random numbers."""
    torch.manual_seed(0)
    layer = getattr(nn, spec["kind"])(**spec["arguments"])
    x = torch.randn(spec["input"])
    gradient = torch.randn(layer(x).shape)
    wanted = _values(layer, x, gradient)
    if spec["channels_last"]:
        layer, x = layer.to(memory_format=LAYOUTS[x.ndim]), x.contiguous(memory_format=LAYOUTS[x.ndim])
    got = _values(layer, x, gradient, precision)
    return max(relative(one, other) for one, other in zip(got, wanted, strict=True))


def _values(layer: nn.Module, x: Tensor, gradient: Tensor, precision: str = "fp32") -> list[Tensor]:
    """Return a layer's output and the gradients of its input and parameters."""
    x = x.clone().requires_grad_()
    with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16"):
        y = layer(x)
    layer.zero_grad()
    y.backward(gradient.to(y.dtype))
    return [y.detach(), x.grad, *(p.grad.clone() for p in layer.parameters())]


if __name__ == "__main__":  # read layers from standard input, a line each, and answer with their errors
    for line in sys.stdin:
        asked = json.loads(line)
        torch.set_num_threads(asked["threads"])
        print(json.dumps(_compute(asked["layer"], asked["precision"])), flush=True)
