"""Units trained side by side: the numbers of one after another, whatever becomes of a process."""

import os
import pickle
from functools import partial

import numpy as np
import pytest
import torch

from fer_lib.errors import FerError
from fer_lib.files import UnitFolder
from fer_lib.learn import side_by_side
from fer_lib.learn.training import Part, Recipe
from fer_lib.learn.units import train_unit
from fer_lib.papers.cspp import network as cspp


@pytest.fixture(autouse=True)
def one_thread():
    """Sums of several threads differ in their last digits; each process has one of two."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def leave(once):
    """Make a network, or the first time end the process as a kill does."""
    try:
        once.unlink()
    except FileNotFoundError:
        return cspp.build("Benchmark", width=0.125)
    os._exit(9)


@pytest.fixture
def jobs():
    rng = np.random.default_rng(0)
    part = Part.of(rng.integers(0, 256, (24, 48, 48), np.uint8), rng.integers(0, 6, 24))
    job = {"make": partial(cspp.build, "Benchmark", width=0.125), "parts": (part, None, part)}
    job |= {"recipe": Recipe(2, 8, precision="fp32")}
    return [job | {"unit": f"fold {i}", "keep_weights": i == 0} for i in range(3)]


def test_an_error_is_raised_where_it_can_be_seen(jobs, tmp_path):
    jobs[2]["make"] = partial(cspp.build, "Benchmrk")
    with pytest.raises(FerError, match="Benchmark"):
        side_by_side.train_units(UnitFolder(tmp_path), jobs, workers=2)
    assert UnitFolder(tmp_path).unit("fold 0") is not None


def test_side_by_side_gives_the_numbers_of_one_after_another(jobs, tmp_path):
    alone = [train_unit(UnitFolder(tmp_path / "alone"), **job) for job in jobs]
    store, once = UnitFolder(tmp_path / "beside"), tmp_path / "once"
    train_unit(store, **jobs[1])  # found, not trained again
    untouched = store.unit("fold 1").stat().st_mtime_ns
    once.touch()
    jobs[2]["make"] = partial(leave, once)
    beside = side_by_side.train_units(store, jobs, workers=2)
    assert not once.exists()  # what a killed process left undone was done
    assert store.unit("fold 1").stat().st_mtime_ns == untouched
    for a, b in zip(alone, beside, strict=True):
        assert np.array_equal(a.test, b.test)
        assert [row["train_loss"] for row in a.curves] == [row["train_loss"] for row in b.curves]
    assert beside[0].weights.is_file()


def test_a_unit_that_is_left_alone_has_no_more_threads_than_beside_others(jobs, tmp_path, monkeypatch):
    found = []
    monkeypatch.setattr(
        side_by_side, "train_unit", lambda store, **job: found.append(torch.get_num_threads())
    )
    store = UnitFolder(tmp_path)
    train_unit(store, **jobs[0])
    torch.set_num_threads(2)
    side_by_side.train_units(store, jobs[:2], workers=2)
    assert found == [1, 1]  # the first is found
    side_by_side.train_units(store, jobs[2:], workers=2)
    assert found[2:] == [2]  # nothing was ever beside it
    assert torch.get_num_threads() == 2


def test_a_run_hears_how_far_each_process_is(jobs, tmp_path, monkeypatch):
    monkeypatch.setenv("FER_PROGRESS", str(tmp_path / "progress"))
    side_by_side.train_units(UnitFolder(tmp_path / "units"), jobs[:2], workers=2)
    job = jobs[2] | {"unit": "last"}
    work = tmp_path / "more"
    side_by_side._attempt(work, pickle.dumps(job), 1, 4, 6, str(tmp_path / "alone"))
    assert (tmp_path / "progress").read_text().startswith(("network ", "trainings, 2 at a time"))
    assert (tmp_path / "alone").read_text().startswith("network 5 of 6: last")
    assert UnitFolder(work).unit("last") is not None


def test_as_many_processes_as_threads_on_a_cpu():
    assert side_by_side.processes(torch.device("cpu")) == torch.get_num_threads()
    assert side_by_side.processes(torch.device("cuda")) == 1
