"""The linear probe against its own equation, and the choice of its penalty."""

import numpy as np
import pytest
import torch
from scipy.optimize import minimize

from nearfar.errors import NearfarError
from nearfar.evaluation import linear_probe as module
from nearfar.evaluation.accuracy import LabelledFeatures
from nearfar.evaluation.accuracy_specs import LinearProbeSpec
from nearfar.evaluation.few_labels import FEW_LABELS_L2, draw_labels, few_label_hits
from nearfar.evaluation.forms import Form, Transform
from nearfar.evaluation.linear_probe import (
    choose_penalty,
    fit,
    linear_probe,
    linear_probe_records,
)

AS_IS = Transform("as is")


def blobs(count, classes=3, dim=4, seed=0, spread=0.7):
    generator = torch.Generator().manual_seed(seed)
    labels = torch.arange(count) % classes
    centres = torch.randn(classes, dim, generator=torch.Generator().manual_seed(7))
    return centres[labels] + spread * torch.randn(count, dim, generator=generator), labels


def loss_and_gradient(flat, features, labels, classes, l2):
    """Mean cross-entropy and penalty, in float64 and by the definition."""
    dim = features.shape[1]
    weight, bias = flat[: classes * dim].reshape(classes, dim), flat[classes * dim :]
    logits = features @ weight.T + bias
    shifted = logits - logits.max(axis=1, keepdims=True)
    log_p = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    loss = -log_p[np.arange(len(labels)), labels].mean() + l2 / 2 * (weight**2).sum()
    error = (np.exp(log_p) - np.eye(classes)[labels]) / len(labels)
    gradient = np.concatenate([(error.T @ features + l2 * weight).ravel(), error.sum(axis=0)])
    return loss, gradient


@pytest.mark.parametrize("classes", [2, 3, 5])
@pytest.mark.parametrize("l2", [0.1, 1e-3])
def test_the_fit_minimises_the_stated_loss(classes, l2):
    features, labels = blobs(60, classes)
    form = Form.of(features, AS_IS)
    probe = fit(features, labels, l2=l2, form=form, num_classes=classes)
    scaled = form(features).double().numpy()
    start = np.zeros(classes * 5)
    best = minimize(
        loss_and_gradient,
        start,
        args=(scaled, labels.numpy(), classes, l2),
        jac=True,
        options={"gtol": 1e-9},
    )
    ours = np.concatenate([probe.weight.double().numpy().ravel(), probe.bias.double().numpy()])
    value, _ = loss_and_gradient(ours, scaled, labels.numpy(), classes, l2)
    assert value == pytest.approx(best.fun, rel=1e-3)
    expected = best.x[: classes * 4].reshape(classes, 4)
    np.testing.assert_allclose(probe.weight, expected, atol=0.03 * np.abs(expected).max())
    assert probe.converged


def test_scaling_gives_unit_rows_without_mean_and_unit_mean_square():
    features = torch.randn(50, 6) * torch.arange(1, 7) + 4
    scaled = Form.of(features, AS_IS)(features)
    torch.testing.assert_close(scaled.mean(dim=0), torch.zeros(6), atol=1e-5, rtol=0)
    assert float(scaled.square().sum(dim=1).mean()) == pytest.approx(1, rel=1e-4)
    torch.testing.assert_close(Form.of(features * 3, AS_IS)(features * 5), scaled)
    kept = Form.of(features, AS_IS, unit_rows=False)(features)
    assert float(kept.square().sum(dim=1).mean()) == pytest.approx(1, rel=1e-4)
    assert float(kept.norm(dim=1).std()) > 0.05


def test_constant_features_do_not_divide_by_zero():
    features = torch.ones(8, 3)
    probe = linear_probe(features, torch.arange(8) % 2, num_classes=2)
    assert torch.isfinite(probe.log_probabilities(features)).all()


def test_a_class_without_training_images_is_never_predicted():
    features, labels = blobs(40, 3)
    probe = fit(features, labels * 2, l2=1e-3, form=Form.of(features, AS_IS), num_classes=6)
    probabilities = probe.log_probabilities(features).exp()
    assert (probabilities[:, [1, 3, 5]] == 0).all()
    torch.testing.assert_close(probabilities.sum(dim=1), torch.ones(40))
    assert (probabilities.argmax(dim=1) == labels * 2).float().mean() > 0.8


def test_two_classes_get_the_probabilities_of_the_log_odds():
    features, labels = blobs(40, 2)
    probe = fit(features, labels, l2=1e-2, form=Form.of(features, AS_IS), num_classes=2)
    assert (probe.log_probabilities(features).argmax(dim=1) == labels).float().mean() > 0.8
    torch.testing.assert_close(probe.weight[0], -probe.weight[1])


def test_one_class_is_refused():
    with pytest.raises(NearfarError, match="two classes"):
        linear_probe(torch.randn(10, 3), torch.zeros(10, dtype=torch.int64), num_classes=2)


