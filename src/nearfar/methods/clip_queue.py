"""CLIP with queues: pairs of earlier steps are negatives too, by slow copies of both encoders."""

from dataclasses import replace
from typing import cast

import torch
import torch.distributed as dist
from jaxtyping import Float
from torch import Tensor, nn

from nearfar.methods.batch_norm import encoded_as_keys
from nearfar.methods.clip import CLIP
from nearfar.methods.clip_spec import CLIPSpec
from nearfar.methods.method import Tower
from nearfar.methods.momentum import follow, frozen_copy
from nearfar.methods.queue import Queue
from nearfar.objectives.info_nce import among_keys_and_queue
from nearfar.objectives.precision import unit_rows
from nearfar.similarity.computing import computing
from nearfar.similarity.gathering import gather_rows

MOMENTUM = 0.995
"""Where none is set: that of Li et al. 2021."""


def build_clip(spec: CLIPSpec, encoder: nn.Module, second_encoder: nn.Module | None = None) -> CLIP:
    """CLIP, with queues where the spec asks for them; arguments as of `CLIP`."""
    kind = QueuedCLIP if spec.queue_size else CLIP
    return kind(spec, encoder, second_encoder)


class QueuedCLIP(CLIP):
    """CLIP's loss among the keys of slow encoders and two queues of them (ALBEF; Li et al. 2021).

    With x and y of the two encoders, k and l what their slow copies make of the same pairs (MoCo's
    momentum encoders, He et al. 2020), all of unit length, s = scale · cosine:

        L = ½ mean_i −log( e^{s(x_i, l_i)} / (Σ_j e^{s(x_i, l_j)} + Σ_q e^{s(x_i, L_q)}) )
          + ½ mean_i −log( e^{s(y_i, k_i)} / (Σ_j e^{s(y_i, k_j)} + Σ_q e^{s(y_i, K_q)}) )

    over the keys of the batch and the filled slots K and L of the queues, into which they go after
    the step. This is ALBEF's image-text contrastive loss without its soft targets. Slow encoders
    keep the rows of many steps comparable, where those of encoders that change at every step
    (cross-batch memory, Wang et al. 2020) would be stale; they cost the memory of a second pair of
    networks, and a forward pass.

    A pair of the data may meet itself in the queue: keep that shorter than the data.

    Args:
        spec: Heads, objective, queue and momentum.
        encoder: As of `CLIP`.
        second_encoder: As of `CLIP`.
    """

    def __init__(
        self, spec: CLIPSpec, encoder: nn.Module, second_encoder: nn.Module | None = None
    ) -> None:
        super().__init__(spec, encoder, second_encoder)
        self.momentum = MOMENTUM if spec.momentum is None else spec.momentum
        self.momentum_encoder = frozen_copy(self.encoder)
        self.momentum_projection = frozen_copy(self.projection)
        self.second_momentum_encoder = frozen_copy(self.second_encoder)
        self.second_momentum_projection = frozen_copy(self.second_projection)
        width = cast(int, self.second_encoder.num_features)
        row = torch.zeros(self.second_head_spec.width(width))
        self.queue = Queue(spec.queue_size, first=row, second=row)

    @property
    def head_followers(self) -> tuple[nn.Module, ...]:
        """The slow copy of the first encoder's head."""
        return (self.momentum_projection,)

    @property
    def second_tower(self) -> Tower:
        """The second encoder and its head, which a slow copy follows."""
        return replace(super().second_tower, head_followers=(self.second_momentum_projection,))

    def embed(self, views: tuple[Tensor, ...]) -> tuple[Float[Tensor, "batch dim"], ...]:
        """Embeddings of both kinds, and their keys, without gradient."""
        first, second = views
        keys = encoded_as_keys((self.momentum_encoder, self.momentum_projection), first)
        slow = self.second_momentum_encoder, self.second_momentum_projection
        return *super().embed(views), keys, encoded_as_keys(slow, second)

    def loss(
        self,
        embedded: tuple[Float[Tensor, "batch dim"], ...],
        labels: Tensor | None = None,  # noqa: ARG002  every method takes them; this one learns without
    ) -> Float[Tensor, ""]:
        """Both directions among the keys of all ranks and the queues; labels are not used."""
        first, second, *keys = map(gather_rows, embedded)
        self._last = first.detach(), second.detach()
        # Queued rows are in full precision: they must not come to that of the batch's own.
        first_keys, second_keys = map(unit_rows, keys)
        self.queue.wait(first=first_keys, second=second_keys)
        scale = self.log_scale.exp()
        with computing(group=dist.group.WORLD):
            of_first = among_keys_and_queue(
                first, second_keys, self.queue.rows("second"), scale=scale
            )
            of_second = among_keys_and_queue(
                second, first_keys, self.queue.rows("first"), scale=scale
            )
        return (of_first + of_second) / 2

    @property
    def scalars(self) -> dict[str, float]:
        """Those of `CLIP`, of the batch alone, and `queue_filled` (0 to 1)."""
        found = super().scalars
        return found and found | {"queue_filled": len(self.queue) / self.queue.size}

    def after_step(self, progress: float) -> None:
        """The scale stays below its largest, the slow encoders move, and keys enter the queues."""
        super().after_step(progress)
        for slow, fast in (
            (self.momentum_encoder, self.encoder),
            (self.momentum_projection, self.projection),
            (self.second_momentum_encoder, self.second_encoder),
            (self.second_momentum_projection, self.second_projection),
        ):
            follow(slow, fast, self.momentum)
        self.queue.let_in()
