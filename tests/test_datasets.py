"""Finding, loading, caching and checking corpora."""

import inspect
import itertools
import os
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fer_lib import claims
from fer_lib.data import datasets, sources, splits
from fer_lib.data.datasets import ckplus, cmu_faces, crema_d, fer2013, jaffe, mmi, nimstim, ravdess, synthetic
from fer_lib.errors import AbsentDataError, FerError
from fer_lib.expressions import EXPRESSIONS, canonical
from fer_lib.faces import FACE

ROOT = Path(__file__).resolve().parents[1]
COUNTS = {"train": (3, 1, 2, 2, 2, 2, 4), "public_test": (1,) * 7, "private_test": (1, 1, 2, 1, 1, 1, 1)}
USAGES = dict(zip(COUNTS, ("Training", "PublicTest", "PrivateTest"), strict=True))


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("FER_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("FER_DATA", str(tmp_path / "data"))
    monkeypatch.setattr(fer2013, "OFFICIAL", COUNTS)
    return tmp_path / "cache"


@pytest.fixture
def copy(tmp_path):
    """Return the folder of a complete (tiny) fer2013.csv below $FER_DATA."""
    rng = np.random.default_rng(0)
    lines = ["emotion,pixels,Usage"]
    for split, counts in COUNTS.items():
        for code, n in enumerate(counts):
            for _ in range(n):
                pixels = " ".join(map(str, rng.integers(0, 256, 2304)))
                lines.append(f"{code},{pixels},{USAGES[split]}")
    folder = tmp_path / "data" / "fer2013"
    folder.mkdir(parents=True)
    (folder / "fer2013.csv").write_text("\n".join(lines))
    return folder


def spied(name, monkeypatch):
    """Return a list that gains the options of each call of a corpus's reader."""
    calls, reader = [], datasets.READERS[name]

    def spy(*arguments, **options):
        calls.append(options)
        return reader.build(*arguments, **options)

    monkeypatch.setitem(datasets.READERS, name, replace(reader, build=spy))
    return calls


def drop_row(folder, number):
    path = folder / "fer2013.csv"
    lines = path.read_text().splitlines()
    del lines[number]
    path.write_text("\n".join(lines))


def test_the_corpora_are_named_as_everywhere():
    expected = ["synthetic", "fer2013", "ckplus", "jaffe", "mmi", "nimstim", "oulu_casia", "cmu_faces"]
    expected += ["ravdess", "crema_d"]
    assert list(datasets.NAMES) == list(datasets.CARDS) == expected
    assert [name for name, card in datasets.CARDS.items() if card.synthetic] == ["synthetic"]
    shown = [name for name, card in datasets.CARDS.items() if card.may_show]
    assert shown == ["synthetic", "fer2013", "cmu_faces"]


@pytest.mark.parametrize("spelling", ["fer2013", "FER-2013"])
def test_find_takes_the_folder_or_the_one_above(copy, spelling):
    folder = copy.rename(copy.parent / "other").rename(copy.parent / spelling)
    assert datasets.find("fer2013") == folder
    assert datasets.find("fer2013", copy.parent) == folder
    assert datasets.find("fer2013", str(folder)) == folder


def test_find_looks_in_the_home_folder_last(copy, monkeypatch, tmp_path):
    monkeypatch.delenv("FER_DATA")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    copy.parent.rename(tmp_path / "fer-data")
    assert datasets.find("fer2013") == tmp_path / "fer-data" / "fer2013"


@pytest.mark.parametrize("name", datasets.READERS)
def test_absent_data_says_what_who_where_and_how_to_check(tmp_path, name):
    card = datasets.CARDS[name]
    with pytest.raises(AbsentDataError) as caught:
        datasets.find(name, tmp_path)
    for part in (card.title, card.owner, card.licence, card.obtain, card.tree, str(tmp_path)):
        assert part in str(caught.value)
    assert f"fer data check {name} --data-dir" in str(caught.value)
    with pytest.raises(AbsentDataError, match="no such folder"):
        datasets.find(name, tmp_path / "nowhere")


def test_absent_data_in_an_archive_are_to_be_unpacked(tmp_path):
    (tmp_path / "archive.zip").touch()
    with pytest.raises(AbsentDataError, match=r"unpack archive\.zip"):
        datasets.find("fer2013", tmp_path)


def test_a_folder_that_leads_in_a_circle_is_absent(tmp_path):
    (tmp_path / "fer2013").symlink_to("fer2013")
    with pytest.raises(AbsentDataError):
        datasets.find("fer2013", tmp_path)


def test_what_may_not_be_read_is_named(copy, monkeypatch):
    def refuse(self):
        raise PermissionError(13, "Permission denied", str(self))

    monkeypatch.setattr(type(copy), "iterdir", refuse)  # the owner of the tests may be allowed everything
    with pytest.raises(FerError, match=rf"{copy.parent} cannot be read \(Permission denied\)"):
        datasets.check("fer2013")


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda folder: datasets.load("fer213"), "Did you mean 'fer2013'"),
        (lambda folder: datasets.check("fer213"), "Did you mean 'fer2013'"),
        (lambda folder: datasets.find("fer213"), "Did you mean 'fer2013'"),
        (lambda folder: datasets.load("ckplus", frame="apex"), "Did you mean 'frames'"),
        (lambda folder: datasets.load("nimstim", strict=False), "option of the dataset nimstim"),
        (lambda folder: datasets.find("synthetic"), "generated"),
        (lambda folder: datasets.load("fer2013", strikt=False), "Did you mean 'strict'"),
        (lambda folder: datasets.load("synthetic", subjects=3), "option of the dataset synthetic"),
        (lambda folder: datasets.load("fer2013", folder / "fer2013.csv"), "is a file; give the folder"),
        (lambda folder: datasets.load("fer2013", "x" * 300), "File name too long"),
    ],
)
def test_a_user_mistake_is_one_clear_error(copy, call, message):
    with pytest.raises(FerError, match=message):
        call(copy)


