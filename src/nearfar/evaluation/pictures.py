"""Arrays that let a report show single images: neighbours, a map, a gallery, views."""

from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float, Int64, UInt8
from torch import Tensor

from nearfar.analysis.embedding_map import embedding_map
from nearfar.analysis.gallery import gallery_queries
from nearfar.data.batches import evaluation_batches
from nearfar.data.choosing import choose
from nearfar.data.source import Part
from nearfar.evaluation.knn import KNNBank
from nearfar.views.random_views import RandomViews

NEIGHBORS = 8
GALLERY_QUERIES = 16
VIEW_ORIGINALS = 6
VIEWS_EACH = 6
THUMBNAIL_SIDE = 64
"""Images of a longer side are shrunk to this one before they are stored to be shown."""


def picture_arrays(
    bank: Part,
    bank_features: Float[Tensor, "n dim"],
    shown: Part,
    shown_features: Float[Tensor, "s dim"],
    predictions: Int64[Tensor, " s"] | None,
    *,
    rows_in_bank: Int64[Tensor, " s"] | None = None,
    seed: int,
    workers: int,
    say: Callable[[str], None],
) -> dict[str, np.ndarray]:
    """Everything that is shown of single images.

    Args:
        bank: Training images, among which neighbours are sought.
        bank_features: Their features.
        shown: The images on show, at most 2000.
        shown_features: Features of the images on show.
        predictions: Their predicted classes, or None where none were predicted.
        rows_in_bank: Where the images on show are images of the bank, which ones: none is then its
            own neighbour.
        seed: Seeds the map and the choice of queries.
        workers: Processes that decode streamed images.
        say: Told what is under way.
    """
    say("nearest neighbours and map")
    similarities, indices = _neighbors(bank_features, shown_features, rows_in_bank)
    right = None
    if predictions is not None and shown.labels is not None:
        right = predictions == shown.labels
    queries = gallery_queries(right, GALLERY_QUERIES, total=len(shown), seed=seed)
    used = torch.unique(indices[queries])
    arrays = {
        "shown_images": thumbnails(shown, workers),
        "shown_map": embedding_map(shown_features, seed=seed),
        "neighbor_indices": indices.numpy(),
        "neighbor_similarities": similarities.numpy(),
        "gallery_queries": queries.numpy(),
        "gallery_bank_indices": used.numpy(),
        "gallery_images": thumbnails(choose(bank, used), workers),
    }
    if shown.labels is not None:
        arrays["shown_labels"] = shown.labels.numpy()
    if bank.labels is not None:
        arrays["neighbor_labels"] = bank.labels[indices].numpy()
    if predictions is not None:
        arrays["shown_predictions"] = predictions.numpy()
    return arrays


def view_arrays(part: Part, views: RandomViews, device: torch.device) -> dict[str, np.ndarray]:
    """A few images and what the views make of them.

    Args:
        part: The images; the first ones are taken.
        views: The views of the training.
        device: Where the views are drawn.
    """
    generator = torch.Generator().manual_seed(0)
    images = _first_images(part, VIEW_ORIGINALS).to(device)
    samples = [to_uint8(views.draw(images, generator, i % 2, False)) for i in range(VIEWS_EACH)]
    return {
        "view_originals": _channels_last(images),
        "view_samples": np.stack([_channels_last(sample) for sample in samples], axis=1),
    }


def thumbnails(part: Part, workers: int = 0) -> UInt8[np.ndarray, "n height width channels"]:
    """All images of a part, none larger than `THUMBNAIL_SIDE`.

    Args:
        part: The images.
        workers: Processes that decode streamed images.
    """
    batches = evaluation_batches(part.images, batch_size=256, device="cpu", workers=workers)
    return np.concatenate([_channels_last(_shrunk(images)) for images, _ in batches])


def to_uint8(
    images: Float[Tensor, "n channels height width"],
) -> UInt8[Tensor, "n channels height width"]:
    """Images in 0 to 1 as they would be stored, 0 to 255.

    Args:
        images: Values outside 0 to 1 are clamped.
    """
    return (images.clamp(0, 1) * 255).round().to(torch.uint8)


def _neighbors(
    bank: Tensor, shown: Tensor, rows_in_bank: Tensor | None
) -> tuple[Float[Tensor, "s k"], Int64[Tensor, "s k"]]:
    """The nearest bank images of each shown one; within the bank never the image itself."""
    if rows_in_bank is None:
        return KNNBank(bank).neighbors(shown, NEIGHBORS)
    similarities, indices = KNNBank(bank).neighbors(shown, NEIGHBORS + 1)
    others = indices != rows_in_bank.unsqueeze(1)
    # An image with many twins may not be among its own first neighbours: then the last one goes.
    others[others.all(dim=1), -1] = False
    kept = indices.shape[1] - 1
    return similarities[others].view(-1, kept), indices[others].view(-1, kept)


def _first_images(part: Part, count: int) -> UInt8[Tensor, "n channels height width"]:
    first = choose(part, torch.arange(min(count, len(part))))
    batches = evaluation_batches(first.images, batch_size=count, device="cpu", workers=0)
    return torch.cat([images for images, _ in batches])


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
