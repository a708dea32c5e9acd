"""CMU Face Images: the selections, the glitches and the counts."""

import itertools

import cv2
import numpy as np
import pytest

from fer_lib.data import datasets
from fer_lib.data.datasets import cmu_faces
from fer_lib.errors import FerError

POSES = ("straight", "left", "right", "up")
EXPRESSIONS = ("neutral", "happy", "sad", "angry")
EYES = ("open", "sunglasses")
SCALES = {"": (120, 128), "_2": (60, 64), "_4": (30, 32)}


@pytest.fixture
def copy(tmp_path):
    """Return two people at every scale, with one glitch, as the archive unpacks."""
    for user, (suffix, shape) in itertools.product(("an2i", "ch4f"), SCALES.items()):
        folder = tmp_path / "cmu_faces" / "faces" / user
        folder.mkdir(parents=True, exist_ok=True)
        for i, parts in enumerate(itertools.product(POSES, EXPRESSIONS, EYES)):
            image = np.full(shape, 10 + i, np.uint8)
            bad = (user, *parts) == ("ch4f", "up", "sad", "open")
            data = cv2.imencode(".pgm", image)[1].tobytes()
            (folder / f"{user}_{'_'.join(parts)}{suffix}.{'bad' if bad else 'pgm'}").write_bytes(data)
        (folder / ".anonr").write_text("")
    return tmp_path / "cmu_faces"


@pytest.mark.parametrize(("scale", "shape"), [("full", (120, 128)), ("2", (60, 64)), (4, (30, 32))])
def test_every_scale_is_a_corpus(copy, scale, shape):
    corpus = cmu_faces.READER.read(copy, scale=scale)
    assert corpus.images.shape == (63, *shape)
    assert corpus.classes == ("anger", "happiness", "sadness", "neutral")
    assert corpus.counts()["all"].tolist() == [16, 16, 15, 16]
    assert sorted(set(corpus.subjects)) == ["an2i", "ch4f"]
    assert corpus.sequences is None
    assert set(corpus.meta.scale) == {str(scale)}
    row = corpus.ids.tolist().index("an2i_left_angry_sunglasses")
    assert corpus.meta.loc[row, ["pose", "eyes"]].tolist() == ["left", "sunglasses"]
    assert corpus.classes[corpus.labels[row]] == "anger"
    assert (corpus.images[row] == 25).all()


def test_pose_and_eyes_are_selections(copy):
    corpus = cmu_faces.READER.read(copy, pose="straight")
    assert len(corpus) == 16
    assert set(corpus.meta.pose) == {"straight"}
    assert set(cmu_faces.READER.read(copy, eyes="open").meta.eyes) == {"open"}
    assert len(cmu_faces.READER.read(copy, eyes="open")) == 31
    assert len(cmu_faces.READER.read(copy, pose="up", eyes="open", scale="2")) == 7


def test_glitches_are_skipped_counted_and_the_counts_reported(copy, monkeypatch):
    source = cmu_faces.READER.locate(copy, pose="straight")
    assert (source.facts, source.ignored) == ({"bad": 1, "usable": 63}, 2)
    assert len(source.files) == 16
    assert source.problems == []
    assert source.remarks[0] == "1 images that the owners marked as glitches (.bad) were skipped."
    assert source.remarks[1] == "anger: 16 images at this scale, the complete set has 155."
    monkeypatch.setattr(cmu_faces, "USUAL", {"anger": 16, "happiness": 16, "sadness": 15, "neutral": 16})
    assert len(cmu_faces.READER.locate(copy, pose="straight").remarks) == 1
    assert sum({"anger": 155, "happiness": 155, "sadness": 156, "neutral": 158}.values()) == 624


def test_the_most_complete_scale_is_read_unless_one_is_asked_for(copy):
    assert cmu_faces.READER.locate(copy).form == "scale full: 128x120"
    for path in [*copy.rglob("*_straight_*open.pgm"), *copy.rglob("*_4.*")]:
        path.unlink()
    assert cmu_faces.READER.read(copy).images.shape == (63, 60, 64)
    assert cmu_faces.READER.locate(copy).form == "scale 2: 64x60"
    assert len(cmu_faces.READER.read(copy, scale="full")) == 55
    with pytest.raises(FerError, match="holds no image of the selection"):
        cmu_faces.READER.read(copy, scale="4")


def test_a_copy_without_whole_classes_is_not_well(copy, monkeypatch, tmp_path):
    monkeypatch.setenv("FER_CACHE", str(tmp_path / "cache"))
    assert datasets.check("cmu_faces", copy)["ok"]
    for path in [*copy.rglob("*_sad_*"), *copy.rglob("*_angry_*")]:
        path.unlink()
    found = datasets.check("cmu_faces", copy)
    assert found["problems"] == ["No image of anger or sadness is here; get a complete copy."]
    assert datasets.authenticity(datasets.load("cmu_faces", copy)) is None  # nothing is known of its pixels
