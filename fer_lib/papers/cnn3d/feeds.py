"""Clips as batches: stored once as uint8, gathered on demand, each training copy with its own transform.

A training part holds no pixels: a sample is the number of its clip and what is done to it (flip, rotation,
contrast: Sect. 3.2 of paper ``cnn3d``). One transform holds for all frames of a clip, else motion would be
lost in it.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from fer_lib.errors import FerError, one_of
from fer_lib.features.geometry import rotations, warp_images, xy
from fer_lib.learn.recipes import Loss
from fer_lib.learn.training import Part

# Copies of each clip by (flip, rotation, linear contrast): Sect. 4.1 by class, Sect. 4.2 for all.
CKPLUS_COPIES = {
    "contempt": (1, 7, 4),
    "fear": (1, 4, 4),
    "sadness": (1, 4, 3),
    "anger": (1, 2, 1),
    "happiness": (1, 1, 1),
    "disgust": (1, 1, 1),
    "surprise": (1, 1, 0),
}
OULU_COPIES = (1, 5, 2)
ROTATION = 30.0  # degrees either way (Sect. 3.2)
CONTRAST = (0.22, 2.2)
AUGMENT_MODES = ("originals_and_copies", "copies", "combinations")
FLIP, ANGLE, FACTOR = range(3)  # columns of a transform: 0 or 1, degrees, multiplier
IDENTITY = (0.0, 0.0, 1.0)


def copy_counts(
    classes: Sequence[str], table: Mapping[str, tuple[int, int, int]] | tuple[int, int, int] | None
) -> np.ndarray:
    """Return int64 (C, 3): flipped, rotated and contrasted copies of a clip of each class.

    Raises
    ------
    FerError
        If a table by class lacks one.
    """
    if not isinstance(table, Mapping):
        return np.tile(np.array(table or (0, 0, 0)), (len(classes), 1))
    if missing := [name for name in classes if name not in table]:
        raise FerError(f"No number of augmented copies is given for {', '.join(missing)}.")
    return np.array([table[name] for name in classes])


def plain_part(labels: np.ndarray, index: np.ndarray, device: torch.device | str = "cpu") -> Part:
    """Return the clips at ``index`` as they are, to train or to test on."""
    index = np.asarray(index, np.int64)
    return Part(torch.as_tensor(index).to(device), torch.as_tensor(labels[index]).to(device))


def training_part(
    labels: np.ndarray,
    index: np.ndarray,
    counts: np.ndarray,
    *,
    mode: str = "originals_and_copies",
    per_clip: bool = True,
    n_frames: int = 10,
    seed: int = 0,
    device: torch.device | str = "cpu",
) -> Part:
    """Return the clips at ``index`` and their augmented copies, whose transforms are drawn here, once.

    Parameters
    ----------
    labels : int64 (S,)
        Of all clips.
    index : int64
        The clips of the training part.
    counts : int64 (C, 3)
        See :func:`copy_counts`.
    mode : {"originals_and_copies", "copies", "combinations"}
        Each copy one operation, with or without the clip itself; or every combination of a flip or none,
        a rotation or none and a contrast or none.
    per_clip : bool
        Whether one angle and one multiplier hold for all frames; False draws them for every frame.

    Returns
    -------
    Part
        ``images``: int64 (N,) clip numbers; ``extra``: transforms float (N, 1 or T, 3).

    Raises
    ------
    FerError
        For an unknown mode, or if nothing is left to train on.
    """
    one_of(mode, AUGMENT_MODES, "augment_mode")
    rng = np.random.default_rng(seed)
    steps = 1 if per_clip else n_frames
    chosen, transforms = [], []
    for clip in np.asarray(index, np.int64):
        for flip, rotated, contrasted in _operations(counts[labels[clip]], mode):
            transform = np.tile(IDENTITY, (steps, 1))
            transform[:, FLIP] = flip
            if rotated:
                transform[:, ANGLE] = rng.uniform(-ROTATION, ROTATION, steps)
            if contrasted:
                transform[:, FACTOR] = rng.uniform(*CONTRAST, steps)
            chosen.append(clip)
            transforms.append(transform)
    if not chosen:
        raise FerError(f"augment_mode={mode!r} leaves no clip to train on: no copies are asked for.")
    part = plain_part(labels, np.array(chosen), device)
    return Part(part.images, part.labels, (torch.as_tensor(np.stack(transforms)).float().to(device),))


def _operations(counts: np.ndarray, mode: str) -> list[tuple[bool, bool, bool]]:
    """Return what is done to each sample made of one clip: flipped, rotated, contrasted."""
    flips, rotations, contrasts = counts.tolist()
    if mode == "combinations":
        choices = ([False, *[True] * n] for n in (flips, rotations, contrasts))
        return list(itertools.product(*choices))
    copies = [(True, False, False)] * flips + [(False, True, False)] * rotations
    copies += [(False, False, True)] * contrasts
    return [(False, False, False), *copies] if mode == "originals_and_copies" else copies


@dataclass(frozen=True, eq=False)
class ClipFeed:
    """Makes a network's input of clip numbers: a :data:`fer_lib.learn.training.Feed`.

    Attributes
    ----------
    frames : Tensor
        uint8 ``(S, T, H, W)``, all clips, on the device.
    normalise : bool
        Pixels in [-1, 1] instead of [0, 1] (Table 1).
    contrast_stage : {"8bit", "unit"}
        Linear contrast around 127 on 8-bit pixels, rounded and clipped; or around 0.5 on [0, 1], as it is.
    redraw : bool
        Draw angles and multipliers anew in every epoch; False keeps those of the part.
    order : Tensor or None
        int64 ``(T',)`` or one per clip ``(S, T')``: frames in the order in which the network sees them;
        None as they are. See :func:`frame_orders`.
    """

    frames: Tensor
    normalise: bool = False
    contrast_stage: str = "8bit"
    redraw: bool = False
    order: Tensor | None = None

    def __post_init__(self) -> None:
        one_of(self.contrast_stage, ("8bit", "unit"), "contrast_stage")

    def __call__(self, batch: Part, training: bool) -> tuple[Tensor]:
        """Return ``(B, 3, T, H, W)`` float, three equal channels, channels last."""
        x = self.frames[batch.images]  # (B, T, H, W)
        if self.order is not None:
            order = self.order if self.order.ndim == 1 else self.order[batch.images]
            x = x[torch.arange(len(x), device=x.device)[:, None], order]
        x = x.float()
        if training and batch.extra:
            transforms = self._redrawn(batch.extra[0]) if self.redraw else batch.extra[0]
            x = contrast(warp(x, transforms), transforms[:, :, FACTOR], self.contrast_stage)
        x = x / 127.5 - 1 if self.normalise else x / 255
        x = x.unsqueeze(1).expand(-1, 3, -1, -1, -1)
        return (x.contiguous(memory_format=torch.channels_last_3d),)

    @staticmethod
    def _redrawn(transforms: Tensor) -> Tensor:
        """Draw other angles and multipliers for the copies that have one."""
        flip, angle, factor = transforms.unbind(2)
        low, high = CONTRAST
        angles = (2 * torch.rand_like(angle) - 1) * ROTATION
        factors = low + (high - low) * torch.rand_like(factor)
        return torch.stack(
            [flip, torch.where(angle == 0, angle, angles), torch.where(factor == 1, factor, factors)], dim=2
        )


def warp(clips: Tensor, transforms: Tensor) -> Tensor:
    """Flip and rotate clips ``(B, T, H, W)`` float by transforms ``(B, 1 or T, 3)``.

    What comes from outside a frame repeats its border. Clips that stay are returned as they are.
    """
    n, n_frames, height, width = clips.shape
    steps = transforms.shape[1]
    flip, angle = (transforms[:, :, column].reshape(-1) for column in (FLIP, ANGLE))
    centre = xy((width - 1) / 2, (height - 1) / 2, angle)
    matrices = rotations(angle * (math.pi / 180), centre, flip)
    # One transform per clip warps its frames as the channels of one image.
    images = clips.reshape(n * steps, n_frames // steps, height, width)
    warped = warp_images(images, matrices).view(clips.shape)
    changed = ((transforms[:, :, FLIP] != 0) | (transforms[:, :, ANGLE] != 0)).any(1)
    return torch.where(changed.view(-1, 1, 1, 1), warped, clips)


def contrast(clips: Tensor, factors: Tensor, stage: str = "8bit") -> Tensor:
    """Scale the contrast of clips ``(B, T, H, W)`` in 0..255 by factors ``(B, 1 or T)`` (Sect. 3.2)."""
    factors = factors[:, :, None, None]
    if stage == "unit":
        return 127.5 + factors * (clips - 127.5)
    scaled = (127 + factors * (clips - 127)).round().clamp(0, 255)
    return torch.where(factors == 1, clips, scaled)


def frame_orders(
    what: str | int,
    n_clips: int,
    n_frames: int = 10,
    seed: int = 0,
    lengths: np.ndarray | None = None,
) -> Tensor:
    """Return which frames a network is shown, int64 (n_clips, n_frames).

    Parameters
    ----------
    what : str or int
        ``reversed``; ``shuffled``, each clip in an order of its own; or the number of last frames that
        are shown, the last one repeated as the paper does with short sequences.
    lengths : int64 (n_clips,), optional
        Frames that each clip has before its last one is repeated: the last frames are counted back from
        there, and a shorter clip shows all it has. None where no clip ends in repeated frames.

    Raises
    ------
    FerError
        For another word or number.
    """
    steps = np.arange(n_frames)
    if isinstance(what, str):
        one_of(what, ("reversed", "shuffled"), "order of frames")
        if what == "reversed":
            return torch.as_tensor(np.tile(steps[::-1], (n_clips, 1)))
        rng = np.random.default_rng(seed)
        return torch.as_tensor(rng.permuted(np.tile(steps, (n_clips, 1)), axis=1))
    if not 1 <= what <= n_frames:
        raise FerError(f"A clip of {n_frames} frames cannot show {what} of them.")
    ends = np.full((n_clips, 1), n_frames) if lengths is None else np.asarray(lengths)[:, None]
    return torch.as_tensor(np.minimum(np.maximum(ends - what, 0) + steps, ends - 1))


def class_weights(labels: Tensor, n_classes: int) -> Tensor:
    """Return float (C,): weights inverse to the number of samples of each class, with mean 1.

    A class without samples weighs nothing.
    """
    n = torch.bincount(labels, minlength=n_classes).float()
    weights = torch.where(n > 0, n.sum() / n.clamp_min(1), 0)
    return weights / weights[n > 0].mean()


def weighted_cross_entropy(weights: Tensor) -> Loss:
    """Return the cross-entropy that weighs each sample by its class, ``weights`` float (C,)."""

    def loss(logits: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        logits = logits.float()
        return F.cross_entropy(logits, labels, weight=weights.to(logits.device)), logits

    return loss
