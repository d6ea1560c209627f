"""Sums of softplus against a loop, finite differences and the dense reference."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from nearfar.similarity import tiles
from nearfar.similarity.computing import computing
from nearfar.similarity.pairs import Pairs
from nearfar.similarity.softplus import softplus_sum


@pytest.fixture(autouse=True)
def _small_tiles(monkeypatch):
    monkeypatch.setattr(tiles, "TILE", 8)


def drawn(count: int, dim: int, seed: int) -> torch.Tensor:
    return torch.randn(
        count, dim, dtype=torch.float64, generator=torch.Generator().manual_seed(seed)
    )


def by_loop(queries, keys, scale, bias, skip) -> list[float]:
    """`Σ_j log(1 + e^{scale · q_i · k_j + bias})`, one pair at a time."""
    found = []
    for i, query in enumerate(queries.tolist()):
        total = 0.0
        for j, key in enumerate(keys.tolist()):
            if (i, j) not in skip:
                exponent = scale * sum(a * b for a, b in zip(query, key, strict=True)) + bias
                total += max(exponent, 0.0) + math.log1p(math.exp(-abs(exponent)))
        found.append(total)
    return found


@pytest.mark.parametrize("implementation", ["tiles", "dense"])
@given(
    n=st.integers(1, 20),
    m=st.integers(1, 20),
    scale=st.floats(0.1, 50.0),
    bias=st.floats(-20.0, 20.0),
    without_pair=st.booleans(),
)
def test_the_value_is_the_equation(implementation, n, m, scale, bias, without_pair):
    queries, keys = drawn(n, 3, 0), drawn(m, 3, 1)
    pairs = Pairs(apart=(torch.arange(n), torch.arange(m))) if without_pair else Pairs()
    skip = {(i, i) for i in range(n)} if without_pair else set()
    with computing(implementation=implementation):
        found = softplus_sum(queries, keys, scale=scale, bias=bias, pairs=pairs)
    wanted = torch.tensor(by_loop(queries, keys, scale, bias, skip), dtype=torch.float64)
    torch.testing.assert_close(found, wanted, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("implementation", ["tiles", "dense"])
def test_gradients_of_everything_are_those_of_finite_differences(implementation):
    queries, keys = drawn(11, 3, 0).requires_grad_(), drawn(9, 3, 1).requires_grad_()
    scale = torch.tensor(3.0, dtype=torch.float64, requires_grad=True)
    bias = torch.tensor(-1.5, dtype=torch.float64, requires_grad=True)
    pairs = Pairs(apart=(torch.arange(11), torch.arange(9)))

    def sums(queries, keys, scale, bias):
        return softplus_sum(queries, keys, scale=scale, bias=bias, pairs=pairs)

    with computing(implementation=implementation):
        assert torch.autograd.gradcheck(sums, (queries, keys, scale, bias))


def test_half_precision_accumulates_in_float32():
    queries, keys = drawn(30, 8, 0).bfloat16(), drawn(20, 8, 1).bfloat16()
    found = softplus_sum(queries, keys, scale=2.0, bias=-3.0)
    assert found.dtype == torch.float32
    wanted = softplus_sum(queries.double(), keys.double(), scale=2.0, bias=-3.0)
    torch.testing.assert_close(found.double(), wanted, rtol=1e-5, atol=1e-5)


def test_what_is_not_finite_shows():
    queries = drawn(4, 3, 0)
    queries[1, 0] = math.nan
    assert softplus_sum(queries, drawn(5, 3, 1)).isnan().tolist() == [False, True, False, False]
