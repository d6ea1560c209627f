import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet

from nearfar.data.config import DataConfig
from nearfar.data.sources import load_source
from nearfar.errors import NearfarError, SettingError


def _load(tmp_path, columns, **settings):
    path = tmp_path / "table.parquet"
    parquet.write_table(pa.table(columns), path)
    return load_source(DataConfig(name="parquet", root=path, test_fraction=0.0, **settings))


def test_columns_of_numbers_are_features_in_their_order(tmp_path):
    columns = {"b": [1.5, 2.5], "kind": ["x", "y"], "a": [3, 4]}
    source = _load(tmp_path, columns, label_column="kind")
    assert source.train.images.tolist() == [[1.5, 3.0], [2.5, 4.0]]
    assert source.class_names == ("x", "y")
    assert source.train.labels.tolist() == [0, 1]


def test_a_column_of_lists_gives_all_its_values_and_names_are_passed_over(tmp_path):
    vectors = np.arange(6, dtype=np.float32).reshape(2, 3)
    fixed = pa.FixedSizeListArray.from_arrays(pa.array(vectors.ravel()), 3)
    for features in (fixed, vectors.tolist()):
        source = _load(tmp_path, {"names": ["1.png", "2.png"], "features": features})
        np.testing.assert_array_equal(source.train.images, vectors)
        assert source.train.labels is None
        assert "names" in source.notes[0]


@pytest.mark.parametrize(
    ("columns", "settings", "error", "words"),
    [
        ({"a": [1.0, None]}, {}, NearfarError, "column a: 1 of 2 values are missing"),
        ({"a": [1.0, float("nan")]}, {}, NearfarError, "NaN"),
        ({"a": ["x", "y"]}, {}, NearfarError, "column a holds string, no numbers"),
        ({"a": [[1.0], [1.0, 2.0]]}, {}, NearfarError, "lists of 1 to 2 values"),
        ({"a": [[1.0], [None]]}, {}, NearfarError, "NaN"),
        ({"kind": [1, 2]}, {"label_column": "kind"}, NearfarError, "no column of features"),
        ({"kind": [1, 2]}, {"label_column": "kin"}, SettingError, "did you mean 'kind'"),
        (
            {"a": [1.0, 2.0], "kind": ["x", None]},
            {"label_column": "kind"},
            NearfarError,
            "1 of 2 labels are missing",
        ),
        ({"a": [1.0, 2.0]}, {"in_memory_mib": 0}, SettingError, "over data.in_memory_mib=0"),
    ],
)
def test_tables_that_do_not_fit_are_refused(tmp_path, columns, settings, error, words):
    with pytest.raises(error, match=words) as caught:
        _load(tmp_path, columns, **settings)
    assert "table.parquet: " in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_file_that_is_no_table_is_refused(tmp_path):
    path = tmp_path / "table.parquet"
    path.write_text("no table")
    with pytest.raises(NearfarError, match="not a readable Parquet file"):
        load_source(DataConfig(name="parquet", root=path))
