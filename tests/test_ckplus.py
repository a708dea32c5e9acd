"""CK+: real file names on drawn images, in the three forms that circulate, and faulty copies."""

import os
import shutil

import cv2
import numpy as np
import pytest

from fer_lib.data import clips, printed
from fer_lib.data.datasets import ckplus
from fer_lib.data.sources import wrong_counts
from fer_lib.errors import FerError
from fer_lib.faces import FACE

PER_CODE = (45, 18, 59, 25, 69, 28, 83)  # codes 1 to 7, whose folders are
FOLDERS = ("anger", "contempt", "disgust", "fear", "happy", "sadness", "surprise")
PER_CLASS = [45, 59, 25, 69, 28, 83, 18]  # in the canonical order


def png(pixels):
    return cv2.imencode(".png", pixels)[1].tobytes()


def put(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def sequences(total=593, subjects=123, labelled_subjects=118):
    """Return (name, code or None) of the official number of sequences; the last subjects are odd ones."""
    people = [*(f"S{n:03}" for n in range(5, subjects - 3)), "S501", "S502", "S503", "S504", "S505", "S506"]
    people = [*people[: subjects - 2], "S895", "S999"]
    codes = [code for code, n in enumerate(PER_CODE, 1) for _ in range(n)]
    made = [(people[i % labelled_subjects], code) for i, code in enumerate(codes)]
    made += [(people[-1 - i % subjects], None) for i in range(total - len(codes))]
    seen = {}
    for subject, code in made:
        seen[subject] = seen.get(subject, 0) + 1
        yield f"{subject}_{seen[subject]:03}", code


def write_tree(root, names, lengths=(4,), images="cohn-kanade-images", emotion="Emotion", shape=(6, 8)):
    """Write an original tree; frame k of a sequence is filled with 10 k."""
    drawn = {}
    for i, (name, code) in enumerate(names):
        subject, number = name.split("_")
        length = lengths[i % len(lengths)]
        for k in range(1, length + 1):
            data = drawn.setdefault(k, png(np.full(shape, 10 * k % 256, np.uint8)))
            put(root / images / subject / number / f"{name}_{k:08}.png", data)
        folder = root / emotion / subject / number
        folder.mkdir(parents=True, exist_ok=True)
        if code is not None:
            (folder / f"{name}_{length:08}_emotion.txt").write_text(f"   {code:.7e}\n")
    return root


@pytest.fixture(scope="module")
def full(tmp_path_factory):
    """Return the folder of a complete original tree, of 3 to 12 tiny frames per sequence, and landmarks."""
    root = write_tree(tmp_path_factory.mktemp("full") / "CK+", sequences(), (3, 4, 5, 12))
    put(root / "Landmarks/S005/001/S005_001_00000001_landmarks.txt", b"1 2\n" * 68)
    put(root / "FACS/S005/001/S005_001_00000001_facs.txt", b"1 2\n")
    put(root / "cohn-kanade-images/S005/.DS_Store", b"\0")
    return root


def test_a_complete_tree_has_the_official_counts(full):
    source = ckplus.READER.locate(full)
    assert (source.form, source.problems, source.ignored) == ("original", [], 1)
    assert wrong_counts(source) == []
    assert source.facts["unlabelled"] == 266
    assert any("266 sequences are unlabelled" in remark for remark in source.remarks)
    assert len(source.files) == 2 * 327  # the apex frames and the labels; nothing else can change the corpus


@pytest.mark.parametrize(
    ("frames", "classes", "count"),
    [("apex", "seven", 327), ("last3", "six", 927), ("neutral", "seven", 593)],
)
def test_selections_have_the_counts_that_papers_print(full, frames, classes, count):
    corpus = ckplus.READER.read(full, frames=frames, classes=classes)
    assert corpus.images.shape == (count, 6, 8)
    numbers = corpus.meta["frame"].to_numpy()
    assert (corpus.images[:, 0, 0] == 10 * numbers).all()
    if frames == "neutral":
        assert corpus.classes == ("neutral",)
        assert (numbers == 1).all()
    else:
        each = 3 if frames == "last3" else 1
        assert np.bincount(corpus.labels).tolist() == [each * n for n in PER_CLASS[: len(corpus.classes)]]
        assert corpus.classes[5:] == (("surprise", "contempt") if classes == "seven" else ("surprise",))
    assert (np.strings.slice(corpus.sequences, 4) == corpus.subjects).all()


def test_a_complete_tree_yields_what_papers_print(full):
    for entry, row in zip(ckplus.PRINTED, printed.compare(ckplus.READER, full), strict=True):
        assert entry.complete in (None, row["here"]), entry
        assert (row["printed"] == entry.complete) is not bool(entry.why), entry


def test_paper_4_has_ten_frames_of_every_labelled_sequence(full):
    corpus = ckplus.READER.read(full, frames="last10")
    made = clips.sequences(corpus)
    assert made.rows.shape == (327, 10)
    assert np.bincount(made.labels).tolist() == PER_CLASS
    assert len(np.unique(made.subjects)) == 118
    assert sorted(set(made.lengths.tolist())) == [3, 4, 5, 10]
    frames = corpus.meta["frame"].to_numpy()[made.rows]
    assert (np.diff(frames) >= 0).all()
    assert (frames[made.lengths == 10] == np.arange(3, 13)).all()
    assert (frames[made.lengths == 3] == [1, 2, *[3] * 8]).all()
    every = ckplus.READER.locate(full, frames="all")
    assert len(every.rows) == sum(1 + int(row["frame"]) - 1 for row in ckplus.READER.locate(full).rows)


def test_last_frames_are_the_last_frames(tmp_path):
    names = [("S010_001", 1), ("S010_002", 2), ("S011_001", 7), ("S011_002", None)]
    write_tree(tmp_path, names, (12, 4, 2, 11))
    corpus = ckplus.READER.read(tmp_path, frames="last3")
    assert corpus.meta["frame"].tolist() == [10, 11, 12, 2, 3, 4, 1, 2]
    assert corpus.sequences.tolist() == ["S010_001"] * 3 + ["S010_002"] * 3 + ["S011_001"] * 2
    assert corpus.ids[0] == "S010_001_00000010"
    assert [corpus.classes[i] for i in corpus.labels[[0, 3, 6]]] == ["anger", "contempt", "surprise"]
    source = ckplus.READER.locate(tmp_path, frames="last10", classes="six")
    assert source.facts["short_sequences"] == 1
    assert "(S011_001) have fewer than 10 frames" in source.remarks[-1]
    corpus = ckplus.READER.read(source)
    rows = clips.sequences(corpus).rows
    assert corpus.meta["frame"].to_numpy()[rows].tolist() == [list(range(3, 13)), [1, *[2] * 9]]
    assert corpus.images[rows].shape == (2, 10, 6, 8)
    assert clips.sequences(corpus, 1).rows.tolist() == [[9], [11]]


@pytest.mark.parametrize(
    ("images", "emotion"),
    [
        ("extended-cohn-kanade-images/cohn-kanade-images", "Emotion_labels/Emotion"),
        ("Cohn-Kanade Images", "emotion"),
        ("", ""),  # both unpacked into one and the same tree
        ("CK+/ck+ images", "CK+/Emotion_labels"),
    ],
)
def test_levels_and_their_names_do_not_matter(tmp_path, images, emotion):
    write_tree(tmp_path, [("S005_001", 3), ("S010_002", 7)], (3,), images, emotion)
    corpus = ckplus.READER.read(tmp_path)
    assert corpus.ids.tolist() == ["S005_001_00000003", "S010_002_00000003"]
    assert [corpus.classes[i] for i in corpus.labels] == ["disgust", "surprise"]


def test_what_people_have_beside_the_data_does_not_matter(tmp_path):
    root = write_tree(tmp_path, [("S005_001", 3), ("s010_002", 5)], (3,))
    for name in ("Thumbs.db", "._S005_001_00000001.png", "S005_001_1.png", "S005_001_00000001.jpg"):
        put(root / "cohn-kanade-images/S005/001" / name, b"\0")
    (root / "cohn-kanade-images/S006/001").mkdir(parents=True)
    put(root / "cohn-kanade-images/S007/001/S007_001_00000001.PNG", b"no image, and not asked for")
    (root / "cohn-kanade-images/S005/loop").symlink_to(root)
    (root / "broken").symlink_to(root / "nowhere")
    (root / "circle").symlink_to(root / "circle")
    with open(os.fsencode(root) + b"/S005_001_0000000\xe9.png", "wb") as stream:  # noqa: PTH123
        stream.write(b"\0")
    (root / "Emotion/S007/001").mkdir(parents=True)
    put(root / "Emotion/S007/001/S007_001_00000001_emotion.txt", b" \n")
    source = ckplus.READER.locate(root)
    assert (source.problems, source.ignored, source.facts["unlabelled"]) == ([], 7, 1)
    assert ckplus.READER.read(source).subjects.tolist() == ["S005", "S010"]
    said = wrong_counts(source)
    assert said[0] == "sequences: 3, officially 593."
    assert "labelled subjects: 2, officially 118." in said


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"8.0", "holds '8.0', expected one number from 1 to 7"),
        (b"3.5", "3.5"),
        (b"3.0e+01", "holds"),
        (b"\xff\xfe3", "holds"),
    ],
)
def test_a_faulty_emotion_file_is_named(tmp_path, content, message):
    root = write_tree(tmp_path, [("S005_001", 3), ("S005_002", 5)])
    put(root / "Emotion/S005/001/S005_001_00000004_emotion.txt", content)
    with pytest.raises(FerError, match=f"S005_001_00000004_emotion.txt: .*{message}"):
        ckplus.READER.read(root)
    problems = []
    assert ckplus.READER.read(root, problems).sequences.tolist() == ["S005_002"]
    assert len(problems) == 1


