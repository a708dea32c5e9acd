"""The mask of Eqs. (1) to (4) against a plain loop, what follows crop and flip, and the fallbacks."""

import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from fer_lib.data.datasets import synthetic
from fer_lib.errors import FerError
from fer_lib.learn.normalisation import Normalisation
from fer_lib.learn.training import Part
from fer_lib.papers.lkrnet import key_regions
from fer_lib.papers.lkrnet.key_regions import KeyRegionFeed, KeyRegions

FACE = [[14.0, 17.0], [29.5, 16.0], [22.0, 25.0], [15.0, 33.0], [28.0, 34.5], [38.0, 42.0]]


def faces(n=4, size=44, seed=0):
    torch.manual_seed(seed)
    geometry = torch.tensor(FACE).repeat(n, 1, 1) * size / 44
    geometry[:, :5] += 3 * torch.randn(n, 5, 2)
    return geometry


def feed(**options):
    return KeyRegionFeed(Normalisation(), KeyRegions(), cells=2, **options)


def slow_mask(face, size, alpha):
    """Eqs. (1) to (3), pixel by pixel."""
    width, height = alpha * face[5][0], alpha * face[5][1]
    mask = np.zeros((size, size))
    for x, y in face[:5]:
        farthest = math.hypot(width / 2, height / 2)
        for i in range(size):
            for j in range(size):
                if abs(i - x) <= width / 2 and abs(j - y) <= height / 2:
                    weight = 1 - math.hypot(i - x, j - y) / farthest
                    mask[j, i] = max(mask[j, i], weight)
    return mask


@pytest.mark.parametrize("alpha", [0.2, 0.4])
def test_mask_matches_a_plain_loop(alpha):
    geometry = faces()
    geometry[0, 0] = 2.0  # whose region leaves the image
    drawn = KeyRegions(alpha).draw(geometry, 44)
    for face, mask in zip(geometry.tolist(), drawn[:, 0].numpy(), strict=True):
        np.testing.assert_allclose(mask, slow_mask(face, 44, alpha), atol=1e-5)


@settings(max_examples=30, deadline=None)
@given(
    st.integers(0, 10_000),
    st.floats(0.05, 1.0),
    st.sampled_from(["area", "as_maps"]),
    st.sampled_from([1, 2, 5, 11]),
)
def test_masks_are_weights(seed, alpha, resize, cells):
    masks = KeyRegions(alpha, resize)(faces(seed=seed), 44, cells)
    assert masks.shape == (4, 1, cells, cells)
    assert 0 <= float(masks.min()) <= float(masks.max()) <= 1 + 1e-6  # weights of float32 sum up to that


def test_down_sampling_as_the_maps_are_pooled():
    geometry = faces()
    drawn, as_maps = KeyRegions().draw(geometry, 44), KeyRegions(resize="as_maps")
    for cells, side in ((11, 4), (5, 8), (2, 16), (1, 32)):  # pixels that the pools leave to a cell
        within = drawn[:, :, : cells * side, : cells * side]
        expected = within.unflatten(2, (cells, side)).unflatten(4, (cells, side)).mean((3, 5))
        torch.testing.assert_close(as_maps(geometry, 44, cells), expected)
    mean = KeyRegions()(geometry, 44, 2)  # of cells that divide the whole image
    torch.testing.assert_close(mean, drawn.unflatten(2, (2, 22)).unflatten(4, (2, 22)).mean((3, 5)))
    shares = [
        key_regions.constant_share(KeyRegions(resize=resize)(geometry, 44, 2)[:, 0].numpy()).mean()
        for resize in ("area", "as_maps")
    ]
    assert shares[0] > shares[1]  # eyes and mouth are not symmetric about the corner of such cells


def test_a_face_without_landmarks_gets_ones():
    geometry = faces()
    geometry[2] = float("nan")
    masks = KeyRegions()(geometry, 44, 5)
    assert (masks[2] == 1).all()
    assert masks.isfinite().all()
    assert (masks[[0, 1, 3]] < 1).all()


def dots(geometry, size=48):
    """Images that are bright at the first landmark alone."""
    ys, xs = torch.meshgrid(torch.arange(size), torch.arange(size), indexing="ij")
    x, y = geometry[:, 0].round().long().T
    return ((xs == x[:, None, None]) & (ys == y[:, None, None])).to(torch.uint8) * 255


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000), st.integers(0, 4), st.integers(0, 4), st.booleans())
def test_landmarks_follow_crop_and_flip(seed, top, left, flip):
    geometry = faces(3, 48, seed)
    geometry[:, :5] = geometry[:, :5].round().clamp(8, 39)
    corners = torch.tensor([[top, left]]).expand(3, 2)
    images, there = key_regions.cut(dots(geometry), geometry, corners, torch.tensor([flip] * 3), 44)
    for image, (x, y) in zip(images, there[:, 0].long().tolist(), strict=True):
        assert image[y, x] == 255
        assert image.count_nonzero() == 1
    assert torch.equal(there[:, 5], geometry[:, 5])


def test_black_blocks():
    torch.manual_seed(0)
    white = torch.full((300, 44, 44), 255, dtype=torch.uint8)
    black = (key_regions.blot(white) == 0).sum((1, 2))
    assert 5 <= int(black.min()) <= int(black.max()) <= 27
    assert (white == 255).all()
    assert {9, 18, 27} <= set(black.tolist())  # apart unless they happen to overlap


