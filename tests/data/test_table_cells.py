"""Cells of tables of texts and of files: labels that became fractions, and columns with gaps."""

import numpy as np
import pandas as pd

from nearfar.data.table_cells import table_cells

LIMIT = 64


def written(tmp_path, **columns):
    path = tmp_path / "table.parquet"
    pd.DataFrame({"path": ["a.png", "b.png", "c.png", "d.png"], **columns}).to_parquet(path)
    return path


def test_labels_that_became_fractions_are_whole_again(tmp_path):
    cells = table_cells(written(tmp_path, label=[0.0, 1.0, 0.0, 2.0]), LIMIT)
    assert cells["label"] == [0, 1, 0, 2]
    assert all(isinstance(each, int) for each in cells["label"])


def test_fractions_are_no_labels_unless_they_are_named(tmp_path):
    path = written(tmp_path, target=[0.5, 1.0, 0.5, 2.0], height=[1.0, 2.0, 1.0, 2.0])
    assert list(table_cells(path, LIMIT)) == ["path"]
    cells = table_cells(path, LIMIT, ["target", None])
    assert (list(cells), cells["target"]) == (["path", "target"], [0.5, 1.0, 0.5, 2.0])


def test_a_column_with_gaps_is_read_where_it_is_wanted(tmp_path):
    years = pd.array([1990, None, 1990, 1991], dtype="Int64")
    path = written(tmp_path, year=years)
    assert list(table_cells(path, LIMIT)) == ["path"]
    assert table_cells(path, LIMIT, ["year"])["year"] == [1990, "", 1990, 1991]
    cells = table_cells(written(tmp_path, label=[0, np.nan, 1, 0]), LIMIT)
    assert cells["label"] == [0, "", 1, 0]
