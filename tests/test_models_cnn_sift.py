"""Layer table, parameter counts and readings of the networks of CNN-SIFT-AVG (Sect. 3.1, 3.2)."""

import pytest
import torch

from fer_lib.claims import ambiguities
from fer_lib.errors import FerError
from fer_lib.learn.layers import Dropout, count_parameters, layer_table
from fer_lib.papers.cnn_sift import network as cnn_sift

# Totals worked out by hand from the layer table of the recommended reading.
COUNTS = {"C1": 19_278_599, "C2": 19_278_599, "C3": 19_278_599}
COUNTS |= {"S1": 20_359_943, "S2": 21_408_519, "S3": 23_505_671}


def meta(name="C2", *args, **readings):
    with torch.device("meta"):
        return cnn_sift.build(name, *args, **readings)


@pytest.mark.parametrize("name, count", COUNTS.items())
def test_parameters_of_the_recommended_reading(name, count):
    assert count_parameters(meta(name)) == count


@pytest.mark.parametrize(
    "readings, count",
    [({"convs_per_stage": 2}, 20_062_439), ({"n_dense_layers": 2}, 19_278_599 + 4_196_352)],
)
def test_parameters_of_the_other_readings(readings, count):
    assert count_parameters(meta(**readings)) == count


def test_feature_maps_shrink_as_the_paper_says():
    rows = layer_table(
        meta("S2"), torch.zeros(2, 1, 48, 48, device="meta"), torch.zeros(2, 512, device="meta")
    )
    maps = [row["output"] for row in rows if row["kind"] == "Conv2d"]
    assert maps == ["32×48×48", "64×24×24", "128×12×12", "256×6×6"]
    weights = [row["parameters"] for row in rows if row["parameters"]]
    assert weights == [320, 18_496, 73_856, 295_168, 2_101_248, 18_876_416, 43_015]


def test_dropout_rates_follow_the_pools():
    assert [m.p for m in meta("C1").features if isinstance(m, Dropout)] == [0.25, 0.0, 0.5]
    assert [m.p for m in meta("S1").features if isinstance(m, Dropout)] == [0.1, 0.1, 0.4]  # those of C2
    kept = [m.p for m in meta("C1", dropout_semantics="keep").features if isinstance(m, Dropout)]
    assert kept == [0.75, 1.0, 0.5]


@pytest.mark.parametrize("merge, width", [("softmax", 6144), ("dense", 2048)])
def test_where_the_sift_path_joins(merge, width):
    model = meta("S1", sift_merge=merge)
    shape = model.embed(torch.zeros(3, 1, 48, 48, device="meta"), torch.zeros(3, 256, device="meta")).shape
    assert shape == (3, width)
    assert model.l2_penalties == {"sift.0.weight": 0.01}
    assert dict(model.named_parameters())["sift.0.weight"].shape == (4096, 256)


@pytest.mark.parametrize("p", [0.1, 0.25, 0.5])
def test_dropout_drops_at_its_rate_scales_what_it_keeps_and_is_silent_at_test(p):
    torch.manual_seed(1)
    layer, ones = Dropout(p), torch.ones(10, 4, 100, 100).to(memory_format=torch.channels_last)
    trained = layer.train()(ones)
    assert trained.unique().tolist() == pytest.approx([0, 1 / (1 - p)])
    assert abs(float((trained == 0).float().mean()) - p) < 0.005
    assert trained.is_contiguous(memory_format=torch.channels_last)
    assert layer.eval()(ones) is ones


def test_a_trunk_is_taken_from_a_trained_network_as_far_as_shapes_agree():
    source, model = cnn_sift.build("C2", 6, width=0.05), cnn_sift.build("S1", width=0.05)
    before = model.classify.weight.clone()
    model.load_trunk(source.state_dict())
    assert torch.equal(model.features[0].weight, source.features[0].weight)
    assert torch.equal(model.dense[0].weight, source.dense[0].weight)
    assert torch.equal(model.classify.weight, before)


def test_the_control_has_six_members_without_sift():
    members = cnn_sift.AVERAGES["CNN-ONLY of six"]
    assert len(set(members)) == 6
    assert not set(members) & set(cnn_sift.FUSED)
    for name in cnn_sift.CNNS:
        assert cnn_sift.rates_of(f"{name} again") == cnn_sift.rates_of(name)
        with torch.device("meta"):
            assert repr(cnn_sift.build(f"{name} again")) == repr(cnn_sift.build(name))


@pytest.mark.parametrize(
    "call", [{"name": "C4"}, {"name": "C1", "dropout_semantics": "x"}, {"name": "S1", "sift_merge": "x"}]
)
def test_unknown_names_are_refused(call):
    with pytest.raises(FerError, match="Unknown"):
        cnn_sift.build(**call)


def test_every_structural_value_in_the_register_builds():
    register = ambiguities("cnn_sift").set_index("knob")["values"]
    for knob in ("convs_per_stage", "dropout_semantics", "n_dense_layers", "sift_merge"):
        for value in register[knob]:
            assert count_parameters(meta("S1", **{knob: value})) > 0
