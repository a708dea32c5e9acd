"""The search: Table 1, the pruning rule, workers that join, and workers that are lost."""

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict

import numpy as np
import pandas as pd
import pytest
import torch

from fer_lib.claims import load
from fer_lib.errors import FerError
from fer_lib.papers.cnn3d import search
from fer_lib.papers.cnn3d.network import Configuration

optuna = pytest.importorskip("optuna")


def good_if_average(configuration):
    """Ten folds of ten clips: half as many errors with average pooling, none with CLAHE."""
    for fold in range(10):
        wrong = 0 if configuration.clahe else 1 if configuration.pooling == "average" else fold % 3
        yield wrong / 100


def run(journal, n_trials, evaluate=good_if_average, **options):
    return search.work(journal, evaluate, n_trials, **options)


def test_space_is_table_1(tmp_path):
    study = search.open_study(tmp_path / "j.log")
    trial = study.ask()
    assert isinstance(search.suggest(trial), Configuration)
    options = dict(trial.distributions)
    assert set(options) == set(asdict(Configuration()))
    printed = {h["id"].removeprefix("space_"): h["value"] for h in load("cnn3d").hyperparameters}
    assert options["temporal_size"].choices == tuple(printed["temporal_size"])
    names = [name.lower().replace(" ", "_") for name in printed["activation"]]
    assert list(options["activation"].choices) == names
    # The two printed initialisers and the one that Table 3 found all the same.
    assert len(options["initialiser"].choices) == len(printed["initializer"]) + 1
    assert len(options["pooling"].choices) == len(printed["pooling"])
    assert [options["dropout"].low, options["dropout"].high] == json.loads(printed["dropout"])


def test_trials_are_pruned_once_the_threshold_is_out_of_reach(tmp_path):
    journal = tmp_path / "j.log"
    run(journal, 12, seed=3)
    frame = search.trials(journal)
    assert set(frame["state"]) == {"complete", "pruned"}
    complete, pruned = (frame[frame["state"] == state] for state in ("complete", "pruned"))
    assert (complete["accuracy"] >= 0.965).all()
    assert (complete["folds"] == 10).all()
    # One of ten wrong in each fold: after the fourth, 96 of 100 are the most that can be right.
    average = pruned[pruned["pooling"] == "average"]
    assert len(average)
    assert (average["folds"] == 4).all()
    assert average["accuracy"].to_numpy() == pytest.approx(0.96)


def test_a_network_too_large_for_the_device_is_pruned(tmp_path):
    def too_large(_):
        raise torch.OutOfMemoryError("CUDA out of memory")

    assert run(tmp_path / "j.log", 2, too_large) == 2
    frame = search.trials(tmp_path / "j.log")
    assert frame["state"].tolist() == ["pruned"] * 2
    assert frame["accuracy"].isna().all()


def test_accuracy_is_what_the_errors_leave_and_may_be_just_the_threshold(tmp_path):
    def uneven(_):
        yield from [0.1, 0.2, 0.0]

    run(tmp_path / "j.log", 1, uneven, threshold=0.7)
    (row,) = search.trials(tmp_path / "j.log").to_dict("records")
    assert row["state"] == "complete"
    assert row["accuracy"] == pytest.approx(0.7)


def test_one_worker_repeats_a_study_and_joins_where_it_stopped(tmp_path):
    parameters = list(asdict(Configuration()))
    frames = []
    for name in ("a", "b"):
        assert run(tmp_path / name, 5, seed=1) == 5
        frames.append(search.trials(tmp_path / name)[[*parameters, "accuracy"]])
    pd.testing.assert_frame_equal(*frames)
    assert run(tmp_path / "a", 5, seed=1) == 0
    assert run(tmp_path / "a", 8, seed=1) == 3
    assert set(search.trials(tmp_path / "a")["worker"]) == {"worker1", "worker3"}


def test_importances_and_best(tmp_path):
    journal = tmp_path / "j.log"
    run(journal, 25, threshold=None)
    found = search.importances(journal)
    assert sum(found.values()) == pytest.approx(1)
    assert next(iter(found)) == "clahe"
    configuration, accuracy = search.best(journal)
    assert configuration.clahe
    assert accuracy == 1


