"""Trains one learner on one part of the samples and stops it by another."""

import copy
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Int64
from torch import Tensor

from nearfar.information.learners import BoundLearner, LabelLearner
from nearfar.information.parts import Parts, batches
from nearfar.information.samples import Samples

CHECK_EVERY = 100
"""Steps between two looks at the validation part, fewer where these are few looks."""
_FEWEST_LOOKS = 20
PATIENCE = 10
"""Looks without a better one after which training stops."""


@dataclass(frozen=True)
class Fitted:
    """A learner as it was at its best on the validation part.

    Attributes:
        learner: In eval mode.
        curve: `(step, estimate on the validation part in nats)` of every look, the first untrained.
        steps: Steps taken.
        best_step: The step that the learner is from.
        broke_at: Step at which the objective was no longer finite, which ended training; else None.
    """

    learner: BoundLearner | LabelLearner
    curve: tuple[tuple[int, float], ...]
    steps: int
    best_step: int
    broke_at: int | None


def fit(
    learner: BoundLearner | LabelLearner,
    samples: Samples,
    parts: Parts,
    *,
    batch_size: int,
    max_steps: int,
    learning_rate: float,
    seed: int,
    tell: Callable[[int, float], None],
) -> Fitted:
    """Trains by Adam; the best look at the validation part decides which weights are kept.

    What is compared is the objective, which is smoother than the estimate of some bounds and is
    what a step improves.

    Args:
        learner: Lies, as the samples do, on the device to train on; changed in place.
        samples: All pairs.
        parts: Which pairs are to learn from and which to stop by; the test part is not touched.
        batch_size: Pairs in a step and in a batch of the validation part.
        max_steps: Steps at most.
        learning_rate: Of Adam.
        seed: Decides the order of the pairs.
        tell: Called after each step with its number and the last estimate on validation.
    """
    optimizer = torch.optim.Adam(learner.parameters(), lr=learning_rate)
    order = _endless_order(parts.training, batch_size, seed)
    held_out = batches(parts.validation, batch_size)

    best, value = _look(learner, samples, held_out)
    curve, best_step, best_state = [(0, value)], 0, copy.deepcopy(learner.state_dict())
    step, looks_since_best, broke_at = 0, 0, None
    every = min(CHECK_EVERY, -(-max_steps // _FEWEST_LOOKS))
    while step < max_steps and looks_since_best < PATIENCE:
        step += 1
        chosen = next(order)
        learner.train()
        objective = learner.objective(samples.x[chosen], samples.z[chosen])
        if not bool(objective.isfinite()):
            broke_at = step
            break
        optimizer.zero_grad()
        (-objective).backward()
        optimizer.step()
        if step % every == 0 or step == max_steps:
            reached, value = _look(learner, samples, held_out)
            curve.append((step, value))
            looks_since_best += 1
            if reached > best:
                best, best_step, looks_since_best = reached, step, 0
                best_state = copy.deepcopy(learner.state_dict())
        tell(step, value)
    learner.load_state_dict(best_state)
    return Fitted(learner.eval(), tuple(curve), step, best_step, broke_at)


def estimates_on(
    learner: BoundLearner | LabelLearner,
    samples: Samples,
    held_out: Sequence[Int64[Tensor, " batch"]],
) -> Tensor:
    """The estimate on each of some batches, in float64 on the CPU.

    Args:
        learner: In eval mode.
        samples: All pairs.
        held_out: Indices of each batch.
    """
    with torch.no_grad():
        values = [learner.estimate(samples.x[batch], samples.z[batch]) for batch in held_out]
    return torch.stack(values).double().cpu()


def _look(
    learner: BoundLearner | LabelLearner,
    samples: Samples,
    held_out: Sequence[Int64[Tensor, " batch"]],
) -> tuple[float, float]:
    """Mean objective and mean estimate on the validation part."""
    learner.eval()
    with torch.no_grad():
        objectives = [learner.objective(samples.x[batch], samples.z[batch]) for batch in held_out]
    value = estimates_on(learner, samples, held_out).mean()
    return float(torch.stack(objectives).double().mean()), float(value)


def _endless_order(
    part: Int64[Tensor, " part"], batch_size: int, seed: int
) -> Iterator[Int64[Tensor, " batch"]]:
    """Batches of the part, shuffled anew each time it is used up."""
    generator = torch.Generator().manual_seed(seed)
    while True:
        shuffle = torch.randperm(len(part), generator=generator).to(part.device)
        yield from batches(part[shuffle], batch_size)
