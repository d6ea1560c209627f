"""Which settings each pairwise objective has, and what they may be. Imports nothing heavy."""

from typing import get_args, get_type_hints

from nearfar.bounds import check_range
from nearfar.errors import SettingError, unknown_name
from nearfar.methods.config import SimCLRConfig

OPTIONS: dict[str, tuple[str, ...]] = {
    "nt_xent": ("temperature",),
    "debiased_neg": ("temperature", "tau_plus", "beta"),
    "debiased_pos": ("temperature", "tau_plus", "positives", "marginal_over"),
    "decoupled": ("temperature",),
    "align_uniform": ("align_weight", "uniform_weight", "alpha", "t"),
    "triplet": ("margin",),
    "n_pair": (),
    "vicreg": ("similarity_weight", "variance_weight", "covariance_weight"),
    "barlow_twins": ("off_diagonal_weight",),
    "sigmoid": (),
}
"""Settings of `SimCLRConfig` that belong to each objective; left out (None), its own defaults."""

DROPS_FALSE_NEGATIVES = ("nt_xent", "debiased_neg", "debiased_pos")
"""Objectives that can leave rows of the anchor's class out of the negatives."""

_COLDEST, _WARMEST = 0.0001, 10_000

_MAY_BE_ZERO = (
    "beta",
    "align_weight",
    "uniform_weight",
    "similarity_weight",
    "variance_weight",
    "covariance_weight",
    "off_diagonal_weight",
)
_WORDS = ("positives", "marginal_over")


def options_of(config: SimCLRConfig) -> dict[str, float | str]:
    """The settings that are given for the objective, by name."""
    given = {name: getattr(config, name) for name in OPTIONS[config.objective]}
    return {name: value for name, value in given.items() if value is not None}


def check_pairwise(config: SimCLRConfig) -> None:
    """Refuse an unknown objective, settings that it does not have, and impossible ones.

    Raises:
        SettingError: Naming the first such setting, its value, and what it may be or whose it is.
    """
    if config.objective not in OPTIONS:
        raise unknown_name("method.objective", config.objective, OPTIONS)
    for name in dict.fromkeys(name for names in OPTIONS.values() for name in names):
        if getattr(config, name) is not None and name not in OPTIONS[config.objective]:
            owners = [objective for objective, names in OPTIONS.items() if name in names]
            raise _belongs_elsewhere(config, name, owners)
    for name, value in options_of(config).items():
        _check_option(config, name, value)
    if config.drop_false_negatives not in ("no", "yes", "rescaled"):
        known = ("no", "yes", "rescaled")
        raise unknown_name("method.drop_false_negatives", config.drop_false_negatives, known)
    if config.drop_false_negatives != "no" and config.objective not in DROPS_FALSE_NEGATIVES:
        raise _belongs_elsewhere(config, "drop_false_negatives", list(DROPS_FALSE_NEGATIVES))


def _check_option(config: SimCLRConfig, name: str, value: float | str) -> None:
    """Refuse a value that the objective would refuse at the first step."""
    if name in _WORDS:
        words = [
            word for part in get_args(get_type_hints(SimCLRConfig)[name]) for word in get_args(part)
        ]
        if value not in words:
            raise unknown_name(f"method.{name}", str(value), words)
        return
    assert not isinstance(value, str)
    if name == "temperature" and value > 0:
        require_temperature(value)
    if name == "tau_plus":
        may_be_zero = config.objective == "debiased_neg"
        if not 0 <= value < 1 or (value == 0 and not may_be_zero):
            wanted = "0 or above, and below 1" if may_be_zero else "above 0 and below 1"
            raise SettingError(f"method.tau_plus is {value}: it must be {wanted}")
    elif not 0 <= value < float("inf") or (value == 0 and name not in _MAY_BE_ZERO):
        wanted = "0 or above" if name in _MAY_BE_ZERO else "above 0"
        raise SettingError(f"method.{name} is {value}: it must be {wanted}")


def require_temperature(value: float) -> None:
    """Refuse a temperature by which similarities become too large, or too alike, for float32.

    Raises:
        SettingError: It is not in a range that holds every useful one.
    """
    check_range("method.temperature", value, _COLDEST, _WARMEST)


def _belongs_elsewhere(config: SimCLRConfig, name: str, owners: list[str]) -> SettingError:
    """The error for a setting that would be read and ignored."""
    *most, last = owners
    without = "no" if name == "drop_false_negatives" else None
    return SettingError(
        f"method.{name} is {getattr(config, name)}: {config.objective} has no such setting, it "
        f"belongs to {', '.join(most) + ' and ' if most else ''}{last}: set it to {without}"
    )
