"""Cross-entropy and balanced softmax: the supervised baselines of the methods with labels."""

from typing import cast

import torch
from jaxtyping import Float, Int64, Integer
from torch import Tensor, nn

from nearfar.methods.classes import build_classifier, require_labels_of
from nearfar.methods.labelled_specs import BalancedSoftmaxSpec, CrossEntropySpec
from nearfar.methods.method import Method, ViewsOfBatch
from nearfar.objectives import balanced_softmax
from nearfar.objectives.precision import in_full_precision
from nearfar.similarity.gathering import gather_rows


class CrossEntropy(Method):
    """A linear classifier on the encoder's features, both trained from labels.

    Every view of an image is an example with the image's label: the encoder sees as many augmented
    images a step as under a contrastive method with the same settings, which makes the two
    comparable at equal work. With class counts, the loss is that of balanced softmax (Ren et al.
    2020): `log n_c` is added to the logits, in training alone. Predictions are the plain logits'.

    Args:
        spec: Which of the two.
        encoder: A module with `num_features`.
        class_counts: Training examples of each class. A class without any is never predicted.
    """

    class_counts: Tensor

    def __init__(
        self,
        spec: CrossEntropySpec | BalancedSoftmaxSpec,
        encoder: nn.Module,
        class_counts: Int64[Tensor, " classes"],
    ) -> None:
        super().__init__()
        self.encoder = encoder
        self.classifier = build_classifier(cast(int, encoder.num_features), class_counts)
        self.balanced = isinstance(spec, BalancedSoftmaxSpec)
        # Not state: they are the data's, and are counted again when a run goes on.
        self.register_buffer("class_counts", class_counts.clone(), persistent=False)
        self._last: tuple[Tensor, Tensor] | None = None

    def embed(self, views: ViewsOfBatch) -> tuple[Float[Tensor, "batch classes"], ...]:
        """Logits of each view, all of which pass the encoder together."""
        return self.classifier(self.encoder(torch.cat(views))).chunk(len(views))

    def loss(
        self,
        embedded: tuple[Float[Tensor, "batch classes"], ...],
        labels: Integer[Tensor, " batch"] | None = None,
    ) -> Float[Tensor, ""]:
        """Mean over all views of the batches of all ranks.

        Raises:
            NearfarError: There is not one class number for each example, or a label names a class
                that is not there, or had no example when they were counted (balanced softmax).
        """
        classes = len(self.class_counts)
        labels = gather_rows(require_labels_of(embedded[0], labels, "cross-entropy", classes))
        labels = labels.repeat_interleave(len(embedded))
        logits = gather_rows(torch.stack(embedded, dim=1)).flatten(0, 1)
        self._last = (logits.detach(), labels)
        if self.balanced:
            return balanced_softmax(logits, labels, self.class_counts)
        return nn.functional.cross_entropy(in_full_precision(logits), labels)

    @property
    def scalars(self) -> dict[str, float]:
        """`accuracy` of the last batch's views by their plain logits, 0 to 1, as it was trained on.

        Empty before the first call.
        """
        if self._last is None:
            return {}
        logits, labels = self._last
        return {"accuracy": float((logits.argmax(dim=1) == labels).float().mean())}
