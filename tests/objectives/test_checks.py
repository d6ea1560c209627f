"""The words with which objectives refuse."""

import pytest
import torch

from nearfar.errors import NearfarError
from nearfar.objectives.checks import require_pairs


@pytest.mark.parametrize(
    ("first", "second", "told"),
    [
        ((4, 3), (5, 3), r"are \(4, 3\) and \(5, 3\)"),
        ((4, 3), (4, 2), r"are \(4, 3\) and \(4, 2\)"),
        ((4,), (4,), r"must both be \(batch, dim\)"),
        ((2, 4, 3), (2, 4, 3), r"must both be \(batch, dim\)"),
    ],
)
def test_views_of_other_shapes_are_refused(first, second, told):
    with pytest.raises(NearfarError, match=told):
        require_pairs(torch.zeros(first), torch.zeros(second))
