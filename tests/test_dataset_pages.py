"""The datasets' pages: what they say, and that the images of a restricted corpus never reach them."""

import ast
import functools
import json
import os
import re
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml

from fer_lib import claims
from fer_lib.data import datasets
from fer_lib.data.datasets import cmu_faces, jaffe, nimstim, oulu_casia, synthetic
from fer_lib.errors import AbsentDataError, FerError
from fer_lib.evidence import runs

ROOT = Path(__file__).resolve().parents[1]
PAGES = {name: ROOT / "book" / f"datasets_{name}.md" for name in datasets.NAMES}
RESTRICTED = [name for name, card in datasets.CARDS.items() if not card.may_show]
PICTURES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".pgm", ".avi", ".mpg", ".mp4", ".flv")
# One sample of each restricted corpus; what is no label file is no image either, and must not be missed.
FILES = {
    "ckplus": {
        "cohn-kanade-images/S005/001/S005_001_00000001.png": "",
        "cohn-kanade-images/S005/001/S005_001_00000002.png": "",
        "Emotion/S005/001/S005_001_00000002_emotion.txt": "   3.0000000e+00\n",
    },
    "jaffe": {"KA.AN1.39.tiff": ""},
    "mmi": {
        "Sessions/1/S001-100.avi": "",
        "Sessions/1/S001-100.xml": '<Metadata><Metatag Name="Emotion" Value="1"/></Metadata>',
    },
    "nimstim": {"01F_AN_C.BMP": ""},
    "oulu_casia": {"OriginalImg/VL/Strong/P001/Anger/000.jpeg": ""},
    "ravdess": {"Actor_12/02-01-06-01-02-01-12.mp4": ""},
    "crema_d": {"VideoFlash/1001_DFA_ANG_XX.flv": ""},
}
opened: list[str] = []


def _note(event, arguments):
    if event == "open" and isinstance(arguments[0], str | bytes):
        opened.append(os.fsdecode(arguments[0]))


@functools.cache
def watch():
    """Note every file that Python opens from now on; an audit hook cannot be removed again."""
    sys.addaudithook(_note)


@pytest.fixture(autouse=True)
def book(tmp_path, monkeypatch):
    """The modules of book/, with an empty cache and no data folder."""
    monkeypatch.syspath_prepend(str(ROOT / "book"))
    monkeypatch.setenv("FER_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("FER_DATA", raising=False)
    monkeypatch.setattr("matplotlib.pyplot.show", lambda: None)
    import local_copy

    local_copy.corpus_here.cache_clear()
    yield
    local_copy.corpus_here.cache_clear()


def outputs(name):
    """Run a page's code cells in turn and return what each shows."""
    names, shown = {}, []
    cells = re.findall(
        r"```\{code-cell\} python\n:tags: \[remove-input\]\n(?::figure: [^\n]*\n)?(.*?)```",
        PAGES[name].read_text(),
        re.S,
    )
    assert cells
    for cell in cells:
        body = ast.parse(cell).body
        last = body.pop() if isinstance(body[-1], ast.Expr) else None
        exec(compile(ast.Module(body, []), name, "exec"), names)
        if last is not None:
            shown.append(eval(compile(ast.Expression(last.value), name, "eval"), names))
    return shown


def html(shown):
    return "\n".join(output.data for output in shown if isinstance(getattr(output, "data", None), str))


def text(shown):
    return re.sub(r"\s+", " ", re.sub("<[^>]+>", " ", html(shown)))


# --- restricted images -------------------------------------------------------------------------


@pytest.mark.parametrize("name", RESTRICTED)
def test_no_image_of_a_restricted_corpus_is_opened_for_its_page(name, tmp_path, monkeypatch):
    for file, content in FILES[name].items():
        path = tmp_path / "data" / name / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content or "an image that must not be opened")
    monkeypatch.setenv("FER_DATA", str(tmp_path / "data"))

    def refuse(*arguments):
        raise AssertionError(f"{arguments} of a restricted corpus was decoded")

    for function in ("imread", "imdecode", "VideoCapture"):
        monkeypatch.setattr(f"cv2.{function}", refuse)
    watch()
    opened.clear()
    shown = outputs(name)
    assert "The copy here" in html(shown), "the copy was not found, so nothing was tested"
    assert [path for path in opened if path.lower().endswith(PICTURES) and str(tmp_path) in path] == []
    # The class balance, from constants, where there are any.
    assert sum(hasattr(output, "savefig") for output in shown) == (name != "crema_d")
    assert "<img" not in html(shown)
    assert str(tmp_path) not in html(shown)


