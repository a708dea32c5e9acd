"""SIFT descriptors and bags of words against OpenCV and scikit-learn called one image at a time."""

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fer_lib.data import datasets
from fer_lib.errors import FerError
from fer_lib.features import sift as features
from fer_lib.features.sift import Descriptors, Vocabulary


@pytest.fixture(scope="module")
def faces():
    return datasets.synthetic.generate(n_subjects=3, per_expression=1).images


@pytest.fixture(scope="module")
def descriptors(faces):
    return features.sift(faces)


def test_sift_is_opencvs_on_the_enlarged_image(faces, descriptors):
    assert len(descriptors) == len(faces)
    for i in (0, 7, len(faces) - 1):
        large = cv2.resize(faces[i], None, fx=4, fy=4, interpolation=cv2.INTER_CUBIC)
        keypoints, values = cv2.SIFT_create().detectAndCompute(large, None)
        rows = slice(descriptors.offsets[i], descriptors.offsets[i + 1])
        np.testing.assert_array_equal(descriptors.values[rows], values)
        x = [(k.pt[0] + 0.5) / 4 - 0.5 for k in keypoints]
        np.testing.assert_allclose(descriptors.keypoints[rows, 0], x, atol=1e-4)


def test_workers_do_not_change_the_result(faces, descriptors):
    one = features.sift(faces, workers=1)
    np.testing.assert_array_equal(one.values, descriptors.values)
    np.testing.assert_array_equal(one.offsets, descriptors.offsets)


def test_dense_grid_covers_the_image_evenly(faces):
    assert set(features.sift(faces[:4], "dense").counts()) == {121}


def test_an_image_without_keypoints_has_an_empty_bag():
    flat = features.sift(np.zeros((2, 48, 48), np.uint8))
    assert flat.counts().tolist() == [0, 0]
    words = Vocabulary(np.eye(4, 128, dtype=np.float32))
    assert not words.histograms(flat).any()


def test_assignment_is_to_the_nearest_word(descriptors):
    from sklearn.metrics import pairwise_distances

    words = Vocabulary.fit(descriptors, 32, seed=0)
    values = descriptors.values.astype(np.float64)
    away = pairwise_distances(values, words.centres.astype(np.float64), squared=True, metric="euclidean")
    mine = words.assign(descriptors.values)
    # float32 rounds a product of 128 numbers, at most as large as the squared lengths, at most 128 times.
    rounding = 128 * 2.0**-24 * (values**2).sum(1)
    assert (away[np.arange(len(mine)), mine] <= away.min(1) + 4 * rounding).all()


@pytest.mark.parametrize("norm", features.BOW_NORMS)
def test_histograms_match_counting_image_by_image(descriptors, norm):
    words, again = (Vocabulary.fit(descriptors, 16, seed=1) for _ in range(2))
    np.testing.assert_array_equal(words.centres, again.centres)
    bags = words.histograms(descriptors, norm)
    for i, bag in enumerate(bags):
        rows = descriptors.values[descriptors.offsets[i] : descriptors.offsets[i + 1]]
        plain = np.bincount(words.assign(rows), minlength=16).astype(float)
        plain /= {"counts": 1, "l1": plain.sum(), "l2": np.linalg.norm(plain)}[norm]
        np.testing.assert_allclose(bag, plain, atol=1e-6)


@settings(max_examples=40)
@given(st.lists(st.integers(0, 5), min_size=1, max_size=12), st.randoms(use_true_random=False))
def test_take_selects_whole_images(counts, random):
    offsets = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    values = np.repeat(np.arange(len(counts), dtype=np.uint8), counts)[:, None].repeat(128, 1)
    some = Descriptors(values, offsets, np.zeros((len(values), 4), np.float32))
    index = np.array(random.choices(range(len(counts)), k=7))
    taken = some.take(index)
    assert taken.counts().tolist() == [counts[i] for i in index]
    assert taken.values[:, 0].tolist() == [i for i in index for _ in range(counts[i])]


def test_mistakes_are_named(faces, descriptors):
    with pytest.raises(FerError, match="needs at least 100000 SIFT descriptors"):
        Vocabulary.fit(descriptors, 100_000)
    with pytest.raises(FerError, match="sift_mode"):
        features.sift(faces, "surf")
    with pytest.raises(FerError, match="bow_normalisation"):
        Vocabulary(np.eye(4, 128, dtype=np.float32)).histograms(descriptors, "l3")


def test_patches_show_the_images_of_their_word(faces, descriptors):
    words = Vocabulary.fit(descriptors, 8, seed=0)
    patches = features.word_patches(words, descriptors, faces, n_words=3, n_patches=4)
    assert len(patches) == 3
    assert all(p.shape == (4, 24, 24) and p.std() > 0 for p in patches.values())
