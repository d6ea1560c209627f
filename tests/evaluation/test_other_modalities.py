import numpy as np
import pytest
import torch

from nearfar.data.arrays import source_from_series, source_from_vectors
from nearfar.data.source import Part
from nearfar.encoders.saved import load_encoder, save_encoder
from nearfar.encoders.specs import EncoderSpec
from nearfar.evaluation.accuracy_specs import FewLabelsSpec, KNNSpec
from nearfar.evaluation.evaluate import evaluate
from nearfar.evaluation.evaluation_spec import EvaluationSpec
from nearfar.evaluation.features import MOST_RAW_STEPS, raw_features
from nearfar.evaluation.judged import Judged
from nearfar.evaluation.pictures import DRAWN_STEPS, thumbnails
from nearfar.spec import as_spec
from nearfar.views.specs import ViewsSpec

QUICK = EvaluationSpec.by(KNNSpec(votes=((3, 0.1),)), FewLabelsSpec(labels_per_class=(2,), draws=2))


def _judged(tmp_path, source, encoder, preset):
    shape = source.train.example_shape
    ones, zeros = [1.0] * shape[0], [0.0] * shape[0]
    config = as_spec(EncoderSpec, {"name": encoder, "width": 4})
    save_encoder(tmp_path, config.build(shape), config, shape=shape, mean=zeros, std=ones)
    views = as_spec(ViewsSpec, {"name": preset}).build(shape, mean=zeros, std=ones)
    return evaluate(load_encoder(tmp_path), source, QUICK, views=views)


def _values(evaluation):
    return {(r.protocol, r.features): r.value for r in evaluation.records if r.metric != "top5"}


def test_series_are_judged_as_images_are_and_kept_to_be_drawn(tmp_path):
    labels = np.arange(60) % 2
    noise = np.random.default_rng(0).normal(size=(60, 2, 12))
    source = source_from_series(noise + 5 * labels[:, None, None], labels)
    found = _judged(tmp_path, source, "series-resnet", "series")
    values = _values(found)
    assert values["knn", "raw"] == 1.0
    assert {("knn", "encoder"), ("alignment", "encoder"), ("uniformity", "encoder")} <= set(values)
    np.testing.assert_array_equal(found.arrays["shown_images"], source.test.examples)
    assert found.arrays["view_samples"].shape == (6, 6, 2, 12)
    samples = torch.from_numpy(found.arrays["view_samples"])
    assert samples.mean() > 1, "views are stored in the units of the series"


def test_vectors_are_judged_without_pictures(tmp_path):
    labels = np.arange(60) % 2
    vectors = np.random.default_rng(0).normal(size=(60, 6)) + 5 * labels[:, None]
    found = _judged(tmp_path, source_from_vectors(vectors, labels), "mlp", "vectors")
    values = _values(found)
    assert values["knn", "raw"] == 1.0
    assert ("alignment", "encoder") in values
    assert {"shown_map", "neighbor_indices", "gallery_queries"} <= set(found.arrays)
    pictures = {"shown_images", "gallery_images", "view_samples", "view_originals"}
    assert not pictures & set(found.arrays)


def test_a_time_stamp_among_the_columns_does_not_swamp_the_others(tmp_path):
    random = np.random.default_rng(0)
    labels = np.arange(600) % 3
    vectors = random.normal(size=(600, 4)) + 2 * np.eye(3, 4)[labels]
    stamps = 1.7e12 + 1000 * random.permutation(600)[:, None]  # ms, some ten minutes in all
    plain, stamped = (
        _values(_judged(tmp_path, source_from_vectors(each, labels), "mlp", "vectors"))
        for each in (vectors, np.hstack([stamps, vectors]))
    )
    for protocol in ("knn", "linear_probe"):
        assert plain[protocol, "raw"] > 0.65
        assert stamped[protocol, "raw"] > plain[protocol, "raw"] - 0.06


@pytest.mark.parametrize(("modality", "shape"), [("series", (40, 3, 10)), ("vectors", (40, 7))])
def test_the_raw_baseline_is_normalised_by_the_training_part(modality, shape):
    train, test = torch.randn(shape) * 5 + 3, torch.randn(shape)
    features = raw_features(Part(test, modality=modality), Part(train))
    by_channel = train.transpose(0, 1).flatten(1)
    sides = (-1,) + (1,) * (len(shape) - 2)
    mean, std = by_channel.mean(1).view(sides), by_channel.std(1, correction=0).view(sides)
    torch.testing.assert_close(features, ((test - mean) / std).flatten(1), atol=1e-5, rtol=1e-4)


def test_a_test_part_of_another_level_keeps_it_in_the_raw_baseline():
    train, test = np.random.default_rng(0).normal(size=(2, 40, 3))
    labels = np.arange(40) % 2
    source = source_from_vectors(train, labels, test + 5, labels)
    judged = Judged("raw", None, source)
    assert judged.train.mean(dim=0).abs().max() < 1e-5
    expected = (test + 5 - train.mean(axis=0)) / train.std(axis=0)
    torch.testing.assert_close(judged.test, torch.from_numpy(expected).float())


def test_long_series_are_averaged_for_the_baseline_and_drawn_by_their_envelope():
    series = torch.randn(4, 1, 4 * MOST_RAW_STEPS)
    part = Part(series, modality="series")
    assert raw_features(part, part).shape == (4, MOST_RAW_STEPS)
    drawn = thumbnails(part)
    assert drawn.shape == (4, 1, DRAWN_STEPS)
    pieces = series.view(4, DRAWN_STEPS // 2, -1)
    np.testing.assert_array_equal(drawn[:, 0, 0::2], pieces.amin(dim=2))
    np.testing.assert_array_equal(drawn[:, 0, 1::2], pieces.amax(dim=2))
