"""Settings of an estimate. Imports nothing heavy: the command line reads it for its help."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from nearfar.bounds import check_numbers, check_range, check_seed
from nearfar.errors import SettingError, unknown_name
from nearfar.estimators.facts import BOUND_FACTS

DEFAULT_BOUNDS = ("info_nce", "nwj", "jensen_shannon", "smile")
"""Steady but limited by log N; a true bound without a limit; and two that trade between them."""

LABEL_BOUND = "barber_agakov"
"""Barber and Agakov's, which takes a classifier in place of a critic: for labels alone."""

_WIDEST, _DEEPEST = 2**16, 1000
_SLOWEST, _FASTEST = 1e-30, 1_000_000


@dataclass(frozen=True)
class CriticConfig:
    """The network that scores a pair."""

    kind: Literal["separable", "joint"] = "separable"
    """separable: g(x) · h(z), fast; joint: one network of both, finds more, far slower."""
    hidden: int = 256
    """Units of each hidden layer."""
    layers: int = 2
    """Hidden layers; 1 or more."""
    embedding_dim: int = 32
    """Width of g(x) and h(z); a joint critic has none."""


def check_settings(
    bounds: Sequence[str],
    critic: CriticConfig,
    *,
    batch_size: int,
    max_steps: int,
    learning_rate: float,
    seed: int,
) -> None:
    """Refuses what no estimate can be made with.

    Raises:
        SettingError: A bound is not known (the message names the nearest), none or one twice is
            asked for, or a setting is out of range.
    """
    for bound in bounds:
        if bound not in (*BOUND_FACTS, LABEL_BOUND):
            raise unknown_name("bound", bound, [*BOUND_FACTS, LABEL_BOUND])
    if not bounds or len(set(bounds)) < len(bounds):
        raise SettingError(f"bounds are {' '.join(bounds) or 'none'}: name one or more, each once")
    if critic.kind not in ("separable", "joint"):
        raise unknown_name("critic.kind", critic.kind, ("separable", "joint"))
    least = {
        "batch_size": (batch_size, 2),
        "max_steps": (max_steps, 1),
        "seed": (seed, 0),
        "critic.hidden": (critic.hidden, 1),
        "critic.layers": (critic.layers, 1),
        "critic.embedding_dim": (critic.embedding_dim, 1),
    }
    for name, (value, lowest) in least.items():
        if value < lowest:
            raise SettingError(f"{name} is {value}: it must be {lowest} or more")
    check_numbers(critic, "critic.")
    check_seed("seed", seed)
    check_range("batch_size", batch_size, 2, 2**31 - 1)
    check_range("max_steps", max_steps, 1, 2**31 - 1)
    for name in ("hidden", "embedding_dim"):
        check_range(f"critic.{name}", getattr(critic, name), 1, _WIDEST)
    check_range("critic.layers", critic.layers, 1, _DEEPEST)
    if not _SLOWEST <= learning_rate <= _FASTEST:
        raise SettingError(
            f"learning_rate is {learning_rate}: it must be a number above 0, at most {_FASTEST:,}"
        )
