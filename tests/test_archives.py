"""Archives: what is refused by name, what is merged, and that the data folder never holds half a corpus."""

import gzip
import io
import os
import shutil
import signal
import stat
import subprocess
import sys
import tarfile
import time
import zipfile
from collections import namedtuple
from pathlib import Path

import pytest
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

import fer_lib
from fer_lib.data import arrival
from fer_lib.data.datasets import find
from fer_lib.errors import AbsentDataError, FerError

REPOSITORY = Path(fer_lib.__file__).parents[1]
IMAGE = b"P5 2 2 255\n1234"
NAMES = [f"jaffe/KA.{code}1.{serial}.tiff" for serial, code in enumerate(("AN", "DI", "FE", "HA"), 30)]
JAFFE = dict.fromkeys(NAMES, IMAGE)
LINKS = {"symlink": tarfile.SYMTYPE, "hard link": tarfile.LNKTYPE}
DEVICES = {"fifo": tarfile.FIFOTYPE, "block": tarfile.BLKTYPE, "character": tarfile.CHRTYPE}
OUTSIDE = ["/etc/x", "../x", "a/../../x", "a/..", "C:/x", "a/c:x", "a\\x", "\\\\host\\x", ".. /x", "a/.../x"]


def zipped(path, files, **options):
    with zipfile.ZipFile(path, "w", **options) as archive:
        for name, content in files.items():
            info = zipfile.ZipInfo(name)
            info.filename, info.compress_type = name, archive.compression  # backslashes on every system
            archive.writestr(info, content)
    return path


def tarred(path, files, kind=tarfile.REGTYPE):
    mode = "w:" + {"tgz": "gz", "gz": "gz", "xz": "xz", "bz2": "bz2", "tar": ""}[path.name.split(".")[-1]]
    with tarfile.open(path, mode) as archive:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.type = (
                tarfile.DIRTYPE if name.endswith("/") else kind if content is None else tarfile.REGTYPE
            )
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
    (zipped if suffix == "zip" else tarred)(made, JAFFE | {"jaffe/": b"", "./jaffe//README": b"r"})
    made = made.rename(tmp_path / "download")
    result = unpacked(tmp_path / "to", made)
    assert listing(tmp_path / "to") == JAFFE | {"jaffe/README": b"r"}
    assert (result.files, result.size, result.left_behind) == (5, 4 * len(IMAGE) + 1, 0)
    assert all(os.access(path, os.R_OK) for path in (tmp_path / "to").rglob("*"))  # recorded modes are 0


@pytest.mark.parametrize("name", OUTSIDE)
@pytest.mark.parametrize("suffix", ["zip", "tar"])
def test_members_outside_the_folder_are_refused_by_name(tmp_path, name, suffix):
    make = zipped if suffix == "zip" else tarred
    good, bad = (
        make(tmp_path / f"good.{suffix}", JAFFE),
        make(tmp_path / f"bad.{suffix}", JAFFE | {name: b"x"}),
    )
    with pytest.raises(FerError) as refusal:
        arrival.import_files("jaffe", [good, bad], tmp_path / "deep" / "data")
    assert str(refusal.value) == (
        f"bad.{suffix} is refused: its member {name!r} leads out of the folder. Nothing was kept."
    )
    assert {path.name for path in tmp_path.iterdir()} == {f"good.{suffix}", f"bad.{suffix}", "deep"}
    assert standing(tmp_path / "deep" / "data") == []  # nothing of the good one either


@given(st.text(st.sampled_from("a./\\:C~\0 é"), max_size=9))
def test_a_name_is_refused_or_stays_inside(name):
    if not arrival.misplaced(name):
        inside = os.path.normpath(f"/to/{name}")
        assert inside == "/to" or inside.startswith("/to/")
        assert not Path(name).is_absolute()
        assert "\\" not in name


@pytest.mark.parametrize("kind", [*LINKS, *DEVICES])
def test_links_and_devices_are_refused(tmp_path, kind):
    made = tarred(tmp_path / "x.tar", JAFFE | {"jaffe/odd": None}, (LINKS | DEVICES)[kind])
    with pytest.raises(FerError, match=r"its member 'jaffe/odd' is a (link|device)"):
        unpacked(tmp_path / "to", made)
    assert listing(tmp_path / "to") == {}


