"""Evidence that several test files read, and the built book in a browser.

The book is _build/html (or ``$FER_BOOK``), as ``make book`` leaves it. Without it or without Chromium its
tests are skipped; in continuous integration an absent book is a failure.
"""

import os
from functools import cache
from pathlib import Path

# One core each: two teams of OpenMP threads would wait for each other.
if os.environ.get("PYTEST_XDIST_WORKER"):
    os.environ.setdefault("OMP_NUM_THREADS", "1")

import pytest
from hypothesis import settings

from fer_lib.cli import care
from fer_lib.evidence.execution import execute
from fer_lib.evidence.provenance import evidence_folder, sources
from fer_lib.evidence.runs import Run

settings.register_profile("whatever else the machine does", deadline=None)
settings.load_profile("whatever else the machine does")

# Files whose tests take longest: begun last, one of two processes would wait for the other.
LONG = ("test_snakefile", "test_notebooks", "test_side_by_side", "test_explore", "test_runs", "test_cli")

BOOK = Path(os.environ.get("FER_BOOK") or Path(__file__).resolve().parents[1] / "_build" / "html").resolve()


@pytest.hookimpl(tryfirst=True)  # xdist reads the groups in its own
def pytest_collection_modifyitems(items):
    """Where processes share the tests, a file's stay together; of two long ones, those of one page or run.

    Long files come first (with ``--no-loadscope-reorder``; pytest-xdist would begin with the most tests).
    """
    items.sort(key=lambda item: item.path.stem not in LONG)
    shared = {"test_book": "page", "test_notebooks": "smoke"}
    for item in items:
        given = item.callspec.params if hasattr(item, "callspec") else {}
        group = given.get(shared.get(item.path.stem), item.path.stem)
        item.add_marker(pytest.mark.xdist_group(group))


@pytest.fixture(scope="session")
def smoke_of(tmp_path_factory):
    """Return paper -> evidence on synthetic faces: that of ``make book`` unless something changed."""

    @cache
    def run_of(paper):
        run = Run(evidence_folder("results", paper, "synthetic", "smoke", 0))
        if run.path.is_dir() and run.info["sources"] == sources(paper):
            return run
        return Run(execute(paper, "synthetic", results=tmp_path_factory.mktemp("results")))

    return run_of


@pytest.fixture(scope="session")
def book():
    """Return the folder of the built book."""
    if not (BOOK / "index.html").is_file():
        explain = f"{BOOK} holds no built book; `make book` builds it"
        (pytest.fail if os.environ.get("CI") else pytest.skip)(explain)
    return BOOK


@pytest.fixture(scope="module")  # its event loop would be in the way of other files' notebooks
def browser(book):
    """Return Chromium, for the pages of the built book."""
    if (program := care.browser()) is None:
        pytest.skip("no Chromium on this machine")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(
            executable_path=program, args=["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
        )
        yield chromium
        chromium.close()
