"""Training: it repeats, resumes and selects only where it is told to."""

import numpy as np
import pytest
import torch
from torch import nn

from fer_lib.errors import FerError
from fer_lib.features.geometry import MILD
from fer_lib.files import UnitFolder
from fer_lib.learn import training, units
from fer_lib.learn.layers import Dropout
from fer_lib.learn.normalisation import Normalisation
from fer_lib.learn.precision import Precision
from fer_lib.learn.training import ImageFeed, Part, Recipe


@pytest.fixture(scope="module")
def parts():
    """Three classes: a bright square in one of three corners, on noise."""
    rng = np.random.default_rng(0)
    labels = np.arange(96) % 3
    images = rng.integers(0, 90, (96, 16, 16), dtype=np.uint8)
    for image, label in zip(images, labels, strict=True):
        image[8 * (label // 2) :, 8 * (label % 2) :][:8, :8] += 120
    return tuple(Part.of(images[index], labels[index]) for index in np.split(np.arange(96), [64, 80]))


class CNN(nn.Module):
    """A small network of images of 16 pixels."""

    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(nn.Conv2d(1, 8, 3, padding=1), nn.MaxPool2d(2), nn.ReLU(), Dropout(0.1))
        self.dense = nn.Sequential(nn.Linear(8 * 8 * 8, 32), nn.ReLU(), Dropout(0.5))
        self.classify = nn.Linear(32, 3)

    def embed(self, x):
        return self.dense(self.features(x).flatten(1))

    def forward(self, x):
        return self.classify(self.embed(x))


def train(parts, epochs=4, seed=0, recipe=None, **options):
    torch.manual_seed(7)
    model = CNN()
    recipe = recipe or Recipe(epochs, 16, precision="fp32")
    return model, training.fit(model, parts[0], recipe, seed=seed, **options)


def losses(rows):
    return [row["train_loss"] for row in rows]


def same(a, b):
    return all(torch.equal(x, y) for x, y in zip(a.parameters(), b.parameters(), strict=True))


def test_same_seed_same_numbers(parts):
    (a, first), (b, again) = train(parts), train(parts, test=parts[2])
    assert losses(first) == losses(again)
    assert same(a, b)
    assert np.isnan(first[-1]["test_accuracy"])
    assert again[-1]["test_accuracy"] >= 0
    assert losses(train(parts, seed=1)[1]) != losses(first)


class Killed(Exception):
    pass


@pytest.mark.parametrize("lookahead", [None, (3, 0.5)])
def test_a_killed_run_resumes_with_the_same_numbers(parts, tmp_path, monkeypatch, lookahead):
    recipe = Recipe(6, 16, precision="fp32", augmentation=MILD, lookahead=lookahead)
    whole, rows = train(parts, recipe=recipe)
    monkeypatch.setattr(training, "SAVE_SECONDS", 0)
    given, calls = ImageFeed(Normalisation(), MILD), []

    def feed(batch, is_training):
        calls.append(is_training)
        if len(calls) == 3 * 4 + 2:
            raise Killed
        return given(batch, is_training)

    checkpoint = tmp_path / "c.pt"
    options = {"checkpoint": checkpoint, "feed": feed, "precision": Precision("fp32", "not looked at")}
    with pytest.raises(Killed):
        train(parts, recipe=recipe, **options)
    assert checkpoint.exists()
    calls.clear()
    resumed, again = train(parts, recipe=recipe, **options)
    assert len(calls) == 3 * 4  # three epochs were not repeated
    assert losses(again) == losses(rows)
    assert same(whole, resumed)
    assert not checkpoint.exists()


def test_batches_visit_every_sample_once(parts, monkeypatch):
    seen = []
    take = Part.take
    monkeypatch.setattr(Part, "take", lambda self, index: (seen.append(index), take(self, index))[1])
    train(parts, epochs=1, precision=Precision("fp32", "not looked at"))
    assert sorted(torch.cat(seen).tolist()) == list(range(64))


def test_augmentation_is_applied_to_training_images_only(parts):
    rows = train(parts, recipe=Recipe(1, 16, precision="fp32", augmentation=MILD))[1]
    assert losses(rows) != losses(train(parts, epochs=1)[1])
    feed = ImageFeed(Normalisation(), MILD)
    assert torch.equal(feed(parts[2], False)[0], Normalisation()(parts[2].images))


def test_best_epoch_is_kept_only_when_asked(parts, monkeypatch):
    predict, states = training.predict, []
    right = iter([14, 14, 3])  # of 16

    def predicted(model, part, *args, **options):
        states.append([p.clone() for p in model.parameters()])
        answers = np.eye(3)[part.labels.numpy()]
        answers[next(right) :] = np.roll(answers[0], 1)
        return answers if len(part) == 16 else predict(model, part, *args, **options)

    monkeypatch.setattr(training, "predict", predicted)
    recipe = Recipe(3, 16, precision="fp32", checkpoint="best_validation")
    model, rows = train(parts, recipe=recipe, validation=parts[1])
    reached = [row["validation_accuracy"] for row in rows]
    best = max(i for i, value in enumerate(reached) if value == max(reached))  # of equal ones the last
    assert all(torch.equal(p, q) for p, q in zip(model.parameters(), states[best], strict=True))


@pytest.mark.parametrize("checkpoint", ["best_validation", "best_test"])
def test_selecting_on_an_absent_part_is_refused(parts, checkpoint):
    with pytest.raises(FerError, match=f"{checkpoint.removeprefix('best_')} part"):
        train(parts, recipe=Recipe(1, 16, checkpoint=checkpoint))


def test_a_finished_unit_is_not_trained_again(parts, tmp_path):
    store, built = UnitFolder(tmp_path), []

    def build():
        built.append(CNN())
        return built[-1]

    options = {"normalisation": "global", "seed": 3, "keep_weights": True}
    recipe = Recipe(2, 16, precision="fp32")
    first = units.train_unit(store, "C1 a", build, parts, recipe, **options)
    again = units.train_unit(store, "C1 a", build, parts, recipe, **options)
    assert len(built) == 1
    assert np.array_equal(first.test, again.test)
    assert np.array_equal(first.validation, again.validation)
    np.testing.assert_equal(first.curves, again.curves)
    model = CNN()
    model.load_state_dict(units.read_weights(again.weights))
    # Whoever reads the weights needs the statistics, too.
    normalise = Normalisation(**units.read_weights(again.weights, "statistics"))
    np.testing.assert_allclose(training.predict(model, parts[2], normalise), first.test, atol=1e-6)
    right = (training.predict(model, parts[0], normalise).argmax(1) == parts[0].labels.numpy()).mean()
    assert [row["known_accuracy"] for row in again.curves] == pytest.approx([np.nan, right], nan_ok=True)


@pytest.mark.parametrize("damage", ["nan", "no probabilities", "cut", "empty"])
def test_a_damaged_unit_is_made_again(parts, tmp_path, damage):
    store, recipe = UnitFolder(tmp_path), Recipe(1, 16, precision="fp32")
    first = units.train_unit(store, "C1 a", CNN, parts, recipe)
    path = store.unit("C1 a")
    with np.load(path) as unit:
        values = dict(unit)
    values["test"][0, 0] += {"nan": np.nan, "no probabilities": 1}.get(damage, 0)
    np.savez_compressed(path, **values)
    if damage in ("cut", "empty"):
        path.write_bytes(path.read_bytes()[: 40 if damage == "cut" else 0])
    assert np.array_equal(units.train_unit(store, "C1 a", CNN, parts, recipe).test, first.test)


def test_units_of_different_names_start_differently(parts, tmp_path):
    store, recipe = UnitFolder(tmp_path), Recipe(1, 16, precision="fp32")
    a, b = (units.train_unit(store, n, CNN, (parts[0], None, parts[2]), recipe) for n in ("a", "b"))
    assert not np.array_equal(a.test, b.test)
    assert a.validation.shape == (0, 0)


class Broken(nn.Module):
    """A network whose output or gradient is no longer finite from some step on."""

    class Gradient(torch.autograd.Function):
        @staticmethod
        def forward(context, x):
            return x.clone()

        @staticmethod
        def backward(context, gradient):
            return gradient * float("nan")

    def __init__(self, what, step):
        super().__init__()
        self.inner, self.what, self.left = CNN(), what, step

    def forward(self, x):
        self.left -= self.training
        y = self.inner(x)
        if self.training and self.left < 0:
            return y * float("inf") if self.what == "the loss" else self.Gradient.apply(y)
        return y


@pytest.mark.parametrize("what", ["the loss", "a gradient"])
def test_what_is_not_finite_stops_the_unit_and_the_last_checkpoint_stays(parts, tmp_path, monkeypatch, what):
    monkeypatch.setattr(training, "SAVE_SECONDS", 0)
    recipe, store = Recipe(4, 16, precision="fp32"), UnitFolder(tmp_path)
    whole = units.train_unit(UnitFolder(tmp_path / "whole"), "C1 a", CNN, parts, recipe)
    broken = lambda: Broken(what, 4 * 2 + 1)  # noqa: E731 (in the second step of the third epoch)
    said = f"'C1 a' stopped in epoch 3, step 2, at a learning rate of 0.001: {what} is not finite"
    with pytest.raises(FerError, match=said):
        units.train_unit(store, "C1 a", broken, parts, recipe)
    assert store.unit("C1 a") is None
    state = torch.load(store.checkpoint("C1 a.pt"), weights_only=True)
    assert len(state["rows"]) == 2
    assert all(p.isfinite().all() for p in state["model"].values())
    # The same command, with what was wrong mended, goes on from there: as if nothing had been.
    state["model"] = {name.removeprefix("inner."): p for name, p in state["model"].items()}
    torch.save(state, store.checkpoint("C1 a.pt"))
    mended = units.train_unit(store, "C1 a", CNN, parts, recipe)
    assert losses(mended.curves) == losses(whole.curves)
    assert np.array_equal(mended.test, whole.test)


def test_patience_ends_a_training_that_knows_its_images(parts):
    class Oracle(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter(torch.ones(1))

        def forward(self, answers):
            return answers * self.weight

    feed = lambda batch, _: (100 * torch.eye(3)[batch.labels],)  # noqa: E731
    recipe = Recipe(60, 16, patience=3, precision="fp32")
    rows = training.fit(Oracle(), parts[0], recipe, feed=feed, validation=parts[1])
    assert len(rows) == 4
    known = [{"train_accuracy": 1.0, "validation_accuracy": value} for value in (0.1, 0.2, 0.15, 0.2, 0.2)]
    assert training._settled(known, 3)
    assert not training._settled(known[:-1], 3)
    assert not training._settled([*known[:-1], known[-1] | {"train_accuracy": 0.9}], 3)


def test_predictions(parts):
    model = CNN()
    assert training.predict(model, parts[2], Normalisation(), output=model.embed).shape == (16, 32)
    probabilities = training.predict(model, parts[2], Normalisation(), precision="bf16")
    assert probabilities.dtype == np.float32
    np.testing.assert_allclose(probabilities.sum(1), 1, atol=1e-5)
    with torch.no_grad():
        model.classify.bias[0] = float("nan")
    with pytest.raises(FerError, match="CNN returns values that are not finite for 16 of 16 samples"):
        training.predict(model, parts[2], Normalisation())


@pytest.mark.parametrize(
    "kind, layout", [(nn.Conv2d, torch.channels_last), (nn.Conv3d, torch.channels_last_3d)]
)
def test_weights_of_images_and_of_clips_lie_channels_last(kind, layout):
    model = nn.Sequential(kind(3, 4, 3), nn.Linear(4, 2))
    assert training.channels_last(model, "cpu") is model
    assert model[0].weight.is_contiguous(memory_format=layout)
    assert not model[0].weight.is_contiguous()
