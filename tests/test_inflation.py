"""The arithmetic of the inflation experiment and of the cross-dataset protocol."""

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from fer_lib.data.datasets import synthetic
from fer_lib.errors import FerError
from fer_lib.judge import inflation
from fer_lib.judge.inflation import Step
from fer_lib.learn import metrics
from fer_lib.learn.normalisation import Normalisation
from fer_lib.learn.training import ImageFeed, Part
from fer_lib.papers.cspp import corpora, transfer
from fer_lib.show import plots


def answers(rate, n=400, people=20, seed=0):
    rng = np.random.default_rng(seed)
    return rng.random(n) < rate, np.repeat([f"s{i}" for i in range(people)], n // people)


def test_a_step_counts_its_answers():
    correct, people = answers(0.7)
    step = Step.of("honest", correct, people)
    assert step.accuracy == pytest.approx(correct.mean())
    assert step.tested.sum() == 400
    assert len(step.units) == 20


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 1000))
def test_order_of_samples_does_not_matter(seed):
    correct, people = answers(0.6)
    order = np.random.default_rng(seed).permutation(400)
    a, b = Step.of("a", correct, people), Step.of("b", correct[order], people[order])
    assert inflation.interval(a) == inflation.interval(b)
    assert inflation.gain(a, b)[0] == pytest.approx(0, abs=1e-12)


def test_gain_on_the_same_samples_is_the_paired_difference():
    (a, people), (b, _) = answers(0.6), answers(0.8, seed=1)
    found, low, high = inflation.gain(Step.of("a", a, people), Step.of("b", b, people))
    reference = metrics.paired(b, a, people)
    assert found == pytest.approx(reference["difference"])
    assert (low, high) == pytest.approx(reference["interval"], abs=0.01)


def test_interval_is_the_bootstrap_over_subjects():
    correct, people = answers(0.6)
    step = Step.of("a", correct, people)
    assert inflation.interval(step) == pytest.approx(metrics.interval(correct, people), abs=0.01)


def test_steps_may_test_other_samples_of_the_same_people():
    (a, people), (b, more) = answers(0.6), answers(0.8, n=1200, seed=1)
    found, low, high = inflation.gain(Step.of("one", a, people), Step.of("three", b, more))
    assert found == pytest.approx(b.mean() - a.mean())
    assert low < found < high
    with pytest.raises(FerError, match="same subjects"):
        inflation.gain(Step.of("one", a, people), Step.of("x", a[:200], people[:200]))


def curves():
    rows = [("f1", 1, 0.5), ("f1", 2, 0.9), ("f1", 3, 0.7), ("f2", 1, 0.4), ("f2", 2, 0.5), ("f2", 3, 0.6)]
    return pd.DataFrame(rows, columns=["fold", "epoch", "test_accuracy"])


def test_best_test_epoch_is_picked_fold_by_fold():
    last, best = inflation.best_test_epoch(
        "best", curves().sample(frac=1, random_state=0), {"f1": 10, "f2": 30}
    )
    assert last.accuracy == pytest.approx((0.7 * 10 + 0.6 * 30) / 40)
    assert best.accuracy == pytest.approx((0.9 * 10 + 0.6 * 30) / 40)
    found, low, high = inflation.gain(last, best)
    assert found == pytest.approx(0.05)
    assert np.isnan([low, high]).all()  # two folds


@pytest.mark.parametrize("n", [inflation.FEWEST - 1, inflation.FEWEST])
def test_a_few_units_have_no_interval(n):
    folds = [f"f{i}" for i in range(n)]
    before, after = Step.of("last", [0.5] * n, folds), Step.of("best", np.linspace(0.5, 0.9, n), folds)
    found, *bounds = inflation.gain(before, after)
    assert found == pytest.approx(0.2)
    assert np.isnan([*bounds, *inflation.interval(after)]).all() == (n < inflation.FEWEST)
    assert inflation.bounded(found, *bounds, "+.1f").endswith("(no interval)") == (n < inflation.FEWEST)
    assert inflation.bounded(np.nan, *bounds, "+.1f") == "–"


