"""Layer table, parameter counts and readings of the multimodal network (Sect. 3.1, 3.2)."""

import itertools

import pytest
import torch
from torch import nn

from fer_lib.claims import ambiguities
from fer_lib.errors import FerError
from fer_lib.features import hog
from fer_lib.learn.layers import CBAM, BatchNorm1d, Dropout, count_parameters, layer_table
from fer_lib.papers.multimodal.network import MODALITIES, Multimodal
from fer_lib.papers.multimodal.trainer import STRUCTURE

WEIGHTS = 50_899_117  # worked out by hand from the layer table of the recommended reading
NORMS = 24_960  # scales and shifts of the batch normalisations


def meta(**readings):
    with torch.device("meta"):
        return Multimodal(**readings)


def inputs(n=2, hog=900, device="meta"):
    return (
        torch.zeros(n, 1, 48, 48, device=device),
        torch.zeros(n, 136, device=device),
        torch.zeros(n, hog, device=device),
    )


def test_parameters_of_the_recommended_reading():
    model = meta()
    norms = [m for m in model.modules() if isinstance(m, nn.BatchNorm1d | nn.BatchNorm2d)]
    assert sum(count_parameters(m) for m in norms) == NORMS
    assert count_parameters(model) == WEIGHTS + NORMS == 50_924_077
    # The paper's count of layers: three batch normalisations at the convolutions; twelve in all.
    assert len(norms) == 12
    assert sum(isinstance(m, nn.BatchNorm2d) for m in norms) == 3


def test_layer_table_is_that_of_the_paper():
    rows = {row["layer"]: row for row in layer_table(meta(), *inputs())}
    assert meta().last_convolution.weight.shape == (256, 128, 3, 3)
    maps = [row["output"] for name, row in rows.items() if name.endswith(".conv")]
    assert maps == ["64×48×48", "128×24×24", "256×12×12"]
    assert [row["output"] for name, row in rows.items() if name.endswith("pool")][-1] == "256×6×6"
    dense = [
        row["parameters"] for row in rows.values() if row["kind"] == "Linear" and row["parameters"] > 5000
    ]
    image, landmarks = [37_752_832, 4_195_328, 131_200], [140_288, 131_200]
    assert dense == [4096 * 2, *image, *landmarks, 3_690_496, 4_195_328, 131_200, 147_840][1:]
    assert rows["classify"]["output"] == "7"


def test_cbam_has_the_parameters_of_the_cited_module():
    modules = [m for m in meta().modules() if isinstance(m, CBAM)]
    assert [count_parameters(m) for m in modules] == [610, 2_146, 8_290]
    assert count_parameters(meta(cbam=False)) == 50_924_077 - 11_046


@pytest.mark.parametrize(
    "readings, count",
    [
        ({"conv_channels": 32}, 50_924_077 - 18_874_368 - 276_992 - 8_064 - 448),
        ({"bn_scope": "convolutions"}, WEIGHTS + 896),
        ({"cbam_position": "after_pool"}, 50_924_077),
        ({"cbam_position": "before_relu"}, 50_924_077),
        ({"hog": 496}, 50_924_077 - (900 - 496) * 4096),
        ({"fusion": "scalar_mean"}, 50_924_077 - 383 * 384),
        ({"dropout": 0.5}, 50_924_077),
        ({"n_classes": 8}, 50_924_077 + 385),
    ],
)
def test_parameters_of_the_other_readings(readings, count):
    model = meta(**readings)
    assert count_parameters(model) == count
    out = model.eval()(*inputs(hog=readings.get("hog", 900)))
    assert out.shape == (2, readings.get("n_classes", 7))


SUBSETS = [s for n in (1, 2, 3) for s in itertools.combinations(MODALITIES, n)]


@pytest.mark.parametrize("subset", SUBSETS, ids="+".join)
def test_any_subset_of_the_modalities_is_a_network(subset):
    model = Multimodal(modalities=subset[::-1], width=0.03, hog=20).eval()
    assert model.modalities == subset
    x = [torch.rand(3, 1, 48, 48), torch.rand(3, 136), torch.rand(3, 20)]
    given = [v if m in subset else v[:, :0] for v, m in zip(x, MODALITIES, strict=True)]
    full, own = model(*x), model(*given) if "image" in subset else model(x[0], *given[1:])
    assert torch.equal(full, own)
    fused = model.embed(*x)
    assert fused.shape == (3, 4 * len(subset))  # 128 features a branch, at a width of 0.03
    for name, columns in model.columns().items():
        assert torch.equal(fused[:, columns], model.features(*x)[name])


