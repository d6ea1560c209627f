"""Networks that score how well an x and a z go together."""

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

from nearfar.estimators.scores import ScoreMatrix, Scores, SeparableScores
from nearfar.information.specs import CriticSpec

Side = Float[Tensor, "n _"] | Int64[Tensor, " n"]
"""One side of the pairs: a row of numbers each, or a label each."""

# Numbers that one hidden layer of a joint critic holds at once: 256 MiB of float32.
_HELD = 2**26


class Standardised(nn.Module):
    """Columns with mean 0 and variance 1 over the samples to learn from; constant ones become 0."""

    def __init__(self, training: Float[Tensor, "n features"]) -> None:
        super().__init__()
        spread, mean = torch.std_mean(training, dim=0)
        self.mean: Tensor
        self.scale: Tensor
        self.register_buffer("mean", mean)
        self.register_buffer("scale", torch.where(spread > 0, 1 / spread, 0.0))
        self.width = training.shape[1]

    def forward(self, rows: Float[Tensor, "n features"]) -> Float[Tensor, "n features"]:
        """Rows in units of the training part."""
        return (rows - self.mean) * self.scale


class OneHot(nn.Module):
    """Labels as rows with a single 1."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.width = classes

    def forward(self, labels: Int64[Tensor, " n"]) -> Float[Tensor, "n classes"]:
        """A row for each label."""
        return F.one_hot(labels, self.width).float()


def side_of(training: Side, classes: int | None) -> Standardised | OneHot:
    """What brings one side of the pairs to a network."""
    return Standardised(training) if classes is None else OneHot(classes)


def _linear(inputs: int, outputs: int, *, bias: bool = True) -> nn.Linear:
    """A linear layer in float32, as the sides are, whatever torch's default type is."""
    return nn.Linear(inputs, outputs, bias=bias, dtype=torch.float32)


class Perceptron(nn.Sequential):
    """One side, then linear layers with ReLU between them."""

    def __init__(self, side: Standardised | OneHot, config: CriticSpec, outputs: int) -> None:
        # No batch-norm: the score of a pair must not depend on the other pairs of its batch.
        layers: list[nn.Module] = [side]
        width = side.width
        for _ in range(config.layers):
            layers += [_linear(width, config.hidden), nn.ReLU()]
            width = config.hidden
        super().__init__(*layers, _linear(width, outputs))


class SeparableCritic(nn.Module):
    """`f(x, z) = g(x) · h(z)`: two networks, N + N evaluations for N² scores."""

    def __init__(
        self, config: CriticSpec, x: Standardised | OneHot, z: Standardised | OneHot
    ) -> None:
        super().__init__()
        self.of_x = Perceptron(x, config, config.embedding_dim)
        self.of_z = Perceptron(z, config, config.embedding_dim)

    def forward(self, x: Side, z: Side) -> Scores:
        """Scores of a batch of true pairs, each x with each z."""
        return SeparableScores(self.of_x(x), self.of_z(z))


class JointCritic(nn.Module):
    """`f(x, z)`, one network of both: N² evaluations for N² scores.

    The first layer is a sum of one of x and one of z, so that both are computed N times only.
    """

    def __init__(
        self, config: CriticSpec, x: Standardised | OneHot, z: Standardised | OneHot
    ) -> None:
        super().__init__()
        self.of_x = nn.Sequential(x, _linear(x.width, config.hidden))
        self.of_z = nn.Sequential(z, _linear(z.width, config.hidden, bias=False))
        layers: list[nn.Module] = [nn.ReLU()]
        for _ in range(config.layers - 1):
            layers += [_linear(config.hidden, config.hidden), nn.ReLU()]
        self.of_both = nn.Sequential(*layers, _linear(config.hidden, 1))
        self._hidden = config.hidden

    def forward(self, x: Side, z: Side) -> Scores:
        """Scores of a batch of true pairs, each x with each z."""
        first, second = self.of_x(x), self.of_z(z)
        blocks = first.split(max(1, _HELD // (len(second) * self._hidden)))
        if len(blocks) == 1:
            return ScoreMatrix(self._of_block(first, second))
        # The backward pass computes a block again instead of keeping all hidden layers.
        held = [checkpoint(self._of_block, block, second, use_reentrant=False) for block in blocks]
        return ScoreMatrix(torch.cat(held))  # pyright: ignore[reportArgumentType]

    def _of_block(
        self, first: Float[Tensor, "rows hidden"], second: Float[Tensor, "n hidden"]
    ) -> Float[Tensor, "rows n"]:
        return self.of_both(first[:, None] + second[None]).squeeze(-1)


def build_critic(
    config: CriticSpec, x: Standardised | OneHot, z: Standardised | OneHot
) -> SeparableCritic | JointCritic:
    """The critic that the settings ask for."""
    kind = {"separable": SeparableCritic, "joint": JointCritic}[config.kind]
    return kind(config, x, z)
