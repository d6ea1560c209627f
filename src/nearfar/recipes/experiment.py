"""What makes a run this experiment and no other: its settings and its data."""

from typing import Any

from nearfar.data.fingerprint import part_fingerprints
from nearfar.encoders.adapt_spec import AdaptSpec
from nearfar.encoders.specs import EncoderSpec
from nearfar.methods.method_spec import SECOND_ADAPT, SECOND_ENCODER
from nearfar.recipes.assembly import Assembly
from nearfar.recipes.config_json import recipe_to_json
from nearfar.spec import flat_settings, to_json

_FREE_TO_CHANGE = frozenset(
    ["encoder.start", "method.second_encoder.start", "method.teacher", "method.teacher_weights"]
    + [f"data.{name}" for name in ("root", "download", "max_corrupt", "in_memory_mib", "workers")]
)
"""Settings that say where data, starting weights and a teacher lie and how they are held; what they
are, they say themselves."""
_UNTOLD = {
    "adapt.head": "fresh",
    "data.train_part": None,
    "method.queue_size": 0,
    **flat_settings(to_json(AdaptSpec()), SECOND_ADAPT),
}
"""Settings that earlier runs had without saying so, by the value that they had."""
_ROOMS = {
    "first": (EncoderSpec.room, AdaptSpec.room),
    "second": (SECOND_ENCODER, SECOND_ADAPT),
}
"""Where the start of each encoder stands, and whether its head is taken over."""


def experiment_of(assembly: Assembly) -> dict[str, Any]:
    """Settings of the data, views, encoder and method by their names, and what the data are.

    Args:
        assembly: The run, ready to train.

    Returns:
        Values of JSON's own types.
    """
    nested = recipe_to_json(assembly.recipe)
    settings = {
        name: value
        for room in ("data", "views", "encoder", "adapt", "method")
        for name, value in flat_settings(nested[room], f"{room}.").items()
        if name not in _FREE_TO_CHANGE and (name not in _UNTOLD or value != _UNTOLD[name])
    }
    for tower, start in assembly.starts.items():
        encoder, adapt = _ROOMS[tower]
        settings[f"{encoder}start (content)"] = start.origin.sha256
        if f"{adapt}head" in settings:
            settings[f"{adapt}head (content)"] = start.origin.head
    part = assembly.part
    unlabelled, labelled = part_fingerprints(part)
    data = {
        "data (number of examples)": len(part),
        "data (shape)": list(part.example_shape),
        "data (content)": unlabelled,
        "data (labels)": None if part.labels is None else labelled,
    }
    return settings | data | assembly.method.fingerprints