@pytest.mark.parametrize("name", RESTRICTED)
def test_pictures_of_a_restricted_corpus_are_refused_even_if_a_run_kept_some(name, tmp_path):
    from local_copy import corpus_here, faces

    (tmp_path / "figures").mkdir()
    (tmp_path / "figures" / "contact_sheet.png").write_bytes(b"kept by mistake")
    for draw in (corpus_here, functools.partial(faces, run=runs.Run(tmp_path))):
        with pytest.raises(FerError, match="licence"):
            draw(name)


def write_cmu(folder):
    """Write two people's drawn images, frontal, in each expression."""
    import cv2

    rng = np.random.default_rng(0)
    for person in ("an2i", "kk49"):
        (folder / person).mkdir(parents=True)
        for expression in ("neutral", "happy", "sad", "angry"):
            image = rng.integers(0, 256, (120, 128), np.uint8)
            assert cv2.imwrite(str(folder / person / f"{person}_straight_{expression}_open.pgm"), image)


def test_a_corpus_that_may_be_shown_is_counted_and_shown_where_it_is_at_hand(tmp_path, monkeypatch):
    write_cmu(tmp_path / "data" / "cmu_faces" / "faces")
    monkeypatch.setenv("FER_DATA", str(tmp_path / "data"))
    watch()
    opened.clear()
    shown = outputs("cmu_faces")
    assert sum(hasattr(output, "savefig") for output in shown) == 2
    assert any(path.endswith(".pgm") for path in opened), "the watch on opened files does not work"
    assert "usable 8 624" in text(shown)
    assert "subjects 2" in text(shown)


# --- without data ------------------------------------------------------------------------------


@pytest.mark.parametrize("name", datasets.READERS)
def test_without_a_data_folder_no_copy_is_looked_for(name, tmp_path, monkeypatch):
    (tmp_path / "fer-data" / name).mkdir(parents=True)
    monkeypatch.setenv("HOME", str(tmp_path))

    def refuse(*arguments):
        raise AssertionError("the page looked for data")

    for function in ("find", "load", "data_folder"):
        monkeypatch.setattr(datasets, function, refuse)
    assert "no copy was looked for" in text(outputs(name))


@pytest.mark.parametrize("name", datasets.READERS)
def test_an_absent_copy_is_called_absent(name, tmp_path, monkeypatch):
    monkeypatch.setenv("FER_DATA", str(tmp_path))
    from local_copy import copy_here

    assert "Absent:" in copy_here(name).data


def test_a_copy_that_cannot_be_read_is_called_faulty_and_no_path_is_shown(tmp_path, monkeypatch):
    write_cmu(tmp_path / "cmu_faces")
    (tmp_path / "cmu_faces" / "an2i" / "an2i_straight_sad_open.pgm").write_bytes(b"P5 cut")
    monkeypatch.setenv("FER_DATA", str(tmp_path))
    from local_copy import copy_here, faces

    for output in (copy_here("cmu_faces"), faces("cmu_faces")):
        assert "fer data check cmu_faces" in output.data
        assert str(tmp_path) not in output.data


# --- counts ------------------------------------------------------------------------------------


def test_counts_of_a_complete_copy():
    from complete import complete

    assert complete("fer2013").images == 35_887
    assert complete("fer2013").counts["private_test"].sum() == 3_589
    assert complete("ckplus").counts.to_numpy().sum() == 327
    assert (complete("ckplus").sequences, complete("ckplus").subjects) == (593, 123)
    assert complete("jaffe").counts.to_numpy().sum() == complete("jaffe").images == 213
    assert complete("oulu_casia").sequences == 480
    assert complete("cmu_faces").images == 624
    small, drawn = synthetic.generate(n_subjects=2, per_expression=1, size=16), complete("synthetic")
    assert small.classes == drawn.names == tuple(drawn.counts.index)
    assert drawn.images == drawn.counts.to_numpy().sum() == drawn.subjects * 3 * len(small.classes)
    for name in datasets.NAMES:  # what the cards say in words
        said = " ".join(datasets.CARDS[name].notes).replace(",", "")
        for count in (complete(name).images, complete(name).sequences, complete(name).subjects):
            assert count is None or name == "synthetic" or re.search(rf"\b{count}\b", said), (name, count)


def test_codes_are_those_that_the_readers_understand():
    from complete import codes, complete

    for name in datasets.READERS:
        for written in codes(name).values():
            assert set(complete(name).names) <= set(written)
    for expression, code in codes("jaffe")["In the name"].items():
        assert jaffe.parse(f"KA.{code}1.39.tiff")["expression"] == expression
    for expression, code in codes("nimstim")["In the name"].items():
        assert nimstim.parse(f"01F_{code}_O.bmp")["expression"] == expression
    for expression, code in codes("cmu_faces")["In the name"].items():
        assert cmu_faces.parse(f"an2i_up_{code}_open.pgm")["expression"] == expression
    for code in codes("oulu_casia")["Folder"].values():
        assert oulu_casia.parse(f"VL/Strong/P001/{code}")[-1] == code


