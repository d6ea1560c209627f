"""What holds for every objective of the table of cases."""

import pytest
import torch
from cases.objectives import CASES
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.func import grad_and_value, jacrev, vmap

from nearfar.errors import NearfarError
from nearfar.similarity import second_derivatives, tiles
from nearfar.testing.objectives import (
    cast,
    checks_of,
    equals_the_slow_loop,
    ignores_lengths,
    ignores_rotation,
    ignores_the_order,
    keeps_precision,
)

every_case = pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
SHARP = [case for case in CASES if case.sharp is not None]
REFUSED = [(case, *refused) for case in CASES for refused in case.refused]
ASKED = [(case, check) for case in CASES for _, check in checks_of(case, ranks=False)]
ASKED_IN_WORDS = [
    f"{case.name}: {words}" for case in CASES for words, _ in checks_of(case, ranks=False)
]
LOW = {torch.float32: 2e-5, torch.bfloat16: 8e-3, torch.float16: 2e-3}
"""Allowed error of a gradient, relative to its largest entry: the rounding of the gradient itself
in half precision, of the computation in float32."""

each_precision = pytest.mark.parametrize("dtype", LOW)


@every_case
@settings(max_examples=12)
@given(extra=st.integers(0, 6), dim=st.integers(1, 8), seed=st.integers(0, 10**6))
def test_equals_the_slow_loop(case, extra, dim, seed):
    equals_the_slow_loop(case, batch=case.smallest_batch + extra, dim=dim, seed=seed)


@pytest.mark.parametrize("case", SHARP, ids=lambda case: case.name)
@settings(max_examples=6)
@given(seed=st.integers(0, 10**6))
def test_equals_the_slow_loop_at_a_low_temperature(case, seed):
    equals_the_slow_loop(case.at_low_temperature(), batch=6, dim=5, seed=seed)


@pytest.mark.parametrize(("case", "check"), ASKED, ids=ASKED_IN_WORDS)
def test_it_keeps_what_the_objectives_of_other_packages_are_asked_for(case, check):
    check(case)


@every_case
def test_second_derivatives_are_those_of_finite_differences(case, monkeypatch):
    monkeypatch.setattr(tiles, "TILE", 4)
    monkeypatch.setattr(second_derivatives, "PAIRS_AT_ONCE", 24)
    inputs = case.inputs(5, 3, 1)
    for i in case.differentiable(inputs):
        inputs[i].requires_grad_()
    assert torch.autograd.gradgradcheck(case, inputs, fast_mode=True)


@pytest.mark.parametrize("case", SHARP, ids=lambda case: case.name)
def test_second_derivatives_at_a_low_temperature_are_those_of_float64(case):
    case = case.at_low_temperature()

    def product(inputs):
        held = [tensor.detach().clone() for tensor in inputs]
        leaves = [held[i].requires_grad_() for i in case.differentiable(inputs)]
        first = torch.autograd.grad(case(*held), leaves, create_graph=True)
        return torch.autograd.grad(sum(g.square().sum() for g in first), leaves)

    inputs = cast(case.inputs(16, 8, 4), torch.float32)
    found, exact = product(inputs), product(cast(inputs, torch.float64))
    largest = max(theirs.abs().max() for theirs in exact)
    for ours, theirs in zip(found, exact, strict=True):
        assert (ours.double() - theirs).abs().max() <= 1e-3 * largest


@every_case
def test_torch_func_gives_the_gradients_of_autograd(case):
    # Two batches that have common inputs and labels in common.
    inputs, others = case.inputs(5, 3, 1), case.inputs(5, 3, 2)
    wanted = case.differentiable(inputs)
    batches = [
        inputs,
        tuple(y if i in wanted else x for i, (x, y) in enumerate(zip(inputs, others, strict=True))),
    ]

    def of(*leaves):
        held = list(inputs)
        for i, leaf in zip(wanted, leaves, strict=True):
            held[i] = leaf
        return case(*held)

    places = tuple(range(len(wanted)))
    stacked = [torch.stack([batch[i] for batch in batches]) for i in wanted]
    gradients, values = vmap(grad_and_value(of, argnums=places))(*stacked)
    for number, batch in enumerate(batches):
        value, expected = case.value_and_gradients(batch)
        torch.testing.assert_close(values[number], value)
        for found, gradient in zip(gradients, expected, strict=True):
            torch.testing.assert_close(found[number], gradient)
    rows_of_one = jacrev(of, argnums=places)(*(batches[0][i] for i in wanted))
    torch.testing.assert_close(rows_of_one, tuple(each[0] for each in gradients))


