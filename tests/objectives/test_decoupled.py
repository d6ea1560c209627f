"""What is special to the decoupled loss: the positive is not in the denominator."""

import math

import pytest
import torch

from nearfar.errors import SettingError
from nearfar.objectives import decoupled, nt_xent


def test_separated_views_in_closed_form():
    rows = torch.eye(6, dtype=torch.float64)
    expected = math.log(10) - 10
    assert float(decoupled(rows, rows)) == pytest.approx(expected)
    # NT-Xent adds the positive, 1, to what is inside the logarithm.
    assert float(nt_xent(rows, rows, temperature=0.1)) == pytest.approx(
        math.log1p(math.exp(expected))
    )


def test_the_pull_on_a_positive_does_not_fade():
    def pull(objective):
        first = torch.eye(6, dtype=torch.float64, requires_grad=True)
        second = torch.eye(6, dtype=torch.float64) + 0.1
        objective(first, second, temperature=0.1).backward()
        return float(first.grad.norm())

    assert pull(decoupled) > 100 * pull(nt_xent)


def test_an_impossible_temperature_is_refused():
    with pytest.raises(SettingError, match=r"temperature is nan"):
        decoupled(torch.ones(2, 3), torch.ones(2, 3), temperature=math.nan)
