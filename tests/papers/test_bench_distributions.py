"""Each distribution shares what it says, by a computation of another kind."""

import math

import numpy as np
import pytest
import torch
from papers.bounds_bench.distributions import pictures, random_bijection, student_t, uniform_noise
from papers.bounds_bench.distributions.gaussian import correlated, cubed
from papers.bounds_bench.tasks import TASKS
from scipy.integrate import quad
from scipy.stats import multivariate_t, trapezoid

from nearfar.errors import SettingError
from nearfar.estimators.discrete import discrete_information, label_entropy
from nearfar.estimators.gaussian import correlated_log_ratio, correlation_for, gaussian_information

COUNT = 20_000


def drawn(sample, information: float, count: int = COUNT, seed: int = 0):
    return sample(information, count, torch.Generator().manual_seed(seed))


def assert_mean(log_ratios, information: float) -> None:
    """The mean log-ratio of the samples is the information, within four standard errors."""
    log_ratios = np.asarray(log_ratios)
    error = log_ratios.std() / len(log_ratios) ** 0.5
    assert error < 0.05
    assert abs(log_ratios.mean() - information) < 4 * error


@pytest.mark.parametrize("task", TASKS.values(), ids=TASKS)
def test_rows_of_pairs_that_a_seed_repeats(task):
    for level in task.levels:
        x, y = drawn(task.sample, level, 50)
        assert len(x) == len(y) == 50
        assert x.ndim == y.ndim == 2
        assert torch.equal(x, drawn(task.sample, level, 50)[0])
        assert not torch.equal(x, drawn(task.sample, level, 50, seed=1)[0])
        assert y.double().isfinite().all()


@pytest.mark.parametrize("information", [2.0, 10.0])
def test_gaussians_by_their_log_ratio(information):
    x, y = drawn(correlated, information, 8000)
    scores = correlated_log_ratio(x, y, correlation_for(information, 20))
    assert_mean(scores.paired, information)


def test_cubing_loses_nothing():
    x, y = drawn(correlated, 4.0, 100)
    same_x, cubes = drawn(cubed, 4.0, 100)
    assert torch.equal(same_x, x)
    torch.testing.assert_close(cubes.sign() * cubes.abs() ** (1 / 3), y)


@pytest.mark.parametrize("half_width", [0.05, 0.4, 0.5, 1.7])
def test_uniform_noise_by_integration(half_width):
    def density(y):  # overlap of [y − ε, y + ε] with [0, 1], over 2ε
        return max(0.0, min(1, y + half_width) - max(0, y - half_width)) / (2 * half_width)

    def surprise(y):
        p = density(y)
        return -p * math.log(p) if p > 0 else 0.0

    kinks = [half_width, 1 - half_width]
    entropy = quad(surprise, -half_width, 1 + half_width, points=kinks, limit=200)[0]
    information = entropy - math.log(2 * half_width)
    assert uniform_noise.coordinate_information(half_width) == pytest.approx(information, abs=1e-6)
    assert uniform_noise.half_width_for(information) == pytest.approx(half_width, rel=1e-5)


def test_uniform_noise_by_its_log_ratio():
    x, y = drawn(uniform_noise.additive_noise, 4.0)
    half_width = uniform_noise.half_width_for(4.0 / uniform_noise.DIM)
    assert x.min() >= 0
    assert x.max() <= 1
    assert (y - x).abs().max() <= half_width
    width = 1 + 2 * half_width
    of_y = trapezoid(2 * half_width / width, 1 / width, loc=-half_width, scale=width)
    ratios = -math.log(2 * half_width) - of_y.logpdf(y.numpy())
    assert_mean(ratios.sum(axis=1), 4.0)


