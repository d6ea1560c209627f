import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from nearfar.errors import NearfarError, SettingError
from nearfar.uses.neighbors import Searchable, find_neighbors


@settings(max_examples=40, deadline=None)
@given(st.integers(2, 40), st.integers(1, 12), st.integers(1, 5), st.booleans(), st.integers(0, 99))
def test_neighbours_are_those_of_a_slow_loop(count, k, dim, repeated, seed):
    torch.manual_seed(seed)
    features = torch.randn(count, dim)
    if repeated:
        features[count // 2 :] = features[0]
    found = find_neighbors(features, k=k)
    units = torch.nn.functional.normalize(features.double(), dim=1)
    for row in range(count):
        others = [other for other in range(count) if other != row]
        cosines = sorted((float(units[row] @ units[other]) for other in others), reverse=True)
        assert row not in found.rows[row].tolist()
        assert len(set(found.rows[row].tolist())) == min(k, count - 1)
        expected = torch.tensor(cosines[:k], dtype=torch.float32)
        torch.testing.assert_close(found.similarities[row], expected, rtol=0, atol=2e-6)


def test_a_query_is_left_out_only_where_it_lies():
    features = torch.eye(4)
    found = Searchable(features).nearest(features[:2], 2, itself=torch.tensor([-1, 1]))
    assert int(found.rows[0, 0]) == 0
    assert 1 not in found.rows[1].tolist()


def test_impossible_searches_are_refused():
    features = torch.randn(3, 4)
    with pytest.raises(SettingError, match="0 neighbours"):
        find_neighbors(features, k=0)
    with pytest.raises(SettingError, match="5 features, where those to look among have 4"):
        find_neighbors(features, torch.randn(2, 5))
    with pytest.raises(SettingError, match="one row alone"):
        find_neighbors(features[:1])
    with pytest.raises(NearfarError, match="NaN"):
        find_neighbors(features, torch.full((1, 4), torch.nan))
    assert find_neighbors(features, torch.empty(0, 4)).rows.shape == (0, 3)
