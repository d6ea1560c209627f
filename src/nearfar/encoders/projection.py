"""The head between features and the embeddings that a loss compares; thrown away after training."""

from jaxtyping import Float
from torch import Tensor, nn


class ProjectionHead(nn.Sequential):
    """Linear, batch-norm, ReLU, linear (Chen et al. 2020, section 4.2).

    Args:
        num_features: Width of the encoder's features.
        hidden: Width of the hidden layer.
        dim: Width of the embedding.
    """

    def __init__(self, num_features: int, hidden: int, dim: int) -> None:
        super().__init__(
            nn.Linear(num_features, hidden, bias=False),
            nn.BatchNorm1d(hidden),
            nn.ReLU(inplace=True),
            nn.Linear(hidden, dim),
        )

    def forward(self, input: Float[Tensor, "batch features"]) -> Float[Tensor, "batch dim"]:  # noqa: A002
        """Embeddings of a batch of features, not normalised."""
        return super().forward(input)


class ThreeLayerHead(nn.Sequential):
    """Linear, ReLU, linear, ReLU, linear, without batch-norm (the published program of PaCo).

    Args:
        num_features: Width of the encoder's features.
        hidden: Width of both hidden layers.
        dim: Width of the embedding.
    """

    def __init__(self, num_features: int, hidden: int, dim: int) -> None:
        super().__init__(
            nn.Linear(num_features, hidden),
            nn.ReLU(inplace=True),
            nn.Linear(hidden, hidden),
            nn.ReLU(inplace=True),
            nn.Linear(hidden, dim),
        )

    def forward(self, input: Float[Tensor, "batch features"]) -> Float[Tensor, "batch dim"]:  # noqa: A002
        """Embeddings of a batch of features, not normalised."""
        return super().forward(input)
