"""environment.yml and requirements.lock against pyproject.toml, one OpenCV, light imports."""

import ast
import os
import re
import subprocess
import sys
import tomllib
from importlib import metadata
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

from fer_lib.evidence.provenance import behind

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
LOCK = (ROOT / "requirements.lock").read_text("utf-8")
ADDRESS = re.compile(r"https?://|--(?:extra-)?index-url|--find-links|--trusted-host|^-[if]\b|@\s*file:", re.M)


def direct() -> dict[str, Requirement]:
    """Every requirement that pyproject.toml names, extras included."""
    lines = PROJECT["dependencies"] + [
        line for extra in PROJECT["optional-dependencies"].values() for line in extra
    ]
    return {canonicalize_name(r.name): r for r in map(Requirement, lines)}


def locked() -> list[Requirement]:
    lines = (line.strip() for line in LOCK.splitlines())
    return [Requirement(line) for line in lines if line and not line.startswith("#")]


@pytest.fixture(scope="module")
def conda() -> dict:
    return yaml.safe_load((ROOT / "environment.yml").read_text("utf-8"))


def pip_lines(conda: dict) -> list[str]:
    return next(entry["pip"] for entry in conda["dependencies"] if isinstance(entry, dict))


def test_conda_environment_names_the_same_requirements_as_pyproject(conda):
    named = [Requirement(line) for line in pip_lines(conda) if not line.startswith("-")]
    assert {canonicalize_name(r.name): r.specifier for r in named} == {
        n: r.specifier for n, r in direct().items()
    }
    assert len(named) == len(direct()), "a package is named twice"


def test_conda_environment_is_pinned_and_holds_the_library(conda):
    options = [line for line in pip_lines(conda) if line.startswith("-")]
    assert options == ["-c requirements.lock", "-e ."]
    (python,) = (e for e in conda["dependencies"] if isinstance(e, str) and e.startswith("python"))
    assert python.removeprefix("python").strip() == PROJECT["requires-python"]


def test_binder_names_what_the_explorer_imports_within_pyprojects_bounds():
    python, *conda, pip = yaml.safe_load((ROOT / "binder/environment.yml").read_text("utf-8"))["dependencies"]
    assert re.fullmatch(r"python=3\.\d+", python), "repo2docker reads one version"
    assert SpecifierSet(PROJECT["requires-python"]).contains(python.removeprefix("python="))
    lines = [line.replace("pytorch-cpu", "torch") for line in conda if line != "pip"] + pip["pip"]
    named = {canonicalize_name(r.name): r.specifier for r in map(Requirement, lines)}
    assert named == {name: direct()[name].specifier for name in named}
    imported = set()
    for path in behind([ROOT / "fer_lib/play/explore.py"]):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            imported |= {alias.name for alias in node.names} if isinstance(node, ast.Import) else set()
            imported |= {node.module} if isinstance(node, ast.ImportFrom) and node.module else set()
    sellers = metadata.packages_distributions()
    needed = {canonicalize_name(d) for name in imported for d in sellers.get(name.split(".")[0], [])}
    assert needed & direct().keys() <= named.keys()


def test_lock_pins_every_direct_requirement_within_its_bounds():
    pins: dict[str, list[Requirement]] = {}
    for requirement in locked():
        pins.setdefault(canonicalize_name(requirement.name), []).append(requirement)
    for name, requirement in direct().items():
        assert name in pins, f"{name} is not pinned in requirements.lock: run `make lock`"
        for pin in pins[name]:
            (clause,) = pin.specifier
            assert clause.operator == "=="
            assert requirement.specifier.contains(clause.version, prereleases=True), (
                f"{pin} against {requirement}"
            )


def test_lock_pins_exactly_and_holds_no_addresses():
    assert not ADDRESS.search(LOCK)
    assert all(
        len(r.specifier) == 1 and str(r.specifier).startswith("==") and r.url is None for r in locked()
    )


def test_what_is_installed_meets_pyproject():
    for name, requirement in direct().items():
        assert requirement.specifier.contains(metadata.version(name), prereleases=True), requirement


def test_groups_of_tests_stay_in_one_process(request):
    """pytest-xdist writes the group behind a test's name, which newer releases of pytest ignore."""
    if not getattr(request.config.option, "loadgroup", False):
        pytest.skip("the tests are not shared out by groups")
    assert request.node.nodeid.endswith(f"@{Path(__file__).stem}")


def test_there_is_one_opencv_and_it_is_headless_4():
    assert set(metadata.packages_distributions()["cv2"]) == {"opencv-python-headless"}
    assert [r.name for r in locked() if r.name.startswith("opencv")] == ["opencv-python-headless"]
    import cv2

    assert cv2.__version__.startswith("4.")
    assert cv2.CascadeClassifier is not None
    assert cv2.HOGDescriptor().getDescriptorSize() == 3780  # 64x128 windows of the original paper
    assert cv2.SIFT_create().descriptorSize() == 128


LIGHT = """
fer_lib fer_lib.claims fer_lib.cli fer_lib.expressions fer_lib.data.corpus fer_lib.data.datasets
fer_lib.data.splits fer_lib.evidence.runs fer_lib.judge.report fer_lib.learn.embeddings fer_lib.learn.explain
fer_lib.learn.metrics fer_lib.show.plots
"""


def test_importing_the_library_loads_nothing_heavy():
    heavy = {"torch", "torchvision", "umap", "numba", "sklearn", "statsmodels", "cv2", "matplotlib"}
    code = "import sys, fer_lib; print(*{'numpy', 'pandas'} & set(sys.modules));"
    code += f"import {', '.join(LIGHT.split())}; print(*sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="needs a place where nothing can be made")
@pytest.mark.parametrize("cache", [None, "fer-cache"])  # no cache folder, or one that may be written to
def test_without_a_home_caches_find_a_place(cache, tmp_path):
    code = (
        "import fer_lib, matplotlib; from IPython.paths import get_ipython_dir; get_ipython_dir();"
        "from fer_lib.files import cached_arrays, cache_folder; import numpy as np;"
        "cached_arrays('a', 'b', lambda: {'x': np.ones(1)});"
        "print(cache_folder(), matplotlib.get_configdir())"
    )
    environment = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(ROOT),
        "HOME": "/proc/none",
        "TMPDIR": str(tmp_path),
    }
    environment |= {"XDG_CACHE_HOME": str(tmp_path / cache)} if cache else {}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    (place,) = tmp_path.glob("fer-*")
    assert done.stdout.split() == [str(place / "fer"), str(place / "mplconfigdir")]
    assert (place / "fer/a/b/x.npy").is_file()


def test_no_tracked_file_names_a_package_index():
    listing = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False)
    if listing.returncode:
        pytest.skip("not a git checkout")
    index = re.compile(
        r"//[^\s/\"')]+/(?:[^\s/\"')]+/)?simple\b|--(?:extra-)?index-url[ =]\S*//|--find-links[ =]\S*//"
    )
    guilty = []
    for name in filter(None, listing.stdout.split("\0")):
        path = ROOT / name
        if path == Path(__file__) or not path.is_file() or path.suffix in {".png", ".npz", ".xz"}:
            continue
        if found := index.search(path.read_text("utf-8", errors="replace")):
            guilty.append(f"{name}: {found.group()}")
    assert not guilty
