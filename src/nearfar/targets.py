"""Objects by name, imported when they are needed: "module:attribute"."""

from importlib import import_module
from typing import Any


def imported(target: str) -> Any:
    """The object that a target names.

    Args:
        target: "module:attribute".
    """
    module, _, attribute = target.partition(":")
    return getattr(import_module(module), attribute)
