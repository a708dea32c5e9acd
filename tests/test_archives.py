"""Archives: what is refused, what is merged, and that the data folder never holds half a corpus."""

import io
import os
import signal
import subprocess
import sys
import tarfile
import time
import zipfile
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import fer_lib
from fer_lib.data import arrival
from fer_lib.data.datasets import find
from fer_lib.errors import AbsentDataError, FerError

REPOSITORY = Path(fer_lib.__file__).parents[1]
IMAGE = b"P5 2 2 255\n1234"
NAMES = [f"jaffe/KA.{code}1.{serial}.tiff" for serial, code in enumerate(("AN", "DI", "FE", "HA"), 30)]
JAFFE = dict.fromkeys(NAMES, IMAGE)


def zipped(path, files):
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


def tarred(path, files, kind=tarfile.REGTYPE):
    """Write a tar archive; what has no content (None) is of another kind."""
    with tarfile.open(path, "w:" + path.suffix[1:].replace("tar", "").replace("tgz", "gz")) as archive:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.type = kind if content is None else tarfile.REGTYPE
            info.size, info.linkname, info.mode = len(content or b""), "target", 0
            archive.addfile(info, io.BytesIO(content or b""))
    return path


def listing(folder):
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def unpacked(folder, *paths):
    folder.mkdir(exist_ok=True)
    return arrival.unpack(paths, folder)


@pytest.mark.parametrize("suffix", ["zip", "tar", "tar.gz", "tgz", "tar.xz", "tar.bz2"])
def test_every_kind_is_unpacked_whatever_it_is_called(tmp_path, suffix):
    made = tmp_path / f"x.{suffix}"
    (zipped if suffix == "zip" else tarred)(made, JAFFE | {"./jaffe//README": b"r", "__MACOSX/._x": b""})
    unpacked(tmp_path / "to", made.rename(tmp_path / "download"))
    assert listing(tmp_path / "to") == JAFFE | {"jaffe/README": b"r"}
    assert all(os.access(path, os.R_OK) for path in (tmp_path / "to").rglob("*"))  # recorded modes are 0


@pytest.mark.parametrize("name", ["/etc/x", "../x", "a/../../x"])
@pytest.mark.parametrize("make", [zipped, tarred])
def test_members_outside_the_folder_are_refused_by_name(tmp_path, name, make):
    suffix = "zip" if make is zipped else "tar"
    good = make(tmp_path / f"good.{suffix}", JAFFE)
    bad = make(tmp_path / f"bad.{suffix}", JAFFE | {name: b"x"})
    with pytest.raises(FerError) as refusal:
        arrival.import_files("jaffe", [good, bad], tmp_path / "deep" / "data")
    assert str(refusal.value) == (
        f"bad.{suffix} is refused: its member {name!r} leads out of the folder. Nothing was kept."
    )
    assert {path.name for path in tmp_path.iterdir()} == {good.name, bad.name, "deep"}
    assert standing(tmp_path / "deep" / "data") == []  # nothing of the good one either


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE])
def test_links_and_devices_are_refused(tmp_path, kind):
    made = tarred(tmp_path / "x.tar", JAFFE | {"jaffe/odd": None}, kind)
    with pytest.raises(FerError, match=r"its member 'jaffe/odd' is a link or device"):
        unpacked(tmp_path / "to", made)
    assert listing(tmp_path / "to") == {}


def test_several_archives_merge_and_a_file_in_two_versions_is_refused(tmp_path):
    one = zipped(tmp_path / "one.zip", {"a/x": b"1", "README": b"same"})
    two = tarred(tmp_path / "two.tar.gz", {"b/x": b"2", "README": b"same"})
    unpacked(tmp_path / "to", one, two)
    assert listing(tmp_path / "to") == {"a/x": b"1", "b/x": b"2", "README": b"same"}
    for clash in ({"a/x": b"3"}, {"a": b"file"}, {"a/x/y": b"below a file"}):
        with pytest.raises(FerError, match=r"clash\.zip is refused: its member '.*' is there already"):
            unpacked(tmp_path / "clash", one, zipped(tmp_path / "clash.zip", clash))


def test_names_that_are_not_ascii_are_kept(tmp_path):
    unpacked(tmp_path / "to", zipped(tmp_path / "y.zip", {"gezüchtet/日本": b""}))
    assert list(listing(tmp_path / "to")) == ["gezüchtet/日本"]


def test_archives_inside_an_archive_are_unpacked_one_level_deep(tmp_path):
    deepest = zipped(tmp_path / "deepest.zip", {"z": b"z"}).read_bytes()
    faces = tarred(tmp_path / "faces.tar.gz", {"faces/x": b"1", "faces/deepest.zip": deepest}).read_bytes()
    table = zipped(tmp_path / "train.csv.zip", {"train.csv": b"2"}).read_bytes()
    inside = {"in/faces.tar.gz": faces, "train.csv.zip": table, "a.rar": b"Rar!", "b.zip": deepest}
    packed = unpacked(tmp_path / "to", zipped(tmp_path / "o.zip", inside))
    expected = {"in/faces/x": b"1", "in/faces/deepest.zip": deepest, "train.csv": b"2", "a.rar": b"Rar!"}
    assert listing(tmp_path / "to") == expected | {"b/z": b"z"}
    assert packed == ["a.rar", "in/faces/deepest.zip"]
    bad = zipped(tmp_path / "bad.zip", {"../x": b""}).read_bytes()
    outer = zipped(tmp_path / "outer.zip", {"in/bad.zip": bad})
    with pytest.raises(FerError, match=r"in/bad\.zip \(inside outer\.zip\) is refused: its member '\.\./x'"):
        unpacked(tmp_path / "bad", outer)