def test_waterfall_adds_up_and_draws():
    (a, people), (b, _) = answers(0.6), answers(0.65, seed=1)
    honest, leaky = Step.of("unseen people", a, people), Step.of("random folds", b, people)
    last = Step.of("last", [leaky.accuracy] * 2, ["f1", "f2"], [200, 200])
    best = Step.of("best epoch", [leaky.accuracy + 0.1, leaky.accuracy], ["f1", "f2"], [200, 200])
    table = inflation.waterfall([honest, leaky, (last, best)])
    assert list(table.columns) == list(inflation.COLUMNS) == list(plots.inflation.COLUMNS)
    assert table["accuracy"].iloc[-1] == pytest.approx(table["accuracy"].iloc[0] + table["gain"].sum())
    assert np.isnan(table["gain"].iloc[0])
    assert table["n"].tolist() == [400, 400, 400]
    assert table["low"].isna().tolist() == [False, False, True]  # two folds
    assert table["gain_low"].isna().tolist() == [True, False, True]
    figure = plots.waterfall(table)
    (axes,) = figure.axes
    assert [label.get_text() for label in axes.get_yticklabels()] == table["step"].tolist()
    low, high = axes.get_xlim()
    assert low < 100 * table["low"].min()
    assert high > 100 * table["accuracy"].max()
    assert any(t.get_text().startswith("+5.0") for t in axes.texts)


def test_a_waterfall_must_be_of_one_chain():
    honest = Step.of("honest", *answers(0.6))
    wrong = Step.of("last", [0.9, 0.9], ["f1", "f2"], [10, 10])
    with pytest.raises(FerError, match="not of the same predictions"):
        inflation.waterfall([honest, (wrong, wrong)])


def test_last_frames_are_the_most_expressive():
    corpus = synthetic.generate(2, 2, sequences=True, n_frames=5)
    three = inflation.last_frames(corpus, 3)
    assert len(three) == 3 * len(np.unique(corpus.sequences))
    assert set(three.meta["frame"]) == {2, 3, 4}
    apex = inflation.last_frames(corpus, 1)
    assert set(apex.meta["frame"]) == {4}
    assert np.isin(apex.ids, three.ids).all()
    with pytest.raises(FerError, match="stills"):
        inflation.last_frames(synthetic.generate(1, 1), 3)


@pytest.mark.parametrize("bad", [([], []), ([True], ["a", "b"])])
def test_a_step_needs_answers(bad):
    with pytest.raises(FerError, match="as many units"):
        Step.of("x", *bad)


# --- across datasets ------------------------------------------------------------------------------------


class Constant(nn.Module):
    """Always says one class."""

    def __init__(self, answer):
        super().__init__()
        self.answer = nn.Parameter(nn.functional.one_hot(torch.tensor(answer), 3).float())

    def forward(self, images):
        return self.answer.expand(len(images), 3)


def test_cross_dataset_figure_is_the_mean_of_the_models():
    labels = np.array([0, 0, 0, 1, 1, 2])
    part = Part.of(np.zeros((6, 8, 8), np.uint8), labels)
    feed = ImageFeed(Normalisation())
    probabilities = transfer.apply_models([Constant(0), Constant(1)], part, feed)
    assert probabilities.shape == (2, 6, 3)
    outcome = transfer.Transfer(probabilities, labels, np.array(list("aabbcc")))
    assert outcome.accuracies.tolist() == [0.5, pytest.approx(1 / 3)]
    mean, low, high = outcome.mean()
    assert mean == pytest.approx(5 / 12)
    assert low < mean < high


def test_both_corpora_need_the_same_expressions():
    corpus = synthetic.generate(2, 1)
    six = corpus.only(("anger", "disgust", "fear", "happiness", "sadness", "surprise"))
    assert corpora.same_classes(six, corpus).classes == six.classes
    with pytest.raises(FerError, match="has no surprise, neutral, contempt"):
        corpora.same_classes(corpus, six.only(six.classes[:5]))
