"""The competitors of paper ``multimodal``: torchvision's networks, and those of [16] and [5]."""

import numpy as np
import pytest
import torch
import torchvision
from torch import nn

from fer_lib.learn.layers import count_parameters, layer_table
from fer_lib.papers import baselines
from fer_lib.papers.baselines import NETWORKS


def meta(make, **options):
    with torch.device("meta"):
        return make(**options)


@pytest.mark.parametrize(
    "name, count",
    [("VGG", 33_633_223), ("ResNet", 11_171_271), ("Pramerdorfer", 1_765_479), ("Agrawal", 199_271)],
)
def test_parameters(name, count):
    assert count_parameters(meta(NETWORKS[name])) == count


def test_vgg_has_torchvisions_convolutions():
    own, theirs = meta(baselines.vgg), meta(torchvision.models.vgg16_bn)
    shapes = [p.shape for p in own.convolutions.parameters()][1:]
    assert shapes == [p.shape for p in theirs.features.parameters()][1:]
    assert own.convolutions[0].weight.shape == (64, 1, 3, 3)
    assert [m.p for m in own.modules() if isinstance(m, nn.Dropout)] == [0.5, 0.5]


def test_resnet_is_torchvisions_but_for_the_first_convolution():
    torch.manual_seed(0)
    own, theirs = baselines.resnet(7, width=1.0).eval(), torchvision.models.resnet18(num_classes=7).eval()
    theirs.conv1 = own.convolutions[0]
    state = [v for k, v in own.state_dict().items()]
    theirs.load_state_dict(dict(zip(theirs.state_dict(), state, strict=True)))
    x = torch.rand(2, 1, 48, 48)
    torch.testing.assert_close(own(x), theirs(x))


def test_the_network_of_16_has_its_published_depth():
    model = meta(NETWORKS["Pramerdorfer"])
    assert sum(isinstance(m, nn.Conv2d | nn.Linear) for m in model.modules()) == 10


@pytest.mark.parametrize("name, rates", [("VGG", [0.5, 0.5]), ("Pramerdorfer", [0.25] * 4 + [0.5])])
def test_a_narrower_network_drops_less(name, rates):
    for width in (1.0, 0.25):
        model = meta(NETWORKS[name], width=width)
        dropouts = [m.p for m in model.modules() if isinstance(m, nn.Dropout)]
        assert dropouts == [rate * width for rate in rates]


@pytest.mark.parametrize("name, last", [("VGG", 3), ("ResNet", 3), ("Pramerdorfer", 6), ("Agrawal", 6)])
def test_map_at_the_last_convolution(name, last):
    model = meta(NETWORKS[name])
    rows = {
        row["layer"]: row["output"] for row in layer_table(model, torch.zeros(1, 1, 48, 48, device="meta"))
    }
    layer = next(n for n, m in model.named_modules() if m is model.last_convolution)
    assert rows[layer].endswith(f"×{last}×{last}")


@pytest.mark.parametrize("name", NETWORKS)
def test_features_logits_and_a_training_step(name):
    torch.manual_seed(0)
    model = NETWORKS[name](5, width=0.1)
    x = torch.rand(4, 1, 48, 48)
    nn.functional.cross_entropy(model(x), torch.arange(4)).backward()
    assert all(p.grad is not None for p in model.parameters())
    features = model.eval().embed(x)
    torch.testing.assert_close(model.classifier[-1](features), model(x))
    assert model(x).shape == (4, 5)


@pytest.mark.parametrize("name", NETWORKS)
def test_no_layer_is_narrowed_until_it_cannot_work(name):
    weights = [p for p in meta(NETWORKS[name], width=0.01).parameters() if p.ndim > 1]
    assert min(len(p) for p in weights[:-1]) == baselines.LEAST


def test_the_machine_is_linear_on_standardised_features_and_its_softmax_changes_no_decision():
    rng = np.random.default_rng(0)
    labels = np.arange(90) % 3
    values = rng.normal(size=(90, 4))
    values[np.arange(90), labels] += 6
    values *= [1, 100, 0.01, 1]
    machine = baselines.svm(values, labels)
    p = baselines.svm_probabilities(machine, values, 5)
    assert (p.argmax(1) == machine.predict(values)).all()
    assert (p.argmax(1) == labels).mean() > 0.9
    np.testing.assert_allclose(p.sum(1), 1, atol=1e-6)
    assert (p[:, 3:] == 0).all()
