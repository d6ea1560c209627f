from dataclasses import replace

import pytest
import torch
from PIL import Image

from nearfar.data.fingerprint import part_fingerprint, part_fingerprints, source_fingerprint
from nearfar.data.source import JoinedExamples, Part, Partners, Source
from nearfar.data.sources import load_source
from nearfar.data.specs import FolderSpec


def part(seed: int = 0, count: int = 6, labels: bool = True) -> Part:
    generator = torch.Generator().manual_seed(seed)
    images = torch.randint(0, 256, (count, 1, 4, 4), dtype=torch.uint8, generator=generator)
    return Part(images, torch.arange(count) % 2 if labels else None)


def whole() -> Source:
    return Source("made", part(0), part(1), class_names=("cat", "dog"))


def test_both_fingerprints_of_a_part_are_those_of_the_part_without_and_with_its_labels():
    others = Partners(torch.arange(6)[:, None], torch.ones(6, 4, dtype=torch.uint8), "texts")
    for each in (part(), part(labels=False), replace(part(), partners=others)):
        bare = replace(each, labels=None)
        assert part_fingerprints(each) == (part_fingerprint(bare), part_fingerprint(each))
    assert (
        len({*part_fingerprints(part()), part_fingerprint(replace(part(), partners=others))}) == 3
    )


def test_the_same_data_have_the_same_fingerprint_under_any_name():
    assert source_fingerprint(whole()) == source_fingerprint(replace(whole(), name="other"))


def changed_pixel(source: Source) -> Source:
    images = source.train.examples.clone()
    images[3, 0, 2, 1] += 1
    return replace(source, train=replace(source.train, examples=images))


def changed_label(source: Source) -> Source:
    assert source.test is not None
    labels = source.test.labels.clone()
    labels[0] = 1 - labels[0]
    return replace(source, test=replace(source.test, labels=labels))


@pytest.mark.parametrize(
    "change",
    [
        changed_pixel,
        changed_label,
        lambda source: replace(source, test=None),
        lambda source: replace(source, train=part(0, labels=False)),
        lambda source: replace(source, train=source.test, test=source.train),
        lambda source: replace(source, class_names=("cat", "wolf")),
        lambda source: replace(source, train=part(0, count=7)),
    ],
)
def test_any_change_of_them_changes_it(change):
    assert source_fingerprint(change(whole())) != source_fingerprint(whole())


def test_bits_of_another_type_or_shape_are_other_data():
    zeros = Part(torch.zeros(4, 2, 8))
    assert part_fingerprint(zeros) != part_fingerprint(Part(torch.zeros(4, 16)))
    assert part_fingerprint(Part(torch.zeros(2, 4))) != part_fingerprint(Part(torch.zeros(4, 2)))


@pytest.fixture
def folder(tmp_path):
    for label in ("ant", "bee"):
        (tmp_path / label).mkdir()
        for number in range(5):
            image = Image.new("L", (8, 8), 20 * number)
            image.save(tmp_path / label / f"{number}.png")
    return tmp_path


def loaded(root, stream: bool) -> Source:
    return load_source(FolderSpec(root=root, in_memory_mib=0 if stream else 64, image_size=8))


@pytest.mark.parametrize("stream", [False, True])
def test_a_folder_keeps_it_when_it_moves_and_loses_it_when_a_picture_is_replaced(
    folder, tmp_path_factory, stream
):
    before = source_fingerprint(loaded(folder, stream))
    moved = folder.rename(tmp_path_factory.mktemp("elsewhere") / "pictures")
    assert source_fingerprint(loaded(moved, stream)) == before
    Image.effect_noise((8, 8), 90).save(moved / "ant" / "3.png")
    assert source_fingerprint(loaded(moved, stream)) != before


def test_parts_that_were_joined_count_both():
    first, second = part(0).examples, part(1).examples
    joined = JoinedExamples(first, second)
    assert part_fingerprint(Part(joined)) != part_fingerprint(Part(JoinedExamples(second, first)))
    assert part_fingerprint(Part(joined)) == part_fingerprint(Part(JoinedExamples(first, second)))


def test_files_of_one_size_are_told_apart_by_what_they_hold(tmp_path):
    def pictures(colour: int) -> Source:
        for label in ("ant", "bee"):
            (tmp_path / label).mkdir(exist_ok=True)
            for number in range(5):
                Image.new("L", (8, 8), colour).save(tmp_path / label / f"{number}.bmp")
        return loaded(tmp_path, stream=True)

    before = part_fingerprint(pictures(3).train)
    assert part_fingerprint(pictures(3).train) == before
    assert part_fingerprint(pictures(4).train) != before
