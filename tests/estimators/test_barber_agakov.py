"""Barber and Agakov's bound, of labels and of Gaussians."""

import math

import pytest
import torch
from torch.distributions import Normal

from nearfar.errors import NearfarError
from nearfar.estimators.barber_agakov import barber_agakov
from nearfar.estimators.discrete import discrete_entropy, discrete_information
from nearfar.estimators.gaussian import correlated_information, gaussian_entropy


def test_the_true_conditional_of_a_table_gives_its_information():
    counts = torch.tensor([[4, 1, 0], [2, 2, 7]])
    joint = counts.double() / 16
    x, z = (torch.arange(2).repeat_interleave(3), torch.arange(3).repeat(2))
    x, z = x.repeat_interleave(counts.flatten()), z.repeat_interleave(counts.flatten())
    conditional = joint / joint.sum(dim=1, keepdim=True)
    entropy = discrete_entropy(joint.sum(dim=0))
    found = barber_agakov(conditional.log()[x, z], entropy)
    expected = discrete_information(joint).item()
    assert found.item() == pytest.approx(expected, rel=1e-12)
    # Any other conditional gives less.
    smoothed = 0.9 * conditional + 0.1 / 3
    assert barber_agakov(smoothed.log()[x, z], entropy).item() < expected


def test_the_true_conditional_of_gaussians_gives_their_information():
    x, noise = torch.randn(2, 100_000, dtype=torch.float64)
    log_q = Normal(0.8 * x, 0.6).log_prob(0.8 * x + 0.6 * noise)
    found = barber_agakov(log_q, gaussian_entropy(torch.eye(1, dtype=torch.float64)))
    error = 4 * log_q.std().item() / math.sqrt(len(log_q))
    assert found.item() == pytest.approx(correlated_information(0.8, 1), abs=error)


def test_a_classifier_learns_from_it():
    logits = torch.randn(5, 3, dtype=torch.float64, requires_grad=True)
    labels = torch.tensor([0, 1, 2, 1, 0])
    log_q = logits.log_softmax(dim=1)[torch.arange(5), labels]
    (found,) = torch.autograd.grad(barber_agakov(log_q, 1.0), logits)
    (loss,) = torch.autograd.grad(torch.nn.functional.cross_entropy(logits, labels), logits)
    torch.testing.assert_close(found, -loss)


def test_what_is_impossible_shows():
    assert barber_agakov(torch.tensor([0.0, -math.inf]), 1.0).item() == -math.inf
    assert barber_agakov(torch.tensor([0.0, math.nan]), 1.0).isnan()
    assert barber_agakov(torch.zeros(2).bfloat16(), 1.0).dtype == torch.float32
    with pytest.raises(NearfarError, match="needs one or more, not 0"):
        barber_agakov(torch.zeros(0), 1.0)
