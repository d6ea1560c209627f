"""What is chosen for data of one's own, and that the data decide it."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw, ImageFont

from nearfar.data.arrays import source_from_arrays, source_from_series, source_from_vectors
from nearfar.data.source import Part
from nearfar.data.specs import FolderSpec, NpzSpec, SeriesNpzSpec, VectorsNpzSpec
from nearfar.errors import SettingError
from nearfar.recipes.found_data import Found
from nearfar.recipes.mirror_test import LIMIT, share_nearest_unmirrored
from nearfar.recipes.own_choices import batch_of, choose_recipe, is_grey, sized

rng = np.random.default_rng(0)


def pictures(count=120, side=12, channels=1):
    return rng.integers(0, 256, (count, side, side, channels), dtype=np.uint8)


def letters(colour=False):
    """Capitals at many places and sizes, in random colours."""
    made = []
    for number in range(312):
        ground, ink = (tuple(rng.integers(0, 256, 3).tolist()) for _ in range(2))
        image = Image.new("RGB", (20, 20), ground if colour else (0, 0, 0))
        place = 10 + rng.integers(-1, 2), 10 + rng.integers(-1, 2)
        font = ImageFont.load_default(int(rng.integers(12, 16)))
        fill = ink if colour else (255, 255, 255)
        ImageDraw.Draw(image).text(place, chr(65 + number % 26), fill, font, anchor="mm")
        made.append(np.asarray(image))
    return np.stack(made)


@pytest.mark.parametrize(
    ("examples", "batch"), [(4, 2), (5, 2), (100, 32), (300, 128), (512, 256), (10**6, 256)]
)
def test_an_epoch_has_two_batches(examples, batch):
    assert batch_of(examples) == batch


@pytest.mark.parametrize("colour", [False, True])
def test_letters_are_not_mirrored(colour):
    source = source_from_arrays(letters(colour), np.arange(312) % 26)
    assert share_nearest_unmirrored(source.train) > LIMIT
    recipe, choices = choose_recipe(NpzSpec(root=Path("x")), source, "good", gpu=False)
    assert recipe.views.parameters(channels=3, size=20)[0].flip == 0
    assert any("nearest to another as it is" in each.why for each in choices)


def test_pictures_that_could_as_well_be_mirrored_are():
    half = pictures(300)
    both = np.concatenate([half, half[:, :, ::-1]])  # each beside its mirror image
    part = Part(torch.from_numpy(both.transpose(0, 3, 1, 2).copy()))
    assert share_nearest_unmirrored(part) < LIMIT
    assert share_nearest_unmirrored(Part(torch.zeros(5, 1, 8, 8, dtype=torch.uint8))) == 0.5


def test_one_channel_has_no_colours_to_jitter():
    source = source_from_arrays(pictures())
    recipe, _ = choose_recipe(NpzSpec(root=Path("x")), source, "good", gpu=False)
    first, second = recipe.views.parameters(channels=1, size=12)
    assert first.hue == first.saturation == first.grey == second.grey == 0


def test_large_pictures_are_made_small_on_a_processor_alone():
    source = source_from_arrays(pictures(8, side=113, channels=3))
    data = NpzSpec(root=Path("x"))
    recipe, choices = choose_recipe(data, source, "good", gpu=False)
    assert recipe.views.size == 32
    assert any("113 px would take 12 times as long" in each.why for each in choices)
    assert choose_recipe(data, source, "good", gpu=True)[0].views.size is None


@pytest.mark.parametrize(("side", "read"), [(20, None), (40, None), (48, 48), (300, 64)])
def test_large_files_are_read_at_twice_the_side_of_a_view(side, read):
    found = Found(FolderSpec(root=Path("x")), "", side)
    data, choice = sized(found, "good", gpu=False)
    assert data.image_size == read
    assert (choice is None) == (read is None)


def test_few_labelled_examples_are_all_learnt_from():
    data = VectorsNpzSpec(root=Path("x"))
    labels = np.arange(600) % 2
    few = source_from_vectors(rng.normal(size=(100, 4)), labels[:100])
    many = source_from_vectors(rng.normal(size=(700, 4)), np.arange(700) % 2)
    assert choose_recipe(data, few, "good", gpu=False)[0].data.held_out == 0
    assert choose_recipe(data, many, "good", gpu=False)[0].data.held_out == 0.1


def test_without_labels_none_is_held_out_and_the_batch_counts_all():
    source = source_from_vectors(rng.normal(size=(512, 4)), test_fraction=0.0)
    recipe, choices = choose_recipe(VectorsNpzSpec(root=Path("x")), source, "good", gpu=False)
    assert recipe.training.batch_size == 256
    assert "check" not in {each.what for each in choices}


@pytest.mark.parametrize("quality", ["fast", "good", "best"])
def test_every_kind_has_a_recipe_that_is_valid(quality):
    series = source_from_series(rng.normal(size=(30, 2, 40)))
    recipe, choices = choose_recipe(SeriesNpzSpec(root=Path("x")), series, quality, gpu=False)
    assert recipe.encoder.takes == "series"
    assert {"views", "network", "batch", "rate", "method"} <= {each.what for each in choices}
    assert all(each.option.startswith("--") for each in choices)


def test_too_few_examples_are_refused():
    source = source_from_vectors(rng.normal(size=(3, 4)), test_fraction=0.0)
    with pytest.raises(SettingError, match="3 examples to learn from; it takes 4"):
        choose_recipe(VectorsNpzSpec(root=Path("x")), source, "good", gpu=False)


def test_grey_pictures_in_three_channels_are_seen():
    grey = np.repeat(pictures(20), 3, axis=3)
    assert is_grey(source_from_arrays(grey).train)
    grey[3, 0, 0, 0] ^= 1
    assert not is_grey(source_from_arrays(grey, test_fraction=0.0).train)
