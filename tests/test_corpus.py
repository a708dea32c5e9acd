"""The corpus: alignment, fingerprint, selections, duplicates."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fer_lib.data.corpus import Card, Corpus, audit, flags, pack, twins, unpack
from fer_lib.errors import FerError

CARD = Card("toy", "Toy", "nobody", "none", "nowhere", "toy/", may_show=True)
CLASSES = ("anger", "happiness", "neutral")


def toy(n=12, seed=0, **columns):
    """Return a corpus with every column, of random distinct images."""
    rng = np.random.default_rng(seed)
    base = {
        "images": rng.integers(1, 256, (n, 6, 8), dtype=np.uint8),
        "labels": np.arange(n) % 3,
        "classes": CLASSES,
        "card": CARD,
        "ids": np.array([f"s{i:03d}" for i in range(n)]),
        "subjects": np.array([f"p{i % 4}" for i in range(n)]),
        "sequences": np.array([f"q{i // 2}" for i in range(n)]),
        "split": np.array(["train", "public_test", "private_test"])[np.arange(n) % 3],
        "landmarks": rng.uniform(0, 5, (n, 68, 2)).astype(np.float32),
        "valid": np.arange(n) % 5 > 0,
        "meta": pd.DataFrame(
            {"pose": ["left", "right"] * (n // 2), "frame": range(n), "angle": rng.random(n)}
        ),
    }
    return Corpus(**(base | columns))


def rows(corpus):
    """Return every sample as one tuple of all its columns, with the class by name."""
    c = corpus
    meta = c.meta.itertuples(index=False, name=None)
    names = np.array(c.classes)[c.labels].tolist()
    columns = [c.ids.tolist(), names, c.subjects.tolist(), c.sequences.tolist(), c.split.tolist()]
    arrays = [[a.tobytes() for a in c.images], [a.tobytes() for a in c.landmarks], c.valid.tolist()]
    return list(zip(*columns, *arrays, meta, strict=True))


@given(st.lists(st.integers(0, 11), unique=True, max_size=12))
def test_select_keeps_every_column_aligned(index):
    corpus = toy()
    every = rows(corpus)
    assert rows(corpus.select(index)) == [every[i] for i in index]
    mask = np.isin(np.arange(12), index)
    assert rows(corpus.select(mask)) == [every[i] for i in sorted(index)]


def test_select_accepts_slices():
    assert toy().select(slice(2, 5)).ids.tolist() == ["s002", "s003", "s004"]


def test_only_drops_relabels_and_orders_canonically():
    corpus = toy(classes=("neutral", "anger", "happiness"))
    part = corpus.only(["normal", "Angry"])
    assert part.classes == ("anger", "neutral")
    assert rows(part) == [row for row in rows(corpus) if row[1] in ("anger", "neutral")]
    with pytest.raises(FerError, match="'fear'"):
        corpus.only(["fear"])


def test_counts_by_class_and_split():
    table = toy(labels=np.r_[np.zeros(11, int), 2]).counts()
    assert table.columns.tolist() == ["train", "public_test", "private_test"]
    assert table.loc["anger"].tolist() == [4, 4, 3]
    assert table.loc["happiness"].sum() == 0
    assert toy(split=None).counts()["all"].tolist() == [4, 4, 4]


def test_resize_averages_areas_and_moves_landmarks():
    corpus = toy()
    half = corpus.resize((3, 4))
    blocks = corpus.images.reshape(12, 3, 2, 4, 2).mean(axis=(2, 4))
    assert np.abs(half.images - blocks).max() <= 0.5
    # A landmark between the centres of two pixels that are averaged lies on the centre of their mean.
    corner = toy(landmarks=np.full((12, 68, 2), 0.5, np.float32)).resize((3, 4))
    assert np.allclose(corner.landmarks, 0)
    assert half.resize(5).images.shape == (12, 5, 5)
    assert corpus.resize((6, 8)) is corpus


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"images": np.zeros((12, 6, 8), np.float32)}, "float32"),
        ({"images": np.zeros((12, 6, 8, 3), np.uint8)}, "uint8"),
        ({"labels": np.zeros(11, int)}, "labels has 11 entries for 12"),
        ({"labels": np.full(12, 3)}, r"outside 0\.\.2"),
        ({"labels": np.full(12, -1)}, r"outside 0\.\.2"),
        ({"ids": np.array(["a"] * 12)}, "unique"),
        ({"subjects": np.array(["a"])}, "subjects has 1"),
        ({"meta": pd.DataFrame({"a": [1]})}, "meta has 1"),
        ({"classes": ("anger", "hunger", "fear")}, "hunger"),
    ],
)
def test_misaligned_columns_are_refused(columns, message):
    with pytest.raises(FerError, match=message):
        toy(**columns)


def test_fingerprint_sees_every_column_and_not_the_card():
    changes = {
        "images": toy().images[::-1],
        "labels": toy().labels[::-1],
        "classes": ("anger", "happiness", "fear"),
        "ids": np.char.add(toy().ids, "x"),
        "landmarks": toy().landmarks + 1,
        "valid": ~toy().valid,
        "meta": toy().meta.assign(frame=0),
    }
    changes |= dict.fromkeys(("subjects", "sequences", "split", "landmarks", "valid", "meta"))
    prints = [toy(**{name: value}).fingerprint for name, value in changes.items()]
    prints += [toy(subjects=toy().sequences).fingerprint, toy().fingerprint]
    assert len(set(prints)) == len(prints)
    other = Card("other", "Other", "", "", "", "", may_show=False)
    assert toy(card=other).fingerprint == toy().fingerprint
    assert len(toy().fingerprint) == 64


def test_fingerprint_does_not_depend_on_representation():
    wide = toy(ids=toy().ids.astype("U50"), labels=toy().labels.astype(np.int32))
    strided = toy(images=np.asfortranarray(toy().images))
    assert wide.fingerprint == strided.fingerprint == toy().fingerprint


@pytest.mark.parametrize("columns", [{}, dict.fromkeys(("subjects", "landmarks", "valid", "meta", "split"))])
def test_pack_and_unpack_return_the_same_corpus(columns):
    corpus = toy(**columns)
    arrays = pack(corpus)
    assert not any(a.dtype.hasobject for a in arrays.values())
    again = unpack(arrays, CARD)
    assert again.fingerprint == corpus.fingerprint
    if corpus.meta is not None:
        assert again.meta.columns.tolist() == ["pose", "frame", "angle"]


@given(st.lists(st.integers(0, 3), max_size=20))
def test_twins_numbers_groups_by_first_occurrence(values):
    images = np.array(values, np.uint8)[:, None, None] * np.ones((1, 2, 2), np.uint8)
    first = {}
    assert twins(images).tolist() == [first.setdefault(v, len(first)) for v in values]


def with_copies():
    """Return 9 samples: pairs across splits, in conflict across splits and within train; one black."""
    values = [10, 10, 20, 20, 30, 30, 40, 50, 0]
    splits = ["train", "private_test", "train", "public_test", *["train"] * 3, "private_test", "private_test"]
    return Corpus(
        images=np.array(values, np.uint8)[:, None, None] * np.ones((1, 4, 4), np.uint8),
        labels=np.array([0, 0, 1, 2, 1, 1, 0, 1, 2]),
        classes=CLASSES,
        card=CARD,
        ids=np.array([f"s{i}" for i in range(9)]),
        split=np.array(splits),
    )


def test_audit_counts_copies_conflicts_and_black_images():
    assert audit(with_copies()) == {
        "images": 9,
        "distinct": 6,
        "redundant": 3,
        "groups": 3,
        "conflicting_groups": 1,
        "cross_split_groups": 2,
        "black": {"total": 1, "train": 0, "public_test": 0, "private_test": 1},
        "twins_in_training": {"public_test": 1, "private_test": 1},
        "twins_with_other_label": {"public_test": 1, "private_test": 0},
    }
    facts = audit(toy(split=None))
    assert facts["redundant"] == facts["cross_split_groups"] == 0
    assert facts["twins_in_training"] == {}
    assert audit(toy().select([]))["distinct"] == 0


def test_flags_mark_twins_in_training_and_conflicts_anywhere():
    corpus = with_copies()
    marks = flags(corpus, np.array([0, 4, 6]), np.array([1, 3, 5, 7]))
    assert marks["twin_in_training"].tolist() == [True, False, True, False]
    assert marks["conflicting_label"].tolist() == [False, True, False, False]