def test_a_link_in_a_zip_is_refused(tmp_path):
    info = zipfile.ZipInfo("odd")
    info.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        archive.writestr(info, "/etc/passwd")
    with pytest.raises(FerError, match="its member 'odd' is a link"):
        unpacked(tmp_path / "to", tmp_path / "x.zip")


def test_more_than_the_disk_holds_is_refused(tmp_path, monkeypatch):
    room = namedtuple("Room", "total used free")(10**9, 0, 4_000_000)
    monkeypatch.setattr(arrival.shutil, "disk_usage", lambda folder: room)
    for make, name in ((zipped, "bomb.zip"), (tarred, "bomb.tar.gz")):
        options = {"compression": zipfile.ZIP_DEFLATED} if make is zipped else {}
        bomb = make(tmp_path / name, {"a": bytes(3_000_000), "b": bytes(3_000_000)}, **options)
        assert bomb.stat().st_size < 20_000
        with pytest.raises(FerError, match=r"has 6 MB when unpacked, but .* has 4 MB free"):
            unpacked(tmp_path / "to", bomb)
    assert unpacked(tmp_path / "to", zipped(tmp_path / "a.zip", {"a": bytes(3_000_000)})).files == 1


def test_several_archives_merge_and_a_file_in_two_versions_is_refused(tmp_path):
    one = zipped(tmp_path / "one.zip", {"a/x": b"1", "README": b"same"})
    two = tarred(tmp_path / "two.tar.gz", {"b/x": b"2", "README": b"same"})
    assert unpacked(tmp_path / "to", one, two).files == 3
    assert listing(tmp_path / "to") == {"a/x": b"1", "b/x": b"2", "README": b"same"}
    for content in (b"3", b"", b"12"):
        three = zipped(tmp_path / "three.zip", {"a/x": content})
        with pytest.raises(FerError, match=r"three\.zip is refused: its member 'a/x' is there already"):
            unpacked(tmp_path / "again", one, three)
    for clash in ({"a": b"file"}, {"a/x/y": b"below a file"}):
        with pytest.raises(FerError, match="is there already"):
            unpacked(tmp_path / "clash", one, zipped(tmp_path / "clash.zip", clash))


def test_what_systems_leave_behind_is_left_out(tmp_path):
    junk = ["__MACOSX/jaffe/._x", "jaffe/.DS_Store", "._jaffe", "jaffe/Thumbs.db", "jaffe/Desktop.ini"]
    made = zipped(tmp_path / "x.zip", JAFFE | dict.fromkeys([*junk, "__MACOSX/"], b""))
    result = unpacked(tmp_path / "to", made)
    assert (listing(tmp_path / "to"), result.left_behind) == (JAFFE, 5)
    with pytest.raises(FerError, match="leads out of the folder"):
        unpacked(tmp_path / "bad", zipped(tmp_path / "bad.zip", {"__MACOSX/../../x": b""}))


@pytest.mark.skipif(sys.platform != "linux", reason="other systems hold no such names")
def test_names_that_are_not_utf8_are_kept(tmp_path):
    made = tmp_path / "x.tar"
    with tarfile.open(made, "w", format=tarfile.GNU_FORMAT, encoding="latin-1") as archive:
        archive.addfile(tarfile.TarInfo("café"))
    unpacked(tmp_path / "to", made)
    assert os.listdir(os.fsencode(tmp_path / "to")) == [b"caf\xe9"]  # noqa: PTH208 (bytes)
    zipped(tmp_path / "y.zip", {"gezüchtet/日本": b""})
    unpacked(tmp_path / "utf8", tmp_path / "y.zip")
    assert list(listing(tmp_path / "utf8")) == ["gezüchtet/日本"]


