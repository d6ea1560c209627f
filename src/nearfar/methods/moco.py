"""MoCo: a query near the key of the same image, far from a queue of earlier keys."""

from typing import cast

import torch
import torch.distributed as dist
from jaxtyping import Float
from torch import Tensor, nn

from nearfar.methods.batch_norm import split_batch_norm
from nearfar.methods.embedding_scalars import shared_information
from nearfar.methods.method import ViewsOfBatch
from nearfar.methods.momentum import frozen_copy
from nearfar.methods.momentum_keys import MomentumKeys
from nearfar.methods.queue import Queue
from nearfar.methods.unlabelled_specs import MoCoSpec
from nearfar.objectives import alignment, info_nce, uniformity
from nearfar.objectives.precision import unit_rows
from nearfar.similarity.computing import computing
from nearfar.similarity.extremes import hardest
from nearfar.similarity.gathering import gather_rows


class MoCo(MomentumKeys):
    """MoCo v1 (He et al. 2020) and v2 (Chen et al. 2020): encoder, momentum encoder, queue.

    With q of the encoder, k⁺ of the momentum encoder on the other view, and the queued keys k_j of
    earlier steps, all of unit length:

        L = mean over queries of −log( exp(q·k⁺/T) / (exp(q·k⁺/T) + Σ_j exp(q·k_j/T)) )

    and, where `symmetric`, the same with the views exchanged, added as its authors' code does. Only
    filled slots of the queue take part, and the keys of a step enter it after the step. With an
    empty queue that loss would be 0 whatever the weights: on the first step the negatives are the
    other keys of the batch, of which the second step's queue is made.

    Keys pass in random order (`encoded_as_keys`) where batch-norm would else give away
    which belong to which query: on several ranks, or with `batch_norm_splits`.

    Args:
        spec: Temperature, head, queue and momentum.
        encoder: A module with `num_features`; trained here, and all that is kept afterwards. With
            `batch_norm_splits` its batch-norm layers are replaced, their weights kept.

    Raises:
        SettingError: There is no batch-norm to split.
    """

    def __init__(self, spec: MoCoSpec, encoder: nn.Module) -> None:
        super().__init__(spec.momentum)
        if spec.batch_norm_splits > 1:
            split_batch_norm(encoder, spec.batch_norm_splits)
        self.encoder = encoder
        num_features = cast(int, encoder.num_features)
        self.head = spec.projection.build(num_features)
        self.momentum_encoder = frozen_copy(self.encoder)
        self.momentum_head = frozen_copy(self.head)
        self.queue = Queue(spec.queue_size, keys=torch.zeros(spec.projection.width(num_features)))
        self.spec = spec
        self._last: tuple[Tensor, Tensor] | None = None

    @property
    def embedding_head(self) -> nn.Module:
        """The head of the queries."""
        return self.head

    @property
    def head_followers(self) -> tuple[nn.Module, ...]:
        """The head of the keys."""
        return (self.momentum_head,)

    def embed(self, views: ViewsOfBatch) -> tuple[Float[Tensor, "batch dim"], ...]:
        """The first view's queries and the second's keys; where symmetric, the reverse as well."""
        self.spec.require_views(len(views))
        first, second = views
        one_way = self.head(self.encoder(first)), self.keys_of(second)
        if not self.spec.symmetric:
            return one_way
        other_way = self.head(self.encoder(second)), self.keys_of(first)
        return *one_way, *other_way

    def loss(
        self,
        embedded: tuple[Float[Tensor, "batch dim"], ...],
        labels: Tensor | None = None,  # noqa: ARG002  every method takes them; this one learns without
    ) -> Float[Tensor, ""]:
        """InfoNCE of all ranks' queries against the queue; labels are not used."""
        gathered = tuple(map(gather_rows, embedded))
        queries, keys = gathered[0::2], gathered[1::2]
        self._last = queries[0].detach(), keys[0]
        self.queue.wait(keys=unit_rows(torch.cat(keys)))
        queued = self.queue.rows("keys")
        negatives = queued if len(queued) else None
        with computing(group=dist.group.WORLD):
            losses = [
                info_nce(query, key, temperature=self.spec.temperature, negatives=negatives)
                for query, key in zip(queries, keys, strict=True)
            ]
        return torch.stack(losses).sum()

    @property
    def scalars(self) -> dict[str, float]:
        """Of the last call's embeddings; computed when read, so that other steps pay nothing.

        Returns:
            `alignment` of queries and keys (0 to 4), `uniformity` of queries (0 down to about −4),
            `nearest_is_positive`, the share of queries (0 to 1) whose most similar key of the batch
            is their own, what `shared_information` says of queries and keys, without the queue, and
            `queue_filled` (0 to 1). Empty before the first call.
        """
        if self._last is None:
            return {}
        queries, keys = map(unit_rows, self._last)
        _, nearest = hardest(queries, keys, largest=True)
        own = torch.arange(len(queries), device=nearest.device)
        return {
            "alignment": float(alignment(queries, keys)),
            "uniformity": float(uniformity(queries)),
            "nearest_is_positive": float((nearest == own).float().mean()),
            **shared_information([(queries, keys)], temperature=self.spec.temperature),
            "queue_filled": len(self.queue) / self.queue.size,
        }
