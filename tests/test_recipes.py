"""Recipes: targets, optimisers and rates mean what the papers print."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from fer_lib.errors import FerError
from fer_lib.learn import training
from fer_lib.learn.normalisation import Normalisation
from fer_lib.learn.recipes import Recipe, cross_entropy, falling, one_cycle, optimiser_of
from fer_lib.learn.training import Part


@pytest.mark.parametrize("classes", [2, 6, 7])
@pytest.mark.parametrize("target", [0.9, 1.0])
def test_the_true_class_gets_its_target_and_the_others_share_the_rest(classes, target):
    logits, labels = torch.randn(5, classes), torch.arange(5) % classes
    soft = torch.full((5, classes), (1 - target) / (classes - 1))
    soft[torch.arange(5), labels] = target
    value, scored = cross_entropy(target)(logits, labels)
    torch.testing.assert_close(value, F.cross_entropy(logits, soft))
    assert torch.equal(scored, logits)


def test_without_a_target_it_is_plain_cross_entropy():
    logits, labels = torch.randn(5, 7), torch.arange(5)
    torch.testing.assert_close(cross_entropy()(logits, labels)[0], F.cross_entropy(logits, labels))


def test_momentum_follows_its_definition():
    model = nn.Linear(3, 1, bias=False)
    weight, velocity = model.weight.detach().clone(), torch.zeros(1, 3)
    optimiser = optimiser_of(model, Recipe(1, lr=0.1, optimiser="sgd", momentum=0.9, weight_decay=0.01))
    for x in torch.randn(4, 3):
        optimiser.zero_grad()
        model(x).sum().backward()
        optimiser.step()
        velocity = 0.9 * velocity + x + 0.01 * weight
        weight = weight - 0.1 * velocity
    torch.testing.assert_close(model.weight.detach(), weight)


def test_rates_are_taken_epoch_by_epoch(monkeypatch):
    recipe = Recipe(4, 8, learning_rates=(0.1, 0.2, 0.05))
    assert [recipe.learning_rate(e) for e in range(4)] == [0.1, 0.2, 0.05, 0.05]
    assert Recipe(4, lr=0.3).learning_rate(3) == 0.3
    used, epoch = [], training._epoch
    monkeypatch.setattr(
        training, "_epoch", lambda *args: (used.append(args[3].param_groups[0]["lr"]), epoch(*args))[1]
    )
    part = Part(torch.zeros(8, 4, 4, dtype=torch.uint8), torch.zeros(8).long())
    training.fit(nn.Sequential(nn.Flatten(), nn.Linear(16, 2)), part, recipe)
    assert used == [0.1, 0.2, 0.05, 0.05]


def test_a_feed_and_a_loss_take_the_place_of_the_usual_ones():
    torch.manual_seed(0)
    images = torch.randint(0, 255, (32, 4, 4), dtype=torch.uint8)
    part = Part(images, torch.arange(32) % 2, (torch.arange(32.0)[:, None] % 2,))
    calls = []

    def feed(batch, is_training):
        calls.append(is_training)
        return Normalisation()(batch.images), batch.extra[0]

    class Two(nn.Module):
        def __init__(self):
            super().__init__()
            self.head = nn.Linear(1, 2)

        def forward(self, x, side):
            return self.head(side), x.flatten(1)

    def loss(output, labels):
        return F.cross_entropy(output[0], labels) + 0 * output[1].sum(), output[0]

    model = Two()
    rows = training.fit(model, part, Recipe(30, 8, lr=0.1), feed=feed, loss=loss, test=part)
    assert rows[-1]["test_accuracy"] == 1.0
    assert set(calls) == {True, False}
    probabilities = training.predict(model, part, feed)
    assert probabilities.shape == (32, 2)
    features = training.predict(model, part, feed, output=lambda x, side: model(x, side)[1])
    assert features.shape == (32, 16)


@pytest.mark.parametrize(
    "options",
    [{"optimiser": "adagrad"}, {"true_class_target": 0.0}, {"true_class_target": 1.5}, {"batch_size": 0}],
)
def test_settings_out_of_range_are_refused(options):
    with pytest.raises(FerError):
        Recipe(1, **options)


def test_a_description_holds_what_was_used_alone():
    adam, sgd = Recipe(1).describe(), Recipe(1, optimiser="sgd", true_class_target=0.9).describe()
    assert "momentum" not in adam
    assert "true_class_target" not in adam
    assert adam["betas"] == (0.9, 0.999)
    assert "betas" not in sgd
    assert sgd["momentum"] == 0.9
    assert sgd["true_class_target"] == 0.9


def test_a_rate_stays_falls_and_stays():
    rates = falling(10, 0.1, steady=0.3, lowest=0.01, level=0.2)
    assert rates[:4] == (0.1,) * 4
    assert rates[-2:] == (0.001,) * 2
    assert list(rates) == sorted(rates, reverse=True)
    assert falling(4, 1.0) == (1.0, 0.853553, 0.5, 0.146447)
    assert falling(1, 0.1) == (0.1,)


def test_one_cycle_rises_falls_and_stays():
    rates = one_cycle(20)
    assert rates[:4] == (0.0075, 0.015, 0.0225, 0.03)
    assert list(rates[3:]) == sorted(rates[3:], reverse=True)
    assert rates[-5:] == (0.0003,) * 5
