"""Lookahead against its definition, step by step, and resumed."""

import pytest
import torch
from torch import nn

from fer_lib.errors import FerError
from fer_lib.learn.lookahead import Lookahead


def model_and(optimiser, seed=0):
    torch.manual_seed(seed)
    model = nn.Linear(3, 2)
    return model, optimiser(model.parameters())


def train(model, optimiser, steps, start=0):
    for step in range(start, start + steps):
        torch.manual_seed(step)
        optimiser.zero_grad()
        model(torch.randn(4, 3)).square().sum().backward()
        optimiser.step()


def adam(parameters):
    return torch.optim.Adam(parameters, lr=0.01)


def test_it_is_the_definition():
    k, alpha = 5, 0.5
    fast, inner = model_and(adam)
    slow = [p.detach().clone() for p in fast.parameters()]
    ours, wrapped = model_and(lambda p: Lookahead(adam(p), k, alpha))
    for step in range(13):
        train(fast, inner, 1, step)
        train(ours, wrapped, 1, step)
        if (step + 1) % k == 0:
            with torch.no_grad():
                for s, p in zip(slow, fast.parameters(), strict=True):
                    s += alpha * (p - s)
                    p.copy_(s)
        for p, q in zip(fast.parameters(), ours.parameters(), strict=True):
            assert torch.allclose(p, q, atol=1e-7)


def test_it_resumes_in_the_middle_of_a_cycle(tmp_path):
    whole, optimiser = model_and(lambda p: Lookahead(adam(p)))
    train(whole, optimiser, 12)
    first, optimiser = model_and(lambda p: Lookahead(adam(p)))
    train(first, optimiser, 7)
    torch.save({"m": first.state_dict(), "o": optimiser.state_dict()}, tmp_path / "c.pt")
    state = torch.load(tmp_path / "c.pt", weights_only=True)
    second, optimiser = model_and(lambda p: Lookahead(adam(p)), seed=1)
    second.load_state_dict(state["m"])
    optimiser.load_state_dict(state["o"])
    train(second, optimiser, 5, 7)
    for p, q in zip(whole.parameters(), second.parameters(), strict=True):
        assert torch.equal(p, q)


def test_rates_are_those_of_the_inner_optimiser():
    _, optimiser = model_and(lambda p: Lookahead(adam(p)))
    optimiser.param_groups[0]["lr"] = 0.5
    assert optimiser.inner.param_groups[0]["lr"] == 0.5


@pytest.mark.parametrize("k, alpha", [(0, 0.5), (5, 0.0), (5, 1.5)])
def test_numbers_out_of_range_are_refused(k, alpha):
    with pytest.raises(FerError, match="Lookahead"):
        model_and(lambda p: Lookahead(adam(p), k, alpha))
