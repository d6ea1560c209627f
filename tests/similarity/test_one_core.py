"""Objectives whose rows are computed on one core: the same values, bits and derivatives."""

import threading
from importlib import import_module

import pytest
import torch
from cases.objectives import CASES
from torch.func import grad, jacrev

from nearfar.errors import NearfarError
from nearfar.objectives import info_nce, nt_xent, sigmoid
from nearfar.similarity import extremes, one_core, tiles
from nearfar.similarity.computing import computing
from nearfar.testing.objective_case import cast

ON_ALL_CORES = {"barlow_twins", "contrastive", "nce", "vicreg"}
"""Computed as torch computes them."""
WITHOUT_TILES = ON_ALL_CORES | {"alignment", "balanced_softmax", "byol", "triplet"}


def named(cases, left_out):
    return [case for case in cases if case.name.split()[0].strip(",") not in left_out]


every_case = pytest.mark.parametrize(
    "case", named(CASES, WITHOUT_TILES), ids=lambda case: case.name
)
every_objective = pytest.mark.parametrize(
    "case",
    [case for case in named(CASES, ON_ALL_CORES) if " " not in case.name],
    ids=lambda case: case.name,
)


@pytest.fixture(autouse=True)
def _three_threads(monkeypatch):
    """Of which even small tensors make use."""
    monkeypatch.setattr(tiles, "TILE", 8)
    monkeypatch.setattr(one_core, "SHARED_OUT_FROM", 0)
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    yield
    torch.set_num_threads(before)


def on_one_thread(compute):
    torch.set_num_threads(1)
    try:
        return compute()
    finally:
        torch.set_num_threads(3)


@every_case
def test_what_comes_before_and_after_the_tiles_has_one_core(case, monkeypatch):
    asked = []

    def seen(module, name):
        shared_out = getattr(module, name)

        def by_whom(*arguments):
            asked.append(torch.get_num_threads())
            return shared_out(*arguments)

        monkeypatch.setattr(module, name, by_whom)

    seen(tiles, "for_each")
    seen(extremes, "results_of")
    case.value_and_gradients(case.inputs(12, 4, 0))
    assert set(asked) == {1}


@every_objective
def test_value_and_gradients_have_the_bits_of_one_thread(case):
    inputs = cast(case.inputs(16, 6, 3), torch.float32)
    value, gradients = case.value_and_gradients(inputs)
    alone, exact = on_one_thread(lambda: case.value_and_gradients(inputs))
    assert torch.equal(value, alone)
    for found, wanted in zip(gradients, exact, strict=True):
        assert torch.equal(found, wanted)


@every_objective
def test_second_derivatives_are_those_of_one_thread(case):
    inputs = case.inputs(10, 4, 1)

    def product():
        held = [tensor.detach().clone() for tensor in inputs]
        leaves = [held[i].requires_grad_() for i in case.differentiable(inputs)]
        first = torch.autograd.grad(case(*held), leaves, create_graph=True)
        return first, torch.autograd.grad(sum(g.square().sum() for g in first), leaves)

    torch.testing.assert_close(product(), on_one_thread(product))


def test_second_derivatives_are_those_of_finite_differences():
    first, second = (torch.randn(6, 3, dtype=torch.float64, requires_grad=True) for _ in range(2))
    assert torch.autograd.gradgradcheck(nt_xent, (first, second), fast_mode=True)
    # The same tensor twice: what reaches it comes from both.
    assert torch.autograd.gradgradcheck(
        lambda rows: sigmoid(rows, rows, scale=2.0, bias=-1.0), (first,), fast_mode=True
    )
    assert torch.autograd.gradcheck(
        lambda rows: sigmoid(rows, rows, scale=2.0, bias=-1.0), (first,), fast_mode=True
    )


def test_torch_func_transforms_it():
    first, second = torch.randn(2, 12, 4, dtype=torch.float64)
    exact = on_one_thread(lambda: grad(nt_xent)(first, second))
    torch.testing.assert_close(grad(nt_xent)(first, second), exact)
    torch.testing.assert_close(jacrev(nt_xent)(first, second), exact)


def test_second_derivatives_are_computed_as_the_value_was(monkeypatch):
    asked, module = [], import_module("nearfar.similarity.logsumexp")
    sums = module.tiled_logsumexps
    monkeypatch.setattr(
        module, "tiled_logsumexps", lambda *given: asked.append(given[-1].products) or sums(*given)
    )
    first = torch.randn(12, 4, requires_grad=True)
    with computing(products="bfloat16"):
        loss = nt_xent(first, first.detach().roll(1, 0))
    torch.autograd.grad(loss, first, create_graph=True)
    assert asked == ["bfloat16"] * 2


def test_a_second_backward_pass_needs_the_graph_kept_as_ever():
    first = torch.randn(12, 4, requires_grad=True)
    loss = nt_xent(first, first.detach().roll(1, 0))
    loss.backward(retain_graph=True)
    once = first.grad.clone()
    loss.backward()
    torch.testing.assert_close(first.grad, 2 * once)
    with pytest.raises(RuntimeError, match="second time"):
        loss.backward()


def test_a_queue_may_change_before_the_backward_pass():
    queries, keys, queue = (torch.randn(12, 4, requires_grad=number == 0) for number in range(3))
    loss = info_nce(queries, keys, negatives=queue)
    (expected,) = torch.autograd.grad(loss, queries, retain_graph=True)
    queue[:4] = keys[:4]
    (found,) = torch.autograd.grad(loss, queries, retain_graph=True)
    assert torch.equal(found, expected)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        torch.autograd.grad(loss, queries, create_graph=True)  # which is computed from the start


def test_without_gradients_it_is_computed_so_too():
    first, second = torch.randn(12, 4, requires_grad=True), torch.randn(12, 4)
    expected = nt_xent(first, second)
    with torch.no_grad():
        assert torch.equal(nt_xent(first, second), expected)
    with torch.inference_mode():
        assert torch.equal(nt_xent(first, second), expected)
    assert not nt_xent(first.detach(), second).requires_grad


def test_what_an_objective_refuses_is_refused_in_its_words():
    with pytest.raises(NearfarError, match="batch of 2 or more, not 1"):
        nt_xent(torch.randn(1, 4), torch.randn(1, 4))


def test_small_tensors_and_the_dense_reference_are_computed_as_ever(monkeypatch):
    cores, module = [], import_module("nearfar.objectives.nt_xent")
    unit_rows = module.unit_rows
    monkeypatch.setattr(
        module, "unit_rows", lambda rows: cores.append(torch.get_num_threads()) or unit_rows(rows)
    )
    first, second = torch.randn(2, 12, 4)
    nt_xent(first, second)
    with computing(implementation="dense"):
        nt_xent(first, second)
    monkeypatch.setattr(one_core, "SHARED_OUT_FROM", 97)
    nt_xent(first, second)
    assert cores == [1, 3, 3]


def test_tiles_are_computed_by_all_threads(monkeypatch):
    at_once = threading.Barrier(3, timeout=30)
    seen, similarities = set(), tiles.TiledMatrix.similarities

    def met(matrix, tile):
        if len(seen) < 3:
            seen.add(threading.current_thread())
            at_once.wait()
        return similarities(matrix, tile)

    monkeypatch.setattr(tiles.TiledMatrix, "similarities", met)
    nt_xent(torch.randn(24, 4), torch.randn(24, 4))
    assert len(seen) == 3
