"""The arithmetic of the inflation experiment and of the cross-dataset protocol."""

import numpy as np
import pandas as pd
import pytest

from fer_lib.data.datasets import synthetic
from fer_lib.judge import inflation
from fer_lib.judge.inflation import Step
from fer_lib.learn import metrics
from fer_lib.show import plots


def answers(rate, n=400, people=20, seed=0):
    rng = np.random.default_rng(seed)
    return rng.random(n) < rate, np.repeat([f"s{i}" for i in range(people)], n // people)


def step(name, right, units, tested=1):
    return Step(name, np.asarray(right, float), np.array(units), np.broadcast_to(float(tested), len(right)))


def test_what_a_step_gains_is_the_paired_difference_over_subjects():
    (a, people), (b, _) = answers(0.6), answers(0.8, seed=1)
    table = inflation.waterfall([step("unseen people", a, people), step("random folds", b, people)])
    reference = metrics.paired(b, a, people)
    assert table["accuracy"].tolist() == pytest.approx([a.mean(), b.mean()])
    assert table["gain"].tolist() == pytest.approx([np.nan, reference["difference"]], nan_ok=True)
    assert table.loc[1, ["gain_low", "gain_high"]].tolist() == pytest.approx(reference["interval"], abs=0.01)
    assert table.loc[0, ["low", "high"]].tolist() == pytest.approx(metrics.interval(a, people), abs=0.01)
    assert table["n"].tolist() == [400, 400]


def test_steps_may_test_other_samples_of_the_same_people():
    (a, people), (b, more) = answers(0.6), answers(0.8, n=1200, seed=1)
    row = inflation.waterfall([step("one", a, people), step("three", b, more)]).loc[1]
    assert row["gain"] == pytest.approx(b.mean() - a.mean())
    assert row["gain_low"] < row["gain"] < row["gain_high"]


def test_best_test_epoch_is_picked_fold_by_fold():
    rows = [("f1", 3, 0.7), ("f1", 1, 0.5), ("f1", 2, 0.9), ("f2", 1, 0.4), ("f2", 3, 0.6), ("f2", 2, 0.5)]
    curves = pd.DataFrame(rows, columns=["fold", "epoch", "test_accuracy"])
    last, best = inflation.best_test_epoch("best", curves, {"f1": 10, "f2": 30})
    assert last.accuracy == pytest.approx((0.7 * 10 + 0.6 * 30) / 40)
    assert best.accuracy == pytest.approx((0.9 * 10 + 0.6 * 30) / 40)


@pytest.mark.parametrize("n", [inflation.FEWEST - 1, inflation.FEWEST])
def test_a_few_units_have_no_interval(n):
    folds = [f"f{i}" for i in range(n)]
    pair = step("last", [0.5] * n, folds), step("best", np.linspace(0.5, 0.9, n), folds)
    (row,) = inflation.waterfall([pair]).to_dict("records")
    bounds = row["gain_low"], row["gain_high"]
    assert row["gain"] == pytest.approx(0.2)
    assert np.isnan([*bounds, row["low"]]).all() == (n < inflation.FEWEST)
    assert inflation.bounded(row["gain"], *bounds, "+.1f").endswith("(no interval)") == (n < inflation.FEWEST)
    assert inflation.bounded(np.nan, *bounds, "+.1f") == "–"


def test_waterfall_adds_up_and_draws():
    (a, people), (b, _) = answers(0.6), answers(0.65, seed=1)
    honest, leaky = step("unseen people", a, people), step("random folds", b, people)
    reached = 200 * leaky.accuracy
    last, best = (step("x", [reached + more, reached], ["f1", "f2"], 200) for more in (0, 20))
    table = inflation.waterfall([honest, leaky, (last, best)])
    assert list(table.columns) == list(inflation.COLUMNS)
    assert table["accuracy"].iloc[-1] == pytest.approx(table["accuracy"].iloc[0] + table["gain"].sum())
    assert table["n"].tolist() == [400, 400, 400]
    figure = plots.waterfall(table)
    (axes,) = figure.axes
    assert [label.get_text() for label in axes.get_yticklabels()] == table["step"].tolist()
    low, high = axes.get_xlim()
    assert low < 100 * table["low"].min()
    assert high > 100 * table["accuracy"].max()
    assert any(t.get_text().startswith("+5.0") for t in axes.texts)


def test_last_frames_are_the_most_expressive():
    corpus = synthetic.generate(2, 2, sequences=True, n_frames=5)
    three = inflation.last_frames(corpus, 3)
    assert len(three) == 3 * len(np.unique(corpus.sequences))
    assert set(three.meta["frame"]) == {2, 3, 4}
    apex = inflation.last_frames(corpus, 1)
    assert set(apex.meta["frame"]) == {4}
    assert np.isin(apex.ids, three.ids).all()
