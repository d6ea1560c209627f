"""The kNN check that training makes now and then, on training images alone."""

from collections.abc import Callable, Sequence

import torch
from torch import nn

from nearfar.data.source import Part
from nearfar.encoders.config import EncoderConfig
from nearfar.encoders.saved import EncoderDescription, SavedEncoder
from nearfar.errors import NearfarError
from nearfar.evaluation.features import choose, extract_features, frozen
from nearfar.evaluation.knn import KNNBank, top_accuracy

HELD_OUT_SEED = 0
"""Seed of the split, fixed: the same images in every run and epoch."""


def held_out_knn(
    part: Part,
    *,
    mean: Sequence[float],
    std: Sequence[float],
    image_size: int,
    fraction: float = 0.2,
    max_images: int = 10_000,
    k: int = 20,
    temperature: float = 0.07,
    batch_size: int = 512,
    workers: int = 0,
) -> Callable[[nn.Module], dict[str, float]]:
    """A check of a backbone under training: kNN among training images, never on test.

    A fixed `fraction` of (at most `max_images`) training images asks, the others are the bank.
    The encoder has seen all of them, without labels, so the figure serves to watch a run and to
    choose settings; it is not a result.

    Args:
        part: Labelled training images.
        mean: Mean of each channel that the backbone's images are normalised with, in 0..1 units.
        std: Standard deviation of each channel, likewise.
        image_size: Side that images are brought to.
        fraction: Share that asks, between 0 and 1.
        max_images: Images that take part at most, drawn once.
        k: Neighbours that vote; clipped to the bank.
        temperature: Of the vote.
        batch_size: Images in a batch.
        workers: Processes that decode streamed images.

    Returns:
        A function of the backbone (normalised images to features, on any device, in any mode)
        that gives `{"top1": …, "top5": …}` as fractions and leaves the backbone as it was.

    Raises:
        NearfarError: If there are no labels or too few images.
    """
    if part.labels is None:
        raise NearfarError("the kNN check needs labels: set training.knn_every to 0 without them")
    order = torch.randperm(len(part), generator=torch.Generator().manual_seed(HELD_OUT_SEED))
    order = order[:max_images]
    asking = round(fraction * len(order))
    if not 0 < asking < len(order):
        raise NearfarError(
            f"the kNN check cannot hold out {fraction:g} of {len(order)} training images: set"
            " training.knn_every to 0"
        )
    queries, bank = choose(part, order[:asking]), choose(part, order[asking:])
    num_classes = int(part.labels.max()) + 1
    description = EncoderDescription(
        encoder=EncoderConfig(),
        channels=part.image_shape[0],
        image_size=image_size,
        mean=tuple(mean),
        std=tuple(std),
        num_features=0,
        weights_sha256="",
    )

    def check(backbone: nn.Module) -> dict[str, float]:
        device = next(backbone.parameters()).device
        reading = {"device": device, "batch_size": batch_size, "workers": workers}
        # `frozen` first: SavedEncoder puts the backbone into eval mode.
        with frozen(backbone):
            encoder = SavedEncoder(backbone, description).to(device)
            bank_features = extract_features(encoder, bank, **reading)
            query_features = extract_features(encoder, queries, **reading)
        assert bank.labels is not None
        assert queries.labels is not None
        scores = KNNBank(bank_features, bank.labels, num_classes=num_classes).predict(
            query_features, k, temperature
        )
        return {f"top{n}": top_accuracy(scores, queries.labels, n) for n in (1, 5)}

    return check
