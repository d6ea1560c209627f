"""A residual network along time, small enough to train on a processor."""

from jaxtyping import Float
from torch import Tensor, nn

from nearfar.encoders.residual_stages import OF_SERIES, initialise_convolutions, stem, three_stages

_LONGEST = 256
"""Steps that the stem brings a series to at most."""


class SeriesResNet(nn.Module):
    """Three stages of two residual blocks, halving the steps and doubling the channels.

    A residual network after Wang, Yan and Oates 2017 with the basic block; its stem strides over
    long series until at most 256 steps are left. Features are the mean over the last steps.

    Args:
        channels: Channels of the series.
        width: Channels of the first stage; the last has four times as many, which is
            `num_features`.
        steps: Length of the series; decides the stem's stride only.
    """

    def __init__(self, *, channels: int, width: int, steps: int) -> None:
        super().__init__()
        stride = -(-steps // _LONGEST)
        self.stem = stem(OF_SERIES, channels, width, kernel=2 * stride + 3, stride=stride)
        self.stages = three_stages(OF_SERIES, width)
        self.num_features = 4 * width
        initialise_convolutions(self)

    def forward(
        self, series: Float[Tensor, "batch channels steps"]
    ) -> Float[Tensor, "batch features"]:
        """Features of normalised series."""
        return self.stages(self.stem(series)).mean(dim=2)
