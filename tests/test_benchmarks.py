"""Benchmarks: what they print at their end is kept whole, with its conditions and no paths."""

import ast
import inspect
import json
import sys
import types
from pathlib import Path

import pytest

from benchmarks import record, training
from fer_lib.errors import FerError

ROOT = Path(__file__).resolve().parents[1]


@pytest.mark.parametrize("name", record.NAMES)
def test_a_benchmark_says_what_it_measures_and_ends_with_one_json_object(name):
    tree = ast.parse((ROOT / "benchmarks" / f"{name}.py").read_text("utf-8"))
    doc = ast.get_docstring(tree)
    assert f"python -m benchmarks.{name}" in doc
    (main,) = [node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == "main"]
    text = ast.unparse(main)
    if "show(rounds" in text:  # what two ways of one training have in common
        text = inspect.getsource(training.show)
    assert "json.dumps" in text


@pytest.mark.parametrize("before", ["", "x\n", '{"round": 1}\nwarm\n'])
def test_the_last_object_of_an_output_is_kept(before):
    said = {"a": {"b": 1}, "c": 2}
    assert record.last_object(before + json.dumps(said, indent=1) + "\n") == said
    assert record.last_object(before + json.dumps(said)) == said


@pytest.mark.parametrize("text", ["nothing", '{"a": 1}\ndone', "[1]"])
def test_an_output_that_ends_otherwise_is_refused(text):
    with pytest.raises(FerError, match="no JSON object at its end"):
        record.last_object(text)


@pytest.fixture
def quick(monkeypatch):
    """A benchmark that takes no time and prints its command line."""

    def main():
        print("working")
        print(json.dumps({"images": 3, "options": len(sys.argv) - 1}, indent=1))

    module = types.ModuleType("benchmarks.quick")
    module.main = main
    monkeypatch.setitem(sys.modules, "benchmarks.quick", module)
    monkeypatch.setattr(record, "NAMES", ("quick",))


def test_a_record_keeps_figures_command_and_machine_and_replaces_nothing(quick, tmp_path, capsys):
    before = list(sys.argv)
    path = record.record("quick", ["--data-dir", "/somewhere/faces", "--folder=/elsewhere/tree"], tmp_path)
    facts = json.loads(path.read_text("utf-8"))
    assert path.name == "quick-1.json"
    assert list(facts) == ["benchmark", "command", "measured", "provenance"]
    assert facts["command"] == "python -m benchmarks.quick --data-dir faces --folder=tree"
    assert facts["measured"]["images"] == 3
    assert facts["provenance"]["cpu"]
    assert "working" in capsys.readouterr().out
    assert sys.argv == before
    assert record.record("quick", [], tmp_path).name == "quick-2.json"


def test_a_benchmark_that_fails_or_is_none_leaves_nothing(quick, tmp_path, monkeypatch):
    monkeypatch.setattr(sys.modules["benchmarks.quick"], "main", lambda: print("no figures"))
    for name in ("quick", "nothing"):
        with pytest.raises(FerError, match=r"[Bb]enchmark"):
            record.record(name, [], tmp_path)
    assert not list(tmp_path.glob("*.json"))
