"""The command line: what it prints, its exit codes, and a run of a small notebook from check to evidence."""

import json
import os
import signal
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import nbformat
import pytest

import fer_lib
from fer_lib import cli
from fer_lib.cli import data as cli_data
from fer_lib.errors import FerError
from fer_lib.evidence import execution, preflight, provenance

REPOSITORY = Path(fer_lib.__file__).parents[1]
PARAMETERS = """\
dataset = "synthetic"  # corpus
budget = "smoke"
seed = 0
device = "auto"
data_dir = None
use_batchnorm = False
dense_dropout = 0.5
lr = 0.001
sift_merge = "softmax"
"""
BODY = """\
import os, sys, time
from pathlib import Path
import numpy as np
from fer_lib.errors import FerError
from fer_lib.evidence import preflight, runs

parameters = preflight.resolve("cnn_sift", globals())
fail = os.environ.get("TEST_FAIL")
if fail == "user":
    raise FerError("The corpus has no subjects.")
if fail == "slow":
    print(Path("started").write_text("yes"))
    time.sleep(60)
if fail == "killed":
    os.kill(os.getpid(), 9)
if fail == "memory":
    raise MemoryError
if fail == "silent":  # no memory left to tell the error
    get_ipython()._showtraceback = lambda *told: None
    raise MemoryError
name = runs.variant("cnn_sift", parameters)
recorder = runs.Recorder("cnn_sift", dataset, budget, seed, name, parameters=parameters, fingerprint="f")
print(sys.prefix, os.getcwd(), recorder.stage, os.environ.get("FER_DATA"), os.environ.get("OMP_NUM_THREADS"))
print("epoch 1\\repoch 2", file=sys.stderr)
print("training: 10%|#         | 1/10", file=sys.stderr)
p = np.full((4, 3), 0.2)
p[:, 0] = 0.6
recorder.add_predictions("C1", p, [0, 0, 0, 1], list("abcd"))
recorder.commit()
"""
CORPUS = {
    **{"dataset": "synthetic", "ok": True, "root": None, "images": 4, "sequences": None, "subjects": 2},
    **{"splits": {}, "per_class": {"anger": 4}, "problems": [], "fingerprint": "f"},
}


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A repository with one small notebook, in the working directory, and a corpus that needs no drawing."""
    from fer_lib.data import datasets

    (tmp_path / "pyproject.toml").touch()
    (tmp_path / "notebooks").mkdir()
    cells = [nbformat.v4.new_code_cell(PARAMETERS), nbformat.v4.new_code_cell(BODY)]
    cells[0].metadata["tags"] = ["parameters"]
    nbformat.write(nbformat.v4.new_notebook(cells=cells), tmp_path / "notebooks/cnn_sift.ipynb")
    cells[0].source = PARAMETERS[: PARAMETERS.index("use_batchnorm")]
    nbformat.write(nbformat.v4.new_notebook(cells=cells), tmp_path / "notebooks/cnn3d.ipynb")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(REPOSITORY))
    monkeypatch.setenv("FER_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("FER_DATA", raising=False)
    monkeypatch.setattr(datasets, "check", lambda name, *_: CORPUS | {"dataset": name})
    return tmp_path


def test_help_is_quick_and_names_the_commands():
    environment = os.environ | {"PYTHONPATH": str(REPOSITORY)}
    code = "import sys; from fer_lib import cli; cli.parser().format_help(); print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)
    heavy = {"numpy", "pandas", "torch", "sklearn", "matplotlib", "papermill", "yaml"}
    assert heavy.isdisjoint(loaded.stdout.split())
    text = cli.parser().format_help()
    for word in ("fer data check fer2013", "fer run cnn_sift", "fer claims", "fer scorecard", "$FER_DATA"):
        assert word in text


@pytest.mark.parametrize("set_before, then", [(None, "1000"), ("7", "7")])
def test_threads_wait_briefly_unless_told_otherwise(set_before, then, monkeypatch, capsys):
    monkeypatch.setenv("GOMP_SPINCOUNT", set_before or "")
    if set_before is None:
        monkeypatch.delenv("GOMP_SPINCOUNT")
    assert cli.main(["data", "list"]) == 0
    assert os.environ["GOMP_SPINCOUNT"] == then


@pytest.mark.parametrize("argv", [[], ["rum"], ["data"], ["run", "cnn_sift"], ["claims", "--json", "--csv"]])
def test_usage_errors_exit_2(argv, capsys):
    with pytest.raises(SystemExit) as stop:
        cli.main(argv)
    assert stop.value.code == 2
    said = capsys.readouterr().err
    assert "usage: fer" in said
    assert ("Did you mean 'run'" in said) == (argv == ["rum"])


def test_a_mistyped_option_is_told_with_the_usage_of_its_command(capsys):
    with pytest.raises(SystemExit) as stop:
        cli.main(["run", "cnn_sift", "synthetic", "--budgt", "full"])
    said = capsys.readouterr().err
    assert stop.value.code == 2
    assert "usage: fer run" in said
    assert "unrecognized arguments: --budgt full. Did you mean '--budget'?" in said


@pytest.mark.parametrize(
    "argv, sentence",
    [
        ("run cnn_sif synthetic", "Did you mean 'cnn_sift'"),
        ("run cnn_sift synthetc", "Did you mean 'synthetic'"),
        ("run cnn_sift synthetic --seed -1", "seed -1: a seed is a whole number from 0"),
        ("run cnn_sift synthetic --data-dir pyproject.toml", "is a file"),
        ("run cnn_sift synthetic --data-dir ~nobody-of-that-name/x", "no such user"),
        ("run cnn_sift synthetic --results pyproject.toml/x", "cannot be written to"),
        ("run cnn_sift synthetic --results ~nobody-of-that-name/x", "no folder that can be found"),
        ("run cnn_sift synthetic --device gpu", "Known: auto, cpu, cuda"),
        ("run cnn_sift synthetic -p use_batchnrm=True", "Did you mean 'use_batchnorm'"),
        ("run cnn_sift synthetic -p use_batchnorm=1", "True or False"),
        ("run cnn_sift synthetic -p dense_dropout=high", "of type float"),
        ("run cnn_sift synthetic -p sift_merge=Z", "parameter sift_merge: 'Z'. Known: softmax, dense"),
        ("run cnn_sift synthetic -p dense_dropout=1.0", "at least 0 and below 1"),
        ("run cnn_sift synthetic -p lr=1e999", "at least 0 and below inf"),
        ("run cnn_sift synthetic --budget short", "Known: smoke, probe, full, paper"),
        ("run cnn_sift synthetic --threads 0", "at least one"),
        ("run cnn_sift synthetic -p seed=3", "given by an argument or option of its own"),
        ("run cnn_sift synthetic -p lr", "name=value"),
        ("run cnn_sift oulu_casia", "states no protocol for it"),
        ("run cnn3d fer2013", "nothing can be held out by subject"),
        ("run cspp synthetic", "Known: cnn_sift, cnn3d."),
        ("scorecard --results nowhere", "--results nowhere: there is no such folder"),
        ("data list --data-dir nowhere", "--data-dir nowhere: there is no such folder"),
        ("data import jaffe absent.zip", "absent.zip cannot be read or unpacked (No such file or directory)"),
        ("data import jaffe notebooks", "is a folder; use it as it is, with --data-dir"),
        ("data import synthetic notebooks.zip", "synthetic is generated and needs no files"),
        ("data import jafe notebooks.zip", "Did you mean 'jaffe'"),
        ("data import jaffe pyproject.toml --data-dir pyproject.toml", "is a file"),
        ("data fetch jaffe", "JAFFE (Japanese Female Facial Expression) may not be downloaded by a program"),
        ("data fetch cmu_face", "Did you mean 'cmu_faces'"),
        ("data fetch cmu_faces --url faces.zip --data-dir .", "faces.zip: Invalid URL"),
        ("claims cnn_shift", "Did you mean 'cnn_sift'"),
    ],
)
def test_mistakes_get_one_sentence_and_exit_2_before_any_work(argv, sentence, project, capsys):
    assert cli.main(argv.split()) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith("fer: ")
    assert sentence in said.err
    assert said.err.count("\n") == 1
    assert not (project / "results").exists()


def test_absent_device_is_refused(project, capsys, monkeypatch):
    import torch

    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert cli.main(["run", "cnn_sift", "synthetic", "--device", "cuda"]) == 2
    assert "torch finds no GPU here" in capsys.readouterr().err


def test_faulty_data_stop_a_run(project, capsys, monkeypatch):
    from fer_lib.data import datasets

    faulty = CORPUS | {"ok": False, "problems": ["train has 3 images, not 28709.", "Also this."]}
    monkeypatch.setattr(datasets, "check", lambda *_: faulty)
    assert cli.main(["run", "cnn_sift", "synthetic"]) == 2
    assert "cannot be used: train has 3 images, not 28709. (1 more: see" in capsys.readouterr().err
    assert cli.main(["data", "check", "synthetic"]) == 1
    assert "2 problems" in capsys.readouterr().out
    assert cli.main(["data", "check", "synthetic", "--json"]) == 1
    assert json.loads(capsys.readouterr().out) == faulty


def test_data_list_names_every_corpus(project, capsys):
    from fer_lib.data import datasets

    assert cli.main(["data", "list", "--data-dir", str(project)]) == 0
    lines = capsys.readouterr().out
    assert all(f"{name} " in lines for name in datasets.NAMES)
    assert "built in" in lines
    assert "absent" in lines


def test_a_corpus_of_image_files_is_listed_and_checked(tmp_path, capsys, monkeypatch):
    import cv2
    import numpy as np

    from fer_lib.data import datasets

    monkeypatch.setenv("FER_CACHE", str(tmp_path / "cache"))
    folder = tmp_path / "data" / "JAFFE"
    folder.mkdir(parents=True)
    cv2.imwrite(str(folder / "KA.AN1.39.tiff"), np.full((64, 64), 90, np.uint8))
    place = ["--data-dir", str(tmp_path / "data")]
    assert cli.main(["data", "list", *place]) == 0
    said = capsys.readouterr().out
    assert str(folder) in said
    assert said.count(" absent ") == len(datasets.READERS) - 1
    assert cli.main(["data", "check", "jaffe", *place]) == 1
    said = capsys.readouterr().out
    for part in ("images 1/213", "KL 0/22", "non-commercial research", "note: No face was found in 1 of 1"):
        assert part in said
    assert said.index("images: 1, officially 213") < said.index("anger: 1, officially 30")
    assert cli.main(["data", "check", "jaffe", "--json", *place]) == 1
    found = json.loads(capsys.readouterr().out)
    assert (found["images"], found["expected"]["images"]) == (1, 213)
    assert any(remark.startswith("No face was found in 1 of 1") for remark in found["remarks"])
    assert cli.main(["run", "cnn_sift", "jaffe", *place]) == 2
    assert "cannot be used: images: 1, officially 213." in capsys.readouterr().err


def test_an_archive_is_imported_and_checked(tmp_path, capsys, monkeypatch):
    import cv2
    import numpy as np

    monkeypatch.setenv("FER_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("FER_DATA", str(tmp_path / "data"))
    image = cv2.imencode(".tiff", np.full((64, 64), 90, np.uint8))[1].tobytes()
    for name in ("KA.AN1.39", "KA.DI1.42"):
        with zipfile.ZipFile(tmp_path / f"{name}.zip", "w") as archive:
            archive.writestr(f"jaffe/{name}.tiff", image)
            archive.writestr("__MACOSX/x", b"")
    archives = [str(path) for path in sorted(tmp_path.glob("*.zip"))]
    assert cli.main(["data", "import", "jaffe", *archives]) == 1
    lines = capsys.readouterr().out.splitlines()
    folder = tmp_path / "data" / "jaffe"
    assert lines[0] == f"Brought KA.AN1.39.zip and KA.DI1.42.zip into {folder}"
    assert cli.main(["data", "check", "jaffe"]) == 1
    assert capsys.readouterr().out.splitlines() == lines[1:]
    assert cli.main(["data", "import", "jaffe", *archives]) == 2
    assert capsys.readouterr().err == (
        f"fer: jaffe is here already, in {folder}; add --replace to replace it, or move it away.\n"
    )


@pytest.mark.parametrize(
    "command, words", [("import", "Links, devices --replace 130"), ("fetch", "124 --url")]
)
def test_help_of_arrivals_says_what_happens(command, words, capsys):
    with pytest.raises(SystemExit) as stop:
        cli.main(["data", command, "--help"])
    assert stop.value.code == 0
    said = capsys.readouterr().out
    assert all(word in said for word in [*words.split(), "$FER_DATA", "nothing changed"])


def test_claims_as_table_json_and_csv(capsys):
    from fer_lib import claims

    expected = claims.frame("cnn_sift")
    assert cli.main(["claims", "cnn_sift"]) == 0
    assert "CNN-SIFT-AVG" in capsys.readouterr().out
    assert cli.main(["claims", "cnn_sift", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert [row["id"] for row in rows] == expected.id.tolist()
    assert cli.main(["claims", "cnn_sift", "--csv"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == len(expected) + 1


def test_scorecard_of_no_evidence_needs_data(tmp_path, capsys):
    assert cli.main(["scorecard", "--results", str(tmp_path)]) == 0
    assert "needs data" in capsys.readouterr().out


def test_interruption_exits_130(monkeypatch, capsys):
    def interrupt(arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr(cli, "_claims", interrupt)
    assert cli.main(["claims"]) == 130
    assert capsys.readouterr().err.count("\n") == 1


@pytest.mark.parametrize(
    "text, default, value",
    [
        ("3", 0.5, 3.0),
        ("True", False, True),
        ("false", True, False),
        ("[6,3,1]", [3, 2, 1], [6, 3, 1]),
        (4, 0.5, 4.0),
        ("7", "A", "7"),
    ],
)
def test_literals_take_the_type_of_the_default(text, default, value):
    found = preflight.typed("x", text, default)
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize("text, default", [("1", True), ("True", 1), ("1.5", 1), ("x", 1), ("3", [1])])
def test_literals_of_another_type_are_refused(text, default):
    with pytest.raises(FerError, match="Parameter x="):
        preflight.typed("x", text, default)


def test_numbers_that_no_parameter_can_mean_are_refused():
    with pytest.raises(FerError, match="k=0 should be at least 1"):
        preflight.asked("matrix", {}, ["k=0"])


def test_run_leaves_evidence_with_a_clean_notebook(project, capsys, monkeypatch):
    (project / "seed").mkdir()
    monkeypatch.chdir(project / "seed")  # below the repository, as is what --results and $FER_DATA mean
    monkeypatch.setenv("FER_DATA", "seed")  # a word that occurs elsewhere
    argv = "run cnn_sift synthetic --results ../results --seed 3 -p use_batchnorm=true -p dense_dropout=0"
    argv += " --threads 3"
    assert cli.main(argv.split()) == 0
    name = "seed3,dense_dropout=0.0,use_batchnorm=True"
    folder = project / "results/cnn_sift/synthetic/smoke" / name
    said = capsys.readouterr().out
    assert name in said
    assert "75.00%" in said
    assert f"Page:     {folder / 'notebook.ipynb'}" in said
    assert "Took:" in said
    assert "fer run cnn_sift DATASET" in said
    made = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    assert made == ["notebook.ipynb", "predictions/C1.npz", "run.json"]
    everything = (folder / "notebook.ipynb").read_text() + (folder / "run.json").read_text()
    for place in (str(project), sys.prefix, str(Path.home()) + "/"):
        assert place not in everything
    notebook = nbformat.read(folder / "notebook.ipynb", as_version=4)
    assert "papermill" not in notebook.metadata
    printed = "".join(output.get("text", "") for output in notebook.cells[-1].outputs)
    stage = f"results/.work/cnn_sift-synthetic-smoke-{name}/evidence"
    assert printed.splitlines() == [f"$VIRTUAL_ENV . {stage} $FER_DATA 3", "epoch 2"]
    assert "seed = 3" in notebook.cells[1].source
    assert "lr" not in notebook.cells[1].source
    assert "epoch 1" not in printed
    assert "10%|" not in printed
    assert not [path for path in (project / "results/.work").iterdir() if path.is_dir()]
    assert "FER_STAGE" not in os.environ
    assert (
        execution.results_folder("../results") == execution.results_folder("results") == project / "results"
    )
    written = (folder / "run.json").read_bytes()
    assert cli.main(argv.split()) == 0
    said = capsys.readouterr().out
    assert said.startswith("Done on 20")
    assert "--force makes it again" in said
    assert (folder / "run.json").read_bytes() == written
    made = []
    monkeypatch.setattr(execution, "_make", lambda *arguments: made.append(arguments))
    assert cli.main([*argv.split(), "--force"]) == 0
    assert len(made) == 1


def test_a_reading_saved_in_the_notebook_is_not_taken_for_ours(project, capsys):
    path = project / "notebooks/cnn_sift.ipynb"
    path.write_text(path.read_text().replace("lr = 0.001", "lr = 0.01"))
    assert cli.main(["run", "cnn_sift", "synthetic"]) == 2
    assert "was saved with lr = 0.01, and our reading is 0.001: give -p lr=0.01" in capsys.readouterr().err
    values = preflight.asked("cnn_sift", {}, ["lr=0.001"])
    assert values["lr"] == 0.001


@pytest.mark.parametrize(
    "given, sentence",
    [
        ({"use_batchnorm": "maybe"}, "use_batchnorm=maybe should be True or False"),
        ({"budget": "Smoke"}, "Did you mean 'smoke'"),
        ({"dataset": "mmi"}, "cnn_sift cannot use mmi"),
        ({"dataset": "jafe"}, "Did you mean 'jaffe'"),
        ({"seed": None}, "seed=None should be of type int"),
        ({"sift_merge": "Z"}, "Known: softmax, dense"),
        ({"In": ["", "# Parameters\nuse_batchnrom = True\n"]}, "Did you mean 'use_batchnorm'"),
    ],
)
def test_a_notebook_checks_its_parameters_however_it_was_started(project, given, sentence):
    namespace = provenance.defaults("cnn_sift") | given
    with pytest.raises(FerError, match=sentence):
        preflight.resolve("cnn_sift", namespace)


def test_a_probe_is_refused_where_no_cell_is_passed_over(project):
    with pytest.raises(FerError, match="fer run cnn_sift"):
        preflight.resolve("cnn_sift", provenance.defaults("cnn_sift") | {"budget": "probe"})


def test_text_that_means_a_value_becomes_it(project):
    namespace = provenance.defaults("cnn_sift") | {
        "use_batchnorm": "false",
        "lr": "0.1",
        "seed": "3",
        "other": 1,
    }
    values = preflight.resolve("cnn_sift", namespace)
    assert (values["use_batchnorm"], values["lr"], values["seed"]) == (False, 0.1, 3)
    assert namespace == values | {"other": 1}


def test_errors_in_cells(project, capsys, monkeypatch):
    older = project / "results/cnn_sift/synthetic/smoke/seed0/run.json"
    older.parent.mkdir(parents=True)
    older.write_text("{}")
    argv = ["run", "cnn_sift", "synthetic"]
    for fail, code, sentence in (
        ("user", 2, "fer: The corpus has no subjects.\n"),
        ("killed", 1, "died or was killed; most likely memory was short"),
        ("silent", 1, "most likely memory was short"),
        ("memory", 1, "most likely memory was short"),
    ):
        monkeypatch.setenv("TEST_FAIL", fail)
        assert cli.main(argv) == code
        said = capsys.readouterr().err
        assert sentence in said
    assert "MemoryError" in said
    partial = Path(said.strip().rsplit(" ", 1)[-1])
    assert "raise MemoryError" in partial.read_text()
    assert [path.read_text() for path in (project / "results").rglob("run.json")] == ["{}"]


def test_a_probe_passes_over_what_is_tagged_beyond_and_keeps_no_notebook(project):
    path = project / "notebooks/cnn_sift.ipynb"
    book = nbformat.read(path, as_version=4)
    book.cells.append(nbformat.v4.new_code_cell("1 / 0", metadata={"tags": ["beyond"]}))
    nbformat.write(book, path)
    assert cli.main(["run", "cnn_sift", "synthetic", "--budget", "probe"]) == 0
    made = project / "results/cnn_sift/synthetic/probe/seed0"
    assert (made / "run.json").exists()
    assert not (made / "notebook.ipynb").exists()


def test_interrupted_run_says_so_in_one_line(project):
    # The real data check draws the corpus; a slow cell, then the signal.
    ready = "datasets.check = lambda *a: {'ok': True, 'problems': []}"
    needed = "import sys; from fer_lib import cli; from fer_lib.data import datasets"
    code = f"{needed}; {ready}; sys.exit(cli.main())"
    command = [sys.executable, "-c", code, "run", "cnn_sift", "synthetic"]
    environment = os.environ | {"TEST_FAIL": "slow"}
    with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True) as process:
        until = time.monotonic() + 60
        while not (project / "started").exists() and time.monotonic() < until:
            time.sleep(0.1)
        process.send_signal(signal.SIGTERM)  # what schedulers send; Ctrl-C ends the same
        _, said = process.communicate(timeout=60)
    assert process.returncode == 130
    assert said.startswith("fer: Interrupted")
    assert said.count("\n") == 1


def test_paths_of_this_machine_are_scrubbed(project, monkeypatch):
    monkeypatch.setenv("FER_DATA", "/srv/faces")
    values = {"data_dir": "/srv/other/fer2013"}
    text = f"{project}/notes /srv/faces/x /srv/other/fer2013/a {Path.home()}/y /tmp/ipykernel_12/34.py:1: W"
    home = f"{Path.home()}/y" if len(str(Path.home())) == 1 else "~/y"
    places = execution._places(values["data_dir"], Path("/srv/out"))
    assert execution._scrub(text, places) == f"notes $FER_DATA/x fer2013/a {home} notebook:1: W"
    assert execution._scrub("/srv/out/a, '/srv/out' b/srv/out", places) == "results/a, 'results' b/srv/out"


def test_check_shows_nested_counts_plainly(capsys):
    black = {"images": 4, "black": {"total": 1, "train": 1}, "twins_in_training": {}}
    cli_data.print_check(CORPUS | {"form": "generated", "ignored": 2, "audit": black})
    lines = [line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines()]
    assert lines[0] == ["synthetic", "(generated)"]
    assert ["black", "total 1, train 1"] in lines
    assert ["per", "class                anger 4"] in lines
    assert sum(line[0] == "images" for line in lines) == 1
    assert lines[-1] == ["all", "well"]
    cli_data.print_check(CORPUS | {"ok": False, "problems": ["One."]})
    assert "1 problem:" in capsys.readouterr().out
    cli_data.print_check(CORPUS | {"ignored": 6, "ignored_names": ["a.jpg", "b/c.jpg"]})
    assert "6 files, because of their names: a.jpg, b/c.jpg ..." in capsys.readouterr().out


def test_a_table_fits_a_narrow_terminal(capsys, monkeypatch):
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    monkeypatch.setenv("COLUMNS", "90")
    assert cli.main(["claims", "cnn_sift"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 90
    assert "…" in "".join(lines)


@pytest.mark.skipif(sys.platform == "darwin", reason="no such names there")
def test_output_never_fails_for_its_encoding(tmp_path):
    folder = os.fsencode(tmp_path) + b"/caf\xe9/fer2013"  # a name in no encoding the terminal has
    os.makedirs(folder)  # noqa: PTH103
    Path(os.fsdecode(folder), "fer2013.csv").write_text("emotion,pixels,Usage\n")
    environment = os.environ | {"PYTHONPATH": str(REPOSITORY), "PYTHONIOENCODING": "ascii"}
    environment["FER_CACHE"] = str(tmp_path)
    command = [sys.executable, "-m", "fer_lib.cli", "data", "check", "fer2013", "--json", "--data-dir"]
    done = subprocess.run([*command, os.path.dirname(folder)], env=environment, capture_output=True)  # noqa: PTH120
    assert done.returncode == 1, done.stderr
    assert "has no rows" in json.loads(done.stdout)["problems"][0]


@pytest.mark.parametrize("words", ["data list", "--help", "data check synthetic --json"])
def test_a_closed_pipe_is_no_error(words):
    environment = os.environ | {"PYTHONPATH": str(REPOSITORY)}
    reader, writer = os.pipe()
    os.close(reader)  # as `head` does when it has seen enough
    command = [sys.executable, "-m", "fer_lib.cli", *words.split()]
    done = subprocess.run(command, env=environment, stdout=writer, stderr=subprocess.PIPE, text=True)
    os.close(writer)
    assert (done.returncode, done.stderr) == (0, "")


def test_output_that_cannot_be_written_is_one_sentence():
    environment = os.environ | {"PYTHONPATH": str(REPOSITORY)}
    with Path("/dev/full").open("w") as full:
        command = [sys.executable, "-m", "fer_lib.cli", "data", "list"]
        done = subprocess.run(command, env=environment, stdout=full, stderr=subprocess.PIPE, text=True)
    assert (done.returncode, done.stderr) == (2, "fer: No space left on device.\n")
