"""Low-rank adapters: a weight that stays as it is, and a small change of it that is learnt."""

import copy
import math
from collections.abc import Iterator
from typing import Literal, TypeVar

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.utils import parametrize

from nearfar.encoders.freezing import freeze
from nearfar.errors import SettingError

Network = TypeVar("Network", bound=nn.Module)
Layers = Literal["attention", "linear"]


class LowRank(nn.Module):
    r"""What a weight W of a layer becomes: :math:`W + \frac{\alpha}{r} B A`.

    A of r rows is drawn as torch draws a linear layer's weight, and B of r columns is 0, so that a
    layer begins as it was.

    Args:
        weight: W, of two sides.
        rank: r, at most the shorter side of W.
        alpha: Above 0.

    Source:
        Hu et al. 2021, "LoRA: Low-Rank Adaptation of Large Language Models", section 4.1.
    """

    def __init__(self, weight: Float[Tensor, "out in"], *, rank: int, alpha: float) -> None:
        super().__init__()
        rows, columns = weight.shape
        self.scale = alpha / rank
        self.a = nn.Parameter(weight.new_empty(rank, columns))
        self.b = nn.Parameter(weight.new_zeros(rows, rank))
        nn.init.kaiming_uniform_(self.a, a=math.sqrt(5))

    def forward(self, weight: Float[Tensor, "out in"]) -> Float[Tensor, "out in"]:
        """The adapted weight, in its own type whatever autocast is in force."""
        # On "meta", where a run is measured before it is built, there is no autocast.
        device = "cpu" if weight.is_meta else weight.device.type
        with torch.autocast(device, enabled=False):
            return torch.addmm(weight, self.b, self.a, alpha=self.scale)


def add_adapters(encoder: nn.Module, *, rank: int, alpha: float, layers: Layers) -> None:
    """Freeze an encoder and put an adapter on each chosen weight, in place.

    It is the weight that is adapted and not the layer's call, so that attention which reads the
    weights of its layers by itself sees the adapted ones.

    Args:
        encoder: At its starting weights.
        rank: Of each adapter; at most the shorter side of each weight.
        alpha: Divided by the rank, what the change is multiplied by.
        layers: `attention`: the linear layers inside attention; `linear`: all linear layers.

    Raises:
        SettingError: The encoder has no such layer, or one is narrower than the rank.
    """
    chosen = list(_chosen(encoder, layers))
    if not chosen:
        other = "linear" if layers == "attention" and list(_chosen(encoder, "linear")) else None
        advice = f"choose adapt.lora_layers {other}" if other else "choose adapt.freeze instead"
        raise SettingError(
            f"adapt.lora_layers is {layers}: a {type(encoder).__name__} has none: {advice}"
        )
    narrowest = min(min(getattr(layer, name).shape) for layer, name in chosen)
    if rank > narrowest:
        raise SettingError(
            f"adapt.lora_rank is {rank}: a layer is only {narrowest} wide: choose at most that"
        )
    freeze(encoder)
    for layer, name in chosen:
        adapter = LowRank(getattr(layer, name), rank=rank, alpha=alpha)
        parametrize.register_parametrization(layer, name, adapter)


def merged(encoder: Network) -> Network:
    """The same encoder without adapters, their changes part of its weights.

    Names are those that it had before: of a timm model timm's own.
    """
    if not any(isinstance(module, LowRank) for module in encoder.modules()):
        return encoder
    plain = copy.deepcopy(encoder)
    for layer in list(plain.modules()):
        if parametrize.is_parametrized(layer):
            _merge(layer)
    return plain


def _merge(layer: nn.Module) -> None:
    """Make the adapted weights of a layer its own, in place.

    Not by `remove_parametrizations`, which takes the property off the class: copies share it.
    """
    names = list(layer.parametrizations)  # type: ignore[arg-type]
    values = {name: getattr(layer, name).detach() for name in names}
    del layer.parametrizations
    layer.__class__ = type(layer).__bases__[0]  # what `register_parametrization` derived from
    for name, value in values.items():
        layer.register_parameter(name, nn.Parameter(value, requires_grad=False))


def _chosen(encoder: nn.Module, layers: Layers) -> Iterator[tuple[nn.Module, str]]:
    """Layers and the names of their weights, each once."""
    seen: set[int] = set()
    for part in [encoder] if layers == "linear" else _attention(encoder):
        for layer in part.modules():
            if id(layer) in seen:
                continue
            seen.add(id(layer))
            if isinstance(layer, nn.MultiheadAttention) and layer.in_proj_weight is not None:
                yield layer, "in_proj_weight"
            elif isinstance(layer, nn.Linear):
                yield layer, "weight"


def _attention(encoder: nn.Module) -> Iterator[nn.Module]:
    """Modules that are called attention, and what others name as their `attention_layers`."""
    for module in encoder.modules():
        if "attention" in type(module).__name__.lower():
            yield module
        yield from getattr(module, "attention_layers", ())
