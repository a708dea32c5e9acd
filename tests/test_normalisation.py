"""Batched normalisation against one-image references in float64."""

import numpy as np
import pytest
import torch

from fer_lib.errors import FerError
from fer_lib.learn.normalisation import Normalisation


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