def test_equation_6_literally_is_one_number():
    torch.manual_seed(0)
    model = Multimodal(width=0.05, hog=20, fusion="scalar_mean").eval()
    x = torch.rand(2, 1, 48, 48), torch.rand(2, 136), torch.rand(2, 20)
    assert model.classify(model.hidden(model.embed(*x).mean(1, keepdim=True))).equal(model(*x))


def test_cbam_is_the_published_formula():
    """Against equations 2 and 3 of Woo et al. (2018), written out."""
    torch.manual_seed(0)
    module, x = CBAM(32), torch.randn(3, 32, 12, 12)

    def perceptron(v):
        return torch.relu(v @ module.squeeze.weight.T) @ module.excite.weight.T

    channel = torch.sigmoid(perceptron(x.mean((2, 3))) + perceptron(x.amax((2, 3))))
    refined = x * channel[:, :, None, None]
    plane = torch.stack([refined.mean(1), refined.amax(1)], 1)
    spatial = torch.sigmoid(nn.functional.conv2d(plane, module.locate.weight, padding=3))
    torch.testing.assert_close(module(x), refined * spatial)
    assert module.locate.weight.shape == (1, 2, 7, 7)


def test_attention_maps_of_every_stage():
    model = Multimodal(width=0.25, hog=20).eval()
    maps = model.attention(torch.rand(2, 1, 48, 48))
    assert [tuple(m.shape) for m in maps] == [(2, 48, 48), (2, 24, 24), (2, 12, 12)]
    assert all(m.min() > 0 and m.max() < 1 for m in maps)
    assert Multimodal(width=0.05, hog=20, cbam=False).attention(torch.rand(1, 1, 48, 48)) == []


@pytest.mark.parametrize("knob", ["fusion", "bn_scope", "cbam_position"])
def test_unknown_readings_are_refused(knob):
    with pytest.raises(FerError, match="Unknown"):
        meta(**{knob: "x"})


def test_one_step_trains_every_weight():
    torch.manual_seed(0)
    model = Multimodal(width=0.5, hog=20)  # any narrower, and CBAM has one hidden unit, which may be dead
    x = torch.rand(8, 1, 48, 48), torch.rand(8, 136), torch.rand(8, 20)
    nn.functional.cross_entropy(model(*x), torch.arange(8) % 7).backward()
    assert [name for name, p in model.named_parameters() if p.grad is None or not p.grad.any()] == []


def test_every_structural_value_in_the_register_builds():
    register = ambiguities("multimodal").set_index("knob")
    for knob in STRUCTURE:
        for value in register.loc[knob, "values"]:
            assert count_parameters(meta(**{knob: value})) > 0
    for value in register.loc["hog", "values"]:
        assert count_parameters(meta(hog=hog.length(value))) > 0


def test_dropout_follows_the_dense_layers_of_4096():
    def rates(**readings):
        return [m.p for m in meta(**readings).modules() if isinstance(m, Dropout)]

    assert rates() == []
    # Of the image and the HOG branch, at any width.
    assert rates(dropout=0.5) == rates(dropout=0.5, width=0.1) == [0.5, 0.5]


def test_a_last_batch_of_one_sample_trains():
    torch.manual_seed(0)
    model = Multimodal(width=0.05, hog=20)
    x = torch.rand(1, 1, 48, 48), torch.rand(1, 136), torch.rand(1, 20)
    nn.functional.cross_entropy(model(*x), torch.tensor([2])).backward()
    assert all(p.grad is None or p.grad.isfinite().all() for p in model.parameters())
    norm = BatchNorm1d(4)
    norm.running_mean += 1
    torch.testing.assert_close(norm(torch.ones(1, 4)), torch.zeros(1, 4))
    assert torch.equal(norm.running_mean, torch.ones(4))
    many = torch.randn(8, 4)
    torch.testing.assert_close(norm(many), nn.BatchNorm1d(4)(many))
