"""Layer table, parameter counts and readings of LKRNet and its baselines (Sect. 3.1, 3.2, Fig. 3)."""

import pytest
import torch

from fer_lib.errors import FerError
from fer_lib.learn import explain
from fer_lib.learn.layers import count_parameters, layer_table
from fer_lib.papers.lkrnet import network as lkrnet

# By hand: sixteen convolutions, and per branch dense layers of 4096, 256 and 7 on 512 features.
TRUNK, HEAD, NORM = 20_024_384, 2_101_248 + 1_048_832 + 1_799, 11_008
BLOCK5 = 9_439_232


def meta(name="Our method", *args, **readings):
    with torch.device("meta"):
        return lkrnet.build(name, *args, **readings)


def small(name="Our method", *args, **readings):
    torch.manual_seed(0)
    return lkrnet.build(name, *args, width=0.05, **readings)


def inputs(n=3, cells=2):
    torch.manual_seed(1)
    return torch.randn(n, 1, 44, 44), torch.rand(n, 1, cells, cells)


def test_parameters_of_the_recommended_reading():
    assert TRUNK + 2 * HEAD == 26_328_142
    for name in ("Our method", "Baseline 1"):
        assert count_parameters(meta(name)) == 26_328_142 + NORM
    for name in ("VGG19", "Baseline 2"):
        assert count_parameters(meta(name)) == 23_176_263 + NORM


@pytest.mark.parametrize(
    "name, readings, count",
    [
        ("Our method", {"use_batchnorm": False}, 26_328_142),
        ("Our method", {"mask_stage": "after_pool5"}, 26_328_142 + NORM),
        ("Our method", {"mask_stage": "no_pool5", "use_batchnorm": False}, 38_911_054),
        ("Our method", {"mask_stage": "before_pool4", "use_batchnorm": False}, 26_328_142 + BLOCK5),
        ("Our method", {"n_classes": 8}, 26_328_142 + NORM + 2 * 257),
        ("VGG19", {"mask_stage": "no_pool5", "use_batchnorm": False}, TRUNK + HEAD + 3 * 512 * 4096),
    ],
)
def test_parameters_of_the_other_readings(name, readings, count):
    assert count_parameters(meta(name, **readings)) == count


def test_layers_are_those_of_figure_3():
    rows = layer_table(
        meta(), torch.zeros(2, 1, 44, 44, device="meta"), torch.zeros(2, 1, 2, 2, device="meta")
    )
    maps = [row["output"] for row in rows if row["kind"] == "Conv2d"]
    expected = [("64×44×44", 2), ("128×22×22", 2), ("256×11×11", 4), ("512×5×5", 4), ("512×2×2", 4)]
    assert maps == [shape for shape, n in expected for _ in range(n)]
    dense = [row["output"] for row in rows if row["kind"] == "Linear"]
    assert dense == ["4096", "256", "7"] * 2
    stages = [38_720, 221_440, 2_065_408, 8_259_584, BLOCK5]
    for number, count in enumerate(stages, 1):
        mine = [r for r in rows if r["layer"].split(".")[-1].startswith(f"conv{number}_") and r["parameters"]]
        assert sum(row["parameters"] for row in mine) == count


@pytest.mark.parametrize("stage", lkrnet.TAPS)
def test_masks_have_the_size_of_the_maps(stage):
    model = meta(mask_stage=stage)
    cells = {"after_pool5": 1, "before_pool4": 5}.get(stage, 2)
    images = torch.zeros(2, 1, 44, 44, device="meta")
    assert model.map_size == cells
    assert model.maps(images).shape == (2, 512, cells, cells)
    scores, logits, embeddings = model(images, torch.zeros(2, 1, cells, cells, device="meta"))
    assert (scores.shape, logits.shape, embeddings.shape) == ((2, 7), (2, 2, 7), (2, 2, 256))


