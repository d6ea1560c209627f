"""What CPC asks of an encoder, and those that give it.

A step encoder gives a vector for each step of an example, and one for all steps up to it.
"""

import math
from collections.abc import Callable
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn import functional as F

from nearfar.errors import SettingError

Vectors = Float[Tensor, "batch num_steps columns num_features"]
Steps = tuple[Vectors, Vectors]
PatchChange = Callable[[Tensor], Tensor]
"""Of patches `(patches, channels, side, side)`, to patches of the same shape."""


@runtime_checkable
class StepEncoder(Protocol):
    """An encoder of series, texts, or images as rows of patches; any module of this shape will do.

    Attributes:
        num_features: Width of features, of z and of c.
        num_steps: Steps that an example has.
    """

    num_features: int
    num_steps: int

    def steps(self, examples: Tensor) -> Steps:
        """Vectors z and c of each step and column.

        Returns:
            z, each of which knows one step and what is close before it, and c, each of which knows
            all steps up to its own. Nothing in either depends on a later step. Series have one
            column.
        """
        ...


@runtime_checkable
class PatchEncoder(StepEncoder, Protocol):
    """A step encoder that cuts images into patches, which can be changed before they are encoded.

    Attributes:
        patch: Side of a patch, in pixels.
    """

    patch: int

    def steps(self, examples: Tensor, change: PatchChange | None = None) -> Steps:
        """Vectors z and c of each step and column.

        Args:
            examples: A normalised batch.
            change: What is done to all patches of the batch, each by itself, once they are cut.
        """
        ...


@runtime_checkable
class PartialStepEncoder(StepEncoder, Protocol):
    """A step encoder of examples of which some have fewer steps: what stands behind is none."""

    def steps_there(self, examples: Tensor) -> Bool[Tensor, "batch num_steps"]:
        """Which steps each example has: the first ones, in all columns."""
        ...


_MOST_STEPS = 128
_KERNEL, _STRIDE = 4, 2


class CausalConvolution(nn.Module):
    """A convolution of stride 2 that sees no later step, ReLU after layer-norm over channels.

    Padded with zeros at the beginning alone: output t sees inputs up to 2t + 1. A last step that
    fills no stride is left out, so that n steps become ⌊n/2⌋.
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
        """Vectors z and c of each step, `(batch, num_steps, 1, num_features)`."""
        steps = self.convolutions(series).transpose(1, 2)
        # In full precision: what is rounded at a step would be carried on to all later ones.
        with torch.autocast(series.device.type, enabled=False):
            contexts, _ = self.gru(steps.to(self.gru.weight_ih_l0.dtype))
        return steps.unsqueeze(2), contexts.unsqueeze(2)

    def group_matcher(self, coarse: bool = False) -> dict[str, str]:  # noqa: ARG002  they are alike
        """How names of parameters make stages and layers, in timm's form."""
        return {"convolutions": r"^convolutions\.(\d+)", "gru": r"^gru"}


_SMALLEST_SIDE = 8


class RowGRU(nn.Module):
    """A GRU (Cho et al. 2014) whose state is a row of vectors (van den Oord et al. 2016, PixelRNN).

    Inputs and states enter by convolutions over three columns, so that the state of row r and
    column j sees the columns j − 1 to j + 1 of row r, one more to either side of row r − 1, and so
    on; no row after r.
    """

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.inputs = nn.Conv2d(dim, 3 * dim, (1, 3), padding=(0, 1))
        self.state = nn.Conv1d(dim, 3 * dim, 3, padding=1)

    def forward(
        self, patches: Float[Tensor, "batch rows columns dim"]
    ) -> Float[Tensor, "batch rows columns dim"]:
        """The state after each row."""
        rows = self.inputs(patches.permute(0, 3, 1, 2)).unbind(dim=2)
        state = torch.zeros_like(rows[0][:, : self.state.in_channels])
        states = []
        for row in rows:
            reset, update, new = row.chunk(3, dim=1)
            old_reset, old_update, old = self.state(state).chunk(3, dim=1)
            update = torch.sigmoid(update + old_update)
            new = torch.tanh(new + torch.sigmoid(reset + old_reset) * old)
            state = torch.lerp(new, state, update)
            states.append(state)
        return torch.stack(states, dim=1).transpose(2, 3)