def test_a_corpus_is_read_once_and_again_when_its_file_changes(copy, monkeypatch):
    calls = spied("fer2013", monkeypatch)
    first = datasets.load("fer2013")
    again = datasets.load("fer2013", copy)
    assert len(calls) == 1
    assert again.fingerprint == first.fingerprint
    assert again.card is fer2013.CARD
    stat = (copy / "fer2013.csv").stat()
    os.utime(copy / "fer2013.csv", ns=(stat.st_atime_ns, stat.st_mtime_ns + 1))
    datasets.load("fer2013")
    assert len(calls) == 2
    drop_row(copy, 1)
    assert len(datasets.load("fer2013", strict=False)) == len(first) - 1
    assert len(calls) == 3


def test_check_of_a_good_copy(copy):
    report = datasets.check("fer2013", copy)
    assert (report["dataset"], report["ok"], report["problems"]) == ("fer2013", True, [])
    assert report["images"] == 31
    assert report["splits"] == {"train": 16, "public_test": 7, "private_test": 8}
    assert report["per_class"]["neutral"] == 6
    assert report["subjects"] is None
    assert report["sequences"] is None
    assert report["fingerprint"] == datasets.load("fer2013").fingerprint


def test_check_lists_what_is_unreadable_before_what_is_missing_and_not_without_end(copy):
    path = copy / "fer2013.csv"
    lines = path.read_text().splitlines()
    drop_row(copy, 1)
    with pytest.raises(FerError, match=r"train, anger: 2 images, officially 3.*strict=False"):
        datasets.load("fer2013")
    assert len(datasets.load("fer2013", strict=False)) == sum(map(sum, COUNTS.values())) - 1
    lines[2] = lines[2].replace("Training", "Trainig")
    lines = lines[:-8]  # private_test is last
    lines += ["0,1 2 3,PublicTest"] * 500
    path.write_text("\n".join(lines))
    with pytest.raises(FerError, match=rf"row 2 .*see `fer data check fer2013 --data-dir {copy}`"):
        datasets.load("fer2013")
    report = datasets.check("fer2013")
    kinds = ["row 2 .*Trainig", r"row 24 .*3 pixel values.*\(500 rows", "train, anger: 2", "missing: 0 of 8"]
    assert not report["ok"]
    assert len(report["problems"]) == len(kinds)
    for problem, kind in zip(report["problems"], kinds, strict=True):
        assert re.search(kind, problem), problem
    assert report["images"] == 22


def test_synthetic_is_cached_and_checked(cache, monkeypatch):
    options = {"n_subjects": 2, "per_expression": 1, "size": 24}
    first = datasets.load("synthetic", **options)
    again = datasets.load("synthetic", **options)
    assert first.fingerprint == again.fingerprint
    assert first.meta.columns.tolist() == again.meta.columns.tolist()
    assert len(list((cache / "corpus-synthetic").glob("*/images.npy"))) == 1
    assert datasets.load("synthetic", **options | {"seed": 1}).fingerprint != first.fingerprint
    monkeypatch.setitem(
        datasets.GENERATED, "synthetic", replace(synthetic.READER, build=lambda **options: first)
    )
    report = datasets.check("synthetic")
    assert (report["ok"], report["root"], report["subjects"], report["images"]) == (True, None, 2, 16)


