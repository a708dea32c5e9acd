"""The matrix: a run is made again when its notebook or the library changes, and only then; searches."""

import json
import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[1]
CELLS = {
    "parameters": 'dataset = "synthetic"\nbudget = "smoke"\nseed = 0\ndevice = "auto"\n',
    "body": """\
from fer_lib import metrics, runs
recorder = runs.Recorder("cnn_sift", dataset, budget, seed)
recorder.add_predictions("C1", [[0.5, 0.5]], [0], ["a"])
recorder.commit()
""",
}


def write_notebook(folder, **changed):
    empty = {"cell_type": "code", "execution_count": None, "outputs": []}
    cells = [
        empty | {"id": tag, "metadata": {"tags": [tag]}, "source": text}
        for tag, text in (CELLS | changed).items()
    ]
    content = {"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": cells}
    (folder / "notebooks").mkdir(exist_ok=True)
    (folder / "notebooks/cnn_sift.ipynb").write_text(json.dumps(content))


@pytest.fixture
def snakemake(tmp_path):
    """A small copy of the repository, and a function that runs snakemake in it."""
    for name in ("Snakefile", "pyproject.toml"):
        shutil.copy(REPOSITORY / name, tmp_path)
    shutil.copytree(REPOSITORY / "fer_lib", tmp_path / "fer_lib")  # with what is compiled already
    write_notebook(tmp_path)
    environment = os.environ | {"PYTHONPATH": str(tmp_path)}
    for name in ("FER_STAGE", "FER_VARIANT", "FER_PROGRESS"):
        environment.pop(name, None)

    def call(*options, seeds="0", target="runs", cores=1, **config):
        command = [sys.executable, "-m", "snakemake", "--cores", str(cores), target, *options]
        command += ["--config", "papers=cnn_sift", f"seeds={seeds}"]
        command += [f"{name}={value}" for name, value in config.items()]
        done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
        return done.returncode, done.stdout + done.stderr

    return call


def test_a_run_is_remade_when_notebook_or_library_changes_and_only_then(snakemake, tmp_path):
    evidence = tmp_path / "results/cnn_sift/synthetic/smoke/seed0"
    code, said = snakemake()
    assert code == 0, said
    first = (evidence / "run.json").read_bytes()

    for unused in ("cli.py", "papers/cnn_sift/network.py"):
        with (tmp_path / "fer_lib" / unused).open("a") as file:
            file.write("# what the notebook does not import changes none of its figures\n")
    code, said = snakemake("-n", seeds="0,1")
    assert code == 0, said
    assert "seed1/.made" in said
    assert "seed0/.made" not in said.split("input:")[0]
    assert next(line.split() for line in said.splitlines() if line.startswith("run ")) == ["run", "1"]

    with (tmp_path / "fer_lib/learn/metrics.py").open("a") as file:
        file.write("# a change of the library\n")
    write_notebook(tmp_path, parameters="")
    code, said = snakemake()
    assert code != 0
    reason = next(line for line in said.splitlines() if "reason:" in line)
    assert "fer_lib/learn/metrics.py" in reason
    assert "notebooks/cnn_sift.ipynb" in reason
    assert "cnn_sift.ipynb has no cell tagged 'parameters'" in said
    assert (evidence / "run.json").read_bytes() == first  # a failed run leaves older evidence alone
    assert not (evidence / ".made").exists()  # and is not taken for done


def test_a_probe_is_a_run_that_flips_one_reading(snakemake, tmp_path):
    (tmp_path / "fer_lib/judge/sensitivity.yaml").write_text(
        "ours: [1]\nothers: [1]\nreadings: {cnn_sift: {use_batchnorm: true}}\n"
    )
    write_notebook(
        tmp_path,
        parameters=CELLS["parameters"] + "use_batchnorm = False\n",
        beyond='raise RuntimeError("beyond a probe")',
        body=CELLS["body"].replace("seed)", 'seed, parameters={"use_batchnorm": use_batchnorm})'),
    )
    code, said = snakemake(target="sensitivity")
    assert code == 0, said
    made = tmp_path / "results/cnn_sift/synthetic/probe"
    assert {path.parent.name: path.is_file() for path in made.glob("*/.made")} == {
        "seed1": True,
        "seed1,use_batchnorm=True": True,
    }
    flipped = json.loads((made / "seed1,use_batchnorm=True/run.json").read_text())
    assert flipped["variant"] == "use_batchnorm=True"
    assert flipped["parameters"]["use_batchnorm"] is True
    assert json.loads((made / "seed1/run.json").read_text())["parameters"]["use_batchnorm"] is False
    assert "beyond a probe" not in (made / "seed1/notebook.ipynb").read_text()


def test_workers_of_a_search_join_again_after_one_was_killed(snakemake, tmp_path):
    with (tmp_path / "fer_lib/cli_search.py").open("a") as file:
        file.write("""

def _run(arguments):
    import os
    import signal
    asked = (arguments.dataset, arguments.budget, arguments.trials, arguments.journal)
    assert asked == ("synthetic", "smoke", 9, "a study.journal"), asked
    with open("joined", "a") as file:
        file.write("joined\\n")
    try:
        os.mkdir("first")
    except FileExistsError:
        return 0
    os.kill(os.getpid(), signal.SIGKILL)
""")
    options = {"target": "search", "cores": 3, "workers": 3, "trials": 9, "journal": "a study.journal"}
    code, said = snakemake("--keep-going", **options)
    assert code != 0, "the killed worker is told of"
    assert len((tmp_path / "joined").read_text().split()) == 3
    code, said = snakemake(**options)
    assert code == 0, said
    assert len((tmp_path / "joined").read_text().split()) > 3
    assert not list((tmp_path / "results/.work/search").glob("*.done"))


@pytest.mark.parametrize("goal, targets", [("runs", {"runs"}), ("book", set())])
def test_make_asks_for_what_it_says(goal, targets):
    from snakemake.cli import parse_args

    command = ["make", "-n", goal, "ARGS=--config seeds=0,1"]
    said = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=True).stdout
    (line,) = [line for line in said.splitlines() if line.startswith("snakemake ")]
    _, asked = parse_args(shlex.split(line)[1:])
    assert set(asked.targets) == targets
    assert asked.config == ["seeds=0,1"]
