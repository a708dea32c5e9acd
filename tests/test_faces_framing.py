"""Crops, eyes and what levels them, and even light, held against OpenCV and against plain loops."""

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from fer_lib import faces
from fer_lib.data.datasets import synthetic
from fer_lib.faces import framing
from fer_lib.features import geometry


@pytest.fixture(scope="module")
def drawn():
    return synthetic.generate(n_subjects=2, per_expression=1, size=96).select(slice(12))


def test_a_crop_is_the_box_and_repeats_edges_beyond_the_image():
    image = np.arange(20, dtype=np.uint8).reshape(4, 5)
    boxes = [[1, 1, 2, 2], [3, 2, 4, 4], [-1, 0, 2, 1]]
    inside, beyond, outside = (faces.crop([image], [box], max(box[2:]))[0] for box in boxes)
    assert inside.tolist() == [[6, 7], [11, 12]]
    assert beyond.tolist() == [[13, 14, 14, 14], *[[18, 19, 19, 19]] * 3]
    assert outside.tolist() == [[0, 0], [5, 5]]  # widened to a square of its longer side
    assert faces.crop([], np.zeros((0, 4)), 48).shape == (0, 48, 48)


def test_an_image_without_a_face_is_used_whole_with_its_proportions():
    image = np.zeros((10, 20), np.uint8)
    image[:, 10:] = 200
    image[0, 0] = 255
    (square,) = faces.crop([image], np.full((1, 4), np.nan), 20)
    assert (square[:, 1:10] == 0).all()
    assert (square[:, 10:] == 200).all()
    assert square[5, 0] == 255  # five rows repeated above


@given(
    st.tuples(st.integers(1, 30), st.integers(1, 30)),
    st.lists(st.floats(-40, 40), min_size=4, max_size=4),
    st.integers(1, 20),
)
def test_any_box_gives_a_crop_of_the_images_own_values(shape, box, size):
    assert (faces.crop([np.full(shape, 7, np.uint8)], [box], size) == 7).all()


def test_a_reader_gets_the_face_and_whether_there_is_one(drawn):
    (box,) = faces.detect(drawn.images[:1])
    face, found = faces.FACE.cut(drawn.images[0], 48)
    assert found
    np.testing.assert_array_equal(face, faces.crop(drawn.images[:1], [box], 48)[0])
    assert not faces.FACE.cut(np.zeros((50, 80), np.uint8), 48)[1]


# --- alignment ----------------------------------------------------------------------------------------------


def test_eyes_are_the_means_of_their_contours_or_the_first_two_of_five():
    marks = np.random.default_rng(0).normal(size=(3, 68, 2)).astype(np.float32)
    marks[2] = np.nan
    pair = faces.eyes(marks)
    assert pair.dtype == np.float32
    np.testing.assert_allclose(pair[0], [marks[0, 36:42].mean(0), marks[0, 42:48].mean(0)], rtol=1e-5)
    assert np.isnan(pair[2]).all()
    np.testing.assert_array_equal(faces.eyes(marks[:, :5]), marks[:, :2])


def test_the_crop_reaches_as_far_as_the_figures_say():
    pair = np.array([[[20.0, 30.0], [40.0, 30.0]]])  # half a distance is 10 pixels
    image = np.random.default_rng(0).integers(0, 256, (70, 80), dtype=np.uint8)
    reach = {"above": 1.5, "below": 3.0, "beside": 2.25}
    (crop,), (matrix,) = faces.align([image], pair + np.array([0, 0.5]), 45, **reach)
    np.testing.assert_allclose(matrix, [[1, 0, 22 - 30], [0, 1, 14.5 - 30.5]], atol=1e-5)
    np.testing.assert_array_equal(crop, image[16:61, 8:53])


def test_landmarks_follow_the_aligned_faces(drawn):
    aligned, matrices = faces.align(drawn.images, faces.eyes(drawn.landmarks), 48)
    assert aligned.shape == (12, 48, 48)
    assert matrices.dtype == np.float32
    points = geometry.warp_points(torch.from_numpy(drawn.landmarks), torch.from_numpy(matrices)).numpy()
    level = faces.eyes(points)
    np.testing.assert_allclose(level[:, 0, 1], level[:, 1, 1], atol=1e-3)


