"""Parts of an encoder that stay as they are while the rest is trained.

A frozen part takes no gradient and stays in evaluation mode: its batch-norm normalises by the
statistics that it has, and its dropout is off. What is copied of it, as a momentum encoder, is
frozen too.
"""

from collections.abc import Iterable
from typing import TypeVar

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from nearfar.encoders.stages import stages
from nearfar.errors import SettingError

Network = TypeVar("Network", bound=nn.Module)


def freeze(network: nn.Module) -> None:
    """Freeze all of a network."""
    network.requires_grad_(False)
    _keep(network.modules())


def freeze_stages(encoder: nn.Module, count: int) -> None:
    """Freeze the first stages of an encoder, of which the stem is the first.

    Args:
        encoder: What tells its stages (`stages.stages`).
        count: How many, 1 or more and fewer than there are.

    Raises:
        SettingError: There are no more than so many stages, or the encoder does not tell them.
    """
    known = stages(encoder)
    if count >= len(known):
        raise SettingError(
            f"adapt.freeze is {count}: this encoder has {len(known)} stages: freeze fewer, or "
            "backbone for all"
        )
    frozen = {name for stage in known[:count] for name in stage}
    for name, parameter in encoder.named_parameters():
        if name in frozen:
            parameter.requires_grad_(False)
    for module in encoder.modules():
        parameters = list(module.parameters())
        if parameters and not any(each.requires_grad for each in parameters):
            _keep(module.modules())


def freeze_batch_norm(network: nn.Module) -> None:
    """Keep the statistics of every batch-norm as they are; its scales and shifts are trained.

    Raises:
        SettingError: There is no batch-norm.
    """
    found = [layer for layer in network.modules() if isinstance(layer, _BatchNorm)]
    if not found:
        raise SettingError("adapt.freeze_batch_norm: this encoder has no batch-norm: leave it out")
    _keep(found)


def training_mode(network: Network) -> Network:
    """A network in training mode, but for its frozen parts: they are in evaluation mode."""
    network.train()
    for module in network.modules():
        if is_frozen(module):
            module.training = False
    return network


def is_frozen(module: nn.Module) -> bool:
    """Whether a module was frozen; by itself, and not with what surrounds it."""
    return getattr(module, "stays_in_evaluation_mode", False)


def mark_frozen(module: nn.Module, *, like: nn.Module) -> None:
    """Freeze a module that stands in the place of another, as far as that one was frozen."""
    if is_frozen(like):
        _keep([module])


def _keep(modules: Iterable[nn.Module]) -> None:
    for module in modules:
        module.stays_in_evaluation_mode = True  # pyright: ignore[reportArgumentType]
        module.training = False
