"""The notebooks as they are stored, their parameters, and one executed at budget smoke."""

import ast
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import nbformat
import numpy as np
import pytest

from fer_lib import claims
from fer_lib.evidence.provenance import notebook_path, parameters

ROOT = Path(__file__).resolve().parents[1]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
PAPERS = [path.stem for path in NOTEBOOKS if path.stem in claims.PAPERS]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_stored_notebooks_carry_no_outputs(path):
    cells = nbformat.read(path, 4).cells
    assert len(cells) >= 5
    assert not any(cell.get("outputs") or cell.get("execution_count") for cell in cells)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_code_that_the_book_folds_is_closed_in_jupyterlab_as_well(path):
    cells = [cell.metadata for cell in nbformat.read(path, 4).cells if cell.cell_type == "code"]
    folded = [bool({"hide-input", "remove-input"} & {*cell.tags}) for cell in cells]
    assert folded == [cell.get("jupyter", {}).get("source_hidden", False) for cell in cells]


@pytest.mark.parametrize("paper", PAPERS)
def test_every_knob_is_a_parameter_with_the_recommended_default(paper):
    given = parameters(notebook_path(paper))
    assert list(given)[:5] == ["dataset", "budget", "seed", "device", "data_dir"]
    register = claims.ambiguities(paper)
    register = register[register["knob"].notna()]
    assert {*register["knob"]} == {*list(given)[5:]}
    for row in register.to_dict("records"):
        assert given[row["knob"]] == row["default"], row["knob"]
        assert type(given[row["knob"]]) is type(row["default"]), row["knob"]


@pytest.mark.parametrize("paper", PAPERS)
def test_parameters_are_commented_literals_one_per_line(paper):
    (cell,) = [
        c for c in nbformat.read(notebook_path(paper), 4).cells if "parameters" in c.metadata.get("tags", [])
    ]
    assert len(cell.source.splitlines()) == len(parameters(notebook_path(paper)))


@pytest.fixture(scope="module", params=PAPERS)
def smoke(request, smoke_of):
    return smoke_of(request.param)


def outputs(run):
    for cell in nbformat.read(run.path / "notebook.ipynb", 4).cells:
        yield from cell.get("outputs", [])


def test_the_executed_notebook_is_clean(smoke):
    texts = []
    for output in outputs(smoke):
        assert output.output_type != "error"
        assert output.get("name") != "stderr", output.get("text")
        data = {kind: text for kind, text in output.get("data", {}).items() if kind != "image/png"}
        texts.append(output.get("text") or str(data))
    text = "\n".join(texts)
    assert "budget-banner" in texts[0]
    assert "Synthetic data" in texts[0]
    assert not re.search(r"it/s|img/s|\d%\||Traceback|/home/|/root/", text)
    pictures = sum("image/png" in output.get("data", {}) for output in outputs(smoke))
    assert pictures >= 7  # of paper 5, which has the fewest


def test_predictions_are_probabilities(smoke):
    for model in smoke.models():
        rows = smoke.predictions(model)
        assert np.allclose(rows["probabilities"].sum(1), 1, atol=0.01)


def test_no_subject_is_on_both_sides_where_the_protocol_says_so(smoke):
    assert smoke.info["certificates"]["subject"]["subjects_shared"] == 0


def test_synthetic_runs_are_never_compared_with_a_claim(smoke):
    from fer_lib.judge import report

    compared = report.compare(smoke.paper, [smoke])
    assert compared["run"].isna().all()
    assert smoke.info["protocol"] is None


def names(source):
    """Return the names that a cell makes, and those that it reads."""
    made, read = set(), set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Name):
            (read if isinstance(node.ctx, ast.Load) else made).add(node.id)
        elif isinstance(node, ast.FunctionDef):
            made.add(node.name)
        elif isinstance(node, ast.alias):
            made.add(node.asname or node.name)
    return made, read


def with_what_they_need(cells, tag):
    """Return the cells that bear a tag and those that make what they read, in order."""
    kept, needed = [], set()
    for cell in reversed([cell for cell in cells if cell.cell_type == "code"]):
        made, read = names(cell.source)
        if tag in cell.metadata.get("tags", []) or made & needed:
            kept.append(cell)
            needed |= read
    return kept[::-1]


def test_fixed_cells_give_what_the_run_recorded(smoke, tmp_path):
    """Run nbval on claims, register, folds, layers and counts, without training what they do not read."""
    book = nbformat.read(smoke.path / "notebook.ipynb", 4)
    tags = [c.metadata.get("tags", []) for c in book.cells]
    assert sum("nbval-check-output" in of_cell for of_cell in tags) >= 5
    given = [c for c, of in zip(book.cells, tags, strict=True) if "injected-parameters" not in of]
    book.cells = with_what_they_need(given, "nbval-check-output")
    nbformat.write(book, tmp_path / "fixed.ipynb")
    environment = os.environ | {"FER_STAGE": str(tmp_path / "work" / "run" / "evidence")}
    options = ["--nbval-lax", "-q", "-p", "no:cacheprovider", "-c", os.devnull, "--rootdir", ROOT]
    options += ["--nbval-cell-timeout", "300", "--nbval-kernel-name", "python3", tmp_path / "fixed.ipynb"]
    command = [sys.executable, "-m", "pytest", *options]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-3000:]
    assert f"{len(book.cells)} passed" in done.stdout


def test_run_json_says_what_was_done(smoke):
    info = json.loads((smoke.path / "run.json").read_text("utf-8"))
    assert info["status"] == "complete"
    assert info["recipe"]["epochs"] == info["plan"]["epochs"]
    assert {"counts", "audit", "certificates", "changes", "parameters", "provenance"} <= set(info)
    assert info["provenance"]["wall_seconds"] > 0
