"""Which column of a table is what, told by names and values. Imports nothing heavy."""

from collections.abc import Collection, Iterable, Mapping, Sequence

from nearfar.data.folder_parts import part_named
from nearfar.errors import NearfarError, unknown_name
from nearfar.outside_text import printable

LABELS = (
    *("label", "labels", "class", "class_name", "category", "categories", "target", "y"),
    *("species", "breed", "kind", "type"),
)
"""Names of columns of labels, the likeliest first."""
SPLITS = ["split", "subset", "partition", "part", "set", "fold", "data_split"]
"""Names of columns that say which part a row is of."""
_NO_VALUE = frozenset(("", "na", "n/a", "nan", "null", "none", "-", "?"))
_MOST_LABELS = 0.5
"""Different values over rows from which on a column holds no classes."""


def given(column: str | None, setting: str, known: Collection[str]) -> str | None:
    """A column that was named in a setting.

    Raises:
        SettingError: There is no such column.
    """
    if column is not None and column not in known:
        raise unknown_name(f"data.{setting}", column, known)
    return column


def split_among(columns: Mapping[str, Sequence[object]]) -> str | None:
    """The column that is called a split and says train, val or test in every row; None without."""
    for name in _called(columns, SPLITS):
        if all(part_named(str(value)) is not None for value in set(columns[name])):
            return name
    return None


def labels_among(
    columns: Mapping[str, Sequence[object]], others: bool, among: Iterable[str] = ()
) -> str | None:
    """The column of labels: one that is called so, or the only one; None where it cannot be told.

    Args:
        columns: Those that may be it.
        others: Whether one that is called otherwise may be it, if it is the only one.
        among: Names of all columns, where these are not all.
    """
    some_again = {name: each for name, each in columns.items() if _may_be_labels(each)}
    if called := called_labels(some_again, among=(*columns, *among)):
        return called[0]
    classes = {name: each for name, each in columns.items() if holds_classes(each)}
    return next(iter(classes)) if others and len(classes) == 1 else None


def called_labels(names: Iterable[str], among: Iterable[str] = ()) -> list[str]:
    """The columns that are called as labels are, the likeliest first.

    Args:
        names: Of columns.
        among: Names of all columns, where these are not all. Beside an x, y is a coordinate.
    """
    plain = {_plain(name) for name in (*names, *among)}
    labels = [each for each in LABELS if each != "y" or "x" not in plain]
    return _called(names, labels)


def says_missing(cell: str) -> bool:
    """Whether a cell of text says that there is no value, without spaces around it."""
    return cell.lower() in _NO_VALUE


def answers_among(features: Sequence[str], labelled: str | None) -> tuple[str, ...]:
    """What to tell of features that are called as labels are.

    Args:
        features: Names of the columns that are read as features.
        labelled: The column of labels.
    """
    if not (called := called_labels(features)):
        return ()
    name = printable(called[0])
    mend = f"leave it out by data.leave_out={name}"
    if labelled is None:
        mend = f"name it by data.label_column={name}, or {mend}"
    return (
        f"column {name} is read as a feature, though it is called as labels are: if it holds the "
        f"answer, {mend}",
    )


def holds_classes(values: Sequence[object]) -> bool:
    """Whether values come again often enough to be classes; gaps are none of them."""
    there = _there(values)
    # Of a column of few remarks, each is another one.
    least = 2 if len(there) == len(values) else 0
    return 1 < len(set(there)) <= max(least, _MOST_LABELS * len(there))


def _may_be_labels(values: Sequence[object]) -> bool:
    """Whether a column that is called as labels are may be it: not of one value, nor of names."""
    kinds = set(there := _there(values))
    gaps = len(there) < len(values)
    return (len(kinds) > 1 or (gaps and len(kinds) == 1)) and len(kinds) < len(values)


def _there(values: Sequence[object]) -> list[object]:
    """The values of a column that are no gap: neither empty, null nor NaN."""
    return [each for each in values if each is not None and each != "" and each == each]


def only(names: Sequence[str], what: str, setting: str) -> str:
    """The one column that may be it.

    Raises:
        NearfarError: There is none, or there are several.
    """
    if len(names) == 1:
        return names[0]
    told = ", ".join(printable(name) for name in names)
    found = f"{told} all hold {what}" if names else f"no column holds {what}"
    raise NearfarError(f"{found}: name the column by data.{setting}")


def _called(columns: Iterable[str], names: Sequence[str]) -> list[str]:
    by_plain: dict[str, str] = {}
    for name in columns:
        by_plain.setdefault(_plain(name), name)
    return [by_plain[name] for name in names if name in by_plain]


def _plain(name: str) -> str:
    return name.strip().lower().replace(" ", "_").replace("-", "_")
