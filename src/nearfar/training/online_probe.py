"""A linear classifier that learns beside a run, on features that take no gradient from it."""

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

from nearfar.methods.method import Method
from nearfar.training.generators import OwnDraws
from nearfar.training.hardware import Hardware

MOST_ROWS = 256
"""Examples of a batch that it learns from at most."""
RATE, MOMENTUM, DECAY = 0.1, 0.9, 1e-4


class OnlineProbe(nn.Module):
    """Softmax regression by SGD with momentum on features of mean 0 and deviation 1.

    All that it remembers is in parameters and buffers, so that a checkpoint holds it.

    Args:
        num_features: Columns of the features.
        classes: How many there are.
    """

    weight: Tensor
    velocity: Tensor
    right: Tensor

    def __init__(self, num_features: int, classes: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(num_features, affine=False)
        # Weights, the bias last; moved by hand, for the run's optimiser must not know of it.
        self.register_buffer("weight", torch.zeros(classes, num_features + 1))
        self.register_buffer("velocity", torch.zeros(classes, num_features + 1))
        self.register_buffer("right", torch.zeros(2))

    @torch.no_grad()
    def step(self, features: Float[Tensor, "n num_features"], labels: Int64[Tensor, " n"]) -> None:
        """Learn from some examples, and count what it answered right before.

        Args:
            features: Detached.
            labels: Their classes.
        """
        self.norm.train()
        rows = self._rows(features)
        shares = torch.softmax(rows @ self.weight.T, dim=1)
        hits = (shares.argmax(dim=1) == labels).sum()
        self.right += torch.stack([hits, torch.full_like(hits, len(labels))])
        error = shares
        error[torch.arange(len(labels), device=labels.device), labels] -= 1
        gradient = error.T @ rows / len(labels) + DECAY * self.weight
        self.velocity.mul_(MOMENTUM).add_(gradient)
        self.weight.sub_(RATE * self.velocity)

    @torch.no_grad()
    def shares(self, features: Float[Tensor, "n num_features"]) -> Float[Tensor, "n classes"]:
        """The probability of every class, on the features' device."""
        self.norm.eval()
        device = features.device
        return torch.softmax(self._rows(features.to(self.weight.device)) @ self.weight.T, dim=1).to(
            device
        )

    def take_answers(self) -> Float[Tensor, " 2"]:
        """How many answers were right, and how many there were, since this was last asked.

        Each was given before it was learnt from. The tensor is on the device.
        """
        answers = self.right.clone()
        self.right.zero_()
        return answers

    def _rows(self, features: Tensor) -> Tensor:
        """Normalised features, with a one for the bias."""
        rows = self.norm(features.float())
        return torch.cat([rows, rows.new_ones(len(rows), 1)], dim=1)


def learn_beside(
    probe: OnlineProbe, method: Method, view: Tensor, labels: Tensor, hardware: Hardware
) -> None:
    """Let the probe learn from one view of a batch; nothing of the method changes.

    The encoder is in evaluation mode, as those see it who use it.

    Args:
        probe: What learns.
        method: Its encoder gives the features.
        view: Normalised.
        labels: Of the batch.
        hardware: Of the run.
    """
    device = hardware.device
    training = [(module, module.training) for module in method.encoder.modules()]
    method.encoder.eval()
    try:
        with (
            OwnDraws(0, device),
            torch.no_grad(),
            hardware.autocast,
        ):
            features = method.encoder(view[:MOST_ROWS])
    finally:
        for module, flag in training:
            module.training = flag
    probe.step(features.float().flatten(1), labels[:MOST_ROWS])
