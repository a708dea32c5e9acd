"""What flipping one reading changes: which runs are compared, on which images, with which interval."""

import re
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest

from fer_lib import claims
from fer_lib.errors import FerError
from fer_lib.evidence import preflight, runs
from fer_lib.evidence.provenance import notebook_cells, notebook_path, parameters
from fer_lib.evidence.runs import PROBE, Recorder
from fer_lib.judge import sensitivity


def record(
    root,
    seed,
    variant="",
    right=50,
    ids=None,
    budget=PROBE,
    subjects=None,
    print_="f",
    images=100,
    **parameters,
):
    """Record a run of 100 images (or ``ids``) of which the first ``right`` are answered rightly."""
    ids = np.arange(100) if ids is None else ids
    names = [f"{i:03d}" for i in ids]
    chosen = {"knob": 1, "other": "a"} | parameters
    made = Recorder("cnn_sift", "fer2013", budget, seed, variant, root, parameters=chosen, fingerprint=print_)
    made.info["audit"] = {"images": images}
    answers = np.eye(2)[(np.asarray(ids) >= right).astype(int)]
    made.add_predictions("S2", answers, np.zeros(len(ids), int), names, "official")
    made.add_predictions("S2@subject", answers, np.zeros(len(ids), int), names, "official")
    if subjects is not None:
        import pandas as pd

        made.add_samples(pd.DataFrame({"ids": names, "subject": subjects}))
    made.commit()


def test_a_flipped_reading_is_compared_with_ours_of_the_same_seed(tmp_path):
    for seed, ours, other in ((0, 50, 60), (1, 52, 61), (2, 54, None)):
        record(tmp_path, seed, right=ours)
        if other:
            record(tmp_path, seed, "knob=2", right=other, knob=2)
    (row,) = sensitivity.effects(tmp_path).to_dict("records")
    assert (row["paper"], row["knob"], row["default"], row["value"]) == ("cnn_sift", "knob", 1, 2)
    assert (row["model"], row["n"], row["seeds"], row["spread_seeds"]) == ("S2", 100, 2, 3)
    assert row["ours"] == pytest.approx(51)
    assert row["other"] == pytest.approx(60.5)
    assert row["difference"] == pytest.approx(9.5)
    assert row["spread"] == pytest.approx(4)
    assert 0 < row["low"] < 9.5 < row["high"]
    assert row["clear"]


@pytest.mark.parametrize(("images", "measured"), [(100, 1), (99, 0)])
def test_other_data_are_told_from_the_same_prepared_otherwise(tmp_path, images, measured):
    record(tmp_path, 0)
    record(tmp_path, 0, "knob=2", right=60, print_="g", images=images, knob=2)
    assert len(sensitivity.effects(tmp_path)) == measured


def test_a_parameter_that_came_later_had_its_default_before(tmp_path):
    record(tmp_path, 0, right=50)
    record(tmp_path, 0, "augment=mild", right=60, augment="mild")
    (row,) = sensitivity.effects(tmp_path).to_dict("records")
    assert (row["knob"], row["default"], row["value"]) == ("augment", "none", "mild")


def test_a_difference_that_a_seed_also_makes_is_within_noise(tmp_path):
    for seed, ours in ((0, 40), (1, 55)):
        record(tmp_path, seed, right=ours)
        record(tmp_path, seed, "knob=2", right=ours + 8, knob=2)
    (row,) = sensitivity.effects(tmp_path).to_dict("records")
    assert row["low"] > 0
    assert row["spread"] == pytest.approx(15)
    assert not row["clear"]


def test_one_seed_of_ours_leaves_the_noise_unknown(tmp_path):
    record(tmp_path, 0)
    record(tmp_path, 0, "knob=2", right=90, knob=2)
    (row,) = sensitivity.effects(tmp_path).to_dict("records")
    assert np.isnan(row["spread"])
    assert not row["clear"]


def test_only_images_that_both_readings_test_count(tmp_path):
    record(tmp_path, 0, ids=np.arange(20, 100))
    record(tmp_path, 0, "other=b", ids=np.arange(100), right=60, other="b")
    (row,) = sensitivity.effects(tmp_path).to_dict("records")
    assert row["n"] == 80
    assert row["ours"] == pytest.approx(100 * 30 / 80)
    assert row["other"] == pytest.approx(100 * 40 / 80)
    assert row["difference"] == pytest.approx(100 * 10 / 80)


