import gzip
import hashlib
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from source_files import idx_bytes, served, write_fashion
from torchvision import datasets

from nearfar.data import fashion_mnist
from nearfar.data.fashion_mnist import read_idx
from nearfar.data.sources import load_source
from nearfar.data.specs import FashionMNISTSpec
from nearfar.errors import NearfarError


def _config(root, **settings):
    return FashionMNISTSpec(root=root, **settings)


@pytest.mark.parametrize("zipped", [False, True])
@pytest.mark.parametrize("below", [".", "FashionMNIST/raw"])
def test_files_are_read_as_they_are(tmp_path, zipped, below):
    folder = write_fashion(tmp_path / below, zipped=zipped)
    source = load_source(_config(tmp_path))
    suffix = ".gz" if zipped else ""
    expected = read_idx(folder / f"t10k-images-idx3-ubyte{suffix}", 3, limit=10**6)
    assert source.test is not None
    np.testing.assert_array_equal(source.test.examples[:, 0], expected)
    assert source.train.example_shape == (1, 28, 28)
    assert torch.equal(source.train.labels, torch.arange(30) % 10)
    assert source.class_names is not None
    assert len(source.class_names) == 10


def test_a_root_below_home_may_be_written_with_a_tilde(tmp_path, monkeypatch):
    write_fashion(tmp_path / "clothes")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert len(load_source(_config(Path("~/clothes"))).train) == 30


def test_debian_s_package_is_found_without_a_root(tmp_path, monkeypatch):
    monkeypatch.setattr(fashion_mnist, "DEBIAN_FOLDER", write_fashion(tmp_path, train=7))
    assert len(load_source(FashionMNISTSpec()).train) == 7


def real_files() -> Path | None:
    """The real files' folder where the machine has one; CI says where, and there it must."""
    told = os.environ.get("NEARFAR_FASHION_MNIST")
    if told is not None:
        return Path(told)
    return fashion_mnist.DEBIAN_FOLDER if fashion_mnist.DEBIAN_FOLDER.is_dir() else None


@pytest.mark.skipif(real_files() is None, reason="dataset-fashion-mnist is not installed")
def test_the_real_files():
    source = load_source(_config(real_files()))
    assert (len(source.train), len(source.test)) == (60_000, 10_000)
    assert torch.equal(torch.bincount(source.train.labels), torch.full((10,), 6000))


def test_missing_files_say_what_to_put_where(tmp_path, monkeypatch):
    monkeypatch.setattr(fashion_mnist, "DEBIAN_FOLDER", tmp_path / "none")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    for config in (_config(tmp_path), FashionMNISTSpec()):
        with pytest.raises(NearfarError, match=r"train-images-idx3-ubyte.*dataset-fashion") as got:
            load_source(config)
        assert "\n" not in str(got.value)


@pytest.mark.parametrize(
    ("name", "array", "words"),
    [
        ("train-labels-idx1-ubyte", np.zeros(29), "30 images .* 29 labels"),
        ("train-labels-idx1-ubyte", np.full(30, 10), "label 10, above 9"),
        ("t10k-images-idx3-ubyte", np.zeros((0, 28, 28)), "0 images"),
    ],
)
def test_files_that_do_not_fit_are_refused(tmp_path, name, array, words):
    write_fashion(tmp_path)
    (tmp_path / f"{name}.gz").write_bytes(gzip.compress(idx_bytes(array)))
    with pytest.raises(NearfarError, match=words):
        load_source(_config(tmp_path))


def test_the_download_is_torchvision_s(tmp_path, monkeypatch):
    """The whole of torchvision's own way, from a mirror on this machine."""
    mirror = write_fashion(tmp_path / "mirror")
    resources = [
        (path.name, hashlib.md5(path.read_bytes()).hexdigest()) for path in mirror.iterdir()
    ]
    monkeypatch.setattr(datasets.FashionMNIST, "resources", resources)
    with served(mirror) as address:
        monkeypatch.setattr(datasets.FashionMNIST, "mirrors", [f"{address}/"])
        source = load_source(_config(tmp_path / "new", download=True))
    assert len(source.train) == 30


def test_a_failed_download_is_one_line(tmp_path, monkeypatch):
    monkeypatch.setattr(datasets.FashionMNIST, "mirrors", [(tmp_path / "none").as_uri() + "/"])
    with pytest.raises(NearfarError, match="cannot be downloaded") as caught:
        load_source(_config(tmp_path / "new", download=True))
    assert "\n" not in str(caught.value)
