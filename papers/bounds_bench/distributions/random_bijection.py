"""A category and another name for it, by a random bijection: they share its whole entropy."""

import math

import numpy as np
import torch
from jaxtyping import Float
from scipy.optimize import brentq
from scipy.special import entr
from torch import Tensor
from torch.nn import functional as F

from nearfar.errors import SettingError

CATEGORIES = 64
_BIJECTION_SEED = 20
_STEEPEST = 20.0


def renamed_categories(
    information: float, count: int, generator: torch.Generator
) -> tuple[Float[Tensor, "count categories"], Float[Tensor, "count categories"]]:
    """One of 64 categories as x and the one that a bijection makes of it as y, both one-hot.

    Args:
        information: The category's entropy in nats, above 0 and below log 64.
        count: Pairs.
        generator: Draws them.

    Raises:
        SettingError: No 64 categories have that entropy.
    """
    shares = torch.from_numpy(probabilities(exponent_for(information)))
    categories = torch.multinomial(shares, count, replacement=True, generator=generator)
    renamed = torch.from_numpy(bijection())[categories]
    return F.one_hot(categories, CATEGORIES), F.one_hot(renamed, CATEGORIES)


def bijection() -> np.ndarray:
    """What becomes of each category; always the same."""
    return np.random.default_rng(_BIJECTION_SEED).permutation(CATEGORIES)


def probabilities(exponent: float) -> np.ndarray:
    """`p_k ∝ k^−a` of the 64 categories.

    Args:
        exponent: a; 0 makes all alike.
    """
    weights = np.arange(1, CATEGORIES + 1) ** -exponent
    return weights / weights.sum()


def exponent_for(information: float) -> float:
    """The a at which the entropy of `probabilities` is `information`.

    Args:
        information: In nats, above 0 and below log 64.

    Raises:
        SettingError: It is not.
    """
    if not 0 < information < math.log(CATEGORIES):
        raise SettingError(
            f"information is {information}: {CATEGORIES} categories have an entropy above 0 and"
            f" below {math.log(CATEGORIES):.3f} nats"
        )

    def excess(exponent: float) -> float:
        return entr(probabilities(exponent)).sum() - information

    return float(brentq(excess, 0, _STEEPEST))  # pyright: ignore[reportArgumentType]
