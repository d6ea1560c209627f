"""What makes a run this experiment and no other: its settings and its data."""

from dataclasses import replace
from typing import Any

from nearfar.data.fingerprint import part_fingerprint
from nearfar.recipes.assembly import Assembly
from nearfar.recipes.config_json import recipe_to_json
from nearfar.spec import flat_settings

_FREE_TO_CHANGE = frozenset(
    ["encoder.start", "method.second_encoder.start", "method.teacher", "method.teacher_weights"]
    + [f"data.{name}" for name in ("root", "download", "max_corrupt", "in_memory_mib", "workers")]
)
"""Settings that say where data, starting weights and a teacher lie and how they are held; what they
are, they say themselves."""


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
        if name not in _FREE_TO_CHANGE
    }
    if assembly.start is not None:
        settings["encoder.start (content)"] = assembly.start.origin.sha256
    if assembly.second_start is not None:
        settings["method.second_encoder.start (content)"] = assembly.second_start.origin.sha256
    if assembly.recipe.adapt.head == "fresh":
        del settings["adapt.head"]  # what earlier runs had without saying it
    elif assembly.start is not None:
        settings["adapt.head (content)"] = assembly.start.origin.head
    if settings.get("method.queue_size") == 0:
        del settings["method.queue_size"]  # likewise
    part = assembly.part
    data = {
        "data (number of examples)": len(part),
        "data (shape)": list(part.example_shape),
        "data (content)": part_fingerprint(replace(part, labels=None)),
        "data (labels)": None if part.labels is None else part_fingerprint(part),
    }
    return settings | data | assembly.method.fingerprints
