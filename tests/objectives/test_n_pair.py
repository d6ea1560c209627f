"""What is special to the N-pair loss: raw dot products."""

import math

import pytest
import torch
from torch.nn import functional as F

from nearfar.objectives import info_nce, n_pair
from nearfar.testing import views


def test_is_info_nce_at_temperature_1_on_raw_vectors():
    anchors, positives = views(2)(8, 5, 0)
    expected = F.cross_entropy(anchors @ positives.T, torch.arange(8))
    assert float(n_pair(anchors, positives)) == pytest.approx(float(expected))
    unit = F.normalize(anchors), F.normalize(positives)
    assert float(n_pair(*unit)) == pytest.approx(float(info_nce(*unit, temperature=1.0)))


def test_the_length_of_rows_matters():
    anchors, positives = views(2)(8, 5, 0)
    assert float(n_pair(2 * anchors, positives)) != pytest.approx(float(n_pair(anchors, positives)))


def test_long_rows_do_not_overflow():
    anchors = (100 * torch.eye(6)).requires_grad_()
    wrong = n_pair(anchors, 100 * torch.eye(6).roll(1, dims=0))
    assert wrong.item() == pytest.approx(10_000)
    wrong.backward()
    assert torch.isfinite(anchors.grad).all()
    assert n_pair(anchors, 100 * torch.eye(6)).item() == 0


def test_an_infinite_row_is_not_hidden_by_an_exponential():
    # The first anchor's own product is infinity and its others minus infinity: a loss of 0.
    positives = torch.tensor([[1.0, 0.5], [-1.0, 0.5], [-1.0, 0.6]])
    anchors = positives.clone()
    anchors[0, 0] = math.inf
    assert math.isnan(n_pair(anchors, positives).item())
