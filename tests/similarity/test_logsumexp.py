"""Tiles against the dense reference, and the reference against loops over the equation."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from nearfar.similarity import tiles
from nearfar.similarity.computing import computing, computing_now
from nearfar.similarity.logsumexp import logsumexp, row_and_column_logsumexp, split_logsumexp
from nearfar.similarity.pairs import Pairs

IMPLEMENTATIONS = ("dense", "tiles")


@pytest.fixture(autouse=True)
def _small_tiles(monkeypatch):
    """Tiles of 8, so that small matrices have several, whole and cut."""
    monkeypatch.setattr(tiles, "TILE", 8)


def rows(count: int, dim: int = 5, *, length: float = 1.0, seed: int = 0) -> torch.Tensor:
    drawn = torch.randn(
        count, dim, dtype=torch.float64, generator=torch.Generator().manual_seed(seed)
    )
    return (length * torch.nn.functional.normalize(drawn, dim=1)).requires_grad_()


def numbers(count: int, classes: int, seed: int) -> torch.Tensor:
    return torch.randint(classes, (count,), generator=torch.Generator().manual_seed(seed))


def pairs_of(kind: str, n: int, m: int, *, symmetric: bool) -> Pairs:
    """One of the kinds of pairs that objectives ask for."""
    labels = numbers(n, 3, 1)
    others = labels if symmetric else numbers(m, 3, 2)
    allowed = torch.rand(n, m, generator=torch.Generator().manual_seed(3)) > 0.4
    if symmetric:
        allowed = allowed & allowed.T
    ids = (torch.arange(n), torch.arange(m))
    return {
        "all": Pairs(),
        "not self": Pairs(apart=ids),
        "not the pair": Pairs(apart=(torch.arange(n) % 4, torch.arange(m) % 4)),
        "other labels": Pairs(apart=(labels, others)),
        "same label, not self": Pairs(together=(labels, others), apart=ids),
        "mask": Pairs(mask=lambda queries, keys: allowed[queries, keys]),
    }[kind]


KINDS = ("all", "not self", "not the pair", "other labels", "same label, not self", "mask")


def by_loop(queries, keys, scale, bias, pairs: Pairs) -> list[float]:
    """`log Σ_j exp(scale · q_i · k_j + bias_j)` as it is written, one pair at a time."""
    found = []
    for i, query in enumerate(queries.tolist()):
        total = 0.0
        for j, key in enumerate(keys.tolist()):
            out = pairs.left_out(slice(i, i + 1), slice(j, j + 1), torch.device("cpu"))
            if out is None or not out.item():
                dot = sum(a * b for a, b in zip(query, key, strict=True))
                total += math.exp(scale * dot + (0.0 if bias is None else bias[j].item()))
        found.append(math.log(total) if total else -math.inf)
    return found


@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("n", "m"), [(1, 1), (5, 9), (20, 17)])
def test_the_value_is_the_equation(implementation, kind, n, m):
    queries, keys, bias = rows(n), rows(m, seed=1), torch.linspace(-2, 1, m, dtype=torch.float64)
    pairs = pairs_of(kind, n, m, symmetric=False)
    with computing(implementation=implementation):
        found = logsumexp(queries, keys, scale=3.0, bias=bias, pairs=pairs)
    expected = torch.tensor(by_loop(queries, keys, 3.0, bias, pairs), dtype=torch.float64)
    torch.testing.assert_close(found.detach(), expected, rtol=1e-12, atol=1e-12)


def weighted(outputs, seed: int = 7) -> torch.Tensor:
    """A scalar that weighs every finite output differently; empty rows take no part."""
    total = torch.zeros((), dtype=torch.float64)
    for number, output in enumerate(outputs):
        generator = torch.Generator().manual_seed(seed + number)
        weight = torch.randn(len(output), generator=generator, dtype=torch.float64)
        total = total + (torch.where(output.isfinite(), output, 0.0) * weight).sum()
    return total


@given(
    st.sampled_from(KINDS),
    st.integers(1, 20),
    st.integers(1, 20),
    st.sampled_from([1.0, 200.0, 2000.0]),  # the last needs a shift for every row in float64
    st.booleans(),
    st.sampled_from(["rows", "biased rows", "rows and columns", "split"]),
)
def test_tiles_equal_dense_in_value_and_gradient(kind, n, m, length, symmetric, sums):
    columns, biased, split = sums == "rows and columns", sums == "biased rows", sums == "split"
    queries = rows(n, length=length)
    keys = queries if symmetric else rows(m, seed=1)
    bias = torch.linspace(-1, 2, len(keys), dtype=torch.float64).requires_grad_()
    pairs = pairs_of(kind, n, len(keys), symmetric=symmetric)
    inputs = [queries, *([] if symmetric else [keys]), *([bias] if biased else [])]

    def outcome(implementation):
        with computing(implementation=implementation):
            if columns:
                found = row_and_column_logsumexp(queries, keys, scale=0.7, pairs=pairs)
            elif split:
                groups = numbers(n, 3, 5), numbers(n, 3, 5) if symmetric else numbers(m, 3, 6)
                found = split_logsumexp(queries, keys, scale=0.7, groups=groups, pairs=pairs)
            else:
                added = bias if biased else None
                found = (logsumexp(queries, keys, scale=0.7, bias=added, pairs=pairs),)
        gradients = torch.autograd.grad(weighted(found), inputs, allow_unused=True)
        return found, [torch.zeros(()) if g is None else g for g in gradients]

    (values, gradients), (expected, expected_gradients) = outcome("tiles"), outcome("dense")
    for value, wanted in zip(values, expected, strict=True):
        torch.testing.assert_close(value, wanted, rtol=1e-12, atol=1e-10)
    # A weight exp(s − lse) is as exact as s, whose rounding grows with its size.
    rounding = 1e-15 * (1 + length * (length if symmetric else 1.0))
    for gradient, wanted in zip(gradients, expected_gradients, strict=True):
        size = max(1.0, float(wanted.abs().max()))
        assert float((gradient - wanted).abs().max()) < (1e-12 + 10 * rounding) * size


@pytest.mark.parametrize("length", [1.0, 800.0])
@pytest.mark.parametrize("kind", ["all", "not self", "same label, not self"])
def test_gradcheck(kind, length, monkeypatch):
    # Few numbers, as each is moved by itself; so few rows have tiles of 2, whole and cut.
    monkeypatch.setattr(tiles, "TILE", 4)
    n, m, dim = 5, 4, 3
    pairs = pairs_of(kind, n, m, symmetric=False)
    queries, keys = rows(n, dim, length=length), rows(m, dim, seed=1)
    bias = torch.linspace(-1, 1, m, dtype=torch.float64).requires_grad_()

    def of_rectangle(queries, keys, bias):
        found = logsumexp(queries, keys, bias=bias, pairs=pairs)
        return torch.where(found.isfinite(), found, 0.0)

    # Similarities of 800 are steep: a smaller step keeps the difference quotient straight.
    step = 1e-6 / length**0.5
    assert torch.autograd.gradcheck(of_rectangle, (queries, keys, bias), eps=step, rtol=1e-3)
    square = pairs_of(kind, n, n, symmetric=True)

    def of_square(queries):
        found = logsumexp(queries, queries, pairs=square)
        return torch.where(found.isfinite(), found, 0.0)

    assert torch.autograd.gradcheck(of_square, (queries.detach().requires_grad_(),), eps=step)


@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
def test_a_learned_scale_gets_its_gradient(implementation):
    keys = rows(9, seed=1)
    queries = rows(6)
    scale = torch.tensor(2.5, dtype=torch.float64, requires_grad=True)

    def of_both(scale):
        return logsumexp(queries, keys, scale=scale)

    def of_itself(scale):
        return logsumexp(queries, queries, scale=scale)

    with computing(implementation=implementation):
        assert torch.autograd.gradcheck(of_both, (scale,))
        assert torch.autograd.gradcheck(of_itself, (scale,))


@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
def test_a_row_with_nothing_left_is_minus_infinity_without_gradient(implementation):
    queries = rows(3)
    only_itself = Pairs(apart=(torch.zeros(3, dtype=torch.int64),) * 2)
    with computing(implementation=implementation):
        found = logsumexp(queries, queries, pairs=only_itself)
    assert found.tolist() == [-math.inf] * 3
    (gradient,) = torch.autograd.grad(torch.logaddexp(found, torch.zeros(3)).sum(), queries)
    assert torch.equal(gradient, torch.zeros_like(gradient))


@pytest.mark.parametrize("temperature", [0.5, 0.05, 0.01])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_half_precision_accumulates_in_float32(temperature, dtype):
    queries = rows(40, 32).detach().to(dtype).requires_grad_()
    pairs = pairs_of("not self", 40, 40, symmetric=True)
    found = logsumexp(queries, queries, scale=1 / temperature, pairs=pairs)
    assert found.dtype == torch.float32
    exact = queries.detach().double().requires_grad_()
    with computing(implementation="dense"):
        wanted = logsumexp(exact, exact, scale=1 / temperature, pairs=pairs)
    torch.testing.assert_close(found.double(), wanted, rtol=3e-6, atol=3e-6)
    (gradient,) = torch.autograd.grad(found.mean(), queries)
    (wanted_gradient,) = torch.autograd.grad(wanted.mean(), exact)
    error = (gradient.double() - wanted_gradient).norm() / wanted_gradient.norm()
    assert error < {torch.float32: 1e-4, torch.bfloat16: 5e-3, torch.float16: 5e-4}[dtype]


def test_autocast_does_not_reach_in():
    queries = rows(12).detach().float()
    plain = logsumexp(queries, queries)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(logsumexp(queries, queries), plain)


@pytest.mark.parametrize("scale", [1.0, 1000.0])
@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
def test_what_is_not_finite_shows(implementation, scale):
    queries = rows(12).detach()
    queries[3, 0] = math.nan
    with computing(implementation=implementation):
        assert logsumexp(queries, queries, scale=scale).isnan().all()


def test_similarities_of_a_thousand_neither_overflow_nor_sink():
    queries = torch.eye(20) * 40  # float32: a similarity of 1600 to itself, 0 to all others
    found = logsumexp(queries, queries)
    torch.testing.assert_close(found, torch.full((20,), 1600.0))
    others = logsumexp(queries, queries, pairs=Pairs(apart=(torch.arange(20),) * 2))
    torch.testing.assert_close(others, torch.full((20,), math.log(19)))


def test_bfloat16_products_are_near_and_leave_no_trace(monkeypatch):
    monkeypatch.setattr(tiles, "TILE", 512)
    queries = rows(512, 64).detach().float().requires_grad_()
    exact = logsumexp(queries, queries, scale=2.0)
    (exact_gradient,) = torch.autograd.grad(exact.sum(), queries)
    before = torch.backends.mkldnn.matmul.fp32_precision
    with computing(products="bfloat16"):
        near = logsumexp(queries, queries, scale=2.0)
    assert torch.backends.mkldnn.matmul.fp32_precision == before
    (gradient,) = torch.autograd.grad(near.sum(), queries)
    assert torch.backends.mkldnn.matmul.fp32_precision == before
    torch.testing.assert_close(near, exact, rtol=0, atol=2e-2)
    error = float((gradient - exact_gradient).norm() / exact_gradient.norm())
    assert error < 1e-2


@pytest.mark.skipif(
    not (torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()),
    reason="this processor multiplies bfloat16 no faster, and torch keeps float32",
)
def test_bfloat16_products_reach_the_backward_pass_outside_of_the_context(monkeypatch):
    monkeypatch.setattr(tiles, "TILE", 512)  # the smallest products always stay in float32
    queries = rows(512, 64).detach().float().requires_grad_()
    with computing(products="bfloat16"):
        near = logsumexp(queries, queries, scale=2.0)
        (inside,) = torch.autograd.grad(near.sum(), queries, retain_graph=True)
    (outside,) = torch.autograd.grad(near.sum(), queries)
    (exact,) = torch.autograd.grad(logsumexp(queries, queries, scale=2.0).sum(), queries)
    assert torch.equal(inside, outside)
    assert not torch.equal(inside, exact)


def test_what_is_left_out_of_computing_stays_as_it_was():
    with computing(implementation="dense"), computing(products="bfloat16"):
        assert computing_now().implementation == "dense"
        assert computing_now().products == "bfloat16"
    assert computing_now().implementation is None
    assert computing_now().products == "float32"


def test_only_asked_for_gradients_are_computed():
    queries, keys = rows(9), rows(7, seed=1).detach()
    logsumexp(queries, keys).sum().backward()
    assert keys.grad is None
    assert queries.grad is not None
    queries, keys = queries.detach(), keys.requires_grad_()
    logsumexp(queries, keys).sum().backward()
    (wanted,) = torch.autograd.grad((queries @ keys.T).logsumexp(1).sum(), keys)
    torch.testing.assert_close(keys.grad, wanted)


def test_most_tiles_of_a_row_and_itself_need_no_mask():
    ids = torch.arange(40).repeat(2)
    touched = Pairs(apart=(ids, ids)).touched_tiles(8, 80, 80)
    # 40 rows are 5 tiles: a tile meets itself and the one of the other view.
    assert torch.equal(touched, torch.eye(5, dtype=torch.bool).repeat(2, 2))
    assert not Pairs().touched_tiles(8, 80, 80).any()
    assert Pairs(apart=(torch.zeros(80, dtype=torch.int64),) * 2).touched_tiles(8, 80, 80).all()


class LargestTensor(TorchDispatchMode):
    """Notes the most values that any operation within it gave."""

    values = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        given = func(*args, **(kwargs or {}))
        for tensor in tree_leaves(given):
            if isinstance(tensor, torch.Tensor):
                self.values = max(self.values, tensor.untyped_storage().nbytes() // 8)
        return given


@pytest.mark.parametrize("symmetric", [True, False])
def test_no_tensor_grows_with_the_square_of_the_rows(symmetric):
    count, dim = 160, 5
    queries = rows(count, dim)
    keys = queries if symmetric else rows(count, dim, seed=1)
    pairs = pairs_of("not self", count, count, symmetric=symmetric)
    with LargestTensor() as largest:
        logsumexp(queries, keys, scale=2.0, pairs=pairs).sum().backward()
    assert largest.values <= count * dim
    with LargestTensor() as largest, computing(implementation="dense"):
        logsumexp(queries, keys, scale=2.0, pairs=pairs).sum().backward()
    assert largest.values >= count**2  # so that the measure is seen to measure


@pytest.mark.parametrize("tile", [8, 512])  # many tiles, and one whose exponentials are kept
def test_the_backward_pass_can_come_twice(monkeypatch, tile):
    monkeypatch.setattr(tiles, "TILE", tile)
    queries = rows(20)
    found = logsumexp(queries, queries, scale=2.0, pairs=Pairs(apart=(torch.arange(20),) * 2))
    weight = torch.linspace(0, 1, 20, dtype=torch.float64)
    (once,) = torch.autograd.grad((found * weight).sum(), queries, retain_graph=True)
    (again,) = torch.autograd.grad((found * weight).sum(), queries)
    assert torch.equal(once, again)
    with computing(implementation="dense"):
        exact = logsumexp(queries, queries, scale=2.0, pairs=Pairs(apart=(torch.arange(20),) * 2))
    (wanted,) = torch.autograd.grad((exact * weight).sum(), queries)
    torch.testing.assert_close(once, wanted)


@given(
    st.lists(st.integers(-5, 30), min_size=1, max_size=60),
    st.lists(st.integers(-5, 30), min_size=1, max_size=60),
)
def test_no_tile_that_holds_a_pair_to_leave_out_is_missed(queries, keys):
    found = Pairs(apart=(torch.tensor(queries), torch.tensor(keys))).touched_tiles(
        8, len(queries), len(keys)
    )
    for i, query in enumerate(queries):
        for j, key in enumerate(keys):
            assert query != key or found[i // 8, j // 8]


def test_triton_falls_back_to_the_tiles_with_a_reason():
    queries = rows(20)
    with computing(implementation="triton"), pytest.warns(UserWarning, match="by tiles: .*float64"):
        found = logsumexp(queries, queries)
    assert torch.equal(found, logsumexp(queries, queries))


def test_tiles_in_which_nothing_takes_part_are_not_computed(monkeypatch):
    labels = torch.arange(40) // 8  # in order: five classes, a tile each
    found = Pairs(together=(labels, labels)).empty_tiles(8, 40, 40)
    assert torch.equal(found, ~torch.eye(5, dtype=torch.bool))
    assert not Pairs(apart=(labels, labels)).empty_tiles(8, 40, 40).any()
    queries, keys = rows(40), rows(40, seed=1)
    products = []
    multiply = torch.mm
    monkeypatch.setattr(torch, "mm", lambda *a, **k: products.append(1) or multiply(*a, **k))
    logsumexp(queries, keys, pairs=Pairs(together=(labels, labels)))
    assert len(products) == 5
