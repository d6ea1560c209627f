"""NYU-Depth-v2 from a small file of the same form as the published one."""

import numpy as np
import pytest
import torch
from scipy.io import savemat

from nearfar.data.dense_specs import NYUDepthSpec
from nearfar.data.sources import load_source
from nearfar.errors import NearfarError, SettingError

h5py = pytest.importorskip("h5py")
COUNT, HEIGHT, WIDTH = 6, 24, 32


@pytest.fixture
def made():
    random = np.random.RandomState(0)
    images = random.randint(0, 256, (COUNT, HEIGHT, WIDTH, 3)).astype(np.uint8)
    depths = random.uniform(1, 9, (COUNT, HEIGHT, WIDTH)).astype(np.float32)
    labels = random.randint(0, 4, (COUNT, HEIGHT, WIDTH)).astype(np.uint16)
    return images, depths, labels


@pytest.fixture
def file(tmp_path, made):
    """As MATLAB 7.3 writes it: columns first, names as references to arrays of letters."""
    images, depths, labels = made
    raw = depths.copy()
    raw[:, 0, 0] = 0
    path = tmp_path / "nyu_depth_v2_labeled.mat"
    with h5py.File(path, "w") as out:
        out["images"] = images.transpose(0, 3, 2, 1)
        out["depths"], out["rawDepths"] = depths.transpose(0, 2, 1), raw.transpose(0, 2, 1)
        out["labels"] = labels.transpose(0, 2, 1)
        references = []
        for number, name in enumerate(("wall", "floor", "bed")):
            out[f"#refs#/{number}"] = np.array([[ord(each)] for each in name], np.uint16)
            references.append(out[f"#refs#/{number}"].ref)
        out["names"] = np.array([references], dtype=h5py.ref_dtype)
    return path


def load(file, **settings):
    return load_source(NYUDepthSpec(root=file, **settings))


def test_images_depths_and_classes_stand_upright(file, made):
    images, depths, labels = made
    source = load(file, image_size=HEIGHT, fit="crop", test_numbers=(2, 5))
    left = (WIDTH - HEIGHT) // 2
    inner = slice(left, left + HEIGHT)
    rows = [0, 2, 3, 5]
    assert source.train.names == ["1", "3", "4", "6"]
    assert source.test.names == ["2", "5"]
    np.testing.assert_array_equal(
        source.train.examples, images[rows][:, :, inner].transpose(0, 3, 1, 2)
    )
    np.testing.assert_array_equal(source.train.depths, depths[rows][:, :, inner])
    np.testing.assert_array_equal(source.train.masks, labels[rows][:, :, inner].astype(int) - 1)
    assert source.mask_names == ("wall", "floor", "bed")
    assert load(file, depth="raw", image_size=24).train.depths[0, 0, 0].isnan()


def test_the_published_split_is_a_file_of_matlabs_or_of_numbers(file, tmp_path):
    savemat(tmp_path / "splits.mat", {"testNdxs": [[2], [5]], "trainNdxs": [[1], [3], [4], [6]]})
    (tmp_path / "test.txt").write_text("2, 5\n")
    expected = load(file, test_numbers=(2, 5)).test
    for name in ("splits.mat", "test.txt"):
        found = load(file, split=tmp_path / name).test
        assert found.names == ["2", "5"]
        assert torch.equal(found.depths, expected.depths)
    without = load(file)
    assert len(without.test) == 1
    assert any("no split given" in note for note in without.notes)


def test_the_border_is_cut_first_and_the_whole_is_squashed(file, made):
    _, depths, _ = made
    part = load(file, border=4, image_size=16, test_numbers=(1,)).train
    assert part.examples.shape == (5, 3, 16, 16)
    # 24 columns to 16: the middle of column 1 lies at 2.25 of those that are left.
    np.testing.assert_array_equal(part.depths[0, :, 1], depths[1, 4:20, 4 + 2])


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"test_numbers": (7,)}, "numbers 7 to 7, where images are numbered 1 to 6"),
        ({"test_numbers": (2, 2)}, "a number twice"),
        ({"test_numbers": tuple(range(1, 7))}, "has all images"),
        ({"border": 12}, "data.border is 12: nothing is left of 24×32"),
        ({"in_memory_mib": 1}, "over data.in_memory_mib=1: raise it"),
    ],
)
def test_settings_that_do_not_fit_are_refused(file, settings, told):
    with pytest.raises(SettingError, match=told):
        load(file, **settings)


def test_two_splits_and_files_of_none_are_refused(file, tmp_path):
    with pytest.raises(SettingError, match="two splits: leave one out"):
        load(file, split=tmp_path / "a.txt", test_numbers=(1,))
    with pytest.raises(SettingError, match="no such file"):
        load(file, split=tmp_path / "a.txt")
    (tmp_path / "a.txt").write_text("1 two")
    with pytest.raises(SettingError, match="other than whole numbers in it"):
        load(file, split=tmp_path / "a.txt")
    (tmp_path / "a.mat").write_bytes(b"MATLAB 5.0 MAT-file, and nothing more")
    with pytest.raises(SettingError, match="no testNdxs can be read"):
        load(file, split=tmp_path / "a.mat")


def changed(file, name, values):
    with h5py.File(file, "a") as out:
        del out[name]
        if values is not None:
            out[name] = values


@pytest.mark.parametrize(
    ("name", "values", "told"),
    [
        ("depths", None, "no array depths; it holds"),
        ("depths", np.zeros((COUNT, HEIGHT, WIDTH)), r"depths have shape \(6, 24, 32\), and imag"),
        ("depths", np.full((COUNT, WIDTH, HEIGHT), np.nan), "no depth is known"),
        ("images", np.zeros((COUNT, 1, WIDTH, HEIGHT)), "images are float64 of shape"),
        ("labels", np.full((COUNT, WIDTH, HEIGHT), 9), "a class in labels has no name in names"),
        ("labels", np.full((COUNT, WIDTH, HEIGHT), 60_000), "labels of image 1 hold 60000"),
    ],
)
def test_other_files_are_told(file, name, values, told):
    changed(file, name, values)
    with pytest.raises(NearfarError, match=told):
        load(file)


def test_damage_is_told(file):
    file.write_bytes(file.read_bytes()[:3000])
    with pytest.raises(NearfarError, match=r"not NYU-Depth-v2's .*, or a damaged one"):
        load(file)
