"""Training: it learns, repeats, resumes and selects only where it is told to."""

import numpy as np
import pytest
import torch
from torch import nn

from fer_lib.data import datasets
from fer_lib.errors import FerError
from fer_lib.features.geometry import MILD
from fer_lib.files import UnitFolder
from fer_lib.learn import recipes, training, units
from fer_lib.learn.layers import Dropout
from fer_lib.learn.normalisation import Normalisation
from fer_lib.learn.precision import Precision
from fer_lib.learn.training import Part, Recipe
from fer_lib.papers.cnn_sift import network as cnn_sift


@pytest.fixture(scope="module")
def parts():
    """Three easy classes: a bright square in one of three corners, on noise."""
    rng = np.random.default_rng(0)
    labels = np.arange(96) % 3
    images = rng.integers(0, 90, (96, 16, 16), dtype=np.uint8)
    for image, label in zip(images, labels, strict=True):
        image[8 * (label // 2) :, 8 * (label % 2) :][:8, :8] += 120
    return (
        Part.of(images[:64], labels[:64]),
        Part.of(images[64:80], labels[64:80]),
        Part.of(images[80:], labels[80:]),
    )


class CNN(nn.Module):
    """A small network of images of 16 pixels."""

    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(nn.Conv2d(1, 8, 3, padding=1), nn.MaxPool2d(2), nn.ReLU(), Dropout(0.1))
        self.dense = nn.Sequential(nn.Linear(8 * 8 * 8, 256), nn.ReLU(), Dropout(0.5))
        self.classify = nn.Linear(256, 3)

    def embed(self, x):
        return self.dense(self.features(x).flatten(1))

    def forward(self, x):
        return self.classify(self.embed(x))


def make():
    return CNN()


def train(parts, epochs=4, seed=0, **options):
    torch.manual_seed(7)
    model = make()
    rows = training.fit(model, parts[0], Recipe(epochs, 16), normalise=Normalisation(), seed=seed, **options)
    return model, rows


def test_it_learns(parts):
    model, rows = train(parts, epochs=15, test=parts[2])
    assert rows[-1]["test_accuracy"] == 1.0
    assert rows[-1]["train_loss"] < rows[0]["train_loss"] / 4
    assert np.isnan(rows[-1]["validation_accuracy"])
    probabilities = training.predict(model, parts[2], Normalisation())
    np.testing.assert_allclose(probabilities.sum(1), 1, atol=1e-5)


def test_same_seed_same_numbers(parts):
    (a, rows_a), (b, rows_b) = train(parts), train(parts)
    assert [r["train_loss"] for r in rows_a] == [r["train_loss"] for r in rows_b]
    assert all(torch.equal(x, y) for x, y in zip(a.parameters(), b.parameters(), strict=True))
    assert [r["train_loss"] for r in train(parts, seed=1)[1]] != [r["train_loss"] for r in rows_a]


class Killed(Exception):
    pass


def test_a_killed_run_resumes_with_the_same_numbers(parts, tmp_path, monkeypatch):
    whole, rows = train(parts, epochs=6)
    monkeypatch.setattr(training, "SAVE_SECONDS", 0)
    epoch, calls = training._epoch, []

    def dies(*args):
        calls.append(args)
        if len(calls) == 4:
            raise Killed
        return epoch(*args)

    monkeypatch.setattr(training, "_epoch", dies)
    checkpoint = tmp_path / "c.pt"
    with pytest.raises(Killed):
        train(parts, epochs=6, checkpoint=checkpoint)
    assert checkpoint.exists()
    resumed, rows_again = train(parts, epochs=6, checkpoint=checkpoint)
    assert len(calls) == 4 + 3  # three epochs were not repeated
    assert [r["train_loss"] for r in rows_again] == [r["train_loss"] for r in rows]
    assert all(torch.equal(x, y) for x, y in zip(whole.parameters(), resumed.parameters(), strict=True))
    assert not checkpoint.exists()


def test_batches_visit_every_sample_once(parts, monkeypatch):
    seen = []
    take = Part.take
    monkeypatch.setattr(Part, "take", lambda self, index: (seen.append(index), take(self, index))[1])
    training.fit(make(), parts[0], Recipe(1, 16), precision=Precision("fp32", "not looked at"))
    assert sorted(torch.cat(seen).tolist()) == list(range(64))


def test_l2_penalty_is_the_gradient_of_the_squared_norm():
    model = cnn_sift.build("S1", width=0.01)
    groups = recipes.optimiser_of(model, Recipe(1)).param_groups
    assert [group["weight_decay"] for group in groups] == [0, 0.02]
    weight = groups[1]["params"][0]
    (0.01 * weight.square().sum()).backward()
    torch.testing.assert_close(weight.grad, 0.02 * weight.detach())


def test_augmentation_is_applied_to_training_images_only(parts):
    torch.manual_seed(0)
    model = make()
    recipe = Recipe(1, 16, augmentation=MILD)
    rows = training.fit(model, parts[0], recipe, normalise=Normalisation(), test=parts[2])
    torch.manual_seed(0)
    plain = training.fit(make(), parts[0], Recipe(1, 16), normalise=Normalisation(), test=parts[2])
    assert rows[0]["train_loss"] != plain[0]["train_loss"]
    a, b = (training.predict(model, parts[2], Normalisation()) for _ in range(2))
    assert np.array_equal(a, b)


def test_best_epoch_is_kept_only_when_asked(parts, monkeypatch):
    scores = iter([0.9, 0.2, 0.1])
    monkeypatch.setattr(training, "_score", lambda *args: next(scores))
    states = []
    epoch = training._epoch
    monkeypatch.setattr(
        training,
        "_epoch",
        lambda m, *a: (epoch(m, *a), states.append([p.clone() for p in m.parameters()]))[0],
    )
    model = make()
    recipe = Recipe(3, 16, checkpoint="best_validation")
    training.fit(model, parts[0], recipe, normalise=Normalisation(), validation=parts[1])
    assert all(torch.equal(p, q) for p, q in zip(model.parameters(), states[0], strict=True))


@pytest.mark.parametrize("checkpoint", ["best_validation", "best_test"])
def test_selecting_on_an_absent_part_is_refused(parts, checkpoint):
    with pytest.raises(FerError, match=f"{checkpoint.removeprefix('best_')} part"):
        training.fit(make(), parts[0], Recipe(1, 16, checkpoint=checkpoint), normalise=Normalisation())


@pytest.mark.parametrize(
    "bad", [{"epochs": 0}, {"epochs": 1, "precision": "fp8"}, {"epochs": 1, "checkpoint": "best"}]
)
def test_bad_recipes_are_refused(bad):
    with pytest.raises(FerError):
        Recipe(**bad)


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has the device")
def test_an_absent_device_is_one_sentence():
    with pytest.raises(FerError, match="torch finds no GPU"):
        training.choose_device("cuda")


def test_bf16_stays_close_to_fp32(parts):
    model, _ = train(parts, epochs=3)
    exact = training.predict(model, parts[2], Normalisation(), precision="fp32")
    rounded = training.predict(model, parts[2], Normalisation(), precision="bf16")
    assert rounded.dtype == np.float32
    assert np.abs(exact - rounded).max() < 0.05


def test_a_finished_unit_is_not_trained_again(parts, tmp_path):
    store, built = UnitFolder(tmp_path), []

    def build():
        built.append(make())
        return built[-1]

    options = {"normalisation": "global", "seed": 3, "keep_weights": True}
    recipe = Recipe(2, 16, precision="fp32")
    first = units.train_unit(store, "C1 a", build, parts, recipe, **options)
    again = units.train_unit(store, "C1 a", build, parts, recipe, **options)
    assert len(built) == 1
    assert np.array_equal(first.test, again.test)
    assert np.array_equal(first.validation, again.validation)
    np.testing.assert_equal(first.curves, again.curves)
    model = make()
    model.load_state_dict(units.read_weights(again.weights))
    known = training.predict(model, parts[0], Normalisation.fit(parts[0].images, "global")).argmax(1)
    right = (known == parts[0].labels.numpy()).mean()
    assert [row["known_accuracy"] for row in again.curves] == pytest.approx([np.nan, right], nan_ok=True)
    normalise = Normalisation(
        **units.read_weights(again.weights, "statistics")
    )  # whoever reads them needs both
    np.testing.assert_allclose(training.predict(model, parts[2], normalise), first.test, atol=1e-6)


def test_units_of_different_names_start_differently(parts, tmp_path):
    store = UnitFolder(tmp_path)
    a, b = (units.train_unit(store, n, make, (parts[0], None, parts[2]), Recipe(1, 16)) for n in ("a", "b"))
    assert not np.array_equal(a.test, b.test)
    assert a.validation.shape == (0, 0)


def test_embedding_output(parts):
    model = make()
    values = training.predict(model, parts[2], Normalisation(), output=model.embed)
    assert values.shape == (16, 256)
    assert isinstance(model, nn.Module)


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
        self.inner, self.what, self.left = make(), what, step

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
    whole = units.train_unit(UnitFolder(tmp_path / "whole"), "C1 a", make, parts, recipe)
    other = units.train_unit(store, "C2 a", make, parts, recipe)
    broken = lambda: Broken(what, 4 * 2 + 1)  # noqa: E731 (in the second step of the third epoch)
    names = {f"inner.{name}": name for name, _ in make().named_parameters()}
    said = f"'C1 a' stopped in epoch 3, step 2, at a learning rate of 0.001: {what} is not finite"
    with pytest.raises(FerError, match=said):
        units.train_unit(store, "C1 a", broken, parts, recipe)
    assert store.unit("C1 a") is None
    assert store.unit("C2 a") is not None
    state = torch.load(store.checkpoint("C1 a.pt"), weights_only=True)
    assert len(state["rows"]) == 2
    assert all(p.isfinite().all() for p in state["model"].values())
    # The same command, with what was wrong mended, goes on from there: as if nothing had been.
    state["model"] = {names[name]: p for name, p in state["model"].items()}
    torch.save(state, store.checkpoint("C1 a.pt"))
    mended = units.train_unit(store, "C1 a", make, parts, recipe)
    assert [r["train_loss"] for r in mended.curves] == [r["train_loss"] for r in whole.curves]
    assert np.array_equal(mended.test, whole.test)
    assert np.array_equal(units.train_unit(store, "C2 a", make, parts, recipe).test, other.test)


@pytest.mark.parametrize("damage", ["nan", "no probabilities", "cut", "empty"])
def test_a_damaged_unit_is_made_again(parts, tmp_path, damage):
    store, recipe = UnitFolder(tmp_path), Recipe(1, 16, precision="fp32")
    first = units.train_unit(store, "C1 a", make, parts, recipe)
    path = store.unit("C1 a")
    with np.load(path) as unit:
        values = dict(unit)
    if damage == "nan":
        values["test"][0, 0] = np.nan
    elif damage == "no probabilities":
        values["test"] += 1
    np.savez_compressed(path, **values)
    if damage in ("cut", "empty"):
        path.write_bytes(path.read_bytes()[: 40 if damage == "cut" else 0])
    again = units.train_unit(store, "C1 a", make, parts, recipe)
    assert np.array_equal(again.test, first.test)
    with np.load(store.unit("C1 a")) as unit:
        assert np.array_equal(unit["test"], first.test)


def test_patience_ends_a_training_that_knows_its_images(parts):
    recipe = Recipe(60, 16, patience=3, precision="fp32")
    rows = training.fit(make(), parts[0], recipe, validation=parts[1])
    scores = [row["validation_accuracy"] for row in rows]
    assert len(rows) < 60
    assert rows[-1]["train_accuracy"] > 0.99
    assert max(scores[-3:]) <= max(scores[:-3])
    assert not training._settled(rows[:-1], 3)


def test_predictions_that_are_not_finite_are_refused(parts):
    model = make()
    with torch.no_grad():
        model.classify.bias[0] = float("nan")
    with pytest.raises(FerError, match="CNN returns values that are not finite for 16 of 16 samples"):
        training.predict(model, parts[2])


def test_faces_can_be_learnt_by_heart():
    """Any correct implementation drives the loss on a few images to nothing, however few they are."""
    corpus = datasets.load("synthetic", n_subjects=4)
    index = np.linspace(0, len(corpus) - 1, 64).astype(int)
    part = Part.of(corpus.resize(48).images[index], corpus.labels[index])
    torch.manual_seed(0)
    model = cnn_sift.CNN(len(corpus.classes), (0.0, 0.0, 0.0), width=0.25, dense_dropout=0.0)
    rows = training.fit(model, part, Recipe(60, 16), normalise=Normalisation())
    assert rows[-1]["train_accuracy"] == 1.0
    assert rows[-1]["train_loss"] < 0.05


@pytest.mark.parametrize(
    "kind, layout", [(nn.Conv2d, torch.channels_last), (nn.Conv3d, torch.channels_last_3d)]
)
def test_weights_of_images_and_of_clips_lie_channels_last(kind, layout):
    model = nn.Sequential(kind(3, 4, 3), nn.Linear(4, 2))
    assert training.channels_last(model, "cpu") is model
    assert model[0].weight.is_contiguous(memory_format=layout)
    assert not model[0].weight.is_contiguous()
