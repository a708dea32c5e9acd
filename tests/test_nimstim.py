"""NimStim: its names in every case and kind of file, and copies that are not as they should be."""

import cv2
import numpy as np
import pytest

from fer_lib.data.datasets import nimstim
from fer_lib.data.image_files import image_remarks

CODES = ("AN", "CA", "DI", "FE", "HA", "NE", "SA", "SP")
SIX = ("anger", "disgust", "fear", "happiness", "sadness", "surprise")


def draw(path, value, shape=(65, 50), channels=3):
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), np.full((*shape, channels), value, np.uint8))


@pytest.fixture
def copy(tmp_path):
    """Return a copy of two actors in mixed case, kinds and folders, with junk beside it."""
    root = tmp_path / "nimstim"
    for i, code in enumerate(CODES):
        draw(root / f"01F_{code}_C.BMP", 10 + i)
        draw(root / "Crop-White Background" / f"20m_{code.lower()}_o.jpeg", 30 + i, channels=1)
    draw(root / "01F_HA_X.png", 50)
    for junk in (".DS_Store", "Thumbs.db", "._01F_AN_C.BMP", "01F_AN_C.txt", "01F_XX_C.BMP", "1F_AN_C.BMP"):
        (root / junk).write_bytes(b"junk")
    return root


def test_six_classes_drop_calm_and_neutral(copy):
    corpus = nimstim.READER.read(copy)
    assert corpus.classes == SIX
    assert corpus.counts()["all"].tolist() == [2, 2, 2, 3, 2, 2]
    assert corpus.sequences is None
    assert corpus.images.shape == (13, 65, 50)
    assert list(corpus.meta.columns) == ["sex", "code", "mouth", "height", "width"]
    by_id = dict(zip(corpus.ids, range(13), strict=True))
    row = by_id["20M_SP_O"]
    assert corpus.subjects[row] == "20M"
    assert corpus.classes[corpus.labels[row]] == "surprise"
    assert corpus.meta.loc[row, ["sex", "code", "mouth"]].tolist() == ["M", "SP", "O"]
    assert corpus.images[row].mean() == pytest.approx(37, abs=1)
    assert corpus.meta.mouth[by_id["01F_HA_X"]] == "X"
    assert corpus.images[by_id["01F_AN_C"]].mean() == 10


def test_neutral_comes_on_request_and_calm_never(copy):
    corpus = nimstim.READER.read(copy, classes="seven")
    assert corpus.classes == (*SIX, "neutral")
    assert set(corpus.meta.code[corpus.labels == 6]) == {"NE"}


def test_what_was_found_is_reported_and_not_required(copy):
    source = nimstim.READER.locate(copy)
    assert (source.ignored, source.problems) == (6, [])
    assert source.facts == {"actors": 2, "images": 17, "other_labels": 4}
    assert "2 actors and 17 images were found; the standard set has 43 and 672" in source.remarks[0]
    assert len(source.files) == 13


def test_images_of_another_size_are_fitted_and_reported(copy):
    draw(copy / "01F_AN_C.BMP", 200, (130, 100))
    draw(copy / "01F_SA_C.BMP", 201, (65, 60))
    corpus = nimstim.READER.read(copy)
    assert corpus.images.shape[1:] == (65, 50)
    assert sorted(image_remarks(corpus)) == [
        "1 of 13 images are 100x130 pixels and were fitted into 50x65.",
        "1 of 13 images are 60x65 pixels and were fitted into 50x65.",
    ]
    assert nimstim.READER.read(copy, size=32).images.shape[1:] == (32, 32)
