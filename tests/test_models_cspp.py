"""Layer tables, parameter counts and readings of the five networks of C-SPP (Sect. 4.2), and the pyramid."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F

from fer_lib.claims import ambiguities
from fer_lib.errors import FerError
from fer_lib.learn.layers import Dropout, count_parameters, layer_table
from fer_lib.learn.recipes import cross_entropy
from fer_lib.papers.cspp import network as cspp
from fer_lib.papers.cspp.network import SpatialPyramidPooling

# Totals worked out by hand from the layer table of the recommended reading.
COUNTS = {
    "Benchmark": 2_462_342,
    "SmallKernels": 2_491_622,
    "Plain7CNN": 1_533_414,
    "Plain8CNN": 1_504_806,
    "C-SPP": 927_206,
    "C-SPP, high pyramid alone": 927_206 - 448 * 256,
    "C-SPP, low pyramid alone": 927_206 - 1792 * 256 + 4608 * 256,
    "C-SPP without label smoothing": 927_206,
}


def meta(name="C-SPP", **readings):
    with torch.device("meta"):
        return cspp.build(name, **readings)


@pytest.mark.parametrize("name, count", COUNTS.items())
def test_parameters_of_the_recommended_reading(name, count):
    assert count_parameters(meta(name)) == count


@pytest.mark.parametrize(
    "name, readings, count",
    [
        ("Benchmark", {"padding": "valid"}, 1_151_622),
        ("Plain7CNN", {"padding": "valid"}, 484_838),
        ("C-SPP", {"spp_low": (6, 3, 2, 1)}, 1_222_118),
        ("C-SPP", {"spp_low": (6, 3, 1)}, 1_189_350),
        ("C-SPP", {"spp_low": (4, 2, 1)}, 984_550),
        ("C-SPP", {"hidden": 0}, 927_206 - 575_238 + 13_446),
        ("C-SPP", {"use_batchnorm": True}, 927_206 + 2 * (2 * 32 + 2 * 64 + 2 * 128)),
    ],
)
def test_parameters_of_the_other_readings(name, readings, count):
    assert count_parameters(meta(name, **readings)) == count


def table(name, **readings):
    # On the meta device a first convolution takes seconds, for what torch then imports.
    return layer_table(cspp.build(name, **readings), torch.zeros(2, 1, 48, 48))


def test_layers_of_cspp():
    rows = table("C-SPP")
    maps = [row["output"] for row in rows if row["kind"] in ("Conv2d", "MaxPool2d")]
    assert maps == ["32×48×48"] * 2 + ["32×24×24"] + ["64×24×24"] * 2 + ["64×12×12"] + ["128×12×12"] * 2 + [
        "128×6×6"
    ]
    assert [r["output"] for r in rows if r["kind"] == "SpatialPyramidPooling"] == ["1792", "448"]
    weights = [row["parameters"] for row in rows if row["parameters"]]
    assert weights == [320, 9_248, 18_496, 102_464, 73_856, 147_584, 573_696, 1_542]


# --- the pyramid ----------------------------------------------------------------------------------------


def plain_pyramid(x, levels):
    """One image, one channel, one cell at a time."""
    rows = []
    for image in x:
        values = []
        for n in levels:
            for channel in image:
                height, width = channel.shape
                for i in range(n):
                    for j in range(n):
                        top, bottom = i * height // n, -(-(i + 1) * height // n)
                        left, right = j * width // n, -(-(j + 1) * width // n)
                        values.append(channel[top:bottom, left:right].max())
        rows.append(torch.stack(values))
    return torch.stack(rows)


@settings(max_examples=40, deadline=None)
@given(
    st.integers(1, 20),
    st.integers(1, 20),
    st.lists(st.integers(1, 6), min_size=1, max_size=4).map(tuple),
)
def test_pyramid_of_any_map_is_the_plain_loop_and_of_fixed_length(height, width, levels):
    x = torch.randn(2, 3, height, width)
    pyramid = SpatialPyramidPooling(levels)
    out = pyramid(x)
    assert out.shape == (2, 3 * pyramid.cells)
    torch.testing.assert_close(out, plain_pyramid(x, levels))
    torch.testing.assert_close(out, pyramid(x.contiguous(memory_format=torch.channels_last)))


def test_the_papers_example():
    """Fig. 5: a 6x6 map in steps of 2, 3 and 6."""
    x = torch.arange(36.0).view(1, 1, 6, 6)
    expected = [7, 9, 11, 19, 21, 23, 31, 33, 35, 14, 17, 32, 35, 35]
    assert SpatialPyramidPooling()(x).flatten().tolist() == expected


@settings(max_examples=15, deadline=None)
@given(st.integers(24, 70), st.integers(24, 70))
def test_cspp_takes_images_of_any_size(height, width):
    model = cspp.build("C-SPP", width=0.1).eval()
    assert model(torch.randn(2, 1, height, width)).shape == (2, 6)


def test_a_map_may_be_read_before_its_pool_or_after():
    """Aligned maxima compose, so that where a pyramid taps a map is no open reading."""
    x = torch.randn(4, 3, 48, 48)
    assert torch.equal(SpatialPyramidPooling()(x), SpatialPyramidPooling()(F.max_pool2d(x, 2)))
    assert not torch.equal(SpatialPyramidPooling([5])(x), SpatialPyramidPooling([5])(F.max_pool2d(x, 2)))


# --- readings -------------------------------------------------------------------------------------------


def test_cross_connection_reaches_the_dense_layer():
    """A gradient flows from the dense layer to the second convolution without the third."""
    model = cspp.build("C-SPP", width=0.25)
    for parameter in model.stages[1].parameters():
        parameter.data.zero_()  # nothing passes the deep path
    model(torch.randn(4, 1, 48, 48)).sum().backward()
    assert model.stages[0].conv2.weight.grad.abs().sum() > 0
    assert cspp.build("Plain7CNN", width=0.1).low is None


def test_each_pyramid_alone():
    high, low = (cspp.build(f"C-SPP, {which} pyramid alone", width=0.1) for which in ("high", "low"))
    assert (high.low, low.high) == (None, None)
    x = torch.randn(2, 1, 48, 48)
    assert high.features(x).shape == (2, 14 * 13)
    assert low.features(x).shape == (2, 6 * 6 * 13 + 14 * 3)  # the last map whole, as in Plain7CNN


@pytest.mark.parametrize("hidden, kinds", [(256, ["Linear", "ReLU", "Dropout"]), (0, ["Dropout"])])
def test_dropout_follows_the_dense_layer(hidden, kinds):
    model = meta(hidden=hidden)
    assert [type(layer).__name__ for layer in model.dense] == kinds
    assert {layer.p for layer in model.dense if isinstance(layer, Dropout)} == {0.5}


def test_activation_and_embedding():
    model = cspp.build("Plain7CNN", activation="tanh", width=0.5)
    assert sum(isinstance(m, nn.Tanh) for m in model.modules()) == 7
    assert model.eval().embed(torch.randn(3, 1, 48, 48)).shape == (3, 128)
    assert model.last_convolution is model.stages[2].conv2
    assert cspp.build("C-SPP").embed(torch.randn(3, 1, 48, 48)).shape == (3, 256)


def test_an_unknown_network_is_refused():
    with pytest.raises(FerError, match="Did you mean 'Plain"):
        cspp.build("Plain9CNN")


def test_every_structural_value_in_the_register_builds_and_is_the_default():
    register = ambiguities("cspp").set_index("knob")
    for knob in ("padding", "spp_low", "hidden", "activation"):
        assert register["default"][knob] in register["values"][knob]
        assert count_parameters(meta(**{knob: register["default"][knob]})) == COUNTS["C-SPP"]
        for value in register["values"][knob]:
            assert count_parameters(meta(**{knob: value})) > 0
    assert tuple(register["default"]["spp_low"]) == cspp.LEVELS
    assert tuple(register["values"]["label_smoothing"]) == cspp.SMOOTHINGS
    assert cspp.true_class_target(register["default"]["label_smoothing"]) == 0.9


# --- label smoothing ------------------------------------------------------------------------------------


def test_the_papers_label_smoothing_is_a_frameworks_0_12():
    torch.manual_seed(0)
    logits, labels = torch.randn(64, 6), torch.randint(0, 6, (64,))
    target = cspp.true_class_target("true_class_0.9")
    ours, _ = cross_entropy(target)(logits, labels)
    soft = torch.full((64, 6), 0.02).scatter_(1, labels[:, None], 0.9)
    torch.testing.assert_close(ours, -(soft * logits.log_softmax(1)).sum(1).mean())
    torch.testing.assert_close(ours, F.cross_entropy(logits, labels, label_smoothing=0.12))
    assert not torch.isclose(ours, F.cross_entropy(logits, labels, label_smoothing=0.1))


@pytest.mark.parametrize(
    "reading, smoothing", [("framework_0.9", 0.9), ("framework_0.1", 0.1), ("none", 0.0)]
)
def test_the_other_readings_are_what_a_framework_computes(reading, smoothing):
    torch.manual_seed(0)
    logits, labels = torch.randn(64, 6), torch.randint(0, 6, (64,))
    ours, _ = cross_entropy(cspp.true_class_target(reading))(logits, labels)
    torch.testing.assert_close(ours, F.cross_entropy(logits, labels, label_smoothing=smoothing))
