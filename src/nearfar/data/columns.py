"""Features of vectors by what they say of a table's row: its columns may stand in any order."""

from collections.abc import Sequence
from dataclasses import replace

from torch import Tensor

from nearfar.data.folder_tree import many
from nearfar.data.source import Part, Source
from nearfar.data.table_values import gaps_among
from nearfar.errors import SettingError
from nearfar.table_features import TableFeature

_MOST_NAMED = 5


def in_columns(
    source: Source, columns: Sequence[TableFeature] | None, means: Sequence[float] | None = None
) -> Source:
    """The source with these features alone, in this order, as an encoder has learnt them.

    A word that no row of the source has is 0 in all, and so is that a number is missing.

    Args:
        source: Left as it is where its features have no names.
        columns: What each feature is; None where that is not known.
        means: Of each feature: what stands for a number that is missing. By default the mean of
            those that the source has.

    Raises:
        SettingError: The source lacks a column.
    """
    if columns is None or source.columns is None:
        return source
    places = {feature: place for place, feature in enumerate(source.columns)}
    there = {feature.column for feature in source.columns}
    plain = [each for each in columns if each.value is None and not each.missing]
    lacking = [str(each) for each in plain if each not in places]
    lacking += dict.fromkeys(
        each.column for each in columns if each not in plain and each.column not in there
    )
    if lacking:
        raise SettingError(
            f"{source.name}: no column {_some(lacking)}, which the encoder has learnt from: give "
            "a table that has them"
        )
    known = set(columns)
    notes = source.notes
    if means is not None and (told := gaps_among(source.columns)):
        notes = tuple(note for note in notes if note not in told)
        notes += gaps_among(source.columns, "the mean that the encoder has learnt")
    left = [str(each) for each in source.columns if each not in known and not each.missing]
    if left:
        notes += (
            f"{many(len(left), 'feature')} the encoder does not know, and so not read: "
            f"{_some(left)}",
        )
    gaps = {
        columns.index(TableFeature(each.column)): place
        for each, place in places.items()
        if each.missing and TableFeature(each.column) in known
    }
    order = [places.get(each) for each in columns]

    def chosen(part: Part) -> Part:
        assert isinstance(part.examples, Tensor)
        rows = part.examples.new_zeros(len(part), len(order))
        for place, origin in enumerate(order):
            if origin is not None:
                rows[:, place] = part.examples[:, origin]
        if means is not None:
            for place, origin in gaps.items():
                rows[part.examples[:, origin] == 1, place] = means[place]
        return replace(part, examples=rows)

    return replace(
        source,
        train=chosen(source.train),
        test=None if source.test is None else chosen(source.test),
        unlabelled=None if source.unlabelled is None else chosen(source.unlabelled),
        columns=tuple(columns),
        notes=notes,
    )


def _some(names: Sequence[str]) -> str:
    more = len(names) - _MOST_NAMED
    return ", ".join(names[:_MOST_NAMED]) + (f" and {more} more" if more > 0 else "")
