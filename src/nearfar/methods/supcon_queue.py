"""SupCon over MoCo's queue: a query near all of its class, keys of earlier steps among them."""

from typing import Literal, cast

import torch
import torch.distributed as dist
from jaxtyping import Float, Integer
from torch import Tensor, nn

from nearfar.methods.classes import require_labels_of
from nearfar.methods.embedding_scalars import shared_information
from nearfar.methods.labelled_specs import SupConQueueSpec
from nearfar.methods.method import ViewsOfBatch
from nearfar.methods.momentum import frozen_copy
from nearfar.methods.momentum_keys import MomentumKeys
from nearfar.methods.queue import Queue
from nearfar.objectives import alignment, supcon, uniformity
from nearfar.objectives.precision import unit_rows
from nearfar.similarity.computing import computing
from nearfar.similarity.extremes import hardest
from nearfar.similarity.gathering import gather_rows


class SupConQueue(MomentumKeys):
    """Supervised contrast (Khosla et al. 2020) with MoCo's keys and queue (He et al. 2020).

    The first view's embeddings are the queries, and the anchors; the second view's, of a momentum
    encoder, the keys. A query's candidates are all other queries, all keys and the queued keys of
    earlier steps, each with its label, and all of its class are its positives (Cui et al. 2021,
    equation 2): PaCo without the classes' centres. Its own key always is one.

    On several ranks keys pass shuffled (`encoded_as_keys`), and each query sees the queries and
    keys of all. Keys and labels enter the queue after the step.

    Args:
        spec: Temperature, kind, head, queue and momentum.
        encoder: A module with `num_features`; trained here, and all that is kept afterwards.
    """

    def __init__(self, spec: SupConQueueSpec, encoder: nn.Module) -> None:
        super().__init__(spec.momentum)
        num_features = cast(int, encoder.num_features)
        self.encoder = encoder
        self.projection = spec.projection.build(num_features)
        self.momentum_encoder = frozen_copy(self.encoder)
        self.momentum_projection = frozen_copy(self.projection)
        self.queue = Queue(
            spec.queue_size,
            keys=torch.zeros(spec.projection.width(num_features)),
            labels=torch.zeros((), dtype=torch.int64),
        )
        self.spec = spec
        self.kind: Literal["out", "in"] = spec.kind
        self._last: tuple[Tensor, Tensor, Tensor] | None = None

    def embed(self, views: ViewsOfBatch) -> tuple[Float[Tensor, "batch dim"], ...]:
        """The first view's queries and the second's keys."""
        self.spec.require_views(len(views))
        first, second = views
        return self.projection(self.encoder(first)), self.keys_of(second)

    def loss(
        self,
        embedded: tuple[Float[Tensor, "batch dim"], ...],
        labels: Integer[Tensor, " batch"] | None = None,
    ) -> Float[Tensor, ""]:
        """Supervised contrast of all ranks' queries; the ranks share the work."""
        labels = gather_rows(require_labels_of(embedded[0], labels, self.spec.title))
        queries, keys = map(gather_rows, embedded)
        self._last = queries.detach(), keys, labels
        # Queued rows are in full precision: they must not come to that of the batch's own.
        keys = unit_rows(keys)
        self.queue.wait(keys=keys, labels=labels)
        with computing(group=dist.group.WORLD):
            return supcon(
                queries,
                labels,
                keys=torch.cat((keys, self.queue.rows("keys"))),
                key_labels=torch.cat((labels, self.queue.rows("labels"))),
                temperature=self.spec.temperature,
                kind=self.kind,
            )

    @property
    def scalars(self) -> dict[str, float]:
        """Of the last call's embeddings; computed when read, so that other steps pay nothing.

        Returns:
            `alignment` of queries and keys (0 to 4), `uniformity` of queries (0 down to about −4),
            `nearest_is_positive`, the share of queries (0 to 1) whose most similar key of the batch
            is of their class, what `shared_information` says of queries and keys, without the
            queue, and `queue_filled` (0 to 1). Empty before the first call.
        """
        if self._last is None:
            return {}
        queries, keys, labels = self._last
        queries, keys = unit_rows(queries), unit_rows(keys)
        _, nearest = hardest(queries, keys, largest=True)
        return {
            "alignment": float(alignment(queries, keys)),
            "uniformity": float(uniformity(queries)),
            "nearest_is_positive": float((labels[nearest] == labels).float().mean()),
            **shared_information([(queries, keys)], temperature=self.spec.temperature),
            "queue_filled": len(self.queue) / self.queue.size,
        }
