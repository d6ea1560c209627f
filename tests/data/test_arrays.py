import zipfile

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from nearfar.data.arrays import source_from_arrays
from nearfar.data.sources import load_source
from nearfar.data.specs import NpzSpec
from nearfar.errors import NearfarError, SettingError

IMAGES = np.random.RandomState(0).randint(0, 256, (20, 6, 5, 3)).astype(np.uint8)
LABELS = np.arange(20) % 2


def _load(path, **settings):
    return load_source(NpzSpec(root=path, **settings))


@given(arrays(np.uint8, st.tuples(*[st.integers(1, 5)] * 3, st.integers(1, 4))))
def test_any_number_of_channels_is_kept(images):
    source = source_from_arrays(images, test_fraction=0.0)
    np.testing.assert_array_equal(source.train.examples.permute(0, 2, 3, 1), images)
    assert source.train.labels is None
    assert source.test is None


def test_images_without_channel_axis_have_one_channel():
    source = source_from_arrays(IMAGES[..., 0], test_fraction=0.0)
    np.testing.assert_array_equal(source.train.examples[:, 0], IMAGES[..., 0])


def test_the_split_covers_all_and_keeps_labels_beside_their_images():
    source = source_from_arrays(IMAGES, LABELS, test_fraction=0.3)
    assert (len(source.train), len(source.test)) == (14, 6)
    assert torch.bincount(source.test.labels).tolist() == [3, 3]
    where = {image.tobytes(): label for image, label in zip(IMAGES, LABELS, strict=True)}
    for part in (source.train, source.test):
        for image, label in zip(part.examples, part.labels, strict=True):
            key = image.permute(1, 2, 0).contiguous().numpy().tobytes()
            assert where.pop(key) == label
    assert not where
    assert "6 of 20" in source.notes[0]


def test_a_given_test_part_is_used_as_it_is():
    source = source_from_arrays(IMAGES[:15], LABELS[:15], IMAGES[15:], LABELS[15:])
    assert len(source.train) == 15
    np.testing.assert_array_equal(source.test.labels, LABELS[15:])
    assert source.notes == ()


@pytest.mark.parametrize(
    ("images", "words"),
    [
        (IMAGES / 255, r"float64.*255 \* x"),
        (IMAGES.astype(np.float32), "float32"),
        (IMAGES.astype(np.uint16), "uint16"),
        (IMAGES > 3, "bool"),
        (IMAGES[0, 0], "shape"),
        (IMAGES[:0], "holds no pixel"),
        (np.zeros((9, 3, 32, 32), np.uint8), "channels first"),
        ([["a"]], "<U1"),
    ],
)
def test_images_that_are_no_images_are_refused(images, words):
    with pytest.raises(NearfarError, match=words) as caught:
        source_from_arrays(images)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("extra", "words"),
    [
        ({"labels": LABELS, "test_images": IMAGES}, "labels without test_labels"),
        ({"test_images": IMAGES, "test_labels": LABELS}, "test_labels without labels"),
        ({"test_labels": LABELS}, "test_labels without test_images"),
        (
            {"labels": LABELS, "test_images": IMAGES, "test_labels": LABELS + 1},
            "test_labels: class 2 is not among the 2 classes",
        ),
        (
            {"test_images": IMAGES[:, :4]},
            "of 3 channels, 4×5, and images holds images of 3 channels, 6×5",
        ),
        ({"labels": LABELS[:-1]}, r"labels: shape \(19,\) for 20 images"),
    ],
)
def test_arrays_that_do_not_fit_each_other_are_refused(extra, words):
    with pytest.raises(NearfarError, match=words):
        source_from_arrays(IMAGES, **extra)


def test_gaps_are_closed_and_told():
    source = source_from_arrays(IMAGES, LABELS * 5 + 2, test_fraction=0.0)
    assert source.train.labels.tolist() == LABELS.tolist()
    assert source.class_names == ("2", "7")
    assert "gaps" in source.notes[0]


