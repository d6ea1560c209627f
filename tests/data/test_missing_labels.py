"""Rows without a label beside rows with one, in arrays and in tables."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch

from nearfar.data.arrays import source_from_arrays, source_from_vectors
from nearfar.data.fingerprint import source_fingerprint
from nearfar.data.held_out import hold_out
from nearfar.data.missing_labels import labels_there
from nearfar.data.paired_arrays import source_from_pairs
from nearfar.data.sources import load_source, part_to_learn_from, train_part_of
from nearfar.data.specs import CSVSpec, VectorsNpzSpec
from nearfar.errors import NearfarError, SettingError
from nearfar.recipes.found_data import find_data

NAN = float("nan")
ROWS = np.arange(40, dtype=np.float32).reshape(20, 2)
SOME = np.where(np.arange(20) % 4 == 3, -1, np.arange(20) % 2)  # 3, 7, 11, 15 and 19 have none


def rows_of(part):
    """The place that each example of a part has in `ROWS`."""
    return (part.examples[:, 0] / 2).int().tolist()


@pytest.mark.parametrize(
    ("labels", "there", "values"),
    [
        (np.array([0, -1, 2]), [True, False, True], [0, 2]),
        (torch.tensor([0, -1, 2]), [True, False, True], [0, 2]),
        ([2**63, None, 1], [True, False, True], [2**63, 1]),
        ([1.0, NAN, 0.0], [True, False, True], [1, 0]),
        (np.array([2, NAN, 1], np.float32), [True, False, True], [2, 1]),
        (pd.array([1, None, 0], dtype="Int64"), [True, False, True], [1, 0]),
        (pd.Series(["a", None, " "], dtype="string"), [True, False, False], ["a"]),
        (pd.Series(["a", NAN, "b"], dtype="category"), [True, False, True], ["a", "b"]),
        (np.array(["a", "", "b"]), [True, False, True], ["a", "b"]),
        ([True, None, False], [True, False, True], [True, False]),
        ([None, NAN], [False, False], []),
        (np.array([-1, -1]), [False, False], []),
    ],
)
def test_none_is_told_in_every_kind_of_array(labels, there, values):
    found, mask = labels_there(labels, len(labels), "labels", minus_one=True)
    assert mask.tolist() == there
    assert list(found) == values
    assert not any(isinstance(each, float) for each in found)


def test_whole_labels_are_given_back_as_they_are():
    for labels in ([0, 1], np.array(["a", "-1"]), np.array([0.0, 1.0]), [True, False]):
        assert labels_there(labels, 2, "labels", minus_one=True) == (labels, None)
    assert labels_there([-1, 1], 2, "labels", minus_one=False) == ([-1, 1], None)
    assert labels_there([0, None, 1], 2, "labels", minus_one=True)[1] is None  # one too many


@pytest.mark.parametrize(
    ("labels", "words"),
    [
        (np.where(SOME < 0, -1, 1), "-1 and 1 are all that there is"),
        (np.where(SOME < 0, -2, 1), "5 of 20 are negative"),
        ([0.0, 1.0, -1.0, NAN] * 5, "5 of 15 are negative"),
        ([0.5, NAN] * 10, "float"),
        ([0, "a", None, 1] * 5, "int and str"),
        (SOME[:19], r"shape \(19,\)"),
        (SOME.reshape(4, 5), r"shape \(4, 5\)"),
    ],
)
def test_what_may_mean_something_else_is_refused(labels, words):
    with pytest.raises(NearfarError, match=words):
        source_from_vectors(ROWS, labels)


def test_examples_without_a_label_are_a_part_and_test_ones_have_one():
    source = source_from_vectors(ROWS, SOME)
    assert rows_of(source.unlabelled) == [3, 7, 11, 15, 19]
    assert source.unlabelled.labels is None
    together = sorted(rows_of(source.train) + rows_of(source.test))
    assert together == [row for row in range(20) if row % 4 != 3]
    for part in (source.train, source.test):
        assert part.labels.tolist() == [row % 2 for row in rows_of(part)]
    assert source.num_classes == 2
    assert source.notes[0].startswith("5 of 20 vectors have no label")
    assert "3 of 15 labelled vectors are held out" in source.notes[1]


def test_without_one_label_they_are_data_without_labels():
    bare = source_from_vectors(ROWS)
    source = source_from_vectors(ROWS, np.full(20, -1))
    assert source_fingerprint(source) == source_fingerprint(bare)
    assert (source.train.labels, source.unlabelled, source.class_names) == (None, None, None)
    assert source.notes == ("not one of 20 vectors has a label: they are data without labels",
                            *bare.notes)  # fmt: skip


@pytest.mark.parametrize("labels", [[4, *[-1] * 19], [*[None] * 17, "a", "a", "a"]])
def test_labels_of_one_class_tell_nothing_apart(labels):
    source = source_from_vectors(ROWS, labels)
    assert source_fingerprint(source) == source_fingerprint(source_from_vectors(ROWS))
    assert (source.train.labels, source.unlabelled, source.class_names) == (None, None, None)
    assert "have a label, all of one class" in source.notes[0]
    whole = source_from_vectors(ROWS, ["a"] * 20)
    assert whole.class_names == ("a",)


def test_test_examples_without_a_label_are_left_out():
    images = np.zeros((20, 2, 2), np.uint8)
    source = source_from_arrays(images, SOME, images, SOME)
    assert (len(source.train), len(source.unlabelled), len(source.test)) == (15, 5, 15)
    assert "left out 5 of 20 test images without a label" in source.notes[1]
    hidden = source_from_arrays(images, SOME, images[:4], [None] * 4)
    assert (len(hidden.train), len(hidden.unlabelled), len(hidden.test)) == (12, 5, 3)


def test_methods_learn_from_all_that_they_can():
    source, spec = source_from_vectors(ROWS, SOME, test_fraction=0.0), VectorsNpzSpec()
    assert part_to_learn_from(source, spec, labelled=True) is source.train
    both = part_to_learn_from(source, spec, labelled=False)
    assert (len(both), both.labels) == (20, None)
    assert rows_of(both) == source.order.tolist() == [*rows_of(source.train), 3, 7, 11, 15, 19]
    for which, count in (("train", 15), ("unlabelled", 5), ("both", 20)):
        chosen = replace(spec, train_part=which)
        for labelled in (False, True):
            assert len(part_to_learn_from(source, chosen, labelled=labelled)) == count
    whole = source_from_vectors(ROWS, np.arange(20) % 2)
    assert train_part_of(whole, spec, labelled=False) == "train"
    with pytest.raises(SettingError, match="train_part is both: arrays has no unlabelled part"):
        part_to_learn_from(whole, replace(spec, train_part="both"))
    with pytest.raises(SettingError, match="train_part both nothing is learnt from labels"):
        VectorsNpzSpec(train_part="both", label_noise=0.1)


def test_what_changes_labelled_examples_leaves_the_others(tmp_path):
    path = tmp_path / "rows.npz"
    np.savez(path, vectors=ROWS, labels=SOME)
    spec = VectorsNpzSpec(root=path, test_fraction=0.0, held_out=0.2, imbalance_factor=2.5)
    source = load_source(spec)
    assert (torch.bincount(source.train.labels).tolist(), len(source.unlabelled)) == ([5, 2], 5)
    assert source.order is None  # some are gone
    taught = hold_out(source, spec)
    assert not set(rows_of(taught.held_out)) & set(rows_of(source.unlabelled))
    assert len(part_to_learn_from(taught.source, spec)) == 7 - 1 + 5
    noisy = load_source(replace(spec, imbalance_factor=None, label_noise=0.5))
    assert any("label noise: 6 of the 12 labels" in note for note in noisy.notes)


def test_pairs_keep_what_belongs_to_them():
    texts = np.array([f"row {row}" for row in range(20)])
    source = source_from_pairs(ROWS, texts, SOME, kinds=("vectors", "texts"), length=8)
    both = part_to_learn_from(source, VectorsNpzSpec())
    for part in (source.train, source.unlabelled, source.test, both):
        assert part.partners.rows[:, 0].tolist() == rows_of(part)
    assert len(both) == 20 - len(source.test)


CELLS = {
    "pandas-nullable": pd.array([0, 1, None, None] * 5, dtype="Int64"),
    "fractions": [0.0, 1.0, NAN, NAN] * 5,
    "strings": ["cat", "dog", None, ""] * 5,
    "spaces": ["cat", "dog", "  ", "\t"] * 5,
    "one of each": ["a", "b", *[None] * 18],
    "the last": [*[NAN] * 18, 3.0, 5.0],
}


@pytest.mark.parametrize("kind", ["csv", "parquet"])
@pytest.mark.parametrize("labels", CELLS.values(), ids=CELLS)
def test_tables_of_strangers(tmp_path, kind, labels):
    path = tmp_path / f"table.{kind}"
    frame = pd.DataFrame({"a": ROWS[:, 0], "b": ROWS[:, 1], "label": labels})
    frame.to_csv(path, index=False) if kind == "csv" else frame.to_parquet(path)
    found = find_data(path)
    assert found.data.label_column == "label"
    source = replace(found.data, test_fraction=0.0).build()
    given = [each if isinstance(each, str) else None if pd.isna(each) else int(each)
             for each in frame["label"]]  # fmt: skip
    there = [row for row, each in enumerate(given) if each is not None and str(each).strip()]
    assert rows_of(source.train) == there
    names = [source.class_names[label] for label in source.train.labels]
    assert names == [str(given[row]) for row in there]
    assert sorted(rows_of(source.unlabelled) + there) == list(range(20))


def test_two_thousand_classes_of_one_row_each(tmp_path):
    path = tmp_path / "table.csv"
    lines = [f"{row},{f'kind {row}' if row < 2000 else ''}\n" for row in range(2500)]
    path.write_text("a,label\n" + "".join(lines))
    source = find_data(path).data.build()
    assert (len(source.train), source.num_classes, len(source.unlabelled)) == (2000, 2000, 500)
    assert source.test is None


def csv(tmp_path, labels, **settings):
    path = tmp_path / "table.csv"
    path.write_text("a,k\n" + "".join(f"{row},{each}\n" for row, each in enumerate(labels)))
    return load_source(CSVSpec(root=path, label_column="k", test_fraction=0.0, **settings))


def test_words_for_nothing_are_none_beside_numbers_alone(tmp_path):
    numbers = csv(tmp_path, ["0", "NA", "1", "null", "2.0"])
    assert (numbers.class_names, len(numbers.unlabelled)) == (("0", "1", "2"), 2)
    words = csv(tmp_path, ["cat", "none", "", "dog"])
    assert (words.class_names, len(words.unlabelled)) == (("cat", "dog", "none"), 1)
    assert any("none is read as the name of a class" in note for note in words.notes)
    signs = csv(tmp_path, ["-1", "0", "1", ""])  # a class in a table, where gaps can be left
    assert (signs.class_names, len(signs.unlabelled)) == (("-1", "0", "1"), 1)


def test_a_column_of_few_remarks_is_not_one_of_classes(tmp_path):
    path = tmp_path / "table.csv"
    remarks = ["see page 3", "broken", *[""] * 18]
    pd.DataFrame({"a": ROWS[:, 0], "remark": remarks}).to_csv(path, index=False)
    assert find_data(path).data.label_column is None
    kinds = ["worn", "torn"] * 3 + [""] * 14
    pd.DataFrame({"a": ROWS[:, 0], "state": kinds}).to_csv(path, index=False)
    assert find_data(path).data.label_column == "state"
