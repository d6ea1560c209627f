import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.neighbors import LocalOutlierFactor

from nearfar.errors import SettingError
from nearfar.uses.outliers import find_outliers
from nearfar.uses.selection import select


@settings(max_examples=30, deadline=None)
@given(st.integers(8, 60), st.integers(1, 6), st.integers(2, 5), st.integers(0, 99))
def test_scores_are_those_of_scikit_learn(count, k, dim, seed):
    torch.manual_seed(seed)
    features = torch.randn(count, dim)
    found = find_outliers(features, k=k)
    units = torch.nn.functional.normalize(features.double(), dim=1).numpy()
    peer = LocalOutlierFactor(k).fit(units)
    gaps = np.sort(np.linalg.norm(units[:, None] - units[None], axis=2), axis=1)[:, k]
    np.testing.assert_allclose(found.distance.numpy(), gaps, atol=2e-3)
    if gaps.min() > 0.02:  # nearer, float32 has few digits of 1 − cosine
        np.testing.assert_allclose(
            found.factor.numpy(), -peer.negative_outlier_factor_, rtol=0.05, atol=0.02
        )
    assert sorted(found.order.tolist()) == list(range(count))
    ordered = found.distance[found.order]
    assert bool((ordered[:-1] >= ordered[1:]).all())


def test_what_lies_apart_is_first():
    torch.manual_seed(0)
    features = torch.randn(200, 4) * 0.05 + torch.tensor([1.0, 0, 0, 0])
    features[17] = torch.tensor([-1.0, 0, 0, 0])
    found = find_outliers(features)
    assert int(found.order[0]) == 17
    assert int(found.factor.argmax()) == 17


def test_equal_rows_have_a_factor():
    found = find_outliers(torch.ones(30, 3), k=5)
    torch.testing.assert_close(found.factor, torch.ones(30))
    assert find_outliers(torch.eye(2), k=9).distance.tolist() == pytest.approx([2**0.5] * 2)
    with pytest.raises(SettingError, match="two examples"):
        find_outliers(torch.ones(1, 3))


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 40), st.integers(1, 40), st.integers(0, 99), st.booleans())
def test_chosen_rows_are_as_many_as_asked_and_each_once(count, wanted, seed, equal):
    torch.manual_seed(seed)
    features = torch.ones(count, 3) if equal else torch.randn(count, 3)
    for by in ("typicality", "k-centre"):
        chosen = select(features, min(count, wanted), by=by).tolist()
        assert len(chosen) == len(set(chosen)) == min(count, wanted)
        assert set(chosen) <= set(range(count))


def test_centres_are_those_of_a_slow_loop():
    torch.manual_seed(0)
    features = torch.randn(60, 5)
    units = torch.nn.functional.normalize(features.double(), dim=1)
    gaps = torch.cdist(units, units)
    chosen = [int((units @ units.mean(0)).argmax())]
    while len(chosen) < 12:
        chosen.append(int(gaps[:, chosen].min(dim=1).values.argmax()))
    assert select(features, 12, by="k-centre").tolist() == chosen


def test_one_typical_row_of_each_cluster_is_chosen_and_no_outlier():
    torch.manual_seed(0)
    centres = torch.eye(5)
    features = torch.cat([centre + 0.05 * torch.randn(40, 5) for centre in centres])
    features[7] = -torch.ones(5)
    chosen = select(features, 5)
    assert sorted((chosen // 40).tolist()) == [0, 1, 2, 3, 4]
    assert 7 not in chosen.tolist()
    # The densest place is the middle of its cluster.
    units = torch.nn.functional.normalize(features, dim=1)
    assert float((units[chosen] * centres[chosen // 40]).sum(dim=1).min()) > 0.99


def test_impossible_choices_are_refused():
    with pytest.raises(SettingError, match="0 of 3"):
        select(torch.randn(3, 2), 0)
    with pytest.raises(SettingError, match="4 of 3"):
        select(torch.randn(3, 2), 4)
