"""CLIP: two encoders into one space, where what is paired is near and all else of a batch far."""

import copy
from math import log
from typing import cast

import torch
import torch.distributed as dist
from jaxtyping import Float
from torch import Tensor, nn

from nearfar.methods.clip_spec import CLIPSpec
from nearfar.methods.embedding_scalars import shared_information
from nearfar.methods.method import Method, Tower
from nearfar.objectives import alignment, clip, sigmoid, uniformity
from nearfar.objectives.precision import unit_rows
from nearfar.similarity.computing import computing
from nearfar.similarity.extremes import hardest
from nearfar.similarity.gathering import gather_rows


class CLIP(Method):
    """CLIP (Radford et al. 2021), or SigLIP by its objective (Zhai et al. 2023).

    Two encoders, each with a head of its own into one space. The scale of the similarities is
    learnt by its logarithm and kept at or below that of `least_temperature` after every step, and
    with `sigmoid` a bias is learnt too. Each rank embeds its own pairs and compares those of all.

    With the first encoder frozen (`adapt.freeze backbone`), its batch-norm too, this is
    locked-image tuning (Zhai et al. 2022).

    Args:
        spec: Heads and objective.
        encoder: Of the examples, a module with `num_features`.
        second_encoder: Of what is paired with them; a copy of the first where left out, for two
            sets of one kind.

    Raises:
        SettingError: Both heads are identity, and the features are of two widths.
    """

    log_scale: Tensor
    bias: Tensor | None

    def __init__(
        self, spec: CLIPSpec, encoder: nn.Module, second_encoder: nn.Module | None = None
    ) -> None:
        super().__init__()
        self.spec = spec
        self.encoder = encoder
        self.second_encoder = copy.deepcopy(encoder) if second_encoder is None else second_encoder
        widths = cast(int, encoder.num_features), cast(int, self.second_encoder.num_features)
        self.head_spec, self.second_head_spec = spec.heads(*widths)
        self.projection = self.head_spec.build(widths[0])
        self.second_projection = self.second_head_spec.build(widths[1])
        learned, bias = spec.objective.learned, spec.objective.first_bias
        first = torch.tensor(-log(spec.objective.temperature))
        self.log_scale = nn.Parameter(first, requires_grad=learned)
        self.bias = None
        if bias is not None:
            self.bias = nn.Parameter(torch.tensor(bias), requires_grad=learned)
        self._last: tuple[Tensor, Tensor] | None = None

    @property
    def embedding_head(self) -> nn.Module:
        """The head of the first encoder."""
        return self.projection

    @property
    def second_tower(self) -> Tower:
        """The second encoder and its head."""
        return Tower(self.second_encoder, self.second_head_spec, self.second_projection)

    def embed(self, views: tuple[Tensor, ...]) -> tuple[Float[Tensor, "batch dim"], ...]:
        """Embeddings of the examples, and of what is paired with them."""
        first, second = views
        embedded = self.projection(self.encoder(first))
        return embedded, self.second_projection(self.second_encoder(second))

    def loss(
        self,
        embedded: tuple[Float[Tensor, "batch dim"], ...],
        labels: Tensor | None = None,  # noqa: ARG002  every method takes them; this one learns without
    ) -> Float[Tensor, ""]:
        """The objective over the pairs of all ranks; labels are not used."""
        first, second = map(gather_rows, embedded)
        self._last = first.detach(), second.detach()
        scale = self.log_scale.exp()
        with computing(group=dist.group.WORLD):
            if self.bias is None:
                return clip(first, second, scale=scale)
            return sigmoid(first, second, scale=scale, bias=self.bias)

    @property
    def scalars(self) -> dict[str, float]:
        """Of the last call's embeddings; computed when read, so that other steps pay nothing.

        Returns:
            `alignment` of the pairs (0 to 4), `uniformity`, the mean of both kinds' (0 to about
            −4), `nearest_is_positive`, the share of rows (0 to 1) of either kind whose nearest of
            the other is their own, `modality_gap`, the distance (0 to 2) of the mean directions of
            the two kinds (Liang et al. 2022), `scale`, and what `shared_information` says of the
            pairs at that scale. Empty before the first call.
        """
        if self._last is None:
            return {}
        first, second = map(unit_rows, self._last)
        own = torch.arange(len(first), device=first.device)
        found = [hardest(*pair, largest=True)[1] for pair in ((first, second), (second, first))]
        scale = float(self.log_scale.detach().exp())
        nearest = torch.stack([(each == own).float().mean() for each in found])
        even = torch.stack([uniformity(first), uniformity(second)])
        return {
            "alignment": float(alignment(first, second)),
            "uniformity": float(even.mean()),
            "nearest_is_positive": float(nearest.mean()),
            "modality_gap": float((first.mean(dim=0) - second.mean(dim=0)).norm()),
            "scale": scale,
            **shared_information([(first, second)], temperature=1 / scale),
        }

    @torch.no_grad()
    def after_step(self, progress: float) -> None:  # noqa: ARG002  nothing rises or falls
        """The scale stays at or below its largest."""
        if self.spec.objective.least is not None:
            self.log_scale.clamp_(max=-log(self.spec.objective.least))
