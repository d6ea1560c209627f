"""What of a method's settings can be refused at once. Imports nothing heavy."""

from nearfar.bounds import check_numbers, check_range
from nearfar.encoders.backbones import PATCH_BACKBONE, STEP_BACKBONES
from nearfar.encoders.config import EncoderConfig
from nearfar.errors import SettingError, unknown_name
from nearfar.methods.catalogue import METHODS
from nearfar.methods.config import (
    BYOLConfig,
    CPCConfig,
    MethodConfig,
    MoCoConfig,
    PaCoConfig,
    SimCLRConfig,
    SupConConfig,
)
from nearfar.methods.pairwise_options import check_pairwise, require_temperature

_WIDEST = 2**20


def check_method(config: MethodConfig) -> None:
    """Refuse settings that cannot be trained with.

    Raises:
        SettingError: Naming the first such setting, its value and what it may be.
    """
    if isinstance(config, SimCLRConfig):
        check_simclr(config)
    elif isinstance(config, MoCoConfig):
        check_moco(config)
    elif isinstance(config, BYOLConfig):
        check_byol(config)
    elif isinstance(config, SupConConfig):
        check_supcon(config)
    elif isinstance(config, PaCoConfig):
        check_paco(config)
    elif isinstance(config, CPCConfig):
        check_cpc(config)


def reads_labels(config: MethodConfig) -> bool:
    """Whether a method learns from labels, or drops false negatives by them."""
    drops = isinstance(config, SimCLRConfig) and config.drop_false_negatives != "no"
    return drops or METHODS[config.name].needs_labels


def check_labels(config: MethodConfig, labelled: bool, source: str) -> None:
    """Refuse to train a method that learns from labels on data without.

    Args:
        config: Of the method.
        labelled: Whether what it would learn from has labels.
        source: Name of the data.

    Raises:
        SettingError: The method needs labels and there are none.
    """
    info = METHODS[config.name]
    if isinstance(config, SimCLRConfig) and config.drop_false_negatives != "no" and not labelled:
        raise SettingError(
            f"method.drop_false_negatives is {config.drop_false_negatives}: it needs labels, and "
            f"the part of {source} to learn from has none"
        )
    if info.needs_labels and not labelled:
        raise SettingError(
            f"{info.title} learns from labels, and the part of {source} to learn from has none: "
            "choose another method, or data with labels"
        )


def check_simclr(config: SimCLRConfig) -> None:
    """Refuse what SimCLR cannot be trained with.

    Raises:
        SettingError: A setting that is impossible, or that the objective does not have.
    """
    check_pairwise(config)
    require_above_zero(config, "projection_dim")
    if config.projection_hidden is not None:
        require_above_zero(config, "projection_hidden")


def check_moco(config: MoCoConfig) -> None:
    """Refuse what MoCo cannot be trained with.

    Raises:
        SettingError: A setting is out of range, unknown, or of no use with the linear head.
    """
    require_above_zero(config, "temperature", "projection_dim", "queue_size", "batch_norm_splits")
    if config.head not in ("linear", "mlp"):
        raise unknown_name("method.head", config.head, ("linear", "mlp"))
    if config.projection_hidden is not None:
        if config.head == "linear":
            raise SettingError(
                f"method.projection_hidden is {config.projection_hidden}: the linear head has no "
                "hidden layer: leave it out, or set method.head to mlp"
            )
        require_above_zero(config, "projection_hidden")
    require_momentum(config)


def check_byol(config: BYOLConfig) -> None:
    """Refuse what BYOL cannot be trained with.

    Raises:
        SettingError: A width that is not above 0, or a momentum outside 0 to 1.
    """
    require_above_zero(config, "projection_hidden", "projection_dim", "prediction_hidden")
    require_momentum(config)


def check_supcon(config: SupConConfig) -> None:
    """Refuse what SupCon cannot be trained with.

    Raises:
        SettingError: A temperature or a width that is not above 0, or an unknown kind.
    """
    require_above_zero(config, "temperature", "projection_hidden", "projection_dim")
    if config.kind not in ("out", "in"):
        raise unknown_name("method.kind", config.kind, ("out", "in"))