def test_effects_are_those_that_the_claims_ask_for():
    options = {"clahe": [True, True, False, False, True], "normalise": False, "second_conv": False}
    options |= {"initialiser": "xavier_uniform", "temporal_size": [3, 3, 1, 9, 3]}
    options |= {"dropout": [0.5, 0.1, 0.2, 0.9, 0.3], "number": [0, 1, 2, 600, 3]}
    states = ["complete", "pruned", "complete", "complete", "unfinished"]
    accuracies = [0.9, 0.8, 0.5, 0.6, np.nan]
    table = search.effects(pd.DataFrame(options | {"state": states, "accuracy": accuracies}))
    rows = table.set_index("option")
    assert rows.loc["clahe=true", "accuracy"] == pytest.approx(0.85)
    assert rows.loc["clahe=true", "low"] <= 0.85 <= rows.loc["clahe=true", "high"]
    assert rows.loc["clahe=false", "n"] == 2
    assert rows.loc["trials after 600", ["n", "accuracy"]].tolist() == [1, 0.6]
    assert rows.loc[["temporal_size=5", "normalise=true"], "accuracy"].isna().all()
    assert rows.loc["trials after 600", ["low", "high"]].isna().all()  # one trial bounds nothing
    tests = [claim.test["measured"] for claim in load("cnn3d").order if "measured" in claim.test]
    wanted = [test for test in tests if test["table"] == "search_effects"]
    assert len(wanted) == 8
    assert all({*test["smaller"], *test["larger"]} <= {*rows.index} for test in wanted)


def test_an_empty_study_and_what_is_none(tmp_path):
    (tmp_path / "none.log").write_text("notes\n")
    with pytest.raises(FerError, match="is no journal"):
        search.trials(tmp_path / "none.log")
    assert not len(search.trials(tmp_path / "j.log"))
    assert search.importances(tmp_path / "j.log") == {}
    assert search.best(tmp_path / "j.log") is None


def test_lost_worker_loses_its_trial_only(tmp_path):
    def lost(_):
        yield 0.0
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "j.log", 2, lost)
    assert run(tmp_path / "j.log", 2) == 2
    frame = search.trials(tmp_path / "j.log")
    assert frame["state"].value_counts().to_dict() == {"unfinished": 1, "complete": 1, "pruned": 1}
    assert frame["worker"].tolist() == ["worker1", "worker2", "worker2"]


def test_workers_at_the_same_time_share_a_study(tmp_path):
    with ThreadPoolExecutor(2) as pool:
        done = list(pool.map(lambda _: run(tmp_path / "j.log", 6, threshold=None), range(2)))
    frame = search.trials(tmp_path / "j.log")
    assert set(frame["state"]) == {"complete"}
    assert sum(done) == len(frame) in (6, 7)  # one may be under way when the other finishes the last
    assert set(frame["worker"]) <= {"worker1", "worker2"}


def test_half_a_line_of_a_full_disk_loses_its_trial_and_nothing_else(tmp_path):
    journal = tmp_path / "j.log"
    assert run(journal, 3, seed=1, threshold=None) == 3
    before = search.trials(journal)
    whole = journal.read_bytes()
    journal.write_bytes(whole[: whole.rindex(b'"op_code":6') + 20])  # where the last trial was finished
    assert run(journal, 4, seed=1, threshold=None) == 2
    again = search.trials(journal)
    assert again["state"].tolist() == ["complete", "complete", "unfinished", "complete", "complete"]
    assert again["accuracy"].iloc[:2].tolist() == before["accuracy"].iloc[:2].tolist()


def test_a_damaged_line_is_named_and_all_others_are_kept(tmp_path, capsys):
    journal = tmp_path / "j.log"
    assert run(journal, 3, seed=1) == 3
    sound, before = journal.read_bytes().splitlines(keepends=True), search.trials(journal)
    codes = [json.loads(line)["op_code"] for line in sound]
    begun = [place for place, code in enumerate(codes) if code == search.BEGUN]
    # The study's own line, each trial's first, and one of a trial's reports.
    for place in (0, *begun, codes.index(8)):
        glued = b'{"op_' + sound[place]  # a record that was joined to half a line
        for damage in (b"\n", b"\0\0\0\n", b"7\n", b"{}\n", sound[place][:9] + b"\n", glued):
            journal.write_bytes(b"".join([*sound[:place], damage, *sound[place + 1 :]]))
            assert search.trials(journal)["accuracy"].tolist() == before["accuracy"].tolist()
        assert f"line {place + 1} of {journal} is damaged" in capsys.readouterr().err
    assert run(journal, 4, seed=1) == 1
