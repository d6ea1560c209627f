"""Geometry of pairs of views, against loops and where the answer is known."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from nearfar.evaluation.geometry import geometry


@given(count=st.integers(2, 12), dim=st.integers(1, 5), seed=st.integers(0, 99))
def test_geometry_is_the_loop_of_its_definition(count, dim, seed):
    generator = torch.Generator().manual_seed(seed)
    first, second = (torch.randn(count, dim, generator=generator) * 3 for _ in range(2))
    found = geometry(first, second)
    unit = [
        v.double().numpy() / np.linalg.norm(v.double(), axis=1, keepdims=True)
        for v in (first, second)
    ]
    distances = [math.dist(a, b) for a, b in zip(*unit, strict=True)]
    np.testing.assert_allclose(found.positive_distances, distances, atol=1e-5)
    assert found.alignment == pytest.approx(np.mean(np.square(distances)), abs=1e-5)
    uniformities = []
    for view in unit:
        potentials = [
            math.exp(-2 * math.dist(view[i], view[j]) ** 2)
            for i in range(count)
            for j in range(count)
            if i != j
        ]
        uniformities.append(math.log(np.mean(potentials)))
    assert found.uniformity == pytest.approx(np.mean(uniformities), abs=1e-4)


@given(count=st.integers(2, 40), seed=st.integers(0, 99))
def test_random_pairs_are_of_different_images(count, seed):
    """Image i lies in direction i, so equal images are at distance 0 and others at √2."""
    found = geometry(torch.eye(count), torch.eye(count), seed=seed)
    assert found.alignment == pytest.approx(0, abs=1e-9)
    torch.testing.assert_close(found.positive_distances, torch.zeros(count))
    torch.testing.assert_close(found.random_distances, torch.full((count,), math.sqrt(2)))


def test_scale_does_not_matter_and_the_seed_does():
    first, second = torch.randn(20, 4), torch.randn(20, 4)
    one, two = geometry(first, second), geometry(first * 9, second * 0.1)
    torch.testing.assert_close(one.random_distances, two.random_distances)
    other = geometry(first, second, seed=1)
    assert not torch.equal(one.random_distances, other.random_distances)
    assert one.alignment == other.alignment
