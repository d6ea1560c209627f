"""Streaming extremes against loops over all pairs in float64."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from nearfar.similarity import extremes, tiles
from nearfar.similarity.extremes import hardest, semi_hard
from nearfar.similarity.pairs import Pairs


@pytest.fixture(autouse=True)
def _small_tiles(monkeypatch):
    """Tiles of 8, so that small matrices have several, whole and cut."""
    monkeypatch.setattr(tiles, "TILE", 8)
    monkeypatch.setattr(extremes, "SORTED", 100)


def whole(count: int, dim: int, seed: int, *, reach: int = 2) -> torch.Tensor:
    """Rows of small whole numbers: products are exact in any type, and many are equal."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(-reach, reach + 1, (count, dim), generator=generator).double()


def pairs_of(kind: str, n: int, m: int, seed: int) -> Pairs:
    generator = torch.Generator().manual_seed(seed)
    labels = torch.randint(3, (max(n, m),), generator=generator)
    ids = (torch.arange(n), torch.arange(m))
    allowed = torch.rand(max(n, m), max(n, m), generator=generator) > 0.5
    allowed = allowed | allowed.T
    return {
        "all": Pairs(),
        "not self": Pairs(apart=ids),
        "other labels": Pairs(apart=(labels[:n], labels[:m])),
        "same label, not self": Pairs(together=(labels[:n], labels[:m]), apart=ids),
        "mask": Pairs(mask=lambda queries, keys: allowed[:n, :m][queries, keys]),
        "none": Pairs(apart=(torch.zeros(n, dtype=torch.int64), torch.zeros(m).long())),
    }[kind]


KINDS = ("all", "not self", "other labels", "same label, not self", "mask", "none")


def by_loop(queries, keys, pairs, largest):
    """The first of the best keys, one pair at a time."""
    values, indices = [], []
    for i, query in enumerate(queries.tolist()):
        best, where = -math.inf if largest else math.inf, -1
        for j, key in enumerate(keys.tolist()):
            out = pairs.left_out(slice(i, i + 1), slice(j, j + 1), torch.device("cpu"))
            if out is not None and out.item():
                continue
            dot = sum(a * b for a, b in zip(query, key, strict=True))
            if dot > best if largest else dot < best:
                best, where = dot, j
        values.append(best)
        indices.append(where)
    return values, indices


@given(
    kind=st.sampled_from(KINDS),
    n=st.integers(1, 30),
    m=st.integers(1, 30),
    symmetric=st.booleans(),
    largest=st.booleans(),
    dtype=st.sampled_from([torch.float64, torch.float32, torch.bfloat16]),
    seed=st.integers(0, 1000),
)
def test_hardest_is_the_first_of_the_best(kind, n, m, symmetric, largest, dtype, seed):
    queries = whole(n, 3, seed).to(dtype)
    keys = queries if symmetric else whole(m, 3, seed + 1).to(dtype)
    pairs = pairs_of(kind, n, len(keys), seed)
    values, indices = hardest(queries, keys, pairs=pairs, largest=largest)
    expected, where = by_loop(queries, keys, pairs, largest)
    assert values.dtype == (torch.float64 if dtype == torch.float64 else torch.float32)
    assert values.tolist() == expected
    assert indices.tolist() == where


@pytest.mark.parametrize("largest", [True, False])
def test_real_numbers_in_several_whole_tiles(largest):
    rows = torch.randn(1100, 16)
    ids = torch.arange(1100)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tiles, "TILE", 512)
        values, indices = hardest(rows, rows, pairs=Pairs(apart=(ids, ids)), largest=largest)
    dense = rows.double() @ rows.double().T
    dense.fill_diagonal_(-math.inf if largest else math.inf)
    wanted = dense.amax(1) if largest else dense.amin(1)
    torch.testing.assert_close(values.double(), wanted, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(dense[ids, indices], wanted, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("symmetric", [True, False])
@pytest.mark.parametrize("largest", [True, False])
def test_what_is_no_number_shows_at_its_first_key(symmetric, largest):
    keys = whole(20, 3, 0)
    queries = keys if symmetric else keys.clone()
    keys[11, 1] = keys[17, 0] = math.nan
    values, indices = hardest(queries, keys, largest=largest)
    assert values.isnan().all()
    expected = torch.full((20,), 11)
    if symmetric:
        expected[[11, 17]] = 0
    assert indices.tolist() == expected.tolist()


def test_no_rows_or_no_keys():
    some, none = torch.ones(3, 2), torch.ones(0, 2)
    assert hardest(none, some, largest=True)[0].shape == (0,)
    assert hardest(none, none, largest=True)[1].shape == (0,)
    values, indices = hardest(some, none, largest=False)
    assert values.tolist() == [math.inf] * 3
    assert indices.tolist() == [-1] * 3


def test_extremes_carry_no_gradient():
    rows = torch.randn(5, 3, requires_grad=True)
    assert not hardest(rows, rows, largest=True)[0].requires_grad


def semi_hard_by_loop(rows, labels):
    """Schroff's choice: similarities of anchor, positive and the negative wanted."""
    similarities, labels, found = (rows @ rows.T).tolist(), labels.tolist(), []
    for a, line in enumerate(similarities):
        negatives = [s for s, label in zip(line, labels, strict=True) if label != labels[a]]
        for p in range(len(labels)):
            if p != a and labels[p] == labels[a]:
                farther = [s for s in negatives if s < line[p]]
                choice = max(farther) if farther else min(negatives) if negatives else None
                found.append((a, p, choice))
    return found


@given(
    n=st.integers(1, 25),
    classes=st.integers(1, 6),
    exact=st.booleans(),
    seed=st.integers(0, 1000),
)
def test_semi_hard_is_schroffs_choice(n, classes, exact, seed):
    generator = torch.Generator().manual_seed(seed)
    rows = torch.randn(n, 3, generator=generator).double() if exact else whole(n, 3, seed)
    labels = torch.randint(classes, (n,), generator=generator)
    anchors, positives, negatives = semi_hard(rows, labels)
    similarities = rows @ rows.T
    wanted = semi_hard_by_loop(rows, labels)
    assert [(a, p) for a, p, _ in wanted] == list(
        zip(anchors.tolist(), positives.tolist(), strict=True)
    )
    for a, negative, (_, _, choice) in zip(anchors, negatives, wanted, strict=True):
        if choice is None:
            assert negative == -1
        else:
            assert labels[negative] != labels[a]
            assert similarities[a, negative].item() == pytest.approx(choice, abs=1e-12)


def test_semi_hard_of_half_precision_and_of_nothing():
    rows = whole(12, 3, 4)
    labels = torch.arange(12) % 3
    wanted = semi_hard(rows, labels)
    found = semi_hard(rows.bfloat16(), labels)
    assert torch.equal(found[0], wanted[0])
    similarities = rows @ rows.T
    assert torch.equal(similarities[found[0], found[2]], similarities[wanted[0], wanted[2]])
    assert [len(part) for part in semi_hard(torch.ones(0, 2), labels[:0])] == [0, 0, 0]


def test_semi_hard_survives_what_is_no_number():
    rows, labels = whole(12, 3, 4), torch.arange(12) % 3
    rows[5] = math.nan
    anchors, _, negatives = semi_hard(rows, labels)
    assert ((negatives >= 0) & (labels[negatives] != labels[anchors])).all()