def test_archives_inside_an_archive_are_unpacked_one_level_deep(tmp_path):
    deepest = zipped(tmp_path / "deepest.zip", {"z": b"z"}).read_bytes()
    faces = tarred(tmp_path / "faces.tar.gz", {"faces/x": b"1", "faces/deepest.zip": deepest}).read_bytes()
    table = zipped(tmp_path / "train.csv.zip", {"train.csv": b"2"}).read_bytes()
    outer = zipped(tmp_path / "o.zip", {"in/faces.tar.gz": faces, "train.csv.zip": table, "a.rar": b"Rar!"})
    result = unpacked(tmp_path / "to", outer)
    expected = {"in/faces/x": b"1", "in/faces/deepest.zip": deepest, "train.csv": b"2", "a.rar": b"Rar!"}
    assert listing(tmp_path / "to") == expected
    assert result.files == len(expected)
    assert sorted(result.packed) == ["a.rar", "in/faces/deepest.zip"]
    bad = zipped(tmp_path / "bad.zip", {"../x": b""}).read_bytes()
    outer = zipped(tmp_path / "outer.zip", {"in/bad.zip": bad})
    with pytest.raises(FerError, match=r"in/bad\.zip \(inside outer\.zip\) is refused: its member '\.\./x'"):
        unpacked(tmp_path / "bad", outer)


@pytest.mark.parametrize(
    "content, sentence",
    [
        (b"", "x is empty"),
        (b"version https://git-lfs.github.com/spec/v1\n", "x is a Git LFS pointer"),
        (b"\n<!DOCTYPE html><title>Log in", "x is a web page"),
        (b"Rar!\x1a\x07", "x is a RAR archive"),
        (b"7z\xbc\xaf'\x1c", "x is a 7-Zip archive"),
        (b"PK\x03\x04", "x is cut off, damaged or no archive"),
        (b"\x1f\x8b\x08", "x is cut off, damaged or no archive"),
        (gzip.compress(b"emotion,pixels\n" * 99, mtime=0), "x is cut off, damaged or no archive"),
        (bytes(10240), "x holds no files"),
        (b"PK\x05\x06" + bytes(18), "x holds no files"),
    ],
)
def test_what_is_no_archive_is_named(tmp_path, content, sentence):
    (tmp_path / "x").write_bytes(content)
    with pytest.raises(FerError, match=sentence):
        unpacked(tmp_path / "to", tmp_path / "x")
    with pytest.raises(FerError, match=r"absent\.zip cannot be read or unpacked \(No such file"):
        unpacked(tmp_path / "to", tmp_path / "absent.zip")
    with pytest.raises(FerError, match="is a folder; use it as it is, with --data-dir"):
        unpacked(tmp_path / "to", tmp_path)


def test_a_password_and_a_new_method_are_named(tmp_path):
    raw = bytearray(zipped(tmp_path / "x.zip", {"x": b"1"}).read_bytes())
    for start, flags in ((raw.index(b"PK\x01\x02") + 8, 1), (raw.index(b"PK\x01\x02") + 10, 9)):
        changed = bytearray(raw)
        changed[start] = flags
        (tmp_path / "x.zip").write_bytes(changed)
        with pytest.raises(FerError, match=r"is protected by a password|only newer programs know"):
            unpacked(tmp_path / "to", tmp_path / "x.zip")


