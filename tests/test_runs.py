"""Evidence appears whole or not at all, survives kills and rivals, and is read back as written."""

import errno
import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

import fer_lib
from fer_lib.errors import FerError
from fer_lib.evidence import provenance, runs
from fer_lib.evidence import recorder as writing
from fer_lib.files import UnitFolder, cached_arrays, code_digest, file_name, read_yaml

SCRIPT = textwrap.dedent(
    """
    import sys
    import numpy as np
    from fer_lib.evidence import runs

    root, held = sys.argv[1:]
    with runs.Recorder("cnn_sift", "synthetic", "smoke", 0, root=root, parameters={"lr": 0.1}) as recorder:
        for fold in range(4):
            name = f"fold{fold}"
            if recorder.unit(name) is None:
                print("working", fold, flush=True)
                if held == "held":
                    sys.stdin.readline()
                p = np.random.default_rng(fold).dirichlet(np.ones(3), 5)
                recorder.finish_unit(name, p=p, ids=[f"{fold}-{i}" for i in range(5)])
            unit = runs.arrays(recorder.unit(name))
            recorder.add_predictions("C1", unit["p"], [0, 1, 2, 0, 1], unit["ids"], name)
        recorder.commit()
    """
)

WHOLE = ["notebook.ipynb", "predictions/C1.npz", "run.json"]


@pytest.fixture(autouse=True)
def _outside_fer_run(monkeypatch):
    for name in ("FER_STAGE", "FER_PROGRESS"):
        monkeypatch.delenv(name, raising=False)


def start(root, held=False):
    """Start a run of four folds; one that is held waits in each for a line."""
    environment = os.environ | {"PYTHONPATH": str(Path(fer_lib.__file__).parents[1])}
    command = [sys.executable, "-c", SCRIPT, str(root), "held" if held else ""]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    return subprocess.Popen(command, env=environment, text=True, bufsize=1, **pipes)


def recorder(root, **options):
    return runs.Recorder("cnn_sift", "synthetic", "smoke", 0, root=root, **options)


def fill(made, value=0.5):
    return made.add_predictions("C1", np.full((3, 2), [value, 1 - value]), [0, 1, 0], ["a", "b", "c"])


def whole(folder):
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def test_killed_run_leaves_nothing_and_resumes_to_the_same_numbers(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["", str(tmp_path / "plain"), ""])
    exec(SCRIPT, {})

    root = tmp_path / "killed"
    first = start(root, held=True)
    for fold in range(3):
        if fold:
            first.stdin.write("\n")
        assert first.stdout.readline() == f"working {fold}\n"
    first.send_signal(signal.SIGKILL)  # while the third fold is being worked on
    first.communicate()
    assert runs.find(root) == []

    second = start(root)
    output, _ = second.communicate()
    assert output.split() == ["working", "2", "working", "3"]  # finished folds are not repeated
    ours, reference = (runs.find(place)[0] for place in (root, tmp_path / "plain"))
    assert whole(ours.path) == whole(reference.path) == WHOLE
    for name, rows in ours.predictions("C1").items():
        np.testing.assert_array_equal(rows, reference.predictions("C1")[name])
    assert not [path for path in (root / ".work").iterdir() if path.is_dir()]


@pytest.mark.parametrize("moment", range(3))
def test_kill_at_any_moment_keeps_evidence_whole_or_absent(tmp_path, monkeypatch, moment):
    """Stop at each rename of a commit that replaces older evidence, as a kill there would."""
    made = recorder(tmp_path)
    fill(made)
    folder = made.commit()
    made = recorder(tmp_path)
    fill(made, 0.25)
    renames = []
    real = Path.rename

    def rename(self, target):
        if len(renames) == moment:
            raise SystemExit  # as SIGKILL, nothing after this happens
        renames.append(target)
        return real(self, target)

    monkeypatch.setattr(Path, "rename", rename)
    try:
        made.commit()
    except SystemExit:
        made.close()
    monkeypatch.undo()
    assert whole(folder) in ([], WHOLE)
    again = recorder(tmp_path)
    assert whole(folder) == WHOLE  # put back, if it was moved aside
    fill(again, 0.25)
    again.commit()
    assert runs.find(tmp_path)[0].predictions("C1")["probabilities"][0, 0] == 0.25
    assert len(runs.find(tmp_path)) == 1


def test_two_at_once_wait_for_one_another(tmp_path):
    first = start(tmp_path, held=True)
    first.stdout.readline()
    second = start(tmp_path)
    assert second.stdout.readline().strip() == writing.WAITING
    first.communicate("\n" * 4)
    second.communicate(timeout=60)
    assert first.returncode == second.returncode == 0
    assert whole(runs.find(tmp_path)[0].path) == WHOLE
    assert not list((tmp_path / ".work").glob("*.lock"))


