"""Rendered scenes: depth and kind of each pixel against rays cast one by one, and the source."""

import math

import numpy as np
import pytest
import torch
from PIL import Image

from nearfar.data.dense_specs import ScenesSpec
from nearfar.data.rendering import KINDS, draw_scenes, render
from nearfar.data.scene_textures import noise_textures, picture_textures
from nearfar.data.sources import load_source
from nearfar.errors import NearfarError, SettingError

SIDE = 24


def slow_hit(scenes, image, x, y):
    """Depth and kind behind a place of an image, -1 to 1 to the right and downwards, in float64."""
    turn, spread = scenes.turn[image].astype(float), float(scenes.spread[image])
    way = turn @ np.array([spread * x, -spread * y, 1.0])
    start = scenes.camera[image].astype(float)
    hits = []
    for axis in range(3):
        for end in range(2):
            if way[axis] == 0:
                continue
            depth = (float(scenes.room[image, axis, end]) - start[axis]) / way[axis]
            if depth > 0:
                kind = "wall" if axis != 1 else ("floor", "ceiling")[end]
                hits.append((depth, kind))
    hits = [min(hits)]  # the camera is inside the room
    for solid in range(int(scenes.count[image])):
        centre = scenes.centre[image, solid].astype(float)
        half = scenes.half[image, solid].astype(float)
        if scenes.ball[image, solid]:
            a, b = way @ way, 2 * way @ (start - centre)
            c = (start - centre) @ (start - centre) - half[0] ** 2
            if b * b - 4 * a * c > 0:
                hits.append(((-b - math.sqrt(b * b - 4 * a * c)) / (2 * a), "ball"))
            continue
        angle = float(scenes.angle[image, solid])
        own = np.array(
            [
                [math.cos(angle), 0, -math.sin(angle)],
                [0, 1, 0],
                [math.sin(angle), 0, math.cos(angle)],
            ]
        )
        at, to = own @ (start - centre), own @ way
        for axis in range(3):
            for sign in (-1, 1):
                depth = (sign * half[axis] - at[axis]) / to[axis]
                others = [each for each in range(3) if each != axis]
                point = at + depth * to
                if depth > 0 and all(abs(point[each]) <= half[each] for each in others):
                    hits.append((depth, "box"))
    return min(hits)


def test_depth_and_kind_are_those_of_the_first_surface_on_the_ray():
    scenes = draw_scenes(40, 5, most_solids=6, seed=3)
    images, depths, kinds = render(scenes, noise_textures(5), SIDE)
    assert images.shape == (40, 3, SIDE, SIDE)
    random, agreed, seen = np.random.RandomState(0), 0, set()
    for image in range(40):
        for _ in range(12):
            row, column = random.randint(SIDE, size=2)
            place = [2 * (each + 0.5) / SIDE - 1 for each in (column, row)]
            depth, kind = slow_hit(scenes, image, *place)
            found = KINDS[kinds[image, row, column]]
            if found == kind:
                # Two surfaces that meet may change places in single precision.
                assert depths[image, row, column] == pytest.approx(depth, rel=2e-3)
                agreed += 1
            seen.add(kind)
    assert agreed >= 478
    assert seen == set(KINDS)


def test_light_and_textures_show_in_the_image():
    """A floor without texture is lit as the lamp lies; the texture's two colours are both seen."""
    scenes = draw_scenes(8, 1, most_solids=2, seed=0)
    images, _, kinds = render(scenes, np.full((1, 32, 32, 3), 255, np.uint8), SIDE)
    for image in range(8):
        of_floor = images[image][:, kinds[image] == 0].astype(float)
        assert of_floor.std(axis=1).max() > 1  # by light alone
        tint = scenes.tint[image, 2]
        np.testing.assert_allclose(
            of_floor.mean(axis=1) / of_floor.mean(), tint / tint.mean(), atol=0.1
        )
    checked = np.full((1, 32, 32, 3), 255, np.uint8)
    checked[:, :16] = 30
    darker, _, _ = render(scenes, checked, SIDE)
    ratio = darker[0, 0][kinds[0] == 2] / np.maximum(images[0, 0][kinds[0] == 2], 1)
    assert 0.2 < (ratio < 0.5).mean() < 0.8


def test_the_same_seed_renders_the_same_and_another_does_not():
    first, second, other = (
        render(draw_scenes(20, 7, most_solids=3, seed=seed), noise_textures(7), SIDE)
        for seed in (0, 0, 1)
    )
    assert all((one == two).all() for one, two in zip(first, second, strict=True))
    assert not (first[0] == other[0]).all()


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "nearfar"


def load(**settings):
    return load_source(ScenesSpec(image_size=16, examples=40, **settings))


def test_the_source_is_kept_and_made_anew_where_the_cache_is_damaged(cache):
    source = load(textures="noise")
    assert (len(source.train), len(source.test)) == (32, 8)
    assert source.mask_names == KINDS
    assert source.train.labels is None
    assert source.train.depths.dtype == torch.float32
    assert bool(torch.isfinite(source.train.depths).all())
    assert 0 <= int(source.train.masks.min()) <= int(source.train.masks.max()) < len(KINDS)
    (kept,) = (cache / "rendered-scenes").iterdir()
    for damage in (None, b"no array", kept.read_bytes()[:5000]):
        if damage is not None:
            kept.write_bytes(damage)
        again = load(textures="noise")
        for name in ("examples", "depths", "masks"):
            assert torch.equal(getattr(again.train, name), getattr(source.train, name))
            assert torch.equal(getattr(again.test, name), getattr(source.test, name))


def test_textures_are_pictures_where_there_are_some(cache, tmp_path):
    noise = load()
    assert any("patterns of noise: `make clipart` fetches" in note for note in noise.notes)
    folder = tmp_path / "pictures"
    folder.mkdir()
    for number in range(4):
        picture = np.full((40, 30, 3), 60 * number, np.uint8)
        Image.fromarray(picture).save(folder / f"{number}.png")
    (folder / "damaged.png").write_bytes(b"no picture")
    assert len(picture_textures(folder)) == 4
    pictured = load(root=folder)
    assert any("textures of 4 pictures" in note for note in pictured.notes)
    assert torch.equal(pictured.train.depths, noise.train.depths)  # the scenes are the same
    assert not torch.equal(pictured.train.examples, noise.train.examples)


def test_pictures_that_are_not_there_are_told(cache, tmp_path):
    with pytest.raises(SettingError, match=r"there is no .*clipart; `make clipart` fills it"):
        load(textures="pictures")
    with pytest.raises(SettingError, match="no folder is looked at"):
        load(textures="noise", root=tmp_path)
    (tmp_path / "one").mkdir()
    Image.new("RGB", (9, 9)).save(tmp_path / "one" / "1.png")
    with pytest.raises(NearfarError, match="textures need two pictures or more"):
        load(root=tmp_path / "one")
