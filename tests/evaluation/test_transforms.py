"""The forms of features: what they do, and that a baseline gets the one that serves it."""

import pytest
import torch
from torch import nn

from nearfar.data.source import Part, Source
from nearfar.data.sources import load_source
from nearfar.data.specs import DigitsSpec
from nearfar.evaluation.accuracy_specs import FewLabelsSpec, KNNSpec
from nearfar.evaluation.evaluate import evaluate
from nearfar.evaluation.evaluation_spec import EvaluationSpec
from nearfar.evaluation.forms import transforms
from nearfar.evaluation.knn import KNNBank

CONFIG = EvaluationSpec.by(
    KNNSpec(votes=((5, 0.07),)), FewLabelsSpec(labels_per_class=(5,), draws=2)
)


def by_name(features):
    return {transform.name: transform for transform in transforms(features)}


def test_each_form_is_what_its_name_says():
    generator = torch.Generator().manual_seed(0)
    features = torch.randn(400, 6, generator=generator) * torch.tensor([5, 1, 1, 0.2, 0.1, 0])
    features = features + torch.tensor([1, 2, 3, 4, 5, 6.0])
    forms = by_name(features)
    assert forms["as is"](features) is features
    centred = forms["centred"](features)
    torch.testing.assert_close(centred.mean(dim=0), torch.zeros(6), atol=1e-5, rtol=0)
    standard = forms["standardised"](features)
    torch.testing.assert_close(
        standard.square().mean(dim=0), torch.tensor([1, 1, 1, 1, 1, 0.0]), atol=1e-4, rtol=0
    )
    variance = torch.linalg.eigvalsh((centred.T @ centred / 400).double()).clamp(min=0)
    for share in (1.0, 0.1):
        rows = forms[f"whitened {share:g}"](features)
        found = torch.linalg.eigvalsh((rows.T @ rows / 400).double())
        expected = (variance / (variance + share * variance.mean())).sort().values
        torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-3)


def test_a_large_offset_takes_no_digits_away():
    features = torch.randn(100, 3)
    far = features.clone()
    far[:, 0] = far[:, 0].round(decimals=1) * 2.0**20 + 2.0**36
    rows = by_name(far)["standardised"](far)
    assert float(rows[:, 0].std()) == pytest.approx(1, abs=0.02)


@pytest.mark.parametrize("shape", [(5, 40), (3, 1), (20, 5)])
def test_few_rows_and_constant_features_are_no_trouble(shape):
    for features in (torch.randn(shape), torch.ones(shape)):
        for transform in transforms(features):
            assert torch.isfinite(transform(features)).all()


def judged(source, config=CONFIG):
    """Top-1 of raw data by protocol."""
    records = evaluate(nn.Flatten(), source, config).records
    return {
        record.protocol: (record.value, record.parameters["transform"])
        for record in records
        if (record.features, record.metric) == ("raw", "top1")
    }


def test_pictures_and_their_negatives_read_nearly_the_same():
    """Of bright pictures, cosines of pixels as they are all but point one way."""
    digits = load_source(DigitsSpec())
    train, test = (
        Part((part.examples // 4 + bright).to(torch.uint8), part.labels)
        for part, bright in ((digits.train, 180), (digits.test, 180))
    )
    bright = Source("bright", Part(train.examples[:600], train.labels[:600]), test)
    dark = Source(
        "dark",
        Part(255 - bright.train.examples, bright.train.labels),
        Part(255 - test.examples, test.labels),
    )
    read, negative = judged(bright), judged(dark)
    for protocol, (value, transform) in read.items():
        assert value == pytest.approx(negative[protocol][0], abs=0.015), protocol
        assert protocol != "knn" or transform != "as is"


def test_as_they_are_features_are_judged_in_no_other_form():
    digits = load_source(DigitsSpec())
    dim = [
        Part((part.examples // 8).to(torch.uint8), part.labels)
        for part in (digits.train, digits.test)
    ]
    for part in dim:
        # Loud pixels that say nothing, which standardised or whitened rows quieten.
        part.examples[:, :, :2] = torch.randint(0, 256, part.examples[:, :, :2].shape).byte()
    source = Source("digits", *dim)
    spec = KNNSpec(votes=((5, 0.07), (20, 0.1)), form="as-is")
    records = evaluate(
        nn.Flatten(), source, EvaluationSpec.by(spec, leave_out=("few_labels", "linear_probe"))
    ).records
    found = {
        (r.features, r.parameters["k"]): (r.value, r.parameters["transform"])
        for r in records
        if (r.protocol, r.metric) == ("knn", "top1")
    }
    rows = [part.examples.flatten(1).float() / 255 for part in dim]
    bank = KNNBank(rows[0], dim[0].labels, num_classes=10)
    for k, temperature in spec.votes:
        answers = bank.predict(rows[1], k, temperature).argmax(1)
        right = float((answers == dim[1].labels).double().mean())
        assert found["raw", k] == (pytest.approx(right), "as is")
    assert judged(source)["knn"][1] != "as is"
