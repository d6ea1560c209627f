"""Single examples as a report can show them, and what the views make of them."""

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float, Int64, Shaped, UInt8
from torch import Tensor

from nearfar.data.batches import evaluation_batches
from nearfar.data.source import Part, choose
from nearfar.outside_text import printable
from nearfar.text_bytes import decoded
from nearfar.views.text_views import MASK
from nearfar.views.views import Views

VIEW_ORIGINALS = 6
VIEWS_EACH = 6
THUMBNAIL_SIDE = 64
"""Images of a longer side are shrunk to this one before they are stored to be shown."""
PICTURED = ("images", "series", "texts")
"""Examples that can be shown; texts as they are."""
SHOWN_LETTERS = 240
"""Longer texts are stored to be shown by their beginning."""
DRAWN_STEPS = 128
"""Longer series are stored by the lowest and highest value of half as many pieces."""
DRAWN_CHANNELS = 12
"""Channels of a series that are stored to be shown, the first ones."""


def view_arrays(part: Part, views: Views, device: torch.device) -> dict[str, np.ndarray]:
    """A few examples and what the views make of them; nothing where there is no picture of them.

    Args:
        part: The examples, of which a few are taken: of as many classes as there are, and from
            all of the part.
        views: The views of the training.
        device: Where the views are drawn.
    """
    if part.modality not in PICTURED:
        return {}
    generator = torch.Generator().manual_seed(0)
    examples = _loaded(choose(part, spread_over_classes(part, VIEW_ORIGINALS))).to(device)
    samples = [views.draw(examples, generator, i % 2, False) for i in range(VIEWS_EACH)]
    if part.modality == "texts":
        return {
            "view_originals": readable(examples),
            "view_samples": np.stack([readable(sample) for sample in samples], axis=1),
        }
    if part.modality == "series":
        return {
            "view_originals": _drawn(examples),
            "view_samples": np.stack([_drawn(sample) for sample in samples], axis=1),
        }
    images = [_channels_last(to_uint8(sample)) for sample in samples]
    return {"view_originals": _channels_last(examples), "view_samples": np.stack(images, axis=1)}


def thumbnails(part: Part, workers: int = 0) -> Shaped[np.ndarray, " n *shape"]:
    """All examples of a part, small.

    Returns:
        Images `(n, height, width, channels)` uint8, none larger than `THUMBNAIL_SIDE`; series
        `(n, channels, steps)`, made short; or texts `(n,)`, as they are shown.
    """
    if part.modality == "texts":
        assert isinstance(part.examples, Tensor)
        return readable(part.examples)
    if part.modality == "series":
        assert isinstance(part.examples, Tensor)
        return _drawn(part.examples)
    batches = evaluation_batches(part.examples, batch_size=256, device="cpu", workers=workers)
    return np.concatenate([_channels_last(_shrunk(images)) for images, _ in batches])


def readable(texts: UInt8[Tensor, "n length"]) -> np.ndarray:
    """Texts as strings of one line, long ones by their beginning, `(n,)`.

    What a terminal would obey, or a page not show, stands as its code; a masked word as ░.
    """
    shown = []
    for text in decoded(texts):
        cut = text if len(text) <= SHOWN_LETTERS else f"{text[: SHOWN_LETTERS - 1]}…"
        shown.append(printable(cut.replace(chr(MASK), "░")))
    return np.array(shown, dtype=np.str_)


def to_uint8(
    images: Float[Tensor, "n channels height width"],
) -> UInt8[Tensor, "n channels height width"]:
    """Images in 0 to 1, beyond which values are clamped, as they would be stored: 0 to 255."""
    return (images.clamp(0, 1) * 255).round().to(torch.uint8)


def spread_over_classes(part: Part, count: int) -> Int64[Tensor, " m"]:
    """Rows of a few examples that show what a part holds, in rising order.

    A part often lies sorted by class: its first examples would all be of one.

    Args:
        part: The examples.
        count: How many rows at most.
    """
    if part.labels is None:
        return torch.linspace(0, len(part) - 1, min(count, len(part))).round().long()
    labels = part.labels.cpu()
    # The first examples of each class, then the second ones, and so on.
    order = torch.argsort(labels, stable=True)
    sizes = torch.bincount(labels)
    starts = sizes.cumsum(0) - sizes
    turn = torch.arange(len(labels)) - starts[labels[order]]
    by_turn = order[torch.argsort(turn, stable=True)]
    classes = int((sizes > 0).sum())
    if classes <= count:
        return by_turn[:count].sort().values
    return by_turn[torch.linspace(0, classes - 1, count).round().long()].sort().values


def _loaded(part: Part) -> Tensor:
    """All examples of a small part."""
    batches = evaluation_batches(part.examples, batch_size=len(part), device="cpu", workers=0)
    return torch.cat([images for images, _ in batches])


def _drawn(series: Float[Tensor, "n channels steps"]) -> Float[np.ndarray, "n lines points"]:
    """The first channels, and of long series their envelope: lowest and highest by turns."""
    series = series[:, :DRAWN_CHANNELS]
    if series.shape[2] > DRAWN_STEPS:
        highest = F.adaptive_max_pool1d(series, DRAWN_STEPS // 2)
        lowest = -F.adaptive_max_pool1d(-series, DRAWN_STEPS // 2)
        series = torch.stack((lowest, highest), dim=3).flatten(2)
    return series.cpu().numpy()


def _shrunk(images: Tensor) -> Tensor:
    """At most `THUMBNAIL_SIDE` on the long side."""
    height, width = images.shape[-2:]
    factor = THUMBNAIL_SIDE / max(height, width)
    if factor >= 1:
        return images
    size = (max(1, round(height * factor)), max(1, round(width * factor)))
    return to_uint8(F.interpolate(images.float() / 255, size=size, mode="area"))


def _channels_last(images: Tensor) -> UInt8[np.ndarray, "n height width channels"]:
    return images.permute(0, 2, 3, 1).contiguous().cpu().numpy()
