"""The shape that all images of a source are brought to."""

from collections.abc import Sequence
from statistics import median

from nearfar.data.image_files import ImageHeader
from nearfar.data.source_spec import Fit, Pages
from nearfar.data.specs import PicturesSpec
from nearfar.errors import NearfarError

LARGEST_SIDE = 256
"""Side that images are brought to at most, unless `image_size` says otherwise."""

_MUCH = 0.25
"""Share of its area from which on an image that loses it is told of."""


def common_shape(
    headers: list[ImageHeader], spec: PicturesSpec, pages: Pages = "first"
) -> tuple[tuple[int, int, int], list[str]]:
    """The shape that all images are brought to, and notes where that changes some.

    Args:
        headers: Of all images.
        spec: Size and channels that are asked for, and how images come to a square.
        pages: What pages of a file are.
    """
    channels, notes = _channels(headers, spec, pages)
    sizes = {(header.height, header.width) for header in headers}
    height, width = min(sizes)
    if spec.image_size is not None:
        shape = (channels, spec.image_size, spec.image_size)
    elif len(sizes) == 1 and min(height, width) <= LARGEST_SIDE:
        return (channels, height, width), notes
    else:
        short_sides = [min(header.height, header.width) for header in headers]
        side = min(LARGEST_SIDE, int(median(short_sides)))
        shape = (channels, side, side)
        notes.append(
            f"images of {len(sizes)} sizes (short sides {min(short_sides)} to {max(short_sides)} "
            f"px) are brought to {side}×{side}; data.image_size changes that"
        )
    kept = [
        min(header.height, header.width) / max(header.height, header.width) for header in headers
    ]
    return shape, notes + fit_note(kept, spec.fit)


def _channels(
    headers: list[ImageHeader], spec: PicturesSpec, pages: Pages
) -> tuple[int, list[str]]:
    """How many channels all images get, and a note where bands or pages decide it."""
    counts = {len(header.pages) for header in headers}
    if pages == "channels" and counts != {1}:
        return _one_number(counts, "pages"), [
            f"each of the {max(counts)} pages of a file is a channel, by data.pages"
        ]
    bands = {header.bands or header.channels for header in headers}
    if spec.channels is None and any(header.bands for header in headers):
        return _one_number(bands, "bands"), [
            f"each of the {max(bands)} bands of a file is a channel; data.channels 3 reads red, "
            "green and blue alone where there are such"
        ]
    return spec.channels or max(header.channels for header in headers), []


def _one_number(counts: set[int], of: str) -> int:
    """The number that all files have, refused where they differ."""
    if len(counts) > 1:
        raise NearfarError(
            f"files of {min(counts)} to {max(counts)} {of}: they are channels only where all files "
            "have as many; sort them into folders of one kind"
        )
    return max(counts)


def fit_note(kept: Sequence[float], fit: Fit) -> list[str]:
    """What becomes of images that are not square, where there are some.

    Args:
        kept: Of each image its short side over its long one.
        fit: How images become squares.
    """
    changed = sum(share < 1 for share in kept)
    if not changed:
        return []
    of_all = f"{changed} of {len(kept)} images are not square"
    if fit == "pad":
        return [f"{of_all}: put on a square ground of their mean colour"]
    if fit == "squash":
        return [f"{of_all}: squashed to squares"]
    much = sum(share < 1 - _MUCH for share in kept) / len(kept)
    return [
        f"{of_all}: cut to their centre squares; {much:.0%} of all lose over a "
        f"quarter of their area, the worst {1 - min(kept):.0%}; fit pad or squash keeps it"
    ]
