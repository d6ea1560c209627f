"""The models of timm by name, read from its source files: nothing of it is imported."""

import re
from functools import cache
from importlib.util import find_spec
from pathlib import Path

TIMM_PREFIX = "timm/"


@cache
def timm_models() -> dict[str, str]:
    """Name of each of timm's models and of the file that defines it."""
    spec = find_spec("timm")
    if spec is None or not spec.submodule_search_locations:
        return {}
    models: dict[str, str] = {}
    for file in (Path(spec.submodule_search_locations[0]) / "models").glob("*.py"):
        source = file.read_text(encoding="utf-8")
        for name in re.findall(r"^@register_model\s*\ndef (\w+)\(", source, re.MULTILINE):
            models[name] = file.stem
    return models
