"""Precision: a wrong bf16 layer is found and named, a right one is used where it is faster."""

import pytest
import torch
from torch import nn

from fer_lib.errors import FerError
from fer_lib.files import UnitFolder
from fer_lib.learn import layout, precision, training, trial, units
from fer_lib.learn.precision import decide
from fer_lib.learn.recipes import Recipe, cross_entropy
from fer_lib.learn.training import Part

# The arithmetic of these networks is float32 on every processor; what stands for bf16 is made by hand.


class Rounded(torch.autograd.Function):
    """A dense layer that rounds to bf16 under autocast, and whose weight gradient can be made wrong."""

    @staticmethod
    def forward(context, x, weight, fault):
        context.low, context.fault = torch.is_autocast_enabled("cpu"), fault
        context.save_for_backward(x, weight)
        with torch.autocast("cpu", enabled=False):
            y = x.float() @ weight.T
        return y.bfloat16().float() if context.low else y

    @staticmethod
    def backward(context, gradient):
        x, weight = context.saved_tensors
        wanted = gradient.float().T @ x.float()
        if context.low:
            wanted = wanted.bfloat16().float() * (1 + context.fault)
        return gradient.float() @ weight, wanted, None


class Layer(nn.Module):
    def __init__(self, inputs, outputs, fault=0.0):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs) / inputs**0.5)
        self.fault = fault

    def extra_repr(self):
        return f"{self.fault}"

    def forward(self, x):
        return Rounded.apply(x.flatten(1), self.weight, self.fault)


def network(fault=0.0):
    torch.manual_seed(0)
    return nn.Sequential(Layer(64, 32), nn.ReLU(inplace=True), Layer(32, 16, fault), nn.ReLU(), Layer(16, 3))


def batch():
    torch.manual_seed(1)
    return (torch.randn(24, 1, 8, 8),), torch.arange(24) % 3


@pytest.fixture(autouse=True)
def machine(monkeypatch, tmp_path):
    """A machine with units for bf16 that are twice as fast, and nothing known about it."""
    monkeypatch.setenv("FER_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(precision, "has_bf16_units", lambda device: True)
    monkeypatch.setattr(precision, "_gain", lambda *args: 2.0)


def chosen(model, **recipe):
    return decide(model, batch, cross_entropy(), Recipe(1, **recipe))


def test_right_is_used_where_it_is_faster(monkeypatch):
    found = chosen(network())
    assert (found.name, found.gain) == ("bf16", 2.0)
    assert found.error < precision.LAYER_TOLERANCE
    assert "2.0 times as fast" in found.reason
    monkeypatch.setattr(precision, "_gain", lambda *args: 0.8)
    assert chosen(network()) == found  # what was decided is kept
    found = chosen(nn.Sequential(Layer(64, 3)))
    assert found.name == "fp32"
    assert "0.80 times as fast" in found.reason


@pytest.mark.parametrize("fault", [-1.4, 0.1, float("nan")])
def test_a_wrong_gradient_falls_back_and_names_the_layer(fault):
    found = chosen(network(fault))
    assert (found.name, found.layer) == ("fp32", "2")
    assert "in 2 on this machine" in found.reason


def test_bf16_by_name_is_refused_where_it_is_wrong():
    with pytest.raises(FerError, match="precision='bf16' was asked for, but C1 cannot be trained in it"):
        decide(network(0.8), batch, cross_entropy(), Recipe(1, precision="bf16"), "C1")
    assert chosen(network(), precision="bf16").name == "bf16"


def test_what_is_computed_between_layers_is_looked_at_too():
    class Between(nn.Module):
        def __init__(self):
            super().__init__()
            self.layers = network()

        def forward(self, x):
            y = self.layers(x)
            return 9 * y if torch.is_autocast_enabled("cpu") else y

    found = chosen(Between())
    assert found.name == "fp32"
    assert "the whole network is not" in found.reason


def test_without_units_for_bf16_nothing_is_looked_at(monkeypatch):
    monkeypatch.setattr(precision, "has_bf16_units", lambda device: False)
    monkeypatch.setattr(precision, "_look", pytest.fail)
    assert chosen(network()).reason == "this processor has no units for bf16"
    assert chosen(network(), precision="fp32").reason == "float32 was asked for"


def test_looking_changes_neither_the_network_nor_the_random_state():
    model = network()
    before = [p.clone() for p in model.parameters()]
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    chosen(model)
    assert torch.equal(torch.rand(3), expected)
    assert all(torch.equal(p, q) for p, q in zip(model.parameters(), before, strict=True))
    assert all(p.grad is None for p in model.parameters())


@pytest.mark.parametrize(("fault", "name"), [(0.0, "bf16"), (0.5, "fp32")])
def test_sums_in_place_and_shared_inputs_are_no_obstacle(fault, name):
    class Block(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.second, self.last = Layer(64, 32), Layer(64, 32, fault), Layer(32, 3)

        def forward(self, x):
            y = self.first(x)
            y += self.second(x)
            y = torch.relu_(y)
            return self.last(y)

    found = chosen(Block())
    assert found.name == name
    assert found.layer == "second" or not fault


def test_a_unit_keeps_what_it_was_trained_in(tmp_path, monkeypatch):
    images, labels = torch.zeros(24, 8, 8, dtype=torch.uint8).random_(), torch.arange(24) % 3
    part, store = Part(images, labels), UnitFolder(tmp_path)
    first = units.train_unit(store, "C1 a", network, (part, None, part), Recipe(1, 8))
    monkeypatch.setattr(units, "decide", pytest.fail)
    store.unit("C1 a").unlink()  # as if killed before its end
    again = units.train_unit(store, "C1 a", network, (part, None, part), Recipe(1, 8))
    assert again.precision == first.precision
    assert first.precision.name == "bf16"


def test_layers_are_tried_by_their_shapes_in_a_second_process():
    model = nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=1), nn.ReLU(), nn.Conv2d(4, 6, 1), nn.Flatten(), nn.Linear(384, 3)
    )
    shapes = trial.shapes_of(model, batch()[0])
    assert [shapes[name]["input"] for name in ("0", "2", "4")] == [[24, 1, 8, 8], [24, 4, 8, 8], [24, 384]]
    assert [shapes[name]["channels_last"] for name in ("0", "2", "4")] == [True, True, False]
    exact = trial.errors({"dense": shapes["4"]}, "bf16", 0.05)
    assert 0 < exact["dense"] < 0.02


