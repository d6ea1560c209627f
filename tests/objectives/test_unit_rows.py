"""Rows of length 1, from rows of any length."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional as F

from nearfar.evaluation.knn import KNNBank
from nearfar.objectives import nt_xent
from nearfar.objectives.precision import unit_rows


def drawn(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0))


@given(st.integers(-37, 37), st.integers(1, 6))
def test_any_length_is_that_of_float64(power, dim):
    rows = drawn(9, dim) * 10.0**power
    exact = F.normalize(rows.double(), dim=1, eps=0)
    torch.testing.assert_close(unit_rows(rows).double(), exact, rtol=0, atol=2e-7)
    far = drawn(9, dim).double() * 10.0 ** (8 * power)
    torch.testing.assert_close(unit_rows(far).norm(dim=1), torch.ones(9).double())


def test_the_smallest_and_the_largest_numbers_count():
    for value in (1e-45, 1.2e-38, 3.4e38):
        rows = torch.tensor([[value, 0.0], [value, -value]])
        expected = torch.tensor([[1.0, 0.0], [0.5**0.5, -(0.5**0.5)]])
        torch.testing.assert_close(unit_rows(rows), expected)


def test_ordinary_rows_have_the_bits_of_torchs_own_normalisation():
    rows = drawn(50, 16) * 3
    assert torch.equal(unit_rows(rows), F.normalize(rows, dim=1))


def test_zeros_stay_zero_without_a_gradient_of_any_order():
    rows = drawn(4, 3).double()
    rows[1] = 0
    rows.requires_grad_()
    units = unit_rows(rows)
    assert torch.equal(units[1], torch.zeros(3).double())
    (first,) = torch.autograd.grad((units**3).sum(), rows, create_graph=True)
    (second,) = torch.autograd.grad(first.square().sum(), rows)
    for gradient in (first, second):
        assert torch.isfinite(gradient).all()
        assert torch.equal(gradient[1], torch.zeros(3).double())


def test_the_gradient_is_that_of_finite_differences():
    rows = (drawn(4, 3).double() * 1e-3).requires_grad_()
    assert torch.autograd.gradcheck(unit_rows, rows, eps=1e-9)
    assert torch.autograd.gradgradcheck(unit_rows, rows, eps=1e-9, atol=1e-2)


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_what_is_not_finite_shows(bad):
    rows = drawn(3, 4)
    rows[1, 2] = bad
    found = unit_rows(rows)
    assert found[1].isnan().any()
    assert torch.isfinite(found[[0, 2]]).all()


def test_one_row_of_zeros_does_not_throw_nt_xent():
    first, second = drawn(2, 64, 16).unbind()
    first[3] = 0
    first.requires_grad_()
    (gradient,) = torch.autograd.grad(nt_xent(first, second, temperature=0.1), first)
    assert float(gradient.abs().max()) < 1
    assert not gradient[3].any()


def test_neighbours_of_long_and_short_features_are_found():
    features = drawn(30, 8)
    _, expected = KNNBank(features).neighbors(features, 3)
    for times in (1e25, 1e-25):
        assert torch.equal(KNNBank(features * times).neighbors(features * times, 3)[1], expected)
