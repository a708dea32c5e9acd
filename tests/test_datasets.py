"""Finding, loading, caching and checking corpora."""

import os
import re
import subprocess
import sys
import threading

import numpy as np
import pytest

from fer_lib import datasets
from fer_lib.datasets import fer2013
from fer_lib.errors import AbsentDataError, FerError

COUNTS = {"train": (3, 1, 2, 2, 2, 2, 4), "public_test": (1,) * 7, "private_test": (1, 1, 2, 1, 1, 1, 1)}
SPLIT_USAGE = {split: usage for usage, split in fer2013.USAGE.items()}


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
                lines.append(f"{code},{pixels},{SPLIT_USAGE[split]}")
    folder = tmp_path / "data" / "fer2013"
    folder.mkdir(parents=True)
    (folder / "fer2013.csv").write_text("\n".join(lines))
    return folder


def drop_row(folder, number):
    path = folder / "fer2013.csv"
    lines = path.read_text().splitlines()
    del lines[number]
    path.write_text("\n".join(lines))


def test_the_corpora_are_named_as_everywhere():
    expected = ["synthetic", "fer2013", "ckplus", "jaffe", "mmi", "nimstim", "oulu_casia", "cmu_faces"]
    assert list(datasets.NAMES) == list(datasets.CARDS) == expected
    for name, card in datasets.CARDS.items():
        assert card.name == name
        assert all((card.title, card.owner, card.licence, card.obtain, card.tree))
    assert datasets.CARDS["fer2013"].may_show  # a few faces, as an illustration
    assert [name for name, card in datasets.CARDS.items() if card.synthetic] == ["synthetic"]


@pytest.mark.parametrize("spelling", ["fer2013", "FER-2013", "FER2013", "Fer_2013"])
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


def test_find_by_name_alone_where_there_is_no_reader(tmp_path):
    folder = tmp_path / "data" / "CK+"
    folder.mkdir(parents=True)
    assert datasets.find("ckplus") == folder
    assert datasets.find("ckplus", folder) == folder
    with pytest.raises(AbsentDataError):
        datasets.find("jaffe", folder)


@pytest.mark.parametrize("name", ["fer2013", "ckplus", "cmu_faces"])
def test_absent_data_says_what_who_where_and_how_to_check(tmp_path, name):
    card = datasets.CARDS[name]
    with pytest.raises(AbsentDataError) as caught:
        datasets.find(name, tmp_path)
    for part in (card.title, card.owner, card.licence, card.obtain, card.tree, str(tmp_path)):
        assert part in str(caught.value)
    assert f"fer data check {name} --data-dir" in str(caught.value)
    with pytest.raises(AbsentDataError, match="no such folder"):
        datasets.find(name, tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda folder: datasets.load("fer213"), "Did you mean 'fer2013'"),
        (lambda folder: datasets.check("fer213"), "Did you mean 'fer2013'"),
        (lambda folder: datasets.find("fer213"), "Did you mean 'fer2013'"),
        (lambda folder: datasets.load("jaffe"), "has no reader in this version"),
        (lambda folder: datasets.check("mmi"), "has no reader in this version"),
        (lambda folder: datasets.find("synthetic"), "generated"),
        (lambda folder: datasets.load("fer2013", strikt=False), "Did you mean 'strict'"),
        (lambda folder: datasets.load("synthetic", subjects=3), "option of the dataset synthetic"),
        (lambda folder: datasets.load("fer2013", folder / "fer2013.csv"), "is a file; give the folder"),
    ],
)
def test_a_user_mistake_is_one_clear_error(copy, call, message):
    with pytest.raises(FerError, match=message):
        call(copy)


def test_a_corpus_is_read_once_and_again_when_its_file_changes(copy, monkeypatch):
    calls = []
    read = fer2013.read
    monkeypatch.setattr(fer2013, "read", lambda *a: calls.append(a) or read(*a))
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


