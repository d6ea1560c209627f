"""What is special to alignment and uniformity: closed forms."""

import math

import pytest
import torch
from scipy.special import hyp0f1

from nearfar.errors import SettingError
from nearfar.objectives import (
    align_uniform,
    alignment,
    contrast_align_uniform,
    nt_xent,
    uniformity,
)
from nearfar.testing import rows, views


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


def test_each_term_alone_falls_out_of_the_weighted_sum_to_the_bit():
    first, second = (each.float() for each in views(2)(9, 5, 0))
    spread = (uniformity(first, t=3.0) + uniformity(second, t=3.0)) / 2
    alone = {
        "contrast_weight": nt_xent(first, second, temperature=0.3),
        "align_weight": alignment(first, second, alpha=3.0),
        "uniform_weight": spread,
    }
    for name, expected in alone.items():
        weights = dict.fromkeys(alone, 0.0) | {name: 0.7}
        found = contrast_align_uniform(first, second, **weights, temperature=0.3, alpha=3.0, t=3.0)
        assert torch.equal(found, 0.7 * expected), name
    both = contrast_align_uniform(first, second, contrast_weight=0.0, align_weight=0.98)
    assert torch.equal(both, align_uniform(first, second, align_weight=0.98))
    # As it was computed before a term could be left out.
    sum_of_both = 0.98 * alignment(first, second) + 0.96 * (
        (uniformity(first) + uniformity(second)) / 2
    )
    found = align_uniform(first, second, align_weight=0.98, uniform_weight=0.96)
    assert torch.equal(found, sum_of_both)


def test_a_term_of_weight_0_spoils_no_gradient():
    point = torch.ones(3, 2, requires_grad=True)
    # Where views coincide the gradient of ‖x − y‖^½ is infinite, and 0 · ∞ would be NaN.
    align_uniform(point, point.detach(), align_weight=0.0, alpha=0.5).backward()
    assert torch.isfinite(point.grad).all()


def test_weights_that_are_all_0_leave_nothing():
    first, second = views(2)(4, 3, 0)
    for objective in (align_uniform, contrast_align_uniform):
        none = {"align_weight": 0.0, "uniform_weight": 0.0}
        if objective is contrast_align_uniform:
            none["contrast_weight"] = 0.0
        with pytest.raises(SettingError, match="are all 0: nothing is left to learn from"):
            objective(first, second, **none)
    with pytest.raises(SettingError, match="contrast_weight is -1"):
        contrast_align_uniform(first, second, contrast_weight=-1.0)
    with pytest.raises(SettingError, match="temperature is 0"):
        contrast_align_uniform(first, second, contrast_weight=0.0, temperature=0.0)
