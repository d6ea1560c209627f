"""SimSiam: two views of one network, one of them without gradient."""

from typing import cast

from jaxtyping import Float
from torch import Tensor, nn

from nearfar.methods.method import Method
from nearfar.objectives import byol, uniformity
from nearfar.similarity.gathering import gather_rows
from nearfar_example.specs import SimSiamSpec


class SimSiam(Method):
    """SimSiam (Chen and He 2021): BYOL without a target network that follows.

    With a view's prediction p and the other's projection z, all of unit length:

        L = mean over examples of (‖p₁ − z₂‖² + ‖p₂ − z₁‖²) / 2

    which is 2 more than twice their loss. z takes no gradient.

    Args:
        spec: Widths of the heads.
        encoder: A module with `num_features`; trained here, and all that is kept afterwards.
    """

    def __init__(self, spec: SimSiamSpec, encoder: nn.Module) -> None:
        super().__init__()
        self.encoder = encoder
        features, dim = cast(int, encoder.num_features), spec.projection_dim
        self.projector = nn.Sequential(
            *_layer(features, dim),
            *_layer(dim, dim),
            nn.Linear(dim, dim, bias=False),
            nn.BatchNorm1d(dim, affine=False),
        )
        self.predictor = nn.Sequential(
            *_layer(dim, spec.prediction_hidden), nn.Linear(spec.prediction_hidden, dim)
        )
        self.spec = spec
        self._last: Tensor | None = None

    def embed(self, views: tuple[Tensor, ...]) -> tuple[Float[Tensor, "batch dim"], ...]:
        """Both views' predictions, then both views' projections without gradient."""
        self.spec.require_views(len(views))
        projections = [self.projector(self.encoder(view)) for view in views]
        predictions = [self.predictor(each) for each in projections]
        return *predictions, *(each.detach() for each in projections)

    def loss(
        self,
        embedded: tuple[Float[Tensor, "batch dim"], ...],
        labels: Tensor | None = None,  # noqa: ARG002  every method takes them
    ) -> Float[Tensor, ""]:
        """The mean over the examples of all ranks."""
        prediction_1, prediction_2, target_1, target_2 = map(gather_rows, embedded)
        self._last = target_1
        return (byol(prediction_1, target_2) + byol(prediction_2, target_1)) / 2

    @property
    def scalars(self) -> dict[str, float]:
        """`uniformity` of the last projections: 0 where all rows are one, a collapse."""
        return {} if self._last is None else {"uniformity": float(uniformity(self._last))}


def _layer(inputs: int, outputs: int) -> list[nn.Module]:
    return [nn.Linear(inputs, outputs, bias=False), nn.BatchNorm1d(outputs), nn.ReLU(inplace=True)]