@pytest.mark.parametrize(("said", "kept"), [("", ["C1 fold1.pt"]), ("no", [])])
def test_weights_are_left_beside_the_evidence_unless_that_is_switched_off(tmp_path, monkeypatch, said, kept):
    monkeypatch.setenv("FER_WEIGHTS", said)
    made = recorder(tmp_path)
    fill(made)
    made.checkpoint("C1 fold1.weights.pt").write_bytes(b"weights")
    made.checkpoint("C1 fold1.pt").write_bytes(b"to resume from")
    assert sorted(path.name for path in (made.commit() / "weights").glob("*")) == kept


def test_recorder_again_in_one_process_does_not_deadlock(tmp_path):
    first = recorder(tmp_path)
    second = recorder(tmp_path)  # a notebook's cell run twice; would wait for ever
    fill(second)
    second.commit()
    assert first.key == second.key
    assert runs.find(tmp_path)[0].info["key"] == first.key


def test_key_covers_what_a_run_computes_and_nothing_else(tmp_path):
    def key(**options):
        made = recorder(tmp_path, **options)
        made.close()
        return made.key

    base = key(parameters={"lr": 0.1, "data_dir": "/a"}, fingerprint="f")
    assert key(parameters={"lr": 0.1, "data_dir": "/b"}, fingerprint="f") == base
    assert key(parameters={"lr": 0.2, "data_dir": "/a"}, fingerprint="f") != base
    assert key(parameters={"lr": 0.1, "data_dir": "/a"}, fingerprint="g") != base


def test_evidence_is_read_back_as_written(tmp_path):
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib.figure import Figure

    made = recorder(tmp_path, parameters={"data_dir": "/home/someone/data/fer2013"}, fingerprint="abc")
    stored = fill(made, 0.3)
    made.add_curves(pd.DataFrame({"model": ["C1"], "fold": ["0"], "epoch": [1.0], "loss": [0.5]}))
    samples = {"ids": ["001", "NA"], "label": [0, 1], "subject": ["7", ""], "fold": ["0", "0"]}
    made.add_samples(pd.DataFrame(samples | {"twin_in_training": [True, False]}))
    made.add_embeddings(tsne=np.zeros((3, 2), np.float32))
    figure = Figure(figsize=(1, 1))
    made.add_figure("confusion", figure)
    made.info |= {"protocol": "fer2013_official", "counts": np.arange(2), "where": tmp_path}
    folder = made.commit()

    assert folder == tmp_path / "cnn_sift/synthetic/smoke/seed0"
    (run,) = runs.find(tmp_path, paper="cnn_sift", dataset="synthetic")
    assert (run.paper, run.dataset, run.budget, run.seed, run.variant) == (
        *("cnn_sift", "synthetic", "smoke", 0),
        "",
    )
    assert run.models() == ["C1"]
    rows = run.predictions("C1")
    assert {name: str(rows[name].dtype) for name in ("probabilities", "labels")} == {
        "probabilities": "float32",
        "labels": "int64",
    }
    for name in rows:
        np.testing.assert_array_equal(rows[name], stored[name])
    assert run.samples().ids.tolist() == ["001", "NA"]
    assert run.samples().subject.tolist() == ["7", ""]
    assert run.samples().twin_in_training.dtype == bool
    assert run.curves().loss.tolist() == [0.5]
    assert (folder / "curves.csv").read_text().splitlines()[1] == "C1,0,1,0.5"
    assert run.embeddings()["tsne"].shape == (3, 2)
    assert run.info["parameters"]["data_dir"] == "fer2013"
    assert run.info["counts"] == [0, 1]
    assert str(tmp_path) not in (folder / "run.json").read_text()
    assert (folder / "figures/confusion.png").read_bytes()[:4] == b"\x89PNG"
    assert runs.find(tmp_path, paper="cspp") == []


@pytest.mark.parametrize(
    "arguments, sentence",
    [
        (([[0.5, 0.5]], [0, 1], ["a", "b"]), "N labels"),
        (([[0.5, 0.9]], [0], ["a"]), "sum to 1"),
        (([[0.5, np.nan]], [0], ["a"]), "finite"),
        (([[0.5, 0.5]], [2], ["a"]), "0..1"),
    ],
)
def test_wrong_predictions_are_refused(tmp_path, arguments, sentence):
    with recorder(tmp_path) as made, pytest.raises(FerError, match=sentence):
        made.add_predictions("C1", *arguments)


