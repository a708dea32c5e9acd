"""A sixth paper is one folder, one notebook and one claims file: a made-up one runs, and is judged apart."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat

ROOT = Path(__file__).parents[1]

CLAIMS = """
paper:
  key: made_up
  chapter: 6
  short_name: Made-up
  colour: '#123456'
  title: A Paper That Nobody Wrote
  authors: [Nobody]
  year: 2026
  venue: nowhere
  doi_or_id: null
tolerance: {accuracy_points: 1.0, difference_points: 0.5, why: because}
protocols:
  - {id: official, dataset: FER2013, split: official, samples: {test: 3589}, source: Sect. 1}
claims:
  - {id: made_up-t1, table: Table 1, dataset: FER2013, protocol: official, model: Tiny,
     metric: accuracy, value: 60.0, unit: percent, role: method}
order:
  - {id: made_up-o1, place: Sect. 2, dataset: FER2013, protocol: official, role: method, decided_by: nothing,
     says: Tiny is the best., why: It has no rival.}
ambiguities:
  - {id: depth, quote: a few layers, problem: how many, readings: [one, two],
     recommended: one, knob: depth, default: 1, values: [1, 2]}
inconsistencies: []
hyperparameters: []
checks_passed: []
confusion: []
"""
NETWORK = '''
"""One pooled map and a dense layer."""
from torch import nn

BUDGETS = {"smoke": {"epochs": 2}, "full": {"epochs": 20}, "paper": {"epochs": 100}}


def build(n_classes, depth):
    maps = [nn.Conv2d(1 if not i else 4, 4, 3, padding=1) for i in range(depth)]
    return nn.Sequential(*maps, nn.AdaptiveAvgPool2d(4), nn.Flatten(), nn.Linear(64, n_classes))
'''
PARAMETERS = """
dataset = "synthetic"
budget = "smoke"
seed = 0
device = "auto"
data_dir = ""
depth = 1
"""
TRAINING = """
from functools import partial
from fer_lib.data import protocols
from fer_lib.learn import units
from fer_lib.learn.recipes import Recipe
from fer_lib.learn.training import Part
from fer_lib.papers.made_up import network
from fer_lib.show.chapter import Chapter
from fer_lib.show.results import Results

chapter = Chapter("made_up", globals(), network.BUDGETS)
corpus = chapter.load().resize(16)
chapter.begin(corpus)
folds = protocols.cross_validation(corpus, 2, "subject", seed, 1, 1)
sides = folds[0].train, folds[0].test
parts = [Part.of(corpus.images[i], corpus.labels[i], device=chapter.device) for i in sides]
recipe = Recipe(epochs=chapter.plan["epochs"], batch_size=64, lr=0.01)
make = partial(network.build, len(corpus.classes), depth)
outcome = units.train_unit(chapter.recorder, "Tiny", make, (parts[0], None, parts[1]), recipe)
results = Results(corpus, chapter.recorder, {"subject": folds})
results.add("subject", folds[0], {"Tiny": outcome.test}, {"Tiny": outcome.curves})
chapter.commit(protocol="subject", recipe=recipe.describe())
chapter.beside_claims()
"""


def test_a_sixth_paper_is_a_folder_a_notebook_and_a_claims_file(tmp_path):
    """In a copy of the project; nothing that is there already is told of it."""
    for name in ("fer_lib", "notebooks"):
        shutil.copytree(ROOT / name, tmp_path / name)  # with what is compiled already
    for name in ("Snakefile", "pyproject.toml", "campaign.yaml"):
        shutil.copy(ROOT / name, tmp_path)
    (tmp_path / "fer_lib" / "claims" / "made_up.yaml").write_text(CLAIMS)
    folder = tmp_path / "fer_lib" / "papers" / "made_up"
    folder.mkdir()
    (folder / "__init__.py").write_text('"""A paper that nobody wrote."""\n')
    (folder / "network.py").write_text(NETWORK)
    cells = [nbformat.v4.new_code_cell(PARAMETERS.strip(), metadata={"tags": ["parameters"]})]
    cells += [nbformat.v4.new_code_cell(TRAINING.strip())]
    nbformat.write(nbformat.v4.new_notebook(cells=cells), tmp_path / "notebooks" / "made_up.ipynb")

    env = os.environ | {"PYTHONPATH": str(tmp_path), "OMP_NUM_THREADS": "1"}

    def call(*words):
        command = [sys.executable, "-m", *words]
        done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout + done.stderr

    assert "made_up" in call("snakemake", "-n", "runs", "--config", "papers=made_up", "seeds=1")
    call("fer_lib.cli", "run", "made_up", "synthetic", "-p", "depth=2")
    (run,) = (tmp_path / "results").glob("made_up/synthetic/smoke/*/run.json")
    said = json.loads(run.read_text())
    assert run.parent.name == "seed0,depth=2"
    assert said["recipe"]["epochs"] == 2
    assert (run.parent / "predictions" / "Tiny.npz").is_file()
    rows = json.loads(call("fer_lib.cli", "scorecard", "made_up", "--json"))
    assert {row["verdict"] for row in rows} == {"needs data", "not comparable"}
