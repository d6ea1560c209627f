"""Objectives over two or more views of each example, as their specs name them."""

import math
from collections.abc import Callable, Sequence
from itertools import combinations
from typing import Any

import torch
from jaxtyping import Float, Integer
from torch import Tensor, nn

from nearfar.errors import NearfarError
from nearfar.methods.objective_specs import ObjectiveSpec
from nearfar.objectives import batch_hard_triplet, sigmoid
from nearfar.plugins import imported
from nearfar.spec import settings_of

Embeddings = Sequence[Float[Tensor, "batch dim"]]


def over_pairs(objective: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """The mean of an objective of two views over all pairs of views, the earlier view first.

    Args:
        objective: Called as `objective(first, second, **settings)`.

    Returns:
        Called as `objective(views, **settings)`.
    """

    def over_all_pairs(views: Embeddings, **settings: Any) -> Float[Tensor, ""]:
        pairs = combinations(views, 2)
        return torch.stack([objective(*pair, **settings) for pair in pairs]).mean()

    return over_all_pairs


def triplet_of_views(views: Embeddings, *, margin: float = 1.0) -> Float[Tensor, ""]:
    """Batch-hard triplets whose classes are the examples.

    An anchor's positive is the farthest other view of its example, its negative the nearest view of
    another.

    Args:
        views: Two or more views of the same examples; row i of each is of example i.
        margin: As for `batch_hard_triplet`.
    """
    examples = torch.arange(len(views[0]), device=views[0].device).repeat(len(views))
    return batch_hard_triplet(torch.cat(tuple(views)), examples, margin=margin)


class PairwiseObjective(nn.Module):
    """The function that a spec names, with its settings."""

    def __init__(self, spec: ObjectiveSpec) -> None:
        super().__init__()
        function = imported(spec.function)
        self.function = function if spec.of_all_views else over_pairs(function)
        self.settings = settings_of(spec)
        self.drop_false_negatives = self.settings.pop("drop_false_negatives", "no")
        self.critic_temperature = spec.critic_temperature

    def forward(
        self, views: Embeddings, labels: Integer[Tensor, " batch"] | None = None
    ) -> Float[Tensor, ""]:
        """The loss of two or more views of the same examples.

        Args:
            views: Row i of each is of example i.
            labels: Of the examples; read only where false negatives are dropped.
        """
        if self.drop_false_negatives == "no":
            return self.function(views, **self.settings)
        if labels is None:
            raise NearfarError("dropping false negatives needs labels, and the batch has none")
        rescale = self.drop_false_negatives == "rescaled"
        return self.function(views, **self.settings, labels=labels, rescale=rescale)


class LearntSigmoid(nn.Module):
    """`sigmoid` with a scale and a bias that are learnt."""

    def __init__(self, spec: ObjectiveSpec) -> None:  # noqa: ARG002  all are built alike
        super().__init__()
        # Where the authors begin (Zhai et al. 2023, section 3.2).
        self.log_scale = nn.Parameter(torch.tensor(math.log(10.0)))
        self.bias = nn.Parameter(torch.tensor(-10.0))

    @property
    def critic_temperature(self) -> float:
        """What cosines are divided by now."""
        return float((-self.log_scale.detach()).exp())

    def forward(
        self,
        views: Embeddings,
        labels: Integer[Tensor, " batch"] | None = None,  # noqa: ARG002  all are called alike
    ) -> Float[Tensor, ""]:
        """The mean over all pairs of views; labels are not used."""
        return over_pairs(sigmoid)(views, scale=self.log_scale.exp(), bias=self.bias)
