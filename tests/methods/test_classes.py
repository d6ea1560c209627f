"""What methods with labels ask of the classes, and a class that has no example."""

import pytest
import torch
from torch import nn

from nearfar.errors import NearfarError, SettingError
from nearfar.methods.classes import NEVER_PREDICTED, build_classifier, require_labels_of
from nearfar.methods.method_spec import MethodSpec

WITH_LABELS = [name for name, info in MethodSpec.known().items() if info.needs_labels]


def encoder() -> nn.Module:
    network = nn.Sequential(nn.Flatten(), nn.Linear(10, 6))
    network.num_features = 6
    return network


def test_the_methods_with_labels_are_these():
    assert set(WITH_LABELS) == {
        "supcon",
        "supcon-queue",
        "cross-entropy",
        "balanced-softmax",
        "paco",
    }


@pytest.mark.parametrize("name", WITH_LABELS)
def test_no_labels_and_one_class_alone_are_refused_when_a_method_is_built(name):
    spec = MethodSpec.known()[name]()
    title = spec.title
    with pytest.raises(SettingError, match=f"{title} learns from labels, and there are none"):
        spec.build(encoder())
    with pytest.raises(SettingError, match=f"{title} learns to tell classes apart.*one class"):
        spec.build(encoder(), class_counts=torch.tensor([0, 7, 0]))
    spec.build(encoder(), class_counts=torch.tensor([1, 7, 0]))


@pytest.mark.parametrize("name", ["cross-entropy", "balanced-softmax", "paco"])
def test_a_class_without_an_example_is_never_predicted_and_moves_nothing(name):
    counts = torch.tensor([5, 0, 3])
    method = MethodSpec.known()[name]().build(encoder(), class_counts=counts)
    optimizer = torch.optim.AdamW(method.parameters(), lr=1e-2, weight_decay=0.0)
    labels = torch.tensor([0, 2, 0, 0, 2, 0])
    for step in range(20):
        views = tuple(torch.randn(2, 6, 10))
        loss = method(views, labels)
        assert torch.isfinite(loss)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        method.after_step(step / 20)
    assert torch.equal(method.classifier.weight[1], torch.zeros(6))
    assert float(method.classifier.bias[1]) == NEVER_PREDICTED
    with torch.no_grad():
        predictions = method.classifier(method.encoder(torch.randn(500, 10))).argmax(dim=1)
    assert set(predictions.tolist()) == {0, 2}


def test_classes_with_examples_begin_as_torch_draws_them():
    torch.manual_seed(3)
    classifier = build_classifier(6, torch.tensor([5, 1]))
    torch.manual_seed(3)
    drawn = nn.Linear(6, 2)
    assert torch.equal(classifier.weight, drawn.weight)
    assert torch.equal(classifier.bias, drawn.bias)


def test_a_label_for_each_example_is_asked_for():
    batch = torch.zeros(4, 2)
    labels = torch.zeros(4, dtype=torch.int64)
    assert require_labels_of(batch, labels, "PaCo") is labels
    with pytest.raises(NearfarError, match="PaCo needs a label for each of 4 examples, not none"):
        require_labels_of(batch, None, "PaCo")
    with pytest.raises(NearfarError, match=r"of 4 examples, not labels of shape \(3,\)"):
        require_labels_of(batch, labels[:3], "PaCo")