@pytest.mark.parametrize("seed", range(4))
def test_the_penalty_that_errs_least_on_the_held_out_part_is_chosen(seed):
    generator = torch.Generator().manual_seed(seed)
    labels = torch.arange(100) % 2
    features = torch.randn(100, 60, generator=generator)
    features[:, :6] += (labels.float() * 2 - 1).unsqueeze(1)
    penalties = (3.0, 1e-1, 1e-3, 1e-7)
    form = Form.of(features, AS_IS)
    chosen, _ = choose_penalty(
        features, labels, form=form, num_classes=2, seed=0, penalties=penalties
    )
    order = torch.randperm(100, generator=torch.Generator().manual_seed(0))
    choosing, fitting = order[:20], order[20:]
    accuracies = {}
    for l2 in penalties:
        probe = fit(features[fitting], labels[fitting], l2=l2, form=form, num_classes=2)
        predicted = probe.log_probabilities(features[choosing]).argmax(dim=1)
        accuracies[l2] = float((predicted == labels[choosing]).float().mean())
    assert accuracies[chosen] == max(accuracies.values())
    assert len(set(accuracies.values())) > 1


def test_a_balanced_probe_does_not_lean_to_the_large_class():
    """Where nothing tells the classes apart, the plain one always says the large one."""
    features, labels = torch.randn(240, 4), (torch.arange(240) % 12 == 0).long()
    data = LabelledFeatures("encoder", features, labels, features, labels, 2)
    answers = {}
    for balanced in (False, True):
        records, answers[balanced] = linear_probe_records(data, 0, balanced=balanced)
        told = LinearProbeSpec.measures[0]
        heading = told.alone(records[0].parameters)
        assert ("balanced" in records[0].parameters) is balanced
        assert heading.endswith("every class weighs the same") is balanced
    assert int(answers[False].sum()) == 0
    assert 60 < int(answers[True].sum()) < 180


def test_a_balanced_choice_is_by_the_mean_of_classes():
    values, labels = torch.tensor([1.0, 1, 1, 0], dtype=torch.float64), torch.tensor([0, 0, 0, 5])
    assert float(module._mean(values, labels, False)) == 0.75
    assert float(module._mean(values, labels, True)) == 0.5


def test_the_choice_uses_a_limited_part_and_the_fit_uses_all(monkeypatch):
    sizes = []

    class Spy(module.SoftmaxRegression):
        def __init__(self, features, *args, **kwargs):
            sizes.append(len(features))
            super().__init__(features, *args, **kwargs)

    monkeypatch.setattr(module, "SoftmaxRegression", Spy)
    monkeypatch.setattr(module, "CHOICE_LIMIT", 50)
    monkeypatch.setattr(module, "FORM_LIMIT", 30)
    features, labels = blobs(90)
    linear_probe(features, labels, num_classes=3)
    assert sizes == [24] * 7 + [40, 90]


def test_smaller_penalties_are_not_tried_once_two_were_worse(monkeypatch):
    tried = []
    fitted = module.SoftmaxRegression.fit
    monkeypatch.setattr(
        module.SoftmaxRegression,
        "fit",
        lambda self, l2, **kwargs: tried.append(l2) or fitted(self, l2, **kwargs),
    )
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(200) % 2
    features = torch.randn(200, 100, generator=generator)
    features[:, 0] += 1.5 * labels
    form = Form.of(features, AS_IS)
    penalties = (1.0, 1e-1, 1e-3, 1e-5, 1e-6, 1e-7)
    chosen, _ = choose_penalty(
        features, labels, form=form, num_classes=2, seed=0, penalties=penalties
    )
    assert chosen in penalties[:3]
    assert tried == list(penalties[: penalties.index(chosen) + 3])


def test_draws_hold_so_many_of_each_class_and_differ():
    labels = torch.arange(100) % 4
    draws = draw_labels(labels, 3, 5, seed=0)
    assert len(draws) == 5
    for drawn in draws:
        assert torch.bincount(labels[drawn]).tolist() == [3, 3, 3, 3]
        assert len(set(drawn.tolist())) == 12
    assert len({tuple(drawn.tolist()) for drawn in draws}) == 5


def test_draws_depend_on_labels_and_seed_alone():
    labels = torch.arange(100) % 4
    first, again, other = (draw_labels(labels, 3, 2, seed=s) for s in (0, 0, 1))
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    assert not all(torch.equal(a, b) for a, b in zip(first, other, strict=True))


def test_a_class_with_fewer_labels_gives_all():
    labels = torch.tensor([0] * 10 + [1] * 2)
    (drawn,) = draw_labels(labels, 5, 1, seed=0)
    assert torch.bincount(labels[drawn]).tolist() == [5, 2]


def test_few_labels_look_at_no_other_label():
    features, labels = blobs(90, spread=1.5)
    test_features, test_labels = blobs(60, seed=1, spread=1.5)
    draws = draw_labels(labels, 2, 3, seed=0)
    drawn = torch.cat(draws).unique()
    scrambled = torch.full_like(labels, 2)
    scrambled[drawn] = labels[drawn]
    results = [
        few_label_hits(
            features,
            y,
            test_features,
            test_labels,
            draws,
            form=Form.of(features, AS_IS),
            num_classes=3,
        )
        for y in (labels, scrambled)
    ]
    assert torch.equal(*(torch.stack(right) for right in results))
    assert len({int(right.sum()) for right in results[0]}) > 1
    assert FEW_LABELS_L2 > 0
