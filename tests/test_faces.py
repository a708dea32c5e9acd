"""Faces: detection and crops on drawn faces whose place is known, and on FER2013 where it is at hand."""

import os
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fer_lib import faces
from fer_lib.data.datasets import synthetic
from fer_lib.errors import FerError


@pytest.fixture(scope="module")
def drawn():
    """Return 12 drawn faces, uint8 (12, 96, 96)."""
    return synthetic.generate(n_subjects=2, per_expression=1, size=96).images[:12]


def place(face, shape, side, x, y):
    """Return a grey frame of ``shape`` with the face scaled to ``side`` and its corner at (x, y)."""
    frame = np.full(shape, 90, np.uint8)
    frame[y : y + side, x : x + side] = cv2.resize(face, (side, side))
    return frame


def test_a_face_is_found_where_it_was_put(drawn):
    places = [(300, 200, 100), (260, 20, 60), (340, 290, 150)]
    frames = [place(face, (490, 640), *where) for face, where in zip(drawn, places, strict=False)]
    boxes = faces.detect(frames)
    assert boxes.shape == (3, 4)
    assert boxes.dtype == np.float32
    for (side, x, y), (left, top, width, height) in zip(places, boxes, strict=True):
        assert abs(left + width / 2 - (x + side / 2)) < 0.12 * side
        assert abs(top + height / 2 - (y + side / 2)) < 0.12 * side
        assert 0.6 * side < width == height < 1.1 * side


def test_boxes_scale_with_the_image(drawn):
    small, large = (
        faces.detect([cv2.resize(f, (s, s), interpolation=cv2.INTER_AREA) for f in drawn[:4]])
        for s in (96, 192)
    )
    assert np.abs(small * 2 - large).max() < 0.1 * 192


def test_no_face_is_nan_and_never_dropped(drawn):
    noise = np.random.default_rng(0).integers(0, 256, (96, 96), dtype=np.uint8)
    blank = np.zeros((30, 200), np.uint8)
    lines = [np.zeros(shape, np.uint8) for shape in ((1, 1), (1, 5000), (5000, 2))]
    boxes = faces.detect([blank, drawn[0], noise, *lines])
    assert np.isnan(boxes[[0, *range(2, 6)]]).all()
    assert np.isfinite(boxes[1]).all()


def test_threads_change_nothing(drawn, monkeypatch):
    one = np.array([faces.detect(drawn[i : i + 1])[0] for i in range(len(drawn))])
    monkeypatch.setattr(faces.detection, "BATCH", 2)
    monkeypatch.setattr(faces.detection, "THREADS", 4)
    np.testing.assert_array_equal(faces.detect(drawn), one)
    np.testing.assert_array_equal(faces.detect(list(drawn)), one)


def test_nothing_to_search():
    assert faces.detect(np.zeros((0, 48, 48), np.uint8)).shape == (0, 4)
    assert faces.crop([], np.zeros((0, 4)), 48).shape == (0, 48, 48)


@pytest.mark.parametrize(
    "image", [np.zeros((4, 4)), np.zeros((4, 4, 3), np.uint8), np.zeros((0, 4), np.uint8), np.uint8(3)]
)
def test_images_must_be_grey_bytes(image):
    with pytest.raises(FerError, match=r"Image 1 is .*grey uint8 pixels"):
        faces.detect([np.zeros((4, 4), np.uint8), image])


def test_unknown_methods_and_sizes_are_refused():
    image = np.zeros((1, 8, 8), np.uint8)
    with pytest.raises(FerError, match="Did you mean 'haar'"):
        faces.detect(image, "har")
    for size, margin in [(0, 0.0), (8, -0.5), (8, float("nan"))]:
        with pytest.raises(FerError, match=r"size >= 1 and -0\.5 < margin"):
            faces.crop(image, np.zeros((1, 4)), size, margin)
    with pytest.raises(FerError, match=r"one per image; got \(2, 4\) for 1"):
        faces.crop(image, np.zeros((2, 4)), 8)


def test_a_crop_is_the_box_and_repeats_edges_beyond_the_image():
    image = np.arange(20, dtype=np.uint8).reshape(4, 5)
    boxes = [[1, 1, 2, 2], [3, 2, 4, 4], [-1, 0, 2, 1]]
    inside, beyond, outside = (faces.crop([image], [box], max(box[2:]))[0] for box in boxes)
    assert inside.tolist() == [[6, 7], [11, 12]]
    assert beyond.tolist() == [[13, 14, 14, 14], *[[18, 19, 19, 19]] * 3]
    assert outside.tolist() == [[0, 0], [5, 5]]  # widened to a square of its longer side
    margin = faces.crop([image], [[1, 1, 2, 2]], 4, margin=0.5)[0]
    assert margin.tolist() == image[:, :4].tolist()


def test_an_image_without_a_face_is_used_whole_with_its_proportions():
    image = np.zeros((10, 20), np.uint8)
    image[:, 10:] = 200
    (square,) = faces.crop([image], np.full((1, 4), np.nan), 20, margin=0.5)
    assert (square[:, :10] == 0).all()
    assert (square[:, 10:] == 200).all()
    marked = image.copy()
    marked[0, 0] = 255
    assert faces.crop([marked], np.full((1, 4), np.nan), 20)[0][5, 0] == 255  # five rows repeated above


@given(
    st.tuples(st.integers(1, 30), st.integers(1, 30)),
    st.lists(st.floats(-40, 40), min_size=4, max_size=4),
    st.integers(1, 20),
    st.floats(-0.4, 1),
)
def test_any_box_gives_a_crop_of_the_images_own_values(shape, box, size, margin):
    image = np.full(shape, 7, np.uint8)
    assert (faces.crop([image], [box], size, margin) == 7).all()


def test_real_faces_are_found_at_any_scale():
    folder = Path(os.environ.get("FER_DATA", "~/fer-data")).expanduser() / "fer2013" / "test" / "happy"
    if len(happy := sorted(folder.glob("PrivateTest_*.jpg"))[:100]) < 100:
        pytest.skip("the image folders of FER2013 are not in $FER_DATA")
    images = np.array([cv2.imread(str(f), cv2.IMREAD_GRAYSCALE) for f in happy])
    boxes = faces.detect(images)
    found = ~np.isnan(boxes[:, 0])
    assert found.mean() > 0.7
    large = faces.detect([cv2.resize(i, (256, 256)) for i in images])
    assert np.nanmedian(np.abs(boxes * 256 / 48 - large)) < 5
    wide = boxes[found, 2] / 48
    assert wide.min() > 0.4
    assert wide.max() < 1.3
