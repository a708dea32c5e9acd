"""Try layers in bf16 in a process of its own, where a kernel that writes past its memory does no harm.

Some kernels do not only return wrong gradients: they damage the memory of the process that calls them, which
then ends at once or, worse, later. A layer's fault depends on its shapes and not on its values, so its shapes
alone are sent to a second process, which computes the layer on random numbers in both precisions.
"""

from __future__ import annotations

import atexit
import json
import math
import subprocess
import sys
from contextlib import suppress
from typing import Any

import torch
from torch import Tensor, nn

KINDS = (nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.Linear)
ARGUMENTS = {
    "Linear": ("in_features", "out_features"),
    **dict.fromkeys(
        ("Conv1d", "Conv2d", "Conv3d"),
        ("in_channels", "out_channels", "kernel_size", "stride", "padding", "dilation", "groups"),
    ),
}
FORMATS = {4: torch.channels_last, 5: torch.channels_last_3d}
_helper: subprocess.Popen | None = None


def shapes_of(model: nn.Module, inputs: tuple[Tensor, ...]) -> dict[str, dict[str, Any]]:
    """Return what decides how each convolution and dense layer of ``model`` is computed, by its name.

    ``model`` is run once in float32, without gradients.
    """
    found: dict[str, dict[str, Any]] = {}

    def note(name: str, layer: nn.Module, x: Tensor) -> None:
        kind = type(layer).__name__
        layout = FORMATS.get(x.ndim)
        found[name] = {
            "kind": kind,
            "arguments": {key: getattr(layer, key) for key in ARGUMENTS[kind]}
            | {"bias": layer.bias is not None},
            "input": list(x.shape),
            "channels_last": layout is not None and x.is_contiguous(memory_format=layout),
        }

    hooks = [
        layer.register_forward_pre_hook(lambda layer, args, name=name: note(name, layer, args[0]))
        for name, layer in model.named_modules()
        if type(layer) in KINDS
    ]
    with torch.no_grad():
        model(*inputs)
    for hook in hooks:
        hook.remove()
    return found


def errors(layers: dict[str, dict[str, Any]], tolerance: float) -> dict[str, float]:
    """Return each layer's largest relative error in bf16, up to the first that is wrong.

    Parameters
    ----------
    layers
        What :func:`shapes_of` returned.
    tolerance
        A layer with a larger error ends the trial, and the process with it: its memory may be damaged.

    Returns
    -------
    dict
        Name to the relative error of its output or gradients; NaN where the process did not survive.
    """
    tried: dict[str, float] = {}
    for name, layer in layers.items():
        tried[name] = _ask({"layer": layer, "threads": torch.get_num_threads()})
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


def _compute(spec: dict[str, Any]) -> float:
    """Return a layer's largest relative error, of output or gradients, on random numbers."""
    torch.manual_seed(0)
    layer = getattr(nn, spec["kind"])(**spec["arguments"])
    x = torch.randn(spec["input"])
    if spec["channels_last"]:
        layer, x = layer.to(memory_format=FORMATS[x.ndim]), x.contiguous(memory_format=FORMATS[x.ndim])
    gradient = None
    made = []
    for precise in (True, False):
        layer.zero_grad()
        one = x.clone().requires_grad_()
        with torch.autocast("cpu", torch.bfloat16, enabled=not precise):
            y = layer(one)
        gradient = torch.randn_like(y) if gradient is None else gradient
        y.backward(gradient.to(y.dtype))
        made.append([y.detach(), one.grad, *(p.grad.clone() for p in layer.parameters())])
    return max(relative(got, wanted) for wanted, got in zip(*made, strict=True))


def main() -> None:
    """Read layers from standard input, a line each, and answer with their errors."""
    for line in sys.stdin:
        request = json.loads(line)
        torch.set_num_threads(request["threads"])
        print(json.dumps(_compute(request["layer"])), flush=True)


if __name__ == "__main__":
    main()
