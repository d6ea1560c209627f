from dataclasses import replace

import pytest
import torch

from nearfar.data.label_noise import with_label_noise
from nearfar.data.labels import class_counts
from nearfar.data.source import Part, Source
from nearfar.data.sources import load_source, part_to_learn_from
from nearfar.data.specs import DigitsSpec, FolderSpec
from nearfar.errors import SettingError


def labelled(count, classes):
    part = Part(torch.zeros(count, 1, 1, 1, dtype=torch.uint8), torch.arange(count) % classes)
    return Source("numbered", part)


@pytest.mark.parametrize("share", [0.0, 0.15, 0.5, 1.0])
@pytest.mark.parametrize("classes", [2, 7])
def test_just_that_share_is_of_another_class(share, classes):
    source = labelled(1001, classes)
    noisy = with_label_noise(source, share)
    wrong = noisy.labels != source.train.labels
    assert int(wrong.sum()) == round(share * 1001)
    assert int(noisy.labels.min()) >= 0
    assert int(noisy.labels.max()) < classes
    assert noisy.examples is source.train.examples
    assert source.train.labels.tolist() == [i % classes for i in range(1001)]


def test_other_classes_are_drawn_alike_whatever_the_true_one():
    source = labelled(30_000, 5)
    noisy = with_label_noise(source, 0.5)
    for own in range(5):
        given = noisy.labels[(source.train.labels == own) & (noisy.labels != own)]
        counts = torch.bincount(given, minlength=5)
        assert int(counts[own]) == 0
        expected = len(given) / 4
        deviations = (counts[counts > 0] - expected) / (expected * 0.75) ** 0.5
        assert float(deviations.abs().max()) < 4.5
        assert len(given) == pytest.approx(3000, abs=4.5 * (6000 * 0.25) ** 0.5)


def test_the_seed_alone_chooses_and_a_larger_share_keeps_what_is_wrong():
    source = labelled(200, 4)
    noisy = with_label_noise(source, 0.2, seed=7).labels
    torch.manual_seed(3)
    assert torch.equal(with_label_noise(source, 0.2, seed=7).labels, noisy)
    assert not torch.equal(with_label_noise(source, 0.2, seed=8).labels, noisy)
    more = with_label_noise(source, 0.6, seed=7).labels
    wrong = noisy != source.train.labels
    assert torch.equal(more[wrong], noisy[wrong])


def test_the_choice_never_changes():
    """Numbers pinned: another choice would make old figures incomparable."""
    assert with_label_noise(labelled(8, 3), 0.5).labels.tolist() == [1, 0, 2, 0, 1, 1, 1, 1]


def test_learning_sees_the_noise_and_the_evaluation_does_not():
    clean = load_source(DigitsSpec())
    config = DigitsSpec(label_noise=0.25, imbalance_factor=10.0, held_out=0.0)
    source = load_source(config)
    learnt = part_to_learn_from(source, config)
    tail = load_source(replace(config, label_noise=0.0))
    assert torch.equal(source.train.labels, tail.train.labels)
    assert torch.equal(source.test.labels, clean.test.labels)
    count = len(source.train)
    assert int((learnt.labels != source.train.labels).sum()) == round(0.25 * count)
    assert torch.equal(learnt.examples, source.train.examples)
    counts = class_counts(learnt, 10)
    assert int(counts.sum()) == count
    assert counts.tolist() != class_counts(source.train, 10).tolist()
    assert f"{round(0.25 * count)} of the {count} labels" in source.notes[-1]


def test_without_labels_there_is_nothing_to_mix_up(tmp_path):
    config = DigitsSpec(label_noise=0.1)
    for part in (Part(torch.zeros(4, 1, 1, 1, dtype=torch.uint8)), labelled(4, 1).train):
        with pytest.raises(SettingError, match=r"data.label_noise=0.1: .* leave it out") as caught:
            part_to_learn_from(Source("bare", part), config)
        assert "\n" not in str(caught.value)
    (tmp_path / "flat").mkdir()
    from PIL import Image

    for number in range(3):
        Image.new("L", (8, 8), number).save(tmp_path / "flat" / f"{number}.png")
    with pytest.raises(SettingError, match=r"label_noise=0.1: .* no labels"):
        load_source(FolderSpec(root=tmp_path / "flat", label_noise=0.1))