def test_labels_that_disagree_or_have_no_frames_are_named(tmp_path):
    root = write_tree(tmp_path, [("S005_001", 3), ("S005_002", 5)])
    put(root / "Emotion/S005/001/S005_001_00000003_emotion.txt", b"4")
    put(root / "Emotion/S006/001/S006_001_00000003_emotion.txt", b"4")
    source = ckplus.READER.locate(root)
    assert len(source.problems) == 1
    assert "says disgust, but another emotion file of the sequence says fear" in source.problems[0]
    assert any("S006_001" in remark and "no frames" in remark for remark in source.remarks)


def test_images_without_labels_say_what_is_missing(tmp_path):
    root = write_tree(tmp_path, [("S005_001", None), ("S005_002", None)], (3, 1))
    shutil.rmtree(root / "Emotion")
    with pytest.raises(FerError, match=r"no emotion file: put Emotion \(or Emotion_labels\)"):
        ckplus.READER.read(root)
    corpus = ckplus.READER.read(root, frames="neutral")
    assert corpus.ids.tolist() == ["S005_001_00000001"]  # a lone frame is no neutral one


# CK+48 -----------------------------------------------------------------------------------------------


def write_crops(root, names):
    data = png(np.full((48, 48), 99, np.uint8))
    for name, code in names:
        for k in (9, 10, 11):
            put(root / FOLDERS[code - 1] / f"{name}_{k:08}.png", data)
    return root


