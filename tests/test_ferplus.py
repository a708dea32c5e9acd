"""FER+: votes joined to fer2013.csv by the order of rows, and everything that makes such a join wrong."""

import numpy as np
import pytest

from fer_lib.data import datasets
from fer_lib.data.corpus import SPLIT_ORDER
from fer_lib.data.datasets import fer2013, ferplus
from fer_lib.errors import FerError
from fer_lib.expressions import EXPRESSIONS

USAGES = tuple(ferplus.SPLITS)
ROWS = 120
HEADER = "Usage,Image name," + ",".join(ferplus.COLUMNS)
SPECIAL = {  # row: votes that are for nothing or for another expression, in the order of the file
    3: (4, 0, 0, 3, 2, 1, 0, 0, 0, 0),
    17: (0, 0, 0, 0, 0, 0, 0, 0, 0, 10),
    44: (0, 0, 0, 1, 0, 0, 0, 8, 0, 0),  # nine votes
    50: (5, 1, 1, 1, 1, 1, 0, 0, 0, 0),
}


def row_of(i):
    """Return Usage, FER2013's code and the votes of row ``i``; the votes are mostly for that label."""
    votes = [0] * 10
    votes[ferplus.COLUMNS.index(EXPRESSIONS[i % 7])] = 9
    votes[8] = 1
    return USAGES[i % 3], i % 7, SPECIAL.get(i, votes)


@pytest.fixture(autouse=True)
def settings(tmp_path, monkeypatch):
    monkeypatch.setenv("FER_CACHE", str(tmp_path / "cache"))
    counts = {s: [0] * 7 for s in fer2013.OFFICIAL}
    for i in range(ROWS):
        counts[SPLIT_ORDER[i % 3]][i % 7] += 1
    monkeypatch.setattr(fer2013, "OFFICIAL", {name: tuple(n) for name, n in counts.items()})


@pytest.fixture
def copy(tmp_path):
    """Return a folder with both files; the first pixels of a row are its number."""
    folder = tmp_path / "data" / "fer2013"
    folder.mkdir(parents=True)
    pixels, votes = ["emotion,pixels,Usage"], [HEADER]
    for i in range(ROWS):
        usage, code, counts = row_of(i)
        pixels.append(f"{code},{i} {' '.join(['7'] * 2303)},{usage}")
        # The names are those of other rows, repeated and missing: nothing may be read from them.
        name = "" if i in SPECIAL else f"fer{(7 * i) % 50:07}.png"
        votes.append(",".join([usage, name, *map(str, counts)]))
    (folder / "fer2013.csv").write_text("\n".join(pixels) + "\n")
    (folder / "fer2013new.csv").write_text("\n".join(votes) + "\n")
    return folder


def change(path, edit):
    lines = path.read_text().splitlines()
    edit(lines)
    path.write_text("\n".join(lines) + "\n")


def test_check_says_whether_the_votes_are_here(copy):
    found = datasets.check("fer2013", copy)
    assert found["ok"]
    assert "votes=True adds its votes" in found["remarks"][0]
    (copy / "fer2013new.csv").write_text("<!DOCTYPE html>\n<title>Sign in</title>\n")
    assert "no file of votes" in datasets.check("fer2013", copy)["remarks"][0]
    (copy / "fer2013new.csv").unlink()
    assert datasets.check("fer2013", copy)["remarks"] == []
    with pytest.raises(FerError, match=r"holds no fer2013new\.csv; put the file"):
        datasets.load("fer2013", copy, votes=True)


def test_the_votes_come_with_the_original_labels(copy):
    plain = datasets.load("fer2013", copy)
    corpus = datasets.load("fer2013", copy, votes=True)
    assert corpus.ids.tolist() == plain.ids.tolist()
    assert corpus.labels.tolist() == plain.labels.tolist()
    assert corpus.classes == plain.classes
    votes = corpus.meta[list(ferplus.COLUMNS)].to_numpy()
    assert votes.tolist() == [list(row_of(row)[2]) for row in corpus.images[:, 0, 0].tolist()]


@pytest.mark.parametrize("place", ["FERPlus", "ferplus-master", "../FER+"])
def test_the_file_may_lie_in_its_own_folder(copy, place):
    if place.startswith(".."):  # beside a folder that the archive made
        wrapper = copy / "archive"
        wrapper.mkdir()
        (copy / "fer2013.csv").rename(wrapper / "fer2013.csv")
        place = place.removeprefix("../")
    (copy / place).mkdir()
    (copy / "fer2013new.csv").rename(copy / place / "FER2013new.CSV")
    assert len(datasets.load("fer2013", copy, votes=True)) == ROWS


def test_other_forms_are_refused(copy):
    import cv2

    (copy / "fer2013.csv").unlink()
    folder = copy / "train" / "angry"
    folder.mkdir(parents=True)
    cv2.imwrite(str(folder / "Training_1.jpg"), np.zeros((48, 48), np.uint8))
    with pytest.raises(FerError, match=r"without the order of its rows.*votes=True needs fer2013\.csv"):
        datasets.load("fer2013", copy, votes=True)
    assert "its votes need fer2013.csv" in fer2013.READER.locate(copy).remarks[0]


def shifted(lines):
    lines[1:] = lines[4:] + lines[1:4]  # by three rows: Usage still agrees


@pytest.mark.parametrize(
    ("name", "edit", "message"),
    [
        ("fer2013.csv", shifted, r"rows 1 to 120: the votes .* agree with only \d+% of the labels"),
        ("fer2013new.csv", shifted, "agree with only"),
        ("fer2013.csv", lambda lines: lines.pop(8), r"119 rows, .*fer2013new\.csv has 120"),
        ("fer2013new.csv", lambda lines: lines.pop(), r"has 120 rows, .*fer2013new\.csv has 119"),
        (
            "fer2013new.csv",
            lambda lines: lines.insert(1, lines.pop(2)),
            r"row 1 is of train, but in .* of public_test",
        ),
    ],
)
def test_rows_that_do_not_belong_together_are_refused(copy, name, edit, message):
    change(copy / name, edit)
    with pytest.raises(FerError, match=message):
        datasets.load("fer2013", copy, votes=True, strict=False)


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (
            lambda s: s.replace(",9,", ",nine,", 1),
            r"row \d+ \(line \d+\): \w+ is 'nine', expected one of 0, 1",
        ),
        (lambda s: s.replace("PublicTest", "Test", 1), "Usage is 'Test'"),
        (lambda s: s.replace("contempt", "scorn"), "no column contempt"),
        (lambda s: "version https://git-lfs.github.com/spec/v1\n", r"fer2013new\.csv is a Git LFS pointer"),
        (lambda s: "<!DOCTYPE html>\n", r"fer2013new\.csv is a web page"),
    ],
)
def test_a_faulty_file_of_votes_is_named(copy, edit, message):
    path = copy / "fer2013new.csv"
    path.write_text(edit(path.read_text()))
    with pytest.raises(FerError, match=message):
        datasets.load("fer2013", copy, votes=True)
    assert len(datasets.load("fer2013", copy)) == ROWS


def test_an_unreadable_row_does_not_move_the_others(copy):
    change(copy / "fer2013.csv", lambda lines: lines.__setitem__(6, "9" + lines[6][1:]))
    problems = []
    corpus = fer2013.READER.read(copy, problems, votes=True)
    assert len(problems) == 1
    rows = corpus.images[:, 0, 0]
    assert 5 not in rows
    assert corpus.meta["contempt"][rows == 44].tolist() == [8]
