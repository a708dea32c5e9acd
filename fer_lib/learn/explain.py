"""Where in an image a network finds its evidence (Grad-CAM)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
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
    from torch import nn

    named = dict(model.named_modules())
    if isinstance(layer, str):
        layer = named[one_of(layer, [name for name in named if name], "layer")]
    elif not any(layer is module for module in named.values()):
        raise FerError("grad_cam: `layer` is not part of `model`. Give one of its modules or a name.")
    images = inputs[0]
    if images.ndim not in (4, 5) or not images.is_floating_point() or not images.isfinite().all():
        raise FerError(
            "grad_cam: `inputs` must be a tuple of the model's inputs that begins with the image batch (B, "
            "channels, H, W), or clips (B, channels, T, H, W), finite and of a float type; got "
            f"{tuple(images.shape)} of {images.dtype}."
        )
    device = next(model.parameters()).device
    # What was made under inference_mode can have no gradient; its clone can.
    images, *others = (t.clone() if t.is_inference() else t.detach().to(device) for t in inputs)

    class OneInput(nn.Module):
        """The model as a function of the images alone, which is what pytorch-grad-cam knows."""

        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return self.model(images, *others)

    chosen = _targets(targets, len(images))
    with _undisturbed(model):
        # The clone keeps an in-place activation behind the layer from overwriting what was recorded.
        cam = GradCAM(OneInput(), [layer], reshape_transform=lambda a: a.clone())
        try:
            maps = cam(images.requires_grad_(), chosen)
        except (AttributeError, ValueError) as error:
            seen = cam.activations_and_grads.gradients
            if seen and seen[0].ndim == images.ndim:
                raise
            got = f"gives {tuple(seen[0].shape)}" if seen else "has no gradient from the images"
            raise FerError(
                f"Grad-CAM needs a layer with output (B, K, h, w); this one {got}. Choose a convolution."
            ) from error
        finally:
            cam.activations_and_grads.release()
    if not np.isfinite(maps).all():
        raise FerError("Grad-CAM gives values that are not finite: weights or images are bad.")
    return np.clip(maps, 0, 1).astype(np.float32)


def _targets(targets: int | ArrayLike | None, batch: int) -> list[Any] | None:
    """Return one target per image, or None for the predicted class."""
    if targets is None:
        return None
    codes = np.asarray(targets)
    if codes.shape not in ((), (batch,)) or codes.dtype.kind not in "iu":
        raise FerError(
            f"grad_cam: `targets` must be one class code or {batch} of them, one per image; got an array "
            f"of shape {codes.shape} and type {codes.dtype}."
        )

    def of_class(scores: torch.Tensor, code: int) -> torch.Tensor:
        if not 0 <= code < len(scores):
            raise FerError(
                f"grad_cam: target {code} is no class of this model; it knows 0 to {len(scores) - 1}."
            )
        return scores[code]

    return [partial(of_class, code=int(code)) for code in np.broadcast_to(codes, batch)]


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
