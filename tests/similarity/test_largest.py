"""The k largest of every row against torch's own."""

import torch
from hypothesis import given
from hypothesis import strategies as st

from nearfar.similarity.largest import largest

DTYPES = [torch.bfloat16, torch.float32, torch.float64]


@given(
    rows=st.integers(0, 4),
    columns=st.integers(1, 400),
    k=st.integers(1, 30),
    distinct=st.integers(1, 50),
    dtype=st.sampled_from(DTYPES),
)
def test_largest_is_topk(rows, columns, k, distinct, dtype):
    k = min(k, columns)
    generator = torch.Generator().manual_seed(columns)
    values = torch.randint(distinct, (rows, columns), generator=generator).to(dtype)
    before = values.clone()
    top, where = largest(values, k)
    assert torch.equal(top, values.topk(k, dim=1).values)
    assert torch.equal(values.gather(1, where), top)
    assert all(len(set(row)) == k for row in where.tolist())
    assert torch.equal(values, before)


def test_minus_infinity_comes_last():
    values = torch.full((2, 300), -torch.inf)
    values[:, 200] = 1
    top, where = largest(values, 3)
    assert top.tolist() == [[1, -torch.inf, -torch.inf]] * 2
    assert where[:, 0].tolist() == [200, 200]