def test_only_the_local_branch_sees_the_mask():
    model, (x, masks) = small().eval(), inputs()
    _, logits, _ = model(x, masks)
    _, other, _ = model(x, 1 - masks)
    assert torch.equal(logits[:, 0], other[:, 0])
    assert not torch.allclose(logits[:, 1], other[:, 1])
    blind = model(x, torch.zeros_like(masks))[1][:, 1]
    torch.testing.assert_close(blind, blind[:1].expand_as(blind))  # nothing left to tell faces apart
    assert small("VGG19")(x)[0].shape == (3, 7)  # which needs no mask


@pytest.mark.parametrize("fusion", lkrnet.FUSIONS)
def test_fusion_of_the_branches(fusion):
    model, (x, masks) = small(branch_fusion=fusion).eval(), inputs()
    scores, logits, _ = model(x, masks)
    expected = {
        "mean_softmax": logits.softmax(2).mean(1),
        "sum_logits": logits.sum(1).softmax(1),
        "global": logits[:, 0].softmax(1),
    }
    torch.testing.assert_close(scores.softmax(1), expected[fusion])


def test_views_are_averaged_as_probabilities():
    model, (x, masks) = small().eval(), inputs(6)
    many = model(x.unflatten(0, (2, 3)), masks.unflatten(0, (2, 3)))
    single = model(x, masks)[0].softmax(1).unflatten(0, (2, 3)).mean(1)
    torch.testing.assert_close(many[0].softmax(1), single)
    assert many[2].shape == (2, 2, 13)


def test_embeddings_are_what_the_last_layer_reads():
    model, (x, masks) = small().eval(), inputs()
    _, logits, embeddings = model(x, masks)
    assert embeddings.shape == (3, 2, 13)
    assert torch.equal(model.embed(x, masks), embeddings.flatten(1))
    for i, branch in enumerate(model.branches):
        torch.testing.assert_close(branch.classify.out(embeddings[:, i]), logits[:, i])


def test_grad_cam_reads_every_stage():
    model, (x, masks) = small().eval(), inputs()
    whole = lkrnet.Scores(model)
    assert whole(x, masks).shape == (3, 7)
    for stage in (3, 4, 5):
        maps = explain.grad_cam(whole, (x, masks), model.activation(stage))
        assert maps.shape == (3, 44, 44)
    assert model.activation(5) is model.trunk.relu5_4


def test_printed_rates_warm_up_and_shrink():
    rates = lkrnet.learning_rates("printed", 60)
    assert rates[:20] == (1e-4,) * 20
    assert rates[20] == 1e-3
    assert rates[59] == pytest.approx(1e-3 * 0.8**39, rel=1e-5)
    assert sum(rates) / 1e-3 == pytest.approx(7, abs=0.01)
    assert len(lkrnet.learning_rates("printed", 3)) == 3


def test_the_known_schedule_is_the_public_recipe_or_one_cycle():
    rates = lkrnet.learning_rates("known", 250)
    assert rates[:80] == (0.01,) * 80
    assert rates[80] == rates[84] == 0.009
    assert rates[249] == pytest.approx(0.01 * 0.9**34, rel=1e-5)
    for epochs in (1, 4, 6, 15, 60):
        cycle = lkrnet.learning_rates("known", epochs)
        top = cycle.index(max(cycle))
        assert len(cycle) == epochs
        assert max(cycle) == 0.03
        assert sorted(cycle[: top + 1]) == list(cycle[: top + 1])
        assert sorted(cycle[top:], reverse=True) == list(cycle[top:])
    assert cycle[-15:] == (3e-4,) * 15


@pytest.mark.parametrize(
    "call",
    [
        lambda: meta("LKRNet"),
        lambda: meta(mask_stage="pool5"),
        lambda: meta(branch_fusion="max"),
        lambda: lkrnet.learning_rates("warm", 60),
    ],
)
def test_unknown_readings_are_refused(call):
    with pytest.raises(FerError, match="Unknown"):
        call()
