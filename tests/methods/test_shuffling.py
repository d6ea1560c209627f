"""Rows pass in the company of others, and come back in their own order."""

import pytest
import torch
from torch import nn

from nearfar.methods.batch_norm import (
    encoded_as_keys,
    encoded_in_random_order,
    normalises_in_groups,
    split_batch_norm,
)
from nearfar.testing import run_on_ranks

COUNTS = {2: (4, 4), 3: (5, 2, 6)}


def images() -> torch.Tensor:
    return torch.arange(13.0)[:, None] * torch.tensor([1.0, 10.0])


def on_a_rank(rank: int, world: int) -> tuple:
    torch.manual_seed(100 + rank)
    seen = []

    def encode(rows):
        seen.append(rows[:, 0].tolist())
        return rows * 2

    own = images()[: sum(COUNTS[world])].split(COUNTS[world])[rank]
    encoded = [encoded_in_random_order(encode, own) for _ in range(3)]
    torch.manual_seed(100 + rank)
    for _ in range(3):
        torch.randperm(sum(COUNTS[world]))
    expected_state = torch.get_rng_state()
    torch.manual_seed(100 + rank)
    encoded_in_random_order(encode, own)
    encoded_in_random_order(encode, own)
    encoded_in_random_order(encode, own)
    return own, encoded, seen, torch.equal(torch.get_rng_state(), expected_state)


@pytest.mark.parametrize("world", [2, 3])
def test_ranks_encode_random_shares_of_all_images_and_get_their_own_back(tmp_path, world):
    found = run_on_ranks(world, on_a_rank, tmp_path)
    everyone = images()[: sum(COUNTS[world]), 0].tolist()
    for own, encoded, seen, drew_alike in found:
        assert all(torch.equal(rows, own * 2) for rows in encoded)
        assert drew_alike
        # Repeated with the same state of the generator: the same company.
        assert seen[:3] == seen[3:]
    for call in range(3):
        shares = [seen[call] for _, _, seen, _ in found]
        assert [len(share) for share in shares] == list(COUNTS[world])
        passed = [image for share in shares for image in share]
        assert sorted(passed) == everyone
        assert passed != everyone
    assert any(set(found[0][2][call]) != set(found[0][0][:, 0].tolist()) for call in range(3))
    assert found[0][2][0] != found[0][2][1]


def test_alone_the_rows_pass_in_random_order_and_come_back_in_theirs():
    seen = []

    def encode(rows):
        seen.append(rows[:, 0].tolist())
        return rows.cumsum(dim=0)

    encoded = encoded_in_random_order(encode, images())
    assert sorted(seen[0]) == images()[:, 0].tolist() != seen[0]
    for place, image in enumerate(seen[0]):
        assert encoded[int(image), 0] == sum(seen[0][: place + 1])


def networks(*, splits: int = 1) -> tuple[nn.Module, nn.Module]:
    first = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3))
    if splits > 1:
        split_batch_norm(first, splits)
    return first, nn.Linear(3, 2)


def companies_on_a_rank(_rank: int, _world: int) -> list[bool]:
    plain, without = networks(), (nn.Linear(2, 2),)
    in_training = normalises_in_groups(plain), normalises_in_groups(plain[::-1])
    plain[0].eval()
    return [*in_training, normalises_in_groups(plain), normalises_in_groups(without)]


def test_ranks_and_parts_are_companies_where_batch_norm_trains(tmp_path):
    assert companies_on_a_rank(0, 1) == [False, False, False, False]
    assert run_on_ranks(2, companies_on_a_rank, tmp_path) == [[True, True, False, False]] * 2
    parts = networks(splits=2)
    assert normalises_in_groups(parts)
    parts[0].eval()
    assert not normalises_in_groups(parts)


@pytest.mark.parametrize("splits", [1, 2])
def test_keys_draw_an_order_only_where_it_hides_something(splits):
    first, last = networks(splits=splits)
    torch.manual_seed(3)
    keys = encoded_as_keys((first, last), images())
    state = torch.get_rng_state()
    torch.manual_seed(3)
    order = torch.randperm(13) if splits > 1 else torch.arange(13)
    assert torch.equal(torch.get_rng_state(), state)
    assert not keys.requires_grad
    expected = last(first(images()[order]))[order.argsort()]
    torch.testing.assert_close(keys, expected.detach())
