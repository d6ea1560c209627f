"""Weights of any origin into an encoder: name by name and shape by shape, with an account."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from timm.models import adapt_input_conv
from torch import Tensor, nn

from nearfar.encoders.start_filters import in_names_of
from nearfar.encoders.start_origin import Origin, State
from nearfar.errors import SettingError

_FOLLOWERS = ("encoder_k", "momentum", "target", "ema", "optimizer")
"""In the name of what follows the encoder that is wanted, where a file holds both."""
_PREFIXES = ("", "module.", "model.", "backbone.", "encoder.", "module.encoder_q.")
_MOST_PREFIXES = 6
"""That are tried of those by which names of the file end like the encoder's."""
_NAMED = 3
"""Tensors that a line names."""


@dataclass(frozen=True)
class Loaded:
    """What became of each tensor of an origin and of an encoder.

    Attributes:
        prefix: What stood before the names in the file.
        tensors: How many were loaded.
        share: Of the encoder's parameters that were loaded, 0 to 1.
        adapted: Loaded in another shape than they came in, with both.
        did_not_fit: Left as they were, for the shape is another.
        random: Of the encoder, and the origin has none of this name.
        left_out: Of the origin, and the encoder has none of this name.
    """

    prefix: str
    tensors: int
    share: float
    adapted: Mapping[str, str] = field(default_factory=dict)
    did_not_fit: Mapping[str, str] = field(default_factory=dict)
    random: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """As it stands in the run's `start.json`."""
        return {
            "prefix": self.prefix,
            "tensors": self.tensors,
            "share": self.share,
            "adapted": dict(self.adapted),
            "did_not_fit": dict(self.did_not_fit),
            "random": list(self.random),
            "left_out": list(self.left_out),
        }

    def lines(self) -> list[str]:
        """What a person should know, in at most four lines."""
        under = f", found under {self.prefix.removesuffix('.')}" if self.prefix else ""
        first = f"{self.tensors} tensors, {100 * self.share:.1f} % of the weights{under}"
        if self.adapted:
            first += f"; adapted: {_named([f'{n} ({how})' for n, how in self.adapted.items()])}"
        told = [first]
        if self.did_not_fit:
            shapes = [f"{name} ({how})" for name, how in self.did_not_fit.items()]
            told.append(f"did not fit and stay random: {_named(shapes)}")
        if self.random:
            told.append(f"not in the start and stay random: {_named(self.random)}")
        if self.left_out:
            told.append(f"left out, as the encoder has no such part: {_named(self.left_out)}")
        return told


@torch.no_grad()
def load_start(
    encoder: nn.Module, origin: Origin, state: State, setting: str = "encoder.start"
) -> Loaded:
    """Put weights into an encoder, as far as they fit.

    A first convolution of other channels is adapted by timm's `adapt_input_conv`, which keeps what
    it says of a grey image or of repeated channels; positions of another grid, and names of other
    programs, by what timm knows of the model.

    Args:
        encoder: Of ours or of timm's; changed in place.
        origin: Where they come from.
        state: The weights, by the names that they had there.
        setting: What a person named them by, for messages.

    Raises:
        SettingError: Nothing fits, or the first layer or the positions do not; nothing was changed.
    """
    target = encoder.state_dict()
    prefix, named = _under_best_prefix(encoder, target, state)
    adapted = _adapt_first_layer(encoder, target, named)
    fits = {}
    for name, value in named.items():
        if name not in target or value.shape != target[name].shape:
            continue
        fits[name] = value
        came_in = state.get(prefix + name)
        if name not in adapted and came_in is not None and came_in.shape != value.shape:
            adapted[name] = f"{_shape(came_in)} to {_shape(value)}"
    misfits = {
        name: f"{_shape(value)}, not {_shape(target[name])}"
        for name, value in named.items()
        if name in target and name not in fits
    }
    total = sum(each.numel() for each in encoder.parameters())
    parameters = dict(encoder.named_parameters())
    share = sum(fits[name].numel() for name in fits if name in parameters) / max(1, total)
    what = f"{setting}: {origin.title}"
    if not any(fits[name].ndim >= 2 for name in fits if name in parameters):
        raise SettingError(f"{what}: nothing of it fits {_type_of(encoder)}: {_why(target, state)}")
    first = _first_layer(encoder)
    for name in misfits:
        if name in first or "pos_embed" in name or "position" in name:
            raise SettingError(
                f"{what}: its {name} is {misfits[name]}, and timm knows no way from one to the "
                "other: choose the backbone, encoder.stem and size that it was trained with"
            )
    for name, value in fits.items():
        if value.is_floating_point() and not bool(torch.isfinite(value).all()):
            raise SettingError(f"{what}: {name} is not finite: take other weights")
    encoder.load_state_dict(fits, strict=False)
    return Loaded(
        prefix,
        len(fits),
        share,
        adapted,
        misfits,
        tuple(name for name in target if name not in named),
        tuple(name for name in named if name not in target),
    )


