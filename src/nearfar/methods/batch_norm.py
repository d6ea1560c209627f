"""Batch-norm that cannot tell which rows belong together: by parts of a batch, in random order.

Batch-norm lets the rows of a batch know of each other. A query and its key, normalised with the
same other rows, can be told by what they have in common, without looking at the image (He et al.
2020, section 3.3). Where keys pass in a random order, every key is normalised with other rows than
its query: those of another rank, or of another part of `SplitBatchNorm`. On one device, with one
part, order changes nothing, and rows stay in theirs.
"""

from collections.abc import Callable, Sequence

import torch
import torch.distributed as dist
from jaxtyping import Float, Shaped
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.modules.batchnorm import _BatchNorm

from nearfar.encoders.freezing import mark_frozen
from nearfar.errors import SettingError
from nearfar.similarity.gathering import gather_rows

_SPLITTABLE = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)


class SplitBatchNorm(_BatchNorm):
    """Batch-norm that normalises each of `splits` parts of the batch by its own statistics.

    Each part is what a batch-norm of its own would see. The running statistics move once a batch,
    by the mean of what the parts would move them; used in evaluation mode, they are those of
    ordinary batch-norm. Names of parameters and buffers are those of the layer it stands for.
    """

    splits: int

    @classmethod
    def in_place_of(cls, layer: _BatchNorm, splits: int) -> "SplitBatchNorm":
        """A layer with the parameters, buffers and settings of another one.

        Args:
            layer: Its parameters and buffers are shared.
            splits: Parts of a batch, as equal as can be; 2 examples or more in each.
        """
        split = cls(
            layer.num_features,
            layer.eps,
            layer.momentum,
            affine=layer.affine,
            track_running_stats=layer.track_running_stats,
        )
        split.__dict__["_parameters"] = layer._parameters
        split.__dict__["_buffers"] = layer._buffers
        split.training, split.splits = layer.training, splits
        mark_frozen(split, like=layer)
        return split

    def forward(self, input: Float[Tensor, "batch channels ..."]) -> Tensor:  # noqa: A002
        """The batch normalised part by part, or by the running statistics in evaluation mode."""
        if not self.training:
            return super().forward(input)
        if len(input) < 2 * self.splits:
            raise SettingError(
                f"method.batch_norm_splits is {self.splits}: {len(input)} examples on a rank (in "
                "a part, with training.micro_batch_size) give some splits fewer than 2: choose "
                "fewer splits or more examples"
            )
        rate = self.momentum
        if self.num_batches_tracked is not None:
            self.num_batches_tracked += 1
            rate = 1 / float(self.num_batches_tracked) if rate is None else rate
        parts, moved = [], []
        for part in input.tensor_split(self.splits):
            statistics = [None if each is None else each.clone() for each in self._statistics()]
            mean, variance = statistics
            scale, shift = self.weight, self.bias
            parts.append(
                F.batch_norm(part, mean, variance, scale, shift, True, rate or 0, self.eps)
            )
            moved.append(statistics)
        for kept, by_part in zip(self._statistics(), zip(*moved, strict=True), strict=True):
            if kept is not None:
                kept.copy_(torch.stack(by_part).mean(dim=0))
        return torch.cat(parts)

    def _statistics(self) -> tuple[Tensor | None, Tensor | None]:
        """Running mean and variance, where there are any."""
        return self.running_mean, self.running_var

    def _check_input_dim(self, input: Tensor) -> None:  # noqa: A002
        """Batches of any dimensions are taken."""

    def extra_repr(self) -> str:
        """What is printed of the layer."""
        return f"{super().extra_repr()}, splits={self.splits}"


def split_batch_norm(network: nn.Module, splits: int) -> None:
    """Put `SplitBatchNorm` in the place of every batch-norm inside a network.

    Args:
        network: Changed in place; its `state_dict` keeps names and values.
        splits: Parts of a batch, 2 or more.

    Raises:
        SettingError: There is no batch-norm in it, or one of another kind than torch's own.
    """
    layers = [
        (parent, name, child)
        for parent in network.modules()
        for name, child in parent.named_children()
        if isinstance(child, _BatchNorm)
    ]
    if not layers:
        raise SettingError(
            f"method.batch_norm_splits is {splits}: the encoder has no batch-norm to split: leave "
            "it at 1"
        )
    for parent, name, layer in layers:
        if type(layer) not in _SPLITTABLE:
            raise SettingError(
                f"method.batch_norm_splits is {splits}: the encoder's {type(layer).__name__} "
                "cannot be split: leave it at 1, or choose an encoder with torch's own batch-norm"
            )
        setattr(parent, name, SplitBatchNorm.in_place_of(layer, splits))


@torch.no_grad()
def encoded_as_keys(
    networks: Sequence[nn.Module], images: Shaped[Tensor, " batch *shape"]
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

    if normalises_in_groups(networks):
        return encoded_in_random_order(encode, images)
    return encode(images)


def normalises_in_groups(networks: Sequence[nn.Module]) -> bool:
    """Whether batch-norm normalises rows in several groups: of ranks, or of parts of a batch.

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
    encode: Callable[[Tensor], Tensor], images: Shaped[Tensor, " batch *shape"]
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
