"""Words that a visitor types, and what an encoder of texts finds nearest to them."""

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch

from nearfar.encoders.saved_encoder import SavedEncoder
from nearfar.errors import SettingError, unknown_name
from nearfar.outside_text import printable
from nearfar.uses.embed import features_of
from nearfar.uses.embeddable import of_text
from nearfar.web.shelves import Shelf

MOST_LETTERS = 300
"""Letters that a visitor's text may have."""


@dataclass(frozen=True)
class Typed:
    """Looks for words among examples of one kind.

    Attributes:
        encoder: Of texts, into the space of the shelves; loaded once, for all that is typed.
        shelves: What is looked among, by the name of its part; the first is looked among where
            nothing else is asked for.
    """

    encoder: SavedEncoder
    shelves: Mapping[str, Shelf]
    _one_at_a_time: threading.Lock = field(default_factory=threading.Lock)

    @property
    def finds(self) -> str:
        """What is found: images, texts, …"""
        return next(iter(self.shelves.values())).part.modality

    def nearest(self, text: str, among: str) -> dict[str, Any]:
        """What lies nearest to a text.

        Args:
            text: As it was typed.
            among: Which shelf.

        Raises:
            SettingError: There is nothing in the text, it is too long, or there is no such shelf.
        """
        text = text.strip()
        if not text:
            raise SettingError("there is nothing to look for: type some words")
        if len(text) > MOST_LETTERS:
            raise SettingError(
                f"the text has {len(text):,} letters: at most {MOST_LETTERS} are looked for"
            )
        shelf = shelf_of(self.shelves, among)
        with self._one_at_a_time:  # the other cores are for running jobs
            torch.set_num_threads(1)
            found, notes = features_of(self.encoder, of_text(self.encoder, text))
        return {
            "query": {"words": printable(text), "name": "", "label": None},
            "title": title(shelf, among),
            "nearest": shelf.nearest(found.features[0]),
            "notes": [printable(note) for note in notes],
        }


def shelf_of(shelves: Mapping[str, Shelf], among: str) -> Shelf:
    """The shelf of a name.

    Raises:
        SettingError: There is none.
    """
    if among not in shelves:
        raise unknown_name("part to look among", among[:40], shelves)
    return shelves[among]


def title(shelf: Shelf, among: str) -> str:
    """What stands above the answer: "Nearest of 383 test images"."""
    return f"Nearest of {len(shelf):,} {among} {shelf.part.modality}"
