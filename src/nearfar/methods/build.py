"""From a method's settings to the method."""

from jaxtyping import Int64
from torch import Tensor, nn

from nearfar.methods.config import MethodConfig
from nearfar.methods.method import Method
from nearfar.methods.simclr import SimCLR


def build_method(
    config: MethodConfig,
    encoder: nn.Module,
    *,
    class_counts: Int64[Tensor, " classes"] | None = None,  # noqa: ARG001  for those with labels
) -> Method:
    """The method that a run names, around an encoder.

    Args:
        config: Checked by `check_method`.
        encoder: A module with `num_features`.
        class_counts: Examples of each class in what is learnt from; None without labels.
    """
    return SimCLR(config, encoder)
