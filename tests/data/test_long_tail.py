from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from source_files import write_stl10

from nearfar.data.labels import class_counts
from nearfar.data.long_tail import long_tail, long_tail_sizes
from nearfar.data.source import Part, Source, StreamedExamples
from nearfar.data.sources import load_source, part_to_learn_from
from nearfar.data.specs import DigitsSpec, STL10Spec
from nearfar.errors import NearfarError, SettingError


class Numbered(StreamedExamples):
    """Image i holds the number i in its first two pixels."""

    shape = (1, 1, 2)

    def __init__(self, count):
        self.count = count

    def __len__(self):
        return self.count

    def __getitem__(self, index):
        return torch.tensor([[[index // 256, index % 256]]], dtype=torch.uint8)


def numbered_source(counts, *, streamed=False, test=4):
    """A source of classes of these sizes in mixed order, which knows its images by number."""
    labels = torch.cat([torch.full((count,), c) for c, count in enumerate(counts)])
    labels = labels[torch.randperm(len(labels), generator=torch.Generator().manual_seed(1))]
    images = Numbered(len(labels))
    held = images if streamed else torch.stack([images[i] for i in range(len(labels))])
    names = [f"{number}.png" for number in range(len(labels))]
    part = Part(held[:test] if not streamed else torch.zeros(test, 1, 1, 2, dtype=torch.uint8))
    judged = replace(part, labels=torch.arange(test) % len(counts))
    return Source("numbered", Part(held, labels, names), judged, unlabelled=part)


def numbers(part):
    shown = [part.examples[i].flatten().tolist() for i in range(len(part))]
    return [high * 256 + low for high, low in shown]


@pytest.mark.parametrize(
    ("largest", "classes", "factor", "total"),
    [
        (500, 100, 100, 10847),
        (500, 100, 50, 12608),
        (500, 100, 10, 19573),
        (5000, 10, 100, 12406),
        (5000, 10, 50, 13996),
        (5000, 10, 10, 20431),
    ],
)
def test_the_sizes_are_those_of_the_literature(largest, classes, factor, total):
    """CIFAR-100-LT and CIFAR-10-LT (Cao et al. 2019, Cui et al. 2021)."""
    sizes = long_tail_sizes(largest, float(factor), classes)
    assert int(sizes.sum()) == total
    assert (sizes[0], sizes[-1]) == (largest, largest // factor)


def test_cifar10_lt_class_by_class():
    expected = [5000, 2997, 1796, 1077, 645, 387, 232, 139, 83, 50]
    assert long_tail_sizes(5000, 100.0, 10).tolist() == expected


@given(st.integers(1, 6000), st.integers(1, 300), st.integers(2, 120))
def test_every_size_is_the_floor_in_exact_arithmetic(largest, factor, classes):
    """N ≤ L·F^(−c/(C−1)) < n + 1, without a root: n^(C−1)·F^c ≤ L^(C−1) < (n + 1)^(C−1)·F^c."""
    sizes = long_tail_sizes(largest, float(factor), classes).tolist()
    for c, size in enumerate(sizes):
        top = largest ** (classes - 1)
        assert size ** (classes - 1) * factor**c <= top < (size + 1) ** (classes - 1) * factor**c


@pytest.mark.parametrize("streamed", [False, True])
def test_each_class_keeps_so_many_of_its_own_examples(streamed):
    source = numbered_source([40] * 5, streamed=streamed)
    tail = long_tail(source, 10.0, seed=3)
    assert class_counts(tail.train, 5).tolist() == [40, 22, 12, 7, 4]
    kept = numbers(tail.train)
    assert kept == sorted(set(kept))
    assert tail.train.labels.tolist() == source.train.labels[kept].tolist()
    assert tail.train.names == [f"{number}.png" for number in kept]
    assert isinstance(tail.train.examples, StreamedExamples) is streamed
    assert tail.test is source.test
    assert tail.unlabelled is source.unlabelled
    assert "85 of 200 training examples are kept, 40 of the first class down to 4" in tail.notes[-1]


def test_the_seed_alone_chooses_and_larger_factors_keep_fewer_of_the_same():
    source = numbered_source([60, 60, 60])
    chosen = {seed: numbers(long_tail(source, 10.0, seed=seed).train) for seed in (0, 1)}
    np.random.seed(5)
    torch.manual_seed(5)
    assert numbers(long_tail(source, 10.0, seed=0).train) == chosen[0] != chosen[1]
    fewer = numbers(long_tail(source, 30.0, seed=0).train)
    assert set(fewer) < set(chosen[0])


def test_a_drawn_order_gives_other_classes_the_same_sizes():
    source = numbered_source([60] * 6)
    sizes = long_tail_sizes(60, 10.0, 6)
    orders = {}
    for seed in (0, 1, 2):
        tail = long_tail(source, 10.0, seed=seed, order="drawn")
        orders[seed] = class_counts(tail.train, 6).tolist()
        assert sorted(orders[seed], reverse=True) == sizes.tolist()
        assert "60 of the largest class down to 6, in an order that was drawn" in tail.notes[-1]
        fewer = long_tail(source, 30.0, seed=seed, order="drawn")
        assert set(numbers(fewer.train)) < set(numbers(tail.train))
        # A class that has the same size in both orders keeps the same examples.
        listed = long_tail(source, 10.0, seed=seed)
        for number, size in enumerate(sizes):
            if orders[seed][number] == size:
                assert chosen_of(tail, number) == chosen_of(listed, number)
    assert orders[0] == [60, 6, 37, 15, 23, 9]  # pinned, as the examples are
    assert len(set(map(tuple, orders.values()))) == 3


def chosen_of(source, number):
    part = source.train
    return [n for n, label in zip(numbers(part), part.labels, strict=True) if label == number]


def test_a_drawn_order_is_one_of_a_tail():
    with pytest.raises(SettingError, match=r"data\.tail_order is drawn: .*imbalance_factor"):
        load_source(DigitsSpec(tail_order="drawn"))
    tail = load_source(DigitsSpec(imbalance_factor=20.0, tail_order="drawn"))
    counts = class_counts(tail.train, 10)
    assert counts.tolist() != counts.sort(descending=True).values.tolist()


def test_the_choice_never_changes():
    """Numbers pinned: another choice would make old figures incomparable."""
    images = torch.tensor([[[[0, number]]] for number in range(12)], dtype=torch.uint8)
    source = Source("pinned", Part(images, torch.arange(12) % 2))
    assert numbers(long_tail(source, 3.0).train) == [0, 2, 3, 4, 6, 7, 8, 10]


def test_classes_of_unequal_sizes_are_thinned_from_the_smallest():
    tail = long_tail(numbered_source([90, 20, 50]), 5.0)
    assert class_counts(tail.train, 3).tolist() == [20, 8, 4]


def test_factor_one_gives_classes_of_one_size():
    tail = long_tail(numbered_source([9, 7]), 1.0)
    assert class_counts(tail.train, 2).tolist() == [7, 7]


@pytest.mark.parametrize(
    ("source", "factor", "words"),
    [
        (Source("bare", Part(torch.zeros(4, 1, 1, 1, dtype=torch.uint8))), 2.0, "no labels"),
        (numbered_source([10, 12]), 10.5, r"at most the size .*\(10 examples of class '0'"),
        (numbered_source([10, 0, 12]), 2.0, r"\(0 examples of class '1' in numbered\)"),
        (numbered_source([10]), 2.0, "two or more classes"),
        (numbered_source([10, 10]), 0.5, "at least 1"),
    ],
)
def test_what_cannot_be_thinned_is_refused_in_one_line(source, factor, words):
    with pytest.raises(SettingError, match=rf"imbalance_factor={factor:g}: .*{words}") as caught:
        long_tail(source, factor)
    assert "\n" not in str(caught.value)


def test_a_loaded_source_has_the_tail_of_its_settings():
    whole = load_source(DigitsSpec())
    config = DigitsSpec(imbalance_factor=20.0, seed=4)
    tail = load_source(config)
    assert (
        class_counts(tail.train, 10).tolist()
        == long_tail_sizes(int(class_counts(whole.train, 10).min()), 20.0, 10).tolist()
    )
    assert part_to_learn_from(tail, config) is tail.train
    assert torch.equal(tail.test.examples, whole.test.examples)
    other = load_source(replace(config, seed=5))
    assert len(other.train) == len(tail.train)
    assert not torch.equal(other.train.examples, tail.train.examples)


def test_unlabelled_examples_stay(tmp_path):
    write_stl10(tmp_path, unlabelled=5)
    labels = np.tile(np.array([1, 2], np.uint8), 2)  # 4 images of two classes
    labels.tofile(tmp_path / "stl10_binary" / "train_y.bin")
    names = tmp_path / "stl10_binary" / "class_names.txt"
    names.write_text("one\ntwo\n")
    np.ones(3, np.uint8).tofile(tmp_path / "stl10_binary" / "test_y.bin")
    for in_memory_mib in (0, 100):
        config = STL10Spec(root=tmp_path, imbalance_factor=2.0, in_memory_mib=in_memory_mib)
        source = load_source(config)
        assert (len(source.train), len(source.unlabelled)) == (3, 5)
        both = part_to_learn_from(source, replace(config, train_part="both"))
        assert len(both) == 8
        assert both.labels is None


def test_counts_are_of_labels_as_they_stand():
    part = Part(torch.zeros(4, 1, 1, 1, dtype=torch.uint8), torch.tensor([2, 0, 2, 2]))
    assert class_counts(part, 5).tolist() == [1, 0, 3, 0, 0]
    with pytest.raises(NearfarError, match="need labels"):
        class_counts(replace(part, labels=None), 5)


def test_the_number_of_classes_is_of_names_and_examples():
    source = numbered_source([3, 2])
    assert source.num_classes == 2
    assert replace(source, class_names=("a", "b", "c")).num_classes == 3
    higher = replace(source.test, labels=torch.tensor([0, 1, 7, 1]))
    assert replace(source, test=higher).num_classes == 8
    assert Source("bare", source.unlabelled).num_classes is None