@pytest.mark.parametrize("name", ["x.zip", "x.tar", "x.tar.gz", "x.tar.xz", "x.tar.bz2"])
def test_a_cut_archive_is_noticed_wherever_it_is_cut(tmp_path, name):
    content = {f"{i}": os.urandom(700) for i in range(9)}
    made = (zipped if name == "x.zip" else tarred)(tmp_path / name, content)
    whole = made.read_bytes()
    ends = [10240 - 2 * 512 + 5] if name == "x.tar" else [len(whole) - 9]
    for i, end in enumerate([*range(1, len(whole) * 2 // 3, 512), *ends]):
        if name == "x.tar" and end >= 9 * 1536:
            continue  # only the end mark is cut
        made.write_bytes(whole[:end])
        with pytest.raises(FerError, match=name):
            unpacked(tmp_path / f"to{i}", made)
    if name == "x.tar":  # between two members, where tarfile sees nothing
        made.write_bytes(whole[: 2 * 1536])
        with pytest.raises(FerError, match="cut off, damaged"):
            unpacked(tmp_path / "between", made)


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    kind=st.sampled_from(["x.zip", "x.tar", "x.tar.gz"]),
    changes=st.lists(st.tuples(st.floats(0, 1), st.integers(0, 255)), min_size=1, max_size=6),
)
def test_damaged_archives_end_in_a_sentence_and_inside_the_folder(tmp_path, kind, changes):
    made = tmp_path / kind
    (zipped if kind == "x.zip" else tarred)(made, {"a/b": b"12" * 200, "c": b"", "d/": b""})
    data = bytearray(made.read_bytes())
    for where, value in changes:
        data[int(where * min(len(data) - 1, 3000))] = value
    made.write_bytes(data)
    folder = tmp_path / "deep" / "to"
    folder.mkdir(parents=True, exist_ok=True)
    try:
        arrival.unpack([made], folder)
    except FerError as error:
        event(str(error).partition(" is ")[2][:14])
    assert {path.name for path in tmp_path.iterdir()} <= {"deep", "x.zip", "x.tar", "x.tar.gz"}
    assert [path.name for path in folder.parent.iterdir()] == ["to"]
    shutil.rmtree(folder)


# --- a corpus comes whole or not at all ---------------------------------------------------------


def standing(folder):
    """What a data folder holds, but for the lock."""
    return sorted(path.name for path in folder.iterdir() if not path.name.endswith(".lock"))


def test_a_corpus_is_put_in_its_place_and_found(tmp_path):
    base = tmp_path / "new" / "data"
    for wrapped, files in (
        ("plain", {Path(n).name: IMAGE for n in JAFFE}),
        ("deep", {f"a/b/{n}": IMAGE for n in JAFFE}),
    ):
        made = zipped(tmp_path / f"{wrapped}.zip", files)
        folder, result = arrival.import_files("jaffe", [made], base, replace=True)
        assert (folder, result.files, standing(base)) == (base / "jaffe", 4, ["jaffe"])
        assert find("jaffe", base).is_relative_to(folder)
    arrival.import_files("jaffe", [zipped(tmp_path / "x.zip", JAFFE)], base, replace=True)
    assert set(listing(base / "jaffe")) == {Path(name).name for name in JAFFE}  # not jaffe/jaffe


def test_top_folders_go_until_the_reader_finds_its_files(tmp_path):
    table = b"emotion,pixels,Usage\n"
    made = zipped(tmp_path / "x.zip", {"FER-2013-main/data/fer2013.csv": table})
    arrival.import_files("fer2013", [made], tmp_path / "data")
    assert listing(tmp_path / "data" / "fer2013") == {"fer2013.csv": table}
    assert find("fer2013", tmp_path / "data") == tmp_path / "data" / "fer2013"


def test_what_is_not_recognised_is_not_kept(tmp_path):
    made = zipped(tmp_path / "x.zip", {"holiday/1.jpg": b"", "faces.7z": b"7z"})
    with pytest.raises(FerError) as refusal:
        arrival.import_files("jaffe", [made], tmp_path / "data")
    assert "not recognised as JAFFE" in str(refusal.value)
    assert "KA.AN1.39.tiff" in str(refusal.value)
    assert "faces.7z would have to be unpacked by hand" in str(refusal.value)
    assert standing(tmp_path / "data") == []
    with pytest.raises(FerError, match=r"What was given \(test_archives\.py\) is not recognised"):
        arrival.import_files("jaffe", [Path(__file__)], tmp_path / "data")
    (tmp_path / "empty").touch()
    with pytest.raises(FerError, match="empty is empty"):
        arrival.import_files("jaffe", [tmp_path / "empty"], tmp_path / "untouched")
    assert not (tmp_path / "untouched").exists()


def test_plain_files_are_brought_too(tmp_path):
    table = tmp_path / "fer2013.csv"
    table.write_bytes(b"emotion,pixels,Usage\n")
    votes = zipped(tmp_path / "votes.zip", {"fer2013new.csv": b"Usage\n"})
    folder, result = arrival.import_files("fer2013", [table, votes], tmp_path / "data")
    assert listing(folder) == {"fer2013.csv": b"emotion,pixels,Usage\n", "fer2013new.csv": b"Usage\n"}
    assert (result.files, result.packed) == (2, [])
    disguised = tarred(tmp_path / "x.tar", {"fer2013.csv": b"emotion,pixels,Usage\n"})
    disguised.rename(table)  # an archive under a csv's name is unpacked all the same
    arrival.import_files("fer2013", [table], tmp_path / "data", replace=True)
    assert listing(folder) == {"fer2013.csv": b"emotion,pixels,Usage\n"}


@pytest.mark.parametrize("name", ["x.zip", "x.zip.001", "x.z01"])
def test_one_part_of_several_is_named(tmp_path, name):
    whole = bytearray(zipped(tmp_path / "x.zip", JAFFE).read_bytes())
    if name == "x.zip":  # the last part says that the others come before it
        whole[whole.rindex(b"PK\x05\x06") + 4] = 2
    elif name == "x.z01":
        whole[:4] = b"PK\x07\x08"
    (tmp_path / name).write_bytes(whole if name == "x.zip" else whole[:100])
    with pytest.raises(FerError, match=r"is one part of several"):
        arrival.import_files("jaffe", [tmp_path / name], tmp_path / "data")
    assert not (tmp_path / "data").exists() or standing(tmp_path / "data") == []


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
    (base / "JAFFE").rename(tmp_path / "away")
    (base / "jaffe").write_text("")
    with pytest.raises(FerError, match=r"already in the place of .*--replace"):
        arrival.import_files("jaffe", [made], base)
    (base / "jaffe").unlink()
    (base / "jaffe").mkdir()
    (base / "jaffe" / "note").touch()
    with pytest.raises(FerError, match="Something else is already"):
        arrival.import_files("jaffe", [made], base)


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
        with pytest.raises(FerError, match="cannot be written to"):
            arrival.import_files("jaffe", [made], base, replace=True)
    if "old" in failing:  # it could not even be put back: the next import does it
        assert listing(base / ".jaffe.import" / "old") == before
        with pytest.raises(FerError, match="jaffe is here already"):
            arrival.import_files("jaffe", [made], base)
    assert (standing(base), listing(base / "jaffe")) == (["jaffe"], before)


def test_an_interrupted_import_leaves_nothing(tmp_path, monkeypatch):
    def interrupt(*arguments):
        (arguments[1] / "KA.AN1.39.tiff").write_bytes(IMAGE)
        raise KeyboardInterrupt

    monkeypatch.setattr(arrival, "unpack", interrupt)
    with pytest.raises(KeyboardInterrupt, match="as it was before"):
        arrival.import_files("jaffe", [zipped(tmp_path / "x.zip", JAFFE)], tmp_path / "data")
    assert standing(tmp_path / "data") == []


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
        until = time.monotonic() + 60
        while not (tmp_path / "ready").exists() and time.monotonic() < until:
            time.sleep(0.05)
        with pytest.raises(FerError, match="Another import of jaffe"):  # while it is alive
            arrival.import_files("jaffe", [made], base)
        process.send_signal(signal.SIGKILL)
    assert listing(base / ".jaffe.import") != {}
    with pytest.raises(AbsentDataError):
        find("jaffe", base)
    arrival.import_files("jaffe", [made], base)
    assert standing(base) == ["jaffe"]


def test_a_copy_that_a_killed_replacement_moved_away_is_put_back(tmp_path):
    base = tmp_path / "data"
    old = base / ".jaffe.import" / "old"
    old.mkdir(parents=True)
    (old / "KA.AN1.39.tiff").write_bytes(IMAGE)
    with pytest.raises(FerError, match="jaffe is here already"):
        arrival.import_files("jaffe", [zipped(tmp_path / "x.zip", JAFFE)], base)
    assert list(listing(base / "jaffe")) == ["KA.AN1.39.tiff"]


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


@pytest.mark.parametrize(
    "name, sentence", [("jafe", "Did you mean 'jaffe'"), ("synthetic", "needs no files")]
)
def test_names_that_cannot_be_imported(tmp_path, name, sentence):
    with pytest.raises(FerError, match=sentence):
        arrival.import_files(name, [zipped(tmp_path / "x.zip", JAFFE)], tmp_path / "data")
