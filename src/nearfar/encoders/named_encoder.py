"""A model of timm by its name, as a trained encoder that takes examples as they are."""

from timm.models import PretrainedCfg, get_pretrained_cfg

from nearfar.encoders.encoder_files import EncoderDescription
from nearfar.encoders.saved_encoder import SavedEncoder
from nearfar.encoders.specs import RANDOM, TIMM_PREFIX, TimmSpec
from nearfar.encoders.start_origin import Origin, fingerprint, read_start
from nearfar.encoders.starting_weights import load_start
from nearfar.encoders.timm_models import build_timm
from nearfar.errors import SettingError
from nearfar.modality import in_words
from nearfar.torch_defaults import own_defaults


@own_defaults()
def named_encoder(
    name: str, weights: str, setting: str, channels: int | None = None
) -> tuple[SavedEncoder, Origin]:
    """A model of timm with the size and the statistics that it was trained with, on the CPU.

    Args:
        name: `timm/NAME`.
        weights: As a start of an encoder: `pretrained`, `pretrained:TAG` or a file; or `random`,
            drawn from torch's global generator.
        setting: What a person set the weights by, for messages.
        channels: Of the images that it is to see: grey ones, and those of many bands, reach it by
            an adapted first layer; None: its own.

    Returns:
        The encoder, and where its weights come from.

    Raises:
        SettingError: There are no such weights, or they do not fill the model.
        NearfarError: They cannot be read.
    """
    spec = TimmSpec(name=name)
    own = _as_timm_has_it(name)
    origin, state = own, {}
    if weights != RANDOM:
        origin, state = read_start(TimmSpec(name=name, start=weights), setting)
    shape = origin.shape or own.shape
    known = own if origin.mean is None else origin
    assert shape is not None
    if shape[1] != shape[2]:
        raise SettingError(
            f"{name} takes {in_words('images', shape)}, and nearfar gives square ones: choose "
            "another"
        )
    channels = channels or shape[0]
    network = build_timm(spec, channels=channels, image_size=shape[1])
    if weights != RANDOM:
        loaded = load_start(network, origin, state, setting)
        lacking = [*loaded.random, *loaded.did_not_fit]
        if lacking:
            raise SettingError(
                f"{setting} {weights}: {len(lacking)} tensors of {name}, {lacking[0]} for one, are "
                "not in it or of another shape, and would stay random: give weights of all of it"
            )
    statistics = known.statistics(channels, spec.takes)
    assert statistics is not None
    sha256 = fingerprint(network.state_dict())
    description = EncoderDescription(
        encoder=spec,
        shape=(channels, *shape[1:]),
        mean=statistics[0],
        std=statistics[1],
        num_features=network.num_features,  # type: ignore[arg-type]
        weights_sha256=sha256,
    )
    return SavedEncoder(network, description), origin


def _as_timm_has_it(name: str) -> Origin:
    """Size and statistics that timm knows of a model, whatever its weights."""
    known = get_pretrained_cfg(name.removeprefix(TIMM_PREFIX)) or PretrainedCfg()
    title = f"{name} at random weights"
    return Origin(title, "", tuple(known.input_size), tuple(known.mean), tuple(known.std))
