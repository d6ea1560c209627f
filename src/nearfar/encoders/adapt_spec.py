"""What is taken over of a start, and what of it may change in training. Imports no torch."""

from dataclasses import field
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from annotated_types import Ge

from nearfar.errors import SettingError
from nearfar.spec import Above0, Count, Spec, set_apart

if TYPE_CHECKING:
    from torch import nn


class AdaptSpec(Spec):
    """What of the encoder stays as it is, what is learnt in its place, and whose head begins."""

    room: ClassVar[str] = "adapt."

    head: Literal["fresh", "start"] = field(default="fresh", kw_only=True)
    """start: the projection head begins as that of the run that the encoder's start names, where
    both are built alike; fresh: with random weights. --from RUN sets start."""
    freeze: Literal["backbone"] | Annotated[int, Ge(1)] | None = None
    """What is not trained: the backbone, or its first n stages, of which the stem is one."""
    freeze_batch_norm: bool = False
    """Keep the statistics of the encoder's batch-norm; its scales and shifts are trained."""

    lora_rank: Count | None = None
    """Train low-rank adapters of this rank in place of the encoder's weights."""
    lora_alpha: Above0 = 16.0
    """Over the rank: what the adapters' change is multiplied by."""
    lora_layers: Literal["attention", "linear"] = "attention"
    """What gets adapters: the linear layers inside attention, or all."""

    def check(self) -> None:
        """Settings of adapters are for adapters, which keep all else as it is."""
        if self.lora_rank is not None:
            if self.freeze is not None:
                raise SettingError(
                    f"adapt.freeze is {self.freeze}: adapters keep all of the encoder but "
                    "themselves: leave it out"
                )
        elif set_apart(self).keys() & {"lora_alpha", "lora_layers"}:
            raise SettingError(
                "adapt.lora_alpha and adapt.lora_layers are of adapters: give adapt.lora_rank too"
            )

    def apply(self, encoder: "nn.Module") -> None:
        """Freeze what is to be frozen, and add adapters, in place.

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
        if self.lora_rank is not None:
            from nearfar.encoders.lora import add_adapters

            add_adapters(
                encoder, rank=self.lora_rank, alpha=self.lora_alpha, layers=self.lora_layers
            )
