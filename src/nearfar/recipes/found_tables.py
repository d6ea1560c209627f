"""Which columns of a table are features, labels or texts, and which are not read."""

from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType

import numpy as np

from nearfar.data.column_names import called_labels, holds_classes, labels_among, says_missing
from nearfar.data.folder_tree import many
from nearfar.data.specs import CSVSpec, ParquetSpec
from nearfar.data.table_values import as_numbers
from nearfar.data.text_specs import TextTableSpec
from nearfar.data.text_table import text_columns
from nearfar.errors import NearfarError
from nearfar.outside_text import printable

_NUMBERS_OF_ROWS = frozenset(("id", "index", "row", "no", "number", "unnamed:_0", ""))
_ENDS_OF_NUMBERS = ("_id", " id", "Id", "ID")
_MOST_CATEGORIES, _ROWS_OF_A_CATEGORY = 50, 4
"""Different words that a column of categories has, and rows that each has on average."""
_MOST_MISSING = 0.5
"""Share of a column's numbers from which on it is not read."""

Cells = Mapping[str, Sequence[object]]


def share_missing(cells: Sequence[str]) -> float | None:
    """The share that is missing of a column of text which would else be one of numbers.

    None where none is missing, or others are no numbers.
    """
    there = [cell for cell in cells if not says_missing(cell)]
    if not 0 < len(there) < len(cells) or as_numbers(there) is None:
        return None
    return 1 - len(there) / len(cells)


def columns_of_table(
    data: CSVSpec | ParquetSpec, cells: Cells, numbers: Sequence[str], gaps: Mapping[str, float]
) -> tuple[CSVSpec | ParquetSpec | TextTableSpec, str]:
    """How a table is read, and why.

    Beside columns of numbers, those of few different words are features, and numbers that are
    missing are filled in. A column that is called as labels are is never a feature: features that
    hold the answer would look like a good encoder.

    Args:
        data: What reads its numbers, without settings of columns.
        cells: Columns that may be labels, texts or numbers of rows, by name.
        numbers: Names of the columns of numbers, and of lists of numbers.
        gaps: Share that is missing, by name of those of them, or of `cells`, in which some are.

    Raises:
        NearfarError: There is no column of numbers, of few words or of texts.
    """
    whole = {
        name: values for name, values in cells.items() if name not in numbers or _are_whole(values)
    }
    labels = labels_among(whole, others=False, among=numbers)
    text = {name: values for name, values in whole.items() if name not in (*numbers, *gaps)}
    if labels is None:
        classes = [name for name, values in text.items() if holds_classes(values)]
        labels = classes[0] if len(classes) == 1 else None
    answers = [name for name in called_labels([*numbers, *text]) if name != labels]
    words = [name for name in text if name != labels]
    categories = [n for n in words if n not in answers and _are_categories(text[n])]
    filled = [n for n in gaps if n not in (labels, *answers) and gaps[n] <= _MOST_MISSING]
    why_not = {name: "" for name in words if name not in categories}
    why_not |= {name: " (values are missing)" for name in gaps if name not in (labels, *filled)}
    why_not |= dict.fromkeys(answers, " (called as labels are)")
    why_not |= {name: "" for name in numbers if name in whole and _counts_rows(name, whole[name])}
    features = [n for n in dict.fromkeys((*numbers, *filled)) if n != labels and n not in why_not]
    labelled = f", labels in {printable(labels)}" if labels else ", no column known as labels"
    if not features and (texts := text_columns({n: text[n] for n in words if n not in categories})):
        why = f"a table of texts in {printable(texts[0])}{labelled}"
        return TextTableSpec(root=data.root, text_column=texts[0], label_column=labels), why
    if not features and not categories:
        raise NearfarError(_no_numbers(text, gaps))
    found = type(data)(
        root=data.root,
        label_column=labels,
        leave_out=tuple(why_not),
        categories=tuple(categories),
        fill_missing=bool(filled),
    )
    return found, f"a table of {_in_words(features, categories)}{labelled}{_told(filled, why_not)}"


def _in_words(features: Sequence[str], categories: Sequence[str]) -> str:
    """The columns that are read."""
    parts = [f"{many(len(features), 'column')} of numbers"] if features else []
    if categories:
        parts.append(f"{many(len(categories), 'column')} of categories ({_listed(categories)})")
    return " and ".join(parts)


def _told(filled: Sequence[str], why_not: Mapping[str, str]) -> str:
    """The columns that are filled in, and those that are not read, with the reason."""
    told = f"; filled in where numbers are missing: {_listed(filled)}" if filled else ""
    return told + (f"; not read: {_listed(why_not, why_not)}" if why_not else "")


def _listed(names: Iterable[str], reasons: Mapping[str, str] = MappingProxyType({})) -> str:
    return ", ".join(printable(name) + reasons.get(name, "") for name in names)


def _are_categories(values: Sequence[object]) -> bool:
    """Whether the words of a column come again and again."""
    there = [str(each) for each in values if each is not None and not says_missing(str(each))]
    different = len(set(there))
    most = max(2, min(_MOST_CATEGORIES, len(there) // _ROWS_OF_A_CATEGORY))
    return 1 < different <= most


def _are_whole(values: Sequence[object]) -> bool:
    """Whether numbers are whole, or missing, as classes are."""
    try:
        numbers = np.array([np.nan if value is None else value for value in values], np.float64)
    except (ValueError, OverflowError):
        return False
    there = numbers[~np.isnan(numbers)]
    return bool(np.isfinite(there).all() and (there == np.floor(there)).all())


def _counts_rows(name: str, values: Sequence[object]) -> bool:
    """Whether a column tells rows apart: sorted by class, such numbers hold the answer too."""
    name = name.strip()
    called = name.lower().replace(" ", "_") in _NUMBERS_OF_ROWS or name.endswith(_ENDS_OF_NUMBERS)
    return called and len(set(values)) == len(values)


def _no_numbers(text: Cells, gaps: Mapping[str, float]) -> str:
    if gaps:
        return (
            "most values are missing in every column of numbers (the first is "
            f"{printable(next(iter(gaps)))}): fill them in or leave those rows out"
        )
    for name, values in text.items():
        cells = [str(value) for value in values]
        if as_numbers([cell.replace(",", ".", 1) for cell in cells]) is not None:
            return (
                f"column {printable(name)} has numbers with decimal commas, such as {cells[0]!r}: "
                "write them with points"
            )
    return "no column of numbers in it: an encoder learns from numbers"
