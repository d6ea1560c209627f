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
    """Linear, batch-norm, ReLU, linear (Chen et al. 2020, section 4.2)."""

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
    """Linear, ReLU, linear, ReLU, linear, without batch-norm (the published program of PaCo)."""

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
