"""What of an encoder may change while it is trained. Imports no torch."""

from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from annotated_types import Ge

from nearfar.spec import Spec

if TYPE_CHECKING:
    from torch import nn


class AdaptSpec(Spec):
    """What of the encoder stays as it is."""

    room: ClassVar[str] = "adapt."

    freeze: Literal["backbone"] | Annotated[int, Ge(1)] | None = None
    """What is not trained: the backbone, or its first n stages, of which the stem is one."""
    freeze_batch_norm: bool = False
    """Keep the statistics of the encoder's batch-norm; its scales and shifts are trained."""

    def apply(self, encoder: "nn.Module") -> None:
        """Freeze what is to be frozen, in place.

        Raises:
            SettingError: The encoder has no such parts.
        """
        from nearfar.encoders.freezing import freeze, freeze_batch_norm, freeze_stages

        if self.freeze == "backbone":
            freeze(encoder)
        elif self.freeze is not None:
            freeze_stages(encoder, self.freeze)
        if self.freeze_batch_norm:
            freeze_batch_norm(encoder)
