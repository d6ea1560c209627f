"""The kNN bank against loops in float64, at every size of block, and where it must refuse."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tests.peak_memory import peak_growth

from nearfar.errors import NearfarError, SettingError
from nearfar.evaluation.knn import KNNBank, top_accuracy, vote


def cosines(queries, bank):
    """All cosine similarities, in float64."""
    queries, bank = queries.double().numpy(), bank.double().numpy()
    queries = queries / np.maximum(np.linalg.norm(queries, axis=1, keepdims=True), 1e-12)
    bank = bank / np.maximum(np.linalg.norm(bank, axis=1, keepdims=True), 1e-12)
    return queries @ bank.T


def assert_nearest(similarities, indices, all_similarities, k, tolerance=1e-5):
    """The k largest, up to the order of what float32 cannot tell apart."""
    expected = -np.sort(-all_similarities, axis=1)[:, :k]
    np.testing.assert_allclose(similarities.numpy(), expected, atol=tolerance)
    found = np.take_along_axis(all_similarities, indices.numpy(), axis=1)
    np.testing.assert_allclose(found, expected, atol=tolerance)
    assert all(len(set(row)) == k for row in indices.tolist())
    assert (similarities.diff(dim=1) <= 0).all()


@given(
    bank=st.integers(1, 60),
    queries=st.integers(1, 9),
    dim=st.integers(1, 5),
    k=st.integers(1, 80),
    repeated=st.booleans(),
)
def test_neighbors_are_those_of_brute_force(bank, queries, dim, k, repeated):
    generator = torch.Generator().manual_seed(bank * 1000 + queries * 100 + dim)
    features = torch.randn(bank, dim, generator=generator)
    if repeated:
        features = features[torch.arange(bank) // 3]
    asked = torch.randn(queries, dim, generator=generator)
    similarities, indices = KNNBank(features).neighbors(asked, k)
    assert similarities.shape == indices.shape == (queries, min(k, bank))
    assert_nearest(similarities, indices, cosines(asked, features), min(k, bank))


@given(
    k=st.integers(1, 20),
    temperature=st.sampled_from([0.02, 0.07, 0.1, 0.5, 3.0]),
    classes=st.integers(1, 6),
)
def test_the_vote_is_the_loop_of_its_definition(k, temperature, classes):
    generator = torch.Generator().manual_seed(k * 10 + classes)
    features = torch.randn(30, 3, generator=generator)
    labels = torch.randint(classes, (30,), generator=generator)
    asked = torch.randn(4, 3, generator=generator)
    scores = KNNBank(features, labels, num_classes=classes).predict(asked, k, temperature)
    exact = cosines(asked, features)
    for query in range(4):
        nearest = sorted(range(30), key=lambda j, q=query: -exact[q, j])[:k]
        expected = [0.0] * classes
        for j in nearest:
            expected[int(labels[j])] += math.exp(exact[query, j] / temperature)
        total = sum(expected)
        np.testing.assert_allclose(scores[query], [e / total for e in expected], atol=2e-5)


def test_a_tiny_temperature_leaves_the_nearest_alone_to_vote():
    scores = vote(torch.tensor([[0.9, 0.8, 0.8]]), torch.tensor([[1, 0, 0]]), 1e-5, 2)
    assert scores.tolist() == [[0.0, 1.0]]


def test_top_accuracy_counts_ranks():
    scores = torch.tensor([[0.5, 0.3, 0.2, 0.0], [0.1, 0.2, 0.3, 0.4]])
    labels = torch.tensor([1, 0])
    found = [top_accuracy(scores, labels, k) for k in (1, 2, 3, 4, 5)]
    assert found == [0.0, 0.5, 0.5, 1.0, 1.0]


def test_a_class_without_any_vote_is_not_predicted():
    scores = torch.tensor([[1.0, 0.0, 0.0]])
    assert top_accuracy(scores, torch.tensor([1]), 5) == 0.0


def test_a_bank_of_one_answers_everything():
    bank = KNNBank(torch.ones(1, 3), torch.tensor([2]))
    assert bank.predict(torch.randn(2, 3), 200, 0.1).tolist() == [[0, 0, 1], [0, 0, 1]]


def test_a_zero_vector_is_as_near_to_all():
    similarities, _ = KNNBank(torch.randn(5, 3)).neighbors(torch.zeros(1, 3), 5)
    assert similarities.tolist() == [[0.0] * 5]


def test_no_queries_give_no_neighbors():
    similarities, indices = KNNBank(torch.randn(5, 3)).neighbors(torch.zeros(0, 3), 2)
    assert similarities.shape == indices.shape == (0, 2)


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_features_that_are_not_finite_are_refused(bad):
    features = torch.randn(6, 3)
    features[4, 1] = bad
    with pytest.raises(NearfarError, match=r"bank's features .* 1 of 6 .*first: 4"):
        KNNBank(features)
    with pytest.raises(NearfarError, match=r"queries' features .* 1 of 6"):
        KNNBank(torch.randn(4, 3)).neighbors(features, 1)


def test_impossible_settings_are_refused():
    labelled = KNNBank(torch.randn(4, 3), torch.arange(4))
    with pytest.raises(SettingError, match="k must be 1 or more"):
        labelled.neighbors(torch.randn(1, 3), 0)
    with pytest.raises(SettingError, match="temperature"):
        labelled.predict(torch.randn(1, 3), 1, 0.0)
    with pytest.raises(SettingError, match="no labels"):
        KNNBank(torch.randn(4, 3)).predict(torch.randn(1, 3), 1, 0.1)
    with pytest.raises(SettingError, match="empty"):
        KNNBank(torch.empty(0, 3))
    with pytest.raises(SettingError, match="below 0"):
        KNNBank(torch.randn(2, 3), torch.tensor([0, -1]))


def test_memory_stays_within_a_block_of_similarities():
    bank, queries = torch.randn(200_000, 4), torch.randn(1000, 4)
    growth = peak_growth(lambda: KNNBank(bank).neighbors(queries, 5))
    assert growth < 400e6  # all similarities at once would be 800 MB; a block is 30