@every_case
@settings(max_examples=5)
@given(seed=st.integers(0, 10**6))
def test_does_not_change_with_the_order_of_the_examples(case, seed):
    ignores_the_order(case, seed)


@pytest.mark.parametrize("case", [c for c in CASES if c.rotated], ids=lambda case: case.name)
@settings(max_examples=5)
@given(seed=st.integers(0, 10**6))
def test_does_not_change_under_rotation(case, seed):
    ignores_rotation(case, seed)


@pytest.mark.parametrize("case", [c for c in CASES if c.scaled], ids=lambda case: case.name)
@settings(max_examples=5)
@given(seed=st.integers(0, 10**6))
def test_does_not_change_with_the_length_of_a_row(case, seed):
    ignores_lengths(case, seed)


@pytest.mark.parametrize("case", [c for c in CASES if c.scaled], ids=lambda case: case.name)
@pytest.mark.parametrize("times", [1e20, 1e37, 1e-20, 1e-37])
def test_rows_of_any_length_count(case, times):
    inputs = cast(case.inputs(8, 4, 6), torch.float32)
    long = tuple(x * times if i in case.scaled else x for i, x in enumerate(inputs))
    exact = cast(long, torch.float64)
    assert case(*long).item() == pytest.approx(case(*exact).item(), rel=2e-5, abs=2e-5)


@every_case
@pytest.mark.parametrize("default", [torch.float64, torch.bfloat16])
def test_the_default_type_of_torch_does_not_matter(case, default):
    inputs = cast(case.inputs(8, 4, 6), torch.float32)
    expected, exact = case.value_and_gradients(inputs)
    before = torch.get_default_dtype()
    torch.set_default_dtype(default)
    try:
        value, gradients = case.value_and_gradients(inputs)
    finally:
        torch.set_default_dtype(before)
    assert value.dtype == expected.dtype
    torch.testing.assert_close(value, expected)
    torch.testing.assert_close(gradients, exact)


@every_case
@pytest.mark.parametrize("first", [torch.float32, torch.float64])
def test_inputs_of_two_float_types_meet(case, first):
    inputs = case.inputs(8, 4, 6)
    other = torch.float64 if first == torch.float32 else torch.float32
    mixed = (*cast(inputs[:1], first), *cast(inputs[1:], other))
    assert case(*mixed).item() == pytest.approx(case(*inputs).item(), rel=1e-4, abs=1e-5)


@every_case
@pytest.mark.parametrize("dtype", [torch.uint8, torch.uint16, torch.uint32, torch.uint64])
def test_unsigned_integers_are_integers(case, dtype):
    inputs = case.inputs(6, 4, 0)
    unsigned = tuple(x if x.is_floating_point() else x.to(dtype) for x in inputs)
    assert torch.equal(case(*unsigned), case(*inputs))


@every_case
@each_precision
def test_low_precision_gives_value_and_gradient_of_the_rounded_input(case, dtype):
    assert case(*cast(case.inputs(6, 4, 0), dtype)).dtype == torch.float32
    keeps_precision(case, dtype, 1e-5, LOW[dtype])


@pytest.mark.parametrize("case", SHARP, ids=lambda case: case.name)
@each_precision
def test_a_low_temperature_stays_finite_and_right(case, dtype):
    # 0.01 takes two digits: similarities of float32 are good to 1e-7, exponents then to 1e-5.
    keeps_precision(case.at_low_temperature(), dtype, 1e-4, max(LOW[dtype], 2e-4))


@every_case
def test_autocast_does_not_lower_the_precision(case):
    inputs = cast(case.inputs(32, 16, 5), torch.float32)
    expected, exact = case.value_and_gradients(inputs)
    value, gradients = case.value_and_gradients(inputs, autocast=True)
    assert value.dtype == torch.float32
    assert value.item() == pytest.approx(expected.item(), rel=1e-6)
    for ours, theirs in zip(gradients, exact, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize(
    ("case", "inputs", "words"), REFUSED, ids=[f"{case.name}: {told}" for case, _, told in REFUSED]
)
def test_what_has_no_value_is_refused(case, inputs, words):
    with pytest.raises(NearfarError, match=words):
        case(*inputs)
