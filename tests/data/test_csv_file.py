"""Tables of numbers in CSV files."""

import numpy as np
import pytest

from nearfar.data.csv_file import read_csv
from nearfar.data.sources import load_source
from nearfar.data.specs import CSVSpec
from nearfar.errors import NearfarError, SettingError


def written(folder, text):
    path = folder / "table.csv"
    path.write_text(text)
    return path


def read(folder, text):
    return read_csv(written(folder, text), 1)


def load(tmp_path, text, **settings):
    path = written(tmp_path, text)
    return load_source(CSVSpec(root=path, test_fraction=0.0, **settings))


def test_columns_of_numbers_are_features(tmp_path):
    text = "name,b,kind,a\nx,1.5,1,3\ny, 2e12 ,0,-4\n"
    source = load(tmp_path, text, label_column="kind", leave_out=("name",))
    assert source.train.examples.tolist() == [[1.5, 3], [2e12, -4]]
    assert source.train.labels.tolist() == [1, 0]
    assert source.train.examples.dtype.itemsize == 8  # as far as the offset needs


def test_without_a_heading_all_rows_are_read(tmp_path):
    source = load(tmp_path, "1,2\n3,4\n5,6\n")
    np.testing.assert_array_equal(source.train.examples, [[1, 2], [3, 4], [5, 6]])


@pytest.mark.parametrize(
    "text",
    [
        "1,2\n3,4\n",
        "5,0,0,0\n4,0,0,255\n",  # digits, labels first
        "1,2,3\n4,5,6\n7,8,9\n",  # counts up, and so does what is beneath
        "0.0,1.0,2.0\n5,1,0\n",
        "0,1\n0,2\n",  # two count up by chance
        "1,,3\n4,5,6\n",
        "1,nan,3\n4,5,6\n",
        "5.1,3.5,setosa\n4.9,3.0,virginica\n",
        "a.png,1\nb.png,2\n",
        "1,2,3\n",
    ],
)
def test_rows_of_values_are_no_heading(tmp_path, text):
    columns = read(tmp_path, text)
    assert not columns.headed
    assert columns.rows == text.count("\n")


@pytest.mark.parametrize(
    "text",
    [
        "0,1,2,target\n0.5,7,9,a\n",  # as pandas writes a frame whose columns have no names
        ",0,1,2\n0,5.5,7,9\n1,5.5,7,9\n",  # and its index
        "country,1990,1991,1992\nPeru,3,4,6\n",
        "400.1,400.7,kind\n5,6,1\n5,7,\n",  # wavelengths
        "a,b\nx,y\n",
        "a,v1.0\n3,4.0\n",
        "nan,b\n1,2\n",
    ],
)
def test_headings_may_hold_numbers(tmp_path, text):
    columns = read(tmp_path, text)
    assert columns.headed
    assert list(columns.cells) == text.splitlines()[0].split(",")


@pytest.mark.parametrize(
    ("text", "settings", "error", "words"),
    [
        ("a,b\n1,x\n2,3\n", {}, NearfarError, r"column b: 1 of 2 values are no .*'x'"),
        ("a,b\n1,\n2,3\n", {}, NearfarError, r"column b: 1 of 2 values are no numbers \(empty"),
        ("a,b\n1,nan\n2,3\n", {}, NearfarError, "such as 'nan'"),
        ("a,k\n1,1\n", {"label_column": "b"}, SettingError, "unknown data.label_column 'b'"),
        ("a,k\n1,1\n", {"leave_out": ("b",)}, SettingError, "leave_out"),
        ("k\n1\n", {"label_column": "k"}, NearfarError, "no column of features"),
        ("a,b\n1,2,3\n", {}, NearfarError, "row 2 has 3 cells"),
    ],
)
def test_tables_that_do_not_fit_are_refused(tmp_path, text, settings, error, words):
    with pytest.raises(error, match=words) as caught:
        load(tmp_path, text, **settings)
    assert "table.csv: " in str(caught.value)
