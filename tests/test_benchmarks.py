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


class TestLastObject:
    def test_after_progress_and_other_objects(self):
        text = '{"round": 1}\nwarm\n{\n "a": {\n  "b": 1\n },\n "c": 2\n}\n'
        assert record.last_object(text) == {"a": {"b": 1}, "c": 2}

    def test_on_one_line(self):
        assert record.last_object('x\n{"a": 1}') == {"a": 1}

    @pytest.mark.parametrize("text", ["", "nothing", '{"a": 1}\ndone', "[1]"])
    def test_refuses_what_ends_otherwise(self, text):
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


class TestRecord:
    def test_keeps_figures_command_and_machine(self, quick, tmp_path, capsys):
        before = list(sys.argv)
        path = record.record(
            "quick", ["--data-dir", "/somewhere/faces", "--folder=/elsewhere/tree"], tmp_path
        )
        facts = json.loads(path.read_text("utf-8"))
        assert path.name == "quick-1.json"
        assert list(facts) == ["benchmark", "command", "measured", "provenance"]
        assert facts["command"] == "python -m benchmarks.quick --data-dir faces --folder=tree"
        assert facts["measured"]["images"] == 3
        assert facts["provenance"]["cpu"]
        assert facts["provenance"]["wall_seconds"] >= 0
        assert "working" in capsys.readouterr().out
        assert sys.argv == before

    def test_replaces_nothing(self, quick, tmp_path):
        names = [record.record("quick", [], tmp_path).name for _ in range(2)]
        assert names == ["quick-1.json", "quick-2.json"]

    def test_writes_nothing_of_a_benchmark_that_fails(self, quick, tmp_path, monkeypatch):
        monkeypatch.setattr(sys.modules["benchmarks.quick"], "main", lambda: print("no figures"))
        with pytest.raises(FerError):
            record.record("quick", [], tmp_path)
        assert not list(tmp_path.glob("*.json"))

    def test_an_unknown_name_is_one_sentence(self):
        with pytest.raises(FerError, match="benchmark"):
            record.record("nothing")
