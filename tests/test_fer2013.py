"""FER2013: every form it circulates in, faulty copies, and the real data where it is at hand."""

import re
from hashlib import sha256

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fer_lib.data import datasets
from fer_lib.data.corpus import SPLIT_ORDER, audit, flags
from fer_lib.data.datasets import fer2013, fer2013_original, ferplus
from fer_lib.data.pixel_csv import parse_pixels
from fer_lib.errors import AbsentDataError, FerError

SPELLINGS = {
    "plain": ["angry", "disgust", "fear", "happy", "sad", "surprise", "neutral"],
    "participles": ["Angry", "disgusted", "Fearful", "Happy", "Sad", "surprised", "Neutral"],
    "nouns": ["anger", "disgust", "fear", "happiness", "sadness", "surprise", "neutral"],
}
USAGES = dict(zip(ferplus.SPLITS, SPLIT_ORDER, strict=True))


@pytest.fixture(scope="module")
def samples():
    """Return (usage, code, jpeg bytes, decoded pixels): two per split and class, and some twins."""
    rng = np.random.default_rng(0)
    made = []
    for i in range(42):
        soft = cv2.resize(rng.integers(0, 256, (6, 6), dtype=np.uint8), (48, 48))
        data = cv2.imencode(".jpg", soft)[1].tobytes()
        pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_GRAYSCALE)
        made.append((list(USAGES)[i % 3], i % 7, data, pixels))
    first = made[0]
    copies = [first, ("Training", 3, *first[2:]), ("PrivateTest", 0, *first[2:])]
    return made + copies


def write_csv(path, samples, header="emotion,pixels,Usage", order="epu"):
    lines = [header]
    for usage, code, _, pixels in samples:
        cells = {"e": str(code), "p": " ".join(map(str, pixels.ravel())), "u": usage}
        lines.append(",".join(cells[c] for c in order))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n")
    return path


def write_folders(root, samples, spelling="plain", validation=None):
    for i, (usage, code, data, _) in enumerate(samples):
        part = {"Training": "train", "PublicTest": validation or "test"}.get(usage, "test")
        folder = root / part / SPELLINGS[spelling][code]
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{usage}_{1000 + i * 77 % 100}.jpg").write_bytes(data)
    return root


def layouts(root, samples):
    write_csv(root / "a" / "fer2013.csv", samples)
    icml = "emotion, Usage, pixels"
    write_csv(root / "b" / "icml_face_data.csv", samples[::-1], icml, "eup")
    write_folders(root / "c", samples)
    write_folders(root / "d", samples[::-1], "participles", "validation")
    write_folders(root / "e" / "images", samples, "nouns", "validation")
    return [root / name for name in "abcde"]


def test_every_layout_gives_one_and_the_same_corpus(tmp_path, samples):
    corpora = [fer2013.READER.read(root) for root in layouts(tmp_path, samples)]
    assert len({c.fingerprint for c in corpora}) == 1
    corpus = corpora[0]
    assert len(corpus) == len(samples)
    assert corpus.classes == ("anger", "disgust", "fear", "happiness", "sadness", "surprise", "neutral")
    found = sorted(zip(corpus.split, corpus.labels, [i.tobytes() for i in corpus.images], strict=True))
    wanted = sorted((USAGES[u], code, pixels.tobytes()) for u, code, _, pixels in samples)
    assert found == wanted
    assert corpus.subjects is None


def test_ids_name_split_pixels_and_running_number(tmp_path, samples):
    corpus = fer2013.READER.read(write_csv(tmp_path / "fer2013.csv", samples).parent)
    twins = [i for i in range(len(corpus)) if (corpus.images[i] == samples[0][3]).all()]
    assert len(twins) == 4
    ids = corpus.ids[twins].tolist()
    stem = ids[0].removeprefix("train-")
    assert ids == [f"train-{stem}", f"train-{stem}-2", f"train-{stem}-3", f"private_test-{stem}"]
    assert corpus.split.tolist() == sorted(corpus.split, key=SPLIT_ORDER.index)


