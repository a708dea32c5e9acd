"""Which epoch counts, accuracies by fold, what frames are worth; memory and operations; the figures."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from fer_lib.errors import FerError
from fer_lib.papers.cnn3d import costs as clip_costs
from fer_lib.papers.cnn3d import network as cnn3d
from fer_lib.papers.cnn3d import results as clip_results
from fer_lib.show import clips as clip_plots

accuracies = st.lists(st.lists(st.floats(0, 1), min_size=4, max_size=4), min_size=1, max_size=5)


def outcomes(curves):
    return [SimpleNamespace(curves=[{"test_accuracy": a} for a in fold]) for fold in curves]


@given(accuracies, st.data())
def test_choosing_on_the_test_fold_never_lowers_a_figure(curves, data):
    sizes = data.draw(st.lists(st.integers(1, 9), min_size=len(curves), max_size=len(curves)))
    rules = clip_results.by_epoch_rule(outcomes(curves), sizes)
    pooled = [rules[name][0] for name in clip_results.EPOCH_RULES]
    assert pooled[0] <= pooled[1] + 1e-12
    assert pooled[1] <= pooled[2] + 1e-12
    assert rules["last"][1] == pytest.approx(np.mean([fold[-1] for fold in curves]))


def test_shared_epoch_weighs_folds_by_their_size():
    curves = [[0.0, 1.0, 0.5], [0.8, 0.0, 0.1]]
    assert clip_results.shared_epoch(outcomes(curves), [1, 9]) == 1
    assert clip_results.shared_epoch(outcomes(curves), [9, 1]) == 2


def test_renamed_store_keeps_the_units_name_for_training(tmp_path):
    class Store:
        def unit(self, name):
            return tmp_path / name

        def finish_unit(self, name, **values):
            return tmp_path / name

        checkpoint = unit

    again = clip_results.Renamed(Store(), " shared")
    assert again.unit("c1 fold1").name == again.checkpoint("c1 fold1").name == "c1 fold1 shared"
    assert again.finish_unit("c1 fold1", a=1).name == "c1 fold1 shared"


def predictions(right, fold):
    right = np.asarray(right)
    probabilities = np.where(right[:, None], [0.9, 0.1], [0.1, 0.9])
    return {"probabilities": probabilities, "labels": np.zeros(len(right), int), "fold": np.asarray(fold)}


def test_pooled_and_mean_of_folds():
    rows = predictions([1, 1, 1, 0, 0], ["a", "a", "a", "a", "b"])
    assert clip_results.fold_accuracies(rows, ["b", "a"]).tolist() == [0.0, 0.75]
    pooled, folds = clip_results.averages(rows, None)
    assert (pooled["average"], pooled["accuracy"]) == ("pooled", 0.6)
    assert (folds["average"], folds["accuracy"]) == ("mean of folds", 0.375)
    assert folds["low"] <= 0.375 <= folds["high"]


def test_views_are_compared_with_the_first():
    labels = [np.zeros(4, int), np.zeros(2, int)]
    seen = {
        name: [predictions(right[:4], "a")["probabilities"], predictions(right[4:], "b")["probabilities"]]
        for name, right in {"all": np.array([1, 1, 1, 1, 1, 0]), "none": np.zeros(6, int)}.items()
    }
    table = clip_results.compare_views(seen, labels, np.arange(6)).set_index("view")
    assert table.loc["all", "accuracy"] == pytest.approx(5 / 6)
    assert np.isnan(table.loc["all", "p"])
    assert table.loc["none", "difference"] == pytest.approx(-5 / 6)
    assert table.loc["none", "p"] == pytest.approx(2 * 0.5**5)


# --- costs ---------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def full():
    with torch.device("meta"):
        return {"c1": cnn3d.c1(), "c2": cnn3d.c2()}


def test_leave_one_subject_out_of_ckplus_fits_on_a_device(full):
    clip = (10, 112, 112)
    for name, model in full.items():
        table = clip_costs.memory(model, clip, 327, lookahead=name == "c2").set_index("item")["MiB"]
        assert table["in all"] == pytest.approx(table.drop("in all").sum())
        assert table["in all"] < 8 * 1024
        assert table["clips, uint8"] == pytest.approx(327 * 10 * 112 * 112 / 2**20)
        assert table["weights, float32"] == pytest.approx(78.03e6 * 4 / 2**20, rel=1e-3)
    plain = clip_costs.memory(full["c1"], clip, 327, element=4).set_index("item")["MiB"]
    assert plain["activations kept for backward, batch of 30"] == pytest.approx(
        2 * clip_costs.memory(full["c1"], clip, 327)["MiB"][6]
    )


def test_operations_are_those_of_the_layers(full):
    by_hand = 0
    shapes = {1: (10, 112), 2: (10, 56), 3: (5, 28), 4: (2, 14), 5: (1, 7)}
    for name, layer in full["c1"].features.named_children():
        if name.startswith("conv"):
            frames, size = shapes[int(name[4])]
            by_hand += 2 * layer.weight.numel() * frames * size * size
    by_hand += 2 * sum(m.weight.numel() for m in full["c1"].modules() if isinstance(m, torch.nn.Linear))
    assert clip_costs.operations(full["c1"], (10, 112, 112)) == pytest.approx(3 * by_hand)


@given(st.lists(st.integers(1, 20), min_size=2, max_size=6), st.integers(1, 16))
def test_clips_of_a_full_leave_one_out(copies, epochs):
    one_by_one = sum(sum(copies) - left_out for left_out in copies)
    assert clip_costs.leave_one_out(copies, epochs) == epochs * one_by_one


# --- figures -------------------------------------------------------------------------------------


def study():
    rng = np.random.default_rng(0)
    rows = []
    for number in range(12):
        state = ["complete", "pruned", "lost"][number % 3]
        options = {"lookahead": bool(number % 2), "clahe": True, "normalise": False, "class_weights": True}
        options |= {"activation": "elu", "temporal_size": 3, "initialiser": "xavier_normal", "pooling": "max"}
        options |= {"second_conv": False, "dropout": rng.random()}
        accuracy = np.nan if state == "lost" else rng.random()
        rows.append({"number": number, "state": state, "accuracy": accuracy, **options})
    return pd.DataFrame(rows)


def test_figures_of_a_study():
    figure = clip_plots.history(study(), 0.3)
    axes = figure.axes[0]
    assert sum(len(points.get_offsets()) for points in axes.collections) == 8
    assert [t.get_text() for t in axes.texts] == ["pruned below"]
    assert not clip_plots.history(study(), None).axes[0].texts
    assert len(clip_plots.slices(study()).axes) == len(clip_plots.PARAMETERS)
    bars = clip_plots.importances({"clahe": 0.7, "dropout": 0.3}).axes[0].patches
    assert [bar.get_width() for bar in bars] == [0.7, 0.3]
    with pytest.raises(FerError, match="empty"):
        clip_plots.history(study().iloc[:0], 0.3)


def test_figures_of_clips():
    clips = np.zeros((2, 10, 8, 8), np.uint8)
    figure = clip_plots.strips(clips, ["anger", "fear"], every=2)
    assert [t.get_text() for t in figure.axes[0].texts if t.get_text()] == ["anger", "fear"]
    assert len(figure.axes[0].images) == 10
    table = pd.DataFrame({"model": "c1", "frames": [1, 3, 10], "accuracy": [0.2, 0.4, 0.5]})
    drawn = clip_plots.frames(table.assign(low=0.1, high=0.6)).axes[0].lines[0]
    assert drawn.get_ydata().tolist() == [20, 40, 50]
