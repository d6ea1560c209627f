"""What is special to the sigmoid loss: its two learned numbers."""

import math

import pytest
import torch
from torch.nn import functional as F

from nearfar.errors import SettingError
from nearfar.objectives import sigmoid
from nearfar.testing import views


def test_is_the_binary_cross_entropy_of_all_pairs():
    first, second = views(2)(9, 5, 0)
    logits = 7.0 * F.normalize(first) @ F.normalize(second).T - 3.0
    expected = F.binary_cross_entropy_with_logits(
        logits, torch.eye(9, dtype=torch.float64), reduction="sum"
    )
    value = sigmoid(first, second, scale=7.0, bias=-3.0)
    assert value.item() == pytest.approx(expected.item() / 9)


def test_separated_views_in_closed_form():
    rows = torch.eye(6, dtype=torch.float64)
    value = float(sigmoid(rows, rows, scale=10.0, bias=-5.0))
    assert value == pytest.approx(6 * math.log1p(math.exp(-5)))


def test_numbers_and_tensors_give_the_same():
    first, second = (view.float() for view in views(2)(7, 5, 0))
    by_numbers = float(sigmoid(first, second, scale=10.0, bias=-10.0))
    by_tensors = float(sigmoid(first, second, scale=torch.tensor(10.0), bias=torch.tensor(-10.0)))
    assert by_tensors == pytest.approx(by_numbers)


def test_impossible_numbers_are_refused():
    rows = torch.ones(2, 3)
    with pytest.raises(SettingError, match=r"scale is -1\.0: it must be a number above 0"):
        sigmoid(rows, rows, scale=-1.0, bias=0.0)
    with pytest.raises(SettingError, match="bias is inf: it must be a finite number"):
        sigmoid(rows, rows, scale=1.0, bias=math.inf)
