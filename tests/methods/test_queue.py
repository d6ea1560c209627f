"""The queue is a list that forgets its oldest rows, whatever the batches."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from nearfar.errors import NearfarError
from nearfar.methods.queue import Queue


def queue(size: int = 5) -> Queue:
    return Queue(size, keys=torch.zeros(2), labels=torch.zeros((), dtype=torch.int64))


def numbered(first: int, count: int) -> dict[str, torch.Tensor]:
    labels = torch.arange(first, first + count)
    return {"keys": labels[:, None] * torch.tensor([1.0, -1.0]), "labels": labels}


@given(st.integers(1, 9), st.lists(st.integers(0, 23), max_size=8))
def test_it_holds_the_newest_rows_of_all_that_entered(size, batches):
    held, entered = queue(size), []
    for count in batches:
        rows = numbered(len(entered), count)
        held.enqueue(**rows)
        entered += rows["labels"].tolist()
        assert len(held) == min(len(entered), size)
        assert sorted(held.rows("labels").tolist()) == entered[-size:]
        # What belongs together stays together, and slots are taken in turn.
        assert torch.equal(held.rows("keys")[:, 0].long(), held.rows("labels"))
        assert all(number % size == slot for slot, number in enumerate(held.rows("labels")))


def test_rows_that_wait_enter_once_and_the_newest_alone():
    held = queue()
    held.let_in()
    held.wait(**numbered(1, 2))
    assert len(held) == 0
    held.wait(**numbered(7, 1))
    held.let_in()
    held.let_in()
    assert held.rows("labels").tolist() == [7]


def test_it_begins_empty_and_gives_out_nothing_unfilled():
    held = queue()
    assert held.rows("keys").shape == (0, 2)
    held.enqueue(**numbered(1, 3))
    assert held.rows("keys").tolist() == [[1, -1], [2, -2], [3, -3]]


def test_another_one_goes_on_from_its_state():
    held, other = queue(), queue()
    held.enqueue(**numbered(0, 8))
    other.load_state_dict(held.state_dict())
    for each in (held, other):
        each.enqueue(**numbered(8, 4))
    assert torch.equal(held.keys, other.keys)
    assert other.labels.tolist() == [10, 11, 7, 8, 9]


def test_rows_are_kept_in_the_columns_type_and_without_a_graph():
    held = queue()
    held.enqueue(
        keys=torch.ones(2, 2, dtype=torch.bfloat16, requires_grad=True) * 3,
        labels=torch.tensor([1, 2]),
    )
    assert held.rows("keys").dtype == torch.float32
    assert not held.rows("keys").requires_grad
    assert held.double().rows("keys").dtype == torch.float64


@pytest.mark.parametrize(
    "columns",
    [
        {"keys": torch.zeros(2, 2)},
        {"keys": torch.zeros(2, 2), "labels": torch.zeros(3, dtype=torch.int64)},
        {"keys": torch.zeros(2, 2), "lables": torch.zeros(2, dtype=torch.int64)},
        {},
    ],
)
def test_rows_that_do_not_belong_together_are_refused(columns):
    with pytest.raises(NearfarError, match="equally many rows of keys, labels"):
        queue().enqueue(**columns)


def test_it_stops_asking_how_many_rows_there_are_once_it_is_full_until_others_are_loaded():
    held, fewer = queue(), queue()
    fewer.enqueue(**numbered(0, 3))
    held.enqueue(**numbered(0, 7))
    assert len(held) == 5
    del held.entered  # so it is not asked
    assert len(held) == 5
    held.register_buffer("entered", torch.zeros((), dtype=torch.int64))
    torch.nn.ModuleList([held]).load_state_dict(torch.nn.ModuleList([fewer]).state_dict())
    assert len(held) == 3
