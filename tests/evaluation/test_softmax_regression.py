"""Logistic regression against its own equation, and that its gradient says when it rests."""

import numpy as np
import pytest
import torch
from scipy.optimize import minimize

from nearfar.evaluation import softmax_regression as module
from nearfar.evaluation.softmax_regression import GAP, SoftmaxRegression


def ill_conditioned(count=120, dim=30, classes=4, seed=0):
    """Classes told apart along axes of little variance, as those of pictures often are."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.arange(count) % classes
    features = torch.randn(count, dim, generator=generator)
    features[:, :classes] += 3 * torch.nn.functional.one_hot(labels, classes)
    turn, _ = torch.linalg.qr(torch.randn(dim, dim, generator=generator))
    features = features * torch.logspace(-2, 0, dim) @ turn
    features -= features.mean(dim=0)
    return features / features.square().sum(dim=1).mean().sqrt(), labels


def objective(weight, bias, features, labels, l2):
    """Mean cross-entropy and penalty, in float64 and by the definition."""
    logits = features.double() @ weight.T + bias
    own = torch.log_softmax(logits, dim=1)[torch.arange(len(labels)), labels]
    return -own.mean() + l2 / 2 * weight.square().sum()


def reference(features, labels, classes, l2):
    """The minimum, by a solver that is given no help."""
    dim = features.shape[1]

    def value(flat):
        table = torch.tensor(flat.reshape(classes, dim + 1), requires_grad=True)
        loss = objective(table[:, :dim], table[:, dim], features, labels, l2)
        loss.backward()
        return loss.item(), table.grad.numpy().ravel()

    options = {"gtol": 1e-10, "ftol": 0, "maxiter": 20_000, "maxfun": 50_000}
    start = np.zeros(classes * (dim + 1))
    return minimize(value, start, jac=True, method="L-BFGS-B", options=options).fun


@pytest.mark.parametrize("l2", [1e-1, 1e-3, 1e-6])
@pytest.mark.parametrize(("count", "dim"), [(120, 30), (40, 90)])
def test_a_fit_at_rest_is_no_further_from_the_minimum_than_it_says(l2, count, dim):
    features, labels = ill_conditioned(count, dim)
    found = SoftmaxRegression(features, labels, num_classes=4).fit(l2)
    assert found.converged
    value = float(objective(found.weight, found.bias, features, labels, l2))
    best = reference(features, labels, 4, l2)
    assert -1e-6 < value - best <= GAP


def test_given_axes_start_and_blocks_change_no_minimum(monkeypatch):
    features, labels = ill_conditioned()
    plain = SoftmaxRegression(features, labels, num_classes=4)
    strong = plain.fit(1e-2, gap=1e-9)
    monkeypatch.setattr(module, "BLOCK", 4 * 7)
    turn, _ = torch.linalg.qr(torch.randn(30, 30))
    other = SoftmaxRegression(features, labels, num_classes=4, axes=turn)
    for start in (None, strong):
        found = other.fit(1e-3, start=start, gap=1e-9)
        torch.testing.assert_close(
            found.weight, plain.fit(1e-3, gap=1e-9).weight, atol=2e-2, rtol=1e-2
        )


def test_it_is_steps_in_the_axes_that_make_it_quick():
    """The same problem takes few steps in its axes and many in columns that are not."""
    features, labels = ill_conditioned()
    quick = SoftmaxRegression(features, labels, num_classes=4).fit(1e-6)
    slow = SoftmaxRegression(features, labels, num_classes=4, axes=torch.eye(30)).fit(1e-6)
    assert quick.converged
    assert slow.converged
    assert 2 * quick.steps < slow.steps


def test_where_float32_is_too_rough_double_ends_the_fit():
    features, labels = ill_conditioned()
    found = SoftmaxRegression(features, labels, num_classes=4).fit(1e-4, gap=1e-13)
    assert found.converged


def test_too_few_steps_are_said(monkeypatch):
    monkeypatch.setattr(module, "MAX_STEPS", 2)
    features, labels = ill_conditioned()
    told = []
    found = SoftmaxRegression(features, labels, num_classes=4).fit(
        1e-6, told=lambda steps, left: told.append((steps, left))
    )
    assert not found.converged
    assert [steps for steps, _ in told] == [1, 2]
    assert told[-1][1] > 1


@pytest.mark.parametrize("l2", [1e-1, 1e-4])
def test_balanced_classes_weigh_the_same_as_if_each_had_as_many_examples(l2):
    """The minimum of the mean over classes is that of examples repeated to equal sizes."""
    generator = torch.Generator().manual_seed(0)
    sizes = torch.tensor([24, 6, 2])
    labels = torch.arange(3).repeat_interleave(sizes)
    features = torch.randn(32, 5, generator=generator)
    features[:, :3] += 2 * torch.nn.functional.one_hot(labels, 3)
    features = features / features.square().sum(dim=1).mean().sqrt()
    rows = torch.arange(32).repeat_interleave(24 // sizes[labels])
    balanced = SoftmaxRegression(features, labels, num_classes=4, balanced=True).fit(l2, gap=1e-9)
    repeated = SoftmaxRegression(features[rows], labels[rows], num_classes=4).fit(l2, gap=1e-9)
    assert balanced.converged
    torch.testing.assert_close(balanced.weight, repeated.weight, atol=2e-3, rtol=1e-2)
    value = objective(balanced.weight[:3], balanced.bias[:3], features[rows], labels[rows], l2)
    assert float(value) <= reference(features[rows], labels[rows], 3, l2) + 1e-6
    assert balanced.bias[3] == -torch.inf
