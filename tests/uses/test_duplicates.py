import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from nearfar.errors import NearfarError, SettingError
from nearfar.uses.copy_threshold import histogram, suggested_threshold
from nearfar.uses.duplicate_answers import kinds_in_words, page_of
from nearfar.uses.duplicates import find_duplicates
from nearfar.uses.features_file import About, Features


def directions(angles) -> torch.Tensor:
    """Unit vectors of the plane."""
    angles = torch.as_tensor(angles, dtype=torch.float32)
    return torch.stack((angles.cos(), angles.sin()), dim=1)


def test_a_chain_is_no_group():
    """Each is a copy of the next; the first and the last are at right angles."""
    chain = directions(torch.linspace(0, np.pi / 2, 16))
    step = 1 - np.cos(np.pi / 2 / 15)
    found = find_duplicates(chain, threshold=1.01 * step)
    assert max(len(group.rows) for group in found.groups) == 3
    assert all(distance <= 1.01 * step for group in found.groups for distance in group.distances)


@settings(max_examples=40, deadline=None)
@given(st.integers(2, 60), st.integers(1, 4), st.floats(0, 0.6), st.integers(0, 99), st.booleans())
def test_groups_are_stars_within_the_threshold(count, dim, threshold, seed, twins):
    torch.manual_seed(seed)
    features = torch.randn(count, dim)
    if twins:
        features[count // 2 :] = features[torch.randint(0, 1 + count // 2, (count - count // 2,))]
    found = find_duplicates(features, threshold=threshold)
    units = torch.nn.functional.normalize(features.double(), dim=1)
    distances = 1 - units @ units.T
    rows = [row for group in found.groups for row in group.rows]
    assert len(rows) == len(set(rows))
    for group in found.groups:
        assert len(group.rows) == len(group.distances) == len(group.kinds) + 1 >= 2
        assert all(distances[group.rows[0], row] <= threshold + 1e-6 for row in group.rows)
        assert list(group.distances) == sorted(group.distances)
    # Whoever is left has no copy that is left, too.
    left = [row for row in range(count) if row not in rows]
    for row in left:
        assert all(distances[row, other] > threshold - 1e-6 for other in left if other != row)


def test_many_equal_rows_are_one_group_without_their_pairs():
    features = torch.ones(3000, 2)
    features[0] = torch.tensor([0.0, -1.0])
    found = find_duplicates(features)
    assert [len(group.rows) for group in found.groups] == [2999]
    assert found.superfluous == 2998
    assert found.threshold <= 1e-5


def test_pairs_that_are_known_to_be_equal_say_why():
    features = directions([0.0, 0.0, 1.0, 1.0, 2.0])
    asked = []

    def equal(rows):
        asked.extend(rows)
        return [(1, 0, "bytes"), (4, 2, "values")]

    found = find_duplicates(features, threshold=1e-6, equal=equal)
    assert asked == [0, 1, 2, 3]
    assert [(group.rows, group.kinds) for group in found.groups] == [
        ((2, 3, 4), ("near", "values")),
        ((0, 1), ("bytes",)),
    ]


@pytest.mark.parametrize(
    ("modality", "words"),
    [
        ("images", "equal pixels"),
        ("series", "equal series"),
        ("vectors", "equal vectors"),
        ("texts", "equal texts"),
        (None, "equal examples"),
    ],
)
def test_what_is_equal_is_called_by_what_it_is(modality, words):
    about = modality and About("", "", modality, {}, 3, 2, "", "", "")
    features = Features(directions([0.0, 0.0, 1.0]), ["a", "b", "c"], about=about)
    found = find_duplicates(features.features, threshold=1e-6, equal=lambda _: [(0, 1, "values")])
    assert f"(1 {words})" in kinds_in_words(found, features)
    shown = page_of(found, features, None, "").strips[0].others
    assert [each.text for each in shown] == [words]


def test_more_copies_than_are_looked_at_first_are_all_found():
    torch.manual_seed(0)
    centre = torch.nn.functional.normalize(torch.randn(1, 32), dim=1)
    copies = centre + 1e-3 * torch.randn(50, 32)
    found = find_duplicates(torch.cat((torch.randn(100, 32), copies)), threshold=1e-3)
    assert [len(group.rows) for group in found.groups] == [50]


@pytest.mark.parametrize("share", [0.02, 0.2, 0.3])
def test_the_threshold_lies_between_copies_and_others(share):
    torch.manual_seed(0)
    count, dim = 2000, 16
    base = torch.randn(count, dim)
    copies = base[: int(share * count)] + 0.02 * torch.randn(int(share * count), dim)
    found = find_duplicates(torch.cat((base, copies)))
    pairs = {(group.rows[0], other) for group in found.groups for other in group.rows[1:]}
    right = {(row, count + row) for row in range(len(copies))}
    hit = {(min(pair), max(pair)) for pair in pairs} & right
    assert len(hit) > 0.97 * len(right)
    assert len(hit) > 0.9 * len(pairs)
    assert "without copies" in found.suggestion.reason


def test_without_copies_none_are_suggested():
    torch.manual_seed(0)
    found = find_duplicates(torch.randn(3000, 16))
    assert found.superfluous <= 15
    assert find_duplicates(torch.randn(3, 16)).groups == []


def test_the_fitted_distribution_is_that_of_the_distances():
    """Weibull distances give their shape and scale back, also with copies among them."""
    random = np.random.default_rng(0)
    distances = 0.3 * random.weibull(6, 20_000)
    for copies in (0, 4000):
        held = np.concatenate((distances, np.full(copies, 1e-4)))
        found = suggested_threshold(torch.from_numpy(held))
        assert found.scale == pytest.approx(0.3, rel=0.03)
        assert found.shape == pytest.approx(6, rel=0.1)
        assert found.ordinary == pytest.approx(20_000, rel=0.1)


def test_the_histogram_counts_every_row():
    edges, counts = histogram(torch.tensor([0.0, 1e-9, 0.5, 2.0]))
    assert counts.sum() == 4
    assert counts[0] == 2
    assert len(edges) == len(counts) + 1


def test_impossible_searches_for_copies_are_refused():
    with pytest.raises(SettingError, match="threshold of -1"):
        find_duplicates(torch.randn(3, 2), threshold=-1.0)
    with pytest.raises(SettingError, match="two examples"):
        find_duplicates(torch.randn(1, 2))
    with pytest.raises(NearfarError, match="NaN"):
        find_duplicates(torch.full((3, 2), torch.nan))
