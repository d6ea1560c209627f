"""Studies by name: `@study` declares one, here or in a plug-in. Light."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import wraps
from importlib import import_module
from inspect import cleandoc

from nearfar.errors import unknown_name
from nearfar.plugins import load_plugins, require_free
from nearfar.sweeps.study import Study


@dataclass(frozen=True)
class KnownStudy:
    """A study and what is told of it; called, it gives the `Study`."""

    name: str
    make: Callable[[], Study]

    def __call__(self) -> Study:
        """All of it."""
        return self.make()

    @property
    def paragraphs(self) -> list[str]:
        """What it asks, in one line, and more of it."""
        text = cleandoc(self.make.__doc__ or "")
        return [" ".join(each.split()) for each in text.split("\n\n")]


_STUDIES: dict[str, KnownStudy] = {}


def study(make: Callable[[], Study]) -> Callable[[], Study]:
    """Declares a function a study: its name is the function's, with hyphens.

    The function's docstring tells what the study asks in its first line. The decorator writes the
    name into the `Study`.
    """
    name = make.__name__.replace("_", "-")

    @wraps(make)
    def named() -> Study:
        return replace(make(), study=name)

    holder = _STUDIES.get(name)
    require_free("study", name, make, holder and holder.make)
    _STUDIES[name] = KnownStudy(name, named)
    return named


def studies() -> dict[str, KnownStudy]:
    """Every study by name, those of plug-ins among them."""
    for module in ("digits_studies", "fonts_studies"):
        import_module(f"nearfar.sweeps.{module}")
    load_plugins()
    return _STUDIES


def study_named(name: str) -> Study:
    """The study of a name.

    Raises:
        SettingError: There is none; the message names the nearest.
    """
    if name not in studies():
        raise unknown_name("study", name, studies())
    return studies()[name]()
