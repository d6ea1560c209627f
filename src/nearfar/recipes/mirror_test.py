"""Whether pictures may be mirrored: told by the pictures alone, without their labels."""

import torch
from jaxtyping import Float, UInt8
from torch import Tensor
from torch.nn import functional as F

from nearfar.data.source import Part

_SIDE = 16
_MOST = 1500
LIMIT = 0.56
"""Share of pictures nearest to one as it is, from which on mirroring would change what they are."""


def share_nearest_unmirrored(part: Part) -> float:
    """Of pictures whose nearest other one is looked for as it is and mirrored: how many as it is.

    Where a mirrored picture is one that might have been taken, as of most photographs, it is a
    half. Of characters, documents and the like it is more. Pictures are compared as grey ones of
    16 pixels, their mean taken off and without regard to sign, so that neither colour nor which
    side is bright counts.

    Args:
        part: Images; of more than 1500, so many are looked at, evenly spread.
    """
    rows = torch.arange(len(part))[:: max(1, -(-len(part) // _MOST))].tolist()
    grey = torch.stack([_thumbnail(part.examples[row]) for row in rows])
    plain, mirrored = _unit(grey), _unit(grey.flip(2))
    as_it_is = (plain @ plain.T).abs()
    as_it_is.fill_diagonal_(-1)
    turned = (plain @ mirrored.T).abs()
    turned.fill_diagonal_(-1)
    nearer = as_it_is.amax(1) - turned.amax(1)
    # What is symmetric by itself, such as an O, says nothing.
    told = nearer.abs() > 1e-4
    return float((nearer[told] > 0).double().mean()) if bool(told.any()) else 0.5


def _thumbnail(image: UInt8[Tensor, "channels height width"]) -> Float[Tensor, "16 16"]:
    grey = image.float().mean(0)[None, None]
    return F.interpolate(grey, (_SIDE, _SIDE), mode="area")[0, 0]


def _unit(images: Float[Tensor, "n 16 16"]) -> Float[Tensor, "n d"]:
    flat = images.flatten(1)
    return F.normalize(flat - flat.mean(1, keepdim=True), dim=1)
