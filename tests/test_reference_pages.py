"""The pages that last: every module is documented, every work cited, every package and machine told."""

import ast
import json
import pkgutil
import re
import sys
from pathlib import Path

import pytest

import fer_lib
from fer_lib import claims

ROOT = Path(__file__).resolve().parents[1]
BOOK = ROOT / "book"


@pytest.fixture
def machines(monkeypatch):
    """A module of the book, imported as its pages import it."""
    monkeypatch.syspath_prepend(str(BOOK))
    import machines

    yield machines
    for name in ("machines", "markup", "about_runs"):
        sys.modules.pop(name, None)


def cited() -> set[str]:
    """Keys that pages cite."""
    found = set()
    for page in BOOK.glob("*.md"):
        for keys in re.findall(r"\{cite:?\w*\}`([^`]*)`", page.read_text("utf-8")):
            found |= {key.strip() for key in keys.split(",")}
    return found


def entries() -> set[str]:
    return set(re.findall(r"^@\w+\{(\w+),", (BOOK / "references.bib").read_text("utf-8"), re.MULTILINE))


class TestReferences:
    def test_all_five_papers_are_cited(self):
        assert set(claims.PAPERS) <= cited()

    def test_what_is_cited_is_listed_and_what_is_listed_is_cited(self):
        assert cited() == entries()

    @pytest.mark.parametrize("key", claims.PAPERS)
    def test_a_paper_s_entry_agrees_with_its_claims_file(self, key):
        text = (BOOK / "references.bib").read_text("utf-8")
        entry = re.search(rf"^@\w+\{{{key},\n(.*?)^\}}", text, re.MULTILINE | re.DOTALL)[1]
        paper = claims.load(key)
        plain = re.sub(r"[{}]", "", entry.replace("{\\'e}", "é"))
        assert " ".join(paper.title.split()).lower() in plain.lower()
        assert all(author.split()[-1] in plain for author in paper.authors)
        year = re.search(r"year = \{(\d+)\}", entry)
        assert (int(year[1]) if year else None) == paper.year


def test_every_folder_and_module_is_on_the_api_page_once():
    listed = re.findall(r"^   (fer_lib[\w.]+)$", (BOOK / "api.md").read_text("utf-8"), re.MULTILINE)
    inner = pkgutil.walk_packages(fer_lib.__path__, "fer_lib.")
    folders = {module.name for module in inner if module.ispkg}
    top = {f"fer_lib.{module.name}" for module in pkgutil.iter_modules(fer_lib.__path__)}
    assert sorted(listed) == sorted(folders | top)


class TestMachines:
    def test_pins_are_those_of_the_lock(self, machines):
        text = (ROOT / "requirements.lock").read_text("utf-8")
        pins = machines.pinned()
        assert f"\ntorch=={pins['torch']}" in text
        assert "appnope" not in pins or sys.platform == "darwin"

    def test_packages_of_recorded_runs_stand_beside_the_pins(self, machines):
        html = machines.packages().data
        for run in machines.runs.find():
            if run.dataset != "synthetic":
                assert run.info["provenance"]["packages"]["torch"] in html

    def test_every_benchmark_that_times_something_is_told(self, machines):
        html = machines.what_there_is().data
        modules = {p.stem for p in (ROOT / "benchmarks").glob("*.py")} - set(machines.UNTIMED)
        assert set(machines.benchmarks()) == modules
        assert all(f"python -m benchmarks.{name}" in html for name in modules)

    def test_recordings_are_shown_as_they_are(self, machines, tmp_path, monkeypatch):
        made = {"cpu": "Some processor", "cores": 2, "platform": "Linux x86_64", "gpu": None}
        for n, ours in ((1, 12.5), (2, 1234567)):
            facts = {
                "benchmark": "hog",
                "command": "python -m benchmarks.hog",
                "measured": {"microseconds": {"ours": ours}, "conflict": n},
                "provenance": made,
            }
            path = tmp_path / "results" / "benchmarks" / f"hog-{n}.json"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(json.dumps(facts), encoding="utf-8")
        monkeypatch.setattr(machines, "repository", lambda: tmp_path)
        html = machines.recordings().data
        assert "Microseconds: speed, this library" in html
        assert "µs per image" in html
        assert "12.5" in html
        assert "1,234,567" in html
        assert html.count("Some processor") == 2

    def test_ratios_are_named_and_said_what_they_mean(self, machines, monkeypatch):
        made = {"cpu": "Some processor", "cores": 2, "platform": "Linux x86_64", "gpu": None}
        facts = {"side_by_side_is_faster_by": 0.5, "largest_difference": 3e-8, "ours_memory_mib": 2}
        entry = {"benchmark": "folds", "command": "run", "measured": facts, "provenance": made}
        monkeypatch.setattr(machines, "measured", lambda: [entry])
        html = machines.recordings().data
        assert "Speed, side by side / one after another" in html
        assert "below 1, one after another is faster" in html
        assert "3.0 × 10<sup>-8</sup>" in html
        assert "Memory, this library" in html
        (axes,) = machines.speedups().axes
        assert "side by side / one after another" in axes.get_yticklabels()[0].get_text()
        assert any(list(line.get_xdata()) == [1, 1] for line in axes.lines)

    def test_nothing_recorded_says_so(self, machines, monkeypatch):
        monkeypatch.setattr(machines, "measured", list)
        assert "Not recorded" in machines.recordings().data
        assert "Not recorded" in machines.speedups().data
        assert "not recorded" in machines.what_there_is().data


def test_recorded_benchmarks_have_the_four_parts():
    for path in (ROOT / "results" / "benchmarks").glob("*.json"):
        facts = json.loads(path.read_text("utf-8"))
        assert list(facts) == ["benchmark", "command", "measured", "provenance"], path.name
        assert path.stem.rpartition("-")[0] == facts["benchmark"]


def test_the_code_on_the_api_page_is_python_of_this_library():
    (code,) = re.findall(r"```python\n(.*?)```", (BOOK / "api.md").read_text("utf-8"), re.DOTALL)
    import fer_lib.data.splits

    names = [
        n.attr for n in ast.walk(ast.parse(code)) if isinstance(n, ast.Attribute) and n.value.id == "splits"
    ]
    assert names
    assert all(hasattr(fer_lib.data.splits, name) for name in names)
