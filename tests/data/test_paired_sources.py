"""Pairs of two kinds: how they are found, kept together, and refused."""

import io
import json
import tarfile

import numpy as np
import pytest
import torch
from PIL import Image

from nearfar.data.batches import TrainingBatches
from nearfar.data.fingerprint import part_fingerprint
from nearfar.data.held_out import hold_out
from nearfar.data.paired_arrays import source_from_pairs
from nearfar.data.paired_specs import (
    CaptionedFolderSpec,
    CaptionedTableSpec,
    ImagePairsNpzSpec,
    SeriesPairsNpzSpec,
    VectorPairsNpzSpec,
    WebDatasetSpec,
)
from nearfar.data.source import Part, Partners, StreamedExamples, choose
from nearfar.data.sources import load_source
from nearfar.errors import NearfarError, SettingError
from nearfar.text_bytes import decoded, encoded


def picture(level):
    held = io.BytesIO()
    Image.new("L", (8, 8), level).save(held, "PNG")
    return held.getvalue()


def write(path, level):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(picture(level))


def texts_by_level(part):
    """What each image is paired with, by its grey level."""
    others = decoded(part.partners.others)
    levels = [int(part.examples[row].flatten()[0]) for row in range(len(part))]
    return {
        level: [others[place] for place in rows if place >= 0]
        for level, rows in zip(levels, part.partners.rows.tolist(), strict=True)
    }


def all_texts(source):
    parts = [part for part in (source.train, source.test) if part is not None]
    return {level: texts for part in parts for level, texts in texts_by_level(part).items()}


# Tables


def table(tmp_path, text, count=6, **settings):
    for number in range(count):
        write(tmp_path / f"{number}.png", number)
    path = tmp_path / "table.csv"
    path.write_text(text, encoding="utf-8")
    return load_source(CaptionedTableSpec(**{"root": path, "test_fraction": 0.0} | settings))


SIX = "file,caption,kind\n" + "".join(
    f"{n}.png,picture of number {n},{'ab'[n % 2]}\n" for n in range(6)
)


def test_columns_of_a_table_are_guessed_and_said(tmp_path):
    source = table(tmp_path, SIX)
    assert texts_by_level(source.train) == {n: [f"picture of number {n}"] for n in range(6)}
    assert source.train.labels.tolist() == [0, 1, 0, 1, 0, 1]
    assert source.train.partners.modality == "texts"
    assert source.notes[:2] == (
        "texts are in column caption",
        "paths are in column file, labels in kind",
    )


def test_a_file_in_several_rows_has_several_texts(tmp_path):
    source = table(tmp_path, SIX + "3.png,another three,b\n")
    assert texts_by_level(source.train)[3] == ["picture of number 3", "another three"]
    assert source.train.partners.rows.shape == (6, 2)
    assert "train: 7 texts of 6 images" in source.notes


def test_texts_stay_with_their_images_in_every_part(tmp_path):
    lines = [f"{n}.png,picture of number {n},{'ab'[n % 2]}\n" for n in range(20)]
    source = table(tmp_path, "file,caption,kind\n" + "".join(lines), 20, test_fraction=0.3)
    assert len(source.test) == 6
    assert all_texts(source) == {n: [f"picture of number {n}"] for n in range(20)}
    taught = hold_out(source, CaptionedTableSpec(held_out=0.3))
    for part in (taught.source.train, taught.held_out):
        for level, texts in texts_by_level(part).items():
            assert texts == [f"picture of number {level}"]


def test_rows_without_a_text_and_missing_pictures_are_counted(tmp_path):
    text = SIX.replace("picture of number 2", " ")
    source = table(tmp_path, text)
    assert sorted(texts_by_level(source.train)) == [0, 1, 3, 4, 5]
    assert "left out 1 row without a text" in source.notes
    (tmp_path / "gone").mkdir()
    with pytest.raises(NearfarError, match=r"1 of 7 images cannot be read.*9\.png"):
        table(tmp_path, SIX + "9.png,gone for good,a\n")
    source = table(tmp_path, SIX + "9.png,gone for good,a\n", max_corrupt=0.5)
    assert len(source.train) == 6
    assert any("skipped 1 of 7 images" in note for note in source.notes)


def test_a_table_without_texts_is_refused_with_its_columns(tmp_path):
    with pytest.raises(
        NearfarError, match=r"no column of several words .*\(there are kind\): name"
    ):
        table(tmp_path, "file,kind\n" + "".join(f"{n}.png,{'ab'[n % 2]}\n" for n in range(6)))
    with pytest.raises(SettingError, match="did you mean 'caption'"):
        table(tmp_path, SIX, text_column="captoin")
    with pytest.raises(NearfarError, match="column caption: there is no text in it"):
        table(tmp_path, "file,caption,kind\n0.png,,a\n1.png, ,b\n", text_column="caption")


