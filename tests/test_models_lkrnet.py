"""Layer table, parameter counts and readings of LKRNet and its baselines (Sect. 3.1, 3.2, Fig. 3)."""

import pytest
import torch
from torch import nn

from fer_lib.errors import FerError
from fer_lib.learn import explain
from fer_lib.learn.layers import Dropout, count_parameters, layer_table
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
        ("Our method", {"mask_stage": "input_224"}, 26_328_142 + NORM + 2 * 48 * 512 * 4096),
        ("Our method", {"in_channels": 1}, 26_328_142 + NORM - 1152),
        ("Our method", {"n_classes": 8}, 26_328_142 + NORM + 2 * 257),
        ("Baseline 1", {"baseline1": "local_branch"}, 23_176_263 + NORM),
        ("Baseline 2", {"baseline2": "two_identical"}, 26_328_142 + NORM),
        ("VGG19", {"vgg_head": "original"}, TRUNK + NORM + 2_101_248 + 4096 * 4097 + 4097 * 7),
        ("Our method", {"vgg_head": "original"}, 26_328_142 + NORM),
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


@pytest.mark.parametrize("stage, cells", [(name, {"input_224": 14}.get(name)) for name in lkrnet.TAPS])
def test_masks_have_the_size_of_the_maps(stage, cells):
    model = meta(mask_stage=stage)
    cells = cells or {"after_pool5": 1, "before_pool4": 5}.get(stage, 2)
    images = torch.zeros(2, 1, model.size, model.size, device="meta")
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


def test_a_mask_of_ones_through_the_same_weights_is_the_global_branch():
    model, (x, masks) = small().eval(), inputs()
    model.branches[1].load_state_dict(model.branches[0].state_dict())
    _, logits, embeddings = model(x, torch.ones_like(masks))
    assert torch.equal(logits[:, 0], logits[:, 1])
    assert torch.equal(embeddings[:, 0], embeddings[:, 1])


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


def test_embeddings_are_the_layer_asked_for():
    x, masks = inputs()
    for layer, width in (("fc256", 13), ("fc4096", 205), ("logits", 7)):
        model = small(embed_layer=layer).eval()
        assert model.embed(x, masks).shape == (3, 2 * width)
        if layer == "logits":
            assert torch.equal(model.embed(x, masks), model(x, masks)[1].flatten(1))


def test_dropout_and_activation_of_the_head():
    assert [m.p for m in meta(dropout=0.8).modules() if isinstance(m, Dropout)] == [0.8, 0.8]
    bare = meta(head_act="none").branches[0].classify
    assert not any(isinstance(m, nn.ReLU) for m in bare.modules())
    assert any(isinstance(m, nn.ReLU) for m in meta().branches[0].classify.modules())


def test_readings_without_batch_normalisation_or_colour_run():
    x, masks = inputs()
    model = small(use_batchnorm=False, in_channels=1)
    assert not any(isinstance(m, nn.BatchNorm2d) for m in model.modules())
    assert model(x, masks)[0].isfinite().all()


@pytest.mark.parametrize("stage", ["before_pool5", "before_pool4"])
def test_trunk_of_another_network_is_taken_over(stage):
    source, model = small("VGG19"), small(mask_stage=stage)
    with torch.no_grad():
        for p in source.parameters():
            p.add_(1.0)
    head = model.branches[0].classify.out.weight.clone()
    model.load_trunk(source.state_dict())
    named, given = dict(model.named_modules()), dict(source.named_modules())
    assert torch.equal(named["trunk.conv1_1"].weight, given["trunk.conv1_1"].weight)
    fifth = named["branches.1.conv5_4" if stage == "before_pool4" else "trunk.conv5_4"]
    assert torch.equal(fifth.weight, given["trunk.conv5_4"].weight)
    assert torch.equal(model.branches[0].classify.out.weight, head)


def test_torchvision_weights_fit_and_compute_the_same():
    from torchvision.models import vgg19_bn

    torch.manual_seed(0)
    theirs = vgg19_bn().eval()
    model = lkrnet.build("VGG19", in_channels=1).eval()
    model.load_trunk(lkrnet.from_torchvision(theirs.state_dict()))
    x = torch.randn(1, 1, 44, 44)
    with torch.inference_mode():
        expected = theirs.features(x.expand(-1, 3, -1, -1))  # ends in the fifth pool
        found = model.branches[0].pool5(model.maps(x))
    torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-4)


def test_weights_that_do_not_fit_are_refused():
    with pytest.raises(FerError, match="same width"):
        small().load_trunk(lkrnet.build("VGG19", width=0.1).state_dict())
    with pytest.raises(FerError, match="norm1_1"):
        small().load_trunk(small("VGG19", use_batchnorm=False).state_dict())


def test_grad_cam_reads_every_stage():
    model, (x, masks) = small().eval(), inputs()
    whole = lkrnet.Scores(model)
    assert whole(x, masks).shape == (3, 7)
    for stage in (3, 4, 5):
        maps = explain.grad_cam(whole, (x, masks), model.activation(stage))
        assert maps.shape == (3, 44, 44)
    assert model.last_convolution.out_channels == 26
    assert model.activation(5) is model.trunk.relu5_4


def test_learning_rates_warm_up_and_shrink():
    rates = lkrnet.learning_rates(60)
    assert rates[:20] == (1e-4,) * 20
    assert rates[20] == 1e-3
    assert rates[59] == pytest.approx(1e-3 * 0.8**39, rel=1e-5)
    linear = lkrnet.learning_rates(30, "linear", decay=1.0)
    assert linear[0] == pytest.approx(1e-4)
    assert linear[10] == pytest.approx(5.5e-4)
    assert linear[20:] == (1e-3,) * 10
    assert lkrnet.learning_rates(5, "throughout", scale=10) == (1e-3,) * 5
    assert lkrnet.learning_rates(6, warmup_epochs=2)[2] == 1e-3
    assert len(lkrnet.learning_rates(3)) == 3


@pytest.mark.parametrize(
    "name, readings",
    [
        ("LKRNet", {}),
        ("Our method", {"mask_stage": "pool5"}),
        ("Our method", {"branch_fusion": "max"}),
        ("Our method", {"embed_layer": "fc"}),
        ("Baseline 1", {"baseline1": "x"}),
        ("VGG19", {"vgg_head": "x"}),
        ("VGG19", {"head_act": "tanh"}),
    ],
)
def test_unknown_readings_are_refused(name, readings):
    with pytest.raises(FerError, match="Unknown"):
        meta(name, **readings)


def test_a_local_branch_needs_masks():
    with pytest.raises(FerError, match="needs the masks"):
        small()(inputs()[0])
    assert small("VGG19")(inputs()[0])[0].shape == (3, 7)
