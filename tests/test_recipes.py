"""Recipes: targets, optimisers and rates mean what the papers print."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from fer_lib.errors import FerError
from fer_lib.learn import training
from fer_lib.learn.normalisation import Normalisation
from fer_lib.learn.recipes import Lookahead, Recipe, cross_entropy, falling, one_cycle, optimiser_of
from fer_lib.learn.training import Part


@pytest.mark.parametrize("classes", [2, 6, 7])
@pytest.mark.parametrize("target", [None, 0.9, 1.0])
def test_the_true_class_gets_its_target_and_the_others_share_the_rest(classes, target):
    logits, labels = torch.randn(5, classes), torch.arange(5) % classes
    soft = torch.full((5, classes), (1 - (target or 1)) / (classes - 1))
    soft[torch.arange(5), labels] = target or 1.0
    value, scored = cross_entropy(target)(logits, labels)
    torch.testing.assert_close(value, F.cross_entropy(logits, soft))
    assert torch.equal(scored, logits)


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


def test_l2_penalty_is_the_gradient_of_the_squared_norm():
    model = nn.Linear(3, 2)
    model.l2_penalties = {"weight": 0.01}
    groups = optimiser_of(model, Recipe(1)).param_groups
    assert [group["weight_decay"] for group in groups] == [0, 0.02]
    (0.01 * model.weight.square().sum()).backward()
    torch.testing.assert_close(model.weight.grad, 0.02 * groups[1]["params"][0].detach())


def test_lookahead_is_its_definition():
    def stepped(model, optimiser):
        optimiser.zero_grad()
        model(torch.ones(4, 3)).square().sum().backward()
        optimiser.step()

    torch.manual_seed(0)
    ours, fast = nn.Linear(3, 2), nn.Linear(3, 2)
    fast.load_state_dict(ours.state_dict())
    slow = [p.detach().clone() for p in fast.parameters()]
    inner = torch.optim.Adam(fast.parameters(), lr=0.01)
    wrapped = Lookahead(torch.optim.Adam(ours.parameters(), lr=0.5), k=5, alpha=0.5)
    wrapped.param_groups[0]["lr"] = 0.01  # rates are those of the inner optimiser
    for step in range(1, 14):
        stepped(fast, inner)
        stepped(ours, wrapped)
        if step % 5 == 0:
            with torch.no_grad():
                for s, p in zip(slow, fast.parameters(), strict=True):
                    s += 0.5 * (p - s)
                    p.copy_(s)
        for p, q in zip(fast.parameters(), ours.parameters(), strict=True):
            assert torch.allclose(p, q, atol=1e-7)


def test_rates_are_taken_epoch_by_epoch(monkeypatch):
    recipe = Recipe(4, 8, learning_rates=(0.1, 0.2, 0.05), precision="fp32")
    assert [recipe.learning_rate(e) for e in range(4)] == [0.1, 0.2, 0.05, 0.05]
    assert Recipe(4, lr=0.3).learning_rate(3) == 0.3
    used, step = [], torch.optim.Adam.step
    monkeypatch.setattr(
        torch.optim.Adam, "step", lambda own: (used.append(own.param_groups[0]["lr"]), step(own))[1]
    )
    part = Part(torch.zeros(8, 4, 4, dtype=torch.uint8), torch.zeros(8).long())
    training.fit(nn.Sequential(nn.Flatten(), nn.Linear(16, 2)), part, recipe)
    assert used[-4:] == [0.1, 0.2, 0.05, 0.05]


def test_a_feed_and_a_loss_take_the_place_of_the_usual_ones():
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
    rows = training.fit(model, part, Recipe(3, 8, lr=0.1), feed=feed, loss=loss, test=part)
    assert rows[-1]["train_loss"] < rows[0]["train_loss"]
    assert set(calls) == {True, False}
    assert training.predict(model, part, feed).shape == (32, 2)
    features = training.predict(model, part, feed, output=lambda x, side: model(x, side)[1])
    assert features.shape == (32, 16)


@pytest.mark.parametrize(
    "options",
    [
        {"optimiser": "adagrad"},
        {"checkpoint": "best"},
        {"precision": "fp8"},
        {"batch_size": 0},
    ],
)
def test_settings_out_of_range_are_refused(options):
    with pytest.raises(FerError):
        Recipe(1, **options)


def test_a_description_holds_what_was_used_alone():
    adam, sgd = Recipe(1).describe(), Recipe(1, optimiser="sgd", true_class_target=0.9).describe()
    assert not {"momentum", "true_class_target"} & set(adam)
    assert adam["betas"] == (0.9, 0.999)
    assert "betas" not in sgd
    assert sgd["momentum"] == sgd["true_class_target"] == 0.9


def test_schedules():
    rates = falling(10, 0.1, steady=0.3, lowest=0.01, level=0.2)
    assert rates[:4] == (0.1,) * 4
    assert rates[-2:] == (0.001,) * 2
    assert list(rates) == sorted(rates, reverse=True)
    assert falling(4, 1.0) == (1.0, 0.853553, 0.5, 0.146447)
    assert falling(1, 0.1) == (0.1,)
    rates = one_cycle(20)
    assert rates[:4] == (0.0075, 0.015, 0.0225, 0.03)
    assert list(rates[3:]) == sorted(rates[3:], reverse=True)
    assert rates[-5:] == (0.0003,) * 5
