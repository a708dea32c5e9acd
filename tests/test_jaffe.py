"""JAFFE: real file names on drawn images, in the layouts that circulate, and faulty copies."""

import io
import os

import cv2
import numpy as np
import pytest
from PIL import Image

from fer_lib.data.datasets import jaffe, synthetic
from fer_lib.data.image_files import image_remarks
from fer_lib.data.sources import wrong_counts
from fer_lib.errors import FerError
from fer_lib.faces import FACE

CODES = ("AN", "DI", "FE", "HA", "NE", "SA", "SU")
# Images per subject and expression with the owners' totals on both sides; which cell has which is drawn.
TOTALS = {"AN": 30, "DI": 29, "FE": 32, "HA": 31, "NE": 30, "SA": 31, "SU": 30}
WOMEN = {"KA": 23, "KL": 22, "KM": 22, "KR": 20, "MK": 21, "NA": 21, "NM": 20, "TM": 21, "UY": 21, "YM": 22}


def official_names():
    """Return 213 names: three per woman and expression, more or fewer where the totals ask for it."""
    cells = {(w, c): 3 for w in WOMEN for c in CODES}
    over = {w: n - 21 for w, n in WOMEN.items()}
    wants = {c: n - 30 for c, n in TOTALS.items()}
    for sign in (1, -1):
        women = [w for w, n in over.items() for _ in range(max(0, sign * n))]
        codes = [c for c, n in wants.items() for _ in range(max(0, sign * n))]
        codes += ["HA"] * (len(women) - len(codes))
        for w, c in zip(women, codes, strict=True):
            cells[w, c] += sign
    names = [(w, c, i) for (w, c), n in cells.items() for i in range(n)]
    return [f"{w}.{c}{(i % 5) + 1}.{serial}.tiff" for serial, (w, c, i) in enumerate(names, 1)]


def tiff(pixels, mode="L"):
    image = Image.fromarray(pixels)
    held = io.BytesIO()
    (image.quantize(256) if mode == "P" else image.convert(mode)).save(held, "tiff")
    return held.getvalue()


@pytest.fixture(scope="module")
def full(tmp_path_factory):
    """Return the folder of a complete copy with images of 16x16, each filled with its serial number."""
    root = tmp_path_factory.mktemp("jaffe")
    for name in official_names():
        grey = np.full((16, 16), int(name.split(".")[2]), np.uint8)
        (root / name).write_bytes(tiff(grey))
    (root / "README_FIRST.txt").write_text("semantic ratings\n")
    return root


def test_a_complete_copy_has_the_official_counts(full):
    source = jaffe.READER.locate(full)
    assert wrong_counts(source) == []
    assert source.ignored == 1
    corpus = jaffe.READER.read(source)
    assert corpus.images.shape == (213, 16, 16)
    assert corpus.classes == ("anger", "disgust", "fear", "happiness", "sadness", "surprise", "neutral")
    assert np.bincount(corpus.labels).tolist() == [30, 29, 32, 31, 31, 30, 30]
    assert {w: int((corpus.subjects == w).sum()) for w in WOMEN} == WOMEN
    assert (corpus.images[:, 0, 0] == corpus.meta["serial"]).all()
    assert corpus.sequences is None
    assert corpus.ids[0] == "KA.AN1.1"


def test_six_classes_are_the_183_that_are_not_neutral(full):
    corpus = jaffe.READER.read(full, classes="six", size=(8, 10))
    assert corpus.images.shape == (183, 8, 10)
    assert "neutral" not in corpus.classes
    assert set(corpus.labels.tolist()) == set(range(6))
    assert wrong_counts(jaffe.READER.locate(full, classes="six")) == []
    with pytest.raises(FerError, match="Did you mean 'six'"):
        jaffe.READER.read(full, classes="sx")


