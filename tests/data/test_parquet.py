from dataclasses import replace

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from pyarrow import parquet

from nearfar.data.sources import load_source
from nearfar.data.specs import ParquetSpec
from nearfar.errors import NearfarError, SettingError


def _load(tmp_path, columns, **settings):
    path = tmp_path / "table.parquet"
    parquet.write_table(pa.table(columns), path)
    return load_source(ParquetSpec(root=path, test_fraction=0.0, **settings))


def test_columns_of_numbers_are_features_in_their_order(tmp_path):
    columns = {"b": [1.5, 2.5], "kind": ["x", "y"], "a": [3, 4]}
    source = _load(tmp_path, columns, label_column="kind")
    assert source.train.examples.tolist() == [[1.5, 3.0], [2.5, 4.0]]
    assert source.class_names == ("x", "y")
    assert source.train.labels.tolist() == [0, 1]


def test_a_column_of_lists_gives_all_its_values_and_names_are_passed_over(tmp_path):
    vectors = np.arange(6, dtype=np.float32).reshape(2, 3)
    fixed = pa.FixedSizeListArray.from_arrays(pa.array(vectors.ravel()), 3)
    for features in (fixed, vectors.tolist()):
        source = _load(tmp_path, {"names": ["1.png", "2.png"], "features": features})
        np.testing.assert_array_equal(source.train.examples, vectors)
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
        load_source(ParquetSpec(root=path))


