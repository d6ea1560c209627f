import hashlib
import os
import pickle
import tarfile

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from source_files import python2_pickle, served, write_cifar
from torchvision import datasets

from nearfar.data.cifar import read_pickled_dict
from nearfar.data.sources import load_source
from nearfar.data.specs import CIFAR10Spec, SourceSpec
from nearfar.errors import NearfarError

SETS = {10: ("cifar10", datasets.CIFAR10), 100: ("cifar100", datasets.CIFAR100)}


def _md5(path):
    return hashlib.md5(path.read_bytes()).hexdigest()


def _let_torchvision_know(monkeypatch, dataset, folder):
    """Give torchvision the checksums of the small files."""
    for attribute in ("train_list", "test_list"):
        known = [(name, _md5(folder / name)) for name, _ in getattr(dataset, attribute)]
        monkeypatch.setattr(dataset, attribute, known)
    meta = dataset.meta | {"md5": _md5(folder / dataset.meta["filename"])}
    monkeypatch.setattr(dataset, "meta", meta)


@pytest.mark.parametrize("classes", [10, 100])
@pytest.mark.parametrize("python", [2, 3])
@pytest.mark.parametrize("inside", [False, True])
def test_it_reads_what_torchvision_reads(tmp_path, monkeypatch, classes, python, inside):
    folder = write_cifar(tmp_path, classes, python=python)
    name, dataset = SETS[classes]
    source = load_source(SourceSpec.named(name)(root=folder if inside else tmp_path))
    _let_torchvision_know(monkeypatch, dataset, folder)
    for part, train in ((source.train, True), (source.test, False)):
        expected = dataset(tmp_path, train=train)
        assert part is not None
        np.testing.assert_array_equal(part.examples.permute(0, 2, 3, 1), expected.data)
        assert part.labels.tolist() == expected.targets
    assert source.class_names == tuple(expected.classes)


def test_the_download_is_torchvision_s(tmp_path, monkeypatch):
    mirror = tmp_path / "mirror"
    folder = write_cifar(mirror, 10)
    _let_torchvision_know(monkeypatch, datasets.CIFAR10, folder)
    archive = mirror / datasets.CIFAR10.filename
    with tarfile.open(archive, "w:gz") as tar:
        tar.add(folder, folder.name)
    monkeypatch.setattr(datasets.CIFAR10, "tgz_md5", _md5(archive))
    with served(mirror) as address:
        monkeypatch.setattr(datasets.CIFAR10, "url", f"{address}/{archive.name}")
        source = load_source(CIFAR10Spec(root=tmp_path / "new", download=True))
    assert len(source.train) == 60


def test_missing_files_say_what_to_put_where(tmp_path):
    for name in ("cifar10", "cifar100"):
        with pytest.raises(NearfarError, match=r"unpack cifar-10+-python.tar.gz there") as caught:
            load_source(SourceSpec.named(name)(root=tmp_path))
        assert "\n" not in str(caught.value)


class _Attack:
    def __init__(self, function, *arguments):
        self.call = (function, arguments)

    def __reduce__(self):
        return self.call


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_nothing_in_a_file_is_executed(tmp_path, protocol):
    folder = write_cifar(tmp_path, 10)
    trace = tmp_path / "trace"
    attack = {"data": _Attack(os.mkdir, str(trace)), "labels": [1]}
    (folder / "data_batch_3").write_bytes(pickle.dumps(attack, protocol=protocol))
    with pytest.raises(NearfarError, match=r"data_batch_3: not a CIFAR file \(names .*mkdir"):
        load_source(CIFAR10Spec(root=tmp_path))
    assert not trace.exists()


@pytest.mark.parametrize(
    "opcodes",
    [
        b"cnumpy\ndtype\n}(X\x04\x00\x00\x00nameX\x01\x00\x00\x00xub.",  # state for a function
        b"cnumpy\nndarray\n(X\x01\x00\x00\x00xtR.",
        b"cbuiltins\neval\n.",
        b"cnumpy\nload\n.",
        b"\x80\x02}(U\x04dataccopyreg\n_reconstructor\nu.",
    ],
)
def test_hostile_opcodes_end_in_one_line(tmp_path, opcodes):
    path = tmp_path / "batch"
    path.write_bytes(opcodes)
    with pytest.raises(NearfarError, match="not a CIFAR file") as caught:
        read_pickled_dict(path)
    assert "\n" not in str(caught.value)


def _nested(depth):
    """Opcodes that leave one small tuple, which is 2**depth values when it is walked."""
    return b"N\x85" + b"q\x00h\x00\x86" * depth


