"""A batch of all ranks in random order, so that batch-norm cannot tell which rows belong together.

Batch-norm lets the rows of a batch know of each other. A query and its key, computed in the same
company, can be told by what they have in common, without looking at the image (He et al. 2020,
section 3.3). Where keys pass in a random order, every key's company differs from its query's: the
other ranks', or on one device the other parts' of split batch-norm. On one device with one part all
rows share one company in any order, and shuffling does nothing.
"""

from collections.abc import Callable, Sequence

import torch
import torch.distributed as dist
from jaxtyping import Float, Shaped
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from nearfar.methods.split_batch_norm import SplitBatchNorm
from nearfar.similarity.gathering import gather_rows


@torch.no_grad()
def encoded_as_keys(
    networks: Sequence[nn.Module], images: Shaped[Tensor, "batch *shape"]
) -> Float[Tensor, "batch dim"]:
    """Images passed through networks, in random order where that hides what batch-norm would tell.

    Args:
        networks: One after another; the last gives a row for each image.
        images: This rank's.

    Returns:
        This rank's rows, without gradient, in the order of its images.
    """

    def encode(images: Tensor) -> Tensor:
        for network in networks:
            images = network(images)
        return images

    if sees_several_companies(networks):
        return encoded_in_random_order(encode, images)
    return encode(images)


def sees_several_companies(networks: Sequence[nn.Module]) -> bool:
    """Whether batch-norm normalises rows in several companies: of ranks, or of parts of a batch.

    Args:
        networks: Layers in evaluation mode do not count: they know of no other row.
    """
    several_ranks = dist.is_available() and dist.is_initialized() and dist.get_world_size() > 1
    return any(
        layer.training and (several_ranks or isinstance(layer, SplitBatchNorm))
        for network in networks
        for layer in network.modules()
        if isinstance(layer, _BatchNorm)
    )


@torch.no_grad()
def encoded_in_random_order(
    encode: Callable[[Tensor], Tensor], images: Shaped[Tensor, "batch *shape"]
) -> Float[Tensor, "batch dim"]:
    """`encode(images)`, every rank encoding a random share of the images of all ranks.

    The order is the first rank's, drawn from torch's generator on the CPU, whose state a checkpoint
    holds; each rank draws, so that the generators of all stay in step. Every rank must call it. The
    images of all ranks are held at once.

    Args:
        encode: Gives a row for each image, without gradient.
        images: This rank's; ranks may hold different numbers.

    Returns:
        This rank's rows, in the order of its images.
    """
    rank, joined = 0, dist.is_available() and dist.is_initialized()
    counts = gather_rows(torch.tensor([len(images)], device=images.device)).tolist()
    order = torch.randperm(sum(counts)).to(images.device)
    if joined:
        rank = dist.get_rank()
        dist.broadcast(order, 0)
    share = order.split(counts)[rank]
    encoded = gather_rows(encode(gather_rows(images)[share]))
    return encoded[order.argsort()].split(counts)[rank]
