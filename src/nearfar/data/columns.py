"""Features of vectors by their names: a table's columns may stand in any order."""

from collections.abc import Sequence
from dataclasses import replace

import torch

from nearfar.data.folder_tree import many
from nearfar.data.source import Part, Source
from nearfar.errors import SettingError
from nearfar.outside_text import printable

_MOST_NAMED = 5


def in_columns(source: Source, columns: Sequence[str] | None) -> Source:
    """The source with these features alone, in this order, as an encoder has learnt them.

    Args:
        source: Left as it is where its features have no names.
        columns: Names of features; None where they had none.

    Raises:
        SettingError: The source lacks some of them.
    """
    if columns is None or source.columns is None or tuple(columns) == source.columns:
        return source
    places = {name: place for place, name in enumerate(source.columns)}
    if lacking := [name for name in columns if name not in places]:
        told = ", ".join(map(printable, lacking[:_MOST_NAMED]))
        more = len(lacking) - _MOST_NAMED
        raise SettingError(
            f"{source.name}: no column {told}{f' and {more} more' if more > 0 else ''}, which the "
            "encoder has learnt from: give a table that has them"
        )
    order = torch.tensor([places[name] for name in columns])
    left = [name for name in source.columns if name not in set(columns)]
    notes = source.notes
    if left:
        told = ", ".join(map(printable, left[:_MOST_NAMED]))
        many_of = many(len(left), "column")
        notes += (f"{many_of} the encoder does not know, and so not read: {told}",)
    return replace(
        source,
        train=_chosen(source.train, order),
        test=None if source.test is None else _chosen(source.test, order),
        unlabelled=None if source.unlabelled is None else _chosen(source.unlabelled, order),
        columns=tuple(columns),
        notes=notes,
    )


def _chosen(part: Part, order: torch.Tensor) -> Part:
    assert isinstance(part.examples, torch.Tensor)
    return replace(part, examples=part.examples[:, order])
