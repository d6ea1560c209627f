"""Both kinds of a run of pairs in the space of both: examples of one find those of the other."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from nearfar.data.source import Part
from nearfar.encoders.saved import has_second, load_encoder, load_head
from nearfar.uses.embed import features_of
from nearfar.uses.embeddable import Examples
from nearfar.uses.neighbors import Searchable
from nearfar.web.shelves import Shelf
from nearfar.web.sights import Sights
from nearfar.web.typed import Typed, shelf_of, title


@dataclass(frozen=True)
class Across:
    """What the examples of a run are, and what they are paired with.

    Attributes:
        first: The examples by part, the part of those that can be picked before others.
        second: What they are paired with, each once, likewise.
        belonging: `(queries, most)` of each example that can be picked the rows of its partners in
            the first shelf of `second`; −1 where it has fewer, or where another stands in.
        typed: Looks for words among the other kind; None where neither kind is texts.
    """

    first: Mapping[str, Shelf]
    second: Mapping[str, Shelf]
    belonging: Int64[Tensor, "queries most"]
    typed: Typed | None

    @property
    def finds(self) -> str:
        """What a picked example finds: images, texts, …"""
        return next(iter(self.second.values())).part.modality

    def nearest(self, row: int, among: str) -> dict[str, Any]:
        """What of the other kind lies nearest to an example that was picked.

        Its own partner is marked, and its place among all is told, where it is looked among.

        Args:
            row: Of the examples that can be picked, from 0.
            among: Which shelf.

        Raises:
            SettingError: There is no such shelf.
        """
        asked = next(iter(self.first.values())).bank.units[row]
        shelf = shelf_of(self.second, among)
        cells = shelf.nearest(asked)
        answer: dict[str, Any] = {"title": title(shelf, among), "nearest": cells}
        if among == next(iter(self.second)):
            own = [each for each in self.belonging[row].tolist() if each >= 0]
            for cell in cells:
                cell |= {"right": True} if cell["row"] in own else {}
            if not own:
                return answer | {"own": "It cannot be read, and another stands in for it."}
            cosines = shelf.bank.units @ asked
            place = int((cosines > cosines[own].max()).sum()) + 1
            answer["own"] = f"Its own stands at place {place:,} of {len(shelf):,}."
        return answer


def both_kinds(
    run: Path,
    shelves: Mapping[str, Shelf],
    features: Mapping[str, Float[Tensor, "n dim"]],
    say: Callable[[str], None],
) -> Across | None:
    """The two kinds of a run of pairs; None of a run that has one.

    Args:
        run: Its folder.
        shelves: Its examples by part, those that can be picked first.
        features: Of each shelf what the first encoder's backbone makes of it.
        say: Told how far it is.

    Raises:
        NearfarError: A file of the second encoder is damaged.
    """
    head = load_head(run)
    paired = [name for name, each in shelves.items() if _is_paired(each.part)]
    if not has_second(run) or head is None or len(paired) < len(shelves):
        return None
    with torch.inference_mode():
        first = {
            name: replace(each, bank=Searchable(head[1](features[name])))
            for name, each in shelves.items()
        }
    encoder = load_encoder(run, "embedding", tower="second")
    second: dict[str, Shelf] = {}
    for name, each in shelves.items():
        part = _partners(each.part)
        found, _ = features_of(encoder, Examples({name: part}, None, {}), say=say)
        second[name] = Shelf(part, (), Sights.fitting(part), Searchable(found.features))
    picked = next(iter(shelves.values())).part
    assert picked.partners is not None
    typed = None
    if encoder.modality == "texts":
        typed = Typed(encoder, first)
    elif picked.modality == "texts":
        typed = Typed(load_encoder(run, "embedding"), second)
    belonging = picked.partners.used().rows
    belonging = belonging.masked_fill(~picked.could_be_read()[:, None], -1)
    return Across(first, second, belonging, typed)


def _is_paired(part: Part) -> bool:
    return part.partners is not None and part.partners.modality is not None


def _partners(part: Part) -> Part:
    """What stands beside the examples, each once, named as the first example that it is beside."""
    assert part.partners is not None
    used = part.partners.used()
    others = used.as_part()
    first = torch.full((len(others),), len(part))
    owners = torch.arange(len(part))[:, None].expand_as(used.rows)
    there = used.rows >= 0
    first.scatter_reduce_(0, used.rows[there], owners[there], "amin")
    names = part.names or [f"example {row}" for row in range(len(part))]
    return replace(others, names=[names[row] for row in first.tolist()])