def _frame(rows=200):
    """Four features of noise and a label, sorted by the label as tables often are."""
    random = np.random.default_rng(0)
    table = pd.DataFrame(random.normal(size=(rows, 4)), columns=list("abcd"))
    table["kind"] = np.repeat(["x", "y"], rows // 2)
    return table


def _indexed(how):
    shuffled = _frame().sample(frac=1, random_state=0)
    if how == "unnamed":
        return shuffled, ["__index_level_0__"]
    if how == "named":
        return shuffled.rename_axis("row"), ["row"]
    if how == "of several":
        index = pd.MultiIndex.from_arrays([shuffled.index, shuffled.index // 100])
        return shuffled.set_axis(index.set_names(["row", None])), ["row", "__index_level_1__"]
    if how == "of text":
        return shuffled.set_axis(pd.Index([f"row {n}" for n in shuffled.index], name="id")), ["id"]
    return shuffled.reset_index(drop=True), []  # a range of numbers, which takes no column


@pytest.mark.parametrize("how", ["unnamed", "named", "of several", "of text", "a range"])
def test_the_index_of_pandas_is_no_feature(tmp_path, how):
    table, index = _indexed(how)
    path = tmp_path / "table.parquet"
    table.to_parquet(path)
    settings = {"name": "parquet", "root": path, "test_fraction": 0.0}
    source = load_source(ParquetSpec(**settings, label_column="kind"))
    np.testing.assert_array_equal(source.train.examples, table[list("abcd")])
    assert [note for note in source.notes if "index" in note] == (
        [f"left out the index column{'s' * (len(index) > 1)} of pandas: {', '.join(index)}"]
        if index
        else []
    )
    if how == "named":  # what is asked for by its name stays within reach
        table.drop(columns="kind").to_parquet(path)
        source = load_source(ParquetSpec(**settings, label_column="row"))
        np.testing.assert_array_equal(source.train.labels, table.index)
        np.testing.assert_array_equal(source.train.examples, table[list("abcd")])
        assert not any("index" in note for note in source.notes)


def test_an_index_column_is_known_where_another_program_dropped_what_pandas_wrote(tmp_path):
    source = _load(tmp_path, {"a": [1.0, 2.0], "__index_level_0__": [7, 3]})
    assert source.train.examples.tolist() == [[1.0], [2.0]]


@pytest.mark.parametrize("written", [b"{", b"[]", b"[" * 100_000, b'{"index_columns": 1}', b"\xff"])
def test_damaged_words_of_pandas_are_told(tmp_path, written):
    path = tmp_path / "table.parquet"
    table = pa.table({"a": [1.0, 2.0]}).replace_schema_metadata({"pandas": written})
    parquet.write_table(table, path)
    with pytest.raises(NearfarError, match="index columns is damaged"):
        load_source(ParquetSpec(root=path))


@pytest.mark.parametrize(
    "labels",
    [
        pa.array([2**53, 2**53 + 1, 2**53], pa.uint64()),
        pa.array(["b", "a", "b"]).dictionary_encode(),
        pa.array([5, 3, 5], pa.int8()).dictionary_encode(),
        pa.array(["b", "a", "b"], pa.large_string()),
        pa.array([True, False, True]),
    ],
)
def test_labels_of_any_type_keep_their_values(tmp_path, labels):
    source = _load(tmp_path, {"a": [1.0, 2.0, 3.0], "kind": labels}, label_column="kind")
    names = [source.class_names[label] for label in source.train.labels]
    assert names == [str(value) for value in labels.to_pylist()]


def test_labels_of_several_row_groups_keep_their_values(tmp_path):
    path = tmp_path / "table.parquet"
    words = [f"class {n % 7}" for n in range(1000)]
    table = pa.table({"a": np.arange(1000.0), "kind": words})
    parquet.write_table(table, path, row_group_size=90)
    source = load_source(ParquetSpec(root=path, label_column="kind", test_fraction=0.0))
    assert [source.class_names[label] for label in source.train.labels] == words


def test_lists_of_several_row_groups_and_whole_numbers_are_read(tmp_path):
    path = tmp_path / "table.parquet"
    values = np.arange(300).reshape(100, 3)
    parquet.write_table(pa.table({"v": values.tolist()}), path, row_group_size=30)
    source = load_source(ParquetSpec(root=path, test_fraction=0.0))
    np.testing.assert_array_equal(source.train.examples, values)


def test_two_columns_of_one_name_are_refused(tmp_path):
    path = tmp_path / "table.parquet"
    table = pa.Table.from_arrays([pa.array([1.0]), pa.array([2.0])], names=["a", "a"])
    parquet.write_table(table, path)
    with pytest.raises(NearfarError, match="two columns are called a"):
        load_source(ParquetSpec(root=path))


ROWS = 600_000
EQUAL = {
    "numbers": pa.array(np.zeros(ROWS)),
    "lists": pa.FixedSizeListArray.from_arrays(pa.array(np.zeros(ROWS)), 100),
    "lists of any length": pa.array(np.zeros((ROWS // 100, 100)).tolist()),
}


@pytest.mark.parametrize("kind", EQUAL)
def test_what_a_file_decodes_to_is_limited_not_what_it_takes(tmp_path, kind):
    path = tmp_path / "table.parquet"
    parquet.write_table(pa.table({"a": EQUAL[kind]}), path)
    assert path.stat().st_size < 2**19
    config = ParquetSpec(root=path, test_fraction=0.0, in_memory_mib=4)
    with pytest.raises(SettingError, match=r"5 MiB of columns, over data.in_memory_mib=4"):
        load_source(config)
    assert len(load_source(replace(config, in_memory_mib=8)).train) * 100 >= ROWS


def test_columns_that_are_left_out_are_not_read(tmp_path):
    path = tmp_path / "table.parquet"
    names = [f"{n:01000d}.png" for n in range(3000)]
    parquet.write_table(pa.table({"names": names, "a": np.arange(3000.0)}), path)
    config = ParquetSpec(root=path, test_fraction=0.0, in_memory_mib=1)
    assert len(load_source(config).train) == 3000


def test_text_that_shares_beginnings_is_limited_too(tmp_path):
    path = tmp_path / "table.parquet"
    words = ["x" * 10_000 + str(n) for n in range(1000)]
    parquet.write_table(
        pa.table({"a": np.arange(1000.0), "kind": words}),
        path,
        use_dictionary=False,
        column_encoding={"kind": "DELTA_BYTE_ARRAY"},
    )
    assert path.stat().st_size < 2**18
    config = ParquetSpec(root=path, label_column="kind", test_fraction=0.0, in_memory_mib=4)
    with pytest.raises(SettingError, match=r"over data.in_memory_mib=4"):
        load_source(config)
    assert load_source(replace(config, in_memory_mib=64)).num_classes == 1000


def test_long_words_that_repeat_count_once(tmp_path):
    path = tmp_path / "table.parquet"
    words = [letter * 10_000 for letter in "ab"] * 500  # 10 MB if each row held its own
    parquet.write_table(pa.table({"a": np.arange(1000.0), "kind": words}), path)
    config = ParquetSpec(root=path, label_column="kind", test_fraction=0.0, in_memory_mib=1)
    assert load_source(config).train.labels.bincount().tolist() == [500, 500]
