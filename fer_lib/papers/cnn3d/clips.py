"""Clips of paper 4: cut out, equalised and padded once, then gathered as batches with training copies.

A training part holds no pixels: a sample is the number of its clip and what is done to it (flip, rotation,
contrast: Sect. 3.2 of paper ``cnn3d``). One transform holds for all frames of a clip, else motion would be
lost in it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from fer_lib import faces
from fer_lib.data import datasets
from fer_lib.data.clips import Clips, sequences
from fer_lib.data.corpus import Corpus
from fer_lib.data.splits import Fold
from fer_lib.errors import FerError, one_of
from fer_lib.features.geometry import rotations, warp_images, xy
from fer_lib.learn.training import Part
from fer_lib.papers.cnn3d.network import Configuration

N_FRAMES = 10
DETECTOR = "haar"  # of faces: the model of the paper's own comes with no package
SIX = ("anger", "disgust", "fear", "happiness", "sadness", "surprise")
CLASSES = {  # Sect. 4.1 and 4.2; the synthetic corpus takes those of CK+
    "ckplus": (*SIX, "contempt"),
    "oulu_casia": SIX,
    "synthetic": (*SIX, "contempt"),
    # Films that anyone may have, for want of the paper's corpora: what they have of its six expressions.
    "ravdess": SIX,
    "crema_d": SIX[:5],
}
# Copies of each clip by (flip, rotation, linear contrast): Sect. 4.1 by class, Sect. 4.2 for all.
COPIES = {
    "ckplus": {
        "contempt": (1, 7, 4),
        "fear": (1, 4, 4),
        "sadness": (1, 4, 3),
        "anger": (1, 2, 1),
        "happiness": (1, 1, 1),
        "disgust": (1, 1, 1),
        "surprise": (1, 1, 0),
    },
    "oulu_casia": dict.fromkeys(SIX, (1, 5, 2)),
    # Their classes are balanced as they are.
    **{name: dict.fromkeys(CLASSES[name], (1, 1, 1)) for name in ("synthetic", "ravdess", "crema_d")},
}
ROTATION = 30.0  # degrees either way (Sect. 3.2)
CONTRAST = (0.22, 2.2)
FLIP, ANGLE, FACTOR = range(3)  # columns of a transform: 0 or 1, degrees, multiplier


# --- from a corpus to clips and folds ---------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Sequences:
    """S sequences, ready to train on."""

    corpus: Corpus  # one row per sequence: its last frame, its name as id; splitters and certificates read it
    frames: np.ndarray  # uint8 (S, T, size, size)
    equalised: np.ndarray  # the same with CLAHE
    lengths: np.ndarray  # int64 (S,): frames that each clip has before its last one is repeated
    fingerprint: str  # of the corpus of frames that they were made of
    faceless: int = 0  # frames in which no face was found; they are used whole, as all drawn ones are

    def select(self, index: np.ndarray) -> Sequences:
        """Return the sequences at the given positions."""
        pixels = {name: getattr(self, name)[index] for name in ("frames", "equalised", "lengths")}
        return replace(self, corpus=self.corpus.select(index), **pixels)

    def part(self, index: np.ndarray, device: torch.device | str = "cpu") -> Part:
        """Return the sequences at ``index`` as they are, to test on."""
        index = np.asarray(index, np.int64)
        return Part.of(index, self.corpus.labels[index], device=device)

    def copies(self, index: np.ndarray, seed: int = 0, device: torch.device | str = "cpu") -> Part:
        """Return the sequences at ``index`` with their augmented copies, to train on."""
        table = COPIES[self.corpus.card.name]
        counts = np.array([table[name] for name in self.corpus.classes])
        return training_part(self.corpus.labels, index, counts, seed, device)

    def feed(
        self, configuration: Configuration, device: torch.device | str = "cpu", order: Tensor | None = None
    ) -> ClipFeed:
        """Return what makes batches of the sequences as a configuration wants them prepared."""
        frames = torch.as_tensor(self.equalised if configuration.clahe else self.frames)
        order = None if order is None else order.to(device)
        return ClipFeed(frames.to(device), configuration.normalise, order)


def load(
    dataset: str,
    data_dir: str | Path | None = None,
    *,
    size: int = 112,
    oulu_camera: str = "VL",
    synthetic: dict[str, int] | None = None,
) -> Sequences:
    """Read a corpus as paper 4 does: the last ten frames, the face cut out, 112 pixels square.

    ``oulu_camera`` is ``VL`` (visible light), ``NI`` (near infrared) or ``all``; ``synthetic`` are arguments
    of :func:`fer_lib.data.datasets.synthetic.generate`. FerError where the corpus cannot be read.
    """
    one_of(dataset, CLASSES, "dataset of cnn3d")
    options: dict[str, object] = {"frames": f"last{N_FRAMES}"}
    if dataset == "synthetic":
        options = {"sequences": True, "n_frames": N_FRAMES, "size": size, **(synthetic or {})}
    elif dataset == "oulu_casia":
        options["camera"] = oulu_camera
    corpus = datasets.load(dataset, data_dir, **options).only(CLASSES[dataset])
    fingerprint, faceless = corpus.fingerprint, 0
    if dataset != "synthetic":
        corpus = faces.annotate(corpus, DETECTOR, points=False)
        faceless = int((~corpus.valid).sum())
    clips = sequences(corpus, N_FRAMES)
    plain = pixels(corpus, clips, size)
    columns = {"images": plain[:, -1], "ids": clips.names, "landmarks": None, "valid": None, "meta": None}
    apexes = replace(clips.apexes(corpus), **columns)
    return Sequences(apexes, plain, faces.clahe(plain), clips.lengths, fingerprint, faceless)


def pixels(corpus: Corpus, clips: Clips, size: int) -> np.ndarray:
    """Return the clips as pixels, uint8 (S, T, size, size), each cropped to its face.

    A clip has one box, the median of those that :func:`fer_lib.faces.annotate` found in its frames. Without
    any, frames are used whole.
    """
    used, where = np.unique(clips.rows, return_inverse=True)  # a repeated frame is cropped once
    boxes = np.full((len(used), 4), np.nan)
    if corpus.meta is not None and "face_x" in corpus.meta:
        found = faces.boxes(corpus).astype(np.float64)[used]
        for rows in where:
            seen = found[rows][~np.isnan(found[rows]).any(1)]
            if len(seen):
                boxes[rows] = np.median(seen, axis=0)
    return faces.crop(corpus.images[used], boxes, size)[where]


def subject_folds(corpus: Corpus, k: int = 10) -> list[Fold]:
    """Return k subject-independent folds as the works that the paper cites are understood to build them.

    Subjects are sorted by id and dealt like cards: fold i tests every k-th of them.
    """
    names = np.unique(corpus.subjects)  # sorted
    if not 2 <= k <= len(names):
        raise FerError(f"k must lie between 2 and the number of subjects, {len(names)}; got {k}.")
    tested = [np.isin(corpus.subjects, names[i::k]) for i in range(k)]
    return [Fold(f"fold{i}", np.flatnonzero(~t), np.flatnonzero(t)) for i, t in enumerate(tested, 1)]


def equal_folds(folds: Iterable[Fold], size: int, seed: int = 0) -> list[Fold]:
    """Return folds of ``size`` test samples each; the other samples are neither trained nor tested on.

    Table 5 has folds of 40 sequences where 80 subjects in ten folds give 48. It does not say which sequences
    were left out, so they are drawn.
    """
    rng = np.random.default_rng(seed)
    kept = []
    for fold in folds:
        if len(fold.test) < size:
            raise FerError(f"{fold.name} tests {len(fold.test)} sequences, fewer than {size}.")
        test = np.sort(rng.permutation(fold.test)[:size])
        kept.append(replace(fold, test=test))
    every = np.concatenate([fold.test for fold in kept])
    return [replace(fold, train=np.intersect1d(fold.train, every)) for fold in kept]


# --- from clips to batches --------------------------------------------------------------------------------


def training_part(
    labels: np.ndarray,
    index: np.ndarray,
    counts: np.ndarray,
    seed: int = 0,
    device: torch.device | str = "cpu",
) -> Part:
    """Return the clips at ``index`` and their augmented copies, whose transforms are drawn here, once.

    ``labels`` are those of all clips, ``counts`` int64 (C, 3) the copies of a clip of each class that are
    flipped, rotated or contrasted (ambiguity ``augmentation_counts``). The part's ``images`` are clip numbers
    int64 (N,), its ``extra`` the transforms, float (N, 3).
    """
    rng = np.random.default_rng(seed)
    chosen, transforms = [], []
    for clip in np.asarray(index, np.int64):
        copies = np.eye(3, dtype=bool).repeat(counts[labels[clip]], axis=0).tolist()
        for flip, rotated, contrasted in [(False, False, False), *copies]:
            angle = rng.uniform(-ROTATION, ROTATION) if rotated else 0.0
            factor = rng.uniform(*CONTRAST) if contrasted else 1.0
            chosen.append(clip)
            transforms.append((float(flip), angle, factor))
    clip = np.array(chosen)
    return Part.of(clip, labels[clip], np.array(transforms), device=device)


@dataclass(frozen=True, eq=False)
class ClipFeed:
    """Makes a network's input of clip numbers: a :data:`fer_lib.learn.training.Feed`."""

    frames: Tensor  # uint8 (S, T, H, W), all clips, on the device
    normalise: bool = False  # pixels in [-1, 1] instead of [0, 1] (Table 1)
    order: Tensor | None = None  # int64 (S, T'), see frame_orders; None: frames as they are

    def __call__(self, batch: Part, training: bool) -> tuple[Tensor]:
        """Return ``(B, 3, T, H, W)`` float, three equal channels."""
        x = self.frames[batch.images]  # (B, T, H, W)
        if self.order is not None:
            x = x[torch.arange(len(x), device=x.device)[:, None], self.order[batch.images]]
        x = x.float()
        if training and batch.extra:
            transforms = batch.extra[0]
            x = contrast(warp(x, transforms), transforms[:, FACTOR])
        x = x / 127.5 - 1 if self.normalise else x / 255
        return (x.unsqueeze(1).expand(-1, 3, -1, -1, -1),)


