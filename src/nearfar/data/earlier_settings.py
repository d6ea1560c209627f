"""Settings of sources as version 0.1 wrote them."""

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from nearfar.data.specs import SourceSpec

_FORMAT_1: dict[str, Any] = {
    "root": None,
    "download": False,
    "train_part": "train",
    "image_size": None,
    "fit": "crop",
    "channels": None,
    "length": None,
    "label_column": None,
}
"""Settings that version 0.1 wrote for every source and refused where a source did not have them."""
_WITHOUT_EFFECT = ("test_fraction", "max_corrupt", "in_memory_mib", "workers")
"""Those that it wrote, took, and did not look at where a source did not have them."""


def in_current_form(values: Mapping[str, Any]) -> dict[str, Any]:
    """Settings of a source as they are written now, from those that version 0.1 wrote.

    It named the settings of all sources for each; those that the source has not go.
    """
    own = {each.name for each in fields(SourceSpec.named(str(values.get("name", "digits"))))}
    return {
        key: value
        for key, value in values.items()
        if key in own
        or not (key in _WITHOUT_EFFECT or (key in _FORMAT_1 and value == _FORMAT_1[key]))
    }
