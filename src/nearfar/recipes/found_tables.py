"""Which columns of a table are features, labels or texts, and which are not read."""

from collections.abc import Mapping, Sequence

import numpy as np

from nearfar.data.column_names import MISSING, called_labels, holds_classes, labels_among
from nearfar.data.csv_file import as_numbers
from nearfar.data.folder_tree import many
from nearfar.data.specs import CSVSpec, ParquetSpec
from nearfar.data.text_specs import TextTableSpec
from nearfar.data.text_table import text_columns
from nearfar.errors import NearfarError
from nearfar.outside_text import printable

_NUMBERS_OF_ROWS = frozenset(("id", "index", "row", "no", "number", "unnamed:_0", ""))
_ENDS_OF_NUMBERS = ("_id", " id", "Id", "ID")

Cells = Mapping[str, Sequence[object]]


def numbers_missing(cells: Sequence[str]) -> bool:
    """Whether a column of text would be one of numbers if some of them were not missing."""
    there = [cell for cell in cells if cell.lower() not in MISSING]
    return 0 < len(there) < len(cells) and as_numbers(there) is not None


def columns_of_table(
    data: CSVSpec | ParquetSpec, cells: Cells, numbers: Sequence[str], gaps: Sequence[str]
) -> tuple[CSVSpec | ParquetSpec | TextTableSpec, str]:
    """How a table is read, and why.

    A column that is called as labels are is never a feature: features that hold the answer would
    look like a good encoder.

    Args:
        data: What reads its numbers, without settings of columns.
        cells: Columns that may be labels, texts or numbers of rows, by name.
        numbers: Names of the columns of numbers, and of lists of numbers.
        gaps: Names of those of them, or of `cells`, in which numbers are missing.

    Raises:
        NearfarError: There is neither a whole column of numbers nor one of texts.
    """
    whole = {
        name: values for name, values in cells.items() if name not in numbers or _are_whole(values)
    }
    labels = labels_among(whole, others=False, among=numbers)
    text = {name: values for name, values in whole.items() if name not in (*numbers, *gaps)}
    if labels is None:
        classes = [name for name, values in text.items() if holds_classes(values)]
        labels = classes[0] if len(classes) == 1 else None
    words = [name for name in text if name != labels]
    why_not = dict.fromkeys(words, "")
    why_not |= {name: " (values are missing)" for name in gaps if name != labels}
    why_not |= {
        name: " (called as labels are)" for name in called_labels(numbers) if name != labels
    }
    why_not |= {name: "" for name in numbers if name in whole and _counts_rows(name, whole[name])}
    features = [name for name in numbers if name != labels and name not in why_not]
    labelled = f", labels in {printable(labels)}" if labels else ", no column known as labels"
    if not features and (texts := text_columns({name: text[name] for name in words})):
        why = f"a table of texts in {printable(texts[0])}{labelled}"
        return TextTableSpec(root=data.root, text_column=texts[0], label_column=labels), why
    if not features:
        raise NearfarError(_no_numbers(text, gaps))
    why = f"a table of {many(len(features), 'column')} of numbers{labelled}"
    if why_not:
        told = ", ".join(printable(name) + reason for name, reason in why_not.items())
        why += f"; not read: {told}"
    return type(data)(root=data.root, label_column=labels, leave_out=tuple(why_not)), why


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


def _no_numbers(text: Cells, gaps: Sequence[str]) -> str:
    if gaps:
        return (
            "every column of numbers has values that are missing (the first is "
            f"{printable(gaps[0])}): fill them in or leave those rows out"
        )
    for name, values in text.items():
        cells = [str(value) for value in values]
        if as_numbers([cell.replace(",", ".", 1) for cell in cells]) is not None:
            return (
                f"column {printable(name)} has numbers with decimal commas, such as {cells[0]!r}: "
                "write them with points"
            )
    return "no column of numbers in it: an encoder learns from numbers"