def test_long_and_hostile_texts_are_cut_and_counted(tmp_path):
    text = SIX.replace("picture of number 4", '"\x1b[31mred <script>' + "é" * 50 + '"')
    source = table(tmp_path, text, length=32)
    assert texts_by_level(source.train)[4][0].startswith("\x1b[31mred <script>é")
    assert any("1 of 6 texts are longer than data.length=32" in note for note in source.notes)


# Folders


def folder(tmp_path, count=6, where=lambda n: f"{n}"):
    for number in range(count):
        write(tmp_path / f"{where(number)}.png", number)
        (tmp_path / f"{where(number)}.txt").write_text(f"number\n {number}\n", encoding="utf-8")
    return CaptionedFolderSpec(root=tmp_path, test_fraction=0.0)


def test_texts_of_the_same_names(tmp_path):
    source = load_source(folder(tmp_path))
    assert texts_by_level(source.train) == {n: [f"number {n}"] for n in range(6)}
    assert source.train.labels is None


def test_parts_and_classes_of_a_folder_are_those_of_images(tmp_path):
    spec = folder(tmp_path, 8, lambda n: f"{('train', 'test')[n % 2]}/{'ab'[n // 4]}/{n}")
    source = load_source(spec)
    assert source.class_names == ("a", "b")
    assert texts_by_level(source.train) == {n: [f"number {n}"] for n in (0, 2, 4, 6)}
    assert texts_by_level(source.test) == {n: [f"number {n}"] for n in (1, 3, 5, 7)}


def test_what_does_not_pair_is_refused_or_counted(tmp_path):
    spec = folder(tmp_path)
    (tmp_path / "2.txt").unlink()
    (tmp_path / "x.txt").write_text("nobody's", encoding="utf-8")
    with pytest.raises(
        NearfarError, match=r"1 image without a text \(2\.png\) and 1 text without "
    ):
        load_source(spec)
    source = load_source(CaptionedFolderSpec(root=tmp_path, test_fraction=0.0, max_corrupt=0.5))
    assert sorted(texts_by_level(source.train)) == [0, 1, 3, 4, 5]
    assert any("left out 1 image without a text" in note for note in source.notes)


def test_empty_texts_and_texts_of_no_encoding_count_as_unreadable(tmp_path):
    spec = folder(tmp_path)
    (tmp_path / "1.txt").write_text(" \n", encoding="utf-8")
    (tmp_path / "3.txt").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(
        NearfarError, match=r"2 of 6 texts cannot be read.*1\.txt \(empty\), 3\.txt"
    ):
        load_source(spec)
    source = load_source(CaptionedFolderSpec(root=tmp_path, test_fraction=0.0, max_corrupt=0.5))
    assert sorted(texts_by_level(source.train)) == [0, 2, 4, 5]


def test_a_folder_without_texts_or_images_is_refused(tmp_path):
    for number in range(3):
        write(tmp_path / f"{number}.png", number)
    with pytest.raises(NearfarError, match="3 images without a text"):
        load_source(CaptionedFolderSpec(root=tmp_path))


def test_pages_are_no_images_of_their_own(tmp_path):
    with pytest.raises(SettingError, match=r"data\.pages is each"):
        CaptionedFolderSpec(root=tmp_path, pages="each")


# WebDataset


def tar(path, members, mode="w"):
    with tarfile.open(path, mode) as archive:
        for name, content in members:
            if isinstance(content, tarfile.TarInfo):
                archive.addfile(content)
                continue
            content = content if isinstance(content, bytes) else content.encode()
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return path


def shard(count=6, first=0, text=lambda n: ("txt", f"number {n}"), label=True):
    members = []
    for n in range(first, first + count):
        ending, content = text(n)
        members += [(f"a.b/{n:04}.png", picture(n)), (f"a.b/{n:04}.{ending}", content)]
        members += [(f"a.b/{n:04}.cls", str(n % 2))] if label else []
    return members


def test_a_tar_file(tmp_path):
    path = tar(tmp_path / "data.tar", shard())
    source = load_source(WebDatasetSpec(root=path, test_fraction=0.0))
    assert texts_by_level(source.train) == {n: [f"number {n}"] for n in range(6)}
    assert source.train.labels.tolist() == [0, 1, 0, 1, 0, 1]
    assert source.train.names[2] == "data.tar/a.b/0002"