@pytest.fixture(scope="module")
def faces():
    """Return drawn faces by expression, uint8 (4, 64, 64) each."""
    drawn = synthetic.generate(n_subjects=2, per_expression=2, size=64)
    return {name: drawn.images[drawn.labels == i] for i, name in enumerate(drawn.classes)}


def write_image(path, image):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(cv2.imencode(path.suffix.lower(), image)[1].tobytes())


def write_film(path, image, frames=4):
    path.parent.mkdir(parents=True, exist_ok=True)
    kind = {".avi": cv2.VideoWriter_fourcc(*"MJPG"), ".mp4": cv2.VideoWriter_fourcc(*"mp4v"), ".flv": 2}
    video = cv2.VideoWriter(str(path), kind[path.suffix], 25, image.shape[::-1])
    assert video.isOpened()
    for _ in range(frames):
        video.write(cv2.cvtColor(image, cv2.COLOR_GRAY2BGR))
    video.release()


def write_ckplus(root, faces):
    for code, number in itertools.product(range(1, 8), range(4)):
        name = f"S{5 + number:03}_{code:03}"
        folder = f"{name[:4]}/{name[5:]}"
        for frame in range(1, 6):
            image = faces["neutral" if frame == 1 else ckplus.CODES[str(code)]][number]
            write_image(root / "cohn-kanade-images" / folder / f"{name}_{frame:08}.png", image + frame)
        label = root / "Emotion" / folder / f"{name}_00000005_emotion.txt"
        label.parent.mkdir(parents=True)
        label.write_text(f"   {code:.7e}\n")


def write_jaffe(root, faces):
    made = itertools.product(jaffe.CODES, ("KA", "KL"), (1, 2))
    for serial, (code, subject, n) in enumerate(made, 1):
        image = faces[jaffe.CODES[code]][2 * (subject == "KL") + n - 1]
        write_image(root / f"{subject}.{code}{n}.{serial}.tiff", image)


def write_mmi(root, faces):
    for value, name in mmi.CODES.items():
        clip = root / "Sessions" / value / f"S001-{value:>03}.avi"
        write_film(clip, faces[name][0])
        clip.with_suffix(".xml").write_text(f'<a><Metatag Name="Emotion" Value="{value}"/></a>')


def write_nimstim(root, faces):
    for code, name in nimstim.CODES.items():
        write_image(root / f"01F_{code}_C.BMP", faces[name][0])


def write_oulu_casia(root, faces):
    for name, frame in itertools.product(EXPRESSIONS[:6], range(12)):
        folder = root / "OriginalImg" / "VL" / "Strong" / "P001" / name.capitalize()
        write_image(folder / f"{frame:03}.jpeg", faces[name][0])


def write_cmu_faces(root, faces):
    for name, pose in itertools.product(("neutral", "happy", "sad", "angry"), ("straight", "up")):
        write_image(root / "faces" / "an2i" / f"an2i_{pose}_{name}_open.pgm", faces[canonical(name)][0])


def write_ravdess(root, faces):
    for code, name in ravdess.CODES.items():
        write_film(root / "Actor_01" / f"02-01-{code}-01-02-01-01.mp4", faces[name][0])


def write_crema_d(root, faces):
    for code, name in crema_d.CODES.items():
        write_film(root / "VideoFlash" / f"1001_DFA_{code}_XX.flv", faces[name][0])


LAYOUTS = {  # corpus: writer, images by default, an option, images with it, official counts
    "ckplus": (write_ckplus, 28, {"frames": "last3", "crop": FACE}, 84, True),
    "jaffe": (write_jaffe, 28, {"classes": "six"}, 24, True),
    "mmi": (write_mmi, 12, {"frames": "apex"}, 6, False),
    "nimstim": (write_nimstim, 6, {"classes": "seven"}, 7, False),
    "oulu_casia": (write_oulu_casia, 60, {"frames": "last3", "size": 32}, 18, False),
    "cmu_faces": (write_cmu_faces, 8, {"pose": "straight"}, 4, False),
    "ravdess": (write_ravdess, 7, {"frames": "last10", "size": 32}, 14, True),
    "crema_d": (write_crema_d, 6, {"frames": "last10", "size": 32}, 12, True),
}


