"""Folders of images with depth maps and masks: how files pair, what maps say, what is refused."""

import numpy as np
import pytest
import torch
from PIL import Image

from nearfar.data.dense_maps import brought_to
from nearfar.data.dense_specs import DenseFolderSpec
from nearfar.data.fingerprint import source_fingerprint
from nearfar.data.image_files import fitted_image
from nearfar.data.source import choose
from nearfar.data.sources import load_source
from nearfar.errors import NearfarError, SettingError

SIDE, NAN = 12, float("nan")


def write(path, values):
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".npy":
        np.save(path, values)
    elif path.suffix == ".npz":
        np.savez(path, depth=values)
    else:
        Image.fromarray(values).save(path)


def image(random, height=SIDE, width=SIDE):
    return random.randint(0, 256, (height, width, 3)).astype(np.uint8)


def millimetres(random, height=SIDE, width=SIDE):
    return random.randint(500, 9000, (height, width)).astype(np.uint16)


@pytest.fixture
def pairs(tmp_path):
    """Ten images, depths in millimetres as 16-bit PNG, masks of 3 classes with 255."""
    random = np.random.RandomState(0)
    for number in range(10):
        write(tmp_path / "images" / f"{number}.png", image(random))
        write(tmp_path / "depth" / f"{number}.png", millimetres(random))
        mask = random.randint(0, 3, (SIDE, SIDE)).astype(np.uint8)
        mask[0, 0] = 255
        write(tmp_path / "masks" / f"{number}.png", mask)
    return tmp_path


def load(root, **settings):
    settings = {"depth_scale": 0.001, "test_fraction": 0.0} | settings
    return load_source(DenseFolderSpec(root=root, **settings))


def test_depths_and_masks_are_those_of_the_files(pairs):
    source = load(pairs)
    assert source.train.names == [f"images/{number}.png" for number in range(10)]
    for number in range(10):
        depth = np.array(Image.open(pairs / "depth" / f"{number}.png"))
        np.testing.assert_allclose(source.train.depths[number], depth / 1000, rtol=1e-6)
        mask = np.array(Image.open(pairs / "masks" / f"{number}.png")).astype(int)
        assert (source.train.masks[number].numpy() == np.where(mask == 255, -1, mask)).all()
    assert source.mask_names == ("0", "1", "2")
    assert source.train.depths.dtype == torch.float32


def test_streamed_pairs_are_those_in_memory(pairs):
    held, streamed = load(pairs), load(pairs, in_memory_mib=0)
    for number in range(10):
        for kind in ("examples", "depths", "masks"):
            both = [getattr(each.train, kind)[number] for each in (held, streamed)]
            assert torch.equal(*both), kind
    some = choose(streamed.train, torch.tensor([4, 2]))
    assert torch.equal(some.depths[1], held.train.depths[2])


def test_a_test_part_is_given_or_held_out_and_counts_in_the_fingerprint(pairs):
    source = load(pairs, test_fraction=0.3)
    assert (len(source.train), len(source.test)) == (7, 3)
    assert len(source.test.depths) == len(source.test.masks) == 3
    assert any("no test part: 3 of 10 images" in note for note in source.notes)
    before = source_fingerprint(source)
    source.train.depths[0, 0, 0] += 1
    assert source_fingerprint(source) != before


@pytest.mark.parametrize(
    ("image_at", "depth_at"),
    [
        ("train/rgb/{}.jpg", "train/depth/{}.npy"),
        ("images/training/{}.png", "depths/training/{}.npz"),
        ("training/a b/{}_rgb.png", "training/a b/{}_depth.npy"),
        ("train/images/{}.png", "train/depth/{}_depth.npy"),
        ("train/Images/x/{}.png", "train/Depth/x/{}.npy"),
    ],
)
def test_images_and_maps_pair_by_folder_or_ending(tmp_path, image_at, depth_at):
    random = np.random.RandomState(1)
    for train in ("train", "val"):
        for number in range(3):
            for at, values in (
                (image_at, image(random)),
                (depth_at, random.uniform(1, 9, (SIDE, SIDE))),
            ):
                at = at.replace("training", train).replace("train", train)
                write(tmp_path / at.format(number), values)
    source = load(tmp_path, depth_scale=None)
    assert len(source.train) == len(source.test) == 3
    assert source.train.masks is None
    assert source.mask_names is None
    assert bool((source.train.depths > 0.9).all())


def test_names_of_ones_own(tmp_path):
    random = np.random.RandomState(1)
    for number in range(3):
        write(tmp_path / "x" / f"{number}.png", image(random))
        write(tmp_path / "x" / f"{number}.disp.npy", np.ones((SIDE, SIDE)))
    with pytest.raises(NearfarError, match="no depth map and no mask is found: put them into"):
        load(tmp_path)
    assert len(load(tmp_path, depth_name="disp").train) == 3


def test_missing_depths_are_no_numbers(tmp_path):
    random = np.random.RandomState(1)
    depth = np.full((SIDE, SIDE), 2.0)
    depth[0, :5] = [0, -1, np.nan, np.inf, -np.inf]
    for number in range(2):
        write(tmp_path / f"{number}.png", image(random))
        write(tmp_path / f"{number}_depth.npy", depth)
    source = load(tmp_path, depth_scale=None)
    assert source.train.depths[0].isnan().sum() == 5
    assert bool((source.train.depths[0, 1:] == 2).all())
    assert any("depth is not known of 3.5% of the pixels" in note for note in source.notes)
    for number in range(2):
        write(tmp_path / f"{number}_depth.npy", np.zeros((SIDE, SIDE)))
    with pytest.raises(NearfarError, match="no depth map holds a depth"):
        load(tmp_path, depth_scale=None)


