"""Many-, medium- and few-shot classes, and the classifier that a method brings itself."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from nearfar.data.source import Part, Source
from nearfar.evaluation.accuracy import (
    LabelledFeatures,
    class_accuracies,
    shot_groups,
)
from nearfar.evaluation.accuracy_specs import FewLabelsSpec, KNNSpec
from nearfar.evaluation.classifier import classifier_records
from nearfar.evaluation.evaluate import evaluate
from nearfar.evaluation.evaluation_spec import EvaluationSpec

SIZES = (150, 101, 100, 20, 19, 4)
"""Training images of each class: two of many, two of medium, two of few."""
GROUPS = {"many": {0, 1}, "medium": {2, 3}, "few": {4, 5}}
TEST = (5, 6, 7, 8, 9, 10)
QUICK = EvaluationSpec.by(
    KNNSpec(votes=((5, 0.1), (20, 0.5))),
    FewLabelsSpec(labels_per_class=(2,), draws=3),
    baselines=False,
)


class Pixels(nn.Module):
    """The image itself as features."""

    def forward(self, images):
        return images.float().flatten(1) / 255


def source(sizes=SIZES, test=TEST):
    """Images of six classes that overlap: a level in one of six pixels, on noise."""
    generator = torch.Generator().manual_seed(0)

    def part(counts):
        labels = torch.cat([torch.full((n,), c) for c, n in enumerate(counts)])
        images = torch.randint(0, 200, (len(labels), 1, 2, 3), generator=generator)
        images.view(len(labels), 6)[torch.arange(len(labels)), labels] += 55
        return Part(images.to(torch.uint8), labels)

    return Source("tail", part(sizes), part(test))


@given(st.lists(st.integers(0, 130), min_size=1, max_size=8), st.data())
def test_every_class_is_in_the_group_of_its_size(counts, data):
    labels = data.draw(st.lists(st.integers(0, len(counts) - 1), min_size=1, max_size=30))
    groups = shot_groups(torch.tensor(counts), torch.tensor(labels))
    seen = [n for n in counts if n]
    held = {
        "many": [c for c, n in enumerate(counts) if n > 100],
        "medium": [c for c, n in enumerate(counts) if 20 <= n <= 100],
        "few": [c for c, n in enumerate(counts) if 1 <= n < 20],
    }
    expected = {name: cs for name, cs in held.items() if set(cs) & set(labels)}
    if len(expected) < 2 or max(seen) < 2 * min(seen):
        expected = {}
    assert {g.shots: g.classes for g in groups} == {n: len(cs) for n, cs in expected.items()}
    for group in groups:
        assert group.test.tolist() == [label in expected[group.shots] for label in labels]


def test_accuracy_of_each_class_is_counted():
    labels, predictions = torch.tensor([0, 0, 2, 2, 2]), torch.tensor([0, 1, 2, 2, 0])
    found = class_accuracies(predictions, labels, 4).tolist()
    assert found[0] == 0.5
    assert found[2] == pytest.approx(2 / 3)
    assert math.isnan(found[1])
    assert math.isnan(found[3])


def key(record):
    skipped = {"shots", "classes", "values"}
    return record.protocol, tuple((k, v) for k, v in record.parameters.items() if k not in skipped)


def test_groups_make_up_the_accuracy_of_all():
    """Of each protocol: the groups' shares, weighted by their test images, give the whole."""
    evaluation = evaluate(Pixels(), source(), QUICK, classifier=nn.Linear(6, 6))
    first = [r for r in evaluation.records if r.metric == "top1"]
    wholes = [r for r in first if "shots" not in r.parameters]
    assert {r.protocol for r in wholes} == {"knn", "linear_probe", "few_labels", "classifier"}
    assert len(wholes) == 5
    assert len(first) == 4 * len(wholes)
    for whole in wholes:
        parts = [r for r in first if key(r) == key(whole) and "shots" in r.parameters]
        assert [(r.parameters["shots"], r.parameters["classes"], r.n) for r in parts] == [
            ("many", 2, 11),
            ("medium", 2, 15),
            ("few", 2, 19),
        ]
        assert sum(r.value * r.n for r in parts) == pytest.approx(whole.value * whole.n)
        assert all((r.sd is None) == (whole.sd is None) for r in parts)
        if whole.sd is not None:
            drawn = np.array([r.parameters["values"] for r in parts])
            weights = np.array([[r.n] for r in parts])
            total = (drawn * weights).sum(axis=0) / whole.n
            np.testing.assert_allclose(total, whole.parameters["values"])
    assert not any("shots" in r.parameters for r in evaluation.records if r.metric == "top5")


