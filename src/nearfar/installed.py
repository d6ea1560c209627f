"""Which packages nearfar needs, which its extras add, and which are here. Imports no torch."""

import shlex
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata
from importlib.util import find_spec

from packaging.requirements import Requirement


@dataclass(frozen=True)
class Needed:
    """A package that another one needs.

    Attributes:
        by: The package that needs it.
        requirement: As it is declared: "torch>=2.11".
        package: Its name alone.
        version: The installed one; None where there is none.
        fits: Whether the installed version is one that is asked for.
    """

    by: str
    requirement: str
    package: str
    version: str | None
    fits: bool


def version_of(package: str) -> str | None:
    """The installed version of a package; None where it is not installed."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def extras() -> list[str]:
    """The names of nearfar's extras, in the order of the alphabet."""
    return sorted(metadata.metadata("nearfar").get_all("Provides-Extra") or [])


def needed(extra: str = "") -> list[Needed]:
    """What nearfar needs whatever it does, or what one of its extras adds to that."""
    always = [each for each, _ in _asked_for("nearfar", "")]
    if not extra:
        return always
    return [each for each, _ in _asked_for("nearfar", extra) if each not in always]


def unmet() -> list[Needed]:
    """What is missing or unfit of all that nearfar and its packages need, down to the last."""
    found, seen, open_ = [], set(), [("nearfar", "")]
    while open_:
        package, extra = open_.pop(0)
        if (package, extra) in seen:
            continue
        seen.add((package, extra))
        for each, its_extras in _asked_for(package, extra):
            if not each.fits:
                found.append(each)
            if each.version is not None:
                open_ += [(each.package, one) for one in ("", *its_extras)]
    return list(dict.fromkeys(found))


def install_command(*what: str) -> str:
    """The command that installs something into the Python that runs now.

    Args:
        what: Requirements, such as "nearfar[onnx]".
    """
    quoted = " ".join(f"'{each}'" for each in what)
    if find_spec("pip") is None and shutil.which("uv"):
        return f"uv pip install --python {shlex.quote(sys.executable)} {quoted}"
    return f"pip install {quoted}"


def _asked_for(package: str, extra: str) -> Iterator[tuple[Needed, set[str]]]:
    """What an installed package needs with one of its extras, each with the extras asked for."""
    for line in metadata.requires(package) or []:
        declared = Requirement(line)
        if declared.marker is None or declared.marker.evaluate({"extra": extra}):
            version = version_of(declared.name)
            fits = version is not None and declared.specifier.contains(version, prereleases=True)
            plain = f"{declared.name}{declared.specifier}"
            yield Needed(package, plain, declared.name, version, fits), declared.extras