def _under_best_prefix(
    encoder: nn.Module, target: State, state: State
) -> tuple[str, dict[str, Tensor]]:
    """The prefix in the file below which most of the encoder lies, and what lies there."""
    found: Counter[str] = Counter()
    for name in state:
        parts = name.split(".")
        for cut in range(len(parts)):
            if ".".join(parts[cut:]) in target:
                found["".join(f"{part}." for part in parts[:cut])] += 1
    likely = [prefix for prefix, _ in found.most_common(_MOST_PREFIXES)]
    best: tuple[int, bool, str, dict[str, Tensor]] = (-1, False, "", {})
    for prefix in dict.fromkeys([*likely, *_PREFIXES]):
        below = {
            name.removeprefix(prefix): value
            for name, value in state.items()
            if name.startswith(prefix)
        }
        named = in_names_of(encoder, below)
        fitting = sum(
            value.numel()
            for name, value in named.items()
            if name in target and value.shape == target[name].shape
        )
        leads = not any(word in prefix for word in _FOLLOWERS)
        if (fitting, leads) > best[:2]:
            best = (fitting, leads, prefix, named)
    return best[2], best[3]


def _adapt_first_layer(
    encoder: nn.Module, target: State, named: dict[str, Tensor]
) -> dict[str, str]:
    """Bring first convolutions of other channels to the encoder's, in place; what was done."""
    adapted: dict[str, str] = {}
    for name in _first_layer(encoder):
        if name not in named or not isinstance(_owner(encoder, name), nn.Conv2d):
            continue
        value, wanted = named[name], target[name]
        alike = value.ndim == 4 and value.shape[:1] + value.shape[2:] == (
            wanted.shape[:1] + wanted.shape[2:]
        )
        if alike and value.shape != wanted.shape:
            named[name] = adapt_input_conv(wanted.shape[1], value, base_chans=value.shape[1])
            adapted[name] = f"from {value.shape[1]} to {wanted.shape[1]} channels"
    return adapted


def _first_layer(encoder: nn.Module) -> tuple[str, ...]:
    """Names of the weights that see the examples: timm tells; else those of the first layer."""
    told = (getattr(encoder, "pretrained_cfg", None) or {}).get("first_conv")
    if told:
        layers = (told,) if isinstance(told, str) else tuple(told)
        return tuple(f"{layer}.weight" for layer in layers)
    weights = (name for name, each in encoder.named_parameters() if each.ndim >= 2)
    return tuple(name for name in (next(weights, None),) if name is not None)


def _owner(encoder: nn.Module, name: str) -> nn.Module | None:
    try:
        return encoder.get_submodule(name.rpartition(".")[0])
    except AttributeError:
        return None


def _why(target: State, state: State) -> str:
    """What the two are made of, so that a person sees how they differ."""
    theirs, ours = list(state)[:2], list(target)[:2]
    return (
        f"it holds {', '.join(f'{name} {_shape(state[name])}' for name in theirs)}… and the "
        f"encoder {', '.join(f'{name} {_shape(target[name])}' for name in ours)}…: choose the "
        "backbone that it was trained with"
    )


def _type_of(encoder: nn.Module) -> str:
    return f"a {type(encoder).__name__}"


def _shape(tensor: Tensor) -> str:
    return " × ".join(map(str, tensor.shape)) or "one number"


def _named(names: Any) -> str:
    names = list(names)
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more