def test_images_that_differ_between_seeds_are_taken_one_by_one(tmp_path):
    for seed, ids in ((0, np.arange(60)), (1, np.arange(40, 100))):
        record(tmp_path, seed, ids=ids)
        record(tmp_path, seed, "knob=2", ids=ids, right=55, knob=2)
    (row,) = sensitivity.effects(tmp_path).to_dict("records")
    assert row["n"] == 100
    assert row["difference"] == pytest.approx(100 * 10 / 120)
    assert row["low"] <= row["difference"] <= row["high"]


def test_networks_that_give_one_answer_never_started(tmp_path):
    record(tmp_path, 0)
    record(tmp_path, 0, "knob=2", right=0, knob=2)
    (row,) = sensitivity.effects(tmp_path).to_dict("records")
    assert not row["started"]
    assert not row["clear"]


def test_people_are_drawn_whole(tmp_path):
    """Ten images of one person say less than one image each of ten."""
    widths = []
    for root, subjects in ((tmp_path / "a", np.arange(100)), (tmp_path / "b", np.arange(100) // 10)):
        subjects = [f"p{i}" for i in subjects]
        record(root, 0, subjects=subjects)
        record(root, 0, "knob=2", right=60, knob=2, subjects=subjects)
        (row,) = sensitivity.effects(root).to_dict("records")
        widths.append(row["high"] - row["low"])
    assert widths[1] > 1.5 * widths[0]


def test_runs_that_flip_two_readings_or_stand_alone_are_not_measured(tmp_path):
    record(tmp_path, 0)
    record(tmp_path, 0, "knob=2,other=b", knob=2, other="b")
    record(tmp_path, 1, "knob=2", knob=2)
    assert sensitivity.effects(tmp_path).empty


def test_probes_are_no_runs_of_a_chapter(tmp_path):
    record(tmp_path, 0)
    record(tmp_path, 0, budget="short")
    assert [run.budget for run in runs.find(tmp_path)] == ["short"]
    assert [run.budget for run in runs.find(tmp_path, probes=True)] == [PROBE]
    assert PROBE not in runs.BUDGETS


PLANNED = sensitivity.planned()


def test_enough_readings_of_three_papers_are_planned():
    flipped = {(probe.paper, probe.variant) for probe in PLANNED if probe.variant}
    assert len(flipped) >= 10
    assert len({paper for paper, _ in flipped}) >= 3
    ours = {(probe.paper, probe.seed) for probe in PLANNED if not probe.variant}
    assert {(probe.paper, probe.seed) for probe in PLANNED} == ours, "every probe needs ours of its seed"


@pytest.mark.parametrize("paper", sorted({probe.paper for probe in PLANNED}))
def test_every_planned_reading_is_one_of_the_register(paper):
    knobs = set(claims.ambiguities(paper)["knob"])
    defaults = parameters(notebook_path(paper))
    for probe in PLANNED:
        if probe.paper == paper and probe.variant:
            name, _, value = probe.variant.partition("=")
            assert name in knobs
            chosen = preflight.asked(paper, {"budget": PROBE}, [probe.variant])
            assert str(chosen[name]) == value, "the run's folder bears another name"
            assert chosen[name] != defaults[name]


@pytest.mark.parametrize("paper", sorted({probe.paper for probe in PLANNED}))
def test_no_cell_of_a_probe_needs_one_beyond_it(paper, tmp_path):
    """A name that only a cell beyond a probe defines would be missed after minutes of training."""
    cells = [cell for cell in notebook_cells(notebook_path(paper)) if "beyond" not in cell["tags"]]
    (tmp_path / "lean.py").write_text("\n".join(cell["source"] for cell in cells))
    command = ["ruff", "check", "--isolated", "--select", "F821", "--output-format", "concise", "lean.py"]
    found = subprocess.run([sys.executable, "-m", *command], cwd=tmp_path, capture_output=True, text=True)
    names = set(re.findall(r"Undefined name `(\w+)`", found.stdout))
    assert names <= {"augmented", "network"}, found.stdout  # of a reading that a probe refuses
    assert found.returncode in (0, 1), found.stderr


def test_a_notebook_without_cells_beyond_is_not_probed():
    with pytest.raises(FerError, match="beyond"):
        preflight.asked("cnn3d", {"budget": PROBE})


def test_a_probe_is_set_beside_no_claim(tmp_path):
    from fer_lib.judge import report
    from fer_lib.show.chapter import Chapter

    record(tmp_path, 0, right=90)
    (probe,) = runs.find(tmp_path, probes=True)
    chapter = SimpleNamespace(paper="cnn_sift", evidence=probe)
    assert "not set beside any claim" in Chapter.beside_claims(chapter).data
    assert report.scorecard(tmp_path)["run"].isna().all()