def test_every_printed_count_is_shown_and_one_that_is_not_reached_is_explained():
    from printed_counts import counts, same_count, ways

    frame = claims.frame().query("role == 'data' and metric in ('sample_count', 'subject_count')")
    for name in frame["corpus"].unique():
        mine = frame[(frame["corpus"] == name) & frame["expression"].isna()]
        page = text([counts(name)])
        for claim in mine.to_dict("records"):
            assert f"{claim['value']:,.0f} {claim['unit']}" in page
            _, complete, why = ways(name).get(claim["id"]) or same_count(name, claim, ways(name))
            assert complete == claim["value"] or len(why) > 20, claim["id"]


def test_swapped_counts_per_class_are_named():
    from printed_counts import counts

    assert "neutral 30, not 31; sadness 31, not 30" in text([counts("jaffe")])
    assert "the same" in text([counts("ckplus")])


def test_doubts_are_entries_of_the_claims():
    from printed_counts import DOUBTS, doubts

    assert set(DOUBTS) < set(datasets.NAMES)
    for name, entries in DOUBTS.items():
        assert html([doubts(name)]).count("<details") == len(entries) > 0


# --- FER2013 -----------------------------------------------------------------------------------


@pytest.fixture
def measured(tmp_path, monkeypatch):
    """A repository whose one measurement of face detection may be written."""
    monkeypatch.setattr("corpora.repository", lambda: tmp_path)
    return tmp_path / "results" / "data" / "fer2013" / "faces.json"


def test_face_detection_is_shown_as_measured(measured):
    from corpora import detection_table, measured_on

    assert "would be compared by <code>python -m benchmarks.faces" in detection_table().data
    one = {"detected": 701, "rate": 0.701, "milliseconds_per_image": 2.346, "threads": 2}
    measured.parent.mkdir(parents=True)
    provenance = {"cpu": "a <processor>"}
    content = {
        "methods": {"dlib": one},
        "corpus": {"fingerprint": "ab" * 32},
        "provenance": provenance,
    }
    measured.write_text(json.dumps(content))
    assert re.search(r"dlib .* 701 70\.1 2\.35 on 2 threads", text([detection_table()]))
    assert "a &lt;processor&gt;" in measured_on().data


def test_the_audit_of_a_run_is_counted_and_its_absence_is_said(tmp_path):
    from corpora import NOT_MEASURED, audit_table

    assert audit_table(None) is NOT_MEASURED
    nothing = {"total": 0}
    audit = {"images": 35_887, "distinct": 34_034, "redundant": 1_853, "groups": 1_500}
    audit |= {"conflicting_groups": 60, "cross_split_groups": 300, "black": {"total": 12, "train": 11}}
    audit |= {"twins_in_training": {"private_test": 123}, "twins_with_other_label": nothing}
    (tmp_path / "run.json").write_text(json.dumps({"audit": audit}))
    said = text([audit_table(runs.Run(tmp_path))])
    assert "Distinct images 34,034" in said
    assert "123 in private test 123" in said
    assert "11 in train 12" in said


# --- the pages themselves ----------------------------------------------------------------------


def test_every_corpus_has_a_page_in_the_book_and_in_the_overview():
    from corpora import all_datasets

    contents, overview = str(yaml.safe_load((ROOT / "_toc.yml").read_text())), all_datasets().data
    for name in datasets.NAMES:
        assert f"'book/datasets_{name}'" in contents
        assert f'href="datasets_{name}.html"' in overview


@pytest.mark.parametrize("name", datasets.READERS)
def test_commands_and_options_are_those_of_the_corpus(name, tmp_path):
    page = PAGES[name].read_text()
    assert f"fer data check {name}\n" in page
    assert re.search(rf"(fer data (import|fetch) |git clone .*/){name}\b", page)
    assert set(re.findall(r"fer data \w+ (\w+)", page)) == {name}
    calls = [
        node
        for block in re.findall(r"```python\n(.*?)```", page, re.S)
        for node in ast.walk(ast.parse(block))
        if isinstance(node, ast.Call)
    ]
    assert calls
    for call in calls:
        options = {keyword.arg: ast.literal_eval(keyword.value) for keyword in call.keywords}
        assert [ast.literal_eval(argument) for argument in call.args] == [name]
        assert set(options) <= set(datasets.READERS[name].defaults)
        with pytest.raises(AbsentDataError):  # a wrong option or value is refused first
            datasets.load(name, tmp_path, **options)
