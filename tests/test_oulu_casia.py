"""Oulu-CASIA: both trees, every nesting, the frames that papers select, and gaps."""

import itertools
import shutil

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fer_lib.data.datasets import oulu_casia
from fer_lib.data.printed import compare, remarks
from fer_lib.errors import FerError

EXPRESSIONS = ("Anger", "Disgust", "Fear", "Happiness", "Sadness", "Surprise")
LENGTH = 12


def frame(value, shape=(24, 32)):
    return cv2.imencode(".jpeg", np.full((*shape, 3), value, np.uint8))[1].tobytes()


def write(base, camera="VL", illumination="Strong", subjects=("P001", "P080"), shape=(24, 32)):
    for subject, expression in itertools.product(subjects, EXPRESSIONS):
        folder = base / camera / illumination / subject / expression
        folder.mkdir(parents=True)
        for n in range(LENGTH):
            (folder / f"{n:03}.jpeg").write_bytes(frame(10 * n, shape))
        (folder / "Thumbs.db").write_bytes(b"junk")
    return base


@pytest.fixture
def copy(tmp_path):
    """Return a copy with the original and the cropped images of two subjects."""
    root = tmp_path / "oulu_casia"
    write(root / "B_OriginalImg" / "OriginalImg")
    write(root / "B_OriginalImg" / "OriginalImg", "NI", "Dark", ["P001"])
    write(root / "C_PreProcess Img" / "PreProcess Img", "VL_Acropped", shape=(20, 20))
    return root


def test_paper_4_takes_the_last_ten_frames_of_visible_light_and_strong(copy):
    corpus = oulu_casia.READER.read(copy)
    assert corpus.images.shape == (2 * 6 * 10, 24, 32)
    assert corpus.classes == ("anger", "disgust", "fear", "happiness", "sadness", "surprise")
    assert corpus.counts()["all"].tolist() == [20] * 6
    assert set(corpus.subjects) == {"P001", "P080"}
    assert len(set(corpus.sequences)) == 12
    assert corpus.ids[0] == "VL-Strong-P001-Anger-002"
    assert corpus.meta.frame[:10].tolist() == list(range(2, 12))
    assert corpus.images[:10, 5, 5].tolist() == pytest.approx([10 * n for n in range(2, 12)], abs=1)
    assert set(corpus.meta.camera) == {"VL"}
    assert set(corpus.meta.illumination) == {"Strong"}


@pytest.mark.parametrize(
    ("frames", "numbers"),
    [("apex", [11]), ("last3", [9, 10, 11]), ("neutral", [0]), ("all", list(range(12)))],
)
def test_only_the_frames_asked_for_are_opened(copy, frames, numbers, monkeypatch):
    source = oulu_casia.READER.locate(copy, frames=frames)
    assert len(source.files) == 12 * len(numbers)
    corpus = oulu_casia.READER.read(copy, frames=frames)
    assert corpus.meta.frame.tolist() == numbers * 12
    assert corpus.classes == (("neutral",) if frames == "neutral" else corpus.classes)
    assert len(corpus.classes) == (1 if frames == "neutral" else 6)


def test_camera_and_illumination_are_selections(copy):
    near = oulu_casia.READER.read(copy, camera="NI", illumination="Dark", frames="apex")
    assert (len(near), near.ids[0]) == (6, "NI-Dark-P001-Anger-011")
    every = oulu_casia.READER.read(copy, camera="all", illumination="all", frames="apex")
    assert len(every) == 18


def test_a_copy_of_the_crops_alone_is_taken_as_it_is(copy):
    shutil.rmtree(copy / "B_OriginalImg")
    source = oulu_casia.READER.locate(copy)
    assert source.form == "preprocessed"
    assert oulu_casia.READER.read(source).images.shape[1:] == (20, 20)
    with pytest.raises(FerError, match=r"holds nothing for camera=NI, .*; it holds preprocessed VL Strong"):
        oulu_casia.READER.read(copy, camera="NI")


def test_what_the_chosen_tree_lacks_is_said(copy):
    write(copy / "PreProcess Img", "NI_Acropped", "Weak", ["P001"])
    remarks = oulu_casia.READER.locate(copy, camera="all", illumination="all").remarks
    assert remarks[0] == "Only the original tree was read; it lacks NI Weak."


