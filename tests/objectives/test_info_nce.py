"""What is special to InfoNCE: its directions, its queue, and what it costs."""

import math

import pytest
import torch
from torch.nn import functional as F
from torch.utils._python_dispatch import TorchDispatchMode

from nearfar.errors import SettingError
from nearfar.objectives import contrastive, info_nce
from nearfar.testing import views


class MatrixProducts(TorchDispatchMode):
    """Counts products of matrices."""

    count = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.count += func.overloadpacket.__name__ in {"mm", "addmm", "addmm_", "bmm", "baddbmm"}
        return func(*args, **(kwargs or {}))


def test_is_the_cross_entropy_of_the_similarities():
    queries, keys = views(2)(9, 5, 0)
    logits = F.normalize(queries) @ F.normalize(keys).T / 0.2
    expected = F.cross_entropy(logits, torch.arange(9))
    assert info_nce(queries, keys, temperature=0.2).item() == pytest.approx(expected.item())


def test_equal_rows_give_the_logarithm_of_the_number_of_candidates():
    rows, queue = torch.ones(8, 4, dtype=torch.float64), torch.ones(5, 4, dtype=torch.float64)
    assert float(info_nce(rows, rows)) == pytest.approx(math.log(8))
    assert float(info_nce(rows, rows, symmetric=True)) == pytest.approx(math.log(8))
    assert float(info_nce(rows, rows, negatives=queue)) == pytest.approx(math.log(6))


def test_symmetric_is_the_mean_of_both_directions():
    first, second = views(2)(9, 5, 0)
    there, back = float(info_nce(first, second)), float(info_nce(second, first))
    assert there != pytest.approx(back)
    assert float(info_nce(first, second, symmetric=True)) == pytest.approx((there + back) / 2)


def test_both_directions_cost_the_products_of_one():
    def products(symmetric):
        first, second = (view.requires_grad_() for view in views(2)(64, 5, 0))
        with MatrixProducts() as counted:
            info_nce(first, second, symmetric=symmetric).backward()
        return counted.count

    assert 0 < products(symmetric=True) == products(symmetric=False)


def test_a_queue_takes_the_place_of_the_batch():
    queries, keys, queue = views(3)(6, 5, 0)
    own = queue.expand(6, 6, 5)
    expected = float(contrastive(queries, keys, own, temperature=0.1))
    assert float(info_nce(queries, keys, negatives=queue)) == pytest.approx(expected)
    # The other keys of the batch play no part.
    alone = [float(info_nce(queries[[i]], keys[[i]], negatives=queue)) for i in range(6)]
    assert sum(alone) / 6 == pytest.approx(expected)


def test_a_queue_of_far_rows_hardly_matters():
    queries = torch.ones(3, 4, dtype=torch.float64)
    assert float(info_nce(queries, queries, negatives=-queries)) == pytest.approx(
        math.log1p(3 * math.exp(-20))
    )


def test_what_has_no_meaning_is_refused():
    rows = torch.ones(2, 3)
    with pytest.raises(SettingError, match="symmetric has no meaning with negatives of a queue"):
        info_nce(rows, rows, negatives=rows, symmetric=True)
    with pytest.raises(SettingError, match=r"temperature is 0\.0: it must be a number above 0"):
        info_nce(rows, rows, temperature=0.0)