def test_incomplete_or_unsafe_evidence_is_refused(tmp_path):
    with recorder(tmp_path) as made:
        with pytest.raises(FerError, match="without predictions"):
            made.commit()
        with pytest.raises(FerError, match="Python objects"):
            made.finish_unit("fold0", bad=np.array([{}, 1], dtype=object))
        with pytest.raises(FerError, match="file name"):
            made.unit("../escape")
        made.add_predictions("C1", [[1, 0]], [0], ["a"], "0")
        made.add_predictions("C1", [[1, 0]], [0], ["a"], "0")
        with pytest.raises(FerError, match="twice"):
            made.commit()
    with pytest.raises(FerError, match="Did you mean 'smoke'"):
        runs.Recorder("cnn_sift", "synthetic", "smok", 0, root=tmp_path)


def test_damaged_run_json_is_named(tmp_path):
    folder = tmp_path / "cnn_sift/synthetic/smoke/seed0"
    folder.mkdir(parents=True)
    (folder / "run.json").write_text("{")
    with pytest.raises(FerError, match=r"run\.json cannot be read"):
        print(runs.find(tmp_path)[0].seed)


def test_pickled_arrays_are_never_loaded(tmp_path):
    np.savez(tmp_path / "bad.npz", a=np.array([{}], dtype=object))
    with pytest.raises(ValueError, match="allow_pickle"):
        runs.arrays(tmp_path / "bad.npz")


def test_runs_are_found_in_natural_order(tmp_path):
    for name in ("seed10", "seed2", "seed2,lr=0.1"):
        path = tmp_path / "cnn_sift/synthetic/smoke" / name / "run.json"
        path.parent.mkdir(parents=True)
        path.write_text("{}")
    assert [run.path.name for run in runs.find(tmp_path)] == ["seed2", "seed2,lr=0.1", "seed10"]


def test_stage_leaves_publishing_to_fer_run(tmp_path, monkeypatch):
    stage = tmp_path / ".work" / "slug" / "evidence"
    stage.parent.mkdir(parents=True)
    monkeypatch.setenv("FER_STAGE", str(stage))
    made = recorder(tmp_path / "elsewhere", variant="lr=0.1")
    made.finish_unit("fold0", a=[1])
    fill(made)
    assert made.commit() == stage
    assert json.loads((stage / "run.json").read_text())["variant"] == "lr=0.1"
    assert made.work.parent == tmp_path / ".work"
    assert made.work.is_dir()  # until `fer run` has published
    writing.publish(stage, tmp_path / "cnn_sift/synthetic/smoke/seed0,lr=0.1")
    assert [run.variant for run in runs.find(tmp_path)] == ["lr=0.1"]


def notebook(folder, cell):
    cells = [{"cell_type": "code", "metadata": {"tags": ["parameters"]}, "source": cell}]
    (folder / "notebooks").mkdir(exist_ok=True)
    (folder / "pyproject.toml").touch()
    (folder / "notebooks/cnn_sift.ipynb").write_text(json.dumps({"cells": cells}))


