"""A residual network along time, small enough to train on a processor."""

from jaxtyping import Float
from torch import Tensor, nn

_LONGEST = 256
"""Steps that the stem brings a series to at most."""


class SeriesBlock(nn.Module):
    """Two convolutions of 3 steps beside a shortcut (He et al. 2015, the basic block)."""

    def __init__(self, channels_in: int, channels_out: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv1d(channels_in, channels_out, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm1d(channels_out)
        self.conv2 = nn.Conv1d(channels_out, channels_out, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm1d(channels_out)
        self.act = nn.ReLU(inplace=True)
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or channels_in != channels_out:
            self.shortcut = nn.Sequential(
                nn.Conv1d(channels_in, channels_out, 1, stride, bias=False),
                nn.BatchNorm1d(channels_out),
            )

    def forward(self, series: Float[Tensor, "batch _ _"]) -> Float[Tensor, "batch channels steps"]:
        """The block's output; the steps are divided by the stride, rounded up."""
        inner = self.bn2(self.conv2(self.act(self.bn1(self.conv1(series)))))
        return self.act(inner + self.shortcut(series))


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
        self.stem = nn.Sequential(
            nn.Conv1d(channels, width, 2 * stride + 3, stride, padding=stride + 1, bias=False),
            nn.BatchNorm1d(width),
            nn.ReLU(inplace=True),
        )
        self.stages = nn.Sequential(
            _stage(width, width, stride=1),
            _stage(width, 2 * width, stride=2),
            _stage(2 * width, 4 * width, stride=2),
        )
        self.num_features = 4 * width
        for module in self.modules():
            if isinstance(module, nn.Conv1d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(
        self, series: Float[Tensor, "batch channels steps"]
    ) -> Float[Tensor, "batch features"]:
        """Features of normalised series."""
        return self.stages(self.stem(series)).mean(dim=2)


def _stage(channels_in: int, channels_out: int, *, stride: int) -> nn.Sequential:
    """Two blocks, the first of which changes steps and channels."""
    return nn.Sequential(
        SeriesBlock(channels_in, channels_out, stride),
        SeriesBlock(channels_out, channels_out, 1),
    )
