"""RAVDESS and CREMA-D: drawn films under real names, the frames taken of them, and faulty copies."""

import itertools
from dataclasses import replace

import cv2
import numpy as np
import pytest

from fer_lib.data import clips, datasets, splits
from fer_lib.data.corpus import pack, unpack
from fer_lib.data.datasets import crema_d, ravdess
from fer_lib.data.sources import wrong_counts
from fer_lib.data.video import film_frames, towards_apex
from fer_lib.errors import FerError

LENGTH = 39
CODECS = {".mp4": cv2.VideoWriter_fourcc(*"mp4v"), ".flv": 2, ".avi": cv2.VideoWriter_fourcc(*"MJPG")}
POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"0" * 64 + b"\nsize 1048576\n"


def write_film(path, length=LENGTH, shape=(48, 64)):
    """Write a film whose frame n (from 1) has the grey value 6 n."""
    path.parent.mkdir(parents=True, exist_ok=True)
    film = cv2.VideoWriter(str(path), CODECS[path.suffix], 25, shape[::-1])
    assert film.isOpened()
    for n in range(1, length + 1):
        film.write(np.full((*shape, 3), 6 * n, np.uint8))
    film.release()
    return path


def names_of_ravdess(channels=("01", "02")):
    """Return the names of a complete copy: with sound and without it."""
    for modality, channel in itertools.product(("01", "02"), channels):
        emotions = range(1, 9) if channel == "01" else range(1, 7)
        actors = [a for a in range(1, 25) if channel == "01" or a != 18]
        for actor, emotion, intensity, statement, repetition in itertools.product(
            actors, emotions, (1, 2), (1, 2), (1, 2)
        ):
            if emotion > 1 or intensity == 1:
                yield (
                    f"{modality}-{channel}-{emotion:02}-{intensity:02}-{statement:02}-{repetition:02}"
                    f"-{actor:02}.mp4"
                )


@pytest.fixture(scope="module")
def full(tmp_path_factory):
    """Return the folder of a complete copy of RAVDESS whose films are empty files, with the sound files."""
    root = tmp_path_factory.mktemp("ravdess")
    for name in names_of_ravdess():
        folder = root / f"Actor_{name[18:20]}"
        folder.mkdir(exist_ok=True)
        (folder / name).touch()
        (folder / f"03{name[2:-4]}.wav").touch()
    return root


@pytest.fixture
def two_actors(tmp_path):
    """Return a copy with two actors, one film of each of three emotions."""
    for actor, emotion in itertools.product((1, 12), ("01", "05", "08")):
        write_film(tmp_path / f"Actor_{actor:02}" / f"02-01-{emotion}-01-02-01-{actor:02}.mp4")
    return tmp_path


# --- which frames ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("count", "frames", "numbers"),
    [
        (100, "apex", [50]),
        (101, "apex", [51]),
        (1, "apex", [1]),
        (100, "neutral", [1]),
        (37, "last10", [1, 3, 5, 7, 9, 11, 13, 15, 17, 19]),
        (19, "last10", list(range(1, 11))),
        (5, "last10", [1, 2, 3]),
        (1, "last10", [1]),
    ],
)
def test_frames_lead_from_the_start_to_the_middle(count, frames, numbers):
    assert towards_apex(count, frames) == numbers


@pytest.mark.parametrize("ending", CODECS)
def test_frames_of_every_container(tmp_path, ending):
    path = write_film(tmp_path / f"film{ending}")
    images, numbers, count = film_frames(path, lambda count: [1, 10, count])
    assert (numbers, count) == ([1, 10, LENGTH], LENGTH)
    assert [image.shape for image in images] == [(48, 64)] * 3
    assert [image.mean() for image in images] == pytest.approx([6, 60, 6 * LENGTH], abs=4)


@pytest.mark.parametrize("ending", CODECS)
@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda data: b"", "is empty"),
        (lambda data: POINTER, r"is a Git LFS pointer .*`git lfs pull`"),
        (lambda data: b"<html>" * 100, "is no AVI, MPEG, MP4 or Flash film"),
        (lambda data: data[: len(data) // 3], "cannot be decoded as a film|ends after"),
    ],
)
def test_a_file_that_is_no_whole_film_says_so(tmp_path, ending, damage, message):
    path = write_film(tmp_path / f"film{ending}")
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(FerError, match=message):
        film_frames(path, lambda count: [count])


# --- RAVDESS -----------------------------------------------------------------------------------------------


def test_a_complete_ravdess_has_the_official_counts(full):
    source = ravdess.READER.locate(full)
    assert wrong_counts(source) == []
    assert source.problems == []
    assert sum(n for name, n in source.facts.items() if name != "actors") == 1440
    assert len(source.rows) == 1440 - source.facts["calm"]
    assert all(row["path"].name.startswith("02-") for row in source.rows)
    assert source.ignored == 1440 + 1012
    assert source.remarks[0] == "1,012 films of song were left out."


def test_ravdess_by_default(two_actors):
    corpus = ravdess.READER.read(two_actors)
    assert corpus.images.shape == (6, 240, 426)
    assert corpus.ids[0] == "01-01-01-02-01-01-0020"
    assert corpus.sequences[0] == "01-01-01-02-01-01"
    assert [corpus.classes[i] for i in corpus.labels[:2]] == ["neutral", "neutral"]
    assert sorted(set(corpus.subjects)) == ["actor01", "actor12"]
    assert corpus.meta.iloc[0].to_dict() == {
        "sex": "M",
        "channel": "speech",
        "intensity": "normal",
        "statement": 2,
        "repetition": 1,
        "frame": 20,
        "frames": LENGTH,
        "height": 48,
        "width": 64,
    }
    assert corpus.images[0].mean() == pytest.approx(120, abs=4)
    assert unpack(pack(corpus), corpus.card).fingerprint == corpus.fingerprint


