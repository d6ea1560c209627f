"""Gradients of gradients: by tiles as by the dense reference, whoever asks for them and how."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from test_logsumexp import KINDS, LargestTensor, numbers, pairs_of, rows, weighted
from torch import nn
from torch.func import grad, hessian, jacrev, jvp, vmap

from nearfar.errors import NearfarError
from nearfar.objectives import decoupled, nt_xent, sigmoid
from nearfar.similarity import second_derivatives, tiles
from nearfar.similarity.computing import computing
from nearfar.similarity.logsumexp import logsumexp, row_and_column_logsumexp, split_logsumexp
from nearfar.similarity.pairs import Pairs
from nearfar.similarity.softplus import softplus_sum

SUMS = ("rows", "biased rows", "rows and columns", "split", "softplus")


@pytest.fixture(autouse=True)
def _small_tiles_and_blocks(monkeypatch):
    """So small that few rows have several, whole and cut."""
    monkeypatch.setattr(tiles, "TILE", 8)
    monkeypatch.setattr(second_derivatives, "PAIRS_AT_ONCE", 40)


def both_derivatives(scalar, leaves):
    """The gradient, and the Hessian times some vector; zeros where a leaf has no part."""
    first = torch.autograd.grad(scalar, leaves, create_graph=True)
    along = [torch.linspace(-1, 2, x.numel(), dtype=x.dtype).view_as(x) for x in leaves]
    turned = sum((g * v).sum() for g, v in zip(first, along, strict=True))
    second = torch.autograd.grad(turned, leaves, allow_unused=True)
    zeros = [torch.zeros_like(x) for x in leaves]
    return [g.detach() for g in first], [
        z if s is None else s for s, z in zip(second, zeros, strict=True)
    ]


def assert_near(found, wanted, error):
    for one, other in zip(found, wanted, strict=True):
        size = max(1.0, float(other.abs().max()))
        assert float((one - other).abs().max()) < error * size


@settings(max_examples=40)
@given(
    kind=st.sampled_from(KINDS),
    n=st.integers(1, 20),
    m=st.integers(1, 20),
    length=st.sampled_from([1.0, 5.0, 25.0]),  # the last needs a shift for every row in float64
    symmetric=st.booleans(),
    sums=st.sampled_from(SUMS),
    curved=st.booleans(),
)
def test_tiles_equal_dense(kind, n, m, length, symmetric, sums, curved):
    symmetric = symmetric and sums != "softplus"
    queries = rows(n, length=length)
    keys = queries if symmetric else rows(m, seed=1)
    bias = torch.linspace(-1, 2, len(keys), dtype=torch.float64).requires_grad_()
    scale = torch.tensor(0.7, dtype=torch.float64, requires_grad=True)
    pairs = pairs_of(kind, n, len(keys), symmetric=symmetric)
    groups = numbers(n, 3, 5), numbers(n, 3, 5) if symmetric else numbers(m, 3, 6)
    leaves = [queries, scale, *([] if symmetric else [keys])]
    leaves += [bias] if sums == "biased rows" else []

    def outcome(implementation):
        with computing(implementation=implementation):
            if sums == "rows and columns":
                found = row_and_column_logsumexp(queries, keys, scale=scale, pairs=pairs)
            elif sums == "split":
                found = split_logsumexp(queries, keys, scale=scale, groups=groups, pairs=pairs)
            elif sums == "softplus":
                found = (softplus_sum(queries, keys, scale=scale, bias=bias[0], pairs=pairs),)
            else:
                added = bias if sums == "biased rows" else None
                found = (logsumexp(queries, keys, scale=scale, bias=added, pairs=pairs),)
        # Incoming gradients that are constants, and such that depend on the rows.
        return both_derivatives(
            weighted([(x / length).sin() for x in found] if curved else found), leaves
        )

    (first, second), (wanted_first, wanted_second) = outcome("tiles"), outcome("dense")
    # A weight exp(s − lse) is as exact as s; times s, once and twice more.
    steep = 1 + length * (length if symmetric else 1.0)
    assert_near(first, wanted_first, 1e-12 + 1e-15 * steep**2)
    assert_near(second, wanted_second, 1e-12 + 1e-15 * steep**3)


@pytest.mark.parametrize("implementation", ["dense", "tiles"])
def test_a_hessian_product_of_the_decoupled_loss_through_an_encoder(implementation):
    torch.manual_seed(0)
    encoder = nn.Linear(8, 4).double()
    first, second = torch.randn(2, 32, 8, dtype=torch.float64)
    bias, weights = encoder.bias.detach(), [encoder.weight]

    def gradient_of(weights, **keep):
        embedded = [view @ weights[0].T + bias for view in (first, second)]
        with computing(implementation=implementation):
            return torch.autograd.grad(decoupled(*embedded), weights, **keep)

    gradient = gradient_of(weights, create_graph=True)
    product = torch.autograd.grad(gradient[0].square().sum() / 2, weights)
    step = 1e-5
    ahead, back = (
        gradient_of([w + sign * step * g for w, g in zip(weights, gradient, strict=True)])
        for sign in (1, -1)
    )
    for found, one, other in zip(product, ahead, back, strict=True):
        torch.testing.assert_close(found, (one - other) / (2 * step), rtol=1e-5, atol=1e-5)
    # The case of the report by which wrong second derivatives (1088.62) were found.
    assert round(2 * float(product[0].norm()), 2) == 568.80


@pytest.mark.parametrize(
    "objective", [decoupled, lambda a, b: sigmoid(a, b, scale=10.0, bias=-3.0)]
)
def test_a_gradient_penalty_can_be_learned_from(objective):
    def after(implementation):
        torch.manual_seed(1)
        encoder = nn.Linear(6, 3, dtype=torch.float64)
        views = torch.randn(2, 9, 6, dtype=torch.float64).requires_grad_()
        with computing(implementation=implementation):
            loss = objective(encoder(views[0]), encoder(views[1]))
        (by_views,) = torch.autograd.grad(loss, views, create_graph=True)
        (loss + by_views.square().sum()).backward()
        return [parameter.grad for parameter in encoder.parameters()]

    torch.testing.assert_close(after("tiles"), after("dense"), rtol=1e-9, atol=1e-10)


def test_low_precision_products_stay_near():
    queries = rows(40, 16).detach().float().requires_grad_()

    def outcome(leaf, **how):
        with computing(**how):
            return both_derivatives(logsumexp(leaf, leaf, scale=5.0).sin().sum(), [leaf])[1][0]

    exact = outcome(queries.detach().double().requires_grad_(), implementation="dense")
    assert float((outcome(queries) - exact).norm() / exact.norm()) < 1e-5
    assert float((outcome(queries, products="bfloat16") - exact).norm() / exact.norm()) < 5e-2
    halved = queries.detach().bfloat16().requires_grad_()
    exact = outcome(halved.detach().double().requires_grad_(), implementation="dense")
    assert float((outcome(halved).double() - exact).norm() / exact.norm()) < 2e-2


def test_autocast_does_not_reach_in():
    queries = rows(12).detach().float().requires_grad_()
    plain = both_derivatives(logsumexp(queries, queries).sin().sum(), [queries])
    first = torch.autograd.grad(
        logsumexp(queries, queries).sin().sum(), queries, create_graph=True
    )[0]
    along = (first * torch.linspace(-1, 2, first.numel()).view_as(first)).sum()
    with torch.autocast("cpu", torch.bfloat16):
        (second,) = torch.autograd.grad(along, queries)
    torch.testing.assert_close(second, plain[1][0])


def test_a_row_with_nothing_left_has_no_second_derivative():
    queries = rows(5)
    numbers = torch.tensor([0, 0, 0, 0, 1])
    pairs = Pairs(together=(numbers, numbers), apart=(torch.arange(5), torch.arange(5)))
    found = logsumexp(queries, queries, pairs=pairs)
    assert found[4].item() == -math.inf
    _, (second,) = both_derivatives(found.exp().sum(), [queries])
    assert torch.isfinite(second).all()
    assert torch.equal(second[4], torch.zeros_like(second[4]))


@pytest.mark.parametrize("objective", [nt_xent, lambda a, b: sigmoid(a, b, scale=10.0, bias=-3.0)])
def test_a_third_derivative_is_refused_when_it_is_asked_for(objective):
    first, second = rows(6), rows(6, seed=1)
    (gradient,) = torch.autograd.grad(objective(first, second), first, create_graph=True)
    (curvature,) = torch.autograd.grad(gradient.square().sum(), first, create_graph=True)
    with pytest.raises(NearfarError, match="no third derivative: compute them densely"):
        torch.autograd.grad(curvature.sum(), first)
    with computing(implementation="dense"):
        (gradient,) = torch.autograd.grad(objective(first, second), first, create_graph=True)
    (curvature,) = torch.autograd.grad(gradient.square().sum(), first, create_graph=True)
    torch.autograd.grad(curvature.sum(), first)


@pytest.mark.parametrize("transform", [lambda f, x: jvp(f, (x,), (x,)), lambda f, x: hessian(f)(x)])
def test_forward_mode_is_refused_in_words(transform):
    first, second = rows(6).detach(), rows(6, seed=1).detach()
    for objective in (nt_xent, lambda a, b: sigmoid(a, b, scale=10.0, bias=-3.0)):
        with pytest.raises(NearfarError, match=r"no forward-mode derivative .* reverse mode"):
            transform(lambda x, objective=objective: objective(x, second), first)
        with computing(implementation="dense"):
            transform(lambda x, objective=objective: objective(x, second), first)


def test_hessians_by_reverse_mode_are_those_of_the_dense_reference():
    first, second = rows(5, 3).detach(), rows(5, 3, seed=1).detach()

    def loss(x):
        return nt_xent(x, second)

    with computing(implementation="dense"):
        wanted = hessian(loss)(first)
    torch.testing.assert_close(jacrev(jacrev(loss))(first), wanted)
    torch.testing.assert_close(torch.autograd.functional.hessian(loss, first), wanted)


def test_a_batch_of_gradients_keeps_each_examples_own_shift():
    # Of so different lengths that one shift would overflow or sink for the others.
    batches = torch.stack([rows(6, length=length).detach() for length in (900.0, 1.0, 60.0)])

    def total(x):
        return logsumexp(x, x).sum()

    found = vmap(grad(total))(batches)
    wanted = torch.stack([grad(total)(batch) for batch in batches])
    torch.testing.assert_close(found, wanted)
    assert torch.isfinite(found).all()


@pytest.mark.parametrize("symmetric", [True, False])
def test_no_tensor_grows_with_the_square_of_the_rows(monkeypatch, symmetric):
    count, dim = 100, 5
    monkeypatch.setattr(second_derivatives, "PAIRS_AT_ONCE", 5 * count)
    queries = rows(count, dim)
    keys = queries if symmetric else rows(count, dim, seed=1)
    with LargestTensor() as largest:
        both_derivatives(logsumexp(queries, keys, scale=2.0).sin().sum(), [queries])
    assert largest.values <= count * dim


def test_a_first_gradient_alone_keeps_no_graph_and_takes_no_second_product(monkeypatch):
    monkeypatch.setattr(tiles, "TILE", 512)
    queries = rows(20)
    products, multiply = [], torch.mm
    monkeypatch.setattr(torch, "mm", lambda *a, **k: products.append(1) or multiply(*a, **k))
    (gradient,) = torch.autograd.grad(logsumexp(queries, queries, scale=2.0).sum(), queries)
    assert not gradient.requires_grad
    # One tile's exponentials are kept from the forward pass.
    assert len(products) == 1