def test_group_accuracies_and_class_accuracies_are_those_of_the_confusion_matrix():
    arrays = (evaluation := evaluate(Pixels(), source(), QUICK)).arrays
    confusion = np.zeros((len(SIZES), len(SIZES)))
    true, answered, count = arrays["confusion_cells"].T
    confusion[true, answered] = count
    by_group = {
        r.parameters["shots"]: r.value
        for r in evaluation.records
        if r.protocol == "knn" and r.parameters["k"] == 5 and "shots" in r.parameters
    }
    for shots, classes in GROUPS.items():
        rows = confusion[sorted(classes)]
        right = sum(confusion[c, c] for c in classes)
        assert by_group[shots] == pytest.approx(right / rows.sum())
    np.testing.assert_allclose(
        arrays["class_accuracy_knn"], confusion.diagonal() / confusion.sum(axis=1), rtol=1e-6
    )
    assert arrays["class_counts"].tolist() == list(SIZES)
    assert set(arrays) >= {"class_accuracy_linear_probe"}
    assert "class_accuracy_classifier" not in arrays


@pytest.mark.parametrize("sizes", [(30,) * 6, (19, 21, 20, 19, 22, 20), (400, 300, 200) * 2])
def test_balanced_classes_and_classes_of_one_group_are_not_told_apart(sizes):
    evaluation = evaluate(Pixels(), source(sizes), QUICK)
    assert not any("shots" in r.parameters for r in evaluation.records)
    assert not any(
        name.startswith("class_acc") or name == "class_counts" for name in evaluation.arrays
    )


def chooser(weight):
    classifier = nn.Linear(6, len(weight))
    with torch.no_grad():
        classifier.weight.copy_(weight)
        classifier.bias.zero_()
    return classifier


def test_the_classifier_is_judged_as_it_stands():
    """Against a loop; features far from unit length, so that logits are of any size and sign."""
    generator = torch.Generator().manual_seed(1)
    features = 1e4 * torch.randn(40, 6, generator=generator) - 3e4
    labels = torch.randint(0, 8, (40,), generator=generator)
    classifier = chooser(torch.randn(8, 6, generator=generator))
    data = LabelledFeatures("encoder", features, labels, features, labels, 8)
    records, predictions = classifier_records(data, classifier)
    hits = {1: 0, 5: 0}
    for row, label, predicted in zip(features, labels, predictions, strict=True):
        logits = [float(weight @ row) for weight in classifier.weight.detach()]
        ranked = sorted(range(8), key=lambda c: -logits[c])
        assert ranked[0] == predicted
        for top in hits:
            hits[top] += int(label) in ranked[:top]
    assert [(r.metric, r.value) for r in records] == [
        ("top1", hits[1] / 40),
        ("top5", hits[5] / 40),
    ]
    assert 0 < hits[1] < hits[5] < 40


def test_of_few_classes_the_lowest_counts_as_predicted_too():
    features, labels = torch.eye(6), torch.arange(6) % 4
    data = LabelledFeatures("encoder", features, labels, features, labels, 4)
    records, _ = classifier_records(data, chooser(-torch.ones(4, 6)))
    assert records[1].value == 1.0


def test_a_classifier_is_among_the_records_of_the_encoder_alone():
    config = EvaluationSpec.by(
        KNNSpec(votes=((5, 0.1),)), FewLabelsSpec(labels_per_class=(2,), draws=2)
    )
    evaluation = evaluate(
        Pixels(), source(), config, classifier=chooser(torch.eye(6)), untrained=Pixels()
    )
    records = [r for r in evaluation.records if r.protocol == "classifier"]
    assert {r.features for r in records} == {"encoder"}
    assert [r.parameters for r in records][:2] == [{}, {}]
    top1 = records[0]
    test = source().test
    right = (Pixels()(test.examples).argmax(dim=1) == test.labels).double().mean()
    assert top1.value == pytest.approx(float(right))
    assert 0.2 < top1.value < 1
    assert "class_accuracy_classifier" in evaluation.arrays


def test_a_classifier_of_other_classes_is_left_out_and_told():
    evaluation = evaluate(Pixels(), source(), QUICK, classifier=nn.Linear(6, 5))
    assert not any(r.protocol == "classifier" for r in evaluation.records)
    assert "classifier left out: it tells 5 classes apart, and the data have 6" in evaluation.notes
