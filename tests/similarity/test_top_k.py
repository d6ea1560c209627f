"""The streaming top-k against float64, with data that a first look in few bits gets wrong."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn.functional import normalize

from nearfar.errors import SettingError
from nearfar.similarity import rounded_rows, screening, top_k
from nearfar.similarity.screening import Screen
from nearfar.similarity.top_k import Bank


def assert_nearest(similarities, indices, exact, k, tolerance=2e-6):
    """The k largest, up to the order of what float32 cannot tell apart."""
    expected = -np.sort(-exact, axis=1)[:, :k]
    np.testing.assert_allclose(similarities.numpy(), expected, atol=tolerance)
    found = np.take_along_axis(exact, indices.numpy(), axis=1)
    np.testing.assert_allclose(found, expected, atol=tolerance)
    assert all(len(set(row)) == k for row in indices.tolist())
    assert (similarities.diff(dim=1) <= 0).all()


def exact(queries, bank):
    return (queries.double() @ bank.double().T).numpy()


@given(
    bank=st.integers(1, 60),
    queries=st.integers(0, 9),
    dim=st.integers(1, 5),
    k=st.integers(1, 80),
    query_block=st.integers(1, 5),
    bank_block=st.integers(1, 70),
    repeated=st.booleans(),
)
def test_every_size_of_block_gives_brute_force(
    bank, queries, dim, k, query_block, bank_block, repeated
):
    generator = torch.Generator().manual_seed(bank * 1000 + queries * 100 + dim)
    rows = torch.randn(bank, dim, generator=generator)
    if repeated:
        rows = rows[torch.arange(bank) // 3]
    asked = torch.randn(queries, dim, generator=generator)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(top_k, "QUERY_BLOCK", query_block)
        patch.setattr(top_k, "BANK_BLOCK", bank_block)
        patch.setattr(top_k, "SCREENED_BANK_BLOCK", bank_block)
        similarities, indices = Bank(rows).top_k(asked, k)
    assert similarities.shape == indices.shape == (queries, min(k, bank))
    assert_nearest(similarities, indices, exact(asked, rows), min(k, bank))


def crowded(count, dim, spread, seed):
    """Ten clusters of unit rows, as tight as `spread` is small."""
    generator = torch.Generator().manual_seed(seed)
    centres = torch.randn(10, dim, generator=torch.Generator().manual_seed(99))
    noise = torch.randn(count, dim, generator=generator)
    return normalize(centres[torch.arange(count) % 10] + spread * noise, dim=1)


@pytest.mark.parametrize("numbers", ["bfloat16", "int8", None])
@pytest.mark.parametrize("spread", [10.0, 0.3, 0.01])
@pytest.mark.parametrize("bank_block", [1400, 4096])
def test_screening_changes_nothing(monkeypatch, numbers, spread, bank_block):
    monkeypatch.setattr(top_k, "fast_few_bits", lambda device: numbers)
    monkeypatch.setattr(top_k, "BANK_BLOCK", bank_block)
    monkeypatch.setattr(top_k, "SCREENED_BANK_BLOCK", bank_block)
    monkeypatch.setattr(top_k, "QUERY_BLOCK", 16)
    bank, asked = crowded(4001, 48, spread, 1), crowded(50, 48, spread, 2)
    similarities, indices = Bank(bank).top_k(asked, 20)
    assert_nearest(similarities, indices, exact(asked, bank), 20)


def drawn(kind: str, generator: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
    """A bank of 480 rows and 9 queries, of a kind that rounds badly."""
    rows = torch.randn(480, 12, generator=generator)
    asked = torch.randn(9, 12, generator=generator)
    if kind == "far from zero":
        start = 30 * torch.randn(12, generator=generator)
        return start + 0.01 * rows, start + 0.01 * asked
    if kind == "heavy tails":
        return rows**5, asked**5
    if kind == "clusters of all widths":
        centres = torch.randn(7, 12, generator=generator)
        which = torch.randint(7, (480,), generator=generator)
        widths = 10.0 ** -torch.arange(7.0)
        return centres[which] + widths[which, None] * rows, centres + 1e-3 * asked[:7]
    if kind == "repeated":
        return rows[torch.arange(480) // 60], rows[:9]
    # Half a step of bfloat16 up or down, as the query's sign has it: all roundings add up.
    query = asked[:1].bfloat16().float()
    grid = torch.where(query < 0, -1.0, 1.0) * rows.abs().bfloat16().float()
    up = torch.rand(480, 1, generator=generator) < 0.5
    step = grid.abs() * 2.0**-8 * 0.49 * query.sign()
    grid = grid + torch.where(up, step, -step)
    return torch.cat((grid[:240], -grid[:240])), query


KINDS = ("far from zero", "heavy tails", "clusters of all widths", "repeated", "half steps")


NUMBERS = ("bfloat16", "int8")


@given(
    kind=st.sampled_from(KINDS),
    numbers=st.sampled_from(NUMBERS),
    k=st.integers(1, 7),
    seed=st.integers(0, 10**6),
)
def test_what_the_screen_is_certain_of_is_exact(kind, numbers, k, seed):
    bank, asked = drawn(kind, torch.Generator().manual_seed(seed))
    floor = torch.full((len(asked),), -torch.inf)
    similarities, indices, certain = Screen(bank, numbers).search(asked, k, floor)
    reach = float(asked.norm(dim=1).max() * bank.norm(dim=1).max())
    assert_nearest(
        similarities[certain],
        indices[certain],
        exact(asked[certain], bank),
        k,
        tolerance=max(1.0, reach) * 2e-6,
    )


@given(
    kind=st.sampled_from(KINDS),
    numbers=st.sampled_from(NUMBERS),
    part=st.sampled_from([100, 8192]),
    seed=st.integers(0, 10**6),
)
def test_no_row_exceeds_its_bound(kind, numbers, part, seed):
    bank, asked = drawn(kind, torch.Generator().manual_seed(seed))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(screening, "PART", part)
        patch.setattr(rounded_rows, "PRODUCT_BLOCK", part // 3)
        screen = Screen(bank, numbers)
    look = screen._look(asked, torch.full((len(asked),), -torch.inf))
    truth = asked.double() @ bank.double().T
    for number, part_ in enumerate(screen.parts):
        rows = screen.rows[part_.columns]
        real = rows >= 0
        found = look.held[:, part_.columns][:, real].double()
        off = (found + look.add[:, [number]].double() - truth[:, rows[real]]).abs()
        bound = look.error[:, [number]].double() + found.abs() * 2.0**-8
        assert (off <= bound * (1 + 1e-5)).all()
    assert sorted(screen.rows[screen.rows >= 0].tolist()) == list(range(480))


@given(k=st.integers(1, 7), seed=st.integers(0, 10**6))
def test_the_rounding_of_the_products_counts_too(k, seed):
    # Whole numbers that bfloat16 holds, and sums of them that it does not: steps of 16 at 2500.
    generator = torch.Generator().manual_seed(seed)
    rows = torch.randint(13, 16, (240, 12), generator=generator).float()
    asked = torch.randint(13, 16, (9, 12), generator=generator).float()
    bank = torch.cat((rows, -rows))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(screening, "SHARE_LEFT", 0.0)  # one centre, which is exactly 0
        screen = Screen(bank, "bfloat16")
    assert not screen.parts[0].centre.any()
    similarities, _, certain = screen.search(asked, k, torch.full((9,), -torch.inf))
    wanted = torch.from_numpy(exact(asked, bank)).float().topk(k).values
    assert torch.equal(similarities[certain], wanted[certain])


@pytest.mark.parametrize("numbers", NUMBERS)
def test_a_floor_leaves_out_what_is_not_above_it(numbers):
    bank, asked = crowded(640, 16, 1.0, 1), crowded(5, 16, 1.0, 2)
    truth = torch.from_numpy(exact(asked, bank)).float()
    floor = truth.sort(dim=1, descending=True).values[:, 4] - 1e-4
    similarities, _, certain = Screen(bank, numbers).search(asked, 10, floor)
    assert certain.all()
    np.testing.assert_allclose(similarities[:, :5], truth.topk(5).values, atol=1e-6)


@pytest.mark.parametrize("numbers", NUMBERS)
@pytest.mark.parametrize("spread", [None, 1.0, 0.02])
def test_the_screen_answers_most_queries(spread, numbers):
    if spread is None:
        bank, asked = normalize(torch.randn(6000, 64), dim=1), normalize(torch.randn(40, 64), dim=1)
    else:
        bank, asked = crowded(6000, 64, spread, 1), crowded(40, 64, spread, 2)
    screen = Screen(bank, numbers)
    assert len(screen.parts) == 1 if spread is None else len(screen.parts) >= 10
    _, _, certain = screen.search(asked, 20, torch.full((40,), -torch.inf))
    assert certain.float().mean() > 0.9


def test_a_bank_that_bfloat16_cannot_tell_apart_is_searched_in_float32(monkeypatch):
    monkeypatch.setattr(top_k, "fast_few_bits", lambda device: "bfloat16")
    monkeypatch.setattr(screening, "FLOAT32_ROUNDING", 10.0)  # the screen is certain of nothing
    monkeypatch.setattr(top_k, "QUERY_BLOCK", 16)
    bank, asked = crowded(2000, 16, 1.0, 1), crowded(40, 16, 1.0, 2)
    similarities, indices = Bank(bank).top_k(asked, 10)
    assert_nearest(similarities, indices, exact(asked, bank), 10)


def test_impossible_settings_are_refused():
    with pytest.raises(SettingError, match="k must be 1 or more"):
        Bank(torch.randn(4, 3)).top_k(torch.randn(1, 3), 0)
    with pytest.raises(SettingError, match="empty"):
        Bank(torch.empty(0, 3))
