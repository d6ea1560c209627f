"""Strided causal convolutions and a GRU along time: CPC's encoder of series."""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from nearfar.encoders.steps import Steps
from nearfar.errors import SettingError

_MOST_STEPS = 128
_KERNEL, _STRIDE = 4, 2


class CausalConvolution(nn.Module):
    """A convolution of stride 2 that sees no later step, ReLU after layer-norm over channels.

    Padded with zeros at the beginning alone: output t sees inputs up to 2t + 1. A last step that
    fills no stride is left out, so that n steps become ⌊n/2⌋.

    Args:
        channels_in: Of the input.
        channels_out: Of the output.
    """

    def __init__(self, channels_in: int, channels_out: int) -> None:
        super().__init__()
        self.conv = nn.Conv1d(channels_in, channels_out, _KERNEL, _STRIDE)
        # Over channels alone: statistics over time would tell each step of later ones.
        self.norm = nn.LayerNorm(channels_out)

    def forward(self, series: Float[Tensor, "batch _ _"]) -> Float[Tensor, "batch channels steps"]:
        """The layer's output."""
        padded = F.pad(series, (_KERNEL - _STRIDE, 0))
        return F.relu(self.norm(self.conv(padded).transpose(1, 2))).transpose(1, 2)


class SeriesGRU(nn.Module):
    """CPC's encoder of series (van den Oord et al. 2018, section 3.1), for any length.

    Convolutions of 4 steps and stride 2 halve the series once, and then until at most 128 steps z
    are left; a GRU over them gives the contexts c. Theirs has five such layers of strides 5, 4, 2,
    2, 2 for 20 480 samples of speech, which are 128 steps, no norm, and a GRU of half the width.
    With S the product of the strides, z and c of step t know no input after S·(t + 1) − 1, of which
    z knows the last 3·S − 2.

    Features are the mean of c over the steps: theirs too come from c, and for one vector of a whole
    sequence they pool z or c over all places (section 2.2).

    Args:
        channels: Channels of the series.
        width: A quarter of the width of z and of c, which is `num_features`.
        steps: Length of the series; decides how often they are halved.

    Raises:
        SettingError: The series are of one step.
    """

    def __init__(self, *, channels: int, width: int, steps: int) -> None:
        super().__init__()
        if steps < _STRIDE:
            raise SettingError("series-gru halves series, and these are of 1 step: choose longer")
        layers, self.num_steps = 1, steps // _STRIDE
        while self.num_steps > _MOST_STEPS:
            layers, self.num_steps = layers + 1, self.num_steps // _STRIDE
        self.num_features = 4 * width
        self.stride = _STRIDE**layers
        self.convolutions = nn.Sequential(
            *(
                CausalConvolution(self.num_features if layer else channels, self.num_features)
                for layer in range(layers)
            )
        )
        self.gru = nn.GRU(self.num_features, self.num_features, batch_first=True)

    def forward(
        self, series: Float[Tensor, "batch channels steps"]
    ) -> Float[Tensor, "batch features"]:
        """Features of normalised series."""
        return self.steps(series)[1].mean(dim=(1, 2))

    def steps(self, series: Float[Tensor, "batch channels steps"]) -> Steps:
        """Vectors z and c of each step, `(batch, num_steps, 1, num_features)`.

        Args:
            series: Normalised.
        """
        steps = self.convolutions(series).transpose(1, 2)
        # In full precision: what is rounded at a step would be carried on to all later ones.
        with torch.autocast(series.device.type, enabled=False):
            contexts, _ = self.gru(steps.to(self.gru.weight_ih_l0.dtype))
        return steps.unsqueeze(2), contexts.unsqueeze(2)
