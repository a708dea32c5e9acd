"""Layer table, parameter counts and readings of the 3D-CNN (Sect. 3.1, Tables 1 to 3)."""

from dataclasses import replace

import pytest
import torch
from torch import nn

from fer_lib.claims import load
from fer_lib.errors import FerError
from fer_lib.learn.layers import Dropout, count_parameters, layer_table
from fer_lib.papers.cnn3d import network as cnn3d
from fer_lib.papers.cnn3d.network import C1, C2

CLIP = (2, 3, 10, 112, 112)
SMALL = {"width": 0.05, "size": 32}


def meta(configuration=C1, n_classes=7, **options):
    """Return a network without values; options of the configuration are told from those of the network."""
    searched = {name: options.pop(name) for name in list(options) if hasattr(C1, name)}
    with torch.device("meta"):
        return cnn3d.CNN3D(replace(configuration, **searched), n_classes, **options)


def test_parameters_of_the_two_architectures():
    with torch.device("meta"):
        assert count_parameters(cnn3d.c1()) == 78_029_959
        assert count_parameters(cnn3d.c2()) == 78_025_862
        convolutions = [m.weight.numel() for m in cnn3d.c1().modules() if isinstance(m, nn.Conv3d)]
    assert sum(convolutions) == 27_655_936 - sum((64, 128, 256, 256, 512, 512, 512, 512))


@pytest.mark.parametrize(
    "readings, more",
    [
        ({"second_conv": True}, 110_784 + 442_752),
        ({"n_classes": 6}, -4_097),
        ({"activation": "prelu"}, 10),  # one slope for each of eight convolutions and two dense layers
    ],
)
def test_parameters_of_other_configurations(readings, more):
    assert count_parameters(meta(**readings)) == 78_029_959 + more


@pytest.mark.parametrize("size, millions", [(1, 59.6), (3, 78.0), (5, 96.5), (7, 114.9), (9, 133.3)])
def test_parameters_by_temporal_size(size, millions):
    assert round(count_parameters(meta(temporal_size=size)) / 1e6, 1) == millions


def test_feature_maps_shrink_as_the_paper_says():
    rows = {row["layer"]: row for row in layer_table(meta(), torch.zeros(CLIP, device="meta"))}
    pools = [rows[f"features.pool{i}"]["output"] for i in range(1, 6)]
    assert pools == ["64×10×56×56", "128×5×28×28", "256×2×14×14", "512×1×7×7", "512×1×4×4"]
    convolutions = [row["parameters"] for row in rows.values() if row["kind"] == "Conv3d"]
    assert convolutions == [5_248, 221_312, 884_992, 1_769_728, 3_539_456, 7_078_400, 7_078_400, 7_078_400]
    dense = [row["parameters"] for row in rows.values() if row["kind"] == "Linear"]
    assert dense == [33_558_528, 16_781_312, 28_679]
    assert meta().features(torch.zeros(CLIP, device="meta")).flatten(1).shape == (2, 8192)


@pytest.mark.parametrize("temporal_size", cnn3d.SEARCHED["temporal_size"])
@pytest.mark.parametrize("size", [32, 40, 48, 112])
def test_dense_inputs_fit_every_clip(size, temporal_size):
    model = meta(size=size, temporal_size=temporal_size)
    assert model(torch.zeros(2, 3, 10, size, size, device="meta")).shape == (2, 7)


def test_configurations_are_the_papers():
    printed = {h["id"]: h["value"] for h in load("cnn3d").hyperparameters}
    for corpus, found in (("ck", C1), ("oulu", C2)):
        best = {
            n.removeprefix(f"best_{corpus}_"): v for n, v in printed.items() if n.startswith(f"best_{corpus}")
        }
        assert best.pop("optimization") == ("Lookahead + Adam" if found.lookahead else "Adam")
        assert best.pop("activation").replace(" ", "_").lower() == found.activation
        assert best.pop("pooling") == {"average": "AvgPooling", "max": "MaxPooling"}[found.pooling]
        initialiser = {"Xavier uniform": "xavier_uniform", "none": "framework"}[best.pop("initializer")]
        assert initialiser == found.initialiser
        assert best == {
            "clahe": found.clahe,
            "normalization": found.normalise,
            "loss_weights": found.class_weights,
            "temporal_size": found.temporal_size,
            "second_conv": found.second_conv,
            "dropout": found.dropout,
        }


def test_named_constructors_build_the_configurations():
    one, two = cnn3d.c1(**SMALL), cnn3d.c2(**SMALL)
    kinds = [{type(m) for m in model.modules()} for model in (one, two)]
    assert {nn.ReLU, nn.AvgPool3d} <= kinds[0]
    assert {nn.LeakyReLU, nn.MaxPool3d} <= kinds[1]
    assert [m.p for m in one.modules() if isinstance(m, Dropout)] == [0.2511] * 2
    assert [m.p for m in two.modules() if isinstance(m, Dropout)] == [0.4233] * 2
    assert all(m.momentum == 0.1 for m in one.modules() if isinstance(m, nn.BatchNorm3d))


def test_weights_are_drawn_as_the_configuration_says():
    torch.manual_seed(0)
    model = cnn3d.c1(**SMALL)
    assert all((m.bias == 0).all() for m in model.modules() if isinstance(m, nn.Conv3d | nn.Linear))
    bound = (6 / sum(nn.init._calculate_fan_in_and_fan_out(model.dense[0].weight))) ** 0.5
    assert 0.95 * bound < model.dense[0].weight.abs().max() <= bound
    assert (cnn3d.c2(**SMALL).features.conv1.bias != 0).any()  # "none": torch's own


def test_norm_position_and_padding_of_the_last_average():
    names = list(dict(meta().features.named_children()))
    assert names[:4] == ["conv1", "norm1", "act1", "pool1"]
    corner = meta().features.pool5(torch.ones(1, 1, 1, 7, 7))[0, 0, 0]
    assert corner[0, 0] == 0.25  # padded zeros count
    assert corner[1, 1] == 1


def test_trunk_is_taken_and_all_of_it_trained():
    source, model = cnn3d.c2(6, **SMALL), cnn3d.c2(7, **SMALL)
    model.load_trunk(source.state_dict())
    assert torch.equal(model.features.conv1.weight, source.features.conv1.weight)
    assert torch.equal(model.dense[0].weight, source.dense[0].weight)
    assert model.classify.weight.shape[0] == 7
    assert all(p.requires_grad for p in model.parameters())


@pytest.mark.parametrize("activation", cnn3d.ACTIVATIONS)
def test_every_activation_learns(activation):
    model = cnn3d.CNN3D(replace(C1, activation=activation), **SMALL)
    model(torch.randn(2, 3, 10, 32, 32)).square().sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())


@pytest.mark.parametrize("wrong", [{"pooling": "mean"}, {"activation": "gelu"}, {"temporal_size": 4}])
def test_what_cannot_be_built_is_refused(wrong):
    with pytest.raises(FerError):
        meta(**wrong)