@pytest.mark.parametrize("name", LAYOUTS)
def test_a_corpus_of_image_files_is_found_loaded_cached_and_checked(name, faces, tmp_path, monkeypatch):
    write, images, option, chosen, official = LAYOUTS[name]
    folder = tmp_path / "data" / name.upper().replace("_", "-")
    write(folder, faces)
    assert datasets.find(name) == datasets.find(name, folder) == folder
    calls = spied(name, monkeypatch)
    relaxed = {"strict": False} if official else {}
    corpus = datasets.load(name, **relaxed)
    assert len(corpus) == images
    assert len(datasets.load(name, **relaxed, **option)) == chosen
    assert len(calls) == 2
    assert datasets.load(name, **relaxed).fingerprint == corpus.fingerprint
    found = datasets.check(name, folder)
    assert len(calls) == 2
    assert found["fingerprint"] == corpus.fingerprint
    assert (found["images"], found["root"]) == (images, str(folder))
    assert found["subjects"] == len(set(corpus.subjects))
    assert found["licence"] == corpus.card.licence
    assert found["ok"] is not official
    if official:
        with pytest.raises(FerError, match=r"not the official .* officially .*strict=False"):
            datasets.load(name)


def snapshot(folder):
    return sorted((str(path), path.lstat().st_mtime_ns) for path in folder.rglob("*"))


def mess_up(folder):
    """Add what people's folders hold beside the data, and make all of it read-only."""
    for below in [folder, *(f for f in folder.rglob("*") if f.is_dir())][:6]:
        for name in (".DS_Store", "Thumbs.db", "desktop.ini", "._x.png", "notes.TXT"):
            (below / name).write_bytes(b"\0\1")
    unrelated = folder / "0 holiday"
    unrelated.mkdir()
    for i in range(300):
        os.close(os.open(unrelated / f"IMG_{i:05}.jpg", os.O_CREAT | os.O_WRONLY))
    (folder / "empty" / "S005" / "001").mkdir(parents=True)
    (folder / "VL" / "Strong" / "P002" / "Anger").mkdir(parents=True)
    (folder / "circle").symlink_to(folder)
    (folder / "self").symlink_to(folder / "self")
    (folder / "broken").symlink_to(folder / "nowhere")
    odd = os.fsencode(folder) + b"/caf\xe9"
    os.mkdir(odd)  # noqa: PTH102 (a name that is not text)
    with open(odd + b"/KA.AN1.\xe9.tiff", "wb"):  # noqa: PTH123
        pass
    for below in sorted(folder.rglob("*"), reverse=True):
        if below.is_dir() and not below.is_symlink():
            below.chmod(0o555)


@pytest.mark.parametrize("name", LAYOUTS)
def test_what_people_have_beside_the_data_changes_nothing(name, faces, tmp_path):
    write, *_, official = LAYOUTS[name]
    relaxed = {"strict": False} if official else {}
    write(tmp_path / "clean" / name, faces)
    clean = datasets.load(name, tmp_path / "clean", **relaxed)
    top = tmp_path / "data"  # no folder has the corpus's name, so the data folder itself is searched
    write(top / "Downloads" / "my copy (2)", faces)
    mess_up(top)
    try:
        before = snapshot(top)
        assert datasets.find(name, top) == top
        corpus = datasets.load(name, top, **relaxed)
        found = datasets.check(name, top)
        assert snapshot(top) == before
    finally:
        for below in top.rglob("*"):
            if below.is_dir() and not below.is_symlink():
                below.chmod(0o755)
    assert corpus.fingerprint == clean.fingerprint
    assert found["fingerprint"] == clean.fingerprint
    assert found["ignored"] > 300
    assert all("officially" in problem for problem in found["problems"])


@pytest.mark.parametrize("name", LAYOUTS)
def test_one_bad_file_is_one_sentence(name, faces, tmp_path):
    write, images, *_ = LAYOUTS[name]
    folder = tmp_path / "data" / name
    write(folder, faces)
    path = datasets.READERS[name].locate(folder).rows[-1]["path"]
    path.write_bytes(b"version https://git-lfs.github.com/spec/v1\nsize 9\n")
    message = rf"{path.name}: is a Git LFS pointer .*`git lfs pull`"
    with pytest.raises(FerError, match=message):
        datasets.load(name)
    found = datasets.check(name)
    (problem,) = (p for p in found["problems"] if "officially" not in p and "No image of" not in p)
    assert re.search(message, problem)
    assert found["images"] == images - datasets.READERS[name].locate(folder).images_per_row


