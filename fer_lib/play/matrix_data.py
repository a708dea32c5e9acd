"""The faces of the matrix: found, turned by the eyes, 48 pixels square, with all that any network reads.

The five papers prepare their images differently. To compare networks and not preparations, all of them get
the same pixels of the same images.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from fer_lib import faces
from fer_lib.data import datasets, protocols, splits
from fer_lib.data.clips import sequences
from fer_lib.data.corpus import Corpus
from fer_lib.data.splits import Fold
from fer_lib.errors import AbsentDataError, FerError
from fer_lib.expressions import EXPRESSIONS
from fer_lib.features import sift as features
from fer_lib.features.geometry import warp_points
from fer_lib.features.robustness import disturb
from fer_lib.learn.training import Part
from fer_lib.papers.cnn_sift.network import VISUAL_WORDS
from fer_lib.play import zoo
from fer_lib.play.zoo import CLIP, LANDMARKS, N_FRAMES, REACH, SIZE, WORDS

CLASSES = EXPRESSIONS[:7]  # the six basic ones and neutral


def reading(name: str, moving: bool = False) -> dict[str, Any]:
    """Return the options by which a corpus is read at the height of the expression, from the front.

    With ``moving`` the ten frames that lead there are read, where the corpus has them.
    """
    asked = {"frames": ("last10", "apex") if moving else ("apex",), "classes": ("seven",)}
    asked["pose"] = ("straight",)
    choices = (datasets.READERS | datasets.GENERATED)[name].choices
    found = {option: [v for v in values if v in choices.get(option, ())] for option, values in asked.items()}
    return {option: values[0] for option, values in found.items() if values}


@dataclass(frozen=True, eq=False)
class Faces:
    """A corpus as the matrix uses it.

    Attributes
    ----------
    corpus
        Images uint8 ``(N, 48, 48)`` with 68 landmarks each; ``valid`` says where a face was found. Where
        none was, the image is used whole and its landmarks are those of a face that fills it.
    clips
        uint8 ``(N, 10, 48, 48)``: the frames up to each image, turned as it is; None for stills.
    fingerprint
        Of the corpus before it was prepared.
    photographs
        A few images as they were read, in which faces were looked for; None for drawn faces.
    """

    corpus: Corpus
    descriptors: features.Descriptors
    clips: np.ndarray | None
    fingerprint: str
    photographs: np.ndarray | None

    def words(self, train: np.ndarray, seed: int, sample: int = 200_000) -> features.Vocabulary:
        """Return the vocabulary of S2, of the images at ``train`` alone."""
        return features.Vocabulary.fit(self.descriptors.take(train), VISUAL_WORDS["S2"], seed, sample)

    def part(
        self, index: np.ndarray, vocabulary: features.Vocabulary, device: torch.device | str = "cpu"
    ) -> Part:
        """Return the images at ``index`` on the device, with all that any network reads beside them."""
        bags = vocabulary.histograms(self.descriptors.take(index))
        clips = None if self.clips is None else self.clips[index]
        return zoo.part(self.corpus.select(index), bags, clips, device)


def load(
    name: str,
    data_dir: str | Path | None = None,
    *,
    limit: int | None = None,
    seed: int = 0,
    drawn: dict[str, int] | None = None,
) -> Faces:
    """Read a corpus and prepare it.

    ``limit`` is that of :func:`limited`, ``drawn`` are arguments of
    :func:`fer_lib.data.datasets.synthetic.generate`.
    """
    corpus, fingerprint, clips = _read(name, data_dir, limit, seed, drawn or {})
    found, points = corpus.valid, corpus.landmarks
    if not corpus.card.synthetic:
        corpus = faces.annotate(corpus, "mtcnn", points=False)
        found, points = corpus.valid, find_landmarks(corpus.images, faces.boxes(corpus))
    eyes = faces.eyes(np.where(found[:, None, None], points, np.nan))
    made = framed(replace(corpus, landmarks=points, valid=found), eyes)
    if clips is not None:
        steps = clips.shape[1]
        turned, _ = faces.align(clips.reshape(-1, *clips.shape[2:]), eyes.repeat(steps, 0), SIZE, **REACH)
        clips = turned.reshape(len(clips), steps, SIZE, SIZE)
    photographs = None if corpus.card.synthetic else corpus.images[:40].copy()
    return Faces(made, features.sift_of(made), clips, fingerprint, photographs)


def framed(corpus: Corpus, eyes: np.ndarray) -> Corpus:
    """Turn faces level and crop them by their ``eyes`` (N, 2, 2) to 48 pixels; landmarks follow.

    See :func:`fer_lib.faces.align` for eyes that are not known.
    """
    images, matrices = faces.align(corpus.images, eyes, SIZE, **REACH)
    points = warp_points(torch.as_tensor(corpus.landmarks), torch.as_tensor(matrices))
    return replace(corpus, images=images, landmarks=points.numpy())


def find_landmarks(images: np.ndarray, boxes: np.ndarray | None = None) -> np.ndarray:
    """Return the 68 points of every image, float32 ``(N, 68, 2)``: dlib's, in the boxes that MTCNN finds.

    ``boxes`` (N, 4) are where the faces are, if that is known; where one is NaN the face fills the image.
    """
    boxes = faces.detect(images, "mtcnn") if boxes is None else boxes
    height, width = images.shape[1:]
    found = np.isfinite(boxes).all(1)
    return faces.landmarks(images, np.where(found[:, None], boxes, np.float32([0, 0, width, height])))


def _read(
    name: str, data_dir: str | Path | None, limit: int | None, seed: int, drawn: dict[str, int]
) -> tuple[Corpus, str, np.ndarray | None]:
    """Return the corpus's images, the fingerprint of what was read and the frames of its sequences."""
    options = reading(name, moving=True)
    if name == "synthetic":
        options = {"sequences": True, "n_frames": N_FRAMES, **drawn}
    moving = name == "synthetic" or options.get("frames") == "last10"
    try:
        corpus = datasets.load(name, data_dir, **options)
    except AbsentDataError:
        raise
    except FerError:
        if not moving:
            raise
        # A copy of single frames serves all networks but the one that reads clips.
        corpus, moving = datasets.load(name, data_dir, **reading(name)), False
    corpus = corpus.only(c for c in CLASSES if c in corpus.classes)
    fingerprint, clips = corpus.fingerprint, None
    if moving:
        made = sequences(corpus, N_FRAMES)
        clips, corpus = made.images(corpus), made.apexes(corpus)
    kept = limited(corpus, limit, seed)
    return corpus.select(kept), fingerprint, None if clips is None else clips[kept]


