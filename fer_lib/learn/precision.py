"""Decide by looking whether a network may be trained in bf16 on this machine.

"Has units for bf16" does not mean "computes in bf16 correctly": for some shapes some kernels return
gradients that are plausible and wrong. So one real batch is stepped in bf16, and every layer is computed
again in float32 from the very tensors that it was given: output, gradient of its input and gradients of its
parameters must agree to within what rounding to bf16 can change. Then a few whole steps are timed in both.
On a CPU, :mod:`fer_lib.learn.trial` goes first: some kernels damage the memory of the process that calls
them. The decision is kept per machine, torch version and network.
"""

from __future__ import annotations

import contextlib
import copy
import json
import math
import os
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from fer_lib.errors import FerError
from fer_lib.files import cache_folder, digest, write_json
from fer_lib.learn import trial
from fer_lib.learn.layout import as_weights, keep_freed_memory, lies_channels_last, plain
from fer_lib.learn.recipes import Loss, Recipe, optimiser_of
from fer_lib.learn.trial import relative, rms
from fer_lib.machine import processor

LAYER_TOLERANCE = 0.05
"""Largest relative error of a layer's output or gradients. Rounding to bf16 (2^-9) gives 0.002 to 0.005."""
LAYOUT_TOLERANCE = 1e-3
"""Largest relative error of a layer in float32 that channels last may make."""
LOSS_TOLERANCE = 0.05
"""Largest relative difference of the loss between the precisions, for what is computed outside any layer."""
LEAST_COSINE = 0.3
"""Of the whole gradient between the precisions. Rounding alone takes VGG19 with normalisation to 0.76."""
LEAST_GAIN = 1.2
"""How many times as fast as float32 bf16 must be to be used: more than a busy machine feigns."""
TIMED_STEPS = 5
"""Steps that are timed in each precision."""

Batch = Callable[[], tuple[tuple[Tensor, ...], Tensor]]
"""Returns the model's inputs and the labels (B,) of one training batch."""


@dataclass(frozen=True)
class Precision:
    """What a network is trained in on this machine, and why.

    ``name`` is ``"bf16"`` or ``"fp32"``, the precision of the arithmetic; weights and optimiser are always
    float32. ``reason`` is one sentence for the reader. ``gain`` is the speed of a training step in bf16 over
    float32 (None: not timed), ``error`` the largest relative error of any layer in bf16 (None: not looked at,
    or not finite), and ``layer`` the one that has it. ``layout`` is ``"channels_last"``, or ``"plain"`` where
    a layer is wrong channels last.
    """

    name: str
    reason: str
    gain: float | None = None
    error: float | None = None
    layer: str = ""
    layout: str = "channels_last"


def autocast(device: torch.device, name: str) -> contextlib.AbstractContextManager:
    """Return the context in which a forward pass is computed in the precision ``name``."""
    return torch.autocast(device.type, torch.bfloat16) if name == "bf16" else contextlib.nullcontext()


def has_bf16_units(device: torch.device) -> bool:
    """Whether the device has arithmetic units for bf16; without them bf16 is slower and not looked at."""
    if device.type == "cuda":
        return torch.cuda.get_device_capability(device) >= (8, 0)
    able = torch.cpu.get_capabilities() if hasattr(torch.cpu, "get_capabilities") else {}
    capped = torch.backends.cpu.get_cpu_capability() in ("DEFAULT", "AVX2")
    return bool(able.get("amx_bf16") or able.get("avx512_bf16")) and not capped


def decide(model: nn.Module, batch: Batch, loss: Loss, recipe: Recipe, label: str = "") -> Precision:
    """Return the precision in which ``model`` is trained under ``recipe``.

    ``model`` is on its device, in the memory format it is trained in; it is not changed, nor is the random
    state. ``batch`` is called when there is something to look at. Where ``recipe.precision`` is ``"bf16"``
    and the machine computes this network (``label``) wrongly in it, that is a FerError.
    """
    device = next(model.parameters()).device
    why = "float32 was asked for" if recipe.precision == "fp32" else ""
    if recipe.precision == "auto" and not has_bf16_units(device):
        why = "this processor has no units for bf16"
    if why and device.type == "cuda":
        return Precision("fp32", why)
    with torch.random.fork_rng([device] if device.type == "cuda" else []):
        inputs, labels = batch()
        key = _key(model, inputs, loss, device)
        path = cache_folder() / "precision" / f"{key}{'-layout' if why else ''}.json"
        try:
            found = Precision(**json.loads(path.read_text("utf-8")))
        except (OSError, ValueError, TypeError):
            layout, note = "channels_last", ""
            if wrong := _tried(model, inputs, "fp32", LAYOUT_TOLERANCE):
                layer, error = wrong
                note = f"; channels last {_fault(error)} in {layer} here, so that layout is not used"
                layout, model = "plain", plain(copy.deepcopy(model))
                inputs = as_weights(model, inputs)
            found = Precision("fp32", "") if why else _look(model, inputs, labels, loss, recipe)
            found = replace(found, layout=layout, reason=found.reason + note)
            with contextlib.suppress(OSError):  # a read-only cache: looked at again next time
                write_json(path, asdict(found))
    if recipe.precision == "bf16":
        if found.error is None or not found.error <= LAYER_TOLERANCE:
            raise FerError(
                f"precision='bf16' was asked for, but {label or 'this network'} cannot be trained in it "
                f"here: {found.reason}. Use precision='auto' or 'fp32'."
            )
        return replace(found, name="bf16", reason="bf16 was asked for")
    return replace(found, reason=why + found.reason)