def test_other_files_are_ignored_and_counted(tmp_path, samples):
    root = write_folders(tmp_path / "fer2013", samples)
    for name in ("Training_1000.jpg0.jpg", "._Training_1000.jpg", "Training_1.png", ".DS_Store", "x_1.jpg"):
        (root / "train" / "happy" / name).write_bytes(b"\xff")
    (root / "train" / "odd").mkdir()
    (root / "train" / "odd" / "notes.txt").write_text("")
    source = fer2013.READER.locate(root)
    assert (len(source.files), source.ignored, source.problems) == (len(samples), 6, [])
    assert len(source.ignored_names) == 3  # the hidden ones are counted, not named
    assert set(source.ignored_names) <= {"Training_1000.jpg0.jpg", "Training_1.png", "x_1.jpg", "notes.txt"}


def test_csv_is_preferred_and_fer_plus_votes_are_no_data(tmp_path, samples):
    (tmp_path / "fer2013new.csv").write_text("Usage,Image name,neutral\n")
    (tmp_path / "train.csv").write_text("emotion,pixels\n")
    assert fer2013.READER.locate(tmp_path).form == "raw"
    write_folders(tmp_path, samples)
    assert fer2013.READER.locate(tmp_path).form == "folders"
    write_csv(tmp_path / "fer2013.csv", samples)
    assert fer2013.READER.locate(tmp_path).form == "csv"
    assert fer2013.READER.locate(tmp_path / "train") is None


PIXELS = " ".join(["7"] * 2304)


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        (lambda cells: f"{cells[0]},{cells[1][:200]}", "pixel values, expected 2304"),
        (lambda cells: f"{cells[0]},{cells[1]} 7,{cells[2]}", "2305 pixel values"),
        (lambda cells: f"{cells[0]},{PIXELS[:-1]}x,{cells[2]}", "not a whole number from 0 to 255"),
        (lambda cells: f"{cells[0]},-1{PIXELS[1:]},{cells[2]}", "pixel 1 is '-1'"),
        (lambda cells: f"{cells[0]},256{PIXELS[1:]},{cells[2]}", "pixel 1 is .256., not"),
        (lambda cells: f"{cells[0]},1000{PIXELS[1:]},{cells[2]}", "pixel 1 is .1000., not"),
        (lambda cells: f"{cells[0]},{PIXELS[:-2]}.5,{cells[2]}", "not a whole number"),
        (
            lambda cells: f"{cells[0]},{PIXELS[:-1]}\0,{cells[2]}",
            r"(pixel 2304 is '\\x00'|2303 pixel)",
        ),  # pandas 2 drops it
        (lambda cells: f"{cells[0]},,{cells[2]}", "0 pixel values"),
        (lambda cells: f"7,{cells[1]},{cells[2]}", "emotion is '7', expected one of 0, 1"),
        (lambda cells: f"{cells[0]},{cells[1]},Test", "Usage is 'Test'"),
    ],
)
def test_a_faulty_csv_row_is_named_and_the_others_read(tmp_path, samples, fault, message):
    path = write_csv(tmp_path / "fer2013.csv", samples)
    lines = path.read_text().splitlines()
    lines[3] = fault(lines[3].split(","))
    path.write_text("\n".join([lines[0], "", *lines[1:], "", ""]))  # blank lines count, and are no rows
    with pytest.raises(FerError, match=rf"fer2013\.csv, row 4 \(line 5\): .*{message}"):
        fer2013.READER.read(tmp_path)
    problems = []
    corpus = fer2013.READER.read(tmp_path, problems)
    assert len(problems) == 1
    assert len(corpus) == len(samples) - 1


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b"a,b\n1,2\n", "no column emotion, pixels, Usage; found a, b"),
        (b"emotion,pixels,Usage\n0,\xff\xfe,Training\n", "not a readable csv|pixel"),
        (b"emotion,pixels,Usage\n0,1 2,Training\n0,1,Training,4\n", "not a readable csv"),
        (b"emotion,pixels,Usage\n", "has no rows"),
    ],
)
def test_a_file_that_is_no_fer2013_csv_is_explained(tmp_path, monkeypatch, content, message):
    monkeypatch.setenv("FER_CACHE", str(tmp_path / "cache"))
    (tmp_path / "fer2013.csv").write_bytes(content)
    with pytest.raises(FerError, match=message):
        datasets.load("fer2013", tmp_path)
    assert not datasets.check("fer2013", tmp_path)["ok"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b"version https://git-lfs.github.com/spec/v1\n", "Git LFS pointer.*git lfs pull"),
        (b"<html>", "is a web page"),
        (b"\xff\xd8 nothing \xff\xd9", "cannot be decoded"),
        (cv2.imencode(".jpg", np.zeros((48, 50), np.uint8))[1].tobytes(), "is 50x48 pixels, expected 48x48"),
        (cv2.imencode(".jpg", np.zeros((48, 48), np.uint8))[1].tobytes()[:-9], "is cut off"),
    ],
)
def test_an_unreadable_image_is_named_and_the_others_read(tmp_path, samples, content, message):
    root = write_folders(tmp_path, samples)
    bad = root / "train" / "angry" / "Training_5.jpg"
    bad.write_bytes(content)
    with pytest.raises(FerError, match=f"{bad.name}.*{message}"):
        fer2013.READER.read(root)
    problems = []
    assert len(fer2013.READER.read(root, problems)) == len(samples)
    assert len(problems) == 1