def test_ck48(tmp_path):
    root = write_crops(tmp_path / "CK+48", [s for s in sequences() if s[1]])
    source = ckplus.READER.locate(tmp_path, frames="last3")
    assert (source.form, source.problems) == ("ck48", [])
    assert wrong_counts(source) == []
    assert "never at random" in source.remarks[0]
    corpus = ckplus.READER.read(source, crop=FACE)  # they are faces already
    assert corpus.images.shape == (981, 48, 48)
    assert corpus.valid is None
    assert np.bincount(corpus.labels).tolist() == [3 * n for n in PER_CLASS]
    assert len(np.unique(corpus.sequences)) == 327
    assert len(np.unique(corpus.subjects)) == 118
    assert len(ckplus.READER.locate(root, frames="last3", classes="six").rows) == 927
    assert [row["frame"] for row in ckplus.READER.locate(root).rows] == [11] * 327
    for frames in ("last10", "neutral"):
        with pytest.raises(FerError, match=f"only the last three frames.*'{frames}' needs the original"):
            ckplus.READER.read(root, frames=frames)
    shutil.move(root / "fear" / os.listdir(root / "fear")[0], root / "anger")  # noqa: PTH208
    source = ckplus.READER.locate(root)
    assert "lies in the folders of anger and fear" in source.problems[0]
    assert wrong_counts(source) == ["anger: 136, officially 135.", "fear: 74, officially 75."]


def test_the_table_without_subjects_is_refused(tmp_path):
    (tmp_path / "CKextended.csv").write_text("emotion,pixels,Usage\n")
    with pytest.raises(FerError, match=r"CKextended\.csv names no subjects .*get the original tree"):
        ckplus.READER.read(tmp_path)
