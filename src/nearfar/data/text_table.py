"""A source from a table with a column of texts."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import torch

from nearfar.data.column_names import given
from nearfar.data.csv_file import as_labels, told_of_words
from nearfar.data.folder_tree import many
from nearfar.data.labelled_source import with_labels
from nearfar.data.saved_dataset import read_saved_dataset
from nearfar.data.source import Part, Partners, Source, choose
from nearfar.data.table_cells import table_cells
from nearfar.data.table_values import as_numbers
from nearfar.data.text_specs import TextTableSpec
from nearfar.data.texts import rows_of, told_of_partners
from nearfar.errors import NearfarError
from nearfar.outside_text import printable

_CALLED = (
    *("text", "sentence", "content", "document", "review", "body", "description", "title"),
    "caption",
)
_LOOKED_AT = 1000
_WORDS = 2
"""Words of a value on average from which on a column is one of texts, and not of names."""


def load_text_table(spec: TextTableSpec) -> Source:
    """Read the texts of a column of a CSV or Parquet table, or of a data set of Hugging Face's.

    Returns:
        The source, held in memory; rows without a text, or without its pair, are left out. Texts
        whose cell in the column of labels is empty are the unlabelled part.

    Raises:
        NearfarError: If the table is damaged, or it cannot be told which column holds texts.
        SettingError: If it has no such column or is larger than `in_memory_mib`.
    """
    path = spec.root
    assert path is not None
    try:
        return _source(spec, path)
    except NearfarError as error:
        raise type(error)(f"{path}: {error}") from None


def text_columns(cells: Mapping[str, Sequence[object]]) -> list[str]:
    """The columns that hold texts, those that are called so first, then the wordiest."""
    words = {
        name: sum(map(_words, some)) / max(1, len(some))
        for name, values in cells.items()
        if (some := [str(value) for value in values[:_LOOKED_AT] if value])
    }
    called = [name for name in words if name.strip().lower() in _CALLED]
    wordy = [name for name, count in words.items() if count >= _WORDS and name not in called]
    return [
        *sorted(called, key=lambda name: _CALLED.index(name.strip().lower())),
        *sorted(wordy, key=lambda name: -words[name]),
    ]


def _words(value: str) -> int:
    return 0 if as_numbers([value]) is not None else len(value.split())


def _source(spec: TextTableSpec, path: Path) -> Source:
    saved = read_saved_dataset(path, spec.in_memory_mib) if path.is_dir() else None
    cells = (
        table_cells(path, spec.in_memory_mib, [spec.label_column]) if saved is None else saved.cells
    )
    labelled = given(spec.label_column, "label_column", cells)
    paired = given(spec.pair_column, "pair_column", cells)
    named = given(spec.text_column, "text_column", cells)
    if named is None:
        others = {name: each for name, each in cells.items() if name not in (labelled, paired)}
        found = text_columns(others)
        if not found:
            raise NearfarError(
                "no column of several words a row in it: name one by data.text_column"
            )
        named = found[0]
    notes = [*(saved.notes if saved else ()), f"texts are in column {printable(named)}"]
    texts = [str(each).strip() for each in cells[named]]
    pairs = texts if paired is None else [str(each).strip() for each in cells[paired]]
    kept = [row for row, both in enumerate(zip(texts, pairs, strict=True)) if all(both)]
    if len(kept) < len(texts):
        lacking = "text" if paired is None else "text or its pair"
        notes.append(f"left out {many(len(texts) - len(kept), 'row')} without a {lacking}")
    if not kept:
        raise NearfarError(f"column {printable(named)}: there is no text in it")
    examples, cut = rows_of([texts[row] for row in kept], spec.length, spec.in_memory_mib)
    notes += cut
    partners = None
    if paired is not None:
        others, also = rows_of([pairs[row] for row in kept], spec.length, spec.in_memory_mib)
        partners = Partners(torch.arange(len(kept))[:, None], others)
        notes += [f"column {printable(paired)}: {note}" for note in also]
        notes += told_of_partners(partners, f"column {printable(paired)}")
    whole = Part(examples, modality="texts", partners=partners)
    learnt = len(kept) if saved is None else sum(row < saved.train_rows for row in kept)
    if not learnt:
        raise NearfarError(f"column {printable(named)}: there is no text in the training part")
    labels: list[int | str] | None = None
    if labelled is not None:
        labels = as_labels([str(cells[labelled][row]) for row in kept])
        notes += told_of_words(labels)
    rows = torch.arange(len(kept))
    source = with_labels(
        spec.name,
        whole if learnt == len(kept) else choose(whole, rows[:learnt]),
        None if learnt == len(kept) else choose(whole, rows[learnt:]),
        None if labels is None else labels[:learnt],
        None if labels is None or learnt == len(kept) else labels[learnt:],
        spec.test_fraction,
        called="texts",
        classes=None if labels is None else sorted({each for each in labels if each != ""}),
        minus_one=False,
    )
    test = None if source.test is None else replace(source.test, partners=None)
    return replace(source, test=test, notes=(*notes, *source.notes))
