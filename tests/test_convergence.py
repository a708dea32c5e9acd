"""The certificate of convergence: every question in both directions, on made-up curves."""

import numpy as np
import pandas as pd
import pytest

from fer_lib.judge import convergence


def curves(epochs=50, folds=2, **columns):
    """Return curves that pass every question, with columns changed."""
    epoch = np.arange(1, epochs + 1)
    rise = 1 - np.exp(-epoch / (epochs / 10))
    made = {
        "train_loss": 2 - 1.99 * rise,
        "train_accuracy": 0.999 * rise,
        "validation_accuracy": 0.7 * rise,
        "test_accuracy": 0.69 * rise,
    } | columns
    parts = [pd.DataFrame({"model": "C1", "fold": f"f{i}", "epoch": epoch} | made) for i in range(folds)]
    return pd.concat(parts, ignore_index=True)


def certified(frame, **options):
    return convergence.certify(frame, "C1", **options)


def test_a_network_that_has_converged():
    found = certified(curves(), majority=0.25, doubled=0.2)
    assert found.converged
    assert len(found.reasons) == 6
    assert found.best_gain == pytest.approx(0)


@pytest.mark.parametrize("slope, converged", [(0.0004, True), (0.0006, False)])
def test_still_rising(slope, converged):
    frame = curves(validation_accuracy=0.6 + slope * np.arange(50))
    assert certified(frame).converged == converged
    assert any("points an epoch" in reason for reason in certified(frame).reasons)


@pytest.mark.parametrize("epochs, converged", [(9, False), (10, True)])
def test_a_few_epochs_are_no_trend(epochs, converged):
    flat = {
        name: np.full(epochs, 0.999) for name in ("train_accuracy", "validation_accuracy", "test_accuracy")
    }
    assert certified(curves(epochs, **flat)).converged == converged


@pytest.mark.parametrize(
    "accuracy, fall, converged", [(0.6, 0.02, False), (0.6, 0.005, True), (0.995, 0.02, True)]
)
def test_the_training_part_is_learnt_or_its_loss_stands_still(accuracy, fall, converged):
    loss = 0.9 * (1 - fall) ** np.arange(50)
    frame = curves(train_accuracy=np.full(50, accuracy), train_loss=loss)
    assert certified(frame).converged == converged


@pytest.mark.parametrize(
    "fall, accuracy, converged", [(0.02, 0.7, False), (0.005, 0.7, True), (0.02, 0.995, True)]
)
def test_a_loss_that_stands_still_because_the_rate_is_nearly_zero_proves_nothing(fall, accuracy, converged):
    rates = [1e-3] * 40 + [1e-5] * 10
    loss = 0.9 * (1 - fall) ** np.minimum(np.arange(50), 39)
    frame = curves(train_accuracy=np.full(50, accuracy), train_loss=loss)
    found = certified(frame, rates=rates)
    assert found.converged == converged
    assert any("while the rate is above 10 % of its highest" in text for text in found.reasons) == (
        fall > 0.01
    )
    assert certified(frame).converged  # what the curve alone would say


@pytest.mark.parametrize("known, converged", [(0.985, False), (0.995, True)])
def test_the_training_part_is_asked_as_the_network_is_tested_where_that_was_recorded(known, converged):
    frame = curves(train_accuracy=np.full(50, 0.9), train_loss=0.9 * 0.9 ** np.arange(50))
    assert not certified(frame).converged
    frame["known_accuracy"] = np.where(frame["epoch"] == 50, known, np.nan)
    found = certified(frame)
    assert found.converged == converged
    assert any(f"training accuracy {100 * known:.1f} %" in reason for reason in found.reasons)


@pytest.mark.parametrize("peak, converged", [(0.72, True), (0.74, False)])
def test_swinging(peak, converged):
    validation = np.full(50, 0.7)
    validation[20] = peak
    assert certified(curves(validation_accuracy=validation)).converged == converged


@pytest.mark.parametrize("majority, converged", [(0.25, True), (0.65, False)])
def test_far_from_the_commonest_class(majority, converged):
    assert certified(curves(), majority=majority).converged == converged


@pytest.mark.parametrize("doubled, converged", [(0.4, True), (-0.6, True), (0.6, False)])
def test_twice_the_epochs(doubled, converged):
    assert certified(curves(), doubled=doubled).converged == converged


def test_without_validation_the_test_part_is_watched_and_the_best_epoch_is_told():
    test = np.full(50, 0.7)
    test[30] = 0.72
    frame = curves(validation_accuracy=np.full(50, np.nan), test_accuracy=test)
    found = certified(frame)
    assert found.converged
    assert any(reason.startswith("test accuracy") for reason in found.reasons)
    assert found.best_gain == pytest.approx(2)


def test_folds_are_taken_together():
    frame = curves(folds=2)
    one = frame["fold"] == "f0"
    frame.loc[one, "validation_accuracy"] = 0.6 + 0.002 * (frame.loc[one, "epoch"] - 25)
    assert not certified(frame).converged
    assert certified(frame[~one]).converged


@pytest.mark.parametrize("frame", [pd.DataFrame(), curves().assign(model="C2")])
def test_without_a_curve_there_is_no_certificate(frame):
    assert not certified(frame).converged
    assert "no learning curve" in certified(frame).reasons[0]


@pytest.mark.parametrize("learnt, converged", [(0.985, False), (0.995, True)])
def test_where_no_accuracy_was_tested_the_training_part_must_be_known(learnt, converged):
    frame = curves(
        train_accuracy=np.full(50, learnt),
        validation_accuracy=np.nan,
        test_accuracy=np.nan,
        train_loss=np.full(50, 0.1),
    )
    found = certified(frame, majority=0.25)
    assert found.converged == converged
    assert "no other was recorded" in found.reasons[0]
