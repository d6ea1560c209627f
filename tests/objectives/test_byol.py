"""BYOL: what the table of cases does not show."""

import pytest
import torch

from nearfar.errors import NearfarError
from nearfar.objectives import byol


def test_targets_get_no_gradient():
    predictions, targets = torch.randn(2, 4, 3, requires_grad=True).unbind()
    targets.retain_grad()
    byol(predictions, targets).backward()
    assert targets.grad is None


def test_it_ranges_from_equal_to_opposite():
    rows = torch.randn(5, 3, dtype=torch.float64)
    assert byol(rows, 4 * rows).item() == pytest.approx(0, abs=1e-15)
    assert byol(rows, -rows).item() == pytest.approx(4)


def test_float32_keeps_its_precision_where_predictions_are_near():
    targets = torch.randn(8, 32)
    predictions = targets + 1e-3 * torch.randn(8, 32)
    exact = byol(predictions.double(), targets.double()).item()
    assert byol(predictions, targets).item() == pytest.approx(exact, rel=1e-3)


def test_an_empty_batch_is_refused():
    with pytest.raises(NearfarError, match=r"byol .* needs one or more, not 0"):
        byol(torch.zeros(0, 3), torch.zeros(0, 3))
