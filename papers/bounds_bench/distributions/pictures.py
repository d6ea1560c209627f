"""Pictures of a light spot, drawn from three numbers: few causes behind many pixels."""

import torch
from jaxtyping import Float
from torch import Tensor

from nearfar.estimators.gaussian import correlation_for
from papers.mutual_information.gaussians import correlated_pairs

SIDE = 16
"""Pixels of a side."""
LATENTS = 3
"""Across, down, and brightness."""
_MIDDLE, _REACH = (SIDE - 1) / 2, 6.0
_RADIUS = 2.0


def light_spots(
    information: float, count: int, generator: torch.Generator
) -> tuple[Float[Tensor, "count pixels"], Float[Tensor, "count pixels"]]:
    """Two pictures of 16 × 16 pixels, drawn from correlated Gaussians of three dimensions.

    A picture has its numbers' information, because they can be read off it again.

    Args:
        information: Of the latent Gaussians, in nats.
        count: Pairs.
        generator: Draws them.
    """
    first, second = correlated_pairs(
        count, correlation_for(information, LATENTS), generator, dim=LATENTS
    )
    return picture(first), picture(second)


def picture(latents: Float[Tensor, "n three"]) -> Float[Tensor, "n pixels"]:
    """`b exp(−‖p − c‖² / 2r²)` at each pixel p: a spot about c of brightness b.

    `c = 7.5 + 6 tanh(u/2)` for the first two numbers u keeps it within the picture, and
    `b = 1 / (1 + e^−w)` for the third, w: one to one.

    Args:
        latents: Any real numbers.
    """
    centre = _MIDDLE + _REACH * torch.tanh(latents[:, :2] / 2)
    places = torch.arange(SIDE, dtype=latents.dtype)
    across, down = torch.exp(-(places - centre[:, :, None]).square() / (2 * _RADIUS**2)).unbind(
        dim=1
    )
    brightness = torch.sigmoid(latents[:, 2])
    return torch.einsum("n,nx,ny->nyx", brightness, across, down).flatten(1)
