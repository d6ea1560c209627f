"""What is imported by its name when it is needed: what specs build, and what other packages add.

Other packages name modules in the entry-point group `nearfar.plugins`. Importing such a module
defines its specs, and a spec is a choice as soon as it is defined.
"""

from functools import cache
from importlib import import_module
from importlib.metadata import entry_points
from typing import Any

from nearfar.errors import NearfarError

GROUP = "nearfar.plugins"


def imported(target: str) -> Any:
    """The object that "module:attribute" names."""
    module, _, attribute = target.partition(":")
    return getattr(import_module(module), attribute)


@cache
def load_plugins() -> tuple[str, ...]:
    """Import what plug-ins name, once a process.

    Returns:
        Their names.

    Raises:
        NearfarError: One cannot be imported; the message names it and the package it is of.
    """
    found = sorted(entry_points(group=GROUP), key=lambda each: each.name)
    for each in found:
        try:
            each.load()
        except Exception as error:
            package = each.dist.name if each.dist else "an unknown package"
            raise NearfarError(
                f"the plug-in {each.name} of {package} cannot be loaded: {error}: mend or "
                f"uninstall {package}"
            ) from error
    return tuple(each.name for each in found)
