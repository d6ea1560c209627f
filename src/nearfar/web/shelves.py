"""Examples that are looked among: searched by cosine, and put as the page shows them."""

from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from nearfar.data.source import Part, choose
from nearfar.outside_text import printable
from nearfar.uses.neighbors import Searchable
from nearfar.web.sights import Sights

NEAREST = 16
"""Neighbours that are shown."""


@dataclass(frozen=True)
class Shelf:
    """The examples of one part, all of one kind.

    Attributes:
        part: The examples.
        class_names: Of their labels; empty without labels.
        sights: Draws them.
        bank: Their features, or embeddings, a row an example.
    """

    part: Part
    class_names: tuple[str, ...]
    sights: Sights
    bank: Searchable

    def __len__(self) -> int:
        """The number of examples."""
        return len(self.part)

    def nearest(self, asked: Float[Tensor, " dim"]) -> list[dict[str, Any]]:
        """What lies nearest to one vector of the same space, most similar first, with cosines."""
        found = self.bank.nearest(asked[None], NEAREST)
        return self.cells(found.rows[0].tolist(), found.similarities[0].tolist())

    def cells(
        self, rows: list[int], similarities: list[float] | None = None
    ) -> list[dict[str, Any]]:
        """Examples as JSON: row, name, class, and a picture or words; and how similar they are."""
        if not rows:
            return []
        drawn = self.sights.of(choose(self.part, torch.tensor(rows)))
        cells = [
            {"row": row, "name": printable(self.name(row)), "label": self._label(row), **sight}
            for row, sight in zip(rows, drawn, strict=True)
        ]
        if similarities is not None:
            for cell, similarity in zip(cells, similarities, strict=True):
                cell["similarity"] = round(similarity, 3)
        return cells

    def name(self, row: int) -> str:
        """What an example is called, as it stands in the data."""
        names = self.part.names
        return f"example {row}" if names is None else str(names[row])

    def class_of(self, row: int) -> str | None:
        """The name of an example's class, as it stands in the data; None without labels."""
        if self.part.labels is None:
            return None
        label = int(self.part.labels[row])
        return self.class_names[label] if 0 <= label < len(self.class_names) else str(label)

    def _label(self, row: int) -> str | None:
        name = self.class_of(row)
        return None if name is None else printable(name)
