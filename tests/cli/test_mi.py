import json
import re

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from pyarrow import parquet

from nearfar.cli import main
from nearfar.data.array_file import read_array
from nearfar.errors import NearfarError

QUICK = ["--batch-size", "16", "--max-steps", "4", "--bounds", "info_nce", "smile"]
QUICK += ["--critic.hidden", "8", "--device", "cpu"]


@pytest.fixture
def files(tmp_path, monkeypatch):
    """The reader's folder: arrays of each kind of file."""
    monkeypatch.chdir(tmp_path)
    random = np.random.default_rng(0)
    x = random.normal(size=(200, 3)).astype(np.float32)
    labels = np.arange(200) % 2
    np.save("x.npy", x)
    np.savez("both.npz", x=x, z=x + random.normal(size=x.shape))
    np.savez("embedded.npz", names=np.array(["a"] * 200), features=x)
    np.savez("objects.npz", x=np.array([{}, 1], dtype=object))
    np.save("labels.npy", labels)
    table = pa.table({"names": ["a"] * 200, "one": x[:, 0], "two": x[:, 1], "class": labels})
    parquet.write_table(table, "table.parquet")
    (tmp_path / "damaged.npz").write_bytes(b"PK\x03\x04 and then nothing")
    (tmp_path / "text.csv").write_text("1,2\n")
    return x, labels


def told(capsys, *words):
    """What a command prints that must succeed."""
    assert main(["mi", *words, *QUICK]) == 0
    return " ".join(capsys.readouterr().out.split())


def refusal(capsys, *words):
    """The one line that a refused command prints."""
    assert main(["mi", *words]) in (1, 2)
    error = capsys.readouterr().err
    assert error.startswith("nearfar: ")
    assert error.count("\n") == 1
    return error


def read(word, limit_mib=8):
    return read_array(word, limit_mib=limit_mib, setting="--in-memory-mib")


def test_arrays_come_out_of_every_kind_of_file(files):
    x, labels = files
    np.testing.assert_array_equal(read("x.npy"), x)
    np.testing.assert_array_equal(read("both.npz:x"), x)
    np.testing.assert_array_equal(read("embedded.npz"), x)
    np.testing.assert_array_equal(read("table.parquet:one"), x[:, 0])
    np.testing.assert_array_equal(read("table.parquet:class"), labels)
    assert read("table.parquet:class").dtype.kind == "i"
    np.testing.assert_array_equal(
        read("table.parquet"), np.column_stack([x[:, 0], x[:, 1], labels])
    )
    assert read("table.parquet:names").tolist() == ["a"] * 200


def test_index_columns_of_pandas_take_no_part_unless_they_are_named(files, capsys):
    random = np.random.default_rng(1)
    for name in ("first", "second"):  # independent, but sorted back by one index
        table = pd.DataFrame({"value": random.normal(size=400)})
        table.sample(frac=1, random_state=0).to_parquet(f"{name}.parquet")
    assert read("first.parquet").shape == (400,)
    assert sorted(read("first.parquet:__index_level_0__")) == list(range(400))
    shown = told(capsys, "first.parquet", "second.parquet")
    assert shown.count("left out the index column of pandas: __index_level_0__") == 2


def test_arrays_that_declare_what_cannot_be_are_refused(files, tmp_path):
    for shape, words in (((-1, 2**31), "cannot be"), ((2**40,), "it was cut")):
        with open("odd.npy", "wb") as file:
            header = {"descr": "|u1", "fortran_order": False, "shape": shape}
            np.lib.format.write_array_header_1_0(file, header)
        with pytest.raises(NearfarError, match=words):
            read("odd.npy")


def test_a_colon_in_a_files_own_name_is_no_array(files):
    np.save("odd:x.npy", files[0])
    np.testing.assert_array_equal(read("odd:x.npy"), files[0])


def test_the_table_names_bounds_ceiling_and_check(files, capsys):
    shown = told(capsys, "both.npz:x", "both.npz:z")
    for words in ("InfoNCE", "SMILE", "lower bound", "estimate", "log N 2.77", "KSG"):
        assert words in shown
    assert re.search(r"InfoNCE -?\d\.\d\d -?\d\.\d\d to -?\d\.\d\d \d\.\d\d 4 lower bound", shown)
    assert "learnt from 120 pairs, stopped by 30, values from 3 batches of 16" in shown


def test_labels_show_their_entropy(files, capsys):
    shown = told(capsys, "x.npy", "labels.npy")
    assert "Barber-Agakov" in shown
    assert "H(Z) 0.69" in shown


def test_what_is_found_lies_in_the_folder_and_makes_a_page(files, capsys, tmp_path):
    told(capsys, "both.npz:x", "both.npz:z", "--out", "found", "--seed", "3")
    found = json.loads((tmp_path / "found" / "mutual_information.json").read_text())
    assert found["names"] == ["both.npz:x", "both.npz:z"]
    assert found["settings"]["seed"] == 3
    assert [each["bound"] for each in found["estimates"]] == ["info_nce", "smile"]
    assert found["command"].startswith("nearfar mi both.npz:x both.npz:z --out found --seed 3")
    assert main(["report", "found"]) == 0
    page = (tmp_path / "found" / "report.html").read_text()
    assert "Mutual information of both.npz:x and both.npz:z" in page
    assert f"{found['estimates'][0]['value']:.2f}" in page


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["both.npz", "x.npy"], "both.npz: it holds x, z: say which, as both.npz:x"),
        (["both.npz:y", "x.npy"], "both.npz: unknown array 'y'"),
        (["x.npy:x", "x.npy"], "holds one array without a name"),
        (["nope.npz", "x.npy"], "no file nope.npz"),
        (["text.csv", "x.npy"], "must end in .npy, .npz or .parquet"),
        (["damaged.npz", "x.npy"], "damaged.npz: not a readable .npz file"),
        (["objects.npz", "x.npy"], "objects.npz: not a readable .npz file"),
        (["table.parquet:three", "x.npy"], "table.parquet: unknown array 'three'"),
        (["x.npy", "x.npy", "--in-memory-mib", "0"], "over --in-memory-mib=0"),
        (["both.npz:x", "x.npy", "--in-memory-mib", "0"], "over --in-memory-mib=0"),
        (["table.parquet", "x.npy", "--in-memory-mib", "0"], "over --in-memory-mib=0"),
        (["x.npy", "x.npy", "--bounds", "nwjj"], "unknown bound 'nwjj': did you mean 'nwj'"),
        (["x.npy", "x.npy", "--critic.kind", "both"], "critic.kind"),
        (["x.npy", "x.npy", "--batch", "8"], "unknown setting '--batch'"),
        (["x.npy", "x.npy"], "200 samples are too few"),
        (["x.npy", "x.npy", "--out", "x.npy"], "cannot make the folder x.npy"),
        (["x.npy"], "missing"),
    ],
)
def test_what_cannot_be_estimated_is_refused_in_one_line(files, capsys, words, line):
    assert line in refusal(capsys, *words)
