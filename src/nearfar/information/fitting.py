"""What is trained for each bound, on one part of the samples, and stopped by another."""

import copy
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn
from torch.nn import functional as F

from nearfar.estimators.barber_agakov import barber_agakov
from nearfar.estimators.donsker_varadhan import updated_log_moving_average
from nearfar.estimators.specs import CriticBoundSpec
from nearfar.information.critics import JointCritic, Perceptron, SeparableCritic, Side
from nearfar.information.samples import Parts, Samples, batches

_MOVING_AVERAGE_RATE = 0.01
"""Weight of a batch in MINE's moving average: about the last hundred batches count."""


class BoundLearner(nn.Module):
    """A critic trained for one bound."""

    def __init__(
        self,
        bound: CriticBoundSpec,
        critic: SeparableCritic | JointCritic,
        log_baseline: Perceptron | None,
    ) -> None:
        super().__init__()
        self.bound = bound
        self.critic = critic
        self.log_baseline = log_baseline
        self._log_moving_average: Tensor | None = None

    def objective(self, x: Side, z: Side) -> Float[Tensor, ""]:
        """What training maximises; in training mode, MINE's moving average takes the batch in."""
        scores = self.critic(x, z)
        average = self._log_moving_average
        if self.bound.needs_moving_average and (self.training or average is None):
            average = updated_log_moving_average(average, scores, _MOVING_AVERAGE_RATE)
        if self.training:
            self._log_moving_average = average
        return self.bound.objective(scores, self._baseline(z), average)

    def estimate(self, x: Side, z: Side) -> Float[Tensor, ""]:
        """The bound on this batch, in nats."""
        return self.bound.estimate(self.critic(x, z), self._baseline(z))

    def log_weights(self, x: Side, z: Side) -> Float[Tensor, " n"] | None:
        """Logarithm of each sample's share in the mean of exponentials, up to a constant.

        `Σ_{j≠i} e^{f_ij}` of each x, or of each z in units of its baseline; None for bounds whose
        exponentials are limited by the batch or clipped.
        """
        if not self.bound.averages_exponentials:
            return None
        scores = self.critic(x, z)
        baseline = self._baseline(z)
        if baseline is None:
            return scores.unpaired_logsumexp()
        return scores.unpaired_logsumexp_of_keys() - baseline

    def _baseline(self, z: Side) -> Float[Tensor, " n"] | None:
        return None if self.log_baseline is None else self.log_baseline(z).squeeze(-1)


class LabelLearner(nn.Module):
    """A classifier of the label by x, for Barber and Agakov's bound."""

    def __init__(self, classifier: Perceptron, entropy: float) -> None:
        super().__init__()
        self.classifier = classifier
        self._entropy = entropy

    def objective(self, x: Side, z: Int64[Tensor, " n"]) -> Float[Tensor, ""]:
        """The bound itself: its gradient is that of the cross-entropy."""
        losses = F.cross_entropy(self.classifier(x), z, reduction="none")
        return barber_agakov(-losses, self._entropy)

    def estimate(self, x: Side, z: Int64[Tensor, " n"]) -> Float[Tensor, ""]:
        """`H(Z) − cross-entropy` on this batch, in nats."""
        return self.objective(x, z)

    def log_weights(self, x: Side, z: Int64[Tensor, " n"]) -> None:
        """A classifier averages no exponential."""


Learner = BoundLearner | LabelLearner

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

    learner: Learner
    curve: tuple[tuple[int, float], ...]
    steps: int
    best_step: int
    broke_at: int | None


def fit(
    learner: Learner,
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
    learner: Learner,
    samples: Samples,
    held_out: Sequence[Int64[Tensor, " batch"]],
) -> Tensor:
    """The estimate on each of some batches, in float64 on the CPU."""
    with torch.no_grad():
        values = [learner.estimate(samples.x[batch], samples.z[batch]) for batch in held_out]
    return torch.stack(values).double().cpu()


def _look(
    learner: Learner,
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
