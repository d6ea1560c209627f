"""CPC's settings, and which encoders it takes. Imports no torch."""

from typing import Annotated, Literal

from annotated_types import Gt, Le

from nearfar.encoders.specs import EncoderSpec
from nearfar.errors import SettingError
from nearfar.methods.method_spec import MethodSpec
from nearfar.spec import Count, NotNegative


class CPCSpec(MethodSpec):
    """CPC (van den Oord et al. 2018): predict later steps of a series, text, or an image's rows."""

    target = "nearfar.methods.cpc:CPC"
    title = "CPC"
    summary = (
        "predict later steps of a series or text, or lower rows of an image, apart from others'"
    )
    source = "van den Oord et al. 2018"
    least_views, needs_steps = 1, True
    without_head = "it compares vectors of steps, which are the encoder's own"
    name: Literal["cpc"] = "cpc"
    prediction_steps: Count = 5
    """How many steps ahead are predicted, 1 up to one less than the encoder gives."""
    patch_crop: Annotated[float, Gt(0), Le(1)] = 1.0
    """patch-gru: side of a random crop of each patch, put back at a random place, over the patch's
    side; 1 leaves patches as they are."""
    patch_jitter: NotNegative = 0.0
    """patch-gru: deviation of each patch's own brightness, in deviations of the images, and of the
    logarithm of its contrast."""

    def require_patches(self, encoder: str) -> None:
        """Refuse changes of patches where there are none."""
        for name in ("patch_crop", "patch_jitter"):
            if (value := getattr(self, name)) != getattr(CPCSpec, name):
                raise SettingError(
                    f"method.{name} is {value}, and {encoder} cuts no patches: leave it out, or "
                    "choose encoder.name patch-gru"
                )

    def require_encoder(self, encoder: EncoderSpec) -> None:
        """Refuse an encoder without steps, and changes of patches where it cuts none."""
        super().require_encoder(encoder)
        if not encoder.cuts_patches:
            self.require_patches(f"encoder.name {encoder.name}")
