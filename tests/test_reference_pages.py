"""The pages that last: every module is documented, every work cited, every package and machine told."""

import ast
import json
import re
import sys
from pathlib import Path

import pytest

from fer_lib import claims

ROOT = Path(__file__).resolve().parents[1]
BOOK = ROOT / "book"


@pytest.fixture
def pages(monkeypatch):
    """The book's own modules, importable as its pages import them."""
    monkeypatch.syspath_prepend(str(BOOK))
    import api_page
    import machines

    yield api_page, machines
    for name in ("api_page", "machines", "markup", "overview"):
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


class TestApi:
    def test_every_module_is_documented_once(self, pages):
        api_page, _ = pages
        listed = [module for part in api_page.PARTS for module in api_page.documented(part)]
        assert len(listed) == len(set(listed))
        paths = (ROOT / "fer_lib").rglob("*.py")
        there = {".".join(p.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__") for p in paths}
        missing = there - {"fer_lib"} - set(listed)
        assert not missing, f"add them to a page book/api_*.md: {sorted(missing)}"
        assert set(listed) <= there

    def test_a_purpose_is_the_docstring_s_first_line_without_markup(self, pages):
        api_page, _ = pages
        said = api_page.purpose("fer_lib.data.drawing.drawing")
        assert ":mod:" not in said
        assert "`" not in said
        assert "drawing.geometry" in said
        assert all(api_page.purpose(m) for part in api_page.PARTS for m in api_page.documented(part))


class TestMachines:
    def test_pins_are_those_of_the_lock(self, pages):
        _, machines = pages
        text = (ROOT / "requirements.lock").read_text("utf-8")
        pins = machines.pinned()
        assert f"\ntorch=={pins['torch']}" in text
        assert "appnope" not in pins or sys.platform == "darwin"

    def test_packages_of_recorded_runs_stand_beside_the_pins(self, pages):
        _, machines = pages
        html = machines.packages().data
        for run in machines.recorded():
            assert run.info["provenance"]["packages"]["torch"] in html

    def test_each_recorded_run_has_its_machine(self, pages):
        _, machines = pages
        html = machines.machines().data
        runs = machines.recorded()
        assert html.count("<tr>") == len(runs) + bool(runs)
        assert all((run.info["provenance"]["gpu"] or run.info["provenance"]["cpu"]) in html for run in runs)

    def test_every_benchmark_is_told(self, pages):
        _, machines = pages
        html = machines.what_there_is().data
        modules = {p.stem for p in (ROOT / "benchmarks").glob("*.py")} - {"__init__", "record"}
        assert set(machines.benchmarks()) == modules
        assert all(f"python -m benchmarks.{name}" in html for name in modules)

    def test_recordings_are_shown_as_they_are(self, pages, tmp_path, monkeypatch):
        _, machines = pages
        made = {"cpu": "Some processor", "cores": 2, "platform": "Linux x86_64", "gpu": None}
        for n, ours in ((1, 12.5), (2, 1234567)):
            facts = {
                "benchmark": "hog",
                "command": "python -m benchmarks.hog",
                "measured": {"microseconds": {"ours": ours}, "conflict": n},
                "provenance": made,
            }
            (tmp_path / f"hog-{n}.json").write_text(json.dumps(facts), encoding="utf-8")
        kept = machines.measured(tmp_path)
        monkeypatch.setattr(machines, "measured", lambda: kept)
        html = machines.figures().data
        assert "microseconds: ours" in html
        assert "12.5" in html
        assert "1,234,567" in html
        assert html.count("Some processor") == 2

    def test_nothing_recorded_says_so(self, pages, monkeypatch):
        _, machines = pages
        monkeypatch.setattr(machines, "measured", list)
        assert "Not recorded" in machines.figures().data
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
