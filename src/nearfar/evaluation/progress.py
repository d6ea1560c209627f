"""How far long work has come, for whoever is told what is under way."""

from collections.abc import Callable
from typing import Protocol, runtime_checkable

Told = Callable[[str, float], None]
"""Told what is under way, and which share of a piece of work, 0 to 1, is done."""


@runtime_checkable
class Say(Protocol):
    """Told in a few words what is under way, and of long work which share of it is done."""

    def __call__(self, what: str, done: float | None = None) -> None:
        """Told.

        Args:
            what: In a few words.
            done: 0 to 1; None where it cannot be known, or the work is short.
        """
        ...


def silent(what: str, done: float | None = None) -> None:
    """Nobody is told."""


def within(told: Told, begin: float, end: float) -> Told:
    """For a part of a piece of work: its own share becomes that of the whole.

    Args:
        told: Told of the whole.
        begin: Share of the whole that is done when the part begins.
        end: And when it is done.
    """
    return lambda what, done: told(what, begin + (end - begin) * done)