def test_a_damaged_cache_is_built_again(copy, cache):
    first = datasets.load("fer2013")
    for path in cache.rglob("images.npy"):
        path.write_bytes(path.read_bytes()[:1000])
    assert datasets.load("fer2013").fingerprint == first.fingerprint


def test_two_at_once_build_one_cache(copy, monkeypatch):
    calls, prints = [], []
    read = fer2013.read
    monkeypatch.setattr(fer2013, "read", lambda *a: calls.append(a) or read(*a))
    threads = [
        threading.Thread(target=lambda: prints.append(datasets.load("fer2013").fingerprint)) for _ in range(3)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(prints) == 3
    assert len(set(prints)) == len(calls) == 1


def test_wrong_counts_are_an_error_unless_wanted(copy):
    drop_row(copy, 1)
    with pytest.raises(FerError, match=r"train, anger: 2 images, officially 3.*strict=False"):
        datasets.load("fer2013")
    part = datasets.load("fer2013", strict=False)
    assert len(part) == sum(map(sum, COUNTS.values())) - 1


def test_check_of_a_good_copy(copy):
    report = datasets.check("fer2013", copy)
    keys = ["dataset", "ok", "root", "images", "sequences", "subjects", "splits", "per_class", "problems"]
    assert set(keys) | {"fingerprint", "audit"} <= set(report)
    assert (report["dataset"], report["ok"], report["problems"]) == ("fer2013", True, [])
    assert report["images"] == 31
    assert report["splits"] == {"train": 16, "public_test": 7, "private_test": 8}
    assert report["per_class"]["neutral"] == 6
    assert report["subjects"] is None
    assert report["sequences"] is None
    assert report["fingerprint"] == datasets.load("fer2013").fingerprint


def test_check_lists_what_is_unreadable_before_what_is_missing(copy):
    path = copy / "fer2013.csv"
    lines = path.read_text().splitlines()
    lines[2] = lines[2].replace("Training", "Trainig")
    lines = lines[:-8]  # private_test is last
    lines[-1] = lines[-1][:500]
    path.write_text("\n".join(lines))
    report = datasets.check("fer2013")
    assert not report["ok"]
    kinds = [
        "row 2 .*Trainig",
        "row 23 .*pixel values",
        "train, anger: 2",
        "public_test, neutral",
        "missing: 0 of 8",
    ]
    assert len(report["problems"]) == len(kinds)
    for problem, kind in zip(report["problems"], kinds, strict=True):
        assert re.search(kind, problem), problem
    assert report["images"] == 21


def test_check_does_not_list_problems_without_end(copy):
    path = copy / "fer2013.csv"
    path.write_text("emotion,pixels,Usage\n" + "9,1 2 3,Training\n" * 500)
    problems = datasets.check("fer2013")["problems"]
    assert len(problems) == datasets.LISTED_PROBLEMS + 1
    assert problems[-1] == "403 more problems are not listed."


def test_synthetic_is_cached_and_checked(cache):
    options = {"n_subjects": 2, "per_expression": 1, "size": 24}
    first = datasets.load("synthetic", **options)
    again = datasets.load("synthetic", **options)
    assert first.fingerprint == again.fingerprint
    assert first.meta.columns.tolist() == again.meta.columns.tolist()
    assert again.card.synthetic
    assert len(list((cache / "corpus-synthetic").glob("*/images.npy"))) == 1
    assert datasets.load("synthetic", **options | {"seed": 1}).fingerprint != first.fingerprint


def test_check_of_the_synthetic_corpus(monkeypatch):
    small = datasets.synthetic.generate(n_subjects=2, per_expression=1, size=24)
    monkeypatch.setattr(datasets.synthetic, "generate", lambda: small)
    report = datasets.check("synthetic")
    assert report["ok"]
    assert report["root"] is None
    assert report["subjects"] == 2
    assert report["images"] == 16


def test_importing_the_datasets_pulls_in_nothing_heavy():
    code = "import sys, fer_lib.datasets, fer_lib.splits; print(*sys.modules)"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert not {"torch", "umap", "sklearn", "cv2", "pandas", "matplotlib"} & set(out.split())