def test_what_is_no_file_is_named_and_links_in_circles_end(tmp_path, samples):
    root = write_folders(tmp_path / "fer2013", samples)
    angry = root / "train" / "angry"
    (angry / "Training_990001.jpg").mkdir()
    (angry / "Training_990002.jpg").symlink_to("nowhere")
    (angry / "again").symlink_to(root)
    (root / "self").symlink_to("self")
    problems = []
    assert len(fer2013.READER.read(root, problems)) == len(samples)
    assert [re.search(r"990001|990002", p)[0] for p in problems] == ["990001", "990002"]
    assert all("cannot be read" in p for p in problems)


def test_unknown_class_folders_and_double_files_are_problems(tmp_path, samples):
    root = write_folders(tmp_path, samples, validation="validation")
    for folder in ("train/contempt", "train/hapy", "validation/angry"):
        (root / folder).mkdir(exist_ok=True)
    (root / "train/hapy/Training_1.jpg").write_bytes(samples[0][2])
    (root / "train/contempt/Training_1.jpg").write_bytes(samples[0][2])
    known = next((root / "train/angry").iterdir())
    (root / "validation/angry" / known.name).write_bytes(known.read_bytes())
    problems = []
    assert len(fer2013.READER.read(root, problems)) == len(samples)
    assert [p.split()[0] for p in problems] == [f"{root}/train/contempt:", f"{root}/train/hapy:", known.name]
    with pytest.raises(FerError, match="unknown class folder"):
        fer2013.READER.read(root)


def test_images_without_the_original_names_are_refused(tmp_path, samples):
    (tmp_path / "train" / "angry").mkdir(parents=True)
    (tmp_path / "train" / "angry" / "im0.jpg").write_bytes(samples[0][2])
    with pytest.raises(FerError, match="no image is named as FER2013 names them"):
        fer2013.READER.read(tmp_path)


def test_the_raw_competition_form_cannot_be_scored(tmp_path, monkeypatch, samples):
    monkeypatch.setenv("FER_CACHE", str(tmp_path / "cache"))
    training = [s for s in samples if s[0] == "Training"]
    write_csv(tmp_path / "train.csv", training, "emotion,pixels", "ep")
    write_csv(tmp_path / "test.csv", samples[:3], "pixels", "p")
    with pytest.raises(FerError, match=r"test\.csv has no labels, so nothing can be scored"):
        datasets.load("fer2013", tmp_path)
    report = datasets.check("fer2013", tmp_path)
    assert report["form"] == "raw"
    assert "no labels" in report["problems"][0]


@given(st.lists(st.text("0123456789 x\t\n.", max_size=14), min_size=1, max_size=4))
def test_parse_pixels_agrees_with_a_plain_reading(texts):
    def plain(text):
        words = [re.sub(r"^(\d+)\.0*$", r"\1", word) for word in text.split()]
        good = len(words) == 3 and all(w.isdigit() and len(w) < 4 and int(w) < 256 for w in words)
        return [int(w) for w in words] if good and "\t" not in text and "\n" not in text else None

    pixels, faults = parse_pixels(texts, 3)
    for i, text in enumerate(texts):
        assert (i in faults) == (plain(text) is None)
        assert pixels[i].tolist() == (plain(text) or [0, 0, 0])


