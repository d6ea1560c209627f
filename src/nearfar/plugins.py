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


def require_free(noun: str, name: str, defined: Any, holder: Any) -> None:
    """Refuse a name that another class or function has; one that is defined again keeps its own.

    Args:
        noun: What is named, as a person would say it: "protocol", "recipe".
        name: What it is to be known by.
        defined: The class or function.
        holder: What is known by this name so far; None where nothing is.

    Raises:
        NearfarError: The name is taken; the message says by what.
    """
    if holder is None:
        return
    taken, new = (f"{each.__module__}.{each.__qualname__}" for each in (holder, defined))
    if taken != new:
        raise NearfarError(
            f"the {noun} {name} is {taken} already: {new} needs a name that is not taken"
        )


@cache
def load_plugins() -> tuple[str, ...]:
    """Import what plug-ins name, once a process.

    Returns:
        Their names.

    Raises:
        NearfarError: One cannot be imported, or takes a name that is not free; the message names it
            and the package it is of.
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
