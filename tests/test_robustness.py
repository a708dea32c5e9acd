"""Occlusion, light and tones: where they act, how much, and that nothing else changes."""

from functools import cache

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from fer_lib import claims
from fer_lib.data.datasets import synthetic
from fer_lib.errors import FerError
from fer_lib.features.robustness import CONDITIONS, FIXED_REGIONS, disturb, regions

OCCLUSIONS = [c for c in CONDITIONS if c.startswith("occlusion")]


@cache
def faces():
    """Return faces without black and their landmarks."""
    corpus = synthetic.generate(n_subjects=5, per_expression=1)
    return torch.tensor(corpus.images).clamp_min(1), torch.tensor(corpus.landmarks)


def covered(condition, severity=1.0, landmarks=None):
    return disturb(faces()[0], condition, severity, landmarks) == 0


def test_conditions_are_those_of_figure_7():
    printed = claims.frame("multimodal")["condition"].dropna().unique()
    assert set(CONDITIONS) == set(printed) - {"original"}


@pytest.mark.parametrize("condition", CONDITIONS)
def test_severity_from_nothing_to_more_and_more(condition):
    images, points = faces()
    steps = [disturb(images, condition, s, points) for s in (0, 0.25, 0.5, 0.75, 1)]
    assert all(s.dtype == torch.uint8 and s.shape == images.shape for s in steps)
    assert torch.equal(steps[0], images)
    change = [(s.float() - images.float()).abs().mean() for s in steps]
    assert change == sorted(change)
    assert change[1] > 0.1


@settings(max_examples=25)
@given(st.sampled_from(CONDITIONS), st.floats(0, 1), st.integers(0, 39))
def test_an_image_is_changed_as_if_it_were_alone(condition, severity, i):
    images, points = faces()
    alone = disturb(images[i : i + 1], condition, severity, points[i : i + 1])
    assert torch.equal(disturb(images, condition, severity, points)[i], alone[0])


def test_the_landmarks_of_the_region_are_covered_and_the_rest_is_not():
    points = faces()[1]
    row = torch.arange(len(points))[:, None]
    x, y = points.round().long().clamp(0, 47).unbind(-1)
    eye, mouth = slice(36, 48), slice(48, 68)
    for condition, inside, outside in (("occlusion_eye", eye, mouth), ("occlusion_mouth", mouth, eye)):
        black = covered(condition, landmarks=points)
        assert black[row, y[:, inside], x[:, inside]].all()
        assert not black[row, y[:, outside], x[:, outside]].any()
        assert 0.02 < black.float().mean() < 0.25


def test_closed_eyes_and_lips_are_covered_too():
    flat = faces()[1].clone()
    for name, part in (("eye", slice(36, 48)), ("mouth", slice(48, 68))):
        flat[:, part, 1] = flat[:, part, 1].mean(1, keepdim=True)
        left, top, right, bottom = regions(faces()[0], name, flat).unbind(1)
        assert ((bottom - top) > 0.15 * (right - left)).all()


def test_both_is_the_union_and_severity_scales_width_and_height():
    mouth, eye, both = (covered(c, 0.8, faces()[1]) for c in OCCLUSIONS)
    assert torch.equal(mouth | eye, both)
    half, whole = (covered("occlusion_mouth", s, faces()[1]).sum() for s in (0.5, 1.0))
    assert abs(float(half / whole) - 0.25) < 0.08


def test_faces_without_landmarks_are_covered_at_a_fixed_place():
    lost = faces()[1].clone()
    lost[3] = torch.nan
    lost[4, 50, 1] = torch.nan
    found, fixed = covered("occlusion_mouth", 1.0, lost), covered("occlusion_mouth")
    assert torch.equal(found[3:5], fixed[3:5])
    assert torch.equal(found[:3], covered("occlusion_mouth", 1.0, faces()[1])[:3])
    assert (fixed == fixed[0]).all()
    left, top, right, bottom = (48 * e for e in FIXED_REGIONS["mouth"])
    assert abs(int(fixed[0].sum()) - (right - left) * (bottom - top)) < 60


def test_light_and_tones_by_the_formulas_of_the_reading():
    ramp = torch.arange(256, dtype=torch.uint8).view(1, 16, 16)
    v = torch.arange(256) / 255
    wave = v + 0.25 / 4 * (4 * torch.pi * v).sin()
    wanted = {"high_brightness": v * 1.25, "low_brightness": v * 0.775, "color_distortion": wave}
    for condition, values in wanted.items():
        ours = disturb(ramp, condition, 0.25).flatten().float()
        torch.testing.assert_close(ours, 255 * values.clamp(0, 1), atol=0.5001, rtol=0)


def test_wrong_calls_are_refused():
    for severity in (-0.1, 1.1, float("nan")):
        with pytest.raises(FerError, match=r"lies in \[0, 1\]"):
            disturb(faces()[0], "occlusion_eye", severity)
    with pytest.raises(FerError, match="Unknown condition"):
        disturb(faces()[0], "occlusion_nose", 0.5)