def test_sequences_of_ravdess_are_clips_that_can_be_split_by_actor(two_actors):
    corpus = ravdess.READER.read(two_actors, frames="last10", classes="six", size=(24, 32))
    made = clips.sequences(corpus)
    assert made.rows.shape == (4, 10)
    assert (made.lengths == 10).all()
    brightness = made.images(corpus).mean(axis=(2, 3))
    assert (np.diff(brightness, axis=1) > 0).all()  # in the order of time
    assert brightness[:, [0, -1]] == pytest.approx(np.array([[6, 120]] * 4), abs=4)
    apexes = made.apexes(corpus)
    folds = splits.leave_one_subject_out(apexes)
    assert [fold.name for fold in folds] == ["actor01", "actor12"]
    assert splits.certify(apexes, folds, subject_independent=True)["every_sample_tested_once"]


def test_paper_4_reads_the_films_as_sequences(two_actors, tmp_path, monkeypatch):
    from fer_lib.papers.cnn3d import clips as paper

    monkeypatch.setenv("FER_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(ravdess, "OFFICIAL", {})
    small = replace(ravdess.READER, options={"size": (48, 64)})  # in which faces are soon looked for
    monkeypatch.setitem(datasets.READERS, "ravdess", small)
    found = paper.load("ravdess", two_actors, size=16)
    assert found.frames.shape == (4, 10, 16, 16)  # the neutral films are not among its classes
    assert found.corpus.classes == paper.CLASSES["ravdess"]
    assert found.faceless == 40  # nothing is drawn on them
    assert [fold.name for fold in splits.leave_one_subject_out(found.corpus)] == ["actor01", "actor12"]


def test_a_film_with_sound_and_without_is_one_film(two_actors):
    film = two_actors / "Actor_01" / "02-01-05-01-02-01-01.mp4"
    film.with_name("01-01-05-01-02-01-01.mp4").write_bytes(b"not opened")
    assert len(ravdess.READER.read(two_actors, size=16)) == 6
    (two_actors / "copy").mkdir()
    (two_actors / "copy" / film.name).write_bytes(b"another version")
    with pytest.raises(FerError, match="files are here"):
        ravdess.READER.read(two_actors)
    film.unlink()
    (two_actors / "copy" / film.name).unlink()
    with pytest.raises(FerError, match=r"01-01-05-01-02-01-01\.mp4: is empty|: is no AVI|: cannot be"):
        ravdess.READER.read(two_actors)


def test_names_of_ravdess_say_what_they_mean():
    assert ravdess.parse("02-01-06-01-02-01-12.mp4") == {
        "id": "01-06-01-02-01-12",
        "expression": "fear",
        "subject": "actor12",
        "sex": "F",
        "modality": "02",
        "channel": "speech",
        "intensity": "normal",
        "statement": 2,
        "repetition": 1,
    }
    assert ravdess.parse("01-02-02-02-01-02-01.MP4")["expression"] == ""  # calm


# --- CREMA-D -----------------------------------------------------------------------------------------------


@pytest.fixture
def crema(tmp_path):
    for actor, code in itertools.product((1001, 1002), crema_d.CODES):
        write_film(tmp_path / "VideoFlash" / f"{actor}_IEO_{code}_HI.flv", length=21)
    (tmp_path / "AudioWAV").mkdir()
    (tmp_path / "AudioWAV" / "1001_IEO_ANG_HI.wav").touch()
    return tmp_path


def test_crema_d(crema):
    source = crema_d.READER.locate(crema)
    assert (source.problems, source.ignored) == ([], 1)
    assert wrong_counts(source) == ["films: 12, officially 7,442.", "actors: 2, officially 91."]
    corpus = crema_d.READER.read(source)
    assert corpus.images.shape == (12, 180, 240)
    assert corpus.classes == ("anger", "disgust", "fear", "happiness", "sadness", "neutral")
    assert np.bincount(corpus.labels).tolist() == [2] * 6
    assert corpus.ids[0] == "1001_IEO_ANG_HI-0011"
    assert set(corpus.meta["level"]) == {"high"}
    assert corpus.images.mean(axis=(1, 2)) == pytest.approx(66, abs=4)
    moving = clips.sequences(crema_d.READER.read(crema, frames="last10", size=16))
    assert (moving.rows.shape, set(moving.lengths)) == ((12, 10), {10})


def test_a_clone_without_git_lfs_is_explained(tmp_path, monkeypatch):
    monkeypatch.setenv("FER_CACHE", str(tmp_path / "cache"))
    for code in crema_d.CODES:
        (tmp_path / f"1001_DFA_{code}_XX.flv").write_bytes(POINTER)
    with pytest.raises(FerError, match=r"1001_DFA_ANG_XX\.flv: is a Git LFS pointer.*\(5 more"):
        datasets.load("crema_d", tmp_path)
    found = datasets.check("crema_d", tmp_path)
    assert sum("Git LFS" in problem for problem in found["problems"]) == 6
    assert found["images"] == 0


def test_names_of_crema_d_say_what_they_mean():
    assert crema_d.parse("1040_ITH_SAD_X.flv")["level"] == "unspecified"
    assert crema_d.parse("1091_wsi_dis_lo.MP4") == {
        "id": "1091_WSI_DIS_LO",
        "expression": "disgust",
        "subject": "1091",
        "sentence": "WSI",
        "level": "low",
        "container": "MP4",
    }
