"""Features of vectors by what they say of a table's row: its columns may stand in any order."""

from collections.abc import Sequence
from dataclasses import replace

from torch import Tensor

from nearfar.data.folder_tree import many
from nearfar.data.source import Part, Source
from nearfar.data.table_values import gaps_among
from nearfar.errors import NearfarError, SettingError
from nearfar.outside_text import printable
from nearfar.table_features import TableFeature

_MOST_NAMED = 5


def in_columns(source: Source, columns: Sequence[TableFeature] | None) -> Source:
    """The source with these features alone, in this order, as an encoder has learnt them.

    A word that no row of the source has is 0 in all, and so is that a number is missing. For one
    that is missing stands what stood for it when the encoder learnt.

    Args:
        source: Left as it is where its features have no names.
        columns: What each feature is; None where that is not known.

    Raises:
        SettingError: The source lacks a column.
    """
    if columns is None or source.columns is None or _as_learnt(source.columns, columns):
        return source
    _refuse_lacking(source, columns)
    places = {feature: place for place, feature in enumerate(source.columns)}
    there = [place for place, feature in enumerate(columns) if feature in places]
    origins = [places[columns[place]] for place in there]
    gaps = [
        (place, places[gap], feature.fill)
        for place, feature in enumerate(columns)
        if feature.is_number and (gap := TableFeature(feature.column, missing=True)) in places
    ]

    def chosen(part: Part) -> Part:
        assert isinstance(part.examples, Tensor)
        rows = part.examples.new_zeros(len(part), len(columns))
        rows[:, there] = part.examples[:, origins]
        for place, gap, fill in gaps:
            if fill is not None:
                rows[part.examples[:, gap] == 1, place] = fill
        return replace(part, examples=rows)

    return replace(
        source,
        train=chosen(source.train),
        test=None if source.test is None else chosen(source.test),
        unlabelled=None if source.unlabelled is None else chosen(source.unlabelled),
        columns=tuple(columns),
        notes=_told(source, columns),
    )


def refuse_empty(source: Source) -> None:
    """Refuse to learn from a column that has no value in any row.

    Raises:
        NearfarError: There is one.
    """
    rows = source.train.examples
    for place, feature in enumerate(source.columns or ()):
        assert isinstance(rows, Tensor)
        if feature.missing and bool((rows[:, place] == 1).all()):
            raise NearfarError(
                f"{source.name}: column {printable(feature.column)} has no value in any row to "
                "learn from: leave it out by data.leave_out"
            )


def _as_learnt(own: Sequence[TableFeature], columns: Sequence[TableFeature]) -> bool:
    """Whether features are these, and the same stands for their numbers that are missing."""
    gaps = {feature.column for feature in own if feature.missing}
    return tuple(own) == tuple(columns) and all(
        ours.fill == learnt.fill
        for ours, learnt in zip(own, columns, strict=True)
        if ours.column in gaps
    )


def _refuse_lacking(source: Source, columns: Sequence[TableFeature]) -> None:
    """Refuse a source that lacks a column.

    Raises:
        SettingError: Naming some that it lacks.
    """
    own = source.columns or ()
    there = {feature.column for feature in own}
    numbers = {feature.column for feature in own if feature.is_number}
    lacking = dict.fromkeys(
        printable(each.column)
        for each in columns
        if each.column not in (numbers if each.is_number else there)
    )
    if lacking:
        raise SettingError(
            f"{source.name}: no column {_some(list(lacking))}, which the encoder has learnt from: "
            "give a table that has them"
        )


def _told(source: Source, columns: Sequence[TableFeature]) -> tuple[str, ...]:
    """The notes of a source whose features are taken as an encoder has learnt them."""
    own, known = source.columns or (), set(columns)
    notes = [note for note in source.notes if note not in gaps_among(own)]
    notes += gaps_among(own, "the mean that the encoder has learnt")
    left = [str(each) for each in own if each not in known and not each.missing]
    if left:
        notes.append(
            f"{many(len(left), 'feature')} the encoder does not know, and so not read: "
            f"{_some(left)}"
        )
    return tuple(notes)


def _some(names: Sequence[str]) -> str:
    more = len(names) - _MOST_NAMED
    return ", ".join(names[:_MOST_NAMED]) + (f" and {more} more" if more > 0 else "")