@pytest.mark.parametrize(
    "content, sentence",
    [
        (b"", "x.zip is empty"),
        (b"version https://git-lfs.github.com/spec/v1\n", "x.zip is a Git LFS pointer"),
        (b"\n<!DOCTYPE html><title>Log in", "x.zip is a web page"),
        (b"Rar!\x1a\x07", "x.zip is a RAR archive"),
        (b"7z\xbc\xaf'\x1c", "x.zip is a 7-Zip archive"),
        (b"PK\x07\x08", "x.zip is one part of several"),
        (b"PK\x03\x04", "x.zip is cut off, damaged, one part of several or no archive"),
        (b"\x1f\x8b\x08", "x.zip is cut off, damaged"),
        (b"emotion,pixels\n", "x.zip is cut off, damaged"),
    ],
)
def test_what_is_no_archive_is_named(tmp_path, content, sentence):
    (tmp_path / "x.zip").write_bytes(content)
    with pytest.raises(FerError, match=sentence):
        unpacked(tmp_path / "to", tmp_path / "x.zip")


def test_what_cannot_be_read_is_named(tmp_path):
    with pytest.raises(FerError, match=r"absent\.zip cannot be read or unpacked \(No such file"):
        unpacked(tmp_path / "to", tmp_path / "absent.zip")
    with pytest.raises(FerError, match="is a folder; use it as it is, with --data-dir"):
        unpacked(tmp_path / "to", tmp_path)


@pytest.mark.parametrize("field, value", [(8, 1), (10, 9)])
def test_a_password_and_a_new_method_are_named(tmp_path, field, value):
    raw = bytearray(zipped(tmp_path / "x.zip", {"x": b"1"}).read_bytes())
    raw[raw.index(b"PK\x01\x02") + field] = value
    (tmp_path / "x.zip").write_bytes(raw)
    with pytest.raises(FerError, match=r"cannot be unpacked here \(.*(encrypted|compression).*; unpack it"):
        unpacked(tmp_path / "to", tmp_path / "x.zip")


@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    kind=st.sampled_from(["x.zip", "x.tar", "x.tar.gz"]),
    changes=st.lists(st.tuples(st.floats(0, 1), st.integers(0, 255)), max_size=6),
    kept=st.floats(0, 1),
)
def test_damaged_archives_end_in_a_sentence_and_inside_the_folder(tmp_path_factory, kind, changes, kept):
    place = tmp_path_factory.mktemp("damaged")
    made = place / kind
    (zipped if kind == "x.zip" else tarred)(made, {"a/b": b"12" * 200, "c": b""})
    data = bytearray(made.read_bytes())
    for where, value in changes:
        data[int(where * min(len(data) - 1, 3000))] = value
    made.write_bytes(data[: int(kept * len(data))])
    folder = place / "deep" / "to"
    folder.mkdir(parents=True)
    with suppress(FerError):
        arrival.unpack([made], folder)
    assert {path.name for path in place.iterdir()} == {"deep", kind}
    assert [path.name for path in folder.parent.iterdir()] == ["to"]


# --- a corpus comes whole or not at all ---------------------------------------------------------


def standing(folder):
    """What a data folder holds, but for the lock."""
    return sorted(path.name for path in folder.iterdir() if not path.name.endswith(".lock"))


def test_a_corpus_is_put_in_its_place_and_found(tmp_path):
    base = tmp_path / "new" / "data"
    made = zipped(tmp_path / "deep.zip", {f"a/b/{n}": IMAGE for n in JAFFE})
    folder, _ = arrival.import_files("jaffe", [made], base)
    assert (folder, standing(base)) == (base / "jaffe", ["jaffe"])
    assert find("jaffe", base).is_relative_to(folder)


def test_top_folders_go_until_the_reader_finds_its_files(tmp_path):
    table = b"emotion,pixels,Usage\n"
    made = zipped(tmp_path / "x.zip", {"FER-2013-main/data/fer2013.csv": table})
    arrival.import_files("fer2013", [made], tmp_path / "data")
    assert listing(tmp_path / "data" / "fer2013") == {"fer2013.csv": table}
    assert find("fer2013", tmp_path / "data") == tmp_path / "data" / "fer2013"


@pytest.mark.parametrize(
    "files, told",
    [
        ({"holiday/1.jpg": b"", "faces.7z": b"7z"}, "faces.7z would have to be unpacked by hand"),
        ({}, "What was given (no file ...)"),
    ],
)
def test_what_is_not_recognised_is_not_kept(tmp_path, files, told):
    with pytest.raises(FerError) as refusal:
        arrival.import_files("jaffe", [zipped(tmp_path / "x.zip", files)], tmp_path / "data")
    for part in ("not recognised as JAFFE", "KA.AN1.39.tiff", told):
        assert part in str(refusal.value)
    assert standing(tmp_path / "data") == []