@pytest.mark.parametrize("nest", ["jaffedbase", "jaffe/JAFFE images"])
def test_folders_and_spellings_do_not_matter(tmp_path, nest):
    folder = tmp_path / nest
    folder.mkdir(parents=True)
    pixels = np.arange(256, dtype=np.uint8).reshape(16, 16)
    for name, mode in [("KA.AN1.39.tiff", "P"), ("kl.di2.7.TIF", "RGB"), ("YM.su5.110.Tiff", "RGBA")]:
        (folder / name).write_bytes(tiff(pixels, mode))
    for name in (".DS_Store", "Thumbs.db", "._KA.AN1.39.tiff", "KA.AN1.39.tiff.txt", "KX.AN1.39.tiff"):
        (folder / name).write_bytes(b"\0")
    (tmp_path / "loop").symlink_to(tmp_path)
    with open(os.fsencode(folder) + b"/M\xfcller.tiff", "wb") as stream:  # noqa: PTH123
        stream.write(b"\0")
    source = jaffe.READER.locate(tmp_path)
    assert source.ignored == 6
    corpus = jaffe.READER.read(source)
    assert corpus.ids.tolist() == ["KA.AN1.39", "KL.DI2.7", "YM.SU5.110"]
    assert (corpus.images == pixels).all()
    assert [corpus.classes[i] for i in corpus.labels] == ["anger", "disgust", "surprise"]
    assert corpus.meta.to_dict("list") == {
        "repetition": [1, 2, 5],
        "serial": [39, 7, 110],
        "height": [16] * 3,
        "width": [16] * 3,
    }


def test_faces_are_cropped_and_failures_marked(tmp_path):
    drawn = synthetic.generate(n_subjects=1, per_expression=1, size=96).images
    photograph = np.full((256, 256), 90, np.uint8)
    photograph[60:220, 40:200] = cv2.resize(drawn[0], (160, 160))
    (tmp_path / "KA.AN1.39.tiff").write_bytes(tiff(photograph))
    (tmp_path / "KA.AN2.40.tiff").write_bytes(tiff(np.full((256, 256), 70, np.uint8)))
    corpus = jaffe.READER.read(tmp_path, crop=FACE)
    assert corpus.images.shape == (2, 96, 96)
    assert corpus.valid.tolist() == [True, False]
    assert (corpus.images[1] == 70).all()
    assert corpus.images[0].std() > photograph.std()  # less of the even background
    assert "height" not in corpus.meta
    (said,) = image_remarks(corpus)
    assert "No face was found in 1 of 2 images (first KA.AN2.40)" in said
    assert jaffe.READER.read(tmp_path).valid is None
    with pytest.raises(FerError, match="cropped to a square"):
        jaffe.READER.read(tmp_path, size=(96, 64), crop=FACE)


def test_copies_in_two_folders_are_read_once(tmp_path):
    for folder in ("a", "jaffe"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "KA.AN1.39.tiff").write_bytes(tiff(np.zeros((16, 16), np.uint8)))
    source = jaffe.READER.locate(tmp_path)
    assert (len(source.rows), source.problems) == (1, [])
    assert source.remarks == ["1 files are here more than once, byte for byte; one of each is used."]
    (tmp_path / "a" / "KA.AN1.39.tiff").write_bytes(tiff(np.ones((16, 16), np.uint8)))
    problems = []
    assert len(jaffe.READER.read(tmp_path, problems)) == 1
    assert len(problems) == 1
    assert "1 files are here in several versions" in problems[0]


def test_other_formats_than_tiff_are_read(tmp_path):
    pixels = np.arange(256, dtype=np.uint8).reshape(16, 16)
    for name, suffix in (("KA.AN1.39", "png"), ("KA.DI1.42", "BMP")):
        Image.fromarray(pixels).save(tmp_path / f"{name}.{suffix}")
    corpus = jaffe.READER.read(tmp_path, crop=False)
    assert corpus.ids.tolist() == ["KA.AN1.39", "KA.DI1.42"]
    assert (corpus.images == pixels).all()