def test_a_csv_that_is_a_pointer_is_named(tmp_path):
    folder = tmp_path / "data" / "fer2013"
    folder.mkdir(parents=True)
    (folder / "fer2013.csv").write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\n")
    with pytest.raises(FerError, match=r"fer2013\.csv is a Git LFS pointer .*`git lfs pull`"):
        datasets.load("fer2013", folder)


def test_a_search_without_end_is_given_up_with_advice(tmp_path, monkeypatch):
    folder = tmp_path / "data"
    folder.mkdir()
    for i in range(60):
        (folder / f"{i}.txt").touch()
    monkeypatch.setattr(sources, "ENTRIES", 50)
    with pytest.raises(AbsentDataError, match=r"holds more than 50 files.* give the corpus's own folder"):
        datasets.find("jaffe")


def test_a_csv_is_known_in_any_case(copy):
    (copy / "fer2013.csv").rename(copy / "Icml_Face_Data.CSV")
    assert datasets.check("fer2013")["ok"]


@pytest.mark.parametrize(
    ("name", "options", "classes", "images"),
    [
        ("ckplus", {"frames": "apex"}, EXPRESSIONS[:6], 24),
        ("jaffe", {}, EXPRESSIONS[:7], 28),
    ],
)
def test_cnn_sift_gets_its_classes_folds_and_protocol(
    name, options, classes, images, faces, tmp_path, monkeypatch
):
    monkeypatch.setitem(ckplus.OFFICIAL, "original", {})
    monkeypatch.setattr(jaffe, "OFFICIAL", {})
    LAYOUTS[name][0](tmp_path / "data" / name, faces)
    corpus = datasets.load(name, str(tmp_path / "data"), **options)
    assert corpus.classes == (*EXPRESSIONS[:6], "contempt" if name == "ckplus" else "neutral")
    corpus = corpus.only(classes).resize(48)
    assert corpus.classes == classes
    assert corpus.images.shape == (images, 48, 48)
    folds = splits.subject_kfold(corpus, 2)
    assert splits.certify(corpus, folds, subject_independent=True)["subjects_shared"] == 0
    notebook = (ROOT / "notebooks" / "cnn_sift.ipynb").read_text("utf-8")
    (protocol,) = re.findall(rf'\\"{name}\\": \\"(\w+_\w+fold\w*)\\"', notebook)
    (stated,) = (p for p in claims.load("cnn_sift").protocols if p["id"] == protocol)
    assert {canonical(c) for c in stated["classes"]} == set(classes)
    frame = claims.frame("cnn_sift")
    assert set(frame[frame.protocol == protocol].corpus) == {name}


@pytest.mark.parametrize("reader", datasets.READERS.values())
def test_a_reader_offers_what_its_functions_take(reader):
    assert set(reader.options) <= set(inspect.signature(reader.build).parameters)
    assert list(inspect.signature(reader.search).parameters) == ["root", *reader.choices]


def test_a_crop_that_is_none_is_refused(faces, tmp_path):
    write_jaffe(tmp_path / "data" / "jaffe", faces)
    with pytest.raises(FerError, match=r"crop is fer_lib\.faces\.FACE, or None"):
        datasets.load("jaffe", strict=False, crop=True)


@pytest.mark.parametrize("name", datasets.READERS)
def test_values_that_an_option_does_not_have_and_folders_without_the_corpus_are_refused(name, tmp_path):
    reader = datasets.READERS[name]
    for option in reader.choices:
        with pytest.raises(FerError, match=f"Unknown {option} of {name} '\\?'"):
            reader.locate(tmp_path, **{option: "?"})
    with pytest.raises(FerError, match=f"holds no {re.escape(reader.card.title)}; expected\n{name}/"):
        reader.read(tmp_path)


NAMED = (ckplus, jaffe, nimstim, cmu_faces, ravdess, crema_d)


@given(st.sampled_from(NAMED).flatmap(lambda reader: st.tuples(st.just(reader), names(reader))))
def test_any_name_is_understood_or_passed_over(drawn):
    reader, name = drawn
    said = reader.parse(name)
    assert (said is None) == (reader.FILE_NAME.fullmatch(name) is None)
    if said is not None:
        assert name.isascii()
        assert said["id"].casefold() in name.casefold()
        assert canonical(said.get("expression") or "neutral") in EXPRESSIONS


