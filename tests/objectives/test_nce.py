"""Logistic NCE: that it finds the density, and what the table of cases does not show."""

import math

import pytest
import torch
from torch.distributions import Normal

from nearfar.errors import NearfarError
from nearfar.objectives import nce


@pytest.mark.parametrize("ratio", [0.5, 1, 4])
def test_its_minimum_is_the_density_of_the_data_with_its_normaliser(ratio):
    truth, noise = Normal(0.7, 0.6), Normal(0.0, 1.5)
    samples = 20_000
    x = truth.icdf((torch.arange(samples, dtype=torch.float64) + 0.5) / samples)
    count = int(ratio * samples)
    y = noise.icdf((torch.arange(count, dtype=torch.float64) + 0.5) / count)
    mean, log_sd, constant = (torch.zeros((), dtype=torch.float64) for _ in range(3))
    free = [parameter.requires_grad_() for parameter in (mean, log_sd, constant)]
    optimiser = torch.optim.LBFGS(free, max_iter=100, line_search_fn="strong_wolfe")

    def unnormalised(z):
        return -0.5 * ((z - mean) / log_sd.exp()) ** 2 + constant

    def closure():
        optimiser.zero_grad()
        loss = nce(unnormalised(x), noise.log_prob(x), unnormalised(y), noise.log_prob(y))
        loss.backward()
        return loss

    optimiser.step(closure)
    assert mean.item() == pytest.approx(0.7, abs=2e-3)
    assert log_sd.exp().item() == pytest.approx(0.6, abs=2e-3)
    assert constant.item() == pytest.approx(-math.log(0.6 * math.sqrt(2 * math.pi)), abs=2e-3)


@pytest.mark.parametrize(("data", "noise"), [(4, 4), (4, 12), (6, 2)])
def test_a_model_that_is_the_noise_has_the_stated_loss(data, noise):
    ratio = noise / data
    value = nce(*torch.randn(1, data).repeat(2, 1), *torch.randn(1, noise).repeat(2, 1))
    expected = math.log(1 + ratio) + ratio * math.log(1 + 1 / ratio)
    assert value.item() == pytest.approx(expected, rel=1e-6)


def test_densities_far_apart_stay_finite_and_right():
    high, low = torch.full((2,), 1e4, requires_grad=True), torch.full((2,), -1e4)
    right, wrong = nce(high, low, low, high), nce(low, high, high, low)
    assert right.item() == 0
    assert wrong.item() == pytest.approx(4e4)
    wrong.backward()
    assert torch.isfinite(high.grad).all()


def test_a_density_of_zero_at_a_noise_sample_costs_nothing():
    zero = torch.full((2,), -torch.inf)
    value = nce(torch.zeros(2), torch.zeros(2), zero, torch.zeros(2))
    assert value.item() == pytest.approx(math.log(2))


def test_what_does_not_fit_is_refused():
    with pytest.raises(NearfarError, match=r"nce of noise .* needs one or more, not 0"):
        nce(torch.zeros(2), torch.zeros(2), torch.zeros(0), torch.zeros(0))