def test_whole_numbers_may_have_a_point():
    pixels, faults = parse_pixels(["255.0 0.0 7", "1. 2 3.00", "1.5 2.0 3.0", "2.0 256.0 1"], 3)
    assert pixels.tolist() == [[255, 0, 7], [1, 2, 3], [0, 0, 0], [0, 0, 0]]
    assert faults == {
        2: "pixel 1 is '1.5', not a whole number from 0 to 255.",
        3: "pixel 2 is '256', not a whole number from 0 to 255.",
    }


# Where it lies and what it is called -------------------------------------------------------------------


def test_class_folders_may_be_named_by_their_codes(tmp_path, samples):
    root = write_folders(tmp_path / "names", samples)
    known = fer2013.READER.read(root).fingerprint
    for folder in [*root.glob("*/*")]:
        folder.rename(folder.with_name(str(fer2013.FOLDERS[folder.name])))
    assert fer2013.READER.read(root).fingerprint == known


@pytest.mark.parametrize("place", ["fer2013", "fer2013/fer2013"])
def test_a_csv_without_suffix_is_found(tmp_path, samples, place):
    write_csv(tmp_path / place, samples)
    assert len(fer2013.READER.read(datasets.find("fer2013", tmp_path))) == len(samples)


def test_what_lies_there_instead_is_named(tmp_path):
    (tmp_path / "FER 2013 (1).csv").write_text("emotion,pixels,Usage")
    with pytest.raises(AbsentDataError, match=r"nothing that looks like it \(it holds FER 2013 \(1\)\.csv\)"):
        datasets.find("fer2013", tmp_path)


def test_a_resized_copy_is_one_problem(tmp_path, samples):
    large = [
        (usage, code, cv2.imencode(".jpg", np.zeros((96, 96), np.uint8))[1], 0) for usage, code, *_ in samples
    ]
    problems = []
    fer2013.READER.read(write_folders(tmp_path, large), problems)
    (problem,) = problems
    assert "is 96x96 pixels, expected 48x48; a resized copy has other grey levels" in problem
    assert "(45 files have a fault of this kind.)" in problem


# Altered copies --------------------------------------------------------------------------------------


def jpeg(image, quality=95):
    data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
    return cv2.imdecode(data, cv2.IMREAD_GRAYSCALE)


def enlarged(image):
    return cv2.resize(cv2.resize(image, (224, 224)), (48, 48), interpolation=cv2.INTER_AREA)


ALTERATIONS = {
    "equalised": (cv2.equalizeHist, ["grey levels", "equalised"]),
    "equalised and saved as JPEG": (
        lambda i: jpeg(cv2.equalizeHist(i)),
        ["grey levels", "equalised", "JPEG"],
    ),
    "JPEG": (jpeg, ["saved as JPEG"]),
    "enlarged": (enlarged, ["grey levels", "smoothed, as by resizing"]),
    "brighter": (lambda i: cv2.add(i, 3), ["grey levels"]),
    "one grey level": (lambda i: i ^ 1, ["pixel for pixel"]),
}


@pytest.fixture(scope="module")
def drawn():
    """Return 1,200 images with fine detail, most of them in the training part, and what is known of them."""
    rng = np.random.default_rng(3)
    soft = [cv2.resize(rng.integers(40, 200, (6, 6), dtype=np.uint8), (48, 48)) for _ in range(1200)]
    images = np.clip(np.array(soft) + rng.normal(0, 8, (1200, 48, 48)), 0, 255).astype(np.uint8)
    split = np.array(["train"] * 1050 + ["public_test"] * 75 + ["private_test"] * 75)
    train = images[:1050]
    known = fer2013_original.Original(
        mean=train.mean() / 255,
        deviation=train.std() / 255,
        detail=fer2013_original.detail(train[::2]),
        distinct=1200,
        first=" ".join(f"{n % 7}-{sha256(images[n]).hexdigest()[:12]}" for n in range(10)),
    )
    return images, np.arange(1200) % 7, split, known


def corpus_of(images, labels, split):
    order = np.array([SPLIT_ORDER.index(name) for name in split])
    return fer2013._canonical_order(images, labels, order, None)


@pytest.fixture
def complete(drawn, monkeypatch):
    """Make the drawn images the original."""
    _, labels, split, known = drawn
    monkeypatch.setattr(fer2013_original, "ORIGINAL", known)
    counts = {s: tuple(np.bincount(labels[split == s], minlength=7).tolist()) for s in fer2013.OFFICIAL}
    monkeypatch.setattr(fer2013, "OFFICIAL", counts)


