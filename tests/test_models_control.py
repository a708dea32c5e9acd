"""The positive control: the published network, layer by layer, and its schedule."""

import pytest
import torch
from torch import nn

from fer_lib.learn.layers import count_parameters
from fer_lib.papers.control import published
from fer_lib.papers.control.network import L2, MiniXception


def test_it_has_the_published_size():
    model = MiniXception()
    # Keras prints 58,423 with the running means and variances of batch normalisation.
    running = sum(b.numel() for name, b in model.named_buffers() if "running" in name)
    assert count_parameters(model) == 56_951
    assert count_parameters(model) + running == 58_423
    x = torch.zeros(2, 1, 64, 64)
    assert model.blocks(model.stem(x)).shape == (2, 128, 4, 4)
    assert model(x).shape == (2, 7)


def test_taking_every_second_pixel_first_is_a_stride_of_two():
    torch.manual_seed(0)
    block = MiniXception().eval().blocks[0]
    strided = nn.Conv2d(8, 16, 1, stride=2, bias=False)
    strided.weight = block.beside[0].weight
    x = torch.randn(2, 8, 59, 60)
    torch.testing.assert_close(block(x) - block.through(x), block.beside[1](strided(x)), atol=1e-5, rtol=1e-5)


def test_only_the_stem_is_penalised():
    model = MiniXception()
    assert set(model.l2_penalties.values()) == {L2}
    assert [model.get_parameter(name).shape[1:] for name in model.l2_penalties] == [(1, 3, 3), (8, 3, 3)]


@pytest.mark.parametrize("epochs", [1, 4, 50, 110])
def test_the_rate_falls_twice(epochs):
    rates = published.learning_rates(epochs)
    assert len(rates) == epochs
    assert list(rates) == sorted(rates, reverse=True)
    assert rates[0] == 1e-3 or epochs == 1
