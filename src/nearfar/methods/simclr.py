"""SimCLR: two views of an image near, all other images of the batch far."""

from typing import cast

import torch
import torch.distributed as dist
from jaxtyping import Float
from torch import Tensor, nn

from nearfar.encoders.projection import ProjectionHead
from nearfar.methods.check import check_simclr
from nearfar.methods.config import SimCLRConfig
from nearfar.objectives import alignment, nt_xent, uniformity
from nearfar.similarity.computing import computing
from nearfar.similarity.extremes import hardest
from nearfar.similarity.pairs import Pairs
from nearfar.similarity.ranks import gather_rows

Views = tuple[Float[Tensor, "batch *shape"], ...]


class SimCLR(nn.Module):
    """SimCLR (Chen et al. 2020): encoder, projection head, NT-Xent.

    Args:
        config: Temperature and the head's widths.
        encoder: A module with `num_features`; trained here, and all that is kept afterwards.

    Raises:
        SettingError: A temperature or a width that is not above 0.
    """

    def __init__(self, config: SimCLRConfig, encoder: nn.Module) -> None:
        super().__init__()
        check_simclr(config)
        self.encoder = encoder
        self.projection = ProjectionHead(
            cast(int, encoder.num_features), config.projection_hidden, config.projection_dim
        )
        self.temperature = config.temperature
        self._last: tuple[Tensor, Tensor] | None = None

    def forward(self, views: Views, labels: Tensor | None = None) -> Float[Tensor, ""]:
        """The loss of two normalised views of a batch, in nats; labels are not used."""
        return self.loss(self.embed(views), labels)

    def embed(self, views: Views) -> tuple[Float[Tensor, "batch dim"], ...]:
        """Embeddings of each view, all of which pass the encoder together."""
        return self.projection(self.encoder(torch.cat(views))).chunk(len(views))

    def loss(
        self,
        embedded: tuple[Float[Tensor, "batch dim"], ...],
        labels: Tensor | None = None,  # noqa: ARG002  every method takes them; this one learns without
    ) -> Float[Tensor, ""]:
        """NT-Xent over the batches of all ranks, which share the work; labels are not used."""
        first, second = map(gather_rows, embedded)
        self._last = (first.detach(), second.detach())
        with computing(group=dist.group.WORLD):
            return nt_xent(first, second, temperature=self.temperature)

    @property
    def scalars(self) -> dict[str, float]:
        """Of the last call's embeddings; computed when read, so that other steps pay nothing.

        Returns:
            `alignment` (0 to 4), `uniformity` (0 down to about −4, mean of both views) and
            `nearest_is_positive`, the share of rows (0 to 1) whose nearest row is the other view of
            the same image. Empty before the first call.
        """
        if self._last is None:
            return {}
        first, second = self._last
        with torch.no_grad():
            return {
                "alignment": float(alignment(first, second)),
                "uniformity": float((uniformity(first) + uniformity(second)) / 2),
                "nearest_is_positive": float(_nearest_is_positive(first, second)),
            }

    def after_step(self, progress: float) -> None:
        """SimCLR keeps nothing between steps."""


def _nearest_is_positive(
    first: Float[Tensor, "batch dim"], second: Float[Tensor, "batch dim"]
) -> Float[Tensor, ""]:
    """Share of the 2·batch rows whose most similar other row is their positive."""
    batch = first.shape[0]
    rows = nn.functional.normalize(torch.cat((first, second)).float(), dim=1)
    itself = torch.arange(2 * batch, device=rows.device)
    _, nearest = hardest(rows, rows, pairs=Pairs(apart=(itself, itself)), largest=True)
    return (nearest == itself.roll(batch)).float().mean()
