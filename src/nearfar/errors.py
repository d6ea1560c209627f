"""The one error a user is meant to read: what is wrong, where, and what to do about it."""

import re
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from difflib import get_close_matches

from nearfar.outside_text import printable


class NearfarError(Exception):
    """Bad input or a failed run, told in one line.

    The command line prints the message alone, without a traceback, and exits with `exit_code`.
    Messages quote file names, keys and other libraries: what a terminal would obey in them is shown
    by its code, here, so that no place where an error is told has to think of it.
    """

    exit_code = 1

    def __init__(self, message: str) -> None:
        super().__init__(printable(message, keep="\n\t"))


class SettingError(NearfarError):
    """A setting that is misspelt, impossible, or does not fit the others."""

    exit_code = 2


def unknown_name(kind: str, name: str, known: Iterable[str]) -> SettingError:
    """The error for a name that is not among the known ones, with the nearest of them.

    Args:
        kind: What the name stands for, as a person would say it: "backbone", "recipe".
        name: What was asked for.
        known: Every valid name.
    """
    names = sorted(known)
    near = get_close_matches(name, names, n=1, cutoff=0.5)
    if near:
        return SettingError(f"unknown {kind} {name!r}: did you mean {near[0]!r}?")
    shown = ", ".join(names[:12]) + (", …" if len(names) > 12 else "")
    return SettingError(f"unknown {kind} {name!r}: choose one of {shown}")


def require_known(kind: str, names: Iterable[str], known: Collection[str]) -> None:
    """All names are among the known ones.

    Raises:
        SettingError: One is not; the message names the nearest.
    """
    for name in names:
        if name not in known:
            raise unknown_name(kind, name, known)


@contextmanager
def told_at(room: str, place: str) -> Iterator[None]:
    """Errors inside name the settings of a room by the place where they stand now.

    Settings of a backbone are `encoder.width` and `--encoder`; those of the second encoder of CLIP
    are told as `method.second_encoder.width` and `--method.second-encoder`.

    Args:
        room: What the settings' names begin with in messages, "encoder.".
        place: What they begin with where a person wrote them, "method.second_encoder.".
    """
    try:
        yield
    except SettingError as error:
        if not room or room == place:
            raise
        raise SettingError(_moved(str(error), room[:-1], place[:-1])) from error


def _moved(message: str, room: str, place: str) -> str:
    option = place.replace("_", "-")
    for found, put in (
        (rf"(?<![\w.-]){room}(?=\.\w)", place),
        (rf"^{room}(?=:)", place),
        (rf"(?<!\S)--{room}(?![\w-])", f"--{option}"),
    ):
        message = re.sub(found, put, message)
    return message
