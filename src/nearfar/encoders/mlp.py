"""A multi-layer perceptron for vectors: tabular rows, or embeddings of another network."""

from jaxtyping import Float
from torch import Tensor, nn


class MLP(nn.Sequential):
    """Layers of one width: linear, batch-norm, ReLU.

    Args:
        features: Of the vectors.
        width: Units of each layer, which is `num_features`.
        depth: Number of layers.
    """

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