def _key(model: nn.Module, inputs: tuple[Tensor, ...], loss: Loss, device: torch.device) -> str:
    shapes = [[name, *p.shape] for name, p in model.named_parameters()]
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else processor()
    limits = [os.environ.get(name, "") for name in ("ONEDNN_MAX_CPU_ISA", "DNNL_MAX_CPU_ISA")]
    where = [name, torch.backends.cpu.get_cpu_capability(), limits, torch.get_num_threads()]
    rule = [LAYER_TOLERANCE, LAYOUT_TOLERANCE, LOSS_TOLERANCE, LEAST_COSINE, LEAST_GAIN, TIMED_STEPS]
    inputs_of = [list(x.shape) for x in inputs]
    return digest(where, torch.__version__, rule, repr(model), shapes, inputs_of, repr(type(loss)))


def _look(
    model: nn.Module, inputs: tuple[Tensor, ...], labels: Tensor, loss: Loss, recipe: Recipe
) -> Precision:
    """Step one batch in both precisions, compare, and time what is right."""
    layer, error = _tried(model, inputs, "bf16", LAYER_TOLERANCE) or ("", 0.0)
    if error <= LAYER_TOLERANCE:
        errors, bf16_loss, bf16 = _layer_errors(model, inputs, labels, loss)
        layer = max(errors, key=errors.get, default="")
        error = errors.get(layer, 0.0)
    if not error <= LAYER_TOLERANCE:
        known = error if math.isfinite(error) else None
        return Precision("fp32", f"bf16 {_fault(error)} in {layer} on this machine", None, known, layer)
    fp32_loss, fp32 = _step(_copy(model), inputs, labels, loss, "fp32")
    cosine = float(torch.nn.functional.cosine_similarity(bf16.double(), fp32.double(), dim=0))
    if not (abs(bf16_loss / fp32_loss - 1) <= LOSS_TOLERANCE and cosine >= LEAST_COSINE):
        reason = (
            f"every layer is right in bf16, but the whole network is not (loss {bf16_loss:.4g} in place of "
            f"{fp32_loss:.4g}, cosine of the gradients {cosine:.2f})"
        )
        return Precision("fp32", reason, layer="what is computed between the layers")
    gain = _gain(model, inputs, labels, loss, recipe)
    close = f"right in every layer (largest error {error:.1%}, in {layer})"
    if gain < LEAST_GAIN:
        return Precision("fp32", f"bf16 is {close} but {gain:.2f} times as fast", gain, error, layer)
    return Precision("bf16", f"{close} and {gain:.1f} times as fast as float32", gain, error, layer)


def _tried(
    model: nn.Module, inputs: tuple[Tensor, ...], precision: str, tolerance: float
) -> tuple[str, float] | None:
    """Return the first layer that a process of its own finds wrong, and its error; float32 for its layout."""
    last = lies_channels_last(model)
    if inputs[0].device.type != "cpu" or (precision == "fp32" and not last):
        return None
    shapes = trial.shapes_of(_copy(model), inputs)
    for shape in shapes.values():
        shape["channels_last"] &= last
    asked = {name: of for name, of in shapes.items() if precision == "bf16" or of["channels_last"]}
    tried = trial.errors(asked, precision, tolerance).items()
    return next(((layer, error) for layer, error in tried if not error <= tolerance), None)


def _fault(error: float) -> str:
    if not math.isfinite(error):
        return "crashes" if math.isnan(error) else "gives values that are not finite"
    return f"is wrong by {error:.0%}" if error < 1 else "is wrong by more than the values' own size"


def _copy(model: nn.Module) -> nn.Module:
    """Return a training copy without dropout, whose masks would differ between precisions."""
    twin = copy.deepcopy(model).train()
    for module in twin.modules():
        if "Dropout" in type(module).__name__:
            module.p = 0.0
        if hasattr(module, "inplace"):
            module.inplace = False  # hooks need what went in and came out
    return twin


