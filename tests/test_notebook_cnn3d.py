"""What the chapter on the 3D-CNN leaves as evidence at budget smoke, and its page."""

import numpy as np
import pytest

from fer_lib.papers.cnn3d import search
from fer_lib.papers.cnn3d.readings import BUDGETS


@pytest.fixture(scope="module")
def smoke(smoke_of):
    return smoke_of("cnn3d")


def test_models_of_both_protocols_are_there(smoke):
    assert set(smoke.models()) == {"c1", "c2", "c3", "c1, temporal size 1", "c1@loso"}
    stored = smoke.predictions("c1")
    assert len(set(stored["fold"])) == smoke.info["plan"]["folds"]
    for other in ("c2", "c3", "c1, temporal size 1"):  # compared fold by fold
        assert np.array_equal(stored["ids"], smoke.predictions(other)["ids"])


def test_no_subject_is_on_both_sides_of_either_protocol(smoke):
    assert set(smoke.info["certificates"]) == {"subject", "loso"}
    for certificate in smoke.info["certificates"].values():
        assert certificate["subject_independent"]
        assert certificate["subjects_shared"] == 0


def test_folds_and_epochs_agree_with_predictions_and_curves(smoke):
    stored, folds = smoke.predictions("c1"), smoke.table("folds").set_index("model")
    right = stored["probabilities"].argmax(1) == stored["labels"]
    names = list(dict.fromkeys(stored["fold"]))
    for i, name in enumerate(names, 1):
        assert folds.loc["c1", str(i)] == pytest.approx(100 * right[stored["fold"] == name].mean())
    chosen = smoke.table("epoch_selection").query("model == 'c1' and protocol == 'subject'")
    pooled = chosen.set_index("average").loc["pooled"]
    assert pooled["last epoch"] == pytest.approx(100 * right.mean())
    columns = [name for name in chosen if "epoch" in name]
    assert (chosen[columns].diff(axis=1).iloc[:, 1:] >= -1e-9).all(axis=None)


def test_clips_are_shown_in_other_ways(smoke):
    views = smoke.table("views").set_index("view")
    assert {"all frames", "reversed", "shuffled", "apex alone", "trained on the apex alone"} <= set(
        views.index
    )
    stored = smoke.predictions("c1")
    right = (stored["probabilities"].argmax(1) == stored["labels"]).mean()
    assert views.loc["all frames", "accuracy"] == pytest.approx(right, abs=0.04)
    assert views["accuracy"].between(0, 1).all()


def test_search_had_several_workers(smoke):
    frame = smoke.table("search")
    finished = frame[frame["state"].isin(("complete", "pruned"))]
    assert len(finished) >= BUDGETS["smoke"]["search"]["trials"]
    assert frame["worker"].nunique() >= 2
    assert (frame["accuracy"].dropna() <= 1).all()
    assert search.THRESHOLD == 0.965
    effects = smoke.table("search_effects").set_index("option")
    assert effects.loc[["clahe=true", "clahe=false"], "n"].sum() == finished["accuracy"].notna().sum()


def test_cost_at_full_size_is_recorded(smoke):
    assert smoke.info["cost_at_full_size"]
    configurations = smoke.info["configurations"]
    assert set(configurations) == {"c1", "c2", "c3", "c1, temporal size 1"}
    assert configurations["c1, temporal size 1"] == configurations["c1"] | {"temporal_size": 1}
    assert smoke.info["recipes"]["c2"]["lookahead"] == [5, 0.5]
    assert "lookahead" not in smoke.info["recipes"]["c1"]
