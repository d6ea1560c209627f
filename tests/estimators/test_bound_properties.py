"""What holds for every bound, whichever way its scores are held."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.estimators.bound_cases import CASES, drawn
from torch.func import grad

from nearfar.estimators.scores import ScoreMatrix, SeparableScores
from nearfar.testing.objectives import LargestTensor

every_case = pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)


def value_and_gradients(case, queries, keys, log_baseline, hold):
    """The value and the gradients of inputs held in either way."""
    inputs = [tensor.detach().clone().requires_grad_() for tensor in (queries, keys, log_baseline)]
    first, second, baseline = inputs
    scores = (
        SeparableScores(first, second) if hold == "separable" else ScoreMatrix(first @ second.T)
    )
    value = case.bound(scores, baseline)
    gradients = torch.autograd.grad(value, inputs, allow_unused=True)
    return value.detach(), [g for g in gradients if g is not None]


@every_case
@settings(max_examples=10)
@given(n=st.integers(2, 8), dim=st.integers(1, 4), seed=st.integers(0, 10**6))
def test_equals_the_slow_loop_either_way(case, n, dim, seed):
    queries, keys, log_baseline = drawn(n, dim, seed)
    matrix = queries @ keys.T
    expected = case.slow(matrix.tolist(), log_baseline.tolist())
    for scores in (SeparableScores(queries, keys), ScoreMatrix(matrix)):
        value = case.bound(scores, log_baseline)
        assert value.shape == ()
        assert value.dtype == torch.float64
        assert value.item() == pytest.approx(expected, rel=1e-9, abs=1e-10)


@every_case
def test_gradients_are_those_of_finite_differences(case):
    inputs = [tensor.requires_grad_() for tensor in drawn(5, 2, 1)]
    assert torch.autograd.gradcheck(lambda q, k, b: case.bound(ScoreMatrix(q @ k.T), b), inputs)


@every_case
def test_second_derivatives_are_those_of_finite_differences(case):
    inputs = [tensor.requires_grad_() for tensor in drawn(5, 2, 1)]
    for hold in (lambda q, k: ScoreMatrix(q @ k.T), SeparableScores):
        assert torch.autograd.gradgradcheck(
            lambda q, k, b, hold=hold: case.bound(hold(q, k), b), inputs, fast_mode=True
        )


@every_case
def test_torch_func_gives_the_gradients_of_autograd(case):
    inputs = drawn(5, 2, 1)
    _, expected = value_and_gradients(case, *inputs, "separable")
    found = grad(lambda q, k, b: case.bound(SeparableScores(q, k), b), argnums=(0, 1, 2))(*inputs)
    torch.testing.assert_close(list(found)[: len(expected)], expected)


@every_case
def test_separable_scores_have_the_gradient_of_their_matrix(case):
    inputs = drawn(300, 6, 2)
    value, gradients = value_and_gradients(case, *inputs, "separable")
    expected, exact = value_and_gradients(case, *inputs, "matrix")
    torch.testing.assert_close(value, expected, rtol=1e-10, atol=1e-10)
    torch.testing.assert_close(gradients, exact, rtol=1e-8, atol=1e-10)


@every_case
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_low_precision_is_computed_in_full(case, dtype):
    inputs = [tensor.to(dtype) for tensor in drawn(32, 3, 3)]
    exact_inputs = [tensor.double() for tensor in inputs]
    value, gradients = value_and_gradients(case, *inputs, "separable")
    expected, exact = value_and_gradients(case, *exact_inputs, "separable")
    assert value.dtype == torch.float32
    assert value.item() == pytest.approx(expected.item(), rel=2e-5, abs=2e-5)
    error = 2e-4 if dtype == torch.float32 else 8e-3
    for ours, theirs in zip(gradients, exact, strict=True):
        assert (ours.double() - theirs).abs().max() <= error * theirs.abs().max()


@every_case
def test_does_not_change_with_the_order_of_the_pairs(case):
    queries, keys, log_baseline = drawn(9, 3, 4)
    order = torch.randperm(9)
    value = case.bound(SeparableScores(queries, keys), log_baseline)
    moved = case.bound(SeparableScores(queries[order], keys[order]), log_baseline[order])
    assert moved.item() == pytest.approx(value.item(), rel=1e-10)


@every_case
@pytest.mark.parametrize("bad", [math.nan, math.inf])
@pytest.mark.parametrize("place", [(1, 1), (1, 3)], ids=["true pair", "other pair"])
def test_a_bad_score_shows_in_the_value(case, bad, place):
    matrix = torch.zeros(5, 5, dtype=torch.float64)
    matrix[place] = bad
    assert case.bound(ScoreMatrix(matrix), torch.zeros(5).double()).isnan()
    queries, keys, log_baseline = drawn(5, 2, 5)
    queries[place[0], 0] = bad
    assert case.bound(SeparableScores(queries, keys), log_baseline).isnan()


@every_case
def test_equal_scores_tell_nothing(case):
    # A critic that knows nothing finds nothing, given the best constant; JS is − log 4 there.
    constant = 1.0 if case.name == "nwj" else 0.0
    scores = ScoreMatrix(torch.full((6, 6), constant, dtype=torch.float64))
    expected = -math.log(4) if case.name == "jensen_shannon" else 0.0
    assert case.bound(scores, torch.zeros(6).double()).item() == pytest.approx(expected, abs=1e-12)


@every_case
def test_two_pairs_are_enough(case):
    queries, keys, log_baseline = drawn(2, 3, 6)
    value, gradients = value_and_gradients(case, queries, keys, log_baseline, "separable")
    expected = case.slow((queries @ keys.T).tolist(), log_baseline.tolist())
    assert value.item() == pytest.approx(expected, rel=1e-9, abs=1e-10)
    assert all(torch.isfinite(gradient).all() for gradient in gradients)


@every_case
def test_no_tensor_grows_with_the_square_of_the_pairs(case):
    queries, keys, log_baseline = (tensor.float() for tensor in drawn(3000, 2, 7))
    with LargestTensor() as largest:
        value_and_gradients(case, queries, keys, log_baseline, "separable")
    assert 0 < largest.elements <= 3000**2 / 8
