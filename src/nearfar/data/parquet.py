"""A source from a Parquet table: embeddings, or the columns of any table."""

from dataclasses import replace

import numpy as np

from nearfar.data.arrays import source_from_vectors
from nearfar.data.parquet_files import (
    NAMES,
    column_features,
    read_columns,
    table_columns,
    text_or_numbers,
)
from nearfar.data.source import Source
from nearfar.data.specs import ParquetSpec
from nearfar.errors import NearfarError, SettingError, unknown_name


def load_parquet(spec: ParquetSpec) -> Source:
    """Read the rows of a Parquet table as vectors.

    Columns of numbers are features, side by side in the order of the table; a column of lists of
    one length gives as many. One column may hold the labels, also one of pandas' index. All other
    index columns are left out, with a note, and so is a column `names` of text, as `nearfar embed`
    writes it.

    Args:
        spec: `root` is the file, `label_column` names the labels, `test_fraction` splits.

    Raises:
        NearfarError: If pyarrow is missing, the file is damaged, a column holds no numbers, or a
            value is missing.
        SettingError: If the table has no such label column or is larger than `in_memory_mib`.
    """
    path = spec.root
    assert path is not None
    try:
        columns = table_columns(path)
        labelled = spec.label_column
        if labelled is not None and labelled not in columns.kinds:
            raise SettingError(f"data.{unknown_name('label_column', labelled, columns.kinds)}")
        index = tuple(name for name in columns.index if name != labelled)
        notes = replace(columns, index=index).index_note()
        if NAMES in columns.text and labelled != NAMES:
            notes += (f"passed over the column {NAMES}, which holds text",)
        kept = [name for name in columns.data if name != labelled]
        if not kept:
            raise NearfarError("no column of features in it")
        wanted = kept if labelled is None else [*kept, labelled]
        read = read_columns(path, wanted, columns, spec.in_memory_mib, "data.in_memory_mib")
        features = [column_features(name, read[place]) for place, name in enumerate(kept)]
        source = source_from_vectors(
            np.concatenate(features, axis=1),
            None if labelled is None else text_or_numbers(labelled, read[-1]),
            test_fraction=spec.test_fraction,
            name="parquet",
        )
        return replace(source, notes=notes + source.notes)
    except NearfarError as error:
        raise type(error)(f"{path}: {error}") from None
