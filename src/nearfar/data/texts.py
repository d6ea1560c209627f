"""What all sources of texts do: texts as rows of bytes, neighbours, and what a person is told."""

from collections.abc import Sequence

import torch
from jaxtyping import Int64
from torch import Tensor

from nearfar.data.folder_tree import many
from nearfar.data.source import Partners
from nearfar.errors import SettingError
from nearfar.text_bytes import Bytes, encoded


def rows_of(texts: Sequence[str], length: int, limit_mib: int) -> tuple[Bytes, list[str]]:
    """Texts as rows of bytes, and a note on those that were cut.

    Raises:
        SettingError: The rows are larger than `limit_mib`.
    """
    size = len(texts) * length
    if size > limit_mib * 2**20:
        raise SettingError(
            f"{len(texts):,} texts of data.length={length} bytes take {size / 2**20:.0f} MiB, over "
            f"data.in_memory_mib={limit_mib}: lower the one or raise the other"
        )
    rows, cut = encoded(texts, length)
    told = f"{cut:,} of {many(len(texts), 'text')} are longer than data.length={length} bytes: cut"
    return rows, [told] if cut else []


def neighbours(places: Int64[Tensor, " n"], most: int) -> Partners:
    """For each text those that stand beside it and are there too.

    Args:
        places: Where each text stands, ascending; texts of two files lie more than `most` apart.
        most: How far from it a neighbour may stand, 1 or more.
    """
    steps = [step for step in range(-most, most + 1) if step]
    wanted = places[:, None] + torch.tensor(steps)
    found = torch.searchsorted(places, wanted.flatten()).clamp(max=len(places) - 1)
    found = found.view_as(wanted)
    return Partners(torch.where(places[found] == wanted, found, -1))


def told_of_partners(partners: Partners, what: str) -> list[str]:
    """What second views are of, and how many examples have none of it."""
    alone = int((partners.rows < 0).all(dim=1).sum())
    told = f"second views are of {what}"
    if alone:
        told += f"; {many(alone, 'text')} of {len(partners.rows):,} have none: of the same text"
    return [told]