def test_shards_of_a_folder_are_parts_and_may_be_compressed(tmp_path):
    tar(tmp_path / "train-0.tar", shard(3))
    tar(tmp_path / "train-1.tar", shard(3, 3), "w:gz")
    tar(tmp_path / "test-0.tar", shard(2, 6))
    source = load_source(WebDatasetSpec(root=tmp_path))
    assert (len(source.train), len(source.test)) == (6, 2)
    assert all_texts(source) == {n: [f"number {n}"] for n in range(8)}


def test_texts_in_json_members(tmp_path):
    def text(n):
        return "json", json.dumps({"caption": f"number {n}", "alt": f"other {n}", "label": n % 3})

    path = tar(tmp_path / "data.tar", shard(text=text, label=False))
    source = load_source(WebDatasetSpec(root=path, test_fraction=0.0))
    assert texts_by_level(source.train) == {n: [f"number {n}"] for n in range(6)}
    assert source.train.labels.tolist() == [0, 1, 2, 0, 1, 2]
    source = load_source(WebDatasetSpec(root=path, test_fraction=0.0, text_key="alt"))
    assert texts_by_level(source.train)[5] == ["other 5"]
    with pytest.raises(NearfarError, match=r"6 images without a text.*alt, caption, label"):
        load_source(WebDatasetSpec(root=path, text_key="nothing"))


def test_nothing_of_a_tar_file_is_unpacked_or_followed(tmp_path):
    link = tarfile.TarInfo("a.b/0009.png")
    link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
    members = [*shard(), ("../../evil.png", picture(7)), ("../../evil.txt", "number 7")]
    (tmp_path / "in").mkdir()
    path = tar(tmp_path / "in" / "data.tar", [*members, ("", link)])
    source = load_source(WebDatasetSpec(root=path, test_fraction=0.0))
    assert sorted(texts_by_level(source.train)) == [0, 1, 2, 3, 4, 5, 7]
    assert sorted(each.name for each in tmp_path.rglob("*")) == ["data.tar", "in"]