def test_a_palette_gives_the_numbers_of_its_colours(tmp_path):
    random = np.random.RandomState(1)
    mask = random.randint(0, 4, (SIDE, SIDE)).astype(np.uint8)
    for number in range(2):
        write(tmp_path / f"{number}.jpg", image(random))
        picture = Image.fromarray(mask, mode="P")
        picture.putpalette([200, 0, 0, 0, 200, 0, 0, 0, 200, 9, 9, 9])
        picture.save(tmp_path / f"{number}_mask.png")
    assert (load(tmp_path).train.masks[1].numpy() == mask).all()


def spoil(pairs, name, values):
    (pairs / name).unlink()
    write(pairs / name, values)


RANDOM = np.random.RandomState(2)
REFUSED = {
    "an image alone": (
        lambda at: (at / "depth" / "3.png").unlink(),
        {},
        r"1 image without a depth map \(images/3.png\): an image and its depth map have the same",
    ),
    "a map alone": (
        lambda at: (at / "images" / "3.png").unlink(),
        {},
        r"1 depth map without an image \(depth/3.png\)",
    ),
    "two of one name": (
        lambda at: write(at / "images" / "3.jpg", image(RANDOM)),
        {},
        r"images/3.jpg and images/3.png are both the image of one example",
    ),
    "another size": (
        lambda at: spoil(at, "depth/3.png", millimetres(RANDOM, 12, 9)),
        {},
        r"1 of 10 images cannot be read.*3.png: 12×9 pixels, where its image has 12×12",
    ),
    "no scale": (lambda _: None, {"depth_scale": None}, "whole numbers .*: say by --data.depth-sc"),
    "a class too high": (
        lambda _: None,
        {"mask_classes": 2},
        r"10 of 10 images .*: 2 in a mask of classes 0 to 1; data.mask_classes says how many",
    ),
    "no ignored number": (
        lambda _: None,
        {"ignored": None, "mask_classes": 3},
        r"255 in a mask of classes 0 to 2",
    ),
    "colours as a mask": (
        lambda at: spoil(at, "masks/3.png", image(RANDOM)),
        {},
        r"a picture of mode RGB, where one channel of numbers is due",
    ),
    "a damaged map": (
        lambda at: (at / "masks" / "3.png").write_bytes(b"\x89PNG\r\n\x1a\n"),
        {},
        r"1 of 10 images cannot be read",
    ),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_does_not_fit_is_refused_in_one_line(pairs, what):
    change, settings, told = REFUSED[what]
    change(pairs)
    with pytest.raises(NearfarError, match=told) as error:
        load(pairs, **settings)
    assert "\n" not in str(error.value)
    assert isinstance(error.value, SettingError) == (what == "no scale")


@pytest.mark.parametrize(
    ("array", "told"),
    [
        (np.zeros((2, 3, SIDE)), r"an array of shape \(2, 3, 12\), float64"),
        (np.array(["a"]), "where numbers of .height, width. are due"),
        (np.array({"a": 1}, dtype=object), "no readable NumPy array"),
    ],
)
def test_arrays_that_are_no_maps_are_told(pairs, array, told):
    (pairs / "depth" / "3.png").unlink()
    np.save(pairs / "depth" / "3.npy", array, allow_pickle=True)
    with pytest.raises(NearfarError, match=told):
        load(pairs)
    assert len(load(pairs, max_corrupt=0.2).train) == 9


@pytest.mark.parametrize("wrong", [0.5, NAN, float("inf"), -3.0, 1e9])
def test_masks_of_numbers_that_are_no_classes_are_told(pairs, wrong):
    (pairs / "masks" / "3.png").unlink()
    mask = np.zeros((SIDE, SIDE))
    write(pairs / "masks" / "3.npy", mask)
    assert load(pairs).train.masks[3].sum() == 0
    mask[2, 2] = wrong
    write(pairs / "masks" / "3.npy", mask)
    with pytest.raises(
        NearfarError, match=r"a mask of fractions|-3 in a mask|1000000000 in a mask"
    ):
        load(pairs)


@pytest.mark.parametrize("fit", ["crop", "pad", "squash"])
@pytest.mark.parametrize("sides", [(40, 20), (21, 34), (16, 16), (4, 8)])
def test_a_map_comes_to_its_square_as_its_image_does(fit, sides):
    """A bright rectangle lies where the map has it, to a pixel at its edges."""
    values = np.zeros(sides, np.int16)
    values[sides[0] // 4 : sides[0] // 2, sides[1] // 3 : sides[1] // 4 * 3] = 1
    found = brought_to(values, (16, 16), fit, -1)
    picture = fitted_image(Image.fromarray((255 * values).astype(np.uint8)), (16, 16), fit)
    bright = np.asarray(picture).astype(float) / 255
    judged = found >= 0
    # Pixels that the picture has blended at an edge may go either way.
    clear = judged & ((bright < 0.1) | (bright > 0.9))
    assert (found[clear] == (bright[clear] > 0.5)).mean() > 0.97
    assert judged.mean() == 1 or fit == "pad"


def test_hostile_names_are_shown_safely(pairs):
    (pairs / "depth" / "3.png").rename(pairs / "depth" / "3\x1b[31m.png")
    with pytest.raises(NearfarError) as error:
        load(pairs)
    assert "\x1b" not in str(error.value)
