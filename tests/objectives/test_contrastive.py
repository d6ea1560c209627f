"""What is special to the contrastive loss with negatives of its own."""

import math

import pytest
import torch

from nearfar.errors import SettingError
from nearfar.objectives import contrastive, info_nce
from nearfar.testing import views


def test_with_the_others_of_the_batch_as_negatives_it_is_info_nce():
    anchors, positives = views(2)(6, 5, 0)
    others = torch.stack([torch.cat((positives[:i], positives[i + 1 :])) for i in range(6)])
    expected = float(info_nce(anchors, positives, temperature=0.07))
    assert float(contrastive(anchors, positives, others)) == pytest.approx(expected)


def test_equal_rows_give_the_logarithm_of_the_number_of_candidates():
    rows = torch.ones(3, 4, dtype=torch.float64)
    assert float(contrastive(rows, rows, rows.expand(3, 3, 4))) == pytest.approx(math.log(4))


def test_an_impossible_temperature_is_refused():
    rows = torch.ones(2, 3)
    with pytest.raises(SettingError, match=r"temperature is -1\.0"):
        contrastive(rows, rows, rows.expand(2, 2, 3), temperature=-1.0)