@pytest.mark.parametrize(("correlation", "degrees"), [(0.0, 3), (0.7, 3), (0.4, 8)])
def test_students_t_by_integration(correlation, degrees):
    both = multivariate_t(shape=[[1, correlation], [correlation, 1]], df=degrees)
    one = multivariate_t(shape=[[1]], df=degrees)
    # x = tan u and y = tan v bring the plane into a square; the midpoint rule does the rest.
    cells = 800
    angles = math.pi * ((np.arange(cells) + 0.5) / cells - 0.5)
    points = np.tan(angles)
    x, y = np.meshgrid(points, points)
    log_density = both.logpdf(np.stack([x, y], axis=-1))
    of_one = one.logpdf(points[:, None])
    ratio = log_density - of_one[None, :] - of_one[:, None]
    stretch = (1 + x**2) * (1 + y**2) * (math.pi / cells) ** 2
    found = (np.exp(log_density) * ratio * stretch).sum()
    assert student_t.t_information(correlation, degrees, 1) == pytest.approx(found, abs=1e-3)


@pytest.mark.parametrize("information", [2.0, 4.0])
def test_students_t_by_its_log_ratio(information):
    x, y = (side.numpy() for side in drawn(student_t.multivariate_t, information))
    dim, degrees = student_t.DIM, student_t.DEGREES
    correlation = correlation_for(information - student_t.divisor_information(degrees, dim), dim)
    assert student_t.t_information(correlation, degrees, dim) == pytest.approx(information)
    across = correlation * np.eye(dim)
    both = multivariate_t(
        shape=np.block([[np.eye(dim), across], [across, np.eye(dim)]]), df=degrees
    )
    one = multivariate_t(shape=np.eye(dim), df=degrees)
    assert_mean(both.logpdf(np.hstack([x, y])) - one.logpdf(x) - one.logpdf(y), information)


def test_less_than_the_common_divisor_shares_is_refused():
    with pytest.raises(SettingError, match="common divisor"):
        drawn(student_t.multivariate_t, 0.1, 10)


def test_categories_by_their_table():
    shares = random_bijection.probabilities(random_bijection.exponent_for(3.0))
    joint = torch.zeros(64, 64, dtype=torch.float64)
    joint[torch.arange(64), torch.from_numpy(random_bijection.bijection())] = torch.from_numpy(
        shares
    )
    assert float(discrete_information(joint)) == pytest.approx(3.0, abs=1e-9)


def test_categories_are_renamed_one_to_one():
    x, y = (side.argmax(dim=1) for side in drawn(random_bijection.renamed_categories, 3.0))
    assert len(set(zip(x.tolist(), y.tolist(), strict=True))) == len(x.unique()) == len(y.unique())
    assert float(label_entropy(x)) == pytest.approx(3.0, abs=0.02)
    with pytest.raises(SettingError, match="64 categories"):
        random_bijection.exponent_for(4.2)


def test_latents_can_be_read_off_pictures():
    latents = torch.randn(500, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    torch.testing.assert_close(latents_of(pictures.picture(latents)), latents, atol=1e-6, rtol=1e-6)


def test_pictures_share_what_their_latents_share():
    read = [latents_of(side) for side in drawn(pictures.light_spots, 4.0)]
    covariance = torch.cov(torch.cat(read, dim=1).T)
    assert float(gaussian_information(covariance, first=3)) == pytest.approx(4.0, abs=0.05)


def latents_of(shown: torch.Tensor) -> torch.Tensor:
    """Centre and brightness from the logarithms of three pixels in a row, and the way back."""
    logs = shown.reshape(-1, 16, 16).log()
    peak = logs.flatten(1).argmax(dim=1)
    rows, columns = (peak // 16).clamp(1, 14), (peak % 16).clamp(1, 14)
    every = torch.arange(len(logs))
    # Of −(p − c)² / 2r² with r = 2, the difference over two pixels is (c − p) / 2.
    across = columns + 2 * (logs[every, rows, columns + 1] - logs[every, rows, columns - 1])
    down = rows + 2 * (logs[every, rows + 1, columns] - logs[every, rows - 1, columns])
    fallen = ((rows - down) ** 2 + (columns - across) ** 2) / 8
    brightness = (logs[every, rows, columns] + fallen).exp()
    centres = torch.stack([across, down], dim=1)
    return torch.cat(
        [2 * torch.atanh((centres - 7.5) / 6), torch.logit(brightness)[:, None]], dim=1
    )
