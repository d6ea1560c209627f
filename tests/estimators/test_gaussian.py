"""Gaussians in closed form: against scipy, against sampling, and against each other."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.stats import multivariate_normal, norm

from nearfar.errors import NearfarError, SettingError
from nearfar.estimators.gaussian import (
    correlated_information,
    correlated_log_ratio,
    correlation_for,
    gaussian_entropy,
    gaussian_information,
    gaussian_kl,
)


def covariance_of(dim, seed):
    factor = torch.randn(dim, dim, generator=torch.Generator().manual_seed(seed)).double()
    product = factor @ factor.T
    return (product + product.T) / 2 + 0.3 * torch.eye(dim, dtype=torch.float64)


@pytest.mark.parametrize("dim", [1, 2, 5])
def test_entropy_is_that_of_scipy(dim):
    covariance = covariance_of(dim, 1)
    expected = multivariate_normal(cov=covariance.numpy()).entropy()
    assert gaussian_entropy(covariance).item() == pytest.approx(expected, rel=1e-12)


def test_divergence_in_one_dimension_is_its_integral():
    p, q = norm(0.5, 0.8), norm(-0.3, 1.7)
    expected = quad(lambda z: p.pdf(z) * (p.logpdf(z) - q.logpdf(z)), -12, 12)[0]
    numbers = ([0.5], [[0.8**2]], [-0.3], [[1.7**2]])
    found = gaussian_kl(*(torch.tensor(x, dtype=torch.float64) for x in numbers))
    assert found.item() == pytest.approx(expected, rel=1e-9)


def test_divergence_is_the_mean_log_ratio_of_samples():
    means = torch.randn(2, 3).double()
    covariances = covariance_of(3, 2), covariance_of(3, 3)
    p, q = (
        multivariate_normal(m.numpy(), c.numpy()) for m, c in zip(means, covariances, strict=True)
    )
    samples = p.rvs(100_000, random_state=np.random.default_rng(0))
    ratios = p.logpdf(samples) - q.logpdf(samples)
    found = gaussian_kl(means[0], covariances[0], means[1], covariances[1]).item()
    assert found == pytest.approx(ratios.mean(), abs=4 * ratios.std() / math.sqrt(len(ratios)))
    assert gaussian_kl(means[0], covariances[0], means[0], covariances[0]).item() == pytest.approx(
        0, abs=1e-12
    )


@pytest.mark.parametrize("first", [1, 2, 4])
def test_information_is_the_divergence_from_the_parts_taken_apart(first):
    joint, mean = covariance_of(5, 4), torch.zeros(5, dtype=torch.float64)
    apart = torch.block_diag(joint[:first, :first], joint[first:, first:])
    expected = gaussian_kl(mean, joint, mean, apart).item()
    assert gaussian_information(joint, first).item() == pytest.approx(expected, rel=1e-10)
    entropies = gaussian_entropy(joint[:first, :first]) + gaussian_entropy(joint[first:, first:])
    found = (entropies - gaussian_entropy(joint)).item()
    assert found == pytest.approx(expected, rel=1e-10)


@pytest.mark.parametrize("correlation", [-0.9, 0.0, 0.4])
def test_correlated_pairs_are_a_case_of_it(correlation):
    eye = torch.eye(3, dtype=torch.float64)
    joint = torch.cat(
        (torch.cat((eye, correlation * eye), 1), torch.cat((correlation * eye, eye), 1))
    )
    expected = gaussian_information(joint, 3).item()
    assert correlated_information(correlation, 3) == pytest.approx(expected, abs=1e-12)


@given(information=st.floats(0, 50), dim=st.integers(1, 64))
def test_correlation_and_information_are_inverse(information, dim):
    # Near ρ = 1 the information of 1 − ρ² hangs on the last bits of ρ.
    correlation = correlation_for(min(information, 5.0 * dim), dim)
    expected = min(information, 5.0 * dim)
    assert correlated_information(correlation, dim) == pytest.approx(expected, rel=1e-6, abs=1e-12)


def test_the_log_ratio_is_that_of_the_densities():
    x, y = torch.randn(2, 4, 3).double()
    found = correlated_log_ratio(x, y, -0.7)
    matrix = found.queries @ found.keys.T
    joint = multivariate_normal(cov=[[1, -0.7], [-0.7, 1]])
    for i in range(4):
        for j in range(4):
            expected = sum(
                joint.logpdf([float(a), float(b)]) - norm.logpdf(float(a)) - norm.logpdf(float(b))
                for a, b in zip(x[i], y[j], strict=True)
            )
            assert matrix[i, j].item() == pytest.approx(expected, rel=1e-10)


def test_gradients_are_those_of_finite_differences():
    free = torch.randn(4, 4, dtype=torch.float64, requires_grad=True)
    mean = torch.randn(4, dtype=torch.float64, requires_grad=True)

    def all_of_it(factor, mean):
        covariance = factor @ factor.T + torch.eye(4, dtype=torch.float64)
        covariance = (covariance + covariance.T) / 2
        other = torch.eye(4, dtype=torch.float64) + 0.1
        return (
            gaussian_entropy(covariance),
            gaussian_information(covariance, 1),
            gaussian_kl(mean, covariance, -mean, other),
        )

    assert torch.autograd.gradcheck(all_of_it, (free, mean))


def test_what_has_no_density_is_refused():
    for covariance in (-torch.eye(2), torch.ones(2, 2), torch.tensor([[1.0, 0.5], [0.0, 1.0]])):
        with pytest.raises(NearfarError, match="not symmetric and positive definite"):
            gaussian_entropy(covariance)
    with pytest.raises(NearfarError, match="not symmetric and positive definite"):
        gaussian_entropy(torch.full((2, 2), math.nan))
    for first in (0, 2):
        with pytest.raises(SettingError, match=f"first is {first}: of 2 dimensions"):
            gaussian_information(torch.eye(2), first)
    for correlation in (1.0, -1.0, math.nan):
        with pytest.raises(SettingError, match="above -1 and below 1"):
            correlated_information(correlation, 2)
    with pytest.raises(SettingError, match="dim is 0"):
        correlated_information(0.5, 0)
    with pytest.raises(SettingError, match=r"information is -1\.0"):
        correlation_for(-1.0, 2)
    with pytest.raises(SettingError, match="above -1 and below 1"):
        correlated_log_ratio(torch.zeros(3, 2), torch.zeros(3, 2), 1.0)
