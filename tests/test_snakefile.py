"""The matrix: a run is made where its evidence is not complete and current, and only there."""

import json
import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

REPOSITORY = Path(__file__).parents[1]
CELLS = {
    "parameters": 'dataset = "synthetic"\nbudget = "smoke"\nseed = 0\ndevice = "auto"\n',
    "body": """\
from fer_lib.evidence import runs
from fer_lib.learn import metrics
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
    for paper in ("cnn_sift", "cnn3d"):
        (folder / f"notebooks/{paper}.ipynb").write_text(json.dumps(content))


@pytest.fixture
def snakemake(tmp_path):
    """A small copy of the repository, and a function that runs snakemake in it."""
    for name in ("Snakefile", "pyproject.toml"):
        shutil.copy(REPOSITORY / name, tmp_path)
    shutil.copytree(REPOSITORY / "fer_lib", tmp_path / "fer_lib")  # with what is compiled already
    write_notebook(tmp_path)
    environment = os.environ | {"PYTHONPATH": str(tmp_path)}
    for name in ("FER_STAGE", "FER_PROGRESS"):
        environment.pop(name, None)

    def call(*options, target="runs", cores=1, **config):
        command = [sys.executable, "-m", "snakemake", "--cores", str(cores), target, *options, "--config"]
        command += [f"{name}={value}" for name, value in ({"papers": "cnn_sift"} | config).items()]
        done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
        return done.returncode, done.stdout + done.stderr

    return call


def planned(said):
    """Return the stamps of the runs that a dry run would make."""
    return [
        line.split()[1].removeprefix("results/.work/made/") for line in said.splitlines() if "output:" in line
    ]


def test_a_run_is_made_again_when_what_it_does_changes_and_only_then(snakemake, tmp_path):
    evidence = tmp_path / "results/cnn_sift/synthetic/smoke/seed0"
    code, said = snakemake()
    assert code == 0, said
    first = (evidence / "run.json").read_bytes()

    shutil.rmtree(tmp_path / "results/.work/made")  # as if `fer run` had made it
    for file, text in (
        ("cli.py", "x = 1\n"),
        ("learn/metrics.py", '"""Of no consequence."""\n# so is this\n'),
    ):
        with (tmp_path / "fer_lib" / file).open("a") as source:
            source.write(text)
    code, said = snakemake("-n", seeds="0,1")
    assert code == 0, said
    assert planned(said) == ["cnn_sift/synthetic/smoke/seed1"]

    with (tmp_path / "fer_lib/learn/metrics.py").open("a") as source:
        source.write("x = 1\n")
    write_notebook(tmp_path, body="raise ValueError('on purpose')")
    code, said = snakemake()
    assert code != 0
    assert "on purpose" in said
    assert (evidence / "run.json").read_bytes() == first  # a failed run leaves older evidence alone
    assert not list((tmp_path / "results/.work/made").rglob("seed0"))  # and is not taken for done


def test_a_matrix_has_no_impossible_pairs_and_no_mistakes(snakemake, tmp_path):
    code, said = snakemake("-n", papers="cnn_sift,cnn3d", datasets="ckplus,jaffe", budgets="full")
    assert code == 0, said
    pairs = ["cnn3d/ckplus", "cnn_sift/ckplus", "cnn_sift/jaffe"]
    assert sorted(planned(said)) == [f"{pair}/full/seed0" for pair in pairs]
    assert "mem_mb=8000" in said
    for config, sentence in (
        ({"budgets": "papr"}, "Did you mean 'paper'"),
        ({"dataset": ""}, "Did you mean 'datasets'"),
        ({"device": "gpu"}, "Known: auto, cpu, cuda"),
        ({"threads": "two"}, "threads=two should be of type int"),
        ({"seeds": "0,x"}, "seeds=x should be of type int"),
    ):
        code, said = snakemake("-n", **config)
        assert code != 0
        assert sentence in said
        assert "Traceback" not in said


def test_a_campaign_is_a_list_of_runs_in_order(snakemake, tmp_path):
    write_notebook(tmp_path, parameters=CELLS["parameters"] + "lr = 0.001\n")
    (tmp_path / "notebooks/cnn3d.ipynb").unlink()
    run = "{paper: cnn_sift, dataset: synthetic, budget: full, seeds: [%s]%s}\n"
    (tmp_path / "campaign.yaml").write_text(
        "- " + run % ("0", "") + "- " + run % ("1, 2", ", knobs: {lr: 0.1}")
    )
    code, said = snakemake("-n", target="campaign", threads=1)
    assert code == 0, said
    place = "cnn_sift/synthetic/full"
    assert sorted(planned(said)) == [f"{place}/seed0", f"{place}/seed1,lr=0.1", f"{place}/seed2,lr=0.1"]
    priorities = [int(line.split()[1]) for line in said.splitlines() if "priority:" in line]
    assert sorted(priorities) == [99, 100, 200]  # entries from the top, and their seeds in order
    for wrong, sentence in (
        ("- {paper: cnn_sift}", "campaign.yaml should be a list of runs"),
        ("- " + run % ("0", ", knob: {lr: 0.1}"), "Did you mean 'knobs'"),
    ):
        (tmp_path / "campaign.yaml").write_text(wrong)
        code, said = snakemake("-n", target="campaign")
        assert code != 0
        assert sentence in said


def test_a_probe_is_a_run_that_flips_one_reading(snakemake, tmp_path):
    (tmp_path / "fer_lib/judge/sensitivity.yaml").write_text(
        "ours: [1]\nothers: [1]\nreadings: {cnn_sift: {use_batchnorm: true}}\n"
    )
    parameters = CELLS["parameters"] + "use_batchnorm = False\n"
    write_notebook(tmp_path, parameters=parameters, beyond="1 / 0", body=CELLS["body"])
    code, said = snakemake("-n", "-p", target="sensitivity")
    assert code == 0, said
    place = "cnn_sift/synthetic/probe/seed1"
    assert sorted(planned(said)) == [place, f"{place},use_batchnorm=True"]
    assert "fer run cnn_sift synthetic --budget probe --seed 1" in said
    assert said.count("-p use_batchnorm=True") == 1


@pytest.mark.parametrize("goal, targets", [("runs", {"runs"}), ("book", set())])
def test_make_asks_for_what_it_says(goal, targets):
    from snakemake.cli import parse_args

    command = ["make", "-n", goal, "ARGS=--config seeds=0,1"]
    said = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=True).stdout
    (line,) = [line for line in said.splitlines() if line.startswith("snakemake ")]
    _, asked = parse_args(shlex.split(line)[1:])
    assert set(asked.targets) == targets
    assert asked.config == ["seeds=0,1"]


@pytest.mark.skipif(os.name == "nt", reason="a shell script")
@pytest.mark.parametrize(
    ("state", "said"),
    [("COMPLETED", "success"), ("CANCELLED by 0", "failed"), ("OUT_OF_MEMORY", "failed"), ("", "running")],
)
def test_a_job_that_a_cluster_killed_is_not_waited_for(tmp_path, state, said):
    """Of a job that cannot say so itself, Snakemake asks the scheduler, here a stand-in."""
    (tmp_path / "sacct").write_text(f"#!/bin/sh\necho '{state:>12} '\n")
    (tmp_path / "sacct").chmod(0o755)
    environment = os.environ | {"PATH": f"{tmp_path}:{os.environ['PATH']}"}
    profile = yaml.safe_load((REPOSITORY / "profiles/generic/config.yaml").read_text())
    command = [REPOSITORY / profile["cluster-generic-status-cmd"], "1"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.split() == [said]
