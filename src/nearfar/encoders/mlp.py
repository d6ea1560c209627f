"""Perceptrons: the backbone of vectors, and the heads between features and what a loss compares."""

from collections.abc import Callable

from jaxtyping import Float
from torch import Tensor, nn


class MLP(nn.Sequential):
    """Layers of one width: linear, batch-norm, ReLU."""

    def __init__(self, *, features: int, width: int, depth: int) -> None:
        layers: list[nn.Module] = []
        for layer in range(depth):
            layers += [
                nn.Linear(width if layer else features, width, bias=False),
                nn.BatchNorm1d(width),
                nn.ReLU(inplace=True),
            ]
        super().__init__(*layers)
        self.num_features = width

    def forward(self, input: Float[Tensor, "batch features"]) -> Float[Tensor, "batch width"]:  # noqa: A002
        """Features of normalised vectors."""
        return super().forward(input)

    def group_matcher(self, coarse: bool = False) -> Callable[[str], int]:  # noqa: ARG002  they are alike
        """How names of parameters make stages and layers, in timm's form: each layer is both."""
        return lambda name: int(name.split(".")[0]) // 3


class ProjectionHead(nn.Sequential):
    """Hidden layers with ReLU, then a linear one; by default as in Chen et al. 2020, section 4.2.

    That is linear, batch-norm, ReLU, linear. Two layers without batch-norm, whose hidden ones have
    a bias, are the head of PaCo's published program; one such, MoCo v2's.

    Args:
        num_features: Width of what it takes.
        hidden: Width of each hidden layer.
        dim: Width of what it gives.
        depth: Hidden layers.
        batch_norm: Batch-norm before each ReLU.
        hidden_bias: Whether hidden layers have a bias of their own.
        bias: Whether the last layer has one.
    """

    def __init__(
        self,
        num_features: int,
        hidden: int,
        dim: int,
        *,
        depth: int = 1,
        batch_norm: bool = True,
        hidden_bias: bool = False,
        bias: bool = True,
    ) -> None:
        layers: list[nn.Module] = []
        for layer in range(depth):
            layers.append(nn.Linear(hidden if layer else num_features, hidden, bias=hidden_bias))
            if batch_norm:
                layers.append(nn.BatchNorm1d(hidden))
            layers.append(nn.ReLU(inplace=True))
        super().__init__(*layers, nn.Linear(hidden, dim, bias=bias))

    def forward(self, input: Float[Tensor, "batch features"]) -> Float[Tensor, "batch dim"]:  # noqa: A002
        """Embeddings of a batch of features, not normalised."""
        return super().forward(input)
