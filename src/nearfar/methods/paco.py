"""PaCo: supervised contrast with a queue, in which every class has a learned centre too."""

from typing import Literal, cast

import torch
import torch.distributed as dist
from jaxtyping import Float, Int64, Integer
from torch import Tensor, nn

from nearfar.methods.classes import build_classifier, require_labels_of
from nearfar.methods.embedding_scalars import shared_information
from nearfar.methods.labelled_specs import PaCoSpec
from nearfar.methods.method import ViewsOfBatch
from nearfar.methods.momentum import frozen_copy
from nearfar.methods.momentum_keys import MomentumKeys
from nearfar.methods.queue import Queue
from nearfar.objectives import alignment, paco
from nearfar.objectives.precision import unit_rows
from nearfar.similarity.computing import computing
from nearfar.similarity.gathering import gather_rows


class PaCo(MomentumKeys):
    """Parametric contrastive learning (Cui et al. 2021), for classes of unequal sizes.

    With F the encoder and G the encoder with its projection head, the first view's G(x) are the
    queries, and the second view's, of a momentum encoder, the keys. A query's candidates are all
    other queries, all keys and the queued keys of earlier steps, each with its label, and the
    classes' centres: one linear layer with bias on F(x), which is also the classifier. What a pair
    weighs, and how classes' shares enter, `nearfar.objectives.paco` says. Predictions are the plain
    logits of the centres.

    Queries alone are anchors, as in the paper and its published program, and on several ranks keys
    pass shuffled (`encoded_as_keys`), as in the program. Different from it: the momentum encoder
    moves and keys enter the queue after a step, not within it; the queue begins empty, not with
    random rows; and each query sees the queries and keys of all ranks, not only its own rank's.

    Args:
        spec: Temperature, weights, head, queue and momentum.
        encoder: A module with `num_features`; trained here, and kept with the classifier.
        class_counts: Training examples of each class. A class without any has no centre in the
            loss and is never predicted.
    """

    class_counts: Tensor

    def __init__(
        self,
        spec: PaCoSpec,
        encoder: nn.Module,
        class_counts: Int64[Tensor, " classes"],
    ) -> None:
        super().__init__(spec.momentum)
        num_features = cast(int, encoder.num_features)
        self.encoder = encoder
        self.projection = spec.projection.build(num_features)
        self.classifier = build_classifier(num_features, class_counts)
        self.momentum_encoder = frozen_copy(self.encoder)
        self.momentum_projection = frozen_copy(self.projection)
        self.queue = Queue(
            spec.queue_size,
            keys=torch.zeros(spec.projection.width(num_features)),
            labels=torch.zeros((), dtype=torch.int64),
        )
        # Not state: they are the data's, and are counted again when a run goes on.
        self.register_buffer("class_counts", class_counts.clone(), persistent=False)
        self.spec = spec
        self.normalisation: Literal["sum", "mean"] = spec.normalisation
        self._last: tuple[Tensor, Tensor, Tensor, Tensor] | None = None

    def embed(self, views: ViewsOfBatch) -> tuple[Float[Tensor, "batch _"], ...]:
        """The first view's queries, the second's keys, and the centres' logits of the first."""
        self.spec.require_views(len(views))
        first, second = views
        features = self.encoder(first)
        queries = self.projection(features)
        return queries, self.keys_of(second), self.classifier(features)

    def loss(
        self,
        embedded: tuple[Float[Tensor, "batch _"], ...],
        labels: Integer[Tensor, " batch"] | None = None,
    ) -> Float[Tensor, ""]:
        """PaCo of all ranks' queries; the ranks share the work."""
        labels = gather_rows(require_labels_of(embedded[0], labels, "PaCo", len(self.class_counts)))
        queries, keys, logits = map(gather_rows, embedded)
        self._last = queries.detach(), keys, logits.detach(), labels
        self.queue.wait(keys=unit_rows(keys), labels=labels)
        with computing(group=dist.group.WORLD):
            return paco(
                queries,
                keys,
                labels,
                logits,
                queue=self.queue.rows("keys"),
                queue_labels=self.queue.rows("labels"),
                class_counts=self.class_counts,
                alpha=self.spec.alpha,
                temperature=self.spec.temperature,
                normalisation=self.normalisation,
            )

    @property
    def scalars(self) -> dict[str, float]:
        """Of the last call; computed when read, so that other steps pay nothing.

        Returns:
            `accuracy` of the queries by the centres' plain logits (0 to 1, as they were trained
            on), `alignment` of queries and keys (0 to 4), what `shared_information` says of them,
            and `queue_filled` (0 to 1). Empty before the first call.
        """
        if self._last is None:
            return {}
        queries, keys, logits, labels = self._last
        return {
            "accuracy": float((logits.argmax(dim=1) == labels).float().mean()),
            "alignment": float(alignment(queries, keys)),
            **shared_information([(queries, keys)], temperature=self.spec.temperature),
            "queue_filled": len(self.queue) / self.queue.size,
        }