def _step(
    model: nn.Module, inputs: tuple[Tensor, ...], labels: Tensor, loss: Loss, precision: str
) -> tuple[float, Tensor]:
    """Return the loss of one forward and backward pass, and all gradients in one float32 vector."""
    torch.manual_seed(0)  # a loss may draw, such as positives
    with autocast(inputs[0].device, precision):
        value, _ = loss(model(*inputs), labels)
    value.backward()
    flat = torch.cat([p.grad.float().flatten() for p in model.parameters() if p.grad is not None])
    return float(value.detach()), flat


def _layer_errors(
    model: nn.Module, inputs: tuple[Tensor, ...], labels: Tensor, loss: Loss
) -> tuple[dict[str, float], float, Tensor]:
    """Return each layer's largest relative error in bf16, and loss and gradients of that step.

    The reference is the layer in float32 on the tensors that it received: errors do not add up over layers.
    """
    twin = _copy(model)
    layers = {n: m for n, m in twin.named_modules() if not [*m.children()] or [*m.parameters(recurse=False)]}
    references = {name: copy.deepcopy(layer) for name, layer in layers.items()}
    given: dict[str, tuple] = {}
    errors: dict[str, float] = {}

    def note(name: str, got: Tensor | None, wanted: Tensor | None, least: float = 0.0) -> None:
        if got is not None and wanted is not None:
            errors[name] = max(errors.get(name, 0.0), relative(got, wanted, least))

    # Copies on the way in and out keep what a layer got and gave from sums in place that follow it, and make
    # the gradient of its input its own where others read the same tensor.
    def enter(name: str, args: tuple) -> tuple:
        given[name] = tuple(x.clone() if isinstance(x, Tensor) else x for x in args)
        return given[name]

    def leave(name: str, output: Any) -> Any:
        inputs = given.pop(name)
        if not isinstance(output, Tensor) or not all(isinstance(x, Tensor) for x in inputs):
            return output
        got = output.detach()
        args = [x.detach().float().requires_grad_(x.is_floating_point()) for x in inputs]

        def compare(gradient: Tensor) -> None:
            with torch.enable_grad(), torch.autocast(gradient.device.type, enabled=False):
                wanted = references[name](*args)
                wanted.backward(gradient.float())
            note(name, got, wanted.detach())

        if output.requires_grad:
            output.register_hook(compare)
            for x, arg in zip(inputs, args, strict=True):
                if x.requires_grad:
                    x.register_hook(lambda gradient, arg=arg: note(name, gradient, arg.grad))
        return output.clone()

    for name, layer in layers.items():
        layer.register_forward_pre_hook(lambda _, args, name=name: enter(name, args))
        layer.register_forward_hook(lambda _, args, output, name=name: leave(name, output))
    # Gradients of the inputs as well, so that the first layer's are compared.
    inputs = tuple(x.detach().requires_grad_(x.is_floating_point()) for x in inputs)
    value, gradients = _step(twin, inputs, labels, loss, "bf16")
    for name, reference in references.items():
        pairs = zip(layers[name].parameters(recurse=False), reference.parameters(recurse=False), strict=True)
        pairs = [(p.grad, q.grad) for p, q in pairs if p.grad is not None and q.grad is not None]
        # A bias before normalisation has no gradient but noise: less than this share of the others' is none.
        least = 0.01 * max((rms(wanted) for _, wanted in pairs), default=0.0)
        for got, wanted in pairs:
            note(name, got, wanted, least)
    if not math.isfinite(value):
        errors["the loss"] = math.inf
    return errors, value, gradients


def _gain(model: nn.Module, inputs: tuple[Tensor, ...], labels: Tensor, loss: Loss, recipe: Recipe) -> float:
    """Return how many times as fast a training step is in bf16: the best of a few, in turn.

    On one thread of a CPU this process's own seconds count, so that other work beside it changes little; of
    several threads, those that wait would count as well. Freed memory is kept, as in training.
    """
    device = inputs[0].device
    alone = device.type == "cpu" and torch.get_num_threads() == 1
    clock = time.process_time if alone else time.perf_counter
    runners = {name: copy.deepcopy(model).train() for name in ("fp32", "bf16")}
    optimisers = {name: optimiser_of(twin, recipe) for name, twin in runners.items()}
    best = dict.fromkeys(runners, math.inf)
    with keep_freed_memory(device):
        for _ in range(TIMED_STEPS + 1):  # the first prepares kernels and memory
            for name, twin in runners.items():
                began = clock()
                with autocast(device, name):
                    value, _ = loss(twin(*inputs), labels)
                optimisers[name].zero_grad(set_to_none=True)
                value.backward()
                optimisers[name].step()
                if device.type == "cuda":
                    torch.cuda.synchronize(device)
                best[name] = min(best[name], clock() - began)
    return best["fp32"] / best["bf16"]
