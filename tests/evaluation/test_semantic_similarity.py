"""Rank correlation of cosines with the scores of pairs of texts, and the pairs made of WordNet."""

import csv
import math

import numpy as np
import pytest
import torch
from tests.data.texts import write_nouns
from tools.wordnet_pairs import Tree, read_nouns, scored_pairs, write_pairs
from torch import nn

from nearfar.cli.train import _read
from nearfar.data.source import Part, Source
from nearfar.errors import NearfarError, SettingError
from nearfar.evaluation.evaluate import evaluate
from nearfar.evaluation.evaluation_spec import EvaluationSpec
from nearfar.evaluation.protocol_spec import ProtocolSpec
from nearfar.evaluation.semantic_similarity import rank_correlation_interval
from nearfar.evaluation.text_specs import SemanticSimilaritySpec
from nearfar.recipes.config_json import recipe_from_json, recipe_to_json
from nearfar.recipes.recipe import Recipe
from nearfar.text_bytes import encoded

TEXTS = ["waves on the shore", "a hill", "the road", "a ship on waves", "x", "some more words"]


class Letters(nn.Module):
    """Counts of a few letters: what a pair shares is easily said."""

    def forward(self, texts):
        return torch.stack([(texts == ord(each)).sum(dim=1) for each in "aesw"], dim=1).float()


class Alike(nn.Module):
    def forward(self, texts):
        return torch.ones(len(texts), 3)


