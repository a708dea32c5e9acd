"""The command line: what it prints, its exit codes, and a run of a small notebook from check to evidence."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import nbformat
import pytest

import fer_lib
from fer_lib import cli, execution, recorded
from fer_lib.errors import AbsentDataError, FerError

REPOSITORY = Path(fer_lib.__file__).parents[1]
PARAMETERS = """\
dataset = "synthetic"  # corpus
budget = "smoke"
seed = 0
device = "auto"
data_dir = None
use_batchnorm = False
dense_dropout = 0.5
cnn_layout = "A"
sizes = (100, 200)
fail = ""
"""
BODY = """\
import os, sys, time
from pathlib import Path
import numpy as np
from fer_lib import runs
from fer_lib.errors import FerError

if fail == "user":
    raise FerError("The corpus has no subjects.")
if fail == "bug":
    1 / 0
if fail == "slow":
    print(Path("started").write_text("yes"))
    time.sleep(60)
parameters = {"dataset": dataset, "seed": seed, "use_batchnorm": use_batchnorm, "data_dir": os.getcwd()}
recorder = runs.Recorder("cnn_sift", dataset, budget, seed, parameters=parameters, fingerprint="f")
print(sys.prefix, os.getcwd())
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
    from fer_lib import datasets

    (tmp_path / "pyproject.toml").touch()
    (tmp_path / "notebooks").mkdir()
    cells = [nbformat.v4.new_code_cell(PARAMETERS), nbformat.v4.new_code_cell(BODY)]
    cells[0].metadata["tags"] = ["parameters"]
    nbformat.write(nbformat.v4.new_notebook(cells=cells), tmp_path / "notebooks/cnn_sift.ipynb")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(REPOSITORY))
    monkeypatch.setenv("FER_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("FER_DATA", raising=False)
    monkeypatch.setattr(datasets, "check", lambda name, data_dir=None: CORPUS | {"dataset": name})
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


@pytest.mark.parametrize("argv", [[], ["rum"], ["data"], ["run", "cnn_sift"], ["claims", "--json", "--csv"]])
def test_usage_errors_exit_2(argv, capsys):
    with pytest.raises(SystemExit) as stop:
        cli.main(argv)
    assert stop.value.code == 2
    assert "usage: fer" in capsys.readouterr().err


@pytest.mark.parametrize(
    "argv, sentence",
    [
        ("run cnn_sif synthetic", "Did you mean 'cnn_sift'"),
        ("run cnn_sift synthetc", "Did you mean 'synthetic'"),
        ("run cnn_sift synthetic --budget smoky", "Did you mean 'smoke'"),
        ("run cnn_sift synthetic --device gpu", "Known: auto, cpu, cuda"),
        ("run cnn_sift synthetic -p use_batchnrm=True", "Did you mean 'use_batchnorm'"),
        ("run cnn_sift synthetic -p use_batchnorm=1", "True or False"),
        ("run cnn_sift synthetic -p dense_dropout=high", "of type float"),
        ("run cnn_sift synthetic -p sizes=(1,'a')", "items like those"),
        ("run cnn_sift synthetic -p cnn_layout=Z", "none of the readings"),
        ("run cnn_sift synthetic -p seed=3", "given by --seed"),
        ("run cnn_sift synthetic -p lr", "name=value"),
        ("run cnn_sift oulu_casia", "states no protocol for it"),
        ("run cnn3d fer2013", "nothing can be held out by subject"),
        ("run cspp synthetic", "There is no notebook cspp.ipynb"),
        ("data check fer2031", "Did you mean 'fer2013'"),
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
    monkeypatch.setitem(
        sys.modules, "torch", SimpleNamespace(cuda=SimpleNamespace(is_available=lambda: False))
    )
    assert cli.main(["run", "cnn_sift", "synthetic", "--device", "cuda"]) == 2
    assert "no CUDA device here" in capsys.readouterr().err


def test_faulty_data_stop_a_run(project, capsys, monkeypatch):
    from fer_lib import datasets

    faulty = CORPUS | {"ok": False, "problems": ["train has 3 images, not 28709.", "Also this."]}
    monkeypatch.setattr(datasets, "check", lambda name, data_dir=None: faulty)
    assert cli.main(["run", "cnn_sift", "synthetic"]) == 2
    assert "train has 3 images" in capsys.readouterr().err
    assert cli.main(["data", "check", "synthetic"]) == 1
    assert "2 problems" in capsys.readouterr().out
    assert cli.main(["data", "check", "synthetic", "--json"]) == 1
    assert json.loads(capsys.readouterr().out) == faulty


def test_data_check_of_absent_data_is_one_object_and_exit_2(project, capsys, monkeypatch):
    from fer_lib import datasets

    def absent(name, data_dir=None):
        raise AbsentDataError("FER2013 is not here.")

    monkeypatch.setattr(datasets, "check", absent)
    assert cli.main(["data", "check", "fer2013", "--json"]) == 2
    said = capsys.readouterr()
    found = json.loads(said.out)
    assert set(CORPUS) <= set(found)
    assert found["problems"] == ["FER2013 is not here."]
    assert said.err == "fer: FER2013 is not here.\n"


def test_data_list_names_every_corpus(project, capsys):
    from fer_lib import datasets

    assert cli.main(["data", "list", "--data-dir", str(project)]) == 0
    lines = capsys.readouterr().out
    assert all(f"{name} " in lines for name in datasets.NAMES)
    assert "built in" in lines
    assert "absent" in lines


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
        ("B", "A", "B"),
        ("'B'", "A", "B"),
        ("7", "A", "7"),
        ("[1, 2]", (3,), (1, 2)),
        ("[1, 2]", (3.0,), (1.0, 2.0)),
        ("5", None, 5),
    ],
)
def test_literals_take_the_type_of_the_default(text, default, value):
    found = execution.literal("x", text, default)
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize("text, default", [("1", True), ("True", 1), ("1.5", 1), ("x", 1), ("3", (1,))])
def test_literals_of_another_type_are_refused(text, default):
    with pytest.raises(FerError, match="Parameter x="):
        execution.literal("x", text, default)


def test_run_leaves_evidence_with_a_clean_notebook(project, capsys):
    argv = "run cnn_sift synthetic --seed 3 -p use_batchnorm=True -p dense_dropout=1"
    assert cli.main(argv.split()) == 0
    name = "seed3,dense_dropout=1.0,use_batchnorm=True"
    folder = project / "results/cnn_sift/synthetic/smoke" / name
    said = capsys.readouterr().out
    assert name in said
    assert "75.00%" in said
    made = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    assert made == ["notebook.ipynb", "predictions/C1.npz", "run.json"]
    everything = (folder / "notebook.ipynb").read_text() + (folder / "run.json").read_text()
    for place in (str(project), sys.prefix, str(Path.home()) + "/"):
        assert place not in everything
    notebook = nbformat.read(folder / "notebook.ipynb", as_version=4)
    assert "papermill" not in notebook.metadata
    printed = "".join(output.get("text", "") for output in notebook.cells[-1].outputs)
    assert printed.splitlines()[-1] == "epoch 2"
    assert "epoch 1" not in printed
    assert "10%|" not in printed
    assert not [path for path in (project / "results/.work").iterdir() if path.is_dir()]
    assert "FER_STAGE" not in os.environ


def test_errors_in_cells(project, capsys):
    assert cli.main(["run", "cnn_sift", "synthetic", "-p", "fail=user"]) == 2
    assert capsys.readouterr().err == "fer: The corpus has no subjects.\n"
    assert cli.main(["run", "cnn_sift", "synthetic", "-p", "fail=bug"]) == 1
    said = capsys.readouterr().err
    assert "ZeroDivisionError: division by zero" in said
    partial = Path(said.strip().rsplit(" ", 1)[-1])
    assert "1 / 0" in partial.read_text()
    assert not (project / "results/cnn_sift").exists()


def test_interrupted_run_says_so_in_one_line(project):
    # The real data check draws the corpus; a slow cell, then Ctrl-C.
    ready = "datasets.check = lambda *a: {'ok': True}"
    code = f"import sys; from fer_lib import cli, datasets; {ready}; sys.exit(cli.main())"
    command = [sys.executable, "-c", code, "run", "cnn_sift", "synthetic", "-p", "fail=slow"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        until = time.monotonic() + 60
        while not (project / "started").exists() and time.monotonic() < until:
            time.sleep(0.1)
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=60)
    assert process.returncode == 130
    assert said.startswith("fer: Interrupted")
    assert said.count("\n") == 1


def test_paths_of_this_machine_are_scrubbed(project, monkeypatch):
    monkeypatch.setenv("FER_DATA", "/srv/faces")
    values = {"data_dir": "/srv/other/fer2013"}
    text = f"{project}/results /srv/faces/x /srv/other/fer2013/a {Path.home()}/y /tmp/ipykernel_12/34.py:1: W"
    home = f"{Path.home()}/y" if len(str(Path.home())) == 1 else "~/y"
    assert recorded._scrub(text, values) == f"results $FER_DATA/x fer2013/a {home} notebook:1: W"
