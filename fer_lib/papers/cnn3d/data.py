"""What paper 4 makes of sequences before training: padding, face crops, equalisation, and its folds.

The readings are those of Sect. 4.1 and 4.2 of ``cnn3d``; clips themselves are :mod:`fer_lib.data.clips`.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from fer_lib.data.clips import Clips, sequences
from fer_lib.data.corpus import Corpus
from fer_lib.data.splits import Fold
from fer_lib.errors import FerError, one_of

FACE_COLUMNS = ("face_x", "face_y", "face_width", "face_height")  # as fer_lib.faces.annotate names them
FOLD_RULES = ("dealt", "blocks", "random")
N_FRAMES = 10
CLASSES = {  # Sect. 4.1 and 4.2; the synthetic corpus takes those of CK+
    "ckplus": ("anger", "disgust", "fear", "happiness", "sadness", "surprise", "contempt"),
    "oulu_casia": ("anger", "disgust", "fear", "happiness", "sadness", "surprise"),
}
CLASSES["synthetic"] = CLASSES["ckplus"]
# Films that anyone may have, for want of the paper's corpora: what they have of its six expressions.
CLASSES["ravdess"] = CLASSES["oulu_casia"]
CLASSES["crema_d"] = CLASSES["oulu_casia"][:5]


@dataclass(frozen=True, eq=False)
class Sequences:
    """S sequences, ready to train on.

    Attributes
    ----------
    corpus : Corpus
        One row per sequence: its last frame, its name as id; what splitters and certificates read.
    frames, equalised : uint8 (S, T, size, size)
        The clips' pixels, without and with CLAHE.
    lengths : int64 (S,)
        Frames that each clip has before any is repeated.
    fingerprint : str
        Of the corpus of frames that they were made of.
    detector : str or None
        Which detector found the faces; None where frames are used whole.
    faceless : int
        Frames in which it found none.
    """

    corpus: Corpus
    frames: np.ndarray
    equalised: np.ndarray
    lengths: np.ndarray
    fingerprint: str
    detector: str | None = None
    faceless: int = 0

    def __len__(self) -> int:
        return len(self.frames)

    def select(self, index: np.ndarray) -> Sequences:
        """Return the sequences at the given positions."""
        index = np.asarray(index)
        pixels = {name: getattr(self, name)[index] for name in ("frames", "equalised", "lengths")}
        return replace(self, corpus=self.corpus.select(index), **pixels)


def load(
    dataset: str,
    data_dir: str | Path | None = None,
    *,
    size: int = 112,
    short_pad: str = "last",
    face_box: str = "clip",
    clahe_stage: str = "crop",
    oulu_camera: str = "VL",
    oulu_color: str = "grey",
    synthetic: dict[str, int] | None = None,
) -> Sequences:
    """Read a corpus as paper 4 does: the last ten frames, the face cut out, 112 pixels square.

    Parameters
    ----------
    dataset : {"synthetic", "ckplus", "oulu_casia", "ravdess", "crema_d"}
    size : int
        Side of the crops in pixels; the paper's is 112.
    short_pad : {"last", "first"}
        Which frame a short sequence repeats.
    face_box, clahe_stage
        See :func:`pixels`.
    oulu_camera, oulu_color
        Visible light or near infrared; of the colours only ``grey``.
    synthetic : dict, optional
        Arguments of :func:`fer_lib.data.datasets.synthetic.generate`.

    Raises
    ------
    FerError
        For an unknown choice, for colour, or where the corpus cannot be read.
    """
    from fer_lib import faces
    from fer_lib.data import datasets
    from fer_lib.faces import detection

    one_of(dataset, CLASSES, "dataset of cnn3d")
    one_of(short_pad, ("last", "first"), "short_pad")
    if one_of(oulu_color, ("grey", "colour"), "oulu_color") == "colour":
        raise FerError("oulu_color='colour' cannot be read: corpora hold grey frames here; use 'grey'.")
    options: dict[str, object] = {"frames": f"last{N_FRAMES}"}
    if dataset == "synthetic":
        options = {"sequences": True, "n_frames": N_FRAMES, "size": size, **(synthetic or {})}
    elif dataset == "oulu_casia":
        options["camera"] = oulu_camera
    corpus = datasets.load(dataset, data_dir, **options).only(CLASSES[dataset])
    fingerprint, detector, faceless = corpus.fingerprint, None, 0
    if dataset != "synthetic":
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # which detector stands in is told by `detector`
            detector = detection.in_effect("ssd")
            corpus = faces.annotate(corpus, "ssd", points=False)
        faceless = int((~corpus.valid).sum())
    clips = sequences(corpus, N_FRAMES)
    clips = repeat_first(clips) if short_pad == "first" else clips
    plain, equalised = (
        pixels(corpus, clips, size, box=face_box, clahe_stage=stage) for stage in (None, clahe_stage)
    )
    apexes = replace(
        clips.apexes(corpus), images=plain[:, -1], ids=clips.names, landmarks=None, valid=None, meta=None
    )
    return Sequences(apexes, plain, equalised, clips.lengths, fingerprint, detector, faceless)


def repeat_first(clips: Clips) -> Clips:
    """Return the clips with short ones repeating their first frame before, not their last frame after."""
    n_frames = clips.rows.shape[1]
    missing = (n_frames - clips.lengths)[:, None]
    steps = np.maximum(np.arange(n_frames) - missing, 0)
    return replace(clips, rows=np.take_along_axis(clips.rows, steps, axis=1))


def pixels(
    corpus: Corpus,
    clips: Clips,
    size: int,
    *,
    box: str = "clip",
    margin: float = 0.0,
    clahe_stage: str | None = None,
) -> np.ndarray:
    """Return the clips as pixels, each frame cropped to its face where the corpus says where that is.

    Parameters
    ----------
    corpus : Corpus
        Its frames; boxes are its columns :data:`FACE_COLUMNS`, without which frames are used whole.
    size : int
        Height and width of the result in pixels.
    box : {"clip", "frame"}
        One box per clip, the median over its frames (in which faces were found), or one per frame.
    margin : float
        See :func:`fer_lib.faces.crop`.
    clahe_stage : {None, "crop", "frame"}
        No equalisation; CLAHE with the paper's figures on the finished crop, or on the whole frame.

    Returns
    -------
    uint8 (S, T, size, size)

    Raises
    ------
    FerError
        For an unknown choice.
    """
    from fer_lib import faces

    one_of(box, ("clip", "frame"), "face_box")
    one_of(clahe_stage or "crop", ("crop", "frame"), "clahe_stage")
    used, where = np.unique(clips.rows, return_inverse=True)  # a repeated frame is cropped once
    frames = corpus.images[used]
    if clahe_stage == "frame":
        frames = faces.clahe(frames)
    boxes = _boxes(corpus, clips, used, where.reshape(clips.rows.shape), box)
    height, width = frames.shape[1:]
    if boxes is None and height == width == size:
        cut = frames
    else:
        boxes = np.full((len(used), 4), np.nan) if boxes is None else boxes
        cut = faces.crop(frames, boxes, size, margin)
    if clahe_stage == "crop":
        cut = faces.clahe(cut)
    return cut[where.reshape(clips.rows.shape)]


def _boxes(corpus: Corpus, clips: Clips, used: np.ndarray, where: np.ndarray, kind: str) -> np.ndarray | None:
    """Return the box of each frame in ``used`` float (n, 4), None if the corpus has no boxes."""
    if corpus.meta is None or not set(FACE_COLUMNS) <= set(corpus.meta):
        return None
    boxes = corpus.meta[list(FACE_COLUMNS)].to_numpy(np.float64)[used]
    own = boxes.copy()
    for rows in where:
        found = boxes[rows][~np.isnan(boxes[rows]).any(1)]
        if len(found):
            median = np.median(found, axis=0)
            # A frame in which no face was found takes the box of its clip.
            for row in rows:
                if kind == "clip" or np.isnan(boxes[row]).any():
                    own[row] = median
    return own


def subject_folds(corpus: Corpus, k: int = 10, rule: str = "dealt", seed: int = 0) -> list[Fold]:
    """Return k subject-independent folds as the works that the paper cites are understood to build them.

    Parameters
    ----------
    corpus : Corpus
        One row per clip, such as :meth:`fer_lib.data.clips.Clips.apexes` returns.
    rule : {"dealt", "blocks", "random"}
        Subjects sorted by id and dealt like cards, so that fold i holds every k-th; contiguous blocks of
        sorted ids, equal in number; or dealt after a shuffle by ``seed``.

    Raises
    ------
    FerError
        For a corpus without subjects, fewer subjects than folds, or an unknown rule.
    """
    one_of(rule, FOLD_RULES, "fold_rule")
    if corpus.subjects is None:
        raise FerError(f"{corpus.card.title} has no subject ids, so folds cannot be made by subject.")
    names = np.unique(corpus.subjects)  # sorted
    if not 2 <= k <= len(names):
        raise FerError(f"k must lie between 2 and the number of subjects, {len(names)}; got {k}.")
    if rule == "random":
        names = np.random.default_rng(seed).permutation(names)
    groups = np.array_split(names, k) if rule == "blocks" else [names[i::k] for i in range(k)]
    return [_fold(f"fold{i + 1}", np.isin(corpus.subjects, group)) for i, group in enumerate(groups)]


def _fold(name: str, tested: np.ndarray) -> Fold:
    return Fold(name, np.flatnonzero(~tested), np.flatnonzero(tested))


def equal_folds(folds: Iterable[Fold], size: int, seed: int = 0) -> list[Fold]:
    """Return folds of ``size`` test samples each, what is left out being neither trained nor tested on.

    Table 5 of the paper has folds of 40 sequences where 80 subjects in ten folds give 48; which sequences
    were left out is not stated, so they are drawn.

    Raises
    ------
    FerError
        If a fold tests fewer.
    """
    folds = list(folds)
    rng = np.random.default_rng(seed)
    kept = []
    for fold in folds:
        if len(fold.test) < size:
            raise FerError(f"{fold.name} tests {len(fold.test)} sequences, fewer than {size}.")
        kept.append(np.sort(rng.permutation(fold.test)[:size]))
    every = np.concatenate(kept)
    return [
        replace(fold, train=np.intersect1d(fold.train, every), test=test)
        for fold, test in zip(folds, kept, strict=True)
    ]