def test_npz_files_are_read_by_their_keys(tmp_path):
    path = tmp_path / "images.npz"
    for save in (np.savez, np.savez_compressed):
        save(path, images=IMAGES[:15], labels=LABELS[:15], test_images=IMAGES, test_labels=LABELS)
        source = _load(path)
        assert (len(source.train), len(source.test)) == (15, 20)
        np.testing.assert_array_equal(source.train.examples.permute(0, 2, 3, 1), IMAGES[:15])
    np.savez(path, images=IMAGES)
    assert len(_load(path, test_fraction=0.25).test) == 5


def test_misspelt_and_missing_keys_are_refused(tmp_path):
    path = tmp_path / "images.npz"
    np.savez(path, images=IMAGES, lables=LABELS)
    with pytest.raises(SettingError, match=r"images.npz: .*did you mean 'labels'"):
        _load(path)
    np.savez(path, labels=LABELS)
    with pytest.raises(NearfarError, match=r"images.npz: no array 'images'; it holds labels"):
        _load(path)


class _Trap:
    def __reduce__(self):
        return (pytest.fail, ("executed",))


def test_pickled_objects_are_not_unpickled(tmp_path):
    path = tmp_path / "images.npz"
    np.savez(path, images=np.array([_Trap()], dtype=object))
    with pytest.raises(NearfarError, match=r"not a readable .npz file") as caught:
        _load(path)
    assert "\n" not in str(caught.value)


def test_arrays_larger_than_memory_are_refused_before_they_are_read(tmp_path):
    path = tmp_path / "images.npz"
    np.savez_compressed(path, images=np.zeros((3, 1024, 1024), np.uint8))
    assert path.stat().st_size < 10_000
    with pytest.raises(SettingError, match=r"3 MiB of arrays, over data.in_memory_mib=2"):
        _load(path, in_memory_mib=2)
    assert len(_load(path, in_memory_mib=4, test_fraction=0.0).train) == 3


def test_a_header_that_lies_about_its_size_is_refused(tmp_path):
    path = tmp_path / "images.npz"
    header = {"descr": "|u1", "fortran_order": False, "shape": (2**40, 8, 8)}
    with zipfile.ZipFile(path, "w") as archive, archive.open("images.npy", "w") as member:
        np.lib.format.write_array_header_1_0(member, header)
    with pytest.raises(SettingError, match="MiB of arrays"):
        _load(path)
    header["shape"] = (100, 8, 8)
    with zipfile.ZipFile(path, "w") as archive, archive.open("images.npy", "w") as member:
        np.lib.format.write_array_header_1_0(member, header)
    with pytest.raises(NearfarError, match=r"not a readable .npz file"):
        _load(path)


def test_a_negative_shape_cancels_no_other(tmp_path):
    path = tmp_path / "images.npz"
    header = {"descr": "|u1", "fortran_order": False, "shape": (-(2**40), 8, 8)}
    with zipfile.ZipFile(path, "w") as archive:
        with archive.open("images.npy", "w") as member:
            np.lib.format.write_array(member, np.zeros((2**21, 1, 1), np.uint8))
        with archive.open("labels.npy", "w") as member:
            np.lib.format.write_array_header_1_0(member, header)
    with pytest.raises(NearfarError, match=r"array labels.npy: a shape of .* cannot be"):
        _load(path, in_memory_mib=1)


def test_damaged_files_end_in_one_line(tmp_path):
    path = tmp_path / "images.npz"
    np.savez_compressed(path, images=IMAGES[:4], labels=LABELS[:4])
    whole = path.read_bytes()
    for length in range(0, len(whole), 7):
        path.write_bytes(whole[:length])
        with pytest.raises(NearfarError, match=r"images.npz: ") as caught:
            _load(path)
        assert "\n" not in str(caught.value)
    path.write_text("not a zip")
    with pytest.raises(NearfarError, match="not a readable"):
        _load(path)


@given(st.data())
def test_any_damage_gives_arrays_or_one_line(tmp_path_factory, data):
    path = tmp_path_factory.mktemp("npz") / "images.npz"
    np.savez_compressed(path, images=IMAGES[:4], labels=LABELS[:4])
    content = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(content)
    message = ""
    try:
        assert len(_load(path).train)
    except NearfarError as error:
        message = str(error)
    assert "\n" not in message
