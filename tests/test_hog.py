"""HOG on batches: parity with scikit-image and with a plain reading of Felzenszwalb's, and invariants."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage.feature import hog as skimage_hog

from fer_lib.claims import ambiguities
from fer_lib.data.datasets import synthetic
from fer_lib.errors import FerError
from fer_lib.features import hog

TOLERANCE = 1e-5  # of values in [0, 1]; ours are float32, scikit-image's float64


@pytest.fixture(scope="module")
def faces():
    noise = np.random.default_rng(0).integers(0, 256, (20, 48, 48), dtype=np.uint8)
    drawn = synthetic.generate(n_subjects=5, per_expression=1).images
    return np.concatenate([drawn, noise, np.zeros((1, 48, 48), np.uint8)])


def reference(images, orientations, cell, block, **options):
    shape = {"pixels_per_cell": (cell, cell), "cells_per_block": (block, block)}
    return [skimage_hog(i, orientations, **shape, block_norm="L2-Hys", **options) for i in images]


@pytest.mark.parametrize("orientations, cell, block", [(9, 8, 2), (8, 16, 1), (9, 6, 3), (12, 5, 2)])
def test_parity_with_scikit_image(faces, orientations, cell, block):
    for images in (faces, faces[:10, 3:, :41]):
        ours = hog.hog(torch.as_tensor(images), orientations, cell, block).numpy()
        np.testing.assert_allclose(ours, reference(images, orientations, cell, block), atol=TOLERANCE)


@pytest.mark.parametrize("orientations", [8, 9])
def test_rendering_is_that_of_scikit_image(faces, orientations):
    theirs = [pair[1] for pair in reference(faces[:8], orientations, 8, 2, visualize=True)]
    ours = hog.render(torch.as_tensor(faces[:8]), orientations).numpy()
    np.testing.assert_allclose(ours, theirs, atol=1e-3)


def test_lengths_of_the_readings():
    lengths = {"standard": 900, "coarse": 72, "fhog": 496}
    assert {name: hog.length(name) for name in hog.LAYOUTS} == lengths
    assert set(ambiguities("multimodal").set_index("knob").loc["hog", "values"]) == set(hog.LAYOUTS)
    with pytest.raises(FerError, match="Unknown hog layout"):
        hog.describe(torch.zeros(1, 48, 48), "dense")


def plain_fhog(image, cell=8):
    """Felzenszwalb's features, one pixel and one cell at a time."""
    height, width = image.shape
    rows, columns = height // cell, width // cell
    histogram = np.zeros((rows, columns, 18))
    for y in range(1, height - 1):
        for x in range(1, width - 1):
            dx, dy = float(image[y, x + 1]) - image[y, x - 1], float(image[y + 1, x]) - image[y - 1, x]
            angles = [k * math.pi / 9 for k in range(18)]
            best = int(np.argmax(np.round([dx * math.cos(a) + dy * math.sin(a) for a in angles], 9)))
            row, column = (y + 0.5) / cell - 0.5, (x + 0.5) / cell - 0.5
            for r in (math.floor(row), math.floor(row) + 1):
                for c in (math.floor(column), math.floor(column) + 1):
                    if 0 <= r < rows and 0 <= c < columns:
                        weight = (1 - abs(row - r)) * (1 - abs(column - c))
                        histogram[r, c, best] += weight * math.hypot(dx, dy)
    energy = ((histogram[..., :9] + histogram[..., 9:]) ** 2).sum(-1)
    features = []
    for r in range(1, rows - 1):
        for c in range(1, columns - 1):
            corners = [energy[r + i : r + i + 2, c + j : c + j + 2].sum() for i in (-1, 0) for j in (-1, 0)]
            scales = [1 / math.sqrt(e + 1e-4) for e in corners]
            signed, unsigned = histogram[r, c], histogram[r, c, :9] + histogram[r, c, 9:]
            features += [sum(min(v * s, 0.2) for s in scales) / 2 for v in signed]
            features += [sum(min(v * s, 0.2) for s in scales) / 2 for v in unsigned]
            features += [0.2357 * sum(min(v * s, 0.2) for v in signed) for s in scales]
    return np.array(features)


def test_fhog_is_felzenszwalbs(faces):
    ours = hog.describe(torch.as_tensor(faces[:3]), "fhog").numpy()
    np.testing.assert_allclose(ours, [plain_fhog(i) for i in faces[:3]], atol=1e-4)


def test_batches_make_no_difference(faces, monkeypatch):
    images = torch.as_tensor(faces)
    whole = hog.describe(images)
    monkeypatch.setattr(hog, "CHUNK", 7)
    assert torch.equal(hog.describe(images), whole)
    assert hog.describe(images[:0]).shape == (0, 900)
    assert not whole[-1].any()  # a flat image has no gradients


@settings(max_examples=20)
@given(st.integers(0, 10_000), st.sampled_from([0.25, 0.5, 1.0]), st.integers(0, 50))
def test_contrast_and_brightness_do_not_matter(seed, contrast, brightness):
    """With changes that float32 holds exactly: else a gradient could change its orientation bin."""
    image = torch.as_tensor(np.random.default_rng(seed).integers(0, 200, (1, 32, 32)).astype(np.float32))
    torch.testing.assert_close(hog.hog(image * contrast + brightness), hog.hog(image), atol=2e-3, rtol=0)
