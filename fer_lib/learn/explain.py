"""Where in an image a network finds its evidence (Grad-CAM)."""

from __future__ import annotations

from typing import TYPE_CHECKING

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
        mode; its mode and gradients are as before afterwards.
    inputs
        All inputs of the model, the image batch first: float ``(B, channels, H, W)``, or clips ``(B,
        channels, T, H, W)``.
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
    """
    import torch
    from pytorch_grad_cam.utils.image import scale_cam_image

    if isinstance(layer, str):
        named = dict(model.named_modules())
        layer = named[one_of(layer, [name for name in named if name], "layer")]
    modes = [(module, module.training) for module in model.modules()]
    device, seen = next(model.parameters()).device, []

    def record(_: nn.Module, args: tuple, output: torch.Tensor) -> torch.Tensor:
        seen.append(output)
        return output.clone()  # keeps an in-place activation behind the layer from overwriting it

    hook = layer.register_forward_hook(record)
    try:
        with torch.inference_mode(False), torch.enable_grad():
            # What was made under inference_mode can have no gradient; its clone can.
            images, *others = (x.detach().clone().to(device) for x in inputs)
            scores = model.eval()(images.requires_grad_(), *others)
            if not seen or seen[0].ndim != images.ndim:
                got = f"gives {tuple(seen[0].shape)}" if seen else "is not reached"
                raise FerError(
                    f"Grad-CAM needs a layer with output (B, K, h, w); this one {got}. Choose a convolution."
                )
            chosen = scores.detach().cpu().numpy().argmax(1) if targets is None else np.asarray(targets)
            chosen = torch.as_tensor(np.broadcast_to(chosen, len(scores)).copy(), device=device)
            (gradient,) = torch.autograd.grad(scores.gather(1, chosen[:, None]).sum(), seen[:1])
    finally:
        hook.remove()
        for module, training in modes:
            module.training = training
    activations, gradient = (x.detach().cpu().numpy() for x in (seen[0], gradient))
    places = tuple(range(2, gradient.ndim))
    weights = np.expand_dims(gradient.mean(places), places)
    maps = scale_cam_image(np.maximum((weights * activations).sum(1), 0), images.shape[:1:-1])
    return np.clip(scale_cam_image(np.maximum(maps, 0)), 0, 1).astype(np.float32)