@pytest.mark.parametrize("inside", ["", "VL/Strong", "VL/Strong/P001/Fear"])
@pytest.mark.parametrize("nesting", ["", "B_OriginalImg/OriginalImg"])
def test_nesting_does_not_matter(tmp_path, nesting, inside):
    write(tmp_path / nesting, subjects=["P001"])
    corpus = oulu_casia.READER.read(tmp_path / nesting / inside, frames="apex")
    assert corpus.ids.tolist()[-1].startswith("VL-Strong-P001-")
    assert len(corpus) == (1 if inside.endswith("Fear") else 6)


def test_missing_empty_and_short_sequences_are_reported_and_no_problem(copy):
    base = copy / "B_OriginalImg" / "OriginalImg" / "VL" / "Strong"
    shutil.rmtree(base / "P001" / "Anger")
    for path in (base / "P001" / "Disgust").glob("*.jpeg"):
        path.unlink()
    for n in range(8):
        (base / "P080" / "Fear" / f"{n:03}.jpeg").unlink()
    source = oulu_casia.READER.locate(copy)
    assert source.problems == []
    assert source.facts == {"sequences": 10, "missing_sequences": 470, "short_sequences": 1}
    assert source.remarks[0].startswith("470 sequences (VL Strong P001 Anger, VL Strong P001 Disgust,")
    assert source.remarks[0].endswith(", ...) are missing or empty.")
    assert source.remarks[1] == (
        "1 sequences (VL-Strong-P080-Fear) have fewer than 10 frames; all they have are taken."
    )
    assert source.ignored == 11 + 12 + 6  # Thumbs.db of every tree
    corpus = oulu_casia.READER.read(source)
    assert (corpus.sequences == "VL-Strong-P080-Fear").sum() == 4
    assert len(set(corpus.sequences)) == 10


def test_a_complete_copy_needs_no_remark_and_has_the_subjects_that_are_printed(tmp_path):
    for subject, expression in itertools.product(oulu_casia.SUBJECTS, EXPRESSIONS):
        folder = tmp_path / "VL" / "Strong" / subject / expression
        folder.mkdir(parents=True)
        (folder / "000.jpeg").touch()
    source = oulu_casia.READER.locate(tmp_path, frames="apex")
    assert (len(source.rows), source.remarks) == (480, [])
    assert source.facts == {"sequences": 480, "missing_sequences": 0}
    (row,) = compare(oulu_casia.READER, tmp_path)
    assert row["here"] == row["complete"] == row["printed"] == 80
    assert remarks([row]) == []


def test_a_second_copy_is_one_problem_and_the_fuller_is_read(copy):
    write(copy / "OriginalImg", subjects=["P001"])
    for path in (copy / "OriginalImg").rglob("00*.jpeg"):
        path.unlink()
    with pytest.raises(FerError, match=r"6 sequences are here more than once, the first in .*B_OriginalImg"):
        oulu_casia.READER.read(copy)
    problems = []
    assert len(oulu_casia.READER.read(copy, problems)) == 120
    assert len(problems) == 1


def test_an_unreadable_frame_is_named_only_if_it_is_asked_for(copy):
    bad = copy / "B_OriginalImg" / "OriginalImg" / "VL" / "Strong" / "P001" / "Fear" / "000.jpeg"
    bad.write_bytes(bad.read_bytes()[:300])
    assert len(oulu_casia.READER.read(copy, frames="apex")) == 12
    with pytest.raises(FerError, match=r"P001/Fear/000\.jpeg: is cut off"):
        oulu_casia.READER.read(copy, frames="neutral")


PARTS = st.sampled_from(
    ["VL", "NI_Acropped", "vl", "Strong", "Dark", "P001", "P٠٠١", "Anger", "sadness", "", "é\n"]
)


@given(st.lists(PARTS | st.text(max_size=5), max_size=7))
def test_any_folder_is_parsed_or_passed_over(parts):
    key = oulu_casia.parse("/".join(parts))
    if key is not None:
        tree, camera, illumination, subject, expression = key
        assert tree in ("original", "preprocessed")
        assert camera in ("VL", "NI")
        assert illumination in oulu_casia.ILLUMINATIONS
        assert subject.isascii()
        assert expression in EXPRESSIONS