def names(reader):
    """File names of a corpus, whole and with a letter changed, and any others."""
    whole = st.from_regex(reader.FILE_NAME, fullmatch=True)
    changed = st.tuples(whole, st.integers(0, 30), st.text(max_size=2)).map(
        lambda parts: parts[0][: parts[1]] + parts[2] + parts[0][parts[1] + 1 :]
    )
    return whole | changed | st.text("Ss0159_.pngtxemoi٣\n", max_size=30)


def test_faces_and_whole_photographs_are_cached_apart(faces, tmp_path, monkeypatch):
    write_jaffe(tmp_path / "data" / "jaffe", faces)
    calls = spied("jaffe", monkeypatch)
    for _ in range(2):
        whole, cut = (datasets.load("jaffe", strict=False, crop=crop) for crop in (None, FACE))
    assert len(calls) == 2
    assert whole.valid is None
    assert cut.images.shape == (28, 96, 96)
    assert datasets.check("jaffe", crop=FACE)["fingerprint"] == cut.fingerprint
    datasets.load("jaffe", strict=False, crop=replace(FACE, sources=FACE.sources[:1]))  # other code
    assert len(calls) == 3


MADE_UP = """
from fer_lib.data.corpus import Card
from fer_lib.data.reader import Reader
from fer_lib.data.sources import Source, named_rows, use

CARD = Card("made_up", "Made-up faces", "nobody", "none", "nowhere", "made_up/face1_anger.png", may_show=True,
            codes={"In the name": {"anger": "anger", "fear": "fear"}}, stands_in=("cspp",),
            lacks={"sequences": "its faces are stills"})


def parse(name):
    stem, _, ending = name.partition(".")
    subject, _, expression = stem.partition("_")
    return {"id": stem, "subject": subject, "expression": expression} if ending == "png" else None


def locate(root):
    source = Source(root, "files", ("anger", "fear"))
    use(source, named_rows(source, parse))
    return source if source.rows else None


READER = Reader(CARD, locate)
"""


def test_a_further_corpus_is_one_file(tmp_path):
    """In a copy of the library a file is put among the corpora; nothing else is told of it."""
    shutil.copytree(ROOT / "fer_lib", tmp_path / "fer_lib", ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "fer_lib" / "data" / "datasets" / "made_up.py").write_text(MADE_UP)
    shutil.copytree(ROOT / "notebooks", tmp_path / "notebooks")
    for name in ("ann_anger", "ann_fear", "bob_anger", "bob_fear"):
        write_image(tmp_path / "data" / "made_up" / f"{name}.png", np.full((8, 8), len(name), np.uint8))
    code = """
import sys; sys.path.insert(0, {root!r})
import fer_lib; assert fer_lib.__file__.startswith({root!r}), fer_lib.__file__
from fer_lib import cli
from fer_lib.data import datasets
from fer_lib.evidence import preflight, provenance
corpus = datasets.load("made_up", size=6)
assert corpus.images.shape == (4, 6, 6) and corpus.subjects.tolist() == ["ann", "ann", "bob", "bob"]
assert datasets.check("made_up")["per_class"] == {{"anger": 2, "fear": 2}}
assert datasets.NAMES[-1] == "made_up"
assert preflight.usable("cspp")[-1] == "made_up"
assert preflight.asked("cspp", {{"dataset": "made_up"}})["dataset"] == "made_up"
preflight.check_data("made_up", "")
try:
    preflight.asked("cnn3d", {{"dataset": "made_up"}})
    raise AssertionError("stills are no sequences")
except ValueError as error:
    assert "its faces are stills" in str(error), error
assert any(path.name == "made_up.py" for path in provenance.library("cspp"))
assert cli.main(["data", "list"]) == cli.main(["data", "check", "made_up"]) == 0
"""
    done = subprocess.run(
        [sys.executable, "-c", code.format(root=str(tmp_path))], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "made_up     here      Made-up faces" in done.stdout
    assert "images" in done.stdout.partition(f"made_up at {tmp_path}")[2]


def test_importing_the_datasets_pulls_in_nothing_heavy():
    code = "import sys, fer_lib.data.datasets, fer_lib.data.splits; print(*sys.modules)"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert not {"torch", "umap", "sklearn", "cv2", "pandas", "matplotlib"} & set(out.split())
