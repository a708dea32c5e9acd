"""Occlusion, light and tones: where they act, how much, and that nothing else changes."""

from functools import cache

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from fer_lib import claims
from fer_lib.data.datasets import synthetic
from fer_lib.errors import FerError
from fer_lib.features.robustness import CONDITIONS, FIXED_REGIONS, distort, disturb, regions

OCCLUSIONS = [c for c in CONDITIONS if c.startswith("occlusion")]


@cache
def faces():
    corpus = synthetic.generate(n_subjects=5, per_expression=1)
    return torch.tensor(corpus.images), torch.tensor(corpus.landmarks)


@pytest.fixture
def images():
    return faces()[0]


@pytest.fixture
def points():
    return faces()[1]


def test_conditions_are_those_of_figure_7():
    printed = claims.frame("multimodal")["condition"].dropna().unique()
    assert set(CONDITIONS) == set(printed) - {"original"}


@pytest.mark.parametrize("condition", CONDITIONS)
def test_severity_from_nothing_to_more_and_more(images, points, condition):
    steps = [disturb(images, condition, s, points) for s in (0, 0.25, 0.5, 0.75, 1)]
    assert all(s.dtype == torch.uint8 and s.shape == images.shape for s in steps)
    assert torch.equal(steps[0], images)
    change = [(s.float() - images.float()).abs().mean() for s in steps]
    assert change == sorted(change)
    assert change[1] > 0.1
    assert torch.equal(disturb(images, condition, 0.5, points), steps[2])


@settings(max_examples=25, deadline=None)
@given(st.sampled_from(CONDITIONS), st.floats(0, 1), st.integers(0, 39))
def test_an_image_is_changed_as_if_it_were_alone(condition, severity, i):
    images, points = faces()
    alone = disturb(images[i : i + 1], condition, severity, points[i : i + 1])
    assert torch.equal(disturb(images, condition, severity, points)[i], alone[0])


@pytest.mark.parametrize("condition, covered", [("occlusion_mouth", (48, 68)), ("occlusion_eye", (36, 48))])
def test_the_landmarks_of_the_region_are_covered_and_the_rest_is_not(images, points, condition, covered):
    pale = images.clamp_min(1)
    black = disturb(pale, condition, 1.0, points) == 0
    ours = points[:, slice(*covered)].round().long().clamp(0, 47)
    row = torch.arange(len(images))[:, None]
    assert black[row, ours[..., 1], ours[..., 0]].all()
    other = points[:, 36:48] if covered[0] == 48 else points[:, 48:68]
    other = other.round().long().clamp(0, 47)
    assert not black[row, other[..., 1], other[..., 0]].any()
    assert 0.02 < black.float().mean() < 0.25


def test_closed_eyes_and_lips_are_covered_too(images, points):
    flat = points.clone()
    for part in (slice(36, 48), slice(48, 68)):
        flat[:, part, 1] = flat[:, part, 1].mean(1, keepdim=True)
    for name in ("eye", "mouth"):
        left, top, right, bottom = regions(images, name, flat).unbind(1)
        assert ((bottom - top) > 0.15 * (right - left)).all()


def test_both_is_the_union(images, points):
    pale = images.clamp_min(1)
    mouth, eye, both = (disturb(pale, c, 0.8, points) == 0 for c in OCCLUSIONS)
    assert torch.equal(mouth | eye, both)


def test_severity_scales_width_and_height(images, points):
    pale = images.clamp_min(1)
    areas = [(disturb(pale, "occlusion_mouth", s, points) == 0).sum() for s in (0.5, 1.0)]
    assert abs(float(areas[0] / areas[1]) - 0.25) < 0.08


def test_faces_without_landmarks_are_covered_at_a_fixed_place(images, points):
    lost = points.clone()
    lost[3] = torch.nan
    lost[4, 50, 1] = torch.nan
    pale = images.clamp_min(1)
    covered = disturb(pale, "occlusion_mouth", 1.0, lost) == 0
    fixed = disturb(pale, "occlusion_mouth", 1.0) == 0
    assert torch.equal(covered[3:5], fixed[3:5])
    assert torch.equal(covered[:3], (disturb(pale, "occlusion_mouth", 1.0, points) == 0)[:3])
    assert (fixed == fixed[0]).all()
    left, top, right, bottom = (48 * e for e in FIXED_REGIONS["mouth"])
    assert abs(int(fixed[0].sum()) - (right - left) * (bottom - top)) < 60
    assert regions(images, "eye")[0].tolist() == pytest.approx([48 * e for e in FIXED_REGIONS["eye"]])


def test_brightness_by_the_factors_of_the_reading():
    ramp = torch.arange(256, dtype=torch.uint8).view(1, 16, 16)
    high = disturb(ramp, "high_brightness", 0.5).flatten().float()
    torch.testing.assert_close(high, (torch.arange(256) * 1.5).clamp_max(255), atol=0.5001, rtol=0)
    low = disturb(ramp, "low_brightness", 0.5).flatten().float()
    torch.testing.assert_close(low, torch.arange(256) * 0.55, atol=0.5001, rtol=0)


def test_tones_turn_round_from_a_third_of_the_severity():
    values = torch.linspace(0, 1, 500)
    assert (distort(values, 0.3).diff() > 0).all()
    assert (distort(values, 0.4).diff() < 0).any()
    assert torch.equal(distort(values, 0.0), values)


@pytest.mark.parametrize("severity", [-0.1, 1.1, float("nan")])
def test_severity_has_limits(images, severity):
    with pytest.raises(FerError, match=r"lies in \[0, 1\]"):
        disturb(images, "occlusion_eye", severity)


def test_wrong_calls_are_refused(images):
    with pytest.raises(FerError, match="Unknown condition"):
        disturb(images, "occlusion_nose", 0.5)
    with pytest.raises(FerError, match="uint8 images"):
        disturb(images.float(), "occlusion_eye", 0.5)
    assert np.array_equal(images.numpy(), synthetic.generate(5, 1).images)  # nothing above wrote into them
