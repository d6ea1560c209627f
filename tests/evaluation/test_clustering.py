"""Clusters beside the classes, and the effective rank, as protocols."""

import numpy as np
import pytest
import torch
from torch import nn

from nearfar.cli.train import _read
from nearfar.data.source import Part, Source
from nearfar.data.sources import load_source
from nearfar.data.specs import DigitsSpec
from nearfar.errors import SettingError
from nearfar.evaluation.accuracy import LabelledFeatures
from nearfar.evaluation.clustering import choose_transform, clusters_of
from nearfar.evaluation.evaluate import evaluate
from nearfar.evaluation.evaluation_spec import EvaluationSpec
from nearfar.evaluation.geometry_specs import EffectiveRankSpec
from nearfar.evaluation.protocol_spec import ProtocolSpec
from nearfar.evaluation.retrieval_specs import ClusteringSpec
from nearfar.training.spectrum import effective_rank


def only(spec, **more):
    left_out = tuple(name for name in ProtocolSpec.known() if name != spec.name)
    return EvaluationSpec.by(spec, leave_out=left_out, also=(spec.name,), **more)


@pytest.fixture(scope="module")
def source():
    digits = load_source(DigitsSpec())
    train, test = (
        Part(part.examples[:count], part.labels[:count])
        for part, count in ((digits.train, 150), (digits.test, 80))
    )
    return Source("digits", train, test)


def slow_scores(labels, clusters):
    """NMI with arithmetic mean, and ARI, from counts of pairs and logarithms."""
    n = len(labels)
    table = np.array(
        [[np.sum((labels == a) & (clusters == b)) for b in np.unique(clusters)]
         for a in np.unique(labels)]
    )  # fmt: skip
    p, rows, columns = table / n, table.sum(axis=1) / n, table.sum(axis=0) / n
    entropy = lambda shares: -sum(s * np.log(s) for s in shares if s)  # noqa: E731
    shared = entropy(rows) + entropy(columns) - entropy(p.ravel())
    nmi = shared / ((entropy(rows) + entropy(columns)) / 2)
    two = lambda counts: float(np.sum(counts * (counts - 1) / 2))  # noqa: E731
    both, a, b = two(table), two(table.sum(axis=1)), two(table.sum(axis=0))
    chance = a * b / two(np.array([n]))
    return nmi, (both - chance) / ((a + b) / 2 - chance)


def test_the_figures_are_those_of_the_clusters_over_starts(source):
    spec = ClusteringSpec(seeds=3)
    found = evaluate(nn.Flatten(), source, only(spec, baselines=False))
    nmi, ari = found.records
    assert (nmi.protocol, ari.protocol) == ("normalised_mutual_information", "adjusted_rand_index")
    labels = source.test.labels.numpy()
    assert nmi.parameters["clusters"] == len(set(labels))
    if nmi.parameters["transform"] == "as is":
        features = source.test.examples.flatten(1).float()
        by_start = [slow_scores(labels, clusters_of(features, 10, seed=s)) for s in range(3)]
        np.testing.assert_allclose(nmi.parameters["values"], [n for n, _ in by_start])
        np.testing.assert_allclose(ari.parameters["values"], [a for _, a in by_start])
    assert nmi.value == pytest.approx(np.mean(nmi.parameters["values"]))
    assert nmi.sd == pytest.approx(np.std(nmi.parameters["values"], ddof=1))
    assert 0.3 < nmi.value < 1


def test_clusters_that_are_plain_are_found():
    labels = torch.arange(60) % 3
    features = torch.eye(3)[labels] + 0.01 * torch.randn(60, 3)
    # Length tells nothing: rows are brought to the sphere.
    found = clusters_of(features * torch.rand(60, 1).add(0.1), 3, seed=0)
    assert slow_scores(labels.numpy(), found) == pytest.approx((1, 1))


def test_the_form_is_chosen_whose_clusters_agree_best_with_the_classes():
    torch.manual_seed(0)
    labels = torch.arange(90) % 3
    # One loud column of noise hides the classes until columns have the same spread.
    features = torch.cat([50 * torch.randn(90, 1), torch.eye(3)[labels] * 3], dim=1)
    data = LabelledFeatures("encoder", features, labels, features, labels, 3)
    chosen = choose_transform(data, 0)
    scores = {
        each.name: slow_scores(labels.numpy(), clusters_of(each(features), 3, seed=0))[0]
        for each in data.transforms
    }
    assert scores[chosen.name] == max(scores.values())
    assert scores[data.transforms[0].name] < 0.5 < scores[chosen.name]


def test_more_clusters_than_examples_and_twins_are_no_error(recwarn):
    assert len(clusters_of(torch.ones(5, 2), 9, seed=0)) == 5
    assert not recwarn


def test_test_labels_choose_no_form(source):
    other = Source("digits", source.train, Part(source.test.examples, source.test.labels.flip(0)))
    spec = only(ClusteringSpec(seeds=1))
    chosen = [
        [r.parameters["transform"] for r in evaluate(nn.Flatten(), each, spec).records]
        for each in (source, other)
    ]
    assert chosen[0] == chosen[1]


def test_the_rank_is_that_of_the_training_features(source):
    found = evaluate(nn.Flatten(), source, only(EffectiveRankSpec(examples=50)))
    as_is, centred, raw, raw_centred = found.records
    assert [r.parameters["centred"] for r in (as_is, centred)] == [False, True]
    assert {r.n for r in found.records} == {50}
    draws = torch.Generator().manual_seed(0)
    rows = source.train.examples.flatten(1).float()[torch.randperm(150, generator=draws)[:50]]
    assert as_is.value == pytest.approx(effective_rank(rows))
    assert centred.value == pytest.approx(effective_rank(rows, centred=True))
    assert as_is.value < centred.value < 50
    assert raw.value == pytest.approx(as_is.value, rel=1e-4)
    assert raw_centred.value == pytest.approx(centred.value, rel=1e-4)


def test_the_rank_needs_no_labels(source):
    without = Source("pictures", Part(source.train.examples), Part(source.test.examples))
    assert len(evaluate(nn.Flatten(), without, only(EffectiveRankSpec())).records) == 4


def test_a_protocol_that_takes_long_is_run_where_it_is_named(source):
    assert not ClusteringSpec.by_default
    found = evaluate(nn.Flatten(), source, EvaluationSpec(leave_out=("knn",), baselines=False))
    assert "adjusted_rand_index" not in {r.protocol for r in found.records}
    words = ["simclr-digits", "--evaluation.clustering.seeds", "2"]
    with pytest.raises(SettingError, match=r"run it by --evaluation.also clustering"):
        _read(words)
    asked = _read([*words, "--evaluation.also", "clustering"]).evaluation
    assert asked.of(ClusteringSpec).seeds == 2
    assert "clustering" in [each.name for each in asked.chosen()]
    with pytest.raises(SettingError, match=r"unknown protocol in evaluation.also 'clusterin'"):
        EvaluationSpec(also=("clusterin",))
