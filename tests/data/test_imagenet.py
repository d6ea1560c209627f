import hashlib
import io
import shutil
import tarfile

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.io import savemat
from source_files import write_images
from torchvision.datasets import ImageFolder, imagenet

from nearfar.data import fingerprint
from nearfar.data.batches import evaluation_batches
from nearfar.data.fingerprint import part_fingerprints
from nearfar.data.source import StreamedExamples
from nearfar.data.sources import load_source
from nearfar.data.specs import ImageNetSpec
from nearfar.errors import NearfarError

WNIDS = ("n01440764", "n01443537", "n02979186")


def _config(root, **settings):
    return ImageNetSpec(root=root, **settings)


def _write(root):
    for part, count in (("train", 3), ("val", 2)):
        for wnid in WNIDS:
            names = [f"{wnid}_{number}.JPEG" for number in range(count)]
            write_images(root / part / wnid, names, size=(60, 40))


def test_folders_by_class_stream_at_one_size(tmp_path):
    _write(tmp_path)
    source = load_source(_config(tmp_path, image_size=32))
    expected = ImageFolder(str(tmp_path / "train"))
    assert isinstance(source.train.examples, StreamedExamples)
    assert source.train.labels.tolist() == expected.targets
    assert [str(tmp_path / name) for name in source.train.names] == [p for p, _ in expected.imgs]
    assert len(source.test) == 6
    assert source.class_names == (
        "tench, Tinca tinca",
        "goldfish, Carassius auratus",
        "cassette player",
    )
    for images, rows in evaluation_batches(source.train.examples, batch_size=4, device="cpu"):
        assert images.shape == (len(rows), 3, 32, 32)
    assert load_source(_config(tmp_path)).train.example_shape == (3, 256, 256)
    assert "cut to their centre squares" in source.notes[0]
    (tmp_path / "val" / "list.txt").touch()
    squashed = load_source(_config(tmp_path, image_size=32, fit="squash"))
    assert squashed.notes == ("val/: left out, as no images: 1 .txt",)
    assert squashed.train.examples.fit == "squash"


def test_classes_of_the_validation_part_are_those_of_the_training_part(tmp_path):
    _write(tmp_path)
    shutil.rmtree(tmp_path / "val" / WNIDS[0])
    assert load_source(_config(tmp_path)).test.labels.tolist() == [1, 1, 2, 2]
    write_images(tmp_path / "val" / "n99999999", ["one.JPEG"])
    with pytest.raises(NearfarError, match="n99999999 is not among the 3 classes"):
        load_source(_config(tmp_path))


def test_a_damaged_file_met_while_streaming_is_named_in_one_line(tmp_path):
    _write(tmp_path)
    bad = tmp_path / "train" / WNIDS[1] / f"{WNIDS[1]}_0.JPEG"
    bad.write_bytes(bad.read_bytes()[:300])
    images = load_source(_config(tmp_path, image_size=32)).train.examples
    for workers in (0, 2):
        with pytest.raises(NearfarError, match=rf"{bad.name}.*--resume") as caught:
            list(evaluation_batches(images, batch_size=2, device="cpu", workers=workers))
        assert "\n" not in str(caught.value)


def test_a_good_copy_is_the_same_data_where_it_has_the_same_size(tmp_path, monkeypatch):
    monkeypatch.setattr(fingerprint, "_SPREAD", 2)  # the first and the last file
    _write(tmp_path)
    bad = tmp_path / "train" / WNIDS[1] / f"{WNIDS[1]}_0.JPEG"
    good = bad.read_bytes()

    def data():
        return part_fingerprints(load_source(_config(tmp_path, image_size=32)).train)

    whole = data()
    bad.write_bytes(bytes(len(good)))
    assert data() == whole
    bad.write_bytes(good[:300])
    assert data()[0] != whole[0]
    assert data()[1] != whole[1]


def test_what_is_missing_is_said(tmp_path):
    with pytest.raises(NearfarError, match=r"put folders train and val there.*img_train.tar"):
        load_source(_config(tmp_path))
    _write(tmp_path)
    for path in list((tmp_path / "val").glob("*/*")):
        path.rename(tmp_path / "val" / path.name)
    with pytest.raises(NearfarError, match=r"val: the images are not sorted"):
        load_source(_config(tmp_path))
    (tmp_path / "train" / "n01440764.tar").touch()
    with pytest.raises(NearfarError, match=r"n01440764.tar: unpacking was cut short"):
        load_source(_config(tmp_path))


def _tar(path, members, mode="w"):
    with tarfile.open(path, mode) as tar:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))


def _jpeg(level):
    buffer = io.BytesIO()
    Image.new("RGB", (20, 20), (level, level, level)).save(buffer, "JPEG")
    return buffer.getvalue()


def test_the_published_archives_are_unpacked_by_torchvision(tmp_path, monkeypatch):
    """Archives built like the published ones, small; torchvision is given their checksums."""
    per_class = {}
    for index, wnid in enumerate(WNIDS):
        inner = tmp_path / f"{wnid}.tar"
        _tar(inner, {f"{wnid}_{n}.JPEG": _jpeg(50 * index + n) for n in range(2)})
        per_class[inner.name] = inner.read_bytes()
        inner.unlink()
    _tar(tmp_path / "ILSVRC2012_img_train.tar", per_class)
    truth = [3, 1, 2, 1]
    _tar(
        tmp_path / "ILSVRC2012_img_val.tar",
        {f"ILSVRC2012_val_{n:08}.JPEG": _jpeg(50 * (t - 1)) for n, t in enumerate(truth, 1)},
    )
    synsets = np.array(
        [(n, wnid, f"class {n}", "", 0) for n, wnid in enumerate(WNIDS, 1)],
        dtype=[
            ("ILSVRC2012_ID", int),
            ("WNID", object),
            ("words", object),
            ("gloss", object),
            ("num_children", int),
        ],
    )
    mat = io.BytesIO()
    savemat(mat, {"synsets": synsets})
    _tar(
        tmp_path / "ILSVRC2012_devkit_t12.tar.gz",
        {
            "ILSVRC2012_devkit_t12/data/meta.mat": mat.getvalue(),
            "ILSVRC2012_devkit_t12/data/ILSVRC2012_validation_ground_truth.txt": "\n".join(
                map(str, truth)
            ).encode(),
        },
        "w:gz",
    )
    with pytest.raises(NearfarError, match=r"cannot be unpacked .*corrupted"):
        load_source(_config(tmp_path))
    known = {
        part: (name, hashlib.md5((tmp_path / name).read_bytes()).hexdigest())
        for part, (name, _) in imagenet.ARCHIVE_META.items()
    }
    monkeypatch.setattr(imagenet, "ARCHIVE_META", known)
    source = load_source(_config(tmp_path, image_size=8))
    assert source.train.labels.tolist() == [0, 0, 1, 1, 2, 2]
    assert source.test.labels.tolist() == [0, 0, 1, 2]
    means = torch.stack([source.test.examples[n].float().mean() for n in range(4)])
    assert torch.allclose(means, torch.tensor([0.0, 0.0, 50.0, 100.0]), atol=2)