def warp(clips: Tensor, transforms: Tensor) -> Tensor:
    """Flip and rotate clips ``(B, T, H, W)`` float by transforms ``(B, 3)``; frames repeat their borders."""
    height, width = clips.shape[2:]
    flip, angle = transforms[:, FLIP], transforms[:, ANGLE]
    centre = xy((width - 1) / 2, (height - 1) / 2, angle)
    # The frames of a clip are warped as the channels of one image.
    warped = warp_images(clips, rotations(angle * (math.pi / 180), centre, flip))
    changed = (flip != 0) | (angle != 0)
    return torch.where(changed.view(-1, 1, 1, 1), warped, clips)


def contrast(clips: Tensor, factors: Tensor) -> Tensor:
    """Scale the contrast of clips ``(B, T, H, W)`` in 0..255 by factors ``(B,)`` (Sect. 3.2), in 8 bits."""
    factors = factors.view(-1, 1, 1, 1)
    return torch.where(factors == 1, clips, (127 + factors * (clips - 127)).round().clamp(0, 255))


def frame_orders(what: str | int, lengths: np.ndarray, seed: int = 0) -> Tensor:
    """Return which of its ten frames a network is shown of each clip, and in which order, int64 (S, T).

    ``what`` is ``reversed``, ``shuffled`` (each clip in its own order) or the number of last frames shown,
    counted back from where a clip ends (``lengths``, int64 (S,)); the last one is repeated.
    """
    steps = np.tile(np.arange(N_FRAMES), (len(lengths), 1))
    if what == "reversed":
        return torch.as_tensor(steps[:, ::-1].copy())
    if what == "shuffled":
        return torch.as_tensor(np.random.default_rng(seed).permuted(steps, axis=1))
    ends = np.asarray(lengths)[:, None]
    return torch.as_tensor(np.minimum(np.maximum(ends - what, 0) + steps, ends - 1))