def check_paco(config: PaCoConfig) -> None:
    """Refuse what PaCo cannot be trained with.

    Raises:
        SettingError: A setting that is not above 0, a momentum outside 0 to 1, or an unknown
            normalisation or head.
    """
    require_above_zero(
        config, "temperature", "alpha", "queue_size", "projection_hidden", "projection_dim"
    )
    if config.normalisation not in ("sum", "mean"):
        raise unknown_name("method.normalisation", config.normalisation, ("sum", "mean"))
    if config.head not in ("batch-norm", "three-layer"):
        raise unknown_name("method.head", config.head, ("batch-norm", "three-layer"))
    require_momentum(config)


def check_cpc(config: CPCConfig) -> None:
    """Refuse what CPC cannot be trained with.

    Raises:
        SettingError: There is no step to predict, a crop that is not above 0 and up to 1, or a
            jitter that is negative or not finite.
    """
    require_above_zero(config, "prediction_steps")
    if not 0 < config.patch_crop <= 1:
        raise SettingError(
            f"method.patch_crop is {config.patch_crop}: it must be above 0 and at most 1"
        )
    if not 0 <= config.patch_jitter < float("inf"):
        raise SettingError(f"method.patch_jitter is {config.patch_jitter}: it must be 0 or more")


def check_encoder_of(config: MethodConfig, encoder: EncoderConfig) -> None:
    """Refuse an encoder that does not give what a method asks for.

    Args:
        config: Of the method.
        encoder: Checked by `check_encoder`.

    Raises:
        SettingError: The method needs a vector for each step, and the encoder gives none; or it is
            to change patches, and the encoder cuts none.
    """
    info = METHODS[config.name]
    if info.needs_steps and encoder.name not in STEP_BACKBONES:
        raise SettingError(
            f"{info.title} predicts later steps, and encoder.name {encoder.name} gives none: "
            f"choose {' (series) or '.join(STEP_BACKBONES)} (images)"
        )
    if isinstance(config, CPCConfig) and encoder.name != PATCH_BACKBONE:
        require_no_patch_change(config, f"encoder.name {encoder.name}")


def check_view_count(config: MethodConfig, count: int) -> None:
    """Refuse fewer or more views than a method compares.

    Args:
        config: Of the method.
        count: Views of each example.

    Raises:
        SettingError: The method compares two, and there are more; or views, and there is one.
    """
    info = METHODS[config.name]
    if count < 2 and not info.one_view:
        raise SettingError(
            f"views.count is {count}: {info.title} compares views of each example, 2 or more"
        )
    if info.two_views and count != 2:
        raise SettingError(f"views.count is {count}: {info.title} compares 2 views of each image")


def require_no_patch_change(config: CPCConfig, encoder: str) -> None:
    """Refuse changes of patches where there are no patches.

    Args:
        config: Of the method.
        encoder: What cuts none, in the words of the message.

    Raises:
        SettingError: Naming the setting and the encoder that has patches.
    """
    for name in ("patch_crop", "patch_jitter"):
        value = getattr(config, name)
        if value != getattr(CPCConfig, name):
            raise SettingError(
                f"method.{name} is {value}, and {encoder} cuts no patches: leave it out, or choose "
                f"encoder.name {PATCH_BACKBONE}"
            )


def require_above_zero(config: MethodConfig, *names: str) -> None:
    """Refuse a setting that is 0, negative, beyond what can be computed with, or no number.

    Raises:
        SettingError: Naming it.
    """
    check_numbers(config, "method.")
    for name in names:
        value = getattr(config, name)
        if not 0 < value < float("inf"):
            raise SettingError(f"method.{name} is {value}: it must be above 0")
        if name == "temperature":
            require_temperature(value)
        elif name.startswith(("projection_", "prediction_")):
            check_range(f"method.{name}", value, 1, _WIDEST)


def require_momentum(config: MoCoConfig | BYOLConfig | PaCoConfig) -> None:
    """Refuse a momentum that is not a share.

    Raises:
        SettingError: It is not from 0 to 1.
    """
    if not 0 <= config.momentum <= 1:
        raise SettingError(f"method.momentum is {config.momentum}: it must be 0 to 1")
