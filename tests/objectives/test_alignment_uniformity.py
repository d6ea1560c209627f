"""Alignment and uniformity against slow loops, closed forms and their invariances."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import hyp0f1
from spheres import even_circle, random_rotation
from torch.utils._python_dispatch import TorchDispatchMode

from nearfar.errors import NearfarError, SettingError
from nearfar.objectives import alignment, uniformity
from nearfar.objectives import alignment_uniformity as module


def unit(row):
    return row / math.sqrt(float(row @ row))


def slow_alignment(first, second, alpha):
    distances = [
        math.dist(unit(x).tolist(), unit(y).tolist())
        for x, y in zip(first.double(), second.double(), strict=True)
    ]
    return sum(distance**alpha for distance in distances) / len(distances)


def slow_uniformity(rows, t):
    rows = [unit(row).tolist() for row in rows.double()]
    potentials = [
        math.exp(-t * math.dist(x, y) ** 2)
        for i, x in enumerate(rows)
        for j, y in enumerate(rows)
        if i != j
    ]
    return math.log(sum(potentials) / len(potentials))


def rows(count, dim, seed):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(count, dim, generator=generator, dtype=torch.float64)


@given(
    count=st.integers(1, 9),
    dim=st.integers(1, 6),
    alpha=st.floats(0.5, 4),
    seed=st.integers(0, 10**6),
)
def test_alignment_equals_the_slow_loop(count, dim, alpha, seed):
    first, second = rows(count, dim, seed), rows(count, dim, seed + 1)
    value = float(alignment(first, second, alpha=alpha))
    assert value == pytest.approx(slow_alignment(first, second, alpha), abs=1e-10)


@given(
    count=st.integers(2, 12),
    dim=st.integers(1, 6),
    t=st.floats(0.1, 8),
    seed=st.integers(0, 10**6),
)
def test_uniformity_equals_the_slow_loop(count, dim, t, seed):
    points = rows(count, dim, seed)
    assert float(uniformity(points, t=t)) == pytest.approx(slow_uniformity(points, t), abs=1e-9)


@pytest.mark.parametrize("count", [2, 4, 5, 13])
def test_uniformity_in_chunks_equals_uniformity_at_once(monkeypatch, count):
    points = rows(count, 3, 0)
    monkeypatch.setattr(module, "_ROWS_AT_ONCE", 4)
    assert float(uniformity(points)) == pytest.approx(slow_uniformity(points, 2.0), abs=1e-12)


def test_gradients_are_those_of_finite_differences():
    first, second = rows(5, 3, 0).requires_grad_(), rows(5, 3, 1).requires_grad_()
    assert torch.autograd.gradcheck(alignment, (first, second))
    assert torch.autograd.gradcheck(uniformity, (first,))


@given(seed=st.integers(0, 10**6), scale=st.floats(1e-3, 1e3))
def test_neither_changes_under_order_rotation_and_scale(seed, scale):
    first, second = rows(6, 5, seed), rows(6, 5, seed + 1)
    order, rotation = torch.randperm(6), random_rotation(5, seed)
    aligned, uniform = float(alignment(first, second)), float(uniformity(first))
    assert float(alignment(first[order], second[order])) == pytest.approx(aligned)
    assert float(alignment(first @ rotation, second @ rotation)) == pytest.approx(aligned)
    assert float(alignment(first, second * scale)) == pytest.approx(aligned)
    assert float(uniformity(first[order])) == pytest.approx(uniform)
    assert float(uniformity(first @ rotation)) == pytest.approx(uniform)
    assert float(uniformity(first * scale)) == pytest.approx(uniform)


def test_alignment_of_equal_and_of_opposite_views():
    points = rows(7, 4, 0)
    assert float(alignment(points, 3 * points)) == pytest.approx(0, abs=1e-12)
    assert float(alignment(points, -points, alpha=3.0)) == pytest.approx(8)


def test_alignment_of_equal_views_has_a_finite_gradient():
    points = rows(7, 4, 0).requires_grad_()
    alignment(points, points.detach(), alpha=1.0).backward()
    assert torch.isfinite(points.grad).all()


def test_uniformity_on_the_circle_is_its_closed_form():
    # Distinct pairs leave out each point's own potential of 1, which the integral holds.
    count = 1500
    expected = math.log(hyp0f1(1, 4.0)) - 4
    assert expected == pytest.approx(-1.575, abs=1e-3)
    whole = (math.exp(expected) * count - 1) / (count - 1)
    assert float(uniformity(even_circle(count))) == pytest.approx(math.log(whole), abs=1e-9)


def test_uniformity_of_coinciding_rows_is_zero():
    assert float(uniformity(torch.ones(5, 3))) == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_low_precision_gives_the_value_of_the_rounded_input(dtype):
    first, second = rows(64, 16, 0).to(dtype), rows(64, 16, 1).to(dtype)
    with torch.autocast("cpu", torch.bfloat16):
        aligned, uniform = alignment(first, second), uniformity(first)
    assert aligned.dtype == uniform.dtype == torch.float32
    assert float(aligned) == pytest.approx(float(alignment(first.double(), second.double())))
    assert float(uniform) == pytest.approx(float(uniformity(first.double())), rel=1e-5)


class LargestTensor(TorchDispatchMode):
    """Notes the number of elements of the largest tensor that any operation returns."""

    elements = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        result = func(*args, **(kwargs or {}))
        if isinstance(result, torch.Tensor):
            self.elements = max(self.elements, result.numel())
        return result


def test_uniformity_of_many_points_never_holds_their_matrix():
    points = torch.randn(3000, 8)
    with LargestTensor() as largest:
        value = float(uniformity(points))
    assert value == pytest.approx(math.log(hyp0f1(4, 4.0)) - 4, abs=0.01)
    assert 0 < largest.elements <= 512 * 3000


def test_a_bad_number_shows_in_the_value():
    points = rows(4, 3, 0)
    points[0, 0] = math.nan
    assert math.isnan(float(alignment(points, points)))
    assert math.isnan(float(uniformity(points)))


def test_what_cannot_be_computed_is_refused():
    with pytest.raises(NearfarError, match=r"uniformity .* batch of 2 or more, not 1"):
        uniformity(torch.ones(1, 3))
    with pytest.raises(SettingError, match="alpha is 0"):
        alignment(torch.ones(2, 3), torch.ones(2, 3), alpha=0.0)
    with pytest.raises(SettingError, match="t is -1"):
        uniformity(torch.ones(2, 3), t=-1.0)
