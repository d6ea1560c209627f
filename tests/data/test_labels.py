import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nearfar.data.labels import encode_labels
from nearfar.errors import NearfarError

ANY_LABELS = st.one_of(
    st.lists(st.integers(0, 2**40), min_size=1, max_size=20),
    st.lists(st.text("abc", min_size=1), min_size=1, max_size=20),
)


@given(ANY_LABELS)
def test_labels_are_numbered_in_sorted_order_and_can_be_read_back(labels):
    encoded, classes = encode_labels(labels, len(labels))
    assert classes == sorted(set(labels))
    assert [classes[index] for index in encoded.tolist()] == labels


@pytest.mark.parametrize("kind", [np.uint8, np.int32, np.int64, np.uint64, bool])
def test_whole_numbers_of_any_width_are_labels(kind):
    encoded, _ = encode_labels(np.array([0, 1, 1], kind), 3)
    assert encoded.tolist() == [0, 1, 1]


LARGE = 2**53  # the last whole number before neighbours meet in float64


@pytest.mark.parametrize(
    ("train", "test"),
    [
        (np.array([LARGE, LARGE + 1, LARGE + 2]), np.array([LARGE + 1, LARGE + 2], np.uint64)),
        (np.array([0, 1, 2**64 - 1], np.uint64), np.array([0, 1, 1])),
        (np.array([5, LARGE + 1], np.uint64), [LARGE + 1, 5]),
        ([0, LARGE + 1, 2**63 + 1], [2**63 + 1, LARGE + 1, 0]),
        ([np.int64(LARGE + 1), np.uint64(LARGE)], np.array([LARGE, LARGE + 1], object)),
        (pd.Series([LARGE, LARGE + 1], dtype="Int64"), pd.Series([LARGE + 1, LARGE], dtype="u8")),
        (pd.Categorical([LARGE + 1, LARGE]), pd.Index([LARGE, LARGE + 1], dtype="uint64")),
        (np.array([True, False]), np.array([0, 1], np.uint8)),
    ],
)
def test_whole_numbers_of_two_types_never_meet_in_a_float(train, test):
    _, classes = encode_labels(train, len(train))
    assert classes == sorted({int(value) for value in np.asarray(train, object)})
    encoded, _ = encode_labels(test, len(test), classes=classes)
    assert [int(classes[index]) for index in encoded] == [int(v) for v in np.asarray(test, object)]


def test_text_in_object_arrays_is_text():
    encoded, classes = encode_labels(np.array(["b", "a"], object), 2)
    assert (encoded.tolist(), classes) == ([1, 0], ["a", "b"])


@pytest.mark.parametrize(
    ("labels", "words"),
    [
        ([0, 1], r"shape \(2,\) for 3 images"),
        ([[0], [1], [2]], r"shape \(3, 1\)"),
        ([0, -1, -1], "2 of 3 are negative"),
        ([0.0, 1.0, 2.0], r"float.*astype\(int\)"),
        (np.arange(3.0), r"float64.*astype\(int\)"),
        ([0, "a", 1], "int and str values"),
        ([0, 1, 2**70], "do not fit into 64 bits"),
        (np.array([-1, 0, 2**63], object), "do not fit into 64 bits"),
        (pd.array([0, 1, None], dtype="Int64"), "1 of 3 are missing"),
        (pd.array(["a", None, "b"], dtype="string"), "1 of 3 are missing"),
        (np.ma.array([0, 1, 2], mask=[0, 1, 1]), r"masked values in 2 of 3 .*first: 1\)"),
        ([0, np.ma.masked, 1], r"masked values in 1 of 3"),
        ([0, 1, np.nan], "1 of 3 are missing"),
        (np.array([0, None, 1], object), "1 of 3 are missing"),
        ([0, 1, 1j], "complex"),
    ],
)
def test_labels_that_do_not_fit_are_refused_in_one_line(labels, words):
    with pytest.raises(NearfarError, match=words) as caught:
        encode_labels(labels, 3)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("labels", "classes", "words"),
    [
        ([0, 3], [0, 1, 2], "class 3 is not among the 3"),
        (["a"], [0, 1], "text, where classes are whole numbers"),
        ([0], ["a"], "whole numbers, where classes are text"),
    ],
)
def test_classes_never_learnt_are_refused(labels, classes, words):
    with pytest.raises(NearfarError, match=words):
        encode_labels(labels, len(labels), classes=classes)


def test_known_classes_keep_their_number():
    assert encode_labels([7, 5], 2, classes=[3, 5, 7])[0].tolist() == [2, 1]
