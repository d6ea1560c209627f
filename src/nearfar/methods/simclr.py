"""SimCLR: views of an image near, all other images of the batch far, by any pairwise objective."""

from itertools import combinations
from typing import cast

import torch
import torch.distributed as dist
from jaxtyping import Float, Integer
from torch import Tensor, nn

from nearfar.encoders.projection import ProjectionHead
from nearfar.methods.check import check_simclr
from nearfar.methods.config import SimCLRConfig
from nearfar.methods.nearest import nearest_is_of_own_group
from nearfar.methods.pairwise import PairwiseObjective
from nearfar.methods.shared_information import shared_information
from nearfar.objectives import alignment, uniformity
from nearfar.similarity.computing import computing
from nearfar.similarity.ranks import gather_rows

Views = tuple[Float[Tensor, "batch *shape"], ...]


class SimCLR(nn.Module):
    """SimCLR (Chen et al. 2020): encoder, projection head, NT-Xent or another pairwise objective.

    Args:
        config: The objective with its settings, and the head's widths.
        encoder: A module with `num_features`; trained here, and all that is kept afterwards.

    Raises:
        SettingError: A setting that is impossible, or that the objective does not have.
    """

    def __init__(self, config: SimCLRConfig, encoder: nn.Module) -> None:
        super().__init__()
        check_simclr(config)
        self.encoder = encoder
        num_features = cast(int, encoder.num_features)
        self.projection = (
            nn.Linear(num_features, config.projection_dim)
            if config.projection_hidden is None
            else ProjectionHead(num_features, config.projection_hidden, config.projection_dim)
        )
        self.objective = PairwiseObjective(config)
        self._last: tuple[Tensor, ...] | None = None

    def forward(
        self, views: Views, labels: Integer[Tensor, " batch"] | None = None
    ) -> Float[Tensor, ""]:
        """The loss of two or more normalised views of a batch.

        Args:
            views: Of each, row i is of example i.
            labels: Read only where false negatives are dropped.
        """
        return self.loss(self.embed(views), labels)

    def embed(self, views: Views) -> tuple[Float[Tensor, "batch dim"], ...]:
        """Embeddings of each view, all of which pass the encoder together."""
        return self.projection(self.encoder(torch.cat(views))).chunk(len(views))

    def loss(
        self,
        embedded: tuple[Float[Tensor, "batch dim"], ...],
        labels: Integer[Tensor, " batch"] | None = None,
    ) -> Float[Tensor, ""]:
        """The objective over the batches of all ranks, which share the work."""
        views = tuple(map(gather_rows, embedded))
        labels = None if labels is None else gather_rows(labels)
        self._last = tuple(view.detach() for view in views)
        with computing(group=dist.group.WORLD):
            return self.objective(views, labels)

    @property
    def scalars(self) -> dict[str, float]:
        """Of the last call's embeddings; computed when read, so that other steps pay nothing.

        Returns:
            `alignment` (0 to 4, mean of all pairs of views), `uniformity` (0 down to about −4, mean
            of all views), `nearest_is_positive`, the share of rows (0 to 1) whose nearest row is
            another view of the same image, and what `shared_information` says of all pairs of
            views, with the objective's own critic. Empty before the first call.
        """
        if self._last is None:
            return {}
        views = self._last
        examples = torch.arange(len(views[0]), device=views[0].device).repeat(len(views))
        with torch.no_grad():
            pairs = list(combinations(views, 2))
            alignments = [alignment(*pair) for pair in pairs]
            uniformities = [uniformity(view) for view in views]
            return {
                "alignment": float(torch.stack(alignments).mean()),
                "uniformity": float(torch.stack(uniformities).mean()),
                "nearest_is_positive": float(nearest_is_of_own_group(torch.cat(views), examples)),
                **shared_information(pairs, temperature=self.objective.critic_temperature),
            }

    def after_step(self, progress: float) -> None:
        """SimCLR keeps nothing between steps."""
