"""Where in an image a network finds its evidence (Grad-CAM)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from fer_lib.errors import FerError, one_of

if TYPE_CHECKING:
    import torch
    from torch import nn


def grad_cam(
    model: nn.Module,
    inputs: tuple[torch.Tensor, ...],
    layer: nn.Module | str,
    targets: int | ArrayLike | None = None,
) -> np.ndarray:
    """Return where in each image the evidence for a class lies (Selvaraju et al., 2017).

    Parameters
    ----------
    model
        Network called as ``model(*inputs)`` that returns scores ``(B, C)``. It is evaluated in eval
        mode; its mode, gradients and frozen parameters are as before afterwards.
    inputs
        All inputs of the model, the image batch first: float ``(B, channels, H, W)``, or clips ``(B,
        channels, T, H, W)``; the others (a SIFT histogram, say) are passed through unchanged.
    layer
        A layer of ``model`` with output ``(B, K, h, w)`` (of clips ``(B, K, t, h, w)``), or its dotted
        name; commonly the last convolution or the activation after it.
    targets
        Class to explain: one code, one per image ``(B,)``, or None for each image's predicted class.

    Returns
    -------
    numpy.ndarray
        float32 ``(B, H, W)``, of clips ``(B, T, H, W)``, in [0, 1]. Each map loses its least value and is
        divided by its largest, then stretched over the image: maps compare places within an image (and
        moments within a clip), not strengths between images. A map without positive evidence, or with as
        much of it everywhere, is all 0.

    Raises
    ------
    FerError
        If the layer is not in the model, is not reached, or has no spatial output; if the image batch
        has another shape, or the targets do not fit the batch.
    """
    from pytorch_grad_cam import GradCAM

    layer = _layer(model, layer)
    inputs = _on_device(model, inputs)
    chosen = _targets(targets, len(inputs[0]))
    with _undisturbed(model):
        # The clone keeps an in-place activation behind the layer from overwriting what was recorded.
        cam = GradCAM(_wrapper(model, inputs), [layer], reshape_transform=lambda a: a.clone())
        try:
            maps = cam(inputs[0].requires_grad_(), chosen)
        except (AttributeError, ValueError) as error:
            seen = cam.activations_and_grads.gradients
            if seen and seen[0].ndim == inputs[0].ndim:
                raise
            got = f"gives {tuple(seen[0].shape)}" if seen else "has no gradient from the images"
            raise FerError(
                f"Grad-CAM needs a layer with output (B, K, h, w); this one {got}. Choose a convolution."
            ) from error
        finally:
            cam.activations_and_grads.release()
    if not np.isfinite(maps).all():
        raise FerError(
            "Grad-CAM gives values that are not finite: the network's weights or the images are bad."
        )
    return np.clip(maps, 0, 1).astype(np.float32)


def _layer(model: nn.Module, layer: nn.Module | str) -> nn.Module:
    """Resolve a dotted name; refuse a layer that belongs to another model."""
    named = dict(model.named_modules())
    if isinstance(layer, str):
        return named[one_of(layer, [name for name in named if name], "layer")]
    if not any(layer is module for module in named.values()):
        raise FerError(
            "grad_cam: `layer` is not part of `model`. Give one of the model's modules or its name."
        )
    return layer


def _on_device(model: nn.Module, inputs: tuple[torch.Tensor, ...]) -> list[torch.Tensor]:
    """Check the image batch and move all inputs, detached, to the model's device."""
    if not isinstance(inputs, tuple | list) or inputs[0].ndim not in (4, 5):
        raise FerError(
            "grad_cam: `inputs` must be a tuple of the model's inputs that begins with the image batch "
            "(B, channels, H, W), or clips (B, channels, T, H, W)."
        )
    images = inputs[0]
    if not images.is_floating_point() or not images.isfinite().all():
        raise FerError(
            "grad_cam: the image batch must be finite and of a float type, as the model reads it; "
            f"got {images.dtype}."
        )
    device = next(model.parameters()).device
    # What was made under inference_mode can have no gradient; its clone can.
    return [t.clone() if t.is_inference() else t.detach().to(device) for t in inputs]


def _targets(targets: int | ArrayLike | None, batch: int) -> list[Any] | None:
    """Return one target per image, or None for the predicted class."""
    if targets is None:
        return None
    from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget

    codes = np.asarray(targets)
    if codes.shape not in ((), (batch,)) or codes.dtype.kind not in "iu":
        raise FerError(
            f"grad_cam: `targets` must be one class code or {batch} of them, one per image; got an array "
            f"of shape {codes.shape} and type {codes.dtype}."
        )

    class OfClass(ClassifierOutputTarget):
        def __call__(self, output: torch.Tensor) -> torch.Tensor:
            if not 0 <= self.category < output.shape[-1]:
                raise FerError(
                    f"grad_cam: target {self.category} is no class of this model, which knows 0 to "
                    f"{output.shape[-1] - 1}."
                )
            return super().__call__(output)

    return [OfClass(int(code)) for code in np.broadcast_to(codes, batch)]


def _wrapper(model: nn.Module, inputs: Sequence[torch.Tensor]) -> nn.Module:
    """Return a module of the image batch alone: pytorch-grad-cam knows models with one input."""
    from torch import nn

    class OneInput(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return self.model(images, *inputs[1:])

    return OneInput()


@contextmanager
def _undisturbed(model: nn.Module) -> Iterator[None]:
    """Freeze the parameters (only activations need gradients); put everything back afterwards."""
    import torch

    modes = [(module, module.training) for module in model.modules()]
    state = [(p, p.requires_grad, p.grad) for p in model.parameters()]
    try:
        for parameter, _, _ in state:
            parameter.requires_grad_(False)
        with torch.inference_mode(False), torch.enable_grad():
            yield
    finally:
        for module, training in modes:
            module.training = training
        for parameter, required, gradient in state:
            parameter.requires_grad_(required)
            parameter.grad = gradient
