"""Networks that follow another one slowly: MoCo's key encoder, BYOL's target."""

import copy
import math
from typing import TypeVar

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.optim.swa_utils import get_ema_multi_avg_fn

Network = TypeVar("Network", bound=nn.Module)


def frozen_copy(network: Network) -> Network:
    """A network of the same weights that takes no gradient, so that no optimiser sees it."""
    return copy.deepcopy(network).requires_grad_(False)


@torch.no_grad()
def follow(follower: nn.Module, leader: nn.Module, momentum: float) -> None:
    """Move a copy towards what it was copied from (He et al. 2020, equation 2).

    Every parameter becomes `θ_f ← m·θ_f + (1 − m)·θ_l`: bit for bit the leader's at `m = 0`, and
    what it was at `m = 1`. Buffers of floats move likewise and others are copied, with one
    exception: **batch-norm in training mode keeps statistics of its own.** They describe the
    activations under the follower's weights, and its own forward passes keep them up; mixing in the
    leader's would describe neither network.

    Args:
        follower: From `frozen_copy(leader)`.
        leader: The network that is trained.
        momentum: m, 0 to 1.
    """
    for layer, led_by in zip(follower.modules(), leader.modules(), strict=True):
        if isinstance(layer, _BatchNorm) and layer.training and layer.track_running_stats:
            continue
        buffers = zip(layer.buffers(recurse=False), led_by.buffers(recurse=False), strict=True)
        for buffer, leading in buffers:
            if buffer.is_floating_point():
                buffer.lerp_(leading, 1 - momentum)
            else:
                buffer.copy_(leading)
    moved: list[Tensor] = [*follower.parameters()]
    towards: list[Tensor] = [*leader.parameters()]
    if moved:  # an identity head has none
        get_ema_multi_avg_fn(momentum)(moved, towards, 0)


def rising_momentum(base: float, progress: float) -> float:
    """From `base` to 1 along a cosine (Grill et al. 2020, section 3.3).

    `m = 1 − (1 − m₀)·(cos(π·k/K) + 1)/2` after step k of K, counted from 0: m₀ after the first.

    Args:
        base: m₀, 0 to 1.
        progress: k/K, 0 to 1.
    """
    return 1 - (1 - base) * (math.cos(math.pi * progress) + 1) / 2
