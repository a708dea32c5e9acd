"""Evidence that several test files read."""

from functools import cache

import pytest
from hypothesis import settings

from fer_lib.evidence import evidence_folder
from fer_lib.execution import execute
from fer_lib.provenance import sources
from fer_lib.runs import Run

settings.register_profile("whatever else the machine does", deadline=None)
settings.load_profile("whatever else the machine does")


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
