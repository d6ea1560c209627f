"""Effective rank and spread against their equations, and where they must not break."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from nearfar.training.spectrum import effective_rank, spread


def slow_rank(rows):
    """Exp of the entropy of the shares of the singular values, one by one (Roy & Vetterli 2007)."""
    values = np.linalg.svd(rows, compute_uv=False)
    shares = [value / sum(values) for value in values]
    return math.exp(-sum(p * math.log(p) for p in shares if p > 0))


def slow_spread(rows):
    """Half the mean squared distance of all pairs of rows of length 1, each with itself too."""
    unit = [row / np.linalg.norm(row) for row in rows]
    pairs = [np.sum((a - b) ** 2) for a in unit for b in unit]
    return sum(pairs) / len(pairs) / 2


@given(st.integers(1, 12), st.integers(1, 12), st.integers(0, 10**6), st.floats(-6, 6))
def test_both_are_their_equations_at_any_scale(count, dim, seed, exponent):
    rows = np.random.default_rng(seed).normal(0.3, 1, (count, dim)) * 10**exponent
    given_rows = torch.from_numpy(rows)
    assert effective_rank(given_rows) == pytest.approx(slow_rank(rows), rel=1e-5)
    centred = rows - rows.mean(axis=0)
    if count > 1:
        assert effective_rank(given_rows, centred=True) == pytest.approx(
            slow_rank(centred), rel=1e-5
        )
    assert spread(given_rows) == pytest.approx(slow_spread(rows), rel=1e-9, abs=1e-15)


def test_the_ends_are_those_that_are_told():
    assert effective_rank(torch.eye(7)) == pytest.approx(7)
    assert effective_rank(torch.ones(9, 4)) == pytest.approx(1, abs=1e-6)
    assert effective_rank(torch.ones(9, 4), centred=True) == 0
    assert effective_rank(torch.zeros(3, 4)) == 0
    assert spread(torch.cat([torch.eye(5), -torch.eye(5)])) == pytest.approx(1)
    assert spread(torch.ones(9, 4)) == pytest.approx(0, abs=1e-12)
    assert spread(torch.zeros(3, 4)) == 0


def test_rows_that_differ_in_their_last_digits_are_told_apart():
    rows = torch.full((64, 8), 1e3, dtype=torch.float64)
    rows[:, 0] += torch.linspace(0, 1e-3, 64, dtype=torch.float64)
    assert 1e-15 < spread(rows) < 1e-13
    assert effective_rank(rows + 1e12, centred=True) > 0


@pytest.mark.parametrize("scale", [1e-30, 1e30])
def test_squares_neither_vanish_nor_overflow(scale):
    rows = torch.randn(20, 6, generator=torch.Generator().manual_seed(0))
    assert effective_rank(rows * scale) == pytest.approx(effective_rank(rows), rel=1e-4)
    assert spread(rows * scale) == pytest.approx(spread(rows), rel=1e-4)
