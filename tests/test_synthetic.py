from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fer_lib.data.datasets import synthetic
from fer_lib.data.drawing.drawing import Light, draw
from fer_lib.data.drawing.geometry import Actions, Identity, Pose, landmarks, shape
from fer_lib.data.drawing.sketch import Sketch, ellipse, render
from fer_lib.errors import FerError
from fer_lib.expressions import EXPRESSIONS

STILL_LIGHT = Light(noise=0.0, contrast=0.0)
UPRIGHT = Pose()
PINNED = [
    [8.1080, 17.9231],
    [22.3131, 40.8104],
    [23.7891, 23.4930],
    [12.8131, 18.2626],
    [35.1697, 20.0671],
    [23.0664, 31.8326],
]

poses = st.builds(
    Pose,
    roll=st.floats(-9, 9),
    yaw=st.floats(-14, 14),
    scale=st.floats(0.95, 1.072),
    shift_x=st.floats(-0.04, 0.04),
    shift_y=st.floats(-0.13, -0.07),
)
amounts = st.floats(0, 1)
actions = st.builds(Actions, **dict.fromkeys(Actions.__dataclass_fields__, amounts))


@pytest.fixture(scope="module")
def corpus():
    return synthetic.generate(n_subjects=6, per_expression=2)


@pytest.fixture(scope="module")
def film():
    return synthetic.generate(n_subjects=2, per_expression=1, sequences=True, n_frames=6)


def points(identity, acts, pose=UPRIGHT, size=96):
    return pose.place(landmarks(shape(identity, acts)), size)


def picture(identity, acts, pose=UPRIGHT, size=96):
    return draw(identity, acts, pose, STILL_LIGHT, size, np.random.default_rng(0)).astype(float)


def mouth_height(p):
    return p[..., 66, 1] - p[..., 62, 1]


def test_columns_and_balance(corpus):
    assert corpus.images.shape == (96, 48, 48)
    assert corpus.images.dtype == np.uint8
    assert corpus.classes == EXPRESSIONS
    assert np.bincount(corpus.labels).tolist() == [12] * 8
    assert corpus.ids[0] == "SYN01/anger/0"
    assert set(corpus.subjects) == {f"SYN0{k}" for k in range(1, 7)}
    assert corpus.valid.all()
    assert corpus.sequences is None
    assert (corpus.meta["intensity"] == 0).sum() == 12
    assert corpus.meta.loc[corpus.labels != 6, "intensity"].between(0.45, 1.0).all()
    assert corpus.card.synthetic
    assert corpus.card.may_show


def test_same_seed_same_corpus_and_another_seed_another(corpus):
    again = synthetic.generate(n_subjects=6, per_expression=2)
    assert again.fingerprint == corpus.fingerprint
    other = synthetic.generate(n_subjects=1, per_expression=1, seed=1)
    assert not np.array_equal(other.images[0], corpus.images[0])
    one = synthetic.generate(n_subjects=1, per_expression=1)  # fewer subjects and repetitions move no image
    rows = np.flatnonzero(np.isin(corpus.ids, one.ids))
    np.testing.assert_array_equal(corpus.images[rows], one.images)
    np.testing.assert_array_equal(corpus.landmarks[rows], one.landmarks)


def test_landmarks_of_one_face_are_pinned(corpus):
    # Coordinates, not a pixel hash: rounding in another OpenCV build may move a pixel by one grey level.
    np.testing.assert_allclose(corpus.landmarks[0][[0, 8, 30, 36, 45, 62]], PINNED, atol=1e-3)


def test_landmarks_scale_with_the_image(corpus):
    large = synthetic.generate(n_subjects=1, per_expression=2, size=144)
    expected = (corpus.landmarks[: len(large)] + 0.5) * 3 - 0.5
    np.testing.assert_allclose(large.landmarks, expected, atol=1e-3)


@settings(max_examples=40)
@given(number=st.integers(0, 60), expression=st.sampled_from(EXPRESSIONS), pose=poses)
def test_landmarks_lie_inside_in_anatomical_order(number, expression, pose):
    person = synthetic.subject(number)
    p = points(person.identity, person.apex[expression], pose, size=48)
    assert p.shape == (68, 2)
    assert (p > -0.5).all()
    assert (p < 47.5).all()
    upright = points(person.identity, person.apex[expression])
    x, y = upright[:, 0], upright[:, 1]
    assert (np.diff(x[0:17]) > -2).all()  # the jaw narrows below the cheekbones, then runs left to right
    assert x[0] < x[36] < x[39] < x[30] < x[42] < x[45] < x[16]
    assert (np.diff(x[17:27]) > 0).all()  # brows, nostrils and lips run from left to right
    assert (np.diff(x[31:36]) > 0).all()
    assert (np.diff(x[48:55]) > 0).all()
    assert (np.diff(x[54:60]) < 0).all()
    assert (np.diff(y[27:31]) > 0).all()
    assert y[8] == y[:17].max()
    assert y[19] < y[37] <= y[41] < y[33] < y[51] < y[62] <= y[66] < y[57] < y[8]


@settings(max_examples=40)
@given(acts=actions)
def test_a_symmetric_face_has_symmetric_landmarks(acts):
    p = landmarks(shape(Identity(), replace(acts, corner_one=0.0)))
    mirror = [*range(16, -1, -1), *range(26, 16, -1), 27, 28, 29, 30, *range(35, 30, -1)]
    mirror += [45, 44, 43, 42, 47, 46, 39, 38, 37, 36, 41, 40]
    mirror += [54, 53, 52, 51, 50, 49, 48, 59, 58, 57, 56, 55, 64, 63, 62, 61, 60, 67, 66, 65]
    np.testing.assert_allclose(p[mirror] * (-1, 1), p, atol=1e-9)


