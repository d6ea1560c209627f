import torch
from hypothesis import given
from hypothesis import strategies as st

from nearfar.methods.embedding_scalars import nearest_is_of_own_group


@given(seed=st.integers(0, 2**31), n=st.integers(2, 20), groups=st.integers(1, 6))
def test_it_is_the_share_found_row_by_row(seed, n, groups):
    generator = torch.Generator().manual_seed(seed)
    rows = torch.randn(n, 4, generator=generator) * torch.rand(n, 1, generator=generator).exp()
    numbers = torch.randint(groups, (n,), generator=generator)
    unit = (rows.double() / rows.double().norm(dim=1, keepdim=True)).tolist()
    hits = 0
    for i in range(n):
        cosines = {
            j: sum(a * b for a, b in zip(unit[i], unit[j], strict=True)) for j in range(n) if j != i
        }
        nearest = max(cosines, key=lambda j: cosines[j])
        hits += int(numbers[nearest] == numbers[i])
    assert abs(float(nearest_is_of_own_group(rows, numbers)) - hits / n) < 1e-6


def test_the_length_of_a_row_says_nothing():
    rows = torch.tensor([[1.0, 0.0], [0.9, 0.1], [0.0, 100.0], [5.0, 90.0]])
    assert float(nearest_is_of_own_group(rows, torch.tensor([0, 0, 1, 1]))) == 1
    assert float(nearest_is_of_own_group(rows, torch.tensor([0, 1, 0, 1]))) == 0
