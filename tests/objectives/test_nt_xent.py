"""NT-Xent against a slow loop in float64, its invariances, and the precisions it meets."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from spheres import random_rotation

from nearfar.errors import NearfarError, SettingError
from nearfar.objectives import nt_xent


def slow_nt_xent(first, second, temperature):
    """The equation, one term at a time."""
    rows = [row / math.sqrt(float(row @ row)) for row in torch.cat((first, second)).double()]
    batch = len(rows) // 2
    total = 0.0
    for i, anchor in enumerate(rows):
        positive = rows[(i + batch) % (2 * batch)]
        candidates = [float(anchor @ rows[j]) / temperature for j in range(2 * batch) if j != i]
        largest = max(candidates)
        lse = largest + math.log(sum(math.exp(s - largest) for s in candidates))
        total += lse - float(anchor @ positive) / temperature
    return total / (2 * batch)


def views(batch, dim, seed, dtype=torch.float64, noise=0.5):
    generator = torch.Generator().manual_seed(seed)
    first = torch.randn(batch, dim, generator=generator, dtype=torch.float64)
    second = first + noise * torch.randn(batch, dim, generator=generator, dtype=torch.float64)
    return first.to(dtype), second.to(dtype)


@given(
    batch=st.integers(2, 9),
    dim=st.integers(1, 12),
    temperature=st.floats(0.01, 10),
    seed=st.integers(0, 10**6),
)
def test_equals_the_slow_loop(batch, dim, temperature, seed):
    first, second = views(batch, dim, seed)
    value = nt_xent(first, second, temperature=temperature)
    assert value.dtype == torch.float64
    assert float(value) == pytest.approx(slow_nt_xent(first, second, temperature), abs=1e-9)


@pytest.mark.parametrize("temperature", [0.05, 0.5, 2.0])
def test_gradient_is_that_of_finite_differences(temperature):
    first, second = (view.requires_grad_() for view in views(4, 3, 1))
    assert torch.autograd.gradcheck(
        lambda a, b: nt_xent(a, b, temperature=temperature), (first, second)
    )


@given(seed=st.integers(0, 10**6), scale=st.floats(1e-3, 1e3))
def test_does_not_change_under_order_rotation_scale_and_swapped_views(seed, scale):
    first, second = views(6, 5, seed)
    value = float(nt_xent(first, second))
    order = torch.randperm(6)
    rotation = random_rotation(5, seed)
    assert float(nt_xent(first[order], second[order])) == pytest.approx(value)
    assert float(nt_xent(first @ rotation, second @ rotation)) == pytest.approx(value)
    assert float(nt_xent(first * scale, second)) == pytest.approx(value)
    assert float(nt_xent(second, first)) == pytest.approx(value)


def test_the_pairing_matters():
    first, second = views(6, 5, 0)
    assert nt_xent(first, second.roll(1, dims=0)) > nt_xent(first, second) + 0.1


def test_equal_rows_give_the_logarithm_of_the_number_of_candidates():
    rows = torch.ones(8, 4, dtype=torch.float64)
    assert float(nt_xent(rows, rows, temperature=0.1)) == pytest.approx(math.log(15))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("temperature", [0.01, 0.1, 0.5])
@pytest.mark.parametrize("noise", [0.5, 3.0])  # views that are nearly told apart, and that are not
def test_low_precision_gives_value_and_gradient_of_the_rounded_input(dtype, temperature, noise):
    first, second = views(32, 16, 3, dtype, noise)
    low = [view.clone().requires_grad_() for view in (first, second)]
    exact = [view.double().requires_grad_() for view in (first, second)]
    value = nt_xent(*low, temperature=temperature)
    expected = nt_xent(*exact, temperature=temperature)
    assert value.dtype == torch.float32
    assert value.item() == pytest.approx(expected.item(), rel=1e-4)
    value.backward()
    expected.backward()
    tolerance = {torch.float32: 1e-4, torch.bfloat16: 8e-3, torch.float16: 2e-3}[dtype]
    for ours, theirs in zip(low, exact, strict=True):
        worst = (ours.grad.double() - theirs.grad).abs().max()
        # float16 has no number between 0 and 6e-8.
        granule = 6e-8 if dtype == torch.float16 else 0
        assert worst <= tolerance * theirs.grad.abs().max() + granule


def test_autocast_does_not_lower_the_precision():
    first, second = views(32, 16, 4, torch.float32)
    expected = float(nt_xent(first, second, temperature=0.01))
    with torch.autocast("cpu", torch.bfloat16):
        value = nt_xent(first, second, temperature=0.01)
    assert float(value) == pytest.approx(expected, rel=1e-6)


def test_perfectly_separated_views_at_a_small_temperature_stay_finite():
    first = torch.eye(16, requires_grad=True)
    loss = nt_xent(first, torch.eye(16), temperature=0.01)
    loss.backward()
    assert loss.item() == pytest.approx(30 * math.exp(-100), rel=1e-4)
    assert torch.isfinite(first.grad).all()


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_bad_number_shows_in_the_loss(bad):
    first, second = views(4, 3, 0)
    first[2, 1] = bad
    assert math.isnan(float(nt_xent(first, second)))


def test_a_batch_of_one_is_refused():
    with pytest.raises(NearfarError, match="batch of 2 or more, not 1"):
        nt_xent(torch.ones(1, 3), torch.ones(1, 3))


@pytest.mark.parametrize("temperature", [0.0, -0.5, math.nan, math.inf])
def test_an_impossible_temperature_is_refused(temperature):
    with pytest.raises(SettingError, match=r"temperature is .*: it must be a number above 0"):
        nt_xent(torch.ones(2, 3), torch.ones(2, 3), temperature=temperature)