@pytest.fixture
def pairs(tmp_path):
    rows = [(a, b, i * j % 7) for i, a in enumerate(TEXTS) for j, b in enumerate(TEXTS) if i != j]
    with (tmp_path / "pairs.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("sentence1", "sentence2", "score"), *rows])
    return tmp_path / "pairs.csv"


def _source(length=32):
    return Source("texts", Part(encoded(TEXTS * 3, length)[0], modality="texts"), None)


def _only(spec, **more):
    left_out = tuple(name for name in ProtocolSpec.known() if name != spec.name)
    return EvaluationSpec.by(spec, leave_out=left_out, also=(spec.name,), **more)


def _slow_ranks(values):
    """The mean of the places that equal values take."""
    return [
        sum(other < value for other in values) + (sum(other == value for other in values) + 1) / 2
        for value in values
    ]


def _slow_spearman(first, second):
    first, second = ([r - sum(each) / len(each) for r in each] for each in (first, second))
    shared = sum(a * b for a, b in zip(first, second, strict=True))
    return shared / math.sqrt(sum(a * a for a in first) * sum(b * b for b in second))


def test_it_is_the_correlation_of_ranks(pairs):
    found = evaluate(Letters(), _source(), _only(SemanticSimilaritySpec(pairs=pairs)))
    by_kind = {record.features: record for record in found.records}
    assert set(by_kind) == {"encoder", "raw"}
    with pairs.open(newline="") as file:
        rows = list(csv.DictReader(file))
    cosines = []
    for row in rows:
        one, other = ([row[c].count(x) for x in "aesw"] for c in ("sentence1", "sentence2"))
        scale = math.hypot(*one) * math.hypot(*other)
        shared = sum(a * b for a, b in zip(one, other, strict=True))
        cosines.append(round(shared / scale, 12) if scale else 0.0)
    expected = _slow_spearman(_slow_ranks(cosines), _slow_ranks([float(r["score"]) for r in rows]))
    record = by_kind["encoder"]
    assert record.value == pytest.approx(expected, abs=0.02), "equal cosines may differ by rounding"
    assert (record.metric, record.n) == ("spearman", 30)
    low, high = record.parameters["interval"]
    assert low < record.value < high
    assert record.parameters["pairs"] == "pairs.csv"
    json = [each.as_json() for each in found.records]
    assert json[0]["parameters"]["standard_error"] == pytest.approx((high - low) / 3.92, rel=1e-3)


def test_the_interval_is_bonett_and_wrights_and_holds_the_truth_as_often_as_it_says():
    assert rank_correlation_interval(1.0, 5) == (1.0, 1.0)
    low, high = rank_correlation_interval(0.5, 103)
    half = 1.96 * math.sqrt(1.125 / 100)
    assert low == pytest.approx(math.tanh(math.atanh(0.5) - half), abs=1e-4)
    assert high == pytest.approx(math.tanh(math.atanh(0.5) + half), abs=1e-4)
    draws = np.random.default_rng(0)
    truth, held = 6 / math.pi * math.asin(0.7 / 2), 0
    for _ in range(300):
        x, noise = draws.normal(size=(2, 60))
        y = 0.7 * x + math.sqrt(1 - 0.49) * noise
        rho = np.corrcoef(np.argsort(np.argsort(x)), np.argsort(np.argsort(y)))[0, 1]
        low, high = rank_correlation_interval(float(rho), 60)
        held += low <= truth <= high
    assert 0.9 < held / 300 < 0.99


def test_what_says_nothing_is_noted_and_long_texts_are_counted(pairs):
    spec = _only(SemanticSimilaritySpec(pairs=pairs), baselines=False)
    found = evaluate(Alike(), _source(8), spec)
    assert found.records == ()
    notes = " · ".join(found.notes)
    assert "semantic similarity: 30 texts of pairs are longer than 8 bytes: cut" in notes
    assert "no semantic similarity of encoder features: all pairs are equally alike" in notes
    pictures = Source("p", Part(torch.zeros(4, 1, 8, 8, dtype=torch.uint8)), None)
    found = evaluate(nn.Flatten(), pictures, spec)
    assert "semantic_similarity left out: it is of texts, these are images" in found.notes


def test_it_is_run_where_it_is_named_with_a_file(pairs, tmp_path, monkeypatch):
    words = ["simclr-digits", "--evaluation.semantic-similarity.pairs", str(pairs)]
    with pytest.raises(SettingError, match=r"run it by --evaluation.also semantic_similarity"):
        _read(words)
    evaluation = _read([*words, "--evaluation.also", "semantic_similarity"]).evaluation
    assert evaluation.of(SemanticSimilaritySpec).pairs == pairs
    with pytest.raises(SettingError, match=r"name a file of scored pairs by --evaluation.semantic"):
        EvaluationSpec(also=("semantic_similarity",))
    monkeypatch.chdir(tmp_path)
    near = EvaluationSpec.by(
        SemanticSimilaritySpec(pairs="pairs.csv"), also=("semantic_similarity",)
    )
    assert near.with_absolute_paths().of(SemanticSimilaritySpec).pairs == pairs
    near.require_files()
    assert recipe_from_json(recipe_to_json(Recipe(evaluation=near))).evaluation == near
    pairs.write_text("a,b\n1,2\n")
    with pytest.raises(NearfarError, match=r"pairs.csv: "):
        near.require_files()


def test_pairs_of_wordnet_are_scored_by_wu_and_palmer(tmp_path):
    #        1 ── 2 ── 4 ── 6
    #          └─ 3 ─┬ 5    │      (6 stands below 4 and 3)
    above = {"1": [], "2": ["1"], "3": ["1"], "4": ["2"], "5": ["3"], "6": ["4", "3"]}
    tree = Tree(above)
    assert tree.depth == {"1": 1, "2": 2, "3": 2, "4": 3, "5": 3, "6": 3}
    assert tree.similarity("4", "4") == 1
    assert tree.similarity("5", "6") == 2 * 2 / (1 + 1 + 4)
    assert tree.similarity("4", "6") == 2 * 3 / (0 + 1 + 6)
    assert tree.similarity("4", "5") == 2 * 1 / (2 + 2 + 2)

    nouns = read_nouns(write_nouns(tmp_path))
    assert nouns.definitions["00000007"] == "a noun 7, so to say"
    assert nouns.above["00000007"] == ["00000003"]
    pairs = scored_pairs(nouns, 40)
    assert len(pairs) == 40
    assert pairs == scored_pairs(nouns, 40)
    assert 0 < min(score for *_, score in pairs) < 0.5 < max(score for *_, score in pairs) < 1
    assert write_pairs(tmp_path, tmp_path / "pairs.csv") == len(scored_pairs(nouns))
    with pytest.raises(NearfarError, match=r"data\.noun"):
        read_nouns(tmp_path / "none")
