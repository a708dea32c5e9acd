"""MMI: clips, their XML, the frames at the peak, and everything that may be wrong with either."""

import itertools
import os
from pathlib import Path
from xml.sax.saxutils import quoteattr

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fer_lib.data.datasets import mmi
from fer_lib.errors import FerError

LENGTH = 20
BOMB = """<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a "0123456789"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">
<!ENTITY c "&b;&b;&b;&b;&b;&b;&b;&b;">]><x><Metatag Name="Emotion" Value="1"/>&c;</x>"""
POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"0" * 64 + b"\nsize 1048576\n"


def write_clip(path, length=LENGTH, shape=(48, 64)):
    """Write a clip whose frame n (from 1) has the grey value 10 n."""
    path.parent.mkdir(parents=True, exist_ok=True)
    video = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), 25, shape[::-1])
    assert video.isOpened()
    for n in range(1, length + 1):
        video.write(np.full((*shape, 3), 10 * n, np.uint8))
    video.release()


def metadata(value):
    tag = "" if value is None else f'<Metatag Name="Emotion" Value={quoteattr(str(value))}/>'
    return f'<?xml version="1.0"?><annotation><Metatag Name="Subject" Value="9"/>{tag}</annotation>'


def session_xml(view):
    return f'<session sessionId="1"><subject id="1"/><track view="{view}" trackNumber="1"/></session>'


def au_xml(*units):
    body = "".join(
        f'<ActionUnit Number="{i}">'
        + "".join(f'<Marker Frame="{frame}" Type="{kind}"/>' for frame, kind in unit)
        + "</ActionUnit>"
        for i, unit in enumerate(units, 1)
    )
    return f"<ActionUnits>{body}</ActionUnits>"


def write_session(root, number, name, emotion=1, view=0, au=None, length=LENGTH):
    folder = root / "Sessions" / str(number)
    write_clip(folder / f"{name}.avi", length)
    (folder / f"{name}.xml").write_text(metadata(emotion))
    (folder / "session.xml").write_text(session_xml(view))
    if au:
        (folder / f"{name}-oao_aucs.xml").write_text(au)
    return folder


@pytest.fixture
def copy(tmp_path):
    """Return a download with every kind of session."""
    root = tmp_path / "mmi" / "mmi-facial-expression-database_download_2019-04-27_05_06_23"
    names = [f"S{subject:03}-{clip:03}" for subject, clip in itertools.product((1, 15), (100, 101, 102))]
    for number, (name, emotion) in enumerate(zip(names, range(1, 7), strict=True), 1):
        write_session(root, number, name, emotion, view=number % 3)
    markers = [[(1, 0), (3, 1), (4, 2), (9, 3), (12, 0)], [(1, 0), (5, 1), (6, 2), (8, 3), (9, 0)]]
    write_session(root, 7, "S021-001", 4, au=au_xml(*markers))
    write_session(root, 8, "S021-002", 9)
    write_session(root, 9, "S021-003", None)
    (root / "Sessions" / "10").mkdir()
    (root / "Sessions" / "10" / "S002-005.jpg").write_bytes(b"a still")
    (root / "Sessions" / "10" / "S002-005.xml").write_text(metadata(1))
    (root / "Sessions" / ".DS_Store").write_bytes(b"junk")
    return root.parent


def test_two_frames_at_the_peak_of_every_labelled_clip(copy):
    corpus = mmi.READER.read(copy)
    assert corpus.images.shape == (14, 48, 64)
    assert corpus.classes == ("anger", "disgust", "fear", "happiness", "sadness", "surprise")
    assert corpus.counts()["all"].tolist() == [2, 2, 2, 4, 2, 2]
    assert sorted(set(corpus.subjects)) == ["S001", "S015", "S021"]
    assert len(set(corpus.sequences)) == 7
    assert corpus.ids[:2].tolist() == ["S001-100-0010", "S001-100-0011"]
    assert corpus.meta.frame[:2].tolist() == [10, 11]
    assert set(corpus.meta.frames) == {LENGTH}
    assert corpus.meta.session[:2].tolist() == ["1", "1"]
    assert corpus.images.mean(axis=(1, 2)) == pytest.approx(10 * corpus.meta.frame.to_numpy(), abs=3)


def test_the_au_file_moves_the_peak(copy):
    corpus = mmi.READER.read(copy)
    clip = corpus.select(corpus.sequences == "S021-001")
    assert clip.meta.frame.tolist() == [6, 7]  # both units are at their apex in 6 and 7
    assert clip.meta.chosen_by.tolist() == ["au", "au"]
    assert set(corpus.meta.chosen_by) == {"au", "middle"}


