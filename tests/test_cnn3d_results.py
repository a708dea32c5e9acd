"""Which epoch counts, accuracies by fold, what frames are worth; memory and operations; the figures."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from fer_lib.papers.cnn3d import network as cnn3d
from fer_lib.papers.cnn3d import results as by
from fer_lib.show import clips as drawn

accuracies = st.lists(st.lists(st.floats(0, 1), min_size=4, max_size=4), min_size=1, max_size=5)


def outcomes(curves):
    return [SimpleNamespace(curves=[{"test_accuracy": a} for a in fold]) for fold in curves]


@given(accuracies, st.data())
def test_choosing_on_the_test_fold_never_lowers_a_figure(curves, data):
    sizes = data.draw(st.lists(st.integers(1, 9), min_size=len(curves), max_size=len(curves)))
    table = by.by_epoch(outcomes(curves), sizes).set_index("average")
    last, shared, own = table.loc["pooled", list(by.EPOCHS)]
    assert last <= shared + 1e-9
    assert shared <= own + 1e-9
    assert table.loc["mean of folds", "last epoch"] == pytest.approx(100 * np.mean([f[-1] for f in curves]))


def test_shared_epoch_weighs_folds_by_their_size():
    curves = outcomes([[0.0, 1.0, 0.5], [0.8, 0.0, 0.1]])
    column = by.EPOCHS[1]
    assert by.by_epoch(curves, [1, 9])[column].tolist() == pytest.approx([72, 40])
    assert by.by_epoch(curves, [9, 1])[column].tolist() == pytest.approx([90, 50])


def test_pooled_and_mean_of_folds():
    right, folds = np.array([1, 1, 1, 0, 0], bool), np.array(["b", "b", "b", "b", "a"])
    assert by.by_fold(right, folds).tolist() == [0.75, 0.0]
    found = by.averages(right, folds, np.arange(5))
    assert found["pooled"][0] == pytest.approx(0.6)
    mean, low, high = found["mean of folds"]
    assert mean == pytest.approx(0.375)
    assert low <= 0.375 <= high


def test_views_are_compared_with_the_first():
    ids = np.array([f"i{k}" for k in range(6)])
    corpus = SimpleNamespace(labels=np.zeros(6, int), ids=ids, subjects=ids)
    folds = [SimpleNamespace(test=np.array([4, 5])), SimpleNamespace(test=np.arange(4))]
    chances = np.array([[0.9, 0.1], [0.1, 0.9]])
    seen = {
        "all frames": [chances[[0, 0]], chances[[0, 0, 0, 1]]],
        "reversed": [chances[[1, 1]], chances[[1, 1, 1, 1]]],
    }
    table = by.compare_views(seen, corpus, folds)
    rows = table.set_index("view")
    assert rows.loc["all frames", "accuracy"] == pytest.approx(5 / 6)
    assert np.isnan(rows.loc["all frames", "p"])
    assert rows.loc["reversed", "difference"] == pytest.approx(-5 / 6)
    assert rows.loc["reversed", "p"] == pytest.approx(2 * 0.5**5)
    text = drawn.views(table)["points against all frames"].tolist()
    assert text[0] == "–"
    assert text[1].startswith("-83.3 [")


# --- costs ---------------------------------------------------------------------------------------


def test_operations_are_those_of_the_layers():
    with torch.device("meta"):
        full = cnn3d.c1()
    by_hand = 0
    shapes = {1: (10, 112), 2: (10, 56), 3: (5, 28), 4: (2, 14), 5: (1, 7)}
    for name, layer in full.features.named_children():
        if name.startswith("conv"):
            frames, size = shapes[int(name[4])]
            by_hand += 2 * layer.weight.numel() * frames * size * size
    by_hand += 2 * sum(m.weight.numel() for m in full.modules() if isinstance(m, torch.nn.Linear))
    assert cnn3d.operations(full, (10, 112, 112)) == pytest.approx(3 * by_hand)


# --- figures -------------------------------------------------------------------------------------


def study():
    rng = np.random.default_rng(0)
    rows = []
    for number in range(12):
        state = ["complete", "pruned", "unfinished"][number % 3]
        options = {"lookahead": bool(number % 2), "clahe": True, "normalise": False, "class_weights": True}
        options |= {"activation": "elu", "temporal_size": 3, "initialiser": "xavier_normal", "pooling": "max"}
        options |= {"second_conv": False, "dropout": rng.random()}
        accuracy = np.nan if state == "unfinished" else rng.random()
        rows.append({"number": number, "state": state, "accuracy": accuracy, **options})
    return pd.DataFrame(rows)


def test_figures_of_a_study():
    figure = drawn.history(study(), 0.3)
    axes = figure.axes[0]
    assert sum(len(points.get_offsets()) for points in axes.collections) == 8
    assert [t.get_text() for t in axes.texts] == ["pruned below"]
    assert not drawn.history(study(), None).axes[0].texts
    assert len(drawn.slices(study()).axes) == len(drawn.PARAMETERS)
    bars = drawn.importances({"clahe": 0.7, "dropout": 0.3}).axes[0].patches
    assert [bar.get_width() for bar in bars] == [0.7, 0.3]


def test_figures_of_clips():
    figure = drawn.strips(np.zeros((2, 5, 8, 8), np.uint8), ["anger", "fear"])
    assert [t.get_text() for t in figure.axes[0].texts if t.get_text()] == ["anger", "fear"]
    assert len(figure.axes[0].images) == 10
    table = pd.DataFrame(
        {
            "view": ["all frames", "shuffled", "apex alone", "last 3", "trained on the apex alone"],
            "accuracy": [0.5, 0.1, 0.2, 0.4, 0.3],
        }
    )
    lines = drawn.frames(table.assign(low=0.1, high=0.6)).axes[0].lines
    assert [line.get_ydata().tolist() for line in lines] == [[20, 40, 50], [30]]


def test_copies_are_named_by_what_was_done_to_them():
    transforms = torch.tensor([[0, 0, 1], [1, 0, 1], [0, 12.4, 1], [0, 0, 2.0]])
    figure = drawn.copies(torch.rand(4, 10, 8, 8) * 2 - 0.5, transforms)
    names = [t.get_text() for t in figure.axes[0].texts if t.get_text()]
    assert names == ["as it is", "flip", "+12°", "× 2.00"]


def test_looks_are_four_clips_a_figure():
    clips, maps = np.zeros((5, 10, 8, 8), np.uint8), np.zeros((5, 10, 8, 8))
    figures = list(drawn.looks(clips, maps, [f"a\n→ {i}" for i in range(5)]))
    assert [len(figure.axes[0].images) for figure in figures] == [4 * 5 * 3, 5 * 3]