def test_torch_warps_the_same_faces(drawn):
    """At the scale of the source, where nothing is averaged, both interpolate linearly."""
    aligned, matrices = faces.align(drawn.images, faces.eyes(drawn.landmarks), 96)
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
    assert (aligned[:, :, :18] == 0).all()
    assert (aligned[:, :, 22:] == 200).all()
    np.testing.assert_allclose(matrices, [[[2, 0, 0.5], [0, 2, 10.5]]] * 2)


# --- light --------------------------------------------------------------------------------------------------


def test_clahe_is_opencvs_on_images_and_sequences(drawn):
    equaliser = cv2.createCLAHE(2.0, (8, 8))
    expected = np.array([equaliser.apply(image) for image in drawn.images])
    np.testing.assert_array_equal(faces.clahe(drawn.images), expected)
    np.testing.assert_array_equal(
        faces.clahe(drawn.images.reshape(4, 3, 96, 96)), expected.reshape(4, 3, 96, 96)
    )
    turned = drawn.images.transpose(0, 2, 1)  # not in one piece
    np.testing.assert_array_equal(faces.clahe(turned)[0], equaliser.apply(np.ascontiguousarray(turned[0])))


def by_loops(image):
    """Return the local contrast of one image (H, W) in float64, pixel by pixel, with OpenCV's Gaussian.

    Also how far float32 may be from it, whatever the order of its sums. A sum of ``window`` products is off
    by at most ``window`` roundings of its largest term, and two such sums follow one another. The variance is
    a mean of squares less a squared mean, each up to M^2 where pixels lie up to M from the image's mean, so
    that it is off by three times as much. The contrast c is off by c times half of that as a part of the
    variance, and by what the mean is off as a part of the deviation.
    """
    window = framing.WINDOW
    line = cv2.getGaussianKernel(window, framing.SIGMA, cv2.CV_64F)
    weights = line @ line.T
    padded = np.pad(image.astype(np.float64), window // 2, mode="reflect")
    result, deviation = np.empty(image.shape), np.empty(image.shape)
    for y, x in np.ndindex(image.shape):
        around = padded[y : y + window, x : x + window]
        mean = (weights * around).sum()
        deviation[y, x] = max(np.sqrt((weights * (around - mean) ** 2).sum()), 1.0)
        result[y, x] = (image[y, x] - mean) / deviation[y, x]
    rounding = (2 * window + 4) * 2.0**-24  # two sums, and what is done before and after them
    largest = np.abs(padded - image.mean()).max()
    off = np.abs(result) * 3 * largest**2 / (2 * deviation**2) + 2 * largest / deviation + np.abs(result)
    return result, rounding * off


def test_local_contrast_is_that_of_plain_loops(drawn):
    images = drawn.images[:2, 10:34, 8:40]
    found = faces.local_contrast(torch.from_numpy(images).float()[:, None])
    assert found.shape == (2, 1, 24, 32)
    for mine, image in zip(found[:, 0].numpy(), images, strict=True):
        expected, off = by_loops(image)
        assert (np.abs(mine - expected) <= off).all()
        assert np.median(off) < 1e-3  # a bound that not everything meets


@settings(max_examples=30)
@given(st.integers(0, 2**32 - 1), st.floats(0.3, 3), st.floats(-100, 100))
def test_light_and_contrast_do_not_matter(seed, contrast, light):
    """Where every neighbourhood varies by more than the least that counts."""
    image = torch.as_tensor(np.random.default_rng(seed).uniform(0, 255, (1, 16, 16)).astype(np.float32))
    changed = faces.local_contrast(image * contrast + light)
    torch.testing.assert_close(changed, faces.local_contrast(image), atol=2e-3, rtol=0)


def test_even_skin_is_not_made_into_noise():
    constant = torch.full((1, 20, 20), 173.0)
    assert faces.local_contrast(constant).abs().max() < 1e-4
    constant[0, 10, 10] += 1
    assert faces.local_contrast(constant).abs().max() < 1
