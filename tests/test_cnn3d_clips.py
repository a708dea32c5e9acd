"""Clips as batches: copies by class, one transform per clip, contrast, orders of frames; crops and folds."""

from dataclasses import replace

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from fer_lib.claims import load
from fer_lib.data import splits
from fer_lib.data.clips import sequences
from fer_lib.data.corpus import Corpus
from fer_lib.data.datasets.synthetic import CARD, generate
from fer_lib.errors import FerError
from fer_lib.expressions import canonical
from fer_lib.faces.annotation import COLUMNS
from fer_lib.learn.training import Part
from fer_lib.papers.cnn3d import clips
from fer_lib.papers.cnn3d.clips import ANGLE, FACTOR, FLIP, ClipFeed

CLASSES = clips.CLASSES["ckplus"]
PROTOCOL = load("cnn3d").protocol("ckplus_7class_loso")
CK_COUNTS = {canonical(name): n for name, n in PROTOCOL["class_counts"].items()}
CK_LABELS = np.repeat(np.arange(7), [CK_COUNTS[name] for name in CLASSES])
COPIES = clips.COPIES["ckplus"]
COUNTS = np.array([COPIES[name] for name in CLASSES])


def per_class(part):
    return dict(zip(CLASSES, torch.bincount(part.labels, minlength=7).tolist(), strict=True))


def batch(transforms, images=None):
    n = len(transforms)
    images = torch.zeros(n, dtype=torch.int64) if images is None else images
    return Part(images, torch.zeros(n, dtype=torch.int64), (torch.tensor(transforms).float(),))


@pytest.fixture(scope="module")
def frames():
    return torch.as_tensor(np.random.default_rng(0).integers(0, 256, (3, 10, 24, 24), np.uint8))


# --- copies --------------------------------------------------------------------------------------


def test_copies_of_ckplus_are_quasi_balanced_as_the_paper_says():
    part = clips.training_part(CK_LABELS, np.arange(327), COUNTS)
    assert len(part) == 1722
    assert per_class(part) == {
        "anger": 225, "contempt": 234, "disgust": 236, "fear": 250, "happiness": 276, "sadness": 252,
        "surprise": 249,
    }  # fmt: skip


def test_copies_are_those_that_the_paper_prints():
    printed = {h["id"]: h["value"] for h in load("cnn3d").hyperparameters if h["id"].startswith("augment_")}
    for name, counts in COPIES.items():
        key = {"happiness": "happy"}.get(name, name)
        assert tuple(printed[f"augment_ck_{key}"].values()) == counts
    assert {tuple(printed["augment_oulu"].values())} == set(clips.COPIES["oulu_casia"].values())


def test_each_copy_has_one_operation_drawn_once():
    index = np.flatnonzero(CLASSES.index("contempt") == CK_LABELS)[:2]
    part = clips.training_part(CK_LABELS, index, COUNTS, seed=1)
    again = clips.training_part(CK_LABELS, index, COUNTS, seed=1)
    other = clips.training_part(CK_LABELS, index, COUNTS, seed=2)
    assert torch.equal(part.extra[0], again.extra[0])
    assert not torch.equal(part.extra[0], other.extra[0])
    transforms = part.extra[0]
    done = torch.stack(
        [transforms[:, FLIP] != 0, transforms[:, ANGLE] != 0, transforms[:, FACTOR] != 1], dim=1
    )
    assert done.sum(0).tolist() == [2 * n for n in COPIES["contempt"]]
    assert done.sum(1).max() == 1
    assert (done.sum(1) == 0).sum() == 2
    assert transforms[:, ANGLE].abs().max() <= 30
    assert transforms[:, FACTOR].min() >= 0.22
    assert transforms[:, FACTOR].max() <= 2.2


# --- feed ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("normalise, bounds", [(False, (0, 1)), (True, (-1, 1))])
def test_feed_gives_three_equal_channels_in_range(frames, normalise, bounds):
    index = torch.tensor([2, 0])
    (x,) = ClipFeed(frames, normalise=normalise)(Part(index, index), False)
    assert x.shape == (2, 3, 10, 24, 24)
    assert torch.equal(x[:, 0], x[:, 2])
    low, high = bounds
    assert torch.allclose((x[:, 1] - low) / (high - low) * 255, frames[index].float(), atol=1e-4)


def test_augments_while_training_only_and_leaves_originals_alone(frames):
    part = batch([[0, 0, 1], [1, 0, 1], [0, 20, 1], [0, 0, 2]])
    feed = ClipFeed(frames)
    (plain,), (trained,) = feed(part, False), feed(part, True)
    assert torch.equal(plain[0], trained[0])
    assert torch.allclose(trained[1], plain[1].flip(-1), atol=1e-4)
    assert all(not torch.allclose(trained[i], plain[i], atol=0.05) for i in (2, 3))


@settings(max_examples=15, deadline=None)
@given(st.floats(-30, 30), st.booleans())
def test_warp_agrees_with_opencv_on_every_frame(angle, flip):
    clip = np.random.default_rng(1).integers(0, 256, (2, 31, 31), np.uint8)
    clip = np.stack([cv2.GaussianBlur(frame, (0, 0), 2) for frame in clip])
    ours = clips.warp(torch.as_tensor(clip[None]).float(), torch.tensor([[flip, angle, 1.0]]))[0]
    matrix = cv2.getRotationMatrix2D((15, 15), -angle, 1)
    for frame, got in zip(clip, ours.numpy(), strict=True):
        frame = frame[:, ::-1].copy() if flip else frame
        expected = cv2.warpAffine(frame.astype(np.float32), matrix, (31, 31), borderMode=cv2.BORDER_REPLICATE)
        # OpenCV rounds positions to 1/32 of a pixel.
        assert np.abs(got - expected).max() < 2