@pytest.mark.parametrize(("frames", "number"), [("apex", 10), ("neutral", 1)])
def test_one_frame_of_each_clip(copy, frames, number):
    corpus = mmi.READER.read(copy, frames=frames)
    assert len(corpus) == 7
    assert corpus.meta.frame[0] == number
    assert corpus.classes == (("neutral",) if frames == "neutral" else corpus.classes)
    assert set(corpus.meta.chosen_by) == ({"first"} if frames == "neutral" else {"au", "middle"})


def test_views_are_a_column_and_a_selection(copy):
    corpus = mmi.READER.read(copy)
    assert corpus.meta.view[::2].tolist() == ["profile", "both", "frontal"] * 2 + ["frontal"]
    frontal = mmi.READER.read(copy, view="frontal")
    assert set(frontal.meta.view) == {"frontal"}
    assert len(frontal) == 6
    next(copy.rglob("Sessions/3/session.xml")).unlink()
    assert len(mmi.READER.read(copy, view="unknown")) == 2


def test_what_is_left_out_is_counted(copy):
    source = mmi.READER.locate(copy, view="both")
    assert source.problems == []
    assert source.facts == {
        "clips": 9,
        "unlabelled": 1,
        "other_emotions": 1,
        "other_views": 5,
        "sessions_without_clip": 1,
        "with_au_file": 0,
    }
    assert [remark.split()[0] for remark in source.remarks] == ["1", "1", "5", "1"]
    assert source.ignored == 2
    assert len(mmi.READER.locate(copy).files) == 7 + 9 + 9 + 1  # clips, metadata, session.xml, AU file
    assert len(mmi.READER.read(source)) == 4


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (BOMB, "declares a document type"),
        (BOMB.encode("utf-16"), "declares a document type"),
        ('<?xml version="1.0"?><!DOCTYPE x SYSTEM "file:///etc/passwd"><x/>', "declares a document type"),
        ("<x", "is no readable XML"),
        ("", "is empty"),
        ('<?xml version="1.0" encoding="martian"?><x/>', "is no readable XML"),
        (POINTER, "Git LFS pointer"),
        (metadata("happy"), "its emotion is 'happy', expected a whole number"),
    ],
)
def test_xml_that_cannot_be_used_is_named(copy, content, message):
    path = next(copy.rglob("S001-102.xml"))
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(FerError, match=rf"S001-102\.xml: .*{message}"):
        mmi.READER.read(copy)
    problems = []
    assert len(mmi.READER.read(copy, problems)) == 12
    assert len(problems) == 1


def test_a_damaged_au_or_session_file_is_a_problem_and_the_clip_is_used(copy):
    next(copy.rglob("*-oao_aucs.xml")).write_text("<x")
    next(copy.rglob("Sessions/1/session.xml")).write_text("<x")
    problems = []
    corpus = mmi.READER.read(copy, problems)
    assert len(corpus) == 14
    assert len(problems) == 2
    assert set(corpus.meta.chosen_by) == {"middle"}
    assert corpus.meta.view[0] == "unknown"


def test_names_in_capitals_and_a_second_container(copy):
    folder = next(copy.rglob("Sessions/1"))
    (folder / "S001-100.avi").rename(folder / "s001-100.AVI")
    (folder / "S001-100.xml").rename(folder / "S001-100.XML")
    (folder / "S001-100.mpg").write_bytes(b"not opened: the clip is there as AVI")
    assert mmi.READER.read(copy).ids[0] == "S001-100-0010"


def test_an_mpeg_stream_is_counted_frame_by_frame(copy):
    avi = next(copy.rglob("S001-100.avi"))
    avi.rename(avi.with_suffix(".mpg"))
    corpus = mmi.READER.read(copy)
    assert corpus.ids[:2].tolist() == ["S001-100-0010", "S001-100-0011"]
    assert corpus.images[0].mean() == pytest.approx(100, abs=3)
    avi.with_suffix(".mpg").write_bytes(b"\0\0\1\xba" + b"no video" * 50)
    with pytest.raises(FerError, match=r"S001-100\.mpg: cannot be decoded as a film"):
        mmi.READER.read(copy)


