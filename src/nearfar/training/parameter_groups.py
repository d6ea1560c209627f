"""Parameters in groups of one weight decay and one learning rate, as optimisers take them."""

from typing import Any

from torch import Tensor, nn
from torch.optim import Optimizer

from nearfar.encoders.stages import layers


def parameter_groups(
    module: nn.Module,
    *,
    weight_decay: float = 0.0,
    layer_decay: float = 1.0,
    head_rate: float = 1.0,
) -> list[dict[str, Any]]:
    """Every parameter that wants a gradient, in groups.

    Parameters of fewer than two dimensions (biases, and those of normalisation) have no decay.
    With L layers in the encoder, numbered 1 to L from the examples up, those of layer l have
    `layer_decay ** (L + 1 - l)` times the learning rate (Clark et al. 2020, ELECTRA), and all that
    lies outside of the encoder `head_rate` times it.

    Args:
        module: Its `encoder`, where it has one, tells its layers (`encoders.stages`).
        weight_decay: Of weights.
        layer_decay: Above 0 to 1; 1 gives all layers one rate.
        head_rate: Above 0.

    Returns:
        Dictionaries of `params`, `weight_decay` and `rate_factor`, what the learning rate is to be
        multiplied by; where all have one rate there are at most two, and as many again where some
        parameters are shared out over ranks, for no operation takes both kinds.

    Raises:
        SettingError: `layer_decay` is not 1, and the encoder does not tell its layers.
    """
    encoder = getattr(module, "encoder", None)
    factors = _factors(encoder, layer_decay) if isinstance(encoder, nn.Module) else {}
    groups: dict[tuple[float, float, bool], dict[str, Any]] = {}
    parameters = list(module.parameters())
    # Weights before the others, each in the module's order.
    for is_weight in (True, False):
        for parameter in parameters:
            if not parameter.requires_grad or (parameter.ndim >= 2) != is_weight:
                continue
            decay = weight_decay if is_weight else 0.0
            factor = factors.get(parameter, head_rate)
            group = groups.setdefault(
                (is_weight, factor, is_shared_out(parameter)),
                {"params": [], "weight_decay": decay, "rate_factor": factor},
            )
            group["params"].append(parameter)
    return list(groups.values())


def is_shared_out(tensor: Tensor) -> bool:
    """Whether ranks hold a share of it each (`nearfar.training.sharding`)."""
    return hasattr(tensor, "full_tensor")  # a DTensor, told without importing its module


def set_learning_rate(optimizer: Optimizer, rate: float) -> None:
    """Give each group of an optimiser its learning rate.

    Args:
        optimizer: Of `parameter_groups`; groups of others have no factor.
        rate: Of a factor of 1.
    """
    for group in optimizer.param_groups:
        group["lr"] = rate * group.get("rate_factor", 1.0)


def _factors(encoder: nn.Module, layer_decay: float) -> dict[nn.Parameter, float]:
    """What multiplies the rate of each of its parameters."""
    if layer_decay == 1:
        return dict.fromkeys(encoder.parameters(), 1.0)
    known, named = layers(encoder), dict(encoder.named_parameters())
    return {
        named[name]: layer_decay ** (len(known) - place)
        for place, layer in enumerate(known)
        for name in layer
    }
