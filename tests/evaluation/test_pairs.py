"""Retrieval across kinds, zero-shot classes, alignment and gap against slow loops."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from nearfar.data.file_faults import Faults
from nearfar.data.source import Part, Partners, Source, StreamedExamples
from nearfar.errors import SettingError
from nearfar.evaluation.evaluate import evaluate
from nearfar.evaluation.evaluation_spec import EvaluationSpec
from nearfar.evaluation.judged import Towers
from nearfar.evaluation.pair_specs import PairRetrievalSpec, ZeroShotSpec
from nearfar.evaluation.pairs import distinct, ranks_across
from nearfar.text_bytes import decoded, encoded


def by_hand(queries, gallery, belonging):
    """Places by counting, in Python's own numbers."""
    places = []
    for query in range(len(queries)):
        cosines = [
            float(nn.functional.cosine_similarity(queries[query], each, dim=0)) for each in gallery
        ]
        own = [each for asked, each in belonging.tolist() if asked == query]
        best = max(cosines[each] for each in own)
        others = [cosine for each, cosine in enumerate(cosines) if each not in own]
        nearer = sum(cosine > best for cosine in others)
        places.append(1 + nearer + sum(cosine == best for cosine in others) / 2)
    return places


def test_ranks_are_those_of_counting_with_several_that_belong():
    generator = torch.Generator().manual_seed(0)
    queries, gallery = (torch.randn(n, 4, generator=generator) for n in (7, 11))
    own = torch.stack([torch.arange(7), torch.arange(7)], dim=1)
    more = torch.tensor([[0, 9], [3, 10], [3, 8]])
    belonging = torch.cat([own, more])
    found = ranks_across(1e3 * queries, gallery, belonging)
    assert found.place.tolist() == by_hand(queries, gallery, belonging)
    assert found.relevant.tolist() == [2, 1, 1, 3, 1, 1, 1]
    places = np.array(found.place)
    assert found.recall(3) == pytest.approx((places <= 3).mean())
    assert found.median == pytest.approx(np.median(places))
    # Chance by drawing.
    random = np.random.RandomState(0)
    drawn = [
        np.mean([random.permutation(11)[:many].min() < 3 for many in found.relevant.tolist()])
        for _ in range(4000)
    ]
    assert found.chance_recall(3) == pytest.approx(np.mean(drawn), abs=0.02)
    assert found.chance_recall(100) == 1.0


def test_what_cannot_be_told_apart_is_found_as_by_guessing():
    own = torch.arange(9).repeat(2, 1).T
    found = ranks_across(torch.ones(9, 3), torch.ones(9, 3), own)
    assert found.place.tolist() == [5.0] * 9
    assert found.median == found.chance_median == 5.0
    assert found.recall(1) == 0.0


def test_equal_rows_are_one():
    firsts, numbers = distinct(torch.tensor([[1, 2], [3, 4], [1, 2], [3, 5], [3, 4]]))
    assert firsts.tolist() == [0, 1, 3]
    assert numbers.tolist() == [0, 1, 0, 2, 1]


class _Images(nn.Module):
    """The image's first pixel as a direction of ten."""

    def forward(self, images):
        return torch.eye(10)[images[:, 0, 0, 0].long() % 10] + 0.01


class _Texts(nn.Module):
    """The last digit of a text as that direction; without one another."""

    def forward(self, texts):
        rows = []
        for text in decoded(texts):
            digits = [each for each in text if each.isdigit()]
            rows.append(torch.eye(10)[int(digits[-1])] if digits else -torch.ones(10))
        return torch.stack(rows) + 0.02


def source(count=40, several=False):
    images = torch.arange(count, dtype=torch.uint8).view(-1, 1, 1, 1).repeat(1, 1, 4, 4)
    # Four images of a class: every text is one that others have too.
    texts, _ = encoded([f"class {number % 10}" for number in range(count)], 16)
    rows = torch.arange(count)[:, None]
    if several:
        rows = torch.cat([rows, (rows + 10) % count], dim=1)
    part = Part(images, torch.arange(count) % 10, partners=Partners(rows, texts, "texts"))
    names = tuple(f"kind_{number}" for number in range(10))
    return Source("pairs", part, part, class_names=names)


