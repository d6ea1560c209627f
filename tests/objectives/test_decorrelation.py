"""VICReg and Barlow Twins: what the table of cases does not show."""

import pytest
import torch

from nearfar.errors import SettingError
from nearfar.objectives import barlow_twins, vicreg


def white(batch=12, dim=4):
    """Rows whose dimensions have mean 0 and unbiased variance 1 and are uncorrelated."""
    drawn = torch.randn(batch, dim, dtype=torch.float64)
    return torch.linalg.qr(drawn - drawn.mean(dim=0)).Q * (batch - 1) ** 0.5


def test_equal_white_views_are_at_the_minimum():
    rows = white()
    assert vicreg(rows, rows).item() == pytest.approx(0, abs=1e-12)
    assert barlow_twins(rows, rows).item() == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize("objective", [vicreg, barlow_twins])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_constant_dimension_has_a_finite_value_and_gradient(objective, dtype):
    first, second = white().to(dtype), white().to(dtype)
    first[:, 1] = second[:, 1] = 7.3
    first.requires_grad_()
    value = objective(first, second)
    value.backward()
    assert torch.isfinite(value)
    assert torch.isfinite(first.grad).all()
    assert first.grad.abs().max() < 1e3


def test_collapsed_views_cost_the_whole_variance_term():
    rows = torch.ones(5, 3)
    assert vicreg(rows, rows).item() == pytest.approx(25 * 2 * (1 - 0.01), rel=1e-5)
    assert barlow_twins(rows, rows).item() == pytest.approx(3)


def test_the_weights_are_those_of_the_three_terms():
    first, second = torch.randn(2, 9, 3, dtype=torch.float64).unbind()
    weights = ("similarity_weight", "variance_weight", "covariance_weight")
    terms = {
        name: vicreg(first, second, **{other: float(other == name) for other in weights}).item()
        for name in weights
    }
    expected = 25 * terms["similarity_weight"] + 25 * terms["variance_weight"]
    expected += terms["covariance_weight"]
    assert vicreg(first, second).item() == pytest.approx(expected)
    mean_square = (first - second).square().mean().item()
    assert terms["similarity_weight"] == pytest.approx(mean_square)


def test_barlow_twins_knows_correlation_and_not_scale_or_mean():
    first, second = white(), white()
    moved = second * torch.tensor([2.0, 30.0, 1.0, 5.0]).double() + 4
    value = barlow_twins(first, second, off_diagonal_weight=0.1).item()
    assert barlow_twins(first, moved, off_diagonal_weight=0.1).item() == pytest.approx(
        value, rel=1e-4
    )


def test_negative_weights_are_refused():
    rows = white()
    with pytest.raises(SettingError, match="variance_weight is -1"):
        vicreg(rows, rows, variance_weight=-1.0)
    with pytest.raises(SettingError, match="off_diagonal_weight is nan"):
        barlow_twins(rows, rows, off_diagonal_weight=float("nan"))
