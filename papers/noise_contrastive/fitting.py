"""Fits an unnormalised model by noise-contrastive estimation; how large its errors are to be."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from nearfar.objectives import nce

LogDensity = Callable[[Tensor, Tensor], Tensor]
"""Of samples `(n, dim)`, given the parameters `(p,)`: `(n,)`, in nats."""
MOST_EVALUATIONS = 400


@dataclass(frozen=True)
class Problem:
    """What is to be estimated.

    Attributes:
        log_model: The model's log-density; its last parameter is the log-constant, learned like
            any other.
        truth: The parameters of the data, with the constant that makes the model a density.
        start: Where fitting begins.
        draw_data: Draws that many samples from the model at `truth`.
        draw_noise: Draws that many samples of noise.
        log_noise: The noise's log-density.
    """

    log_model: LogDensity
    truth: Float[Tensor, " p"]
    start: Float[Tensor, " p"]
    draw_data: Callable[[int, torch.Generator], Tensor]
    draw_noise: Callable[[int, torch.Generator], Tensor]
    log_noise: Callable[[Tensor], Tensor]


def estimated(
    problem: Problem, samples: int, ratio: int, generator: torch.Generator
) -> Float[Tensor, " p"]:
    """The parameters of the least NCE loss on a fresh draw, by L-BFGS.

    Args:
        problem: What is to be estimated.
        samples: T_d, of data.
        ratio: ν, samples of noise for each of data.
        generator: Draws both.
    """
    data = problem.draw_data(samples, generator)
    noise = problem.draw_noise(samples * ratio, generator)
    noise_of_data, noise_of_noise = problem.log_noise(data), problem.log_noise(noise)
    parameters = problem.start.clone().requires_grad_()
    optimizer = torch.optim.LBFGS(
        [parameters],
        max_iter=MOST_EVALUATIONS,
        max_eval=MOST_EVALUATIONS,
        tolerance_grad=1e-7,
        tolerance_change=1e-10,
        line_search_fn="strong_wolfe",
    )

    def closure() -> Tensor:
        optimizer.zero_grad()
        loss = nce(
            problem.log_model(data, parameters),
            noise_of_data,
            problem.log_model(noise, parameters),
            noise_of_noise,
        )
        loss.backward()
        return loss

    optimizer.step(closure)
    return parameters.detach()


def asymptotic_covariance(
    problem: Problem, ratio: int, points: Float[Tensor, "n dim"], weights: Float[Tensor, " n"]
) -> Float[Tensor, "p p"]:
    """Covariance of `√T_d (θ̂ − θ)` for many samples (Gutmann & Hyvärinen 2012, theorem 3).

    With g the gradient of the log-model by its parameters, `P = ν p_n / (p_d + ν p_n)` and
    `I = E_d[P g gᵀ]`,

        Σ = I⁻¹ − (1 + 1/ν) I⁻¹ E_d[P g] E_d[P g]ᵀ I⁻¹ .

    Args:
        problem: What is to be estimated.
        ratio: ν.
        points: At which the density of the data is summed.
        weights: `weights @ f(points)` is the expectation of f over the data.
    """
    # A gradient for each point: forward mode, as short, makes torch warn of its own internals.
    score = torch.func.grad(lambda truth, point: problem.log_model(point[None], truth).squeeze(0))
    scores = torch.func.vmap(score, in_dims=(None, 0))(problem.truth, points)
    log_ratio = problem.log_noise(points) - problem.log_model(points, problem.truth)
    of_noise = torch.sigmoid(log_ratio + torch.tensor(float(ratio)).log())
    weighted = (weights * of_noise)[:, None] * scores
    inverse = torch.linalg.inv(scores.T @ weighted)
    mean = inverse @ weighted.sum(dim=0)
    return inverse - (1 + 1 / ratio) * torch.outer(mean, mean)
