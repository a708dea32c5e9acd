"""Affine maps: what they do to images and points, against OpenCV and against one another."""

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from fer_lib.data.datasets import synthetic
from fer_lib.features import geometry
from fer_lib.features.geometry import ABOVE, BELOW, BESIDE, MILD, Augmentation, warp_images, warp_points

# A position among some 30 pixels goes through about ten roundings of 2^-24 of itself, and from one pixel to
# the next there are up to 255 grey levels.
ROUNDED = {"atol": 10 * 2.0**-24 * 30 * 255, "rtol": 0}


@pytest.fixture
def batch():
    rng = np.random.default_rng(0)
    return torch.as_tensor(rng.integers(0, 256, (6, 1, 20, 24), dtype=np.uint8)).float()


def opencv(image, matrix, size):
    border = cv2.BORDER_REPLICATE
    return cv2.warpAffine(image, matrix, size, flags=cv2.INTER_LINEAR, borderMode=border)


def test_warp_matches_opencv_away_from_the_border(batch):
    torch.manual_seed(3)
    smooth = np.stack([cv2.GaussianBlur(i.numpy(), (0, 0), 2) for i in batch[:, 0]])
    augment = Augmentation(rotation=20, translation=0.1, scale=0.15, mirror=0.5)
    out, matrices = augment(torch.as_tensor(smooth).unsqueeze(1))
    for source, mine, matrix in zip(smooth, out[:, 0].numpy(), matrices.numpy(), strict=True):
        theirs = opencv(source, matrix, source.shape[::-1])
        # OpenCV rounds source positions to 1/32 pixel: half a grey level per level of local slope.
        assert np.abs(mine - theirs)[3:-3, 3:-3].max() < 1.5


@settings(max_examples=30)
@given(st.integers(0, 10_000), st.floats(0, 45), st.floats(0, 0.2), st.floats(0, 0.3))
def test_points_follow_their_image(seed, rotation, translation, scale):
    """A bright dot lands where its point lands."""
    torch.manual_seed(seed)
    augment = Augmentation(rotation=rotation, translation=translation, scale=scale, mirror=0.5)
    ys, xs = torch.meshgrid(torch.arange(64.0), torch.arange(64.0), indexing="ij")
    dot = torch.exp(-((xs - 28) ** 2 + (ys - 35) ** 2) / 8)[None, None]
    out, matrix = augment(dot)
    x, y = warp_points(torch.tensor([[[28.0, 35.0]]]), matrix)[0, 0].tolist()
    if 6 < x < 57 and 6 < y < 57:
        mass = out[0, 0] / out.sum()
        assert abs(float((mass * xs).sum()) - x) < 0.1
        assert abs(float((mass * ys).sum()) - y) < 0.1


def test_no_augmentation_and_two_mirrors_are_the_identity(batch):
    out, matrix = Augmentation()(batch)
    torch.testing.assert_close(out, batch, **ROUNDED)
    torch.testing.assert_close(matrix, torch.eye(2, 3).expand(6, 2, 3), atol=1e-5, rtol=0)
    flipped, matrix = Augmentation(mirror=1.0)(batch)
    torch.testing.assert_close(flipped, batch.flip(3), **ROUNDED)
    torch.testing.assert_close(warp_images(flipped, matrix), batch, atol=2 * ROUNDED["atol"], rtol=0)


def test_samples_draw_their_own_transform_and_seeds_repeat():
    images = torch.rand(8, 1, 16, 16)
    torch.manual_seed(0)
    first, matrices = MILD(images)
    torch.manual_seed(0)
    assert torch.equal(first, MILD(images)[0])
    assert len({tuple(m.flatten().tolist()) for m in matrices}) == 8
    rate = (Augmentation(mirror=0.25).matrices(4000, 8, 8)[:, 0, 0] < 0).float().mean()
    assert abs(float(rate) - 0.25) < 0.03


