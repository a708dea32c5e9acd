"""Batched normalisation against one-image references in float64."""

import numpy as np
import pytest
import torch

from fer_lib.errors import FerError
from fer_lib.learn.normalisation import Normalisation


@pytest.mark.parametrize("mode, axis", [("image", (1, 2)), ("pixel", 0), ("global", None)])
def test_statistics_are_those_of_numpy(mode, axis):
    images = np.random.default_rng(0).integers(0, 256, (6, 20, 24), dtype=np.uint8)
    x = images.astype(np.float64)
    mean, std = x.mean(axis, keepdims=True), x.std(axis, keepdims=True)
    out = Normalisation.fit(torch.as_tensor(images), mode)(torch.as_tensor(images))
    np.testing.assert_allclose(out[:, 0].numpy(), (x - mean) / std, atol=1e-4)


def test_a_black_image_stays_finite():
    black = torch.zeros(2, 48, 48, dtype=torch.uint8)
    assert not Normalisation()(black).any()


def test_unknown_normalisation_is_refused():
    with pytest.raises(FerError, match="image, pixel, global"):
        Normalisation.fit(torch.zeros(2, 4, 4), "batch")
