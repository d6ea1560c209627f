"""What is special to alignment and uniformity: closed forms."""

import math

import pytest
import torch
from scipy.special import hyp0f1

from nearfar.errors import SettingError
from nearfar.objectives import alignment, uniformity
from nearfar.testing import rows


def even_circle(count):
    """Points at equal angles on the circle, in float64."""
    angles = torch.arange(count, dtype=torch.float64) * (2 * math.pi / count)
    return torch.stack((angles.cos(), angles.sin()), dim=1)


def test_alignment_of_equal_and_of_opposite_views():
    (points,) = rows(7, 4, 0)
    assert float(alignment(points, 3 * points)) == pytest.approx(0, abs=1e-12)
    assert float(alignment(points, -points, alpha=3.0)) == pytest.approx(8)


def test_alignment_of_equal_views_has_a_finite_gradient():
    points = rows(7, 4, 0)[0].requires_grad_()
    alignment(points, points.detach(), alpha=1.0).backward()
    assert torch.isfinite(points.grad).all()


def test_uniformity_on_the_circle_is_its_closed_form():
    # Distinct pairs leave out each point's own potential of 1, which the integral holds.
    count = 1500
    expected = math.log(hyp0f1(1, 4.0)) - 4
    assert expected == pytest.approx(-1.575, abs=1e-3)
    whole = (math.exp(expected) * count - 1) / (count - 1)
    assert float(uniformity(even_circle(count))) == pytest.approx(math.log(whole), abs=1e-9)


def test_uniformity_of_many_points_on_the_sphere_nears_its_limit():
    points = torch.randn(3000, 8)
    assert float(uniformity(points)) == pytest.approx(math.log(hyp0f1(4, 4.0)) - 4, abs=0.01)


def test_uniformity_of_coinciding_rows_is_zero():
    assert float(uniformity(torch.ones(5, 3))) == pytest.approx(0, abs=1e-6)


def test_what_cannot_be_computed_is_refused():
    with pytest.raises(SettingError, match="alpha is 0"):
        alignment(torch.ones(2, 3), torch.ones(2, 3), alpha=0.0)
    with pytest.raises(SettingError, match="t is -1"):
        uniformity(torch.ones(2, 3), t=-1.0)
