"""A run exported as an RO-Crate: whole, valid and without paths of this machine."""

import json
import zipfile

import pytest
from rocrate.rocrate import ROCrate

from fer_lib import cli
from fer_lib.errors import FerError
from fer_lib.evidence.crate import PROFILE, export


@pytest.fixture(scope="module")
def run(smoke_of):
    return smoke_of("control")


@pytest.fixture(scope="module")
def crate(run, tmp_path_factory):
    return export(run, tmp_path_factory.mktemp("crate") / "run.zip")


def test_every_file_of_the_run_is_in_it_and_is_a_result(run, crate):
    files = {path.relative_to(run.path).as_posix() for path in run.path.rglob("*") if path.is_file()}
    files = {name for name in files if not name.startswith("weights/")}
    assert files < set(zipfile.ZipFile(crate).namelist())
    action = ROCrate(crate).get("#run")
    assert {entity.id for entity in action["result"]} == files


def test_it_says_what_was_run_on_what_and_with_what(run, crate):
    read = ROCrate(crate)
    action, software = read.get("#run"), read.get("#fer_lib")
    assert read.root_dataset["conformsTo"].id == PROFILE
    assert action["instrument"].id == software.id
    assert action["endTime"] == run.info["provenance"]["finished"]
    assert action["object"][0]["identifier"] == run.info["fingerprint"]
    given = {entity["name"]: entity["value"] for entity in action["object"][1:]}
    assert given["budget"] == "smoke"
    assert "data_dir" not in given
    assert any(text.startswith("torch ") for text in software["softwareRequirements"])


def test_every_entity_that_is_named_is_there(crate):
    graph = json.loads(zipfile.ZipFile(crate).read("ro-crate-metadata.json"))["@graph"]
    known = {entity["@id"] for entity in graph}

    def named(value):
        if isinstance(value, list):
            return {name for item in value for name in named(item)}
        return {value["@id"]} if isinstance(value, dict) and "@id" in value else set()

    wanted = {name for entity in graph for value in entity.values() for name in named(value)}
    outside = {name for name in wanted - known if not name.startswith("http")}
    assert not outside


def test_nothing_is_overwritten(run, crate):
    with pytest.raises(FerError, match="is there already"):
        export(run, crate)
    with pytest.raises(FerError, match="lies in the run"):
        export(run, run.path / "mine.zip")


def test_what_is_no_run_is_one_sentence(tmp_path, capsys):
    assert cli.main(["export", str(tmp_path)]) == 2
    assert "is no run: it has no run.json" in capsys.readouterr().err


def test_the_doctor_looks_at_everything_and_says_what_to_mend(monkeypatch, capsys):
    looks = [("memory", True, "8 GiB free"), ("kernel", False, "no kernel: install one")]
    monkeypatch.setattr(cli.care, "checks", lambda: looks)
    assert cli.main(["doctor"]) == 1
    assert capsys.readouterr().out.splitlines() == [
        "ok    memory      8 GiB free",
        "MEND  kernel      no kernel: install one",
    ]
    monkeypatch.setattr(cli.care, "checks", lambda: looks[:1])
    assert cli.main(["doctor"]) == 0


def test_each_check_answers(monkeypatch):
    monkeypatch.setattr(cli.care, "_precision", lambda: "not looked at")
    found = {name: (fine, said) for name, fine, said in cli.care.checks()}
    assert {"device", "precision", "cache", "results", "data", "kernel", "browser"} <= found.keys()
    assert all(isinstance(fine, bool) and said for fine, said in found.values())


def test_shells_can_complete_the_command(capsys):
    with pytest.raises(SystemExit):
        cli.main(["--completion", "bash"])
    assert "scorecard" in capsys.readouterr().out
