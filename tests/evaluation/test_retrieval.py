"""Retrieval beside a slow reference that ranks everything, and what it must not do."""

import io
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console
from sklearn.metrics import average_precision_score, label_ranking_average_precision_score
from torch import nn

from nearfar.data.source import Part, Source
from nearfar.data.sources import load_source
from nearfar.data.specs import DigitsSpec
from nearfar.errors import NearfarError, SettingError
from nearfar.evaluation import retrieval
from nearfar.evaluation.evaluate import evaluate
from nearfar.evaluation.evaluation_spec import EvaluationSpec
from nearfar.evaluation.protocol_spec import ProtocolSpec
from nearfar.evaluation.retrieval import Retrieved, queries_asked, retrieve
from nearfar.evaluation.retrieval_specs import RetrievalSpec
from nearfar.recipes.console import print_scores
from nearfar.report.run_files import _check_identity
from nearfar.report.score_tables import score_cell
from nearfar.report.scores import score_rows
from nearfar.spec import as_spec

ALL_BUT = tuple(name for name in ProtocolSpec.known() if name != "retrieval")

LOOKED_UP, SORTED = 0, 10**9
"""Values of `MANY` by which every query has its neighbours looked up, or the gallery sorted."""


def retrieved(many, *sets, own=None):
    """What is found in one of the two ways, which small sets would not choose by themselves."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(retrieval, "MANY", many)
        return retrieve(*sets, own=own)


def slow(queries, query_labels, gallery, gallery_labels, own=None):
    """Place of the first hit and average precision at R of every query, all ranked in float64."""
    found = []
    unit = [row / np.linalg.norm(row) for row in gallery.double().numpy()]
    for number, query in enumerate(queries.double().numpy()):
        similarities = [float(row @ query) / np.linalg.norm(query) for row in unit]
        order = sorted(range(len(unit)), key=lambda row: -similarities[row])
        order = [row for row in order if own is None or row != int(own[number])]
        hits = [int(gallery_labels[row]) == int(query_labels[number]) for row in order]
        if not any(hits):
            continue
        total = sum(hits)
        precisions = [sum(hits[: i + 1]) / (i + 1) for i in range(total) if hits[i]]
        found.append((hits.index(True) + 1, sum(precisions) / total))
    return found


def rows(seed, count, dim=5, classes=4):
    draws = torch.Generator().manual_seed(seed)
    return (
        torch.randn(count, dim, generator=draws),
        torch.randint(classes, (count,), generator=draws),
    )


@pytest.mark.parametrize("many", [LOOKED_UP, SORTED])
@settings(deadline=None)
@given(st.integers(2, 40), st.integers(1, 9), st.integers(0, 10**6))
def test_within_one_set_it_is_the_slow_ranking(many, count, classes, seed):
    features, labels = rows(seed, count, classes=classes)
    own = torch.arange(count)
    expected = slow(features, labels, features, labels, own)
    found = retrieved(many, features, labels, features, labels, own=own)
    assert sorted(found.first.tolist()) == sorted(first for first, _ in expected)
    np.testing.assert_allclose(
        sorted(found.precision.tolist()), sorted(value for _, value in expected), atol=1e-12
    )


@pytest.mark.parametrize("many", [LOOKED_UP, SORTED])
@settings(deadline=None)
@given(st.integers(1, 20), st.integers(1, 40), st.integers(0, 10**6))
def test_across_two_sets_too(many, asking, count, seed):
    queries, asked = rows(seed, asking)
    gallery, labels = rows(seed + 1, count)
    expected = slow(queries, asked, gallery, labels)
    found = retrieved(many, queries, asked, gallery, labels)
    assert len(found.first) == len(expected)
    if expected:
        first, precision = zip(*expected, strict=True)
        assert found.reciprocal_rank == pytest.approx(np.mean([1 / each for each in first]))
        assert found.map_at_r == pytest.approx(np.mean(precision))
        for k in (1, 3):
            assert found.recall(k) == pytest.approx(np.mean([each <= k for each in first]))


def test_perfect_and_reversed_rankings_are_those_of_scikit_learn():
    features, labels = rows(3, 60)
    found = retrieve(features, labels, features[:40], labels[:40])
    unit = features / features.norm(dim=1, keepdim=True)
    scores, truth = (unit @ unit[:40].T).numpy(), (labels[:, None] == labels[:40]).numpy()
    # Whole average precision, where at-R counts no hit beyond the R nearest, is no lower.
    whole = np.mean([average_precision_score(t, s) for t, s in zip(truth, scores, strict=True)])
    assert found.map_at_r <= whole
    one_each = np.zeros_like(truth)
    first = [
        max(range(40), key=lambda row: s[row] if t[row] else -9)
        for t, s in zip(truth, scores, strict=True)
    ]
    one_each[range(60), first] = True
    # With one relevant example each, MRR is scikit-learn's label ranking average precision among
    # the others; here all nearer ones are of other classes, so that the two agree.
    mrr = label_ranking_average_precision_score(one_each, scores)
    assert found.reciprocal_rank == pytest.approx(mrr)


@pytest.mark.parametrize("many", [LOOKED_UP, SORTED])
def test_an_example_is_never_its_own_find_even_among_twins(many):
    features, own = torch.ones(6, 3), torch.arange(6)
    labels = torch.tensor([0, 0, 1, 1, 2, 2])
    found = retrieved(many, features, labels, features, labels, own=own)
    assert len(found.first) == 6
    alone = retrieved(many, features, own, features, own, own=own)
    assert len(alone.first) == 0


def test_many_blocks_are_one(monkeypatch):
    features, labels = rows(5, 80)
    monkeypatch.setattr(retrieval, "MANY", LOOKED_UP)
    whole = retrieve(features, labels, features, labels, own=torch.arange(80))
    monkeypatch.setattr("nearfar.evaluation.retrieval.BLOCK", 50)
    parts = retrieve(features, labels, features, labels, own=torch.arange(80))
    assert torch.equal(whole.first, parts.first)
    torch.testing.assert_close(whole.precision, parts.precision, rtol=1e-12, atol=0)


def test_what_is_not_finite_is_refused():
    features, labels = rows(0, 4)
    features[1, 0] = torch.nan
    with pytest.raises(NearfarError, match=r"not finite|NaN"):
        retrieve(features, labels, features, labels)


@pytest.fixture(scope="module")
def source():
    digits = load_source(DigitsSpec())
    train, test = (
        Part(part.examples[:count], part.labels[:count])
        for part, count in ((digits.train, 200), (digits.test, 50))
    )
    return Source("digits", train, test)


@pytest.mark.parametrize("gallery", ["test", "train"])
def test_its_records_are_those_of_the_features(source, gallery):
    spec = EvaluationSpec.by(RetrievalSpec(gallery=gallery, ranks=(1, 3)), leave_out=ALL_BUT)
    found = evaluate(nn.Flatten(), source, spec)
    told = {(r.protocol, r.features, r.parameters.get("k")) for r in found.records}
    names = [("recall", 1), ("recall", 3), ("map_at_r", None), ("reciprocal_rank", None)]
    assert told == {(name, kind, k) for name, k in names for kind in ("encoder", "raw")}
    # Flatten's features are the pixels: both kinds read the same.
    by_kind = [[r.value for r in found.records if r.features == k] for k in ("encoder", "raw")]
    np.testing.assert_allclose(*by_kind, atol=1e-3)
    recall_1, recall_3, map_at_r, mrr = by_kind[0]
    assert 0.5 < recall_1 <= recall_3 <= 1
    assert map_at_r < mrr
    assert recall_1 <= mrr


def test_test_labels_and_images_choose_nothing(source):
    spec = EvaluationSpec.by(leave_out=ALL_BUT)
    other = Source("digits", source.train, Part(source.test.examples.flip(0), source.test.labels))
    chosen = [
        [r.parameters["transform"] for r in evaluate(nn.Flatten(), each, spec).records]
        for each in (source, other)
    ]
    assert chosen[0] == chosen[1]


def test_fewer_queries_search_the_same_gallery(source):
    spec = EvaluationSpec.by(RetrievalSpec(queries=7), leave_out=ALL_BUT, baselines=False)
    assert {r.n for r in evaluate(nn.Flatten(), source, spec).records} == {7}


def test_how_many_ask_is_said_with_the_error_of_the_draw(source):
    def found_by(queries):
        spec = RetrievalSpec(queries=queries, ranks=(1, 5))
        spec = EvaluationSpec.by(spec, leave_out=ALL_BUT, baselines=False, seed=3)
        return evaluate(nn.Flatten(), source, spec)

    whole, some, again = found_by("all"), found_by(20), found_by(20)
    assert some.records == again.records  # drawn by the seed
    assert found_by("auto").records == whole.records  # of 50 all ask unasked
    assert not any({"of", "standard_error"} & record.parameters.keys() for record in whole.records)
    assert not any(" ask," in note for note in whole.notes)
    labels = source.test.labels
    can_find = int((torch.bincount(labels)[labels] > 1).sum())
    for record in some.records:
        assert (record.parameters["queries"], record.parameters["of"]) == (record.n, can_find)
        if record.protocol == "recall":
            p, n = record.value, record.n
            expected = (p * (1 - p) / (n - 1) * (1 - n / can_find)) ** 0.5
            assert record.parameters["standard_error"] == pytest.approx(expected)
    assert any("20 of 50 examples ask" in note for note in some.notes)
    (row, *_) = score_rows([record.as_json() for record in some.records])
    assert row.detail == f"k = 1, gallery = test part, {some.records[0].n} of {can_find} queries"
    for record in (*whole.records, *some.records):
        _check_identity(record.as_json(), Path("evaluation.json"))
    damaged = some.records[0].as_json()
    damaged["parameters"] = {**damaged["parameters"], "of": "many"}
    with pytest.raises(NearfarError, match="recall: its of is 'many'"):
        _check_identity(damaged, Path("evaluation.json"))
    cell = score_cell(row.scores["encoder"], is_accuracy=False)
    assert cell["spread"] == f"± {some.records[0].parameters['standard_error']:.3f}"
    told = Console(width=200, file=io.StringIO())
    print_scores(told, [record.as_json() for record in some.records], some.notes)
    assert f"{cell['value']} {cell['spread']}" in told.file.getvalue()


@pytest.mark.parametrize(("gallery", "of"), [("test", 26), ("train", 30)])
def test_a_query_that_has_nothing_to_find_is_none_of_those_that_could_ask(source, gallery, of):
    """The last four are the only ones of their class in the test part."""
    labels = torch.cat([torch.arange(26) % 6, torch.arange(6, 10)])
    some = Source("digits", source.train, Part(source.test.examples[:30], labels))
    spec = RetrievalSpec(gallery=gallery, queries=20, ranks=(1,))
    spec = EvaluationSpec.by(spec, leave_out=ALL_BUT, baselines=False)
    (found, *_) = evaluate(nn.Flatten(), some, spec).records
    alone = 20 - found.n
    assert found.parameters["of"] == of
    assert (alone > 0) == (gallery == "test")


def test_the_standard_error_is_the_spread_of_draws():
    """Of samples without replacement from a set of known values."""
    values = torch.rand(200, generator=torch.Generator().manual_seed(0)).double() ** 3
    draws = [
        values[torch.randperm(200, generator=torch.Generator().manual_seed(seed))[:50]]
        for seed in range(2000)
    ]
    spread = float(torch.stack([each.mean() for each in draws]).std())
    found = Retrieved(torch.ones(50, dtype=torch.int64), values[:50])
    told = [found.standard_error(each, 200) for each in draws]
    assert np.mean(told) == pytest.approx(spread, rel=0.05)


@pytest.mark.parametrize(
    ("queries", "examples", "gallery", "asked"),
    [
        ("auto", 50, 50, 50),
        ("auto", 10_000, 10_000, 2000),
        ("auto", 10_000, 600_000, 2000),
        ("auto", 10_000, 2_400_000, 500),
        ("auto", 10_000, 10**9, 100),
        ("auto", 60, 10**9, 60),
        (7, 50, 10**9, 7),
        (5000, 10_000, 10**9, 5000),
        ("all", 10_000, 10**9, 10_000),
    ],
)
def test_fewer_ask_where_all_would_take_minutes(queries, examples, gallery, asked):
    assert queries_asked(RetrievalSpec(queries=queries), examples, gallery) == asked


def test_a_number_of_queries_may_be_a_word():
    assert as_spec(RetrievalSpec, {"queries": "all"}).queries == "all"
    for wrong in ("most", 0):
        with pytest.raises(SettingError, match=r"evaluation.retrieval.queries"):
            RetrievalSpec(queries=wrong)


def test_classes_of_one_example_are_told(source):
    alone = Part(source.test.examples[:10], torch.arange(10))
    spec = EvaluationSpec.by(leave_out=ALL_BUT, baselines=False)
    found = evaluate(nn.Flatten(), Source("digits", source.train, alone), spec)
    assert found.records == ()
    assert "retrieval of the encoder left out: no class has two examples" in found.notes


def test_no_rank_is_refused():
    with pytest.raises(SettingError, match=r"evaluation.retrieval.ranks is empty"):
        RetrievalSpec(ranks=())


@settings(deadline=None, max_examples=30)
@given(st.integers(2, 60), st.integers(1, 5), st.integers(0, 10**6), st.booleans())
def test_sorted_whole_it_is_the_slow_ranking(count, classes, seed, within):
    features, labels = rows(seed, count, classes=classes)
    own = torch.arange(count) if within else None
    expected = slow(features, labels, features, labels, own)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(retrieval, "MANY", 10**9)
        patch.setattr(retrieval, "SORTED_BLOCK", 3 * count)
        patch.setattr(retrieval, "_ROUND", 7)
        told = []
        found = retrieve(features, labels, features, labels, own=own, told=told.append)
    assert sorted(found.first.tolist()) == sorted(first for first, _ in expected)
    np.testing.assert_allclose(
        sorted(found.precision.tolist()), sorted(value for _, value in expected), atol=1e-12
    )
    assert not expected or told[-1] == 1


def test_a_collapsed_encoder_finds_nothing_better_than_chance():
    labels = torch.randint(2, (400,), generator=torch.Generator().manual_seed(0))
    found = retrieve(torch.ones(400, 4), labels, torch.ones(400, 4), labels, own=torch.arange(400))
    assert 0.1 < found.map_at_r < 0.4
    assert 0.3 < found.recall(1) < 0.7