def noisy(n):
    images = np.random.default_rng(0).integers(0, 256, (n, 48, 48), np.uint8)
    return Part.of(images, np.arange(n), faces(n, 48))


def test_training_inputs_vary_and_test_inputs_do_not():
    part = noisy(6)
    torch.manual_seed(0)
    made = feed()
    (a, p), (b, q) = made(part, True), made(part, True)
    assert a.shape == (6, 1, 44, 44)
    assert p.shape == (6, 1, 2, 2)
    assert not torch.equal(a, b)
    assert not torch.equal(p, q)
    (a, p), (b, q) = made(part, False), made(part, False)
    assert torch.equal(a, b)
    assert torch.equal(p, q)
    torch.testing.assert_close(a, Normalisation()(part.images[:, 2:46, 2:46]))


def test_ten_crops_hold_the_centre_crop_and_its_mirror_image():
    part = noisy(3)
    x, masks = feed()(part, False)
    views, theirs = feed(test_crop="ten")(part, False)
    assert views.shape == (3, 10, 1, 44, 44)
    assert theirs.shape == (3, 10, 1, 2, 2)
    torch.testing.assert_close(views[:, 8], x)
    torch.testing.assert_close(views[:, 9], x.flip(3))
    torch.testing.assert_close(theirs[:, 8], masks)
    torch.testing.assert_close(theirs[:, 9], masks.flip(3))
    torch.testing.assert_close(views[:, 1], views[:, 0].flip(3))
    pair, theirs = feed(test_crop="mirror")(part, False)
    torch.testing.assert_close(pair, views[:, 8:])
    torch.testing.assert_close(theirs[:, 0], masks)


def test_five_points_of_sixty_eight_landmarks():
    corpus = synthetic.generate(n_subjects=3, per_expression=1, size=48)
    geometry, _ = key_regions.geometry_of(corpus)
    left, right, nose, corner, _ = geometry[:, :5].transpose(1, 0, 2)
    assert (np.diff([left[:, 0], nose[:, 0], right[:, 0]], axis=0) > 0).all()
    assert (np.diff([left[:, 1], nose[:, 1], corner[:, 1]], axis=0) > 0).all()
    np.testing.assert_allclose(nose, corpus.landmarks[:, 30], atol=1e-4)


def test_geometry_is_in_pixels_of_the_size_asked_for():
    large = synthetic.generate(n_subjects=2, per_expression=1, size=96)
    at_96, _ = key_regions.geometry_of(large, 96)
    at_48, found = key_regions.geometry_of(large, 48)
    assert found.all()
    np.testing.assert_allclose(at_48[:, 5], at_96[:, 5] / 2, rtol=1e-5)
    resized, _ = key_regions.geometry_of(large.resize(48), 48)
    np.testing.assert_allclose(at_48, resized, atol=1e-3)


def annotated():
    corpus = synthetic.generate(n_subjects=2, per_expression=1)
    points = corpus.landmarks[:, [37, 44, 30, 48, 54]]
    valid = np.arange(len(corpus)) % 4 != 1
    points[~valid] = np.nan
    meta = pd.DataFrame({"face_width": np.full(len(corpus), 30.0), "face_height": np.full(len(corpus), 36.0)})
    return replace(corpus, landmarks=points, valid=valid, meta=meta)


def test_faces_that_were_not_found_get_the_mean_face_of_the_training_part():
    corpus = annotated()
    geometry, found = key_regions.geometry_of(corpus)
    assert (found == corpus.valid).all()
    assert np.isnan(geometry[~found]).all()
    train = np.arange(len(corpus) // 2)
    complete = key_regions.filled(geometry, train)
    assert np.isfinite(complete).all()
    np.testing.assert_array_equal(complete[found], geometry[found])
    expected = geometry[train][found[train], :5].mean(0)
    np.testing.assert_allclose(complete[~found][:, :5], np.broadcast_to(expected, (4, 5, 2)), rtol=1e-5)
    assert (complete[~found][:, 5] == 48).all()


def test_absent_landmarks_are_one_sentence():
    corpus = annotated()
    with pytest.raises(FerError, match=r"faces\.annotate"):
        key_regions.geometry_of(replace(corpus, landmarks=None))
    with pytest.raises(FerError, match="no mean face"):
        key_regions.filled(np.full((4, 6, 2), np.nan, np.float32), np.arange(4))


def test_energy_inside():
    masks = np.zeros((3, 4, 4))
    masks[:, :2, :2] = 0.5
    maps = np.zeros((3, 4, 4))
    maps[0], maps[1, 0, 0] = 1, 3
    assert key_regions.energy_inside(maps, masks)[:2].tolist() == [0.25, 1.0]
    assert np.isnan(key_regions.energy_inside(maps, masks)[2])


def test_unknown_feeds_are_refused():
    with pytest.raises(FerError, match="test_crop"):
        feed(test_crop="five")


def test_what_a_constant_says_of_a_mask():
    masks = np.zeros((3, 4, 4))
    masks[0], masks[1, 0, 0] = 0.2, 1
    assert key_regions.constant_share(masks)[:2] == pytest.approx([1, 1 / 16])
    assert np.isnan(key_regions.constant_share(masks)[2])
    geometry = faces(20)
    shares = [
        key_regions.constant_share(KeyRegions()(geometry, 44, n)[:, 0].numpy()) for n in (44, 11, 5, 2, 1)
    ]
    means = [share.mean() for share in shares]
    assert means == sorted(means)  # ever fewer cells say ever less
    assert means[-1] == pytest.approx(1)
