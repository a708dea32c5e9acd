"""Working images, noise on the eyes, and intensity normalisation, against one-image references."""

import cv2
import numpy as np
import pytest
import torch

from fer_lib.data.datasets import synthetic
from fer_lib.errors import FerError
from fer_lib.features.geometry import eye_matrices, warp_images
from fer_lib.learn.training import Part
from fer_lib.papers.cspp import eye_noise
from fer_lib.papers.cspp.eye_noise import EyeFeed, NoisyPart


@pytest.fixture(scope="module")
def faces():
    """Six drawn faces at the working size, their eyes and labels."""
    corpus = synthetic.generate(3, 1, size=96).select(np.arange(0, 24, 4))
    points = corpus.landmarks
    eyes = np.stack([points[:, 36:42].mean(1), points[:, 42:48].mean(1)], axis=1)
    return *eye_noise.working_images(corpus.images, eyes), corpus.labels


def part_of(faces, **options):
    images, eyes, labels = faces
    return NoisyPart(torch.tensor(images), torch.tensor(labels), (torch.tensor(eyes),), **options)


def test_working_images_keep_the_face(faces):
    """Aligning the working image is aligning the photograph."""
    corpus = synthetic.generate(2, 1, size=200)
    points = corpus.landmarks
    eyes = np.stack([points[:, 36:42].mean(1), points[:, 42:48].mean(1)], axis=1)
    images = np.stack([cv2.GaussianBlur(image, (0, 0), 4) for image in corpus.images])
    work, inside = eye_noise.working_images(images, eyes)
    assert work.shape == (16, 96, 96)
    aligned = [
        warp_images(torch.tensor(a).float().unsqueeze(1), eye_matrices(torch.tensor(np.float32(e)), 48), 48)
        for a, e in ((images, eyes), (work, inside))
    ]
    assert (aligned[0] - aligned[1]).abs().mean() < 1.0


def test_images_without_eyes_get_the_median_place(faces):
    images, eyes, _ = faces
    some = eyes.copy()
    some[2] = np.nan
    _, inside = eye_noise.working_images(images, some)
    assert np.isfinite(inside).all()
    with pytest.raises(FerError, match="No eyes were found"):
        eye_noise.working_images(images, np.full_like(eyes, np.nan))
    with pytest.raises(FerError, match="one place"):
        eye_noise.working_images(images, np.full_like(eyes, 9.0))


# --- noise ----------------------------------------------------------------------------------------------


def test_a_part_shows_each_image_once_clean_and_seventy_times_noisy(faces):
    part = part_of(faces)
    assert len(part) == 6 * 71
    batch = part.take(torch.arange(len(part)))
    assert torch.bincount(batch.labels, minlength=8).sum() == 6 * 71
    noise = batch.extra[1]
    assert not noise[:6].any()
    assert (noise[6:].abs().amax((1, 2)) > 0).all()
    assert all(torch.equal(batch.images[i], part.images[i % 6]) for i in range(0, len(part), 37))


def test_noise_has_its_deviation_at_the_faces_own_scale(faces):
    torch.manual_seed(0)
    part = part_of(faces, copies=2000, sigma=3.0)
    batch = part.take(torch.arange(6, len(part)))
    distance = (batch.extra[0][:, 1] - batch.extra[0][:, 0]).norm(dim=1)
    relative = batch.extra[1] / distance[:, None, None] * eye_noise.EYE_DISTANCE
    assert abs(float(relative.std()) - 3.0) < 0.05
    assert abs(float(relative.mean())) < 0.05


def test_noise_while_training_only(faces):
    part, feed = part_of(faces), EyeFeed()
    torch.manual_seed(0)
    batch = part.take(torch.arange(6, 12))
    still, moving = feed(batch, False)[0], feed(batch, True)[0]
    assert moving.shape == (6, 1, 48, 48)
    assert (still != moving).flatten(1).any(1).all()
    plain = Part(part.images, part.labels, part.extra)
    assert torch.equal(feed(plain, True)[0], still)


def test_noise_is_drawn_anew(faces):
    part = part_of(faces, copies=5)
    index = torch.arange(6, 36)
    assert not torch.equal(part.take(index).extra[1], part.take(index).extra[1])


# --- intensity ------------------------------------------------------------------------------------------


def test_equalised_histograms_match_opencv():
    rng = np.random.default_rng(1)
    images = np.clip(rng.normal(90, 25, (4, 30, 30)), 0, 255).astype(np.uint8)
    images[3] = 77  # a constant image stays finite
    ours = eye_noise.equalise(torch.tensor(images).unsqueeze(1).float())[:, 0].numpy()
    for image, mine in zip(images[:3], ours, strict=False):
        assert np.abs((mine + 1) * 127.5 - cv2.equalizeHist(image)).max() <= 0.5 + 1e-3
    assert np.isfinite(ours[3]).all()


def test_light_and_contrast_do_not_reach_the_network(faces):
    part = part_of(faces)
    plain = Part(part.images, part.labels, part.extra)
    darker = Part((part.images * 0.6 + 20).round().to(torch.uint8), part.labels, part.extra)
    for intensity in eye_noise.INTENSITIES:
        a, b = (EyeFeed(intensity=intensity)(p, False)[0] for p in (plain, darker))
        pairs = torch.stack([a.flatten(), b.flatten()])
        assert torch.corrcoef(pairs)[0, 1] > 0.95