def test_plain_files_are_brought_too(tmp_path):
    table = tmp_path / "fer2013.csv"
    table.write_bytes(b"emotion,pixels,Usage\n")
    votes = zipped(tmp_path / "votes.zip", {"fer2013new.csv": b"Usage\n"})
    folder, packed = arrival.import_files("fer2013", [table, votes], tmp_path / "data")
    assert listing(folder) == {"fer2013.csv": b"emotion,pixels,Usage\n", "fer2013new.csv": b"Usage\n"}
    assert packed == []


def test_a_copy_that_is_there_is_only_replaced_when_told(tmp_path):
    base = tmp_path / "data"
    made = zipped(tmp_path / "x.zip", JAFFE)
    (base / "jaffe").mkdir(parents=True)
    arrival.import_files("jaffe", [made], base)  # an empty folder is no copy
    (base / "jaffe" / "note").write_text("mine")
    with pytest.raises(FerError, match=r"jaffe is here already, in .*; add --replace"):
        arrival.import_files("jaffe", [made], base)
    inside = zipped(base / "jaffe" / "inside.zip", JAFFE)
    with pytest.raises(FerError, match=r"inside\.zip lies in the folder that would be replaced"):
        arrival.import_files("jaffe", [inside], base, replace=True)
    assert (base / "jaffe" / "note").exists()
    arrival.import_files("jaffe", [made], base, replace=True)
    assert not (base / "jaffe" / "note").exists()
    (base / "jaffe").rename(base / "JAFFE")  # under another name it would be found first
    with pytest.raises(FerError, match="here already"):
        arrival.import_files("jaffe", [made], base, replace=True)


@pytest.mark.parametrize("failing", [["jaffe"], ["jaffe", "old"]])
def test_a_failed_replacement_leaves_the_copy(tmp_path, monkeypatch, failing):
    base = tmp_path / "data"
    made = zipped(tmp_path / "x.zip", JAFFE)
    arrival.import_files("jaffe", [made], base)
    before = listing(base / "jaffe")
    rename = Path.rename

    def fail(self, target):
        if self.parent.name == ".jaffe.import" and Path(target) == base / "jaffe" and self.name in failing:
            raise OSError(5, "Input/output error", str(self))
        return rename(self, target)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", fail)
        with pytest.raises(OSError, match="Input/output error"):
            arrival.import_files("jaffe", [made], base, replace=True)
    if "old" in failing:  # it could not even be put back: the next import does it
        assert listing(base / ".jaffe.import" / "old") == before
        with pytest.raises(FerError, match="jaffe is here already"):
            arrival.import_files("jaffe", [made], base)
    assert (standing(base), listing(base / "jaffe")) == (["jaffe"], before)


def test_a_killed_import_leaves_nothing_that_counts_and_the_next_clears_it(tmp_path):
    base = tmp_path / "data"
    made = zipped(tmp_path / "x.zip", JAFFE)
    code = (
        "import time; from pathlib import Path; from fer_lib.data import arrival\n"
        "real = arrival.unpack\n"
        "def slow(paths, folder):\n    real(paths, folder); Path('ready').touch(); time.sleep(60)\n"
        "arrival.unpack = slow\n"
        f"arrival.import_files('jaffe', [{str(made)!r}], {str(base)!r})"
    )
    environment = os.environ | {"PYTHONPATH": str(REPOSITORY)}
    with subprocess.Popen([sys.executable, "-c", code], cwd=tmp_path, env=environment) as process:
        while not (tmp_path / "ready").exists() and process.poll() is None:
            time.sleep(0.05)
        with pytest.raises(FerError, match="Another import of jaffe"):  # while it is alive
            arrival.import_files("jaffe", [made], base)
        process.send_signal(signal.SIGKILL)
    assert listing(base / ".jaffe.import") != {}
    with pytest.raises(AbsentDataError):
        find("jaffe", base)
    arrival.import_files("jaffe", [made], base)
    assert standing(base) == ["jaffe"]


@pytest.mark.skipif(hasattr(os, "geteuid") and os.geteuid() == 0, reason="nothing is read-only to root")
def test_a_folder_that_cannot_be_written_to_is_named(tmp_path):
    (tmp_path / "data").mkdir(mode=0o500)
    with pytest.raises(FerError, match="cannot be written to"):
        arrival.import_files("jaffe", [zipped(tmp_path / "x.zip", JAFFE)], tmp_path / "data")


def test_a_full_disk_is_named(tmp_path, monkeypatch):
    def full(*arguments, **options):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(zipfile.ZipFile, "extract", full)
    with pytest.raises(FerError, match=r"cannot be read or unpacked \(No space left on device\)"):
        arrival.import_files("jaffe", [zipped(tmp_path / "x.zip", JAFFE)], tmp_path / "data")
    assert standing(tmp_path / "data") == []
