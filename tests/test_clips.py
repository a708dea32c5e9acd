"""Clips of sequences: the last frames, in order, padded as paper 4 pads them."""

import dataclasses

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fer_lib.data.clips import sequences
from fer_lib.data.corpus import Corpus
from fer_lib.data.datasets import synthetic
from fer_lib.errors import FerError


def corpus_of(lengths, shuffle=None):
    """Return a corpus whose sequence k has ``lengths[k]`` frames; the pixel of a frame is its number."""
    names = [f"s{k}" for k, n in enumerate(lengths) for _ in range(n)]
    frames = np.array([f for n in lengths for f in range(1, n + 1)], np.int64)
    labels = np.array([k % 3 for k, n in enumerate(lengths) for _ in range(n)], np.int64)
    images = np.tile(frames.astype(np.uint8)[:, None, None], (1, 2, 3))
    made = Corpus(
        images,
        labels,
        ("anger", "disgust", "fear"),
        synthetic.CARD,
        np.array([f"{name}-{frame}" for name, frame in zip(names, frames, strict=True)], np.str_),
        subjects=np.array([f"p{name[1:]}" for name in names], np.str_),
        sequences=np.array(names, np.str_),
        meta=pd.DataFrame({"frame": frames}),
    )
    return made if shuffle is None else made.select(np.random.default_rng(shuffle).permutation(len(made)))


@given(
    st.lists(st.integers(1, 14), min_size=1, max_size=12), st.integers(1, 12), st.none() | st.integers(0, 9)
)
def test_a_clip_is_the_last_frames_and_repeats_the_last(lengths, n_frames, shuffle):
    corpus = corpus_of(lengths, shuffle)
    clips = sequences(corpus, n_frames)
    assert len(clips) == len(lengths)
    assert clips.names.tolist() == list(dict.fromkeys(corpus.sequences.tolist()))
    frames = clips.images(corpus)[:, :, 0, 0]
    for name, subject, label, kept, got in zip(
        clips.names, clips.subjects, clips.labels, clips.lengths, frames, strict=True
    ):
        k = int(name[1:])
        own = list(range(1, lengths[k] + 1))[-n_frames:]
        assert got.tolist() == own + own[-1:] * (n_frames - len(own))
        assert (subject, label, kept) == (f"p{k}", k % 3, len(own))
    assert (corpus.sequences[clips.rows] == clips.names[:, None]).all()


def test_the_apexes_are_a_corpus_to_split_by():
    corpus = synthetic.generate(n_subjects=2, per_expression=1, size=16, sequences=True, n_frames=4)
    clips = sequences(corpus, 3)
    apexes = clips.apexes(corpus)
    assert apexes.sequences.tolist() == clips.names.tolist()
    assert (apexes.labels == clips.labels).all()
    assert (apexes.meta["frame"] == 3).all()
    assert clips.images(corpus, slice(2, 5)).shape == (3, 3, 16, 16)
    assert (clips.images(corpus)[:, -1] == apexes.images).all()


def test_what_no_clip_can_be_made_of():
    corpus = corpus_of([2, 3])
    with pytest.raises(FerError, match="no sequences"):
        sequences(dataclasses.replace(corpus, sequences=None))
    mixed = dataclasses.replace(corpus, labels=np.array([0, 0, 1, 2, 1]))
    with pytest.raises(FerError, match="frames of sequence s1 have several labels"):
        sequences(mixed)


def test_an_empty_corpus_gives_no_clips():
    clips = sequences(corpus_of([1]).select([]))
    assert (clips.rows.shape, len(clips)) == ((0, 10), 0)
