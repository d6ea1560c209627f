"""Stages and layers of an encoder, from the examples up: freezing and layer-wise rates go by them.

timm's models tell theirs by a `group_matcher`, and so do ours.
"""

from torch import nn

from nearfar.errors import SettingError


def stages(encoder: nn.Module) -> tuple[tuple[str, ...], ...]:
    """Names of the parameters of each stage; the first is the stem, or what cuts patches.

    Of a ResNet these are the stem and its stages, of a vision transformer the patches with their
    positions and each block; what follows the last one, such as a final norm, belongs to it.

    Args:
        encoder: One of ours or of timm's, or any with timm's `group_matcher(coarse=…)`.

    Raises:
        SettingError: The encoder does not tell its stages.
    """
    return _grouped(encoder, coarse=True)


def layers(encoder: nn.Module) -> tuple[tuple[str, ...], ...]:
    """Names of the parameters of each layer or residual block, likewise."""
    return _grouped(encoder, coarse=False)


def tells_layers(encoder: nn.Module) -> bool:
    """Whether `layers` knows those of an encoder."""
    try:
        layers(encoder)
    except SettingError:
        return False
    return True


def _grouped(encoder: nn.Module, *, coarse: bool) -> tuple[tuple[str, ...], ...]:
    # Here, because timm takes a second to import and most runs ask for no stages.
    from timm.models import group_parameters

    matcher = getattr(encoder, "group_matcher", None)
    try:
        if matcher is None:
            raise NotImplementedError
        groups = group_parameters(encoder, matcher(coarse=coarse))
    except (AssertionError, LookupError, NotImplementedError, TypeError) as error:
        raise SettingError(
            f"{type(encoder).__name__} does not tell its stages (by timm's group_matcher): choose "
            "adapt.freeze backbone or nothing, and training.optimizer.layer_decay 1"
        ) from error
    return tuple(tuple(groups[place]) for place in sorted(groups))
