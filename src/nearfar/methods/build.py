"""From a method's settings to the method."""

from jaxtyping import Int64
from torch import Tensor, nn

from nearfar.methods.byol import BYOL
from nearfar.methods.classes import require_classes
from nearfar.methods.config import (
    BalancedSoftmaxConfig,
    BYOLConfig,
    CPCConfig,
    CrossEntropyConfig,
    MethodConfig,
    MoCoConfig,
    PaCoConfig,
    SupConConfig,
)
from nearfar.methods.cpc import CPC
from nearfar.methods.cross_entropy import CrossEntropy
from nearfar.methods.method import Method
from nearfar.methods.moco import MoCo
from nearfar.methods.paco import PaCo
from nearfar.methods.simclr import SimCLR
from nearfar.methods.supcon import SupCon


def build_method(
    config: MethodConfig,
    encoder: nn.Module,
    *,
    class_counts: Int64[Tensor, " classes"] | None = None,
) -> Method:
    """The method that a run names, around an encoder.

    Args:
        config: Checked by `check_method`.
        encoder: A module with `num_features`.
        class_counts: Examples of each class in what is learnt from; None without labels.

    Raises:
        SettingError: The method learns from labels, and there are none, or of one class alone; or
            it does not work with this encoder.
    """
    if isinstance(config, SupConConfig):
        require_classes(config, class_counts)
        return SupCon(config, encoder)
    if isinstance(config, CrossEntropyConfig | BalancedSoftmaxConfig):
        return CrossEntropy(config, encoder, require_classes(config, class_counts))
    if isinstance(config, PaCoConfig):
        return PaCo(config, encoder, require_classes(config, class_counts))
    if isinstance(config, MoCoConfig):
        return MoCo(config, encoder)
    if isinstance(config, CPCConfig):
        return CPC(config, encoder)
    if isinstance(config, BYOLConfig):
        return BYOL(config, encoder)
    return SimCLR(config, encoder)