def limited(corpus: Corpus, limit: int | None, seed: int) -> np.ndarray:
    """Return the positions of the images that are used, int64 sorted, the classes in proportion.

    Of an official split, the training part and the private test part, the second half as large; the public
    test part is left out, as nothing is selected on it.
    """
    parts = {"all": (np.arange(len(corpus)), limit)}
    if corpus.split is not None:
        sizes = {"train": limit, "private_test": limit and limit // 2}
        parts = {name: (np.flatnonzero(corpus.split == name), n) for name, n in sizes.items()}
    kept = [splits.subset(corpus, i, min(n, len(i)), seed) if n else i for i, n in parts.values()]
    return np.sort(np.concatenate(kept))


def folds(corpus: Corpus, k: int, seed: int, keep: int | None = None) -> tuple[str, list[Fold]]:
    """Return the common protocol's name and its folds.

    The official split where there is one, else ``k`` folds (or as many as there are people) that keep every
    person on one side, of which the first ``keep`` are used. A corpus with neither is a FerError.
    """
    if corpus.split is not None:
        return "official", splits.official(corpus, validation=None)
    if corpus.subjects is not None:
        k = min(k, len(np.unique(corpus.subjects)))
    return "subject", protocols.cross_validation(corpus, k, "subject", seed, keep=keep)


def others(
    name: str, data_dir: str | Path | None = None, drawn: dict[str, int] | None = None, **options: Any
) -> tuple[dict[str, Faces], list[str]]:
    """Return the further corpora on this machine, prepared, and the names of those that are not there.

    Networks trained on photographs are also given drawn faces; networks trained on drawn faces are given
    other people, drawn alike, and no photographs: what they know of faces is the drawing.
    """
    if name == "synthetic":
        other = load(name, drawn=(drawn or {}) | {"seed": (drawn or {}).get("seed", 0) + 1}, **options)
        # The other people have the same names; an id must not be one that was trained on.
        ids = np.char.add("other/", other.corpus.ids)
        return {"synthetic": replace(other, corpus=replace(other.corpus, ids=ids))}, []
    found, absent = {}, []
    for other in datasets.NAMES:
        if other != name:
            try:
                found[other] = load(other, data_dir, drawn=drawn, **options)
            except AbsentDataError:
                absent.append(other)
    return found, absent


def disturbed(part: Part, condition: str, severity: float, vocabulary: features.Vocabulary) -> Part:
    """Return a part under a condition of :func:`fer_lib.features.robustness.disturb`.

    Landmarks and key regions stay those of the clear face; SIFT words are counted anew; of a clip every
    frame is disturbed.
    """
    images = disturb(part.images, condition, severity, part.extra[LANDMARKS])
    extra = list(part.extra)
    bags = vocabulary.histograms(features.sift(images.cpu().numpy()))
    extra[WORDS] = torch.as_tensor(bags, device=images.device)
    if extra[CLIP].numel():
        n, steps = extra[CLIP].shape[:2]
        marks = extra[LANDMARKS].repeat_interleave(steps, 0)
        frames = disturb(extra[CLIP].byte().flatten(0, 1), condition, severity, marks)
        extra[CLIP] = frames.view(n, steps, SIZE, SIZE).float()
    return Part(images, part.labels, tuple(extra))
