"""What is special to CLIP's objective: its scale."""

import math

import pytest
import torch

from nearfar.errors import SettingError
from nearfar.objectives import clip, info_nce
from nearfar.testing import views


def test_is_symmetric_info_nce_at_the_inverse_temperature():
    first, second = views(2)(7, 5, 0)
    expected = float(info_nce(first, second, temperature=0.05, symmetric=True))
    assert float(clip(first, second, scale=20.0)) == pytest.approx(expected)
    assert float(clip(second, first, scale=20.0)) == pytest.approx(expected)


def test_a_number_and_a_tensor_as_scale_give_the_same():
    first, second = (view.float() for view in views(2)(7, 5, 0))
    by_number = float(clip(first, second, scale=20.0))
    assert float(clip(first, second, scale=torch.tensor(20.0))) == pytest.approx(by_number)


def test_the_scale_of_confused_pairs_falls_and_that_of_clear_pairs_rises():
    log_scale = torch.tensor(math.log(1 / 0.07), requires_grad=True)
    rows = torch.eye(8)
    clip(rows, rows.roll(1, dims=0), scale=log_scale.exp()).backward()
    assert log_scale.grad > 0
    log_scale.grad = None
    clip(rows, rows, scale=log_scale.exp()).backward()
    assert log_scale.grad < 0


@pytest.mark.parametrize("scale", [0.0, -1.0, math.inf, math.nan])
def test_an_impossible_scale_is_refused(scale):
    with pytest.raises(SettingError, match=r"scale is .*: it must be a number above 0"):
        clip(torch.ones(2, 3), torch.ones(2, 3), scale=scale)
