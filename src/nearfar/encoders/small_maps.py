"""Convolutions of maps of at most 2×2 pixels, as one product of matrices in training on a CPU.

oneDNN convolves such maps at a small part of the rate of a product, above all where it looks for
the weights' gradient: of 512 channels at one pixel, at a tenth. There a 3×3 kernel reaches from
every pixel to every other, so the convolution is a linear layer of all pixels' channels, whose
matrix repeats each of the kernel's taps wherever it lies, and leaves out those that see nothing but
padding: 5 of 9 of what is multiplied at 2×2 pixels, 8 of 9 at one. A 1×1 kernel of stride 2 sees
one pixel of such a map.
"""

from dataclasses import dataclass
from functools import cache
from itertools import chain, product

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

_LARGEST_SIDE = 2
_FEWEST_EXAMPLES = 32
"""Of fewer, putting the matrix together takes as long as is won."""


@dataclass(frozen=True)
class _Reach:
    """How a kernel sees a small map.

    Attributes:
        seen: Rows and columns of the map that it sees, from the first on.
        made: Rows and columns that come out.
        taps: For each pixel that comes out, and each that is seen: the tap that it is seen by.
    """

    seen: tuple[int, int]
    made: tuple[int, int]
    taps: list[int]


class SmallMapConv2d(nn.Conv2d):
    """A convolution that is one product of matrices where maps are small.

    Same sums, in another order: values and gradients differ by rounding alone. In evaluation, on
    other devices, and where maps are larger or examples few, it is torch's own.
    """

    def forward(self, input: Float[Tensor, "*batch channels h w"]) -> Tensor:  # noqa: A002
        """The maps convolved."""
        if self._pays(input):
            height, width = input.shape[2:]
            reach = _reach(height, width, self.kernel_size, self.stride, tuple(self.padding))
            if reach is not None:
                return self._product(input, reach)
        return super().forward(input)

    def _pays(self, maps: Tensor) -> bool:
        """Whether a product is faster, where it is possible."""
        return (
            self.training
            and maps.device.type == "cpu"
            and maps.ndim == 4
            and max(maps.shape[2:]) <= _LARGEST_SIDE
            and len(maps) >= _FEWEST_EXAMPLES
        )

    def _product(self, maps: Float[Tensor, "batch channels h w"], reach: _Reach) -> Tensor:
        """The maps convolved by one product."""
        rows, columns = reach.seen
        kernel = self.weight.permute(0, 2, 3, 1).flatten(1, 2)
        matrix = kernel.index_select(1, torch.tensor(reach.taps, device=kernel.device))
        pixels = reach.made[0] * reach.made[1]
        bias = None if self.bias is None else self.bias.repeat_interleave(pixels)
        made = F.linear(
            maps[:, :, :rows, :columns].permute(0, 2, 3, 1).flatten(1),
            matrix.reshape(self.out_channels * pixels, -1),
            bias,
        ).unflatten(1, (self.out_channels, *reach.made))
        if maps.is_contiguous(memory_format=torch.channels_last):
            return made.contiguous(memory_format=torch.channels_last)
        return made


def small_maps_as_products(network: nn.Module) -> nn.Module:
    """Let a network's convolutions be products of matrices where their maps are small.

    Args:
        network: Changed in place; parameters, their names and hooks stay. Convolutions that are
            dilated, in groups, or of a kind of their own, are left as they are.

    Returns:
        The same network.
    """
    for layer in network.modules():
        if type(layer) is nn.Conv2d and _is_plain(layer):
            layer.__class__ = SmallMapConv2d
    return network


def _is_plain(layer: nn.Conv2d) -> bool:
    """Whether a convolution is one of all channels, padded with zeros."""
    return (
        layer.groups == 1
        and layer.dilation == (1, 1)
        and layer.padding_mode == "zeros"
        and not isinstance(layer.padding, str)
    )


@cache
def _reach(
    height: int,
    width: int,
    kernel: tuple[int, ...],
    stride: tuple[int, ...],
    padding: tuple[int, ...],
) -> _Reach | None:
    """How a kernel sees a map; None where a pixel that comes out does not see all that others do.

    None, too, where nothing comes out.
    """
    down, across = (
        _along(*each) for each in zip((height, width), kernel, stride, padding, strict=True)
    )
    if not down or not across:
        return None
    taps = [
        y * kernel[1] + x
        for by_row, by_column in product(down, across)
        for y, x in product(by_row, by_column)
    ]
    return _Reach((len(down[0]), len(across[0])), (len(down), len(across)), taps)


def _along(side: int, kernel: int, stride: int, padding: int) -> list[list[int]]:
    """By which taps each pixel that comes out sees those of a map, along one of its sides.

    Empty where one sees less than another.
    """
    made = (side + 2 * padding - kernel) // stride + 1
    seen = min(side, (made - 1) * stride - padding + kernel)
    taps = [[pixel - out * stride + padding for pixel in range(seen)] for out in range(made)]
    return taps if seen > 0 and all(0 <= tap < kernel for tap in chain(*taps)) else []
