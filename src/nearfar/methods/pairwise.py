"""Objectives over two or more views of each example, by name.

Some take all views as they are. The others compare two views, and their value is the mean over all
pairs of views.
"""

import inspect
import math
from collections.abc import Callable, Sequence
from itertools import combinations
from typing import Any

import torch
from jaxtyping import Float, Integer
from torch import Tensor, nn

from nearfar.errors import NearfarError
from nearfar.methods.config import SimCLRConfig
from nearfar.methods.pairwise_options import options_of
from nearfar.objectives import (
    align_uniform,
    barlow_twins,
    batch_hard_triplet,
    debiased_neg,
    debiased_pos,
    decoupled,
    info_nce,
    n_pair,
    nt_xent,
    sigmoid,
    vicreg,
)

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


OBJECTIVES: dict[str, Callable[..., Tensor]] = {
    "nt_xent": over_pairs(nt_xent),
    "debiased_neg": debiased_neg,
    "debiased_pos": debiased_pos,
    "decoupled": over_pairs(decoupled),
    "align_uniform": over_pairs(align_uniform),
    "triplet": triplet_of_views,
    "n_pair": over_pairs(n_pair),
    "vicreg": over_pairs(vicreg),
    "barlow_twins": over_pairs(barlow_twins),
    "sigmoid": over_pairs(sigmoid),
}
"""Called as `objective(views, **settings)`, with the settings that `OPTIONS` names."""


_OF_TEMPERATURE: dict[str, Callable[..., Tensor]] = {
    "nt_xent": nt_xent,
    "debiased_neg": debiased_neg,
    "debiased_pos": debiased_pos,
    "decoupled": decoupled,
}


class PairwiseObjective(nn.Module):
    """The objective that a run names, with its settings and, for sigmoid, what it learns itself.

    Args:
        config: Checked by `check_pairwise`.
    """

    def __init__(self, config: SimCLRConfig) -> None:
        super().__init__()
        self.name = config.objective
        self.settings = options_of(config)
        self.drop_false_negatives = config.drop_false_negatives
        if self.name == "sigmoid":
            # Where the authors begin (Zhai et al. 2023, section 3.2).
            self.log_scale = nn.Parameter(torch.tensor(math.log(10.0)))
            self.bias = nn.Parameter(torch.tensor(-10.0))

    @property
    def critic_temperature(self) -> float | None:
        """What the objective divides cosines by, as a critic of pairs; None: raw dot products.

        Of align_uniform it is `1/(2t)`, because `e^{−t‖x − y‖²}` is `e^{2t cosine}` but for a
        constant. triplet, vicreg and barlow_twins have no such critic and are judged with
        `info_nce`'s default.
        """
        if self.name == "n_pair":
            return None
        if self.name == "sigmoid":
            return float((-self.log_scale.detach()).exp())
        if self.name == "align_uniform":
            return 1 / (2 * float(self.settings.get("t", _default(align_uniform, "t"))))
        owner = _OF_TEMPERATURE.get(self.name, info_nce)
        return float(self.settings.get("temperature", _default(owner, "temperature")))

    def forward(
        self, views: Embeddings, labels: Integer[Tensor, " batch"] | None = None
    ) -> Float[Tensor, ""]:
        """The loss of two or more views of the same examples.

        Args:
            views: Row i of each is of example i.
            labels: Of the examples; read only where false negatives are dropped.

        Raises:
            NearfarError: False negatives are to be dropped and there are no labels.
        """
        settings: dict[str, Any] = dict(self.settings)
        if self.name == "sigmoid":
            settings |= {"scale": self.log_scale.exp(), "bias": self.bias}
        if self.drop_false_negatives != "no":
            if labels is None:
                raise NearfarError("dropping false negatives needs labels, and the batch has none")
            rescale = self.drop_false_negatives == "rescaled"
            settings |= {"labels": labels, "rescale": rescale}
        return OBJECTIVES[self.name](views, **settings)


def _default(objective: Callable[..., Tensor], setting: str) -> float:
    """What a setting is where it is left out."""
    return inspect.signature(objective).parameters[setting].default