@pytest.mark.parametrize(
    "action, of, sign",
    [
        ("brow_inner", lambda p: p[21, 1], -1),
        ("brow_outer", lambda p: p[18, 1], -1),
        ("brow_lower", lambda p: p[21, 1], 1),
        ("lid_raise", lambda p: p[41, 1] - p[37, 1], 1),
        ("lid_tighten", lambda p: p[41, 1] - p[37, 1], -1),
        ("cheek_raise", lambda p: p[41, 1], -1),
        ("nose_wrinkle", lambda p: p[33, 1], -1),
        ("upper_lip_raise", lambda p: p[51, 1], -1),
        ("corner_pull", lambda p: p[48, 1], -1),
        ("corner_one", lambda p: p[54, 1] - p[48, 1], -1),
        ("corner_depress", lambda p: p[48, 1], 1),
        ("lip_stretch", lambda p: p[54, 0] - p[48, 0], 1),
        ("lip_press", lambda p: p[57, 1] - p[51, 1], -1),
        ("jaw_drop", lambda p: p[66, 1] - p[62, 1], 1),
        ("lid_droop", lambda p: p[37, 1], 1),
        ("chin_raise", lambda p: p[51, 1], -1),
    ],
)
def test_each_action_moves_its_landmark_monotonically(action, of, sign):
    path = [of(points(Identity(), Actions(**{action: a}))) for a in np.linspace(0, 1, 6)]
    assert (sign * np.diff(path) > 0).all()


def test_the_drawing_follows_the_landmarks_of_an_open_mouth():
    import cv2

    pose = Pose(roll=7, yaw=-9, scale=0.98, shift_x=0.05, shift_y=-0.1)
    face = Identity(asymmetry=0.0)
    for jaw in (0.6, 0.8, 1.0):
        p = points(face, Actions(jaw_drop=jaw), pose)
        dark = (picture(face, Actions(jaw_drop=jaw), pose) < 45).astype(np.uint8)
        inside = np.zeros_like(dark)
        cv2.fillPoly(inside, [np.rint(p[60:68]).astype(np.int32)], 1)
        around = np.zeros_like(dark)
        cv2.circle(around, tuple(np.rint(p[60:68].mean(axis=0)).astype(int).tolist()), 17, 1, -1)
        dark &= around
        assert (dark & inside).sum() > 0.85 * dark.sum()
        assert dark.sum() > 0.25 * inside.sum()


def test_subjects_differ_more_than_images_of_one_subject(corpus):
    def upright(person):
        p = landmarks(shape(person.identity, Actions()))
        return p - p.mean(axis=0)

    forms = np.stack([upright(synthetic.subject(k)) for k in range(24)])
    gaps = np.abs(forms[:, None] - forms[None]).mean(axis=(2, 3))
    assert gaps[~np.eye(24, dtype=bool)].min() > 0.004
    neutral = corpus.labels == EXPRESSIONS.index("neutral")
    images, names = corpus.images[neutral].astype(float), corpus.subjects[neutral]
    distance = np.abs(images[:, None] - images[None]).mean(axis=(2, 3))
    same = (names[:, None] == names[None]) & ~np.eye(len(names), dtype=bool)
    assert distance[same].mean() < 0.6 * distance[names[:, None] != names[None]].mean()


def test_sequences_run_monotonically_from_neutral_to_apex(film):
    assert len(film) == 2 * 8 * 6
    assert film.ids[1] == "SYN01/anger/0/01"
    assert len(set(film.sequences)) == 16
    for name in set(film.sequences):
        rows = np.flatnonzero(film.sequences == name)
        intensity = film.meta["intensity"].to_numpy()[rows]
        assert film.meta["frame"].to_numpy()[rows].tolist() == list(range(6))
        assert intensity[0] == 0
        if "neutral" in name:
            assert (intensity == 0).all()
        else:
            assert (np.diff(intensity) > 0).all()
            assert 0.45 <= intensity[-1] <= 1
    surprise = np.flatnonzero(film.sequences == "SYN01/surprise/0")
    assert (np.diff(mouth_height(film.landmarks[surprise])) > 0).all()
    step = np.abs(np.diff(film.landmarks[surprise], axis=0)).max()
    assert step < 4  # pixels: no jump between frames


@pytest.mark.parametrize("wrong", [{"n_subjects": 0}, {"per_expression": 0}, {"size": 8}, {"n_frames": 1}])
def test_counts_that_are_too_small_are_refused(wrong):
    with pytest.raises(FerError, match=next(iter(wrong))):
        synthetic.generate(**wrong)


@settings(max_examples=25)
@given(pose=poses, x=st.floats(-3, 3), y=st.floats(-3, 3), radius=st.floats(0.01, 0.5))
def test_marks_may_lie_anywhere_and_cover_their_area(pose, x, y, radius):
    sketch = Sketch()
    sketch.paint(ellipse((x, y), (radius, radius)), 1.0, soft=0.02)
    sketch.glow((x, y), (radius, radius), 0.3)
    image = render(sketch, pose, 64, 0.5)
    assert image.shape == (64, 64)
    assert np.isfinite(image).all()
    assert image.max() <= 1.0 + 1e-6
