"""What `nearfar train PATH` takes a folder or a file for."""

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from scipy.io import wavfile

import shards
from nearfar.data.sources import load_source
from nearfar.data.specs import NpzSpec, VectorsNpzSpec
from nearfar.errors import NearfarError, SettingError
from nearfar.recipes.found_data import find_data
from nearfar.table_features import TableFeature


def picture(path, side=8):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("L", (side + 4, side)).save(path)


def sound(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    wavfile.write(path, 8000, np.zeros(20, np.int16))


def test_pictures(tmp_path):
    for name in ("a/1.png", "a/2.png", "b/1.png"):
        picture(tmp_path / name, side=40)
    sound(tmp_path / "b" / "1.wav")
    found = find_data(tmp_path)
    assert (found.data.name, found.side) == ("folder", 40)
    assert found.why == "3 pictures; 1 sound beside them are not read"


def test_sounds(tmp_path):
    for number in range(2):
        sound(tmp_path / f"{number}.wav")
    picture(tmp_path / "cover.png")
    assert find_data(tmp_path).data.name == "wav"


@pytest.mark.parametrize("below", ["", "train"])
def test_pictures_that_a_table_beside_them_names(tmp_path, below):
    for number in range(4):
        picture(tmp_path / below / f"{number}.png")
    rows = {"id": [f"{number}.png" for number in range(4)], "breed": list("abab")}
    pd.DataFrame(rows).to_csv(tmp_path / "labels.csv", index=False)
    (tmp_path / "other.csv").write_text("a,b\n1,2\n")
    found = find_data(tmp_path)
    assert found.data.name == "image-table"
    assert found.data.images == (tmp_path / below if below else None)
    assert found.why == "4 pictures named by labels.csv"


def test_folders_of_classes_go_before_a_table(tmp_path):
    for name in ("a/1.png", "b/1.png"):
        picture(tmp_path / name)
    (tmp_path / "list.csv").write_text("path,label\na/1.png,x\nb/1.png,y\n")
    assert find_data(tmp_path).data.name == "folder"


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_tables_of_numbers(tmp_path, kind):
    rows = pd.DataFrame(
        {
            "id": range(12),
            "note": [f"text {n}" for n in range(12)],
            "width": np.linspace(0, 1, 12),
            "count": range(5, 17),
            "species": ["a", "b", "c"] * 4,
        }
    )
    path = tmp_path / f"table.{kind}"
    rows.to_csv(path, index=False) if kind == "csv" else rows.to_parquet(path)
    data = find_data(path).data
    assert (data.name, data.label_column) == (kind, "species")
    assert data.leave_out == ("note", "id")
    assert data.build().train.examples.shape[1] == 2


def test_a_column_of_few_numbers_is_no_label_unless_it_is_called_so(tmp_path):
    path = tmp_path / "table.csv"
    text = "x,rooms\n" + "".join(f"{n}.5,{n % 3}\n" for n in range(9))
    path.write_text(text)
    assert find_data(path).data.label_column is None
    path.write_text(text.replace("rooms", "target"))
    assert find_data(path).data.label_column == "target"


def written(rows, path):
    frame = pd.DataFrame(rows)
    frame.to_csv(path, index=False) if path.suffix == ".csv" else frame.to_parquet(path)
    return path


KINDS = pytest.mark.parametrize("kind", ["csv", "parquet"])


@KINDS
@pytest.mark.parametrize("missing", [False, True])
def test_labels_that_became_fractions_are_labels_still(tmp_path, kind, missing):
    labels = [float(n % 3) for n in range(12)]
    if missing:  # as pandas makes whole numbers fractions
        labels[5] = float("nan")
    path = written({"a": np.linspace(0, 1, 12), "label": labels}, tmp_path / f"table.{kind}")
    data = find_data(path).data
    assert data.label_column == "label"
    source = data.build()
    assert (source.train.examples.shape[1], source.num_classes) == (1, 3)
    assert (source.unlabelled is not None) == missing


@KINDS
def test_an_answer_that_is_no_class_is_no_feature(tmp_path, kind):
    numbers = np.linspace(0, 1, 12)
    path = written({"a": numbers, "b": numbers, "target": numbers}, tmp_path / f"table.{kind}")
    found = find_data(path)
    assert found.data.leave_out == ("target",)
    assert found.why.endswith("not read: target (called as labels are)")
    given = type(found.data)(root=path, leave_out=("b",)).build()
    assert any("name it by data.label_column=target" in note for note in given.notes)


@KINDS
@pytest.mark.parametrize("name", ["id", "PassengerId", "sample_id", "Sample ID"])
def test_numbers_that_tell_rows_apart_are_no_features(tmp_path, kind, name):
    rows = {name: range(100, 112), "paid": range(12), "liquid": np.linspace(0, 1, 12)}
    assert find_data(written(rows, tmp_path / f"table.{kind}")).data.leave_out == (name,)
    rows[name] = [7, 8] * 6  # of something that comes again
    assert find_data(written(rows, tmp_path / f"table.{kind}")).data.leave_out == ()


@KINDS
def test_beside_an_x_a_y_is_a_coordinate(tmp_path, kind):
    numbers = np.linspace(0, 1, 12)
    rows = {"x": numbers, "y": [1, 2, 3] * 4, "z": numbers}
    data = find_data(written(rows, tmp_path / f"table.{kind}")).data
    assert (data.label_column, data.leave_out) == (None, ())


@KINDS
def test_gaps_are_filled_in_where_most_numbers_are_there(tmp_path, kind):
    numbers = np.linspace(0, 1, 12)
    few, most = np.where(numbers > 0.9, np.nan, numbers), np.where(numbers > 0.5, np.nan, numbers)
    most[0] = np.nan
    path = written({"a": numbers, "few": few, "most": most}, tmp_path / f"table.{kind}")
    found = find_data(path)
    assert found.why == (
        "a table of 2 columns of numbers, no column known as labels; filled in where numbers are "
        "missing: few; not read: most (values are missing)"
    )
    source = found.data.build()
    assert source.columns == (
        TableFeature("a"),
        TableFeature("few"),
        TableFeature("few", missing=True),
    )
    assert "stands for numbers that are missing in few" in " ".join(source.notes)
    with pytest.raises(NearfarError, match=r"most values are missing .* \(the first is most"):
        find_data(written({"most": most, "word": [f"w{n}" for n in range(12)]}, path))


@KINDS
def test_columns_of_few_words_are_categories(tmp_path, kind):
    rows = np.arange(40)
    words = {
        "a": rows / 7,
        "day": np.where(rows % 2 == 0, "workday", "day off"),
        "colour": [("red", "green", None, "blue")[row % 4] for row in rows],
        "type": np.where(rows % 5 == 0, "x", "y"),
        "kind": np.where(rows % 3 == 0, "x", "y"),
        "note": [f"words of row {row}" for row in rows],
        "class": rows % 2,
    }
    path = written(words, tmp_path / f"table.{kind}")
    found = find_data(path)
    assert found.why == (
        "a table of 1 column of numbers and 2 columns of categories (day, colour), labels in "
        "class; not read: type (called as labels are), kind (called as labels are), note"
    )
    source = found.data.build()
    assert [str(feature) for feature in source.columns] == [
        "a",
        "day=day off",
        "day=workday",
        "colour=blue",
        "colour=green",
        "colour=red",
    ]
    values = torch.cat([source.train.examples, source.test.examples])
    assert values[:, 1:3].sum(1).eq(1).all()
    assert values[:, 3:].sum(1).eq(0).sum() == 10  # those without a colour


@KINDS
def test_a_table_of_words_alone_is_one_of_categories(tmp_path, kind):
    rows = np.arange(24)
    words = {"odour": np.array(["a", "b"])[rows % 2], "cap": np.array(["c", "d"])[rows % 2]}
    path = written({**words, "class": rows % 2}, tmp_path / f"table.{kind}")
    assert find_data(path).data.categories == ("odour", "cap")
    assert find_data(path).data.build().train.example_shape == (4,)


def test_decimal_commas_are_told(tmp_path):
    path = tmp_path / "table.csv"
    pd.DataFrame({"a": [0.5, 0.25, 2]}).to_csv(path, sep=";", decimal=",")
    with pytest.raises(NearfarError, match="decimal commas, such as '0,5': write them with points"):
        find_data(path)


def test_what_lies_beside_pictures_is_told(tmp_path):
    for number in range(2):
        picture(tmp_path / f"{number}.png")
        (tmp_path / f"{number}.txt").write_text("a caption")
    assert "2 texts beside them are not read: pairs" in find_data(tmp_path).why


@pytest.mark.parametrize("kind", ["tar", "parquet", "arrow"])
def test_larger_files_that_hold_pictures(tmp_path, monkeypatch, kind):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    root = shards.write(kind, tmp_path / "shards")
    found = find_data(root)
    assert found.data == shards.SPECS[kind](root=root)
    assert len(load_source(found.data).train) == 20
    if kind == "tar":
        assert "in 3 tar files; texts beside them are read by --data webdataset" in found.why
        assert find_data(root / "1.tar").data == shards.SPECS[kind](root=root / "1.tar")


def test_arrays_of_pairs_are_told(tmp_path):
    np.savez(tmp_path / "a.npz", first=np.zeros((3, 2)), second=np.zeros((3, 2)))
    with pytest.raises(NearfarError, match="first and second are pairs: say of what by --data"):
        find_data(tmp_path / "a.npz")


@pytest.mark.parametrize("kind", ["images", "series", "vectors"])
def test_arrays(tmp_path, kind):
    path = tmp_path / "arrays.npz"
    np.savez(path, **{kind: np.zeros((2, 3))})
    assert find_data(path).data.modality == kind


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.npz", b"no zip", "not a readable .npz file"),
        ("a.csv", b"", "no row in it"),
        ("a.csv", b"name,place\nx,y\n", "no column of numbers in it"),
        ("a.parquet", b"no parquet", "not a readable Parquet file"),
        ("a.doc", b"text", "not a kind of data that is known by its name"),
        ("folder/a.doc", b"text", "no picture, sound, text or Parquet file .*, only 1 .doc"),
    ],
)
def test_what_nothing_can_be_learnt_from_is_refused(tmp_path, name, content, words):
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(content)
    with pytest.raises(NearfarError, match=words) as caught:
        find_data(path.parent if "/" in name else path)
    assert name.partition("/")[0] in str(caught.value)