def test_damaged_tar_files_and_what_does_not_pair(tmp_path):
    whole = tar(tmp_path / "whole.tar", shard()).read_bytes()
    cut = tmp_path / "cut.tar"
    cut.write_bytes(whole[: len(whole) // 2 + 100])
    with pytest.raises(NearfarError, match="not a readable tar file"):
        load_source(WebDatasetSpec(root=cut))
    cut.write_bytes(b"not a tar file")
    with pytest.raises(NearfarError, match="not a readable tar file"):
        load_source(WebDatasetSpec(root=cut))
    alone = [*shard(), ("a.b/0007.png", picture(7)), ("a.b/0008.txt", "eight")]
    path = tar(tmp_path / "alone.tar", alone)
    with pytest.raises(NearfarError, match=r"1 image without a text .* and 1 text without"):
        load_source(WebDatasetSpec(root=path))
    assert len(load_source(WebDatasetSpec(root=path, max_corrupt=0.5)).train) == 4
    path = tar(tmp_path / "two.tar", [*shard(), ("a.b/0000.jpg", picture(0))])
    with pytest.raises(NearfarError, match="are two images of one name"):
        load_source(WebDatasetSpec(root=path))


# Arrays


def arrays(count=10, **others):
    random = np.random.RandomState(0)
    held = {
        "images": random.randint(0, 256, (count, 8, 8)).astype(np.uint8),
        "series": random.randn(count, 2, 16),
        "vectors": random.randn(count, 5) + 1e12,
        "texts": np.array([f"text {n}" for n in range(count)]),
    }
    return held | others


SPECS = {
    "images": ImagePairsNpzSpec,
    "series": SeriesPairsNpzSpec,
    "vectors": VectorPairsNpzSpec,
}


@pytest.mark.parametrize(
    "kinds",
    [("images", "images"), ("series", "texts"), ("vectors", "vectors"), ("images", "series")],
)
def test_two_arrays_of_any_kinds(tmp_path, kinds):
    held = arrays()
    path = tmp_path / "pairs.npz"
    np.savez(path, first=held[kinds[0]], second=held[kinds[1]], labels=np.arange(10) % 2)
    spec = SPECS[kinds[0]](root=path, second_kind=kinds[1])
    source = load_source(spec)
    assert (source.modality, source.train.partners.modality) == kinds
    assert spec.second_modality == kinds[1]
    assert (len(source.train), len(source.test)) == (8, 2)
    for part in (source.train, source.test):
        for row in range(len(part)):
            place = int(part.partners.rows[row, 0])
            first = part.examples[row]
            if kinds[0] == "images":
                assert np.array_equal(first[0].numpy(), held["images"][place])
            else:
                assert np.allclose(first.numpy(), held[kinds[0]][place])
    if kinds[1] == "texts":
        assert decoded(source.train.partners.others) == held["texts"].tolist()


def test_arrays_that_do_not_fit_are_refused(tmp_path):
    held, path = arrays(), tmp_path / "pairs.npz"
    spec = ImagePairsNpzSpec(root=path)
    np.savez(path, first=held["images"], second=held["texts"][:9])
    with pytest.raises(NearfarError, match="first has 10 rows and second 9"):
        load_source(spec)
    np.savez(path, first=held["images"])
    with pytest.raises(NearfarError, match="no array 'second'; it holds first"):
        load_source(spec)
    np.savez(path, first=held["images"], second=np.array(["", *["a"] * 9]))
    with pytest.raises(NearfarError, match=r"1 of 10 texts are empty \(first: 0\)"):
        load_source(spec)
    np.savez(path, first=held["images"], second=held["vectors"])
    with pytest.raises(NearfarError, match="give strings"):
        load_source(spec)
    np.savez(path, first=held["images"], second=held["texts"], test_first=held["images"])
    with pytest.raises(NearfarError, match="give both or neither"):
        load_source(spec)
    vectors = held["vectors"].copy()
    vectors[3, 1] = np.nan
    np.savez(path, first=held["images"], second=vectors)
    with pytest.raises(NearfarError, match="second: NaN, infinite or too large"):
        load_source(ImagePairsNpzSpec(root=path, second_kind="vectors"))
    np.savez(path, first=held["images"], second=np.array([{}] * 10, dtype=object))
    with pytest.raises(NearfarError, match=r"not a readable \.npz file"):
        load_source(spec)
    path.write_bytes(b"nothing")
    with pytest.raises(NearfarError, match=r"not a readable \.npz file"):
        load_source(spec)


def test_a_test_part_that_is_given(tmp_path):
    held = arrays()
    source = source_from_pairs(
        held["series"],
        held["vectors"],
        test_first=held["series"][:3],
        test_second=held["vectors"][:3],
        kinds=("series", "vectors"),
    )
    assert (len(source.train), len(source.test)) == (10, 3)
    assert len(source.test.partners.others) == 3
    with pytest.raises(NearfarError, match="test_second holds vectors of 4 features, and second"):
        source_from_pairs(
            held["series"],
            held["vectors"],
            test_first=held["series"][:3],
            test_second=held["vectors"][:3, :4],
            kinds=("series", "vectors"),
        )


# What all share


def pairs(count=6):
    texts, _ = encoded([f"text {n}" for n in range(count)], 16)
    images = torch.arange(count, dtype=torch.uint8).view(-1, 1, 1, 1).expand(-1, 1, 4, 4)
    return Part(images.clone(), partners=Partners(torch.arange(count)[:, None], texts, "texts"))


def test_some_pairs_and_only_what_they_use():
    some = choose(pairs(), torch.tensor([4, 1]))
    assert texts_by_level(some) == {4: ["text 4"], 1: ["text 1"]}
    used = some.partners.used()
    assert decoded(used.others) == ["text 1", "text 4"]
    assert used.rows.tolist() == [[1], [0]]
    several = Partners(torch.tensor([[2, -1], [0, 2]]), some.partners.others, "texts").used()
    assert several.rows.tolist() == [[1, -1], [0, 1]]


def test_a_fingerprint_knows_what_is_paired_with_what():
    part = pairs()
    turned = Part(
        part.examples, partners=Partners(part.partners.rows.flip(0), part.partners.others, "texts")
    )
    assert part_fingerprint(part) != part_fingerprint(turned)
    assert part_fingerprint(part) == part_fingerprint(pairs())


class _Streamed(StreamedExamples):
    def __init__(self, held):
        self.held, self.shape = held, tuple(held.shape[1:])

    def __len__(self):
        return len(self.held)

    def __getitem__(self, index):
        return self.held[index]


@pytest.mark.parametrize("streamed", [False, True])
def test_batches_give_each_example_one_of_its_own(streamed):
    part = pairs(12)
    examples = _Streamed(part.examples) if streamed else part.examples
    rows = torch.tensor([[n, (n + 1) % 12 if n % 2 else -1] for n in range(12)])
    batches = TrainingBatches(
        examples,
        None,
        batch_size=4,
        seed=0,
        device="cpu",
        partners=Partners(rows, part.partners.others, "texts"),
    )
    generator = torch.Generator().manual_seed(0)
    seen = set()
    for images, _, indices in (batch for epoch in range(20) for batch in batches.epoch(epoch)):
        beside = decoded(batches.beside(indices, generator))
        for image, text in zip(images.flatten(1)[:, 0].tolist(), beside, strict=True):
            allowed = {image, (image + 1) % 12} if image % 2 else {image}
            assert int(text.split()[1]) in allowed
            seen.add((image, text))
    assert len(seen) == 18