def test_a_layer_that_ends_its_process_ends_the_trial_and_the_next_one_begins_anew():
    good = {"kind": "Linear", "arguments": {"in_features": 4, "out_features": 2}, "input": [3, 4]}
    good["channels_last"] = False
    tried = trial.errors({"first": good, "bad": good | {"kind": "Nothing"}, "never": good}, "bf16", 0.05)
    assert list(tried) == ["first", "bad"]
    assert tried["first"] < 0.05
    assert tried["bad"] != tried["bad"]
    assert trial.errors({"first": good}, "bf16", 0.05) == {"first": tried["first"]}


def test_a_layer_that_crashes_in_bf16_is_never_computed_in_it_here(monkeypatch):
    monkeypatch.setattr(trial, "errors", lambda layers, *_: dict.fromkeys(layers, float("nan")))
    monkeypatch.setattr(precision, "_layer_errors", pytest.fail)
    found = chosen(nn.Sequential(nn.Flatten(), nn.Linear(64, 3)))
    assert (found.name, found.reason) == ("fp32", "bf16 crashes in 1 on this machine")


def test_a_layout_that_crashes_is_left_alone_in_float32_too(monkeypatch):
    model = layout.channels_last(nn.Sequential(nn.Conv2d(1, 4, 3), nn.Conv2d(4, 4, 3), nn.Flatten()), "cpu")
    errors = {"fp32": float("nan"), "bf16": 0.0}
    monkeypatch.setattr(trial, "errors", lambda layers, asked, _: dict.fromkeys(layers, errors[asked]))
    for asked in ("fp32", "auto"):
        found = chosen(model, precision=asked)
        assert found.layout == "plain"
        assert "channels last crashes in 0 here" in found.reason
    images, labels = torch.zeros(24, 8, 8, dtype=torch.uint8).random_(), torch.arange(24) % 3
    training.fit(model, Part(images, labels), Recipe(1, 8), precision=found)
    assert not layout.lies_channels_last(model)
