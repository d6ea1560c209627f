"""Examples as an encoder takes them: refused, cut or brought to its size."""

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from nearfar.errors import NearfarError
from nearfar.text_bytes import decoded, encoded

IMAGES = (
    "images as uint8, 0 to 255, not {kind}: values of 0 to 1, as of torchvision's ToTensor, become "
    "that by (255 * x).round().to(torch.uint8)"
)

TEXTS = "texts as strings, or as bytes of UTF-8 in uint8, not {kind}"


def check_bytes(examples: Tensor, what: str) -> None:
    """Refuse examples of another type: what their values mean could only be guessed."""
    if examples.dtype != torch.uint8:
        kind = str(examples.dtype).removeprefix("torch.")
        raise NearfarError(f"this encoder takes {what.format(kind=kind)}")


def check_numbers(examples: Tensor) -> None:
    """Refuse values that no normalising makes a number of."""
    if examples.dtype == torch.bool or examples.is_complex():
        kind = str(examples.dtype).removeprefix("torch.")
        raise NearfarError(f"this encoder takes real numbers, not {kind}: convert them first")
    finite = torch.isfinite(examples).flatten(1).all(dim=1)
    if not bool(finite.all()):
        bad = (~finite).nonzero()
        raise NearfarError(
            f"NaN or infinite in {len(bad)} of {len(examples)} examples (first: {int(bad[0, 0])}); "
            "fill in or leave out what is missing"
        )


def cut_to(texts: Tensor, length: int) -> Tensor:
    """Texts of at most so many bytes, cut between two characters."""
    if texts.shape[1] <= length or not bool(texts[:, length:].any()):
        return texts[:, :length]
    return encoded(decoded(texts), length)[0].to(texts.device)


def squashed(
    images: Float[Tensor, "batch channels height width"], size: int
) -> Float[Tensor, "batch channels size size"]:
    """The whole image as a square."""
    if images.shape[-2:] == (size, size):
        return images
    return F.interpolate(images, (size, size), mode="bilinear", antialias=True)


def layout_advice(shape: tuple[int, ...], known: tuple[int, ...]) -> str:
    """What to do where images were most likely given in another layout."""
    if len(shape) == 3 and shape[2] == known[0]:
        return "; they look channels last: give x.permute(0, 3, 1, 2)"
    if len(shape) == 2:
        return (
            f"; images are given as a batch (n, {known[0]}, height, width): a single one as x[None]"
            + (", grey ones as x[:, None]" if known[0] == 1 else "")
        )
    return ""
