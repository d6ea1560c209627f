"""BYOL: predict what a slowly following target network says of the other view."""

from typing import cast

import torch
from jaxtyping import Float
from torch import Tensor, nn

from nearfar.methods.method import Method, ViewsOfBatch
from nearfar.methods.momentum import follow, frozen_copy, rising_momentum
from nearfar.methods.unlabelled_specs import BYOLSpec
from nearfar.objectives import byol, uniformity
from nearfar.similarity.gathering import gather_rows


class BYOL(Method):
    """BYOL (Grill et al. 2020): encoder, projector, predictor, and a target network.

    With the online network's prediction p and the target network's projection z, all of unit
    length, of views 1 and 2:

        L = mean over images of ‖p₁ − z₂‖² + ‖p₂ − z₁‖²

    without gradient to the target, whose weights follow the online network's at a momentum that
    rises to 1 (`rising_momentum`). Projector and predictor are linear, batch-norm, ReLU, linear.
    Each view passes both networks by itself, and the target's batch-norm normalises by the batch,
    as the online network's does.
    """

    def __init__(self, spec: BYOLSpec, encoder: nn.Module) -> None:
        super().__init__()
        self.encoder = encoder
        num_features = cast(int, encoder.num_features)
        self.projector = spec.projection.build(num_features)
        self.predictor = spec.prediction(num_features).build(spec.projection.width(num_features))
        self.target_encoder = frozen_copy(self.encoder)
        self.target_projector = frozen_copy(self.projector)
        self.spec = spec
        self._last: tuple[Tensor, Tensor] | None = None

    @property
    def embedding_head(self) -> nn.Module:
        """The projector."""
        return self.projector

    @property
    def head_followers(self) -> tuple[nn.Module, ...]:
        """The target's projector."""
        return (self.target_projector,)

    def embed(self, views: ViewsOfBatch) -> tuple[Float[Tensor, "batch dim"], ...]:
        """Both views' predictions, then both views' targets."""
        self.spec.require_views(len(views))
        predictions = [self.predictor(self.projector(self.encoder(view))) for view in views]
        with torch.no_grad():
            targets = [self.target_projector(self.target_encoder(view)) for view in views]
        return *predictions, *targets

    def loss(
        self,
        embedded: tuple[Float[Tensor, "batch dim"], ...],
        labels: Tensor | None = None,  # noqa: ARG002  every method takes them; this one learns without
    ) -> Float[Tensor, ""]:
        """Both distances, added; the mean is over the images of all ranks."""
        prediction_1, prediction_2, target_1, target_2 = map(gather_rows, embedded)
        self._last = prediction_1.detach(), target_2
        return byol(prediction_1, target_2) + byol(prediction_2, target_1)

    @property
    def scalars(self) -> dict[str, float]:
        """Of the last call's embeddings; computed when read.

        Returns:
            `uniformity` of predictions and `target_uniformity` of targets, 0 down to about −4: at 0
            all rows are one, and the networks have collapsed. Empty before the first call.
        """
        if self._last is None:
            return {}
        predictions, targets = self._last
        return {
            "uniformity": float(uniformity(predictions)),
            "target_uniformity": float(uniformity(targets)),
        }

    def after_step(self, progress: float) -> None:
        """The target moves."""
        momentum = rising_momentum(self.spec.momentum, progress)
        follow(self.target_encoder, self.encoder, momentum)
        follow(self.target_projector, self.projector, momentum)
