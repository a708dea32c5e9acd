"""The multimodal network's three inputs: under augmentation they stay views of one face."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from fer_lib.data.datasets import synthetic
from fer_lib.errors import FerError
from fer_lib.features import hog
from fer_lib.features.geometry import warp_images
from fer_lib.learn.normalisation import Normalisation
from fer_lib.learn.training import Part
from fer_lib.papers.multimodal import modalities
from fer_lib.papers.multimodal.modalities import (
    MIRRORED,
    MultimodalFeed,
    landmark_vectors,
    warp_landmarks,
)


@pytest.fixture(scope="module")
def corpus():
    return synthetic.generate(n_subjects=6, per_expression=1)


@pytest.fixture(scope="module")
def part(corpus):
    return Part.of(corpus.images.copy(), corpus.labels.copy(), corpus.landmarks.copy())


@pytest.fixture(scope="module")
def feed(corpus):
    face = torch.as_tensor(corpus.landmarks).mean(0)
    return MultimodalFeed(Normalisation(), face, augmentation=modalities.AUGMENTATION)


def test_the_feed_gives_the_hog_of_the_warped_image(part, feed):
    torch.manual_seed(5)
    images, vectors, gradients = feed(part, True)
    torch.manual_seed(5)
    matrices = modalities.AUGMENTATION.matrices(len(part), 48, 48)
    warped = warp_images(part.images.float().unsqueeze(1), matrices).squeeze(1)
    assert torch.equal(gradients, hog.describe(warped))
    assert torch.equal(images, Normalisation()(warped))
    assert torch.equal(
        vectors, landmark_vectors(warp_landmarks(part.extra[0], matrices), (48, 48), feed.mean_face)
    )
    assert not torch.allclose(gradients, hog.describe(part.images), atol=0.05)


def test_without_training_nothing_moves(part, feed):
    images, vectors, gradients = feed(part, False)
    assert torch.equal(gradients, hog.describe(part.images))
    assert torch.equal(images, Normalisation()(part.images))
    assert torch.equal(vectors, landmark_vectors(part.extra[0], (48, 48), feed.mean_face))


def test_left_out_modalities_have_no_columns(part, feed):
    images, vectors, gradients = replace(feed, modalities=("hog",))(part, False)
    assert images.shape == (len(part), 1, 48, 48)
    assert vectors.shape == (len(part), 0)
    assert gradients.shape == (len(part), 900)


def test_mirroring_puts_left_and_right_back(corpus):
    assert sorted(MIRRORED) == list(range(68))
    assert [MIRRORED[i] for i in MIRRORED] == list(range(68))
    face = torch.as_tensor(corpus.landmarks).mean(0, keepdim=True)
    flip = torch.tensor([[[-1.0, 0.0, 47.0], [0.0, 1.0, 0.0]]])
    mirrored = warp_landmarks(face, flip)
    # A mean face is nearly symmetric about its own axis.
    mirrored = mirrored - mirrored.mean(1, keepdim=True) + face.mean(1, keepdim=True)
    assert (mirrored - face).norm(dim=2).max() < 2
    assert (mirrored[:, MIRRORED] - face).norm(dim=2).max() > 10
    assert torch.equal(warp_landmarks(face, torch.eye(2, 3)[None]), face)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 1000), st.floats(0.5, 2), st.floats(-5, 5))
def test_normalised_by_the_face_they_do_not_depend_on_place_and_size(seed, scale, shift):
    rng = np.random.default_rng(seed)
    points, face = (torch.as_tensor(rng.uniform(0, 48, (n, 68, 2)).astype(np.float32)) for n in (2, 1))
    first, second = (landmark_vectors(p, (48, 48), face[0], "face") for p in (points, points * scale + shift))
    torch.testing.assert_close(first, second, atol=1e-4, rtol=0)


def test_landmark_norms(part):
    points = part.extra[0]
    corners, face = torch.tensor([[[-0.5, -0.5], [63.5, 47.5]]]), torch.tensor([[-0.5, -0.5], [31.5, 23.5]])
    assert landmark_vectors(corners, (48, 64), face, "unit").tolist() == [[0, 0, 1, 1]]
    assert landmark_vectors(corners, (48, 64), face, "centred").tolist() == [[0, 0, 1, 1]]
    mean = points.mean(0)
    assert landmark_vectors(points, (48, 48), mean).mean(0).abs().max() < 1e-4
    assert landmark_vectors(mean[None], (48, 48), mean, "face").abs().max() == 0


def test_unknown_settings_are_refused(part, feed):
    for change in ({"hog": "dense"}, {"landmark_norm": "metres"}):
        with pytest.raises(FerError, match="Unknown"):
            replace(feed, **change)(part)
