"""The one download: from a server on this machine, well and in every way it can fail."""

import hashlib
import http.server
import io
import itertools
import json
import tarfile
import threading
import zipfile

import pytest

from fer_lib import cli
from fer_lib.data import arrival
from fer_lib.data.datasets import cmu_faces, find
from fer_lib.errors import AbsentDataError, FerError

GLITCHES = {"angry": 5, "happy": 5, "sad": 4, "neutral": 2}  # of 160 each, at every scale
POSES = ("straight", "left", "right", "up")


def faces(suffixes, glitches=GLITCHES):
    """Return name -> content of the set's files at some scales, each image of 2x2 pixels."""
    files = {}
    people = [f"user{chr(97 + i)}" for i in range(20)]
    parts = itertools.product(people, POSES, GLITCHES, ("open", "sunglasses"))
    left = {(suffix, expression): n for suffix in suffixes for expression, n in glitches.items()}
    for i, (user, pose, expression, eyes) in enumerate(parts):
        for suffix in suffixes:
            bad = left[suffix, expression] > 0
            left[suffix, expression] -= 1
            name = f"faces/{user}/{user}_{pose}_{expression}_{eyes}{suffix}.{'bad' if bad else 'pgm'}"
            files[name] = b"P5 2 2 255\n" + i.to_bytes(4, "big")
    return files


def tarred(files):
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w:gz", compresslevel=1) as archive:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return made.getvalue()


@pytest.fixture(scope="module")
def whole():
    """The repository's zip: a page, the archive of all images, and one of the smallest once more."""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        archive.writestr("faces.html", "<html>")
        archive.writestr("faces.tar.gz", tarred(faces(("", "_2", "_4"))))
        archive.writestr("faces_4.tar.gz", tarred(faces(("_4",))))
    return made.getvalue()


@pytest.fixture
def served(whole, monkeypatch, tmp_path):
    """Return the address of a server that sends each page as it is written here."""
    fewer = tarred(faces(("", "_2", "_4"), GLITCHES | {"sad": 5}))
    pages = {"/all.zip": whole, "/faces.tar.gz": tarred(faces(("", "_2", "_4"))), "/fewer.tgz": fewer}
    pages |= {"/cut.zip": whole, "/slow.zip": whole, "/page.zip": b"<!doctype html>Sorry", "/": whole}

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            content = pages.get(self.path)
            if content is None:
                self.send_error(404)
                return
            self.send_response(200)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            if self.path in ("/cut.zip", "/slow.zip"):
                self.wfile.write(content[: len(content) // 2])
                self.wfile.flush()
                if self.path == "/slow.zip":
                    ended.wait(60)
                return
            self.wfile.write(content)

        def log_message(self, *arguments):
            pass

    monkeypatch.setenv("NO_PROXY", "*")
    monkeypatch.setenv("FER_CACHE", str(tmp_path / "cache"))
    ended = threading.Event()
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.pages = pages
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        yield server
        ended.set()
        server.shutdown()
        thread.join()


def address(server, page):
    return f"http://127.0.0.1:{server.server_port}/{page}"


def nothing_kept(base):
    with pytest.raises(AbsentDataError):
        find("cmu_faces", base)
    return not base.exists() or [p.name for p in base.iterdir()] in ([], [".cmu_faces.import.lock"])


def test_download_check_and_record(served, whole, tmp_path, capsys):
    base = tmp_path / "data"
    url, sha256 = address(served, "all.zip"), hashlib.sha256(whole).hexdigest()
    fetch = ["data", "fetch", "cmu_faces", "--url", url, "--data-dir", str(base), "--sha256"]
    assert cli.main([*fetch, sha256.upper()]) == 0
    said = capsys.readouterr().out
    for part in (f"sha256 {sha256}", "usable 624/624", "all well", "anger 155, happiness 155"):
        assert part in said
    record = json.loads((base / "cmu_faces" / "download.json").read_text())
    assert (record["url"], record["sha256"], record["size"]) == (url, sha256, len(whole))
    assert sorted(path.name for path in base.iterdir()) == [".cmu_faces.import.lock", "cmu_faces"]
    for scale in cmu_faces.SCALES:  # the smallest were there twice
        assert cmu_faces.READER.locate(base / "cmu_faces", scale=scale).problems == []
    assert cli.main([*fetch, sha256]) == 2
    assert "add --replace" in capsys.readouterr().err


def test_a_given_checksum_is_demanded(served, tmp_path):
    options = {"url": address(served, ""), "data_dir": tmp_path / "data"}
    with pytest.raises(FerError, match=f"expected {'0' * 64} but got .*Nothing was kept"):
        arrival.fetch("cmu_faces", **options, sha256="0" * 64)
    assert nothing_kept(tmp_path / "data")


def test_what_is_not_complete_is_refused(served, tmp_path):
    with pytest.raises(FerError, match=r"sent no complete CMU .* \(scale full: usable: 623, officially 624"):
        arrival.fetch("cmu_faces", tmp_path / "data", url=address(served, "fewer.tgz"))
    assert nothing_kept(tmp_path / "data")


@pytest.mark.parametrize(
    "page, sentence",
    [
        ("absent.zip", "answered 404 Not Found"),
        ("cut.zip", "stopped answering"),
        ("page.zip", "page.zip is a web page"),
    ],
)
def test_failures_are_one_sentence_and_leave_nothing(served, tmp_path, capsys, page, sentence):
    base = tmp_path / "data"
    assert (
        cli.main(["data", "fetch", "cmu_faces", "--url", address(served, page), "--data-dir", str(base)]) == 2
    )
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith("fer: ")
    assert said.err.count("\n") == 1
    assert sentence in said.err
    assert nothing_kept(base)


def test_a_server_that_falls_silent(served, tmp_path, monkeypatch):
    monkeypatch.setattr(arrival, "TIMEOUT", 0.2)
    with pytest.raises(FerError, match=r"stopped answering.* fer data import cmu_faces ARCHIVE"):
        arrival.fetch("cmu_faces", tmp_path / "data", url=address(served, "slow.zip"))
    assert nothing_kept(tmp_path / "data")


def test_the_others_may_not_be_downloaded(tmp_path):
    from fer_lib.data import datasets

    for name, card in datasets.CARDS.items():
        if name not in ("cmu_faces", "synthetic"):
            with pytest.raises(FerError) as refusal:
                arrival.fetch(name, tmp_path / "data")
            said = str(refusal.value)
            assert said.startswith(f"{card.title} may not be downloaded")
            assert card.owner in said
            assert f"fer data import {name} ARCHIVE" in said
            assert "\n" not in said
    with pytest.raises(FerError, match="is generated and needs no files"):
        arrival.fetch("synthetic")
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize("url", ["ftp://x/y.zip", "faces.zip", "http://[x/"])
def test_addresses_that_cannot_be_meant(tmp_path, url):
    with pytest.raises(FerError, match="Nothing was kept"):
        arrival.fetch("cmu_faces", tmp_path / "data", url=url)