def test_variant_names_what_differs_from_the_register_and_not_from_the_saved_notebook(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    notebook(tmp_path, "seed = 0\nlr = 0.1  # saved with another rate than ours\nsift_mode = 'dog_x4'\n")
    assert provenance.parameters(provenance.notebook_path("cnn_sift")) == {
        **{"seed": 0, "lr": 0.1, "sift_mode": "dog_x4"},
    }
    assert provenance.defaults("cnn_sift") == {"seed": 0, "lr": 0.001, "sift_mode": "dog_x4"}
    assert runs.variant("cnn_sift", {"seed": 3, "lr": 0.001}) == ""
    assert runs.variant("cnn_sift", {"lr": 0.1, "sift_mode": "dense"}) == "lr=0.1,sift_mode=dense"
    names = {runs.variant("cnn_sift", {"sift_mode": text}) for text in ("a/b", "a:b", "x" * 300)}
    assert len(names) == 3
    assert all(file_name(name) and len(name) <= 120 for name in names)
    notebook(tmp_path, "seed = 0\nlayout = 1\n")
    with pytest.raises(FerError, match="'layout', which cnn_sift's register does not have"):
        provenance.defaults("cnn_sift")


def test_evidence_is_current_until_code_or_parameters_change(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    notebook(tmp_path, "seed = 0\ndevice = 'auto'\nlr = 0.001\n")
    made = recorder(tmp_path, parameters={"seed": 0, "lr": 0.001, "device": "cpu"})
    fill(made)
    folder = made.commit()
    assert runs.current(folder, {"device": "cuda"}).path == folder
    assert runs.current(folder, {"lr": 0.1}) is None
    assert runs.current(tmp_path / "nowhere", {}) is None
    monkeypatch.setattr(runs, "sources", lambda paper: "other")
    assert runs.current(folder, {}) is None


def test_a_run_by_hand_leaves_a_notebook_for_its_page(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    notebook(tmp_path, "seed = 0\n")
    for value, kept in ((0.5, "source"), (0.25, "executed")):
        made = recorder(tmp_path)
        fill(made, value)
        folder = made.commit()
        text = (folder / "notebook.ipynb").read_text()
        if kept == "source":
            assert "fer run cnn_sift synthetic --budget smoke --seed 0 --force" in text
            (folder / "notebook.ipynb").write_text("executed")
    assert text == "executed"  # of the same key: the same cells gave it
    made = recorder(tmp_path, parameters={"lr": 0.1})
    fill(made)
    assert "by hand" in (made.commit() / "notebook.ipynb").read_text()


def test_one_process_at_a_time_exchanges_evidence(tmp_path, monkeypatch):
    made, real, locked = recorder(tmp_path), Path.rename, []
    fill(made)

    def rename(self, target):
        locked.extend(path.name for path in made.folder.parent.glob(".*.lock"))
        return real(self, target)

    monkeypatch.setattr(Path, "rename", rename)
    folder = made.commit()
    assert locked == [".seed0.lock"]
    assert not [*folder.parent.glob(".*.lock")]


@pytest.mark.parametrize("changed", [False, True])
def test_evidence_of_changed_cells_is_not_taken_for_the_chapters(tmp_path, monkeypatch, changed):
    import IPython

    monkeypatch.chdir(tmp_path)
    notebook(tmp_path, "seed = 0\n")
    path = tmp_path / "notebooks/cnn_sift.ipynb"
    content = json.loads(path.read_text())
    cells = ["x = 1  # as stored", "commit()", "later()"]
    content["cells"] += [{"cell_type": "code", "metadata": {}, "source": cell} for cell in cells]
    path.write_text(json.dumps(content))
    run = ["", "seed = 3", "x = 2" if changed else "x = 1", "commit()"]
    monkeypatch.setattr(IPython, "get_ipython", lambda: SimpleNamespace(user_ns={"In": run}))
    made = recorder(tmp_path)
    fill(made)
    assert (runs.current(made.commit(), {}) is None) == changed


def test_a_damaged_unit_is_done_again(tmp_path):
    store = UnitFolder(tmp_path)
    for damage in (b"", b"PK", store.finish_unit("a", p=np.zeros(3)).read_bytes()[:-9]):
        store.finish_unit("a", p=np.zeros(3)).write_bytes(damage)
        assert store.unit("a") is None
    assert store.unit("a") is None
    assert np.array_equal(runs.arrays(store.finish_unit("a", p=np.ones(3)))["p"], np.ones(3))
    assert store.unit("a") is not None


@pytest.mark.parametrize("code, said", [(errno.ENOSPC, "No space left"), (errno.EROFS, "Read-only")])
def test_a_full_or_read_only_folder_is_named(tmp_path, monkeypatch, capsys, code, said):
    def refuse(*arguments, **options):
        raise OSError(code, os.strerror(code))

    store = UnitFolder(tmp_path / "work")
    store.finish_unit("a", p=[1])
    monkeypatch.setenv("FER_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(os, "replace", refuse)
    with pytest.raises(
        FerError, match=f"{tmp_path}/work/units cannot be written to .{said}.*--results the evidence"
    ):
        store.finish_unit("b", p=[1])
    assert store.unit("a") is not None
    assert store.unit("b") is None
    assert not [path for path in (tmp_path / "work/units").iterdir() if path.name != "a.npz"]
    made = cached_arrays("kind", "key", lambda: {"x": np.ones(2)})  # goes on without
    assert made["x"].tolist() == [1, 1]
    assert f"{tmp_path}/cache/kind cannot be written to" in capsys.readouterr().err
    monkeypatch.setattr(Path, "mkdir", refuse)
    assert cached_arrays("other", "key", lambda: {"x": np.ones(1)})["x"].tolist() == [1]
    assert f"{tmp_path}/cache/other cannot be written to" in capsys.readouterr().err


def test_another_number_of_threads_is_another_key(tmp_path):
    import torch

    keys, before = set(), torch.get_num_threads()
    try:
        for threads in (1, 2):
            torch.set_num_threads(threads)
            with recorder(tmp_path) as made:
                keys.add(made.key)
    finally:
        torch.set_num_threads(before)
    assert len(keys) == 2


@given(st.text(max_size=30))
def test_file_names_never_leave_their_folder(name):
    try:
        accepted = file_name(name)
    except FerError:
        return
    assert Path("folder", accepted).parent == Path("folder")
    assert not accepted.startswith(".")


def test_provenance_says_what_and_hides_where(monkeypatch):
    import platform

    facts = provenance.provenance(time.monotonic())
    assert facts["packages"]["numpy"] == np.__version__
    assert facts["cores"] >= 1
    assert facts["peak_memory_mib"] > 10
    assert 0 <= facts["wall_seconds"] < 60
    text = json.dumps(facts)
    assert str(Path.home()) + "/" not in text
    assert platform.node() not in [facts["platform"], facts["cpu"]]


def test_sources_ignore_prose_outputs_and_the_saved_parameters(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    notebook(tmp_path, "seed = 0\n")
    before = provenance.sources("cnn_sift")
    path = tmp_path / "notebooks/cnn_sift.ipynb"
    content = json.loads(path.read_text())
    content["cells"][0]["outputs"] = [{"text": "x"}]
    content["cells"][0]["source"] = "seed = 1\n"
    content["cells"].append({"cell_type": "markdown", "metadata": {}, "source": "prose"})
    path.write_text(json.dumps(content))
    assert provenance.sources("cnn_sift") == before
    content["cells"].append({"cell_type": "code", "metadata": {}, "source": "x = 1"})
    path.write_text(json.dumps(content))
    changed = provenance.sources("cnn_sift")
    assert changed != before
    content["cells"][-1]["source"] = "x  =  1  # one"
    path.write_text(json.dumps(content))
    assert provenance.sources("cnn_sift") == changed


def test_what_only_draws_and_judges_is_told_from_what_computes(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    notebook(tmp_path, "import fer_lib.show.plots\nimport fer_lib.learn.training\n")
    drawing, computing = (provenance.sources("cnn_sift", shown=shown) for shown in (True, False))
    known = provenance.source_digest

    def changed(folder):
        monkeypatch.setattr(provenance, "source_digest", lambda path: known(path) + str(folder in path.parts))
        return tuple(provenance.sources("cnn_sift", shown=shown) for shown in (True, False))

    unchanged = changed("no such folder")
    assert (changed("show")[0] != unchanged[0], changed("show")[1] == unchanged[1]) == (True, True)
    assert (changed("learn")[0] != unchanged[0], changed("learn")[1] != unchanged[1]) == (True, True)
    assert drawing != computing


@pytest.mark.parametrize(
    ("part", "field", "value", "computed"),
    [
        ("inconsistencies", "evidence", "Reworded.", False),
        ("ambiguities", "quote", "Another sentence.", False),
        ("claims", "note", "Reworded.", False),
        ("protocols", "notes", "Reworded.", False),
        ("ambiguities", "default", "another", True),
        ("ambiguities", "values", ["one", "another"], True),
        ("claims", "value", 12.5, True),
        ("protocols", "samples", 3, True),
        ("hyperparameters", "value", 3, True),
    ],
)
def test_of_a_claims_file_only_what_is_computed_with_is_code(
    tmp_path, monkeypatch, part, field, value, computed
):
    content = read_yaml(provenance.CLAIMS / "cspp.yaml")
    monkeypatch.setattr(provenance, "CLAIMS", tmp_path)
    monkeypatch.setattr(provenance, "library", lambda paper: [])

    def digests():
        (tmp_path / "cspp.yaml").write_text(json.dumps(content))
        return [provenance.sources("cspp", shown=shown) for shown in (True, False)]

    before = digests()
    next(entry for entry in content[part] if field in entry)[field] = value
    after = digests()
    assert after[0] != before[0]
    assert (after[1] != before[1]) == computed


def test_a_digest_of_code_knows_what_it_does_and_not_how_it_is_written():
    plain = 'def f(x, y=None):\n    return g(x)[0], -1, "a"\n'
    same = (
        '"""Module."""\n\ndef f(\n    x,\n    y=None,\n):\n    """Do it."""\n'
        "    # why\n    return (g(x)[0], -1, 'a')\n"
    )
    assert code_digest(plain) == code_digest(same)
    others = (
        ("y=None", "y=1"),
        ("-1", "1"),
        ('"a"', '"b"'),
        ("return", "yield"),
        ("f(x", "f(z"),
        (", y=None", ""),
    )
    assert len({code_digest(plain.replace(*change)) for change in (("", ""), *others)}) == 1 + len(others)
    assert code_digest("def f():\n    return") != code_digest("def f():\n    return None")
    assert code_digest("%magic") != code_digest("%other")
