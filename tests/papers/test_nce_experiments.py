"""Noise-contrastive estimation recovers parameters and constant, as well as the theory says."""

import torch
from papers.measurements import values, where
from papers.noise_contrastive import gaussian, mixture
from papers.noise_contrastive.fitting import asymptotic_covariance, estimated


def test_errors_are_those_of_the_theory_and_halve_with_four_times_the_samples():
    data = mixture.measure(0, samples=(500, 8000), ratios=(2,), repeats=5)
    for kind in ("parameters", "constant"):
        of_kind = where(data, of=kind)
        ratios = values(of_kind, "error") / values(of_kind, "expected")
        assert ((ratios > 0.5) & (ratios < 1.8)).all()
        few, many = values(of_kind, "error")
        assert many < few / 2


def test_gaussian_and_its_constant_are_recovered():
    generator = torch.Generator().manual_seed(0)
    problem = gaussian.problem(generator)
    found = estimated(problem, 4000, 5, generator)
    assert float((found - problem.truth).abs().max()) < 0.15
    assert float((problem.start - problem.truth).abs().max()) > 0.3


def test_gaussian_of_the_truth_is_a_density_and_that_of_the_data():
    problem = gaussian.problem(torch.Generator().manual_seed(3))
    generator = torch.Generator().manual_seed(4)
    noise = problem.draw_noise(200_000, generator)
    ratio = (problem.log_model(noise, problem.truth) - problem.log_noise(noise)).exp()
    assert abs(float(ratio.mean()) - 1) < 0.05
    # Each −½ u_i u_j (doubled off the diagonal) has the same mean over the data and the model.
    data = problem.draw_data(200_000, generator)
    of_data = torch.func.jacfwd(problem.log_model, argnums=1)(data, problem.truth).mean(dim=0)
    scores = torch.func.jacfwd(problem.log_model, argnums=1)(noise, problem.truth)
    of_model = (ratio[:, None] * scores).mean(dim=0)
    torch.testing.assert_close(of_data, of_model, atol=0.05, rtol=0.1)


def test_with_endless_noise_the_covariance_is_that_of_maximum_likelihood():
    problem = mixture.problem()
    points = torch.linspace(*mixture.GRID, dtype=torch.float64)[:, None]
    weights = problem.log_model(points, problem.truth).exp()
    weights = weights / weights.sum()
    found = asymptotic_covariance(problem, 10**7, points, weights)
    scores = torch.func.jacfwd(problem.log_model, argnums=1)(points, problem.truth)[:, :-1]
    scores = scores - weights @ scores  # of the normalised model
    fisher = scores.T @ (weights[:, None] * scores)
    torch.testing.assert_close(found[:-1, :-1], torch.linalg.inv(fisher), rtol=1e-3, atol=1e-4)
