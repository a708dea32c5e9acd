"""CLAHE and local contrast, held against OpenCV and against plain loops."""

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from fer_lib import faces
from fer_lib.data.datasets import synthetic
from fer_lib.errors import FerError


@pytest.fixture(scope="module")
def drawn():
    return synthetic.generate(n_subjects=1, per_expression=1, size=48).images[:6]


def test_clahe_is_opencvs_on_images_and_sequences(drawn):
    equaliser = cv2.createCLAHE(2.0, (8, 8))
    expected = np.array([equaliser.apply(image) for image in drawn])
    np.testing.assert_array_equal(faces.clahe(drawn), expected)
    np.testing.assert_array_equal(faces.clahe(drawn.reshape(2, 3, 48, 48)), expected.reshape(2, 3, 48, 48))
    np.testing.assert_array_equal(faces.clahe(drawn[0]), expected[0])
    turned = drawn.transpose(0, 2, 1)  # not in one piece
    np.testing.assert_array_equal(faces.clahe(turned)[0], equaliser.apply(np.ascontiguousarray(turned[0])))
    assert faces.clahe(drawn[:0]).shape == (0, 48, 48)
    oblong = cv2.createCLAHE(4.0, (3, 2)).apply(drawn[0])
    np.testing.assert_array_equal(faces.clahe(drawn[0], 4.0, (3, 2)), oblong)


def test_clahe_refuses_what_it_would_garble(drawn):
    with pytest.raises(FerError, match="uint8 pixels"):
        faces.clahe(drawn / 255)
    for wrong in ({"clip_limit": 0.0}, {"tiles": 0}, {"tiles": (8, 0)}):
        with pytest.raises(FerError, match="clip_limit > 0 and tiles >= 1"):
            faces.clahe(drawn, **wrong)


def by_loops(image, window=faces.framing.WINDOW, sigma=None):
    """Return the local contrast of one image (H, W) in float64, pixel by pixel, with OpenCV's Gaussian.

    Also how far float32 may be from it, whatever the order of its sums. A sum of ``window`` products is off
    by at most ``window`` roundings of its largest term, and two such sums follow one another. The variance is
    a mean of squares less a squared mean, each up to M^2 where pixels lie up to M from the image's mean, so
    that it is off by three times as much. The contrast c is off by c times half of that as a part of the
    variance, and by what the mean is off as a part of the deviation.
    """
    # OpenCV's rule for the deviation, stated: without one it takes rounded weights for small windows.
    line = cv2.getGaussianKernel(window, sigma or 0.3 * ((window - 1) * 0.5 - 1) + 0.8, cv2.CV_64F)
    weights = line @ line.T
    reach = window // 2
    padded = np.pad(image.astype(np.float64), reach, mode="reflect")
    result, deviation = np.empty(image.shape), np.empty(image.shape)
    for y in range(image.shape[0]):
        for x in range(image.shape[1]):
            around = padded[y : y + window, x : x + window]
            mean = (weights * around).sum()
            deviation[y, x] = max(np.sqrt((weights * (around - mean) ** 2).sum()), 1.0)
            result[y, x] = (image[y, x] - mean) / deviation[y, x]
    rounding = (2 * window + 4) * 2.0**-24  # two sums, and what is done before and after them
    largest = np.abs(padded - image.mean()).max()
    off = np.abs(result) * 3 * largest**2 / (2 * deviation**2) + 2 * largest / deviation + np.abs(result)
    return result, rounding * off


def assert_local_contrast(found, images, *options):
    """Hold contrasts (N, H, W) against those of float64, each as near as float32 must be."""
    for mine, image in zip(found, images, strict=True):
        expected, off = by_loops(image, *options)
        assert (np.abs(mine - expected) <= off).all()
        assert np.median(off) < 1e-3  # a bound that not everything meets


@pytest.mark.parametrize("window, sigma", [(7, None), (7, 3.0), (9, None), (1, None)])
def test_local_contrast_is_that_of_plain_loops(drawn, window, sigma):
    images = drawn[:2, 10:34, 8:40]
    found = faces.local_contrast(images, window, sigma)
    assert found.dtype == np.float32
    assert isinstance(found, np.ndarray)
    assert_local_contrast(found, images, window, sigma)


def test_tensors_of_any_shape_stay_tensors(drawn):
    tensor = faces.local_contrast(torch.from_numpy(drawn).float()[:, None])
    assert tensor.shape == (6, 1, 48, 48)
    assert_local_contrast(tensor[:, 0].numpy(), drawn)
    assert_local_contrast(faces.local_contrast(drawn[3])[None], drawn[3:4])
    assert faces.local_contrast(drawn[:0]).shape == (0, 48, 48)


@settings(max_examples=30)
@given(st.integers(0, 2**32 - 1), st.floats(0.3, 3), st.floats(-100, 100))
def test_light_and_contrast_do_not_matter(seed, contrast, light):
    """Where every neighbourhood varies by more than the least that counts."""
    image = np.random.default_rng(seed).uniform(0, 255, (1, 16, 16)).astype(np.float32)
    np.testing.assert_allclose(
        faces.local_contrast(image * contrast + light), faces.local_contrast(image), atol=2e-3
    )


def test_even_skin_is_not_made_into_noise():
    constant = np.full((1, 20, 20), 173, np.uint8)
    assert np.abs(faces.local_contrast(constant)).max() < 1e-4
    nearly = constant.copy()
    nearly[0, 10, 10] += 1
    assert np.abs(faces.local_contrast(nearly)).max() < 1


@pytest.mark.parametrize("window", [0, 2, 8, 41])
def test_windows_are_odd_and_fit_the_mirrored_image(window):
    with pytest.raises(FerError, match="neighbourhood is odd"):
        faces.local_contrast(np.zeros((1, 20, 30), np.uint8), window)
