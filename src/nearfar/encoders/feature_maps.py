"""Features by place: what a network for images gives before it pools them to one vector."""

from math import isqrt
from typing import Protocol, runtime_checkable

from jaxtyping import Float
from torch import Tensor, nn

from nearfar.errors import NearfarError


@runtime_checkable
class GivesMaps(Protocol):
    """A network for images of ours that has features by place."""

    def maps(self, images: Float[Tensor, "batch _ _ _"]) -> list[Tensor]:
        """What each stage gives, `(batch, channels, height, width)`; the last is what is pooled.

        Args:
            images: Normalised.
        """
        ...


def feature_maps(
    network: nn.Module, images: Float[Tensor, "batch _ _ _"], stage: int = -1
) -> Float[Tensor, "batch dim height width"]:
    """Features of each place of normalised images, the top left first.

    The last stage of a model of timm is what its `forward_features` gives: of a transformer the
    tokens of the patches, put back into rows, without the class token and its like. Earlier stages
    are what its `forward_intermediates` gives, before any norm that follows the last one.

    Args:
        network: A backbone of ours or of timm's, in the mode that it shall run in.
        images: Of the size and channels that it takes, in its own type.
        stage: Which stage, as a list is indexed: -1 is the last, -2 the one before.

    Raises:
        NearfarError: The network has no such maps, or no such stage.
    """
    if isinstance(network, GivesMaps):
        return _chosen(network.maps(images), stage, network)
    if stage != -1:
        intermediates = getattr(network, "forward_intermediates", None)
        if intermediates is None:
            raise NearfarError(
                f"{_named(network)} gives maps of its last stage alone: choose stage -1, not "
                f"{stage}"
            )
        return _chosen(intermediates(images, intermediates_only=True), stage, network)
    last = getattr(network, "forward_features", None)
    if last is None:
        raise NearfarError(
            f"{_named(network)} has no features by place: it gives one vector an example; a ResNet "
            "has, such as small-resnet, and so has nearly every model of timm"
        )
    return _as_maps(network, last(images))


def _chosen(stages: list[Tensor], stage: int, network: nn.Module) -> Tensor:
    try:
        return stages[stage]
    except IndexError:
        raise NearfarError(
            f"{_named(network)} has {len(stages)} stages: choose -1 for the last to "
            f"{-len(stages)} for the first, not {stage}"
        ) from None


def _as_maps(network: nn.Module, found: object) -> Tensor:
    """What timm's `forward_features` gave, channels first."""
    if isinstance(found, Tensor) and found.ndim == 4:
        fmt = str(getattr(network, "output_fmt", "NCHW"))
        return found.permute(0, 3, 1, 2) if fmt.endswith("NHWC") else found
    if isinstance(found, Tensor) and found.ndim == 3:
        first = getattr(network, "num_prefix_tokens", int(hasattr(network, "cls_token")))
        tokens = found[:, first:]
        side = isqrt(tokens.shape[1])  # images are squares, and so are their patches
        if side**2 == tokens.shape[1]:
            return tokens.transpose(1, 2).unflatten(2, (side, side))
    shape = tuple(found.shape) if isinstance(found, Tensor) else type(found).__name__
    raise NearfarError(
        f"{_named(network)} gives no features by place before it pools them, but {shape}: choose "
        "another backbone"
    )


def _named(network: nn.Module) -> str:
    return type(network).__name__