def test_arrays_of_other_names_are_told(tmp_path):
    np.savez(tmp_path / "a.npz", **{"x\x1b[31m": np.zeros(3)})
    with pytest.raises(NearfarError, match=r"no array called images, .* but x\\x1b"):
        find_data(tmp_path / "a.npz")


@pytest.mark.parametrize(
    ("array", "spec", "side"),
    [
        (np.zeros((9, 4)), VectorsNpzSpec, None),
        (np.zeros((9, 4), np.int16), VectorsNpzSpec, None),
        (np.zeros((9, 8, 6, 3), np.uint8), NpzSpec, 6),
        (np.zeros((9, 8, 6), np.uint8), NpzSpec, 6),
    ],
)
def test_one_array_is_told_by_its_shape(tmp_path, array, spec, side):
    np.save(tmp_path / "made.npy", array)
    found = find_data(tmp_path / "made.npy")
    assert (type(found.data), found.side) == (spec, side)
    assert "without labels" in found.why
    source = load_source(found.data)
    assert len(source.train) == 9 - len(source.test)
    assert source.train.labels is None


@pytest.mark.parametrize(
    ("array", "said"),
    [
        (np.zeros((9, 3, 8)), r"float64 of shape \(9, 3, 8\) may be series or pictures: say which"),
        (np.zeros(9), r"float64 of shape \(9,\): give \(n, features\)"),
        (np.array([["a", "b"]]), r"of shape \(1, 2\): give"),
    ],
)
def test_an_array_that_may_be_two_things_is_refused(tmp_path, array, said):
    np.save(tmp_path / "made.npy", array)
    with pytest.raises(NearfarError, match=said):
        find_data(tmp_path / "made.npy")


def test_an_array_file_is_held_to_its_header(tmp_path):
    path = tmp_path / "made.npy"
    path.write_bytes(b"no array")
    with pytest.raises(NearfarError, match=r"not a readable .npy file"):
        find_data(path)
    np.save(path, np.zeros((10, 3)))
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(NearfarError, match=r"made.npy: not a readable .npy file"):
        load_source(VectorsNpzSpec(root=path))
    np.save(path, np.zeros((1000, 300)))
    with pytest.raises(SettingError, match=r"2 MiB of arrays, over data.in_memory_mib=1"):
        load_source(VectorsNpzSpec(root=path, in_memory_mib=1))
    np.save(path, np.array([[object()]]), allow_pickle=True)
    with pytest.raises(NearfarError, match=r"give \(n, features\)"):
        find_data(path)
