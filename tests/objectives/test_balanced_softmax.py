"""Balanced softmax: what the table of cases does not show."""

import math

import pytest
import torch
from torch.nn import functional as F

from nearfar.errors import NearfarError
from nearfar.objectives import balanced_softmax


def drawn(batch=6, classes=4):
    return torch.randn(batch, classes, dtype=torch.float64), torch.arange(batch) % classes


@pytest.mark.parametrize("count", [1, 17, 10**9])
def test_equal_counts_are_cross_entropy(count):
    logits, labels = drawn()
    value = balanced_softmax(logits, labels, torch.full((4,), count))
    assert value.item() == pytest.approx(F.cross_entropy(logits, labels).item())


def test_a_class_without_examples_is_left_out():
    logits, labels = drawn(batch=5)
    counts = torch.tensor([5, 3, 2, 0])
    labels[labels == 3] = 0
    logits.requires_grad_()
    value = balanced_softmax(logits, labels, counts)
    assert value.item() == pytest.approx(balanced_softmax(logits[:, :3], labels, counts[:3]).item())
    value.backward()
    assert (logits.grad[:, 3] == 0).all()
    assert torch.isfinite(logits.grad).all()


def test_one_class_alone_has_loss_and_gradient_zero():
    logits = torch.randn(3, 1, requires_grad=True)
    value = balanced_softmax(logits, torch.zeros(3, dtype=torch.int64), torch.tensor([3]))
    value.backward()
    assert value.item() == 0
    assert (logits.grad == 0).all()


def test_float32_keeps_its_precision_where_the_loss_is_nearly_zero():
    logits = torch.tensor([[30.0, 1.0, 0.0]], requires_grad=True)
    value = balanced_softmax(logits, torch.tensor([0]), torch.tensor([4, 2, 2]))
    value.backward()
    expected = (math.exp(-29) + math.exp(-30)) / 2
    assert value.item() == pytest.approx(expected, rel=1e-5)
    assert logits.grad[0, 0].item() == pytest.approx(-expected, rel=1e-5)


def test_a_logit_of_minus_infinity_is_a_class_that_cannot_be():
    logits, labels = drawn(batch=3)
    shut = torch.cat((logits, torch.full((3, 1), -torch.inf, dtype=torch.float64)), dim=1)
    shut.requires_grad_()
    value = balanced_softmax(shut, labels, torch.tensor([1, 2, 3, 4, 5]))
    expected = balanced_softmax(logits, labels, torch.tensor([1, 2, 3, 4]))
    assert value.item() == pytest.approx(expected.item())
    value.backward()
    assert torch.isfinite(shut.grad).all()


@pytest.mark.parametrize("where", [0, 1])  # the example's own class, and another one
def test_an_infinite_logit_shows(where):
    logits, labels = torch.zeros(1, 3), torch.tensor([0])
    logits[0, where] = torch.inf
    assert math.isnan(balanced_softmax(logits, labels, torch.tensor([1, 1, 1])).item())


@pytest.mark.parametrize(
    ("labels", "counts", "told"),
    [
        ([0, 3, 1], [2, 2, 2, 0], "class 3 has no example, but a label names it"),
        ([0, 3, 1], [2, -2, 2, 1], "class_counts hold -2"),
        ([0, 4, 1], [2, 2, 2, 1], "labels hold 4: there are only 4 classes"),
        ([0, -100, 1], [2, 2, 2, 1], "labels hold -100"),
    ],
)
def test_labels_and_counts_that_do_not_fit_are_refused(labels, counts, told):
    with pytest.raises(NearfarError, match=told):
        balanced_softmax(torch.zeros(3, 4), torch.tensor(labels), torch.tensor(counts))