@pytest.mark.parametrize(
    "opcodes",
    [
        b"\x80\x02}" + _nested(60) + b"U\x01as.",  # as a key: hashed and printed for ever
        b"\x80\x02}(" + _nested(60) + b"U\x01au.",
        b"\x80\x02(" + _nested(60) + b"U\x01ad.",
        b"\x80\x02c_codecs\nencode\n" + b"U\x01a" + _nested(60) + b"\x86R.",
        b"\x80\x02}U\x04datacnumpy.core.multiarray\n_reconstruct\n)R(K\x01"
        + _nested(60)
        + b"cnumpy\ndtype\nU\x02u1\x85R\x89U\x01atbs.",
        b"\x80\x02}U\x04datacnumpy.core.multiarray\n_reconstruct\n)R(K\x01"
        + b"(J\xff\xff\xff\x7fU\x01at"  # 2 GiB of text, were it multiplied
        + b"cnumpy\ndtype\nU\x02u1\x85R\x89U\x01atbs.",
        b"\x80\x02]" + b"q\x00h\x00e" + b".",
        b"\x80\x02" + _nested(60) + b".",
        b"\x80\x02}K\x01K\x02s.",
        b"\x80\x02}U\x01a2s.",  # DUP
        b"\x80\x02(\x90.",  # a set
    ],
)
def test_values_that_take_for_ever_are_never_walked(tmp_path, opcodes):
    path = tmp_path / "batch"
    path.write_bytes(opcodes)
    with pytest.raises(NearfarError, match="not a CIFAR file") as caught:
        read_pickled_dict(path)
    assert len(str(caught.value)) < 300


def test_a_nested_value_is_left_as_it_is_and_refused_by_what_reads_it(tmp_path):
    folder = write_cifar(tmp_path, 10)
    batch = b"\x80\x02}U\x06labels]" + _nested(60) + b"asU\x04dataK\x01s."
    (folder / "test_batch").write_bytes(batch)
    with pytest.raises(NearfarError, match="data is no table"):
        load_source(CIFAR10Spec(root=tmp_path))


def test_an_index_of_the_memory_takes_no_memory(tmp_path):
    path = tmp_path / "batch"
    path.write_bytes(b"\x80\x02}r\xff\xff\xff\x7fU\x01aK\x01s.")  # Python's takes 32 GB
    assert read_pickled_dict(path) == {"a": 1}


def test_keys_from_outside_are_named_shortly_and_not_obeyed(tmp_path):
    folder = write_cifar(tmp_path, 10)
    keys = {f"key \x1b[31m {number}" + "x" * 200: 1 for number in range(30)}
    (folder / "test_batch").write_bytes(python2_pickle(keys))
    with pytest.raises(NearfarError, match=r"no data, only key \\x1b.* and 22 more") as caught:
        load_source(CIFAR10Spec(root=tmp_path))
    assert len(str(caught.value)) < 700


@pytest.mark.parametrize("protocol", range(5))
def test_every_protocol_gives_the_same(tmp_path, protocol):
    content = {
        "data": np.arange(12, dtype=np.uint8).reshape(3, 4),
        "labels": [0, 5, -1, 300, 70000, 2**40],
        "filenames": ["a.png", "ä", b"raw"],
        "empty": [],
        "none": None,
        "yes": True,
        "share": 0.5,
        "pair": (1, 2, 3, 4),
    }
    path = tmp_path / "batch"
    path.write_bytes(pickle.dumps(content, protocol=protocol))
    found = read_pickled_dict(path)
    np.testing.assert_array_equal(found.pop("data"), content.pop("data"))
    assert found == content


@given(st.binary(max_size=200))
def test_any_bytes_give_a_dictionary_or_one_line(tmp_path_factory, content):
    path = tmp_path_factory.mktemp("cifar") / "batch"
    path.write_bytes(content)
    message = ""
    try:
        assert isinstance(read_pickled_dict(path), dict)
    except NearfarError as error:
        message = str(error)
    assert "\n" not in message


def _batch(**changes):
    batch = {"labels": [0, 1], "data": np.zeros((2, 3072), np.uint8)} | changes
    return {key: value for key, value in batch.items() if value is not None}


@pytest.mark.parametrize(
    ("batch", "words"),
    [
        (_batch(labels=None), "no labels, only data"),
        (_batch(labels=[0]), "1,.* 2 images"),
        (_batch(labels=[0, 10]), "class 10"),
        (_batch(labels=[0, -1]), "negative"),
        (_batch(labels="ab"), "no list of numbers"),
        (_batch(data=np.zeros((2, 3071), np.uint8)), "3072"),
        (_batch(data=[1, 2]), "3072"),
    ],
)
def test_batches_that_do_not_fit_are_refused(tmp_path, batch, words):
    folder = write_cifar(tmp_path, 10)
    (folder / "test_batch").write_bytes(python2_pickle(batch))
    with pytest.raises(NearfarError, match=rf"test_batch.*{words}"):
        load_source(CIFAR10Spec(root=tmp_path))


@pytest.mark.parametrize("kind", [np.float32, object])
def test_arrays_of_other_things_are_refused(tmp_path, kind):
    path = tmp_path / "batch"
    path.write_bytes(pickle.dumps({"data": np.zeros(4, kind)}, protocol=2))
    with pytest.raises(NearfarError, match="other than bytes"):
        read_pickled_dict(path)


def test_column_major_arrays_are_read_in_their_own_order(tmp_path):
    array = np.arange(6, dtype=np.uint8).reshape(2, 3)
    path = tmp_path / "batch"
    path.write_bytes(pickle.dumps({"data": np.asfortranarray(array)}, protocol=2))
    np.testing.assert_array_equal(read_pickled_dict(path)["data"], array)


def test_every_truncation_is_noticed(tmp_path):
    whole = python2_pickle({"labels": [1, 2], "data": np.zeros((2, 8), np.uint8)})
    path = tmp_path / "batch"
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        with pytest.raises(NearfarError, match="not a CIFAR file"):
            read_pickled_dict(path)