def test_the_original_is_known(drawn, complete):
    found = datasets.authenticity(corpus_of(*drawn[:3]))
    assert found["original"]
    assert found["findings"] == []
    assert (found["distinct"], found["first_rows"], found["jpeg_frequencies"]) == (1200, 10, 0)
    assert found["training_mean"] == pytest.approx(drawn[3].mean, abs=1e-5)
    assert found["training_deviation"] == pytest.approx(drawn[3].deviation, abs=1e-5)


@pytest.mark.parametrize("alteration", ALTERATIONS)
def test_an_altered_copy_is_told_and_what_was_done_to_it(drawn, complete, alteration):
    alter, expected = ALTERATIONS[alteration]
    images, labels, split, _ = drawn
    found = datasets.authenticity(corpus_of(np.array([alter(image) for image in images]), labels, split))
    assert not found["original"]
    assert len(found["findings"]) == len(expected)
    for sentence, words in zip(found["findings"], expected, strict=True):
        assert words in sentence


def test_missing_and_doubled_images_are_told(drawn, complete):
    images, labels, split, _ = drawn
    found = datasets.authenticity(corpus_of(images[7:], labels[7:], split[7:]))
    assert found["findings"][0].startswith(
        "Images are missing or added: train, anger: 149 images, officially 150."
    )
    images = images.copy()
    images[100:149] = images[50:99]
    found = datasets.authenticity(corpus_of(images, labels, split))
    assert "1,151 different images are here, the original has 1,200" in found["findings"][0]
    few = datasets.authenticity(corpus_of(images[:50], labels[:50], split[:50]))
    assert not few["original"]
    assert few["training_mean"] is None


def test_check_tells_an_altered_copy(drawn, complete, tmp_path, monkeypatch):
    monkeypatch.setenv("FER_CACHE", str(tmp_path / "cache"))
    images, labels, split, _ = drawn
    usage = {split: usage for usage, split in USAGES.items()}

    rows = [(usage[s], code, b"", image) for s, code, image in zip(split, labels, images, strict=True)]
    write_csv(tmp_path / "fer2013.csv", rows)
    assert datasets.check("fer2013", tmp_path)["ok"]
    folder = tmp_path / "circulating"
    for n, (part, code, image) in enumerate(zip(split, labels, images, strict=True)):
        path = folder / ("train" if part == "train" else "test") / SPELLINGS["plain"][code]
        path.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(path / f"{usage[part]}_{n}.jpg"), cv2.equalizeHist(image))
    found = datasets.check("fer2013", folder)
    assert [words in said for words, said in zip(("grey", "equal", "JPEG"), found["problems"], strict=True)]
    assert "compare them with no published figure" in found["problems"][1]


# The real data ---------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def real(tmp_path_factory):
    """Return (folder, corpus) of the real FER2013, from $FER_DATA or ~/fer-data."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FER_CACHE", str(tmp_path_factory.mktemp("cache")))
        try:
            folder = datasets.find("fer2013")
        except FerError:
            pytest.skip("FER2013 is neither in $FER_DATA nor in ~/fer-data")
        yield folder, datasets.load("fer2013", folder)


def test_real_figures_are_the_published_ones(real):
    folder, corpus = real
    report = datasets.check("fer2013", folder)
    assert report["ok"], report["problems"]
    assert report["splits"] == {"train": 28709, "public_test": 3589, "private_test": 3589}
    assert list(report["per_class"].values()) == [4953, 547, 5121, 8989, 6077, 4002, 6198]
    assert corpus.counts().T.to_numpy().tolist() == [list(row) for row in fer2013.OFFICIAL.values()]
    if report["form"] == "csv":  # measured on this form
        assert report["audit"] == audit(corpus)
        assert report["audit"] == {
            "images": 35887,
            "distinct": 34036,
            "redundant": 1851,
            "groups": 1514,
            "conflicting_groups": 57,
            "cross_split_groups": 557,
            "black": {"total": 12, "train": 11, "public_test": 1, "private_test": 0},
            "twins_in_training": {"public_test": 280, "private_test": 288},
            "twins_with_other_label": {"public_test": 13, "private_test": 15},
        }
        train, test = (np.flatnonzero(corpus.split == s) for s in ("train", "private_test"))
        assert flags(corpus, train, test)["twin_in_training"].sum() == 288