@given(st.integers(0, 255), st.floats(0.22, 2.2))
def test_contrast_is_the_printed_formula(value, factor):
    got = clips.contrast(torch.full((1, 2, 3, 3), float(value)), torch.tensor([factor]))[0, 0, 0, 0].item()
    assert abs(got - min(max(127 + factor * (value - 127), 0), 255)) <= 0.501
    assert got == int(got)


def test_the_network_sees_frames_in_their_order(frames):
    order = clips.frame_orders("shuffled", np.full(3, 10))
    assert order.sort(1).values.tolist() == [list(range(10))] * 3
    assert len(set(map(tuple, order.tolist()))) == 3
    index = torch.arange(3)
    (x,) = ClipFeed(frames, order=order)(Part(index, index), False)
    expected = torch.stack([frames[i][order[i]] for i in range(3)]).float()
    assert torch.allclose(x[:, 0] * 255, expected, atol=1e-4)


@pytest.mark.parametrize(
    "what, expected",
    [(1, [2] * 10), (2, [1] + [2] * 9), (7, [0, 1] + [2] * 8), ("reversed", list(range(9, -1, -1)))],
)
def test_last_frames_are_followed_by_the_apex_and_are_a_short_clips_own(what, expected):
    short, whole = clips.frame_orders(what, np.array([3, 10])).tolist()
    assert short == expected  # three frames, the third stored eight times
    assert whole == (expected if what == "reversed" else [min(10 - what + i, 9) for i in range(10)])


# --- clips of a corpus ---------------------------------------------------------------------------


@pytest.fixture(scope="module")
def small():
    return generate(2, 1, 32, sequences=True).only(("anger", "happiness"))


def test_pixels_are_cropped_to_the_median_box(small):
    boxes = np.tile([4.0, 4.0, 16.0, 16.0], (len(small), 1))
    boxes[3] = [12, 12, 16, 16]  # a jump of the detector
    boxes[5] = np.nan
    meta = small.meta.assign(**dict(zip(COLUMNS, boxes.T, strict=True)))
    corpus = replace(small, meta=meta)
    made = sequences(corpus, 10)
    expected = small.images[:10, 4:20, 4:20]
    assert np.array_equal(clips.pixels(corpus, made, 16)[0], expected)


def test_synthetic_sequences_load():
    loaded = clips.load("synthetic", size=32, synthetic={"n_subjects": 2, "per_expression": 1})
    assert loaded.frames.shape == loaded.equalised.shape == (14, 10, 32, 32)
    assert loaded.corpus.classes == tuple(n for n in CARD_ORDER if n in CLASSES)
    assert np.array_equal(loaded.corpus.images, loaded.frames[:, -1])
    part = loaded.select(np.array([3, 5]))
    assert len(part.corpus) == 2
    assert np.array_equal(part.frames[1], loaded.frames[5])
    clahe = cv2.createCLAHE(2, (8, 8))
    assert np.array_equal(loaded.equalised[3, 4], clahe.apply(loaded.frames[3, 4]))
    assert len(loaded.copies(np.arange(14))) == 14 * 4
    with pytest.raises(FerError, match="dataset"):
        clips.load("fer2013")


CARD_ORDER = ("anger", "disgust", "fear", "happiness", "sadness", "surprise", "neutral", "contempt")


# --- folds ---------------------------------------------------------------------------------------


def corpus_of(n_subjects, each=6):
    n = n_subjects * each
    names = np.repeat([f"S{i:03d}" for i in range(n_subjects)], each)
    images = np.arange(n * 16, dtype=np.uint32).reshape(n, 4, 4).astype(np.uint8)
    ids = np.array([f"{name}-{i}" for i, name in enumerate(names)])
    return Corpus(images, np.tile(np.arange(each), n_subjects), clips.SIX, CARD, ids, subjects=names)


def test_folds_of_forty_leave_the_rest_out():
    corpus = corpus_of(80)
    folds = clips.equal_folds(clips.subject_folds(corpus, 10), 40)
    assert [len(fold.test) for fold in folds] == [40] * 10
    assert [len(fold.train) for fold in folds] == [360] * 10
    with pytest.raises(FerError, match="fewer than 50"):
        clips.equal_folds(clips.subject_folds(corpus, 10), 50)


@settings(max_examples=25, deadline=None)
@given(st.integers(2, 30), st.integers(2, 10))
def test_folds_deal_subjects_and_test_everyone_once(n_subjects, k):
    corpus = corpus_of(n_subjects)
    if k > n_subjects:
        with pytest.raises(FerError, match="number of subjects"):
            clips.subject_folds(corpus, k)
        return
    folds = clips.subject_folds(corpus, k)
    certificate = splits.certify(corpus, folds, True)
    assert certificate["every_sample_tested_once"]
    assert certificate["subjects_shared"] == 0
    names = [f"S{i:03d}" for i in range(n_subjects)]
    assert [sorted(set(corpus.subjects[fold.test])) for fold in folds] == [names[i::k] for i in range(k)]
