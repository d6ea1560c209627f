import pytest
import torch

from nearfar.data.source import Part
from nearfar.evaluation.pictures import spread_over_classes


def part(labels) -> Part:
    labels = None if labels is None else torch.tensor(labels)
    count = 20 if labels is None else len(labels)
    return Part(torch.zeros(count, 1, 8, 8, dtype=torch.uint8), labels)


@pytest.mark.parametrize("classes", [6, 7, 98, 2000])
def test_of_many_classes_each_picture_is_of_another_one(classes):
    labels = sorted(list(range(classes)) * 3)
    rows = spread_over_classes(part(labels), 6)
    shown = [labels[row] for row in rows]
    assert len(set(shown)) == 6
    assert (shown[0], shown[-1]) == (0, classes - 1)


def test_of_few_classes_all_are_shown_alike_and_a_class_may_be_missing():
    labels = [0] * 50 + [2] * 50
    rows = spread_over_classes(part(labels), 6)
    assert [labels[row] for row in rows] == [0, 0, 0, 2, 2, 2]
    assert spread_over_classes(part([1] * 4), 6).tolist() == [0, 1, 2, 3]
    assert spread_over_classes(part([0] * 20 + [1]), 6).tolist() == [0, 1, 2, 3, 4, 20]


def test_without_labels_they_come_from_all_of_the_part():
    assert spread_over_classes(part(None), 5).tolist() == [0, 5, 10, 14, 19]
    assert spread_over_classes(Part(torch.zeros(2, 1, 8, 8, dtype=torch.uint8)), 6).tolist() == [
        0,
        1,
    ]
