"""Batched normalisation and augmentation against one-image references, and their invariants."""

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from fer_lib.errors import FerError
from fer_lib.learn.augment import MILD, Augmentation, Normalisation, warp_images, warp_points


@pytest.fixture
def images():
    rng = np.random.default_rng(0)
    return torch.as_tensor(rng.integers(0, 256, (6, 20, 24), dtype=np.uint8))


def test_image_normalisation_matches_the_plain_reference(images):
    out = Normalisation.fit(images, "image")(images)
    for x, y in zip(images.numpy().astype(np.float64), out.numpy(), strict=True):
        np.testing.assert_allclose(y[0], (x - x.mean()) / x.std(), atol=1e-5)


@pytest.mark.parametrize("mode, axis", [("pixel", 0), ("global", None)])
def test_training_statistics_match_numpy(images, mode, axis):
    x = images.numpy().astype(np.float64)
    out = Normalisation.fit(images, mode, chunk=4)(images)
    np.testing.assert_allclose(out[:, 0].numpy(), (x - x.mean(axis)) / x.std(axis), atol=1e-4)


def test_a_black_image_stays_finite():
    black = torch.zeros(2, 48, 48, dtype=torch.uint8)
    assert not Normalisation()(black).any()


def test_unknown_normalisation_is_refused(images):
    with pytest.raises(FerError, match="image, pixel, global"):
        Normalisation.fit(images, "batch")


def test_warp_matches_opencv_away_from_the_border(images):
    torch.manual_seed(3)
    blurred = torch.stack([torch.as_tensor(cv2.GaussianBlur(i.numpy(), (0, 0), 2)) for i in images])
    batch = blurred.float().unsqueeze(1)
    out, matrices = Augmentation(rotation=20, translation=0.1, scale=0.15, mirror=0.5)(batch)
    for source, mine, matrix in zip(blurred.numpy(), out[:, 0].numpy(), matrices.numpy(), strict=True):
        theirs = cv2.warpAffine(
            source.astype(np.float32),
            matrix,
            source.shape[::-1],
            flags=cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_REPLICATE,
        )
        # OpenCV rounds source positions to 1/32 pixel: half a grey level per level of local slope.
        assert np.abs(mine - theirs)[3:-3, 3:-3].max() < 1.5


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000), st.floats(0, 45), st.floats(0, 0.2), st.floats(0, 0.3))
def test_points_follow_their_image(seed, rotation, translation, scale):
    """A bright dot lands where its point lands."""
    torch.manual_seed(seed)
    augment = Augmentation(rotation=rotation, translation=translation, scale=scale, mirror=0.5)
    ys, xs = torch.meshgrid(torch.arange(64.0), torch.arange(64.0), indexing="ij")
    point = torch.tensor([[[28.0, 35.0]]])
    dot = torch.exp(-((xs - 28) ** 2 + (ys - 35) ** 2) / 8)[None, None]
    out, matrix = augment(dot)
    x, y = warp_points(point, matrix)[0, 0].tolist()
    if 6 < x < 57 and 6 < y < 57:
        mass = out[0, 0] / out.sum()
        assert abs(float((mass * xs).sum()) - x) < 0.1
        assert abs(float((mass * ys).sum()) - y) < 0.1


def test_no_augmentation_is_the_identity(images):
    batch = images.float().unsqueeze(1)
    out, matrix = Augmentation()(batch)
    torch.testing.assert_close(out, batch, atol=1e-3, rtol=0)
    torch.testing.assert_close(matrix, torch.eye(2, 3).expand(6, 2, 3), atol=1e-5, rtol=0)


def test_mirroring_twice_is_the_identity(images):
    batch = images.float().unsqueeze(1)
    flipped, matrix = Augmentation(mirror=1.0)(batch)
    torch.testing.assert_close(flipped, batch.flip(3), atol=1e-3, rtol=0)
    torch.testing.assert_close(warp_images(flipped, matrix), batch, atol=1e-3, rtol=0)


def test_samples_draw_their_own_transform_and_seeds_repeat():
    batch = torch.rand(8, 1, 16, 16)
    torch.manual_seed(0)
    first, matrices = MILD(batch)
    torch.manual_seed(0)
    again, _ = MILD(batch)
    assert torch.equal(first, again)
    assert len({tuple(m.flatten().tolist()) for m in matrices}) == 8


def test_mirror_rate():
    torch.manual_seed(0)
    matrices = Augmentation(mirror=0.25).matrices(4000, 8, 8)
    assert abs(float((matrices[:, 0, 0] < 0).float().mean()) - 0.25) < 0.03