def test_a_clip_in_two_sessions_is_one_problem(copy):
    write_session(copy / "more", 99, "S001-100")
    with next((copy / "more").rglob("S001-100.avi")).open("ab") as clip:
        clip.write(b"another")
    with pytest.raises(FerError, match=r"1 files are here in several versions.*S001-100\.avi"):
        mmi.READER.read(copy)


def test_a_folder_in_no_known_encoding_is_named(copy):
    sessions = next(copy.rglob("Sessions"))
    os.rename(sessions / "1", os.fsencode(sessions) + b"/\xe9")  # noqa: PTH104 (a name that is not text)
    problems = []
    assert len(mmi.READER.read(copy, problems)) == 12
    assert len(problems) == 1
    assert "\\udce9/S001-100.avi: has a name or folder that is not UTF-8" in problems[0]


@pytest.mark.parametrize(
    ("count", "frames", "apex", "numbers", "why"),
    [
        (100, "peak2", None, [50, 51], "middle"),
        (101, "peak2", None, [51, 52], "middle"),
        (1, "peak2", None, [1], "middle"),
        (1, "apex", None, [1], "middle"),
        (100, "peak2", (20, 29), [24, 25], "au"),
        (100, "peak2", (20, 20), [20, 21], "au"),
        (100, "peak2", (100, 100), [99, 100], "au"),
        (100, "apex", (20, 29), [24], "au"),
        (100, "peak2", (90, 110), [50, 51], "middle"),
        (100, "neutral", (20, 29), [1], "first"),
    ],
)
def test_choose(count, frames, apex, numbers, why):
    assert mmi.choose(count, frames, apex) == (numbers, why)


@pytest.mark.parametrize(
    ("units", "apex"),
    [
        ([], None),
        ([[(1, 0), (5, 1)]], None),
        ([[(5, 2), (10, 3)]], (5, 9)),
        ([[(5, 2)]], (5, 5)),
        ([[(5, 2), (10, 3)], [(8, 2), (20, 3)]], (8, 9)),
        ([[(5, 2), (10, 3), (30, 2), (50, 3)]], (30, 49)),
        ([[(5, 2), (3, 3)]], (5, 5)),
        ([[("x", 2), (3, 3)]], None),
    ],
)
def test_the_apex_is_where_most_units_are(units, apex):
    found = [("ActionUnits", {})]
    for unit in units:
        found.append(("ActionUnit", {"Number": "1"}))
        found += [("Marker", {"Frame": str(f), "Type": str(k)}) for f, k in unit]
    assert mmi.apex_of(found) == apex


def test_the_track_that_names_the_clip_gives_the_view():
    tracks = [
        ("track", {"view": "1", "filename": "S001-100.avi"}),
        ("track", {"view": "2", "f": "S001-101.avi"}),
    ]
    assert mmi.view_of(tracks, "S001-101") == "both"
    assert mmi.view_of(tracks, "S009-001") == "profile"
    assert mmi.view_of([("track", {"view": "7"})], "S009-001") == "unknown"
    assert mmi.view_of([], "S009-001") == "unknown"


@settings(max_examples=100)
@given(st.data())
def test_mutated_xml_is_read_or_refused(tmp_path_factory, data):
    start = data.draw(st.sampled_from([BOMB, metadata(3), session_xml(1), au_xml([(1, 0), (5, 2), (9, 3)])]))
    content = bytearray(start.encode(data.draw(st.sampled_from(["utf-8", "utf-16"]))))
    for _ in range(data.draw(st.integers(0, 5))):
        at = data.draw(st.integers(0, len(content)))
        content[at : at + data.draw(st.integers(0, 4))] = data.draw(st.binary(max_size=4))
    path = Path(tmp_path_factory.getbasetemp()) / "mutated.xml"
    path.write_bytes(content)
    try:
        found = mmi.elements(path)
        mmi.emotion_of(found)
    except FerError:
        return
    assert all(isinstance(tag, str) for tag, _ in found)
    mmi.apex_of(found)
    mmi.view_of(found, "S001-100")


@given(st.integers(1, 500), st.sampled_from(mmi.FRAMES), st.none() | st.tuples(*[st.integers(1, 600)] * 2))
def test_chosen_frames_are_in_the_clip_and_in_order(count, frames, apex):
    apex = tuple(sorted(apex)) if apex else None
    numbers, _ = mmi.choose(count, frames, apex)
    assert numbers == sorted(set(numbers))
    assert 1 <= numbers[0] <= numbers[-1] <= count
    assert len(numbers) == (min(2, count) if frames == "peak2" else 1)
