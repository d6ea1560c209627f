import hashlib
import os
import pickle
import tarfile

import numpy as np
import pytest
import torch
from source_files import served, write_stl10
from torchvision import datasets

from nearfar.data.batches import TrainingBatches, evaluation_batches
from nearfar.data.sources import load_source, part_to_learn_from
from nearfar.data.specs import STL10Spec
from nearfar.data.stl10 import STL10Images
from nearfar.errors import NearfarError, SettingError


def _config(root, **settings):
    return STL10Spec(root=root, **settings)


def _all(images):
    return torch.cat([batch for batch, _ in evaluation_batches(images, batch_size=2, device="cpu")])


def _let_torchvision_know(monkeypatch, folder):
    """Give torchvision the checksums of the small files; it also wants a list of folds."""
    for attribute in ("train_list", "test_list"):
        known = [
            [name, hashlib.md5((folder / name).read_bytes()).hexdigest()]
            for name, _ in getattr(datasets.STL10, attribute)
            if (folder / name).exists()
        ]
        monkeypatch.setattr(datasets.STL10, attribute, known)
    monkeypatch.setattr(datasets.STL10, "_STL10__load_folds", lambda self, folds: None)


def test_it_reads_what_torchvision_reads(tmp_path, monkeypatch):
    folder = write_stl10(tmp_path)
    _let_torchvision_know(monkeypatch, folder)
    source = load_source(_config(tmp_path))
    for part, split in (
        (source.train, "train"),
        (source.test, "test"),
        (source.unlabelled, "unlabeled"),
    ):
        expected = datasets.STL10(tmp_path, split=split)
        np.testing.assert_array_equal(_all(part.examples), expected.data)
        if split != "unlabeled":
            np.testing.assert_array_equal(part.labels, expected.labels)
    assert list(source.class_names) == expected.classes


def test_held_or_streamed_the_images_are_the_same(tmp_path):
    write_stl10(tmp_path)
    held = load_source(_config(tmp_path, train_part="unlabelled"))
    streamed = load_source(_config(tmp_path, train_part="unlabelled", in_memory_mib=0))
    for name in ("train", "test", "unlabelled"):
        first, second = getattr(held, name).examples, getattr(streamed, name).examples
        assert isinstance(first, torch.Tensor)
        assert isinstance(second, STL10Images)
        assert torch.equal(first, _all(second))
        assert torch.equal(first, _all(pickle.loads(pickle.dumps(second))))


@pytest.mark.parametrize(("count", "held"), [(37, True), (38, False)])
def test_a_mebibyte_holds_37_images(tmp_path, count, held):
    os.truncate(write_stl10(tmp_path) / "unlabeled_X.bin", count * 3 * 96 * 96)
    source = load_source(_config(tmp_path, train_part="unlabelled", in_memory_mib=1))
    assert isinstance(source.unlabelled.examples, torch.Tensor) == held


def test_what_is_not_learnt_from_is_not_read_into_memory(tmp_path):
    write_stl10(tmp_path)
    assert isinstance(load_source(_config(tmp_path)).unlabelled.examples, STL10Images)


def test_a_file_cut_while_it_is_read_is_named(tmp_path):
    file = write_stl10(tmp_path) / "unlabeled_X.bin"
    images = load_source(_config(tmp_path)).unlabelled.examples
    os.truncate(file, 4 * 3 * 96 * 96 + 5)
    assert images[3].shape == (3, 96, 96)
    with pytest.raises(NearfarError, match=r"unlabeled_X.bin: became shorter"):
        images[4]


@pytest.mark.parametrize("in_memory_mib", [0, 2048])
def test_what_is_learnt_from_follows_the_setting(tmp_path, in_memory_mib):
    write_stl10(tmp_path)
    for train_part, count in (("train", 4), ("unlabelled", 5), ("both", 9)):
        config = _config(tmp_path, train_part=train_part, in_memory_mib=in_memory_mib)
        source = load_source(config)
        part = part_to_learn_from(source, config)
        assert len(part) == count
        assert (part.labels is None) == (train_part != "train")
        assert part.example_shape == (3, 96, 96)
    expected = torch.cat([_all(source.train.examples), _all(source.unlabelled.examples)])
    assert torch.equal(_all(part.examples), expected)


def test_workers_give_the_batches_that_memory_gives(tmp_path):
    write_stl10(tmp_path)
    batches = []
    for in_memory_mib in (0, 2048):
        config = _config(tmp_path, train_part="both", in_memory_mib=in_memory_mib)
        part = part_to_learn_from(load_source(config), config)
        batches.append(
            TrainingBatches(part.examples, None, batch_size=4, seed=1, device="cpu", workers=2)
        )
    for (first, _, rows), (second, _, other_rows) in zip(
        batches[0].epoch(3), batches[1].epoch(3), strict=True
    ):
        assert torch.equal(first, second)
        assert torch.equal(rows, other_rows)


def test_a_missing_unlabelled_part_is_noted_and_refused_when_wanted(tmp_path):
    (write_stl10(tmp_path) / "unlabeled_X.bin").unlink()
    config = _config(tmp_path, train_part="both")
    source = load_source(config)
    assert "unlabeled_X.bin is missing" in source.notes[0]
    with pytest.raises(SettingError, match="no unlabelled part"):
        part_to_learn_from(source, config)


def test_damaged_files_are_refused(tmp_path):
    folder = write_stl10(tmp_path)
    labels = (folder / "test_y.bin").read_bytes()
    (folder / "test_y.bin").write_bytes(labels[:-1])
    with pytest.raises(NearfarError, match=r"test_y.bin.*3 images"):
        load_source(_config(tmp_path))
    (folder / "test_y.bin").write_bytes(bytes([0]) + labels[1:])
    with pytest.raises(NearfarError, match=r"test_y.bin: class 0"):
        load_source(_config(tmp_path))
    (folder / "train_X.bin").write_bytes(bytes(27647))
    with pytest.raises(NearfarError, match="no whole number"):
        load_source(_config(tmp_path))


def test_missing_files_say_what_to_put_where(tmp_path):
    with pytest.raises(NearfarError, match=r"unpack stl10_binary.tar.gz there"):
        load_source(_config(tmp_path))


def test_the_download_is_torchvision_s(tmp_path, monkeypatch):
    mirror = tmp_path / "mirror"
    folder = write_stl10(mirror)
    _let_torchvision_know(monkeypatch, folder)
    archive = mirror / datasets.STL10.filename
    with tarfile.open(archive, "w:gz") as tar:
        tar.add(folder, folder.name)
    monkeypatch.setattr(datasets.STL10, "tgz_md5", hashlib.md5(archive.read_bytes()).hexdigest())
    with served(mirror) as address:
        monkeypatch.setattr(datasets.STL10, "url", f"{address}/{archive.name}")
        source = load_source(_config(tmp_path / "new", download=True))
    assert (len(source.train), len(source.unlabelled)) == (4, 5)
