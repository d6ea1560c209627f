import numpy as np
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


def test_text_in_object_arrays_is_text():
    encoded, classes = encode_labels(np.array(["b", "a"], object), 2)
    assert (encoded.tolist(), classes) == ([1, 0], ["a", "b"])


@pytest.mark.parametrize(
    ("labels", "words"),
    [
        ([0, 1], r"shape \(2,\) for 3 images"),
        ([[0], [1], [2]], r"shape \(3, 1\)"),
        ([0, -1, -1], "2 of 3 are negative"),
        ([0.0, 1.0, 2.0], r"float64.*astype\(int\)"),
        ([0, 1, np.nan], "float64"),
        (np.array([0, None, 1], object), "object"),
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
        (["a"], [0, 1], "U1.*int64"),
        ([0], ["a"], "int64.*U1"),
    ],
)
def test_classes_never_learnt_are_refused(labels, classes, words):
    with pytest.raises(NearfarError, match=words):
        encode_labels(labels, len(labels), classes=classes)


def test_known_classes_keep_their_number():
    assert encode_labels([7, 5], 2, classes=[3, 5, 7])[0].tolist() == [2, 1]