@given(st.integers(0, 10_000))
def test_maps_are_put_together_and_undone(seed):
    torch.manual_seed(seed)
    maps = Augmentation(rotation=90, translation=0.3, scale=0.5, mirror=0.5)
    first, second = (maps.matrices(4, 40, 60).double() for _ in range(2))
    points = torch.rand(4, 7, 2, dtype=torch.float64) * 60
    there = warp_points(warp_points(points, first), second)
    torch.testing.assert_close(warp_points(points, geometry.compose(first, second)), there)
    back = warp_points(there, geometry.invert(geometry.compose(first, second)))
    torch.testing.assert_close(back, points)


def test_enlarged_and_fitted_images_keep_their_corners():
    corners = torch.tensor([[-0.5, -0.5], [19.5, 9.5]]).expand(2, 2, 2)  # edges of an image of 20 x 10 pixels
    larger = geometry.enlargement(torch.tensor([3.0, 0.5]))
    assert warp_points(corners, larger).tolist() == [[[-0.5, -0.5], [59.5, 29.5]], [[-0.5, -0.5], [9.5, 4.5]]]
    (inside,) = warp_points(corners[:1], geometry.fitted(10, 20, 40)[None])
    assert inside.tolist() == [[-0.5, 9.5], [39.5, 29.5]]


pairs = st.tuples(*[st.floats(10, 80)] * 4).filter(lambda e: np.hypot(e[2] - e[0], e[3] - e[1]) > 8)


def eyes_of(*pair):
    return torch.tensor(pair, dtype=torch.float64).view(-1, 2, 2)


@settings(max_examples=60)
@given(pairs, st.integers(16, 64), st.sampled_from([(ABOVE, BELOW, BESIDE), (2.2, 3.4, 2.8)]))
def test_eyes_come_to_lie_level_at_their_place(pair, size, reach):
    eyes, (above, below, beside) = eyes_of(pair), reach
    matrices = geometry.eye_matrices(eyes, size, *reach)
    left, right = (warp_points(eyes, matrices)[0] + 0.5) / size  # as parts of the square's side
    height = above / (above + below)
    np.testing.assert_allclose(left, [0.5 - 0.5 / beside, height], atol=1e-9)
    np.testing.assert_allclose(right, [0.5 + 0.5 / beside, height], atol=1e-9)


@settings(max_examples=30)
@given(pairs, pairs)
def test_noise_on_the_eyes_is_a_rotation_scale_and_shift(pair, noisy):
    """What changes between two alignments is, in the photograph, a similarity."""
    size = 16 * (ABOVE + BELOW)
    a, b = (geometry.eye_matrices(eyes_of(e), size)[0, :, :2] for e in (pair, noisy))
    change = torch.linalg.solve(a, b)
    gram = (change.T @ change).numpy()
    np.testing.assert_allclose(gram / gram[0, 0], np.eye(2), atol=1e-9)
    assert torch.linalg.det(change) > 0


def test_eyes_that_are_unknown_or_in_one_place_give_no_map():
    matrices = geometry.eye_matrices(eyes_of(np.nan, 4, 8, 4, 5, 5, 5, 5, 2, 3, 5, 3), 48)
    assert matrices.isnan().all(2).all(1).tolist() == [True, True, False]


def test_the_size_of_the_image_may_be_said_or_not(batch):
    square, matrices = batch[..., :20], MILD.matrices(6, 20, 20)
    torch.testing.assert_close(warp_images(square, matrices, 20), warp_images(square, matrices), **ROUNDED)


def test_warping_to_a_smaller_size_matches_opencv():
    corpus = synthetic.generate(2, 1, size=96)
    eyes = np.stack([corpus.landmarks[:, 36:42].mean(1), corpus.landmarks[:, 42:48].mean(1)], axis=1)
    matrices = geometry.eye_matrices(torch.tensor(eyes), 48)
    smooth = [cv2.GaussianBlur(image.astype(np.float32), (0, 0), 2) for image in corpus.images]
    ours = warp_images(torch.tensor(np.stack(smooth)).unsqueeze(1), matrices, 48)
    for image, mine, matrix in zip(smooth, ours[:, 0].numpy(), matrices.numpy(), strict=True):
        assert np.abs(mine - opencv(image, matrix, (48, 48))).max() < 1.5  # rounded to 1/32 pixel, as above
