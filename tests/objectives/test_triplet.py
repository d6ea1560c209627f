"""Triplets: which are chosen, and what the table of cases does not show."""

import math
from importlib import import_module

import pytest
import torch
from cases.objectives.triplet import slow_batch_hard, slow_semi_hard, two_classes

from nearfar.errors import NearfarError, SettingError
from nearfar.objectives import batch_hard_triplet, semi_hard_triplet, triplet
from nearfar.similarity import extremes, tiles
from nearfar.testing.objectives import LargestTensor

# The package's attribute of this name is the function.
MODULE = import_module("nearfar.objectives.triplet")
MINED = {batch_hard_triplet: slow_batch_hard, semi_hard_triplet: slow_semi_hard}


def at_angles(*degrees):
    """Points on the circle."""
    angles = torch.deg2rad(torch.tensor(degrees, dtype=torch.float64))
    return torch.stack((angles.cos(), angles.sin()), dim=1)


def chord(degrees):
    """Squared distance of two points on the circle."""
    return 2 - 2 * math.cos(math.radians(degrees))


def test_beyond_the_margin_loss_and_gradient_are_zero():
    anchors, positives, negatives = (row.requires_grad_() for row in at_angles(0, 10, 170)[:, None])
    loss = triplet(anchors, positives, negatives, margin=1.0)
    assert loss.item() == 0
    for found in torch.autograd.grad(loss, (anchors, positives, negatives)):
        assert (found == 0).all()


def test_a_triplet_inside_the_margin_is_its_equation():
    anchors, positives, negatives = at_angles(0, 60, 90)[:, None]
    expected = chord(60) - chord(90) + 1.5
    assert triplet(anchors, positives, negatives, margin=1.5).item() == pytest.approx(expected)


def test_batch_hard_takes_the_farthest_positive_and_the_nearest_negative():
    rows = at_angles(0, 20, 50, 70, 180)
    labels = torch.tensor([0, 0, 0, 1, 2])
    # Anchors of label 0 alone have a positive.
    expected = [chord(50) - chord(70), chord(30) - chord(50), chord(50) - chord(20)]
    value = batch_hard_triplet(rows, labels, margin=3.0)
    assert value.item() == pytest.approx(sum(expected) / 3 + 3)


def test_semi_hard_takes_the_nearest_negative_behind_the_positive_else_the_farthest():
    rows = at_angles(0, 40, 20, 60, 110)
    labels = torch.tensor([0, 0, 1, 2, 3])
    # From 0°, the positive at 40° has 60° behind it; from 40°, 0° is behind all but 110°.
    expected = [chord(40) - chord(60), chord(40) - chord(70)]
    value = semi_hard_triplet(rows, labels, margin=3.0)
    assert value.item() == pytest.approx(sum(expected) / 2 + 3)
    # From either end, no negative lies behind the positive: the farthest is taken.
    value = semi_hard_triplet(at_angles(0, 90, 20, 40), torch.tensor([0, 0, 1, 2]), margin=3.0)
    assert value.item() == pytest.approx(chord(90) - (chord(40) + chord(70)) / 2 + 3)


@pytest.mark.parametrize("objective", MINED)
def test_only_the_chosen_rows_get_a_gradient(objective):
    rows = at_angles(0, 20, 70, 110).requires_grad_()
    objective(rows, torch.tensor([0, 0, 1, 2]), margin=4.0).backward()
    assert (rows.grad[:3].norm(dim=1) > 0.1).all()
    assert (rows.grad[3] == 0).all()


@pytest.mark.parametrize("objective", MINED)
def test_small_pieces_give_what_one_piece_gives(objective, monkeypatch):
    rows, labels = two_classes(40, 4, 1)
    monkeypatch.setattr(tiles, "TILE", 8)
    monkeypatch.setattr(extremes, "SORTED", 3 * 40)
    monkeypatch.setattr(MODULE, "_SIMILARITIES_AT_ONCE", 7 * 40)
    rows.requires_grad_()
    value = objective(rows, labels, margin=0.7)
    assert value.item() == pytest.approx(MINED[objective](rows, labels, 0.7))
    (pieces,) = torch.autograd.grad(value, rows)
    monkeypatch.undo()
    (whole,) = torch.autograd.grad(objective(rows, labels, margin=0.7), rows)
    torch.testing.assert_close(pieces, whole)


def test_semi_hard_holds_neither_the_matrix_nor_all_blocks(monkeypatch):
    rows = torch.randn(1000, 16, requires_grad=True)
    labels = torch.arange(1000) % 20
    monkeypatch.setattr(extremes, "SORTED", 2**16)
    monkeypatch.setattr(MODULE, "_SIMILARITIES_AT_ONCE", 2**14)
    kept = []

    def note(tensor):
        kept.append(tensor)
        return tensor

    with LargestTensor() as largest:
        with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
            loss = semi_hard_triplet(rows, labels)
        loss.backward()
    triplets = 1000 * 49
    # Views of one memory are kept once.
    held = {tensor.untyped_storage().data_ptr(): tensor.untyped_storage() for tensor in kept}
    assert sum(memory.nbytes() for memory in held.values()) < 8 * (3 * triplets + 3 * rows.numel())
    assert triplets <= largest.elements <= 3 * triplets < 1000**2 / 4


@pytest.mark.parametrize("objective", MINED)
def test_what_cannot_be_computed_is_refused(objective):
    rows, labels = two_classes(6, 3, 0)
    with pytest.raises(NearfarError, match=rf"{objective.__name__} .* all 6 labels .* differ"):
        objective(rows, torch.arange(6))
    with pytest.raises(NearfarError, match="two labels, and all 6 rows of this batch share one"):
        objective(rows, torch.ones(6, dtype=torch.int64))
    with pytest.raises(SettingError, match="margin is 0"):
        objective(rows, labels, margin=0.0)


def test_given_triplets_that_do_not_fit_are_refused():
    with pytest.raises(NearfarError, match="needs one or more, not 0"):
        triplet(*torch.zeros(3, 0, 2))
    with pytest.raises(SettingError, match="margin is -1"):
        triplet(*torch.ones(3, 4, 2), margin=-1.0)
