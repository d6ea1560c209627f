"""What is special to NT-Xent."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from nearfar.errors import SettingError
from nearfar.objectives import nt_xent
from nearfar.testing import views


@given(seed=st.integers(0, 10**6), temperature=st.floats(0.01, 10))
def test_does_not_change_when_the_views_are_swapped(seed, temperature):
    first, second = views(2)(6, 5, seed)
    value = float(nt_xent(first, second, temperature=temperature))
    assert float(nt_xent(second, first, temperature=temperature)) == pytest.approx(value)


def test_the_pairing_matters():
    first, second = views(2)(6, 5, 0)
    assert nt_xent(first, second.roll(1, dims=0)) > nt_xent(first, second) + 0.1


def test_equal_rows_give_the_logarithm_of_the_number_of_candidates():
    rows = torch.ones(8, 4, dtype=torch.float64)
    assert float(nt_xent(rows, rows, temperature=0.1)) == pytest.approx(math.log(15))


def test_perfectly_separated_views_at_a_small_temperature_stay_finite():
    first = torch.eye(16, requires_grad=True)
    loss = nt_xent(first, torch.eye(16), temperature=0.01)
    loss.backward()
    assert loss.item() == pytest.approx(30 * math.exp(-100), rel=1e-4)
    assert torch.isfinite(first.grad).all()


@pytest.mark.parametrize("temperature", [0.0, -0.5, math.nan, math.inf])
def test_an_impossible_temperature_is_refused(temperature):
    with pytest.raises(SettingError, match=r"temperature is .*: it must be a number above 0"):
        nt_xent(torch.ones(2, 3), torch.ones(2, 3), temperature=temperature)
