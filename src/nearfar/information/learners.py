"""What is trained for each bound: something to be maximised, and a value in nats to be read."""

from typing import Protocol

from jaxtyping import Float, Int64
from torch import Tensor, nn
from torch.nn import functional as F

from nearfar.estimators.barber_agakov import barber_agakov
from nearfar.estimators.catalogue import BOUNDS, Bound
from nearfar.estimators.donsker_varadhan import updated_log_moving_average
from nearfar.information.critics import JointCritic, Perceptron, SeparableCritic, Side

_MOVING_AVERAGE_RATE = 0.01
"""Weight of a batch in MINE's moving average: about the last hundred batches count."""
_UNLIMITED = [
    BOUNDS[name] for name in ("donsker_varadhan", "mine", "nwj", "tuba", "jensen_shannon")
]
"""Bounds with a mean of exponentials that a few of them can make up."""


class Learner(Protocol):
    """A module that estimates mutual information from batches of true pairs.

    In training mode, calling it may change what it remembers between steps; in eval mode never.
    """

    def objective(self, x: Side, z: Side) -> Tensor:
        """What training maximises."""
        ...

    def estimate(self, x: Side, z: Side) -> Tensor:
        """The estimate that this batch gives, in nats."""
        ...

    def log_weights(self, x: Side, z: Side) -> Tensor | None:
        """Logarithms of the exponentials averaged, summed by sample; None where none are."""
        ...


class BoundLearner(nn.Module):
    """A critic trained for one bound.

    Args:
        bound: The bound.
        critic: Scores the pairs.
        log_baseline: Network of z, for a bound that learns a baseline; else None.
    """

    def __init__(
        self,
        bound: Bound,
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
        if self.bound not in _UNLIMITED:
            return None
        scores = self.critic(x, z)
        baseline = self._baseline(z)
        if baseline is None:
            return scores.unpaired_logsumexp()
        return scores.unpaired_logsumexp_of_keys() - baseline

    def _baseline(self, z: Side) -> Float[Tensor, " n"] | None:
        """Logarithm of the baseline of each z."""
        return None if self.log_baseline is None else self.log_baseline(z).squeeze(-1)


class LabelLearner(nn.Module):
    """A classifier of the label by x, for Barber and Agakov's bound.

    Args:
        classifier: Logits of the labels by x.
        entropy: Of the labels, in nats.
    """

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