class PatchGRU(nn.Module):
    """CPC's encoder of images (van den Oord et al. 2018, section 3.2), for sides from 8 px.

    An image becomes a grid of patches, each overlapping the next by half: 7 × 7 of a quarter of the
    side, as theirs, where 8 divides the side, and fewer else, such as 6 × 6 of 8 px for a side of
    28 px. Pixels at the right and bottom that fill no patch are left out. Every patch by itself
    passes convolutions of stride 2 to give z; a GRU down the rows of patches gives c. They take a
    ResNet for z, without batch-norm as here, and a PixelCNN for c, beside which they name this GRU
    as giving similar results.

    Features are the mean of c over the grid: they pool z, or c, over all places (section 2.2; z in
    their experiments with images). So all weights serve the features.

    Args:
        channels: Channels of the images.
        width: Channels of the first convolution, which each later one doubles up to four times as
            many; z and c have four times as many, which is `num_features`.
        image_size: Side of the images, in pixels.

    Raises:
        SettingError: The side is below 8 px.
    """

    def __init__(self, *, channels: int, width: int, image_size: int) -> None:
        super().__init__()
        if image_size < _SMALLEST_SIDE:
            raise SettingError(
                f"patch-gru cuts images into 7 × 7 patches, and {image_size} px are too few: "
                f"choose views.size {_SMALLEST_SIDE} or more"
            )
        self.stride = math.ceil(image_size / 8)
        self.patch = 2 * self.stride
        self.num_steps = (image_size - self.patch) // self.stride + 1
        self.num_features = 4 * width
        self.patches = _patch_network(channels, width, self.patch)
        self.gru = RowGRU(self.num_features)

    def forward(
        self, images: Float[Tensor, "batch channels height width"]
    ) -> Float[Tensor, "batch features"]:
        """Features of normalised images."""
        return self.steps(images)[1].mean(dim=(1, 2))

    def steps(
        self,
        images: Float[Tensor, "batch channels height width"],
        change: PatchChange | None = None,
    ) -> Steps:
        """Vectors z and c of each patch, `(batch, num_steps, num_steps, num_features)`, row by row.

        Args:
            images: Normalised.
            change: What is done to all patches, `(batch · num_steps², channels, patch, patch)`,
                once they are cut: what two patches share is changed in each by itself.
        """
        cut = images.unfold(2, self.patch, self.stride).unfold(3, self.patch, self.stride)
        grid = cut.permute(0, 2, 3, 1, 4, 5)
        patches = grid.flatten(0, 2)
        if change is not None:
            patches = change(patches)
        encoded = self.patches(patches).view(*grid.shape[:3], self.num_features)
        # In full precision: what is rounded at a row would be carried on to all later ones.
        with torch.autocast(images.device.type, enabled=False):
            contexts = self.gru(encoded.to(self.gru.state.weight.dtype))
        return encoded, contexts

    def group_matcher(self, coarse: bool = False) -> Callable[[str], int]:  # noqa: ARG002  they are alike
        """How names of parameters make stages and layers, in timm's form: each layer is both."""
        # Each convolution is followed by its norm and a ReLU.
        last = len(self.patches) // 3
        return lambda name: last if name.startswith("gru") else int(name.split(".")[1]) // 3


def _patch_network(channels: int, width: int, side: int) -> nn.Sequential:
    """Convolutions that halve a patch until it is 2 px or less, and one over all that is left."""
    layers: list[nn.Module] = []
    last = channels
    out = width
    while side > 2:
        layers += _layer(nn.Conv2d(last, out, 3, stride=2, padding=1))
        side, last, out = math.ceil(side / 2), out, min(2 * out, 4 * width)
    layers += _layer(nn.Conv2d(last, 4 * width, side))
    return nn.Sequential(*layers)


def _layer(convolution: nn.Conv2d) -> list[nn.Module]:
    """The convolution, then norm over the patch alone, then ReLU."""
    return [convolution, nn.GroupNorm(1, convolution.out_channels), nn.ReLU(inplace=True)]
