"""Clips: lists of the rows that image sequences have in a corpus, so that padded clips cost no memory."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fer_lib.data.corpus import Corpus
from fer_lib.errors import FerError


@dataclass(frozen=True, eq=False)
class Clips:
    """S clips of T frames, in the order in which the sequences first occur in their corpus."""

    rows: np.ndarray  # int64 (S, T), positions in the corpus in order of time; a short one repeats its last
    labels: np.ndarray  # int64 (S,), indices into the corpus's classes
    names: np.ndarray  # str (S,), the sequences
    subjects: np.ndarray | None  # str (S,); None where the corpus names none
    lengths: np.ndarray  # int64 (S,), frames before any is repeated, 1 to T

    def __len__(self) -> int:
        return len(self.rows)

    def apexes(self, corpus: Corpus) -> Corpus:
        """Return the last frame of each clip, (S, H, W): a corpus aligned with the clips, to split by."""
        return corpus.select(self.rows[:, -1])

    def images(self, corpus: Corpus, clips: np.ndarray | slice = slice(None)) -> np.ndarray:
        """Return the pixels of the clips at the given positions, uint8 (S, T, H, W), as a copy."""
        return corpus.images[self.rows[clips]]


def sequences(corpus: Corpus, n_frames: int = 10) -> Clips:
    """Return one clip per sequence of a corpus: its last ``n_frames`` frames (paper 4, Sect. 4.1).

    A sequence that is shorter repeats its last frame, as the paper does. Frames are in the order of the
    column ``frame`` where the corpus has one, else in that of its rows. FerError if the corpus has no
    sequences (``datasets.load("ckplus", frames="last10")`` has), or one whose frames differ in label or
    subject.
    """
    if corpus.sequences is None:
        raise FerError(f"{corpus.card.title} has no sequences here, so no clips can be made of it.")
    order = np.arange(len(corpus))
    if corpus.meta is not None and "frame" in corpus.meta:
        order = np.argsort(corpus.meta["frame"].to_numpy(), kind="stable")
    names, first, codes = np.unique(corpus.sequences, return_index=True, return_inverse=True)
    order = order[np.argsort(codes[order], kind="stable")]  # by sequence, and by frame within it
    sizes = np.bincount(codes, minlength=len(names))
    ends = np.cumsum(sizes)
    lengths = np.minimum(sizes, n_frames)
    # The t-th frame of a clip is the t-th of its last frames; past the end stays the last one.
    steps = np.minimum(np.arange(n_frames), (lengths - 1)[:, None])
    rows = order[(ends - lengths)[:, None] + steps]  # (S, T)
    appearance = np.argsort(first)
    rows, names, lengths = rows[appearance], names[appearance], lengths[appearance]
    last = rows[:, -1]
    for what, column in (("labels", corpus.labels), ("subjects", corpus.subjects)):
        if column is not None and (other := np.flatnonzero(column != column[first][codes])).size:
            raise FerError(
                f"The frames of sequence {corpus.sequences[other[0]]} have several {what}; a clip has one. "
                "Choose frames of one expression."
            )
    subjects = None if corpus.subjects is None else corpus.subjects[last]
    return Clips(rows.astype(np.int64), corpus.labels[last], names, subjects, lengths.astype(np.int64))
