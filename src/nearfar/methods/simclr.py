"""SimCLR: views of an image near, all other images of the batch far, by any pairwise objective."""

from itertools import combinations
from typing import cast

import torch
import torch.distributed as dist
from jaxtyping import Float, Integer
from torch import Tensor, nn

from nearfar.methods.embedding_scalars import nearest_is_of_own_group, shared_information
from nearfar.methods.method import Method, ViewsOfBatch
from nearfar.methods.unlabelled_specs import SimCLRSpec
from nearfar.objectives import alignment, uniformity
from nearfar.similarity.computing import computing
from nearfar.similarity.gathering import gather_rows


class SimCLR(Method):
    """SimCLR (Chen et al. 2020): encoder, projection head, an objective over pairs of views."""

    def __init__(self, spec: SimCLRSpec, encoder: nn.Module) -> None:
        super().__init__()
        self.encoder = encoder
        self.projection = spec.projection.build(cast(int, encoder.num_features))
        self.objective = spec.objective.build()
        self._last: tuple[Tensor, ...] | None = None

    @property
    def embedding_head(self) -> nn.Module:
        """The projection head."""
        return self.projection

    def embed(self, views: ViewsOfBatch) -> tuple[Float[Tensor, "batch dim"], ...]:
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
