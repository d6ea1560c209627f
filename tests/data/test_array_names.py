"""Names that arrays of .npz files have."""

import numpy as np
import pytest

from nearfar.data.array_names import array_names
from nearfar.errors import NearfarError, SettingError
from nearfar.recipes.found_data import find_data

RANDOM = np.random.default_rng(0)
IMAGES = RANDOM.integers(0, 256, (30, 8, 8, 3), dtype=np.uint8)


def saved(folder, **arrays):
    np.savez(folder / "arrays.npz", **arrays)
    return folder / "arrays.npz"


@pytest.mark.parametrize(
    ("names", "held"),
    [
        ("images labels", "images labels - -"),
        ("x_train y_train x_test y_test", "x_train y_train x_test y_test"),
        ("X_train Y_train X_test Y_test", "X_train Y_train X_test Y_test"),
        ("X y", "X y - -"),
        ("data target", "data target - -"),
        ("train_images train_labels test_images test_labels",) * 2,
        ("images_train labels_train images_val labels_val",) * 2,
        ("test_images images", "images - test_images -"),
    ],
)
def test_each_array_is_known_for_what_it_is(names, held):
    found = array_names(names.split(), "images")
    roles = ("images", "labels", "test_images", "test_labels")
    assert [found.held.get(role, "-") for role in roles] == held.split()
    assert not found.unread


def test_a_validation_part_beside_a_test_part_is_told(tmp_path):
    """As MedMNIST has them, with labels in a column."""
    labels = np.arange(30)[:, None] % 3
    parts = ("train", "val", "test")
    arrays = {f"{part}_images": IMAGES for part in parts}
    path = saved(tmp_path, **arrays, **{f"{part}_labels": labels for part in parts})
    found = find_data(path)
    assert (
        found.why
        == "an .npz file whose train_images is uint8 in shape (30, 8, 8, 3): an image each"
    )
    source = found.data.build()
    assert source.notes == ("not read: the validation part (val_images, val_labels)",)
    assert source.train.labels.tolist() == labels[:, 0].tolist()
    assert len(source.test) == 30


@pytest.mark.parametrize(
    ("arrays", "kind", "shape"),
    [
        ({"x_train": IMAGES[..., 0], "y_train": np.arange(30) % 3}, "images", (1, 8, 8)),
        ({"X": RANDOM.normal(size=(30, 5)), "y": np.arange(30) % 3}, "vectors", (5,)),
    ],
)
def test_the_shape_tells_what_they_hold(tmp_path, arrays, kind, shape):
    found = find_data(saved(tmp_path, **arrays))
    assert found.data.modality == kind
    source = found.data.build()
    assert source.train.example_shape == shape
    assert source.num_classes == 3


def test_what_may_be_two_things_is_refused(tmp_path):
    with pytest.raises(NearfarError, match="may be series or pictures"):
        find_data(saved(tmp_path, x=np.zeros((3, 4, 5))))


@pytest.mark.parametrize(
    ("names", "error", "said"),
    [
        (["images", "lables"], SettingError, "unknown array 'lables'"),
        (["images", "x"], NearfarError, "arrays images and x are for the same: leave one out"),
        (["labels"], NearfarError, "no array 'images'; it holds labels"),
        (["images", "train_test_x"], SettingError, "unknown array 'train_test_x'"),
        (["images", "vectors"], SettingError, "unknown array 'vectors'"),
    ],
)
def test_other_names_are_refused(names, error, said):
    with pytest.raises(error, match=said):
        array_names(names, "images")
