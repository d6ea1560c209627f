"""The map: neighbours stay neighbours, the same twice, and small or odd inputs."""

import numpy as np
import pytest
import torch

from nearfar.evaluation.embedding_map import embedding_map
from nearfar.evaluation.gallery import gallery_queries
from nearfar.evaluation.judged import MOST_SHOWN


def test_clusters_stay_together():
    labels = torch.arange(120) % 3
    features = torch.eye(3)[labels] * 5 + 0.3 * torch.randn(120, 3)
    points = torch.from_numpy(embedding_map(features))
    distances = torch.cdist(points, points).fill_diagonal_(torch.inf)
    nearest = distances.argmin(dim=1)
    assert (labels[nearest] == labels).float().mean() > 0.98


def test_the_same_features_give_the_same_map():
    features = torch.randn(60, 8)
    np.testing.assert_array_equal(embedding_map(features), embedding_map(features))


@pytest.mark.parametrize("count", [0, 1, 2, 3, 19, 20, 25])
@pytest.mark.parametrize("dim", [1, 2, 30])
def test_any_number_of_points_has_a_map(count, dim):
    points = embedding_map(torch.randn(count, dim))
    assert points.shape == (count, 2)
    assert points.dtype == np.float32
    assert np.isfinite(points).all()


def test_equal_features_have_a_map():
    assert np.isfinite(embedding_map(torch.ones(30, 4))).all()


def test_too_many_points_are_refused():
    with pytest.raises(ValueError, match="at most 2000"):
        embedding_map(torch.randn(MOST_SHOWN + 1, 2))


def test_the_gallery_mixes_right_and_wrong():
    right = torch.ones(100, dtype=torch.bool)
    right[torch.tensor([5, 17, 80])] = False
    queries = gallery_queries(right, 16, total=100)
    assert sorted(queries[:3].tolist()) == [5, 17, 80]
    assert len(set(queries.tolist())) == 16
    assert right[queries[3:]].all()


@pytest.mark.parametrize(("wrong", "shown_wrong"), [(0, 0), (50, 8), (97, 13), (100, 16)])
def test_the_gallery_fills_up_from_either_side(wrong, shown_wrong):
    right = torch.arange(100) >= wrong
    queries = gallery_queries(right, 16, total=100)
    assert len(queries) == 16
    assert int((~right[queries]).sum()) == shown_wrong


def test_the_gallery_of_unlabelled_or_few_images():
    assert len(gallery_queries(None, 16, total=100)) == 16
    assert sorted(gallery_queries(None, 16, total=3).tolist()) == [0, 1, 2]
    assert len(gallery_queries(torch.tensor([True, False]), 16, total=2)) == 2
