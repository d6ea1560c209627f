"""SupCon: views of all images of a class near, those of other classes far."""

from typing import Literal, cast

import torch
import torch.distributed as dist
from jaxtyping import Float, Integer
from torch import Tensor, nn

from nearfar.methods.classes import require_labels_of
from nearfar.methods.embedding_scalars import nearest_is_of_own_group, shared_information
from nearfar.methods.labelled_specs import SupConSpec
from nearfar.methods.method import Method, ViewsOfBatch
from nearfar.objectives import alignment, supcon, uniformity
from nearfar.similarity.computing import computing
from nearfar.similarity.gathering import gather_rows


class SupCon(Method):
    """SupCon (Khosla et al. 2020), its first stage: encoder, projection head, supervised contrast.

    Every view of every image of an anchor's class is its positive; with V views an anchor has V − 1
    of them at least, so no batch is without. The second stage, a linear classifier on the encoder
    with its weights held, is what the evaluation's linear probe fits to the run's features.
    """

    def __init__(self, spec: SupConSpec, encoder: nn.Module) -> None:
        super().__init__()
        self.encoder = encoder
        self.projection = spec.projection.build(cast(int, encoder.num_features))
        self.temperature = spec.temperature
        self.kind: Literal["out", "in"] = spec.kind
        self._last: tuple[Tensor, Tensor] | None = None

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
        """Supervised contrast of all views of the batches of all ranks, which share the work."""
        labels = gather_rows(require_labels_of(embedded[0], labels, "SupCon"))
        rows = gather_rows(torch.stack(embedded, dim=1))
        self._last = (rows.detach(), labels)
        with computing(group=dist.group.WORLD):
            return supcon(
                rows.flatten(0, 1),
                labels.repeat_interleave(len(embedded)),
                temperature=self.temperature,
                kind=self.kind,
            )

    @property
    def scalars(self) -> dict[str, float]:
        """Of the last call's embeddings; computed when read, so that other steps pay nothing.

        Returns:
            `alignment` (0 to 4, of the first two views), `uniformity` (0 down to about −4, of the
            first view), `nearest_is_positive`, the share of rows (0 to 1) whose nearest other row,
            of any view, is of their class, and what `shared_information` says of the first two
            views. Empty before the first call.
        """
        if self._last is None:
            return {}
        rows, labels = self._last
        classes = labels.repeat_interleave(rows.shape[1])
        with torch.no_grad():
            return {
                "alignment": float(alignment(rows[:, 0], rows[:, 1])),
                "uniformity": float(uniformity(rows[:, 0])),
                "nearest_is_positive": float(nearest_is_of_own_group(rows.flatten(0, 1), classes)),
                **shared_information([(rows[:, 0], rows[:, 1])], temperature=self.temperature),
            }