SPEC = EvaluationSpec.by(
    PairRetrievalSpec(ranks=(1, 5)),
    leave_out=("few_labels", "linear_probe", "map", "gallery", "geometry", "retrieval", "knn"),
)


def judged(data, first, second, **more):
    towers = {"encoder": Towers(first, second), "untrained": Towers(first, _Blind())}
    return evaluate(first, data, SPEC, towers=towers, untrained=first, **more)


class _Blind(nn.Module):
    def forward(self, texts):
        return torch.ones(len(texts), 10)


def figures(found):
    return {
        (each.protocol, each.features, each.metric, *each.parameters.values()): each.value
        for each in found.records
    }


@pytest.mark.parametrize("several", [False, True])
def test_perfect_encoders_find_everything_and_blind_ones_guess(several):
    found = figures(judged(source(several=several), _Images(), _Texts()))
    # Ten texts are left of forty: equal ones count once.
    for asks, gallery in (("images", 10), ("texts", 40)):
        assert found["pair_recall", "encoder", "mean", 1, asks, gallery] == 1.0
        assert found["pair_median_rank", "encoder", "mean", asks, gallery] == 1.0
    assert found["pair_recall", "chance", "mean", 5, "images", 10] == pytest.approx(0.5)
    assert found["pair_median_rank", "untrained", "mean", "images", 10] == 5.5
    assert found["zero_shot", "encoder", "top1", 2] == 1.0
    assert found["zero_shot", "encoder", "top5", 2] == 1.0
    assert found["zero_shot", "chance", "top1", 2] == pytest.approx(0.1)
    assert found["pair_alignment", "encoder", "mean"] < 0.01
    assert found["modality_gap", "encoder", "mean"] < 0.05
    assert found["modality_gap", "untrained", "mean"] > 0.5


class _Damaged(StreamedExamples):
    """Images of which one cannot be read, and the next stands in for it."""

    def __init__(self, images, lost, name):
        self.images, self.lost, self.shape = images, lost, tuple(images.shape[1:])
        self.faults, self.name = Faults("x", total=40, kind="image", max_corrupt=0.1), name

    def __len__(self):
        return len(self.images)

    def __getitem__(self, index):
        if index == self.lost:
            self.faults.add([(self.name, "cut short")])
        return self.images[index + (index == self.lost)]


def test_a_pair_for_which_another_stood_in_judges_nothing():
    whole = source(count=10)
    names = [f"{number}.png" for number in range(10)]
    examples = _Damaged(whole.train.examples, 3, names[3])
    part = replace(whole.train, examples=examples, names=names)
    data = replace(whole, train=part, test=part)
    found = judged(data, _Images(), _Texts(), workers=0)
    for asks in ("images", "texts"):
        assert figures(found)["pair_recall", "encoder", "mean", 1, asks, 9] == 1.0
    counts = {each.n for each in found.records if each.protocol.startswith("pair_")}
    assert counts == {9}
    assert figures(found)["pair_alignment", "encoder", "mean"] < 0.01


def test_nothing_is_asked_of_pairs_where_there_are_none():
    data = source()
    plain = Part(data.train.examples, data.train.labels)
    alone = Source("images", plain, plain, class_names=data.class_names)
    found = judged(alone, _Images(), _Texts())
    assert not any(each.protocol.startswith(("pair", "zero")) for each in found.records)
    without = evaluate(_Images(), data, SPEC)
    assert not any(each.protocol.startswith(("pair", "zero")) for each in without.records)


def test_classes_without_names_are_left_out_with_a_note():
    data = source()
    numbers = Source("pairs", data.train, data.test, class_names=tuple(map(str, range(10))))
    found = judged(numbers, _Images(), _Texts())
    assert "zero-shot left out: the classes have no names, only numbers" in found.notes


def test_templates_have_one_place_for_the_name():
    assert ZeroShotSpec(templates=("{name} {}",)).templates == ("{name} {}",)
    for templates in ((), ("a picture",), ("{} {}",)):
        with pytest.raises(SettingError, match="templates"):
            ZeroShotSpec(templates=templates)
