"""Maps on the page: colours that say what the maps do, and a column for each kind of features."""

import base64
import io

import numpy as np
import pytest
from PIL import Image

from nearfar.report.dense_maps import class_colours, dense_cards, depth_colours

IMAGES = np.zeros((2, 8, 8, 3), dtype=np.uint8)


def pixels(uri):
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(uri.split(",")[1]))))


def lightness(colours):
    return colours.astype(float) @ (0.2126, 0.7152, 0.0722)


def test_nearer_is_lighter_and_what_is_not_known_is_grey():
    depths = np.array([[[1.0, 2.0, 3.0, 9.0, np.nan, np.inf, 0.1, 20.0]]])
    colours = depth_colours(depths, 1.0, 9.0)[0, 0]
    light = lightness(colours)
    assert light[0] > light[1] > light[2] > light[3]
    assert colours[4].tolist() == colours[5].tolist() == [128, 128, 128]
    assert colours[6].tolist() == colours[0].tolist()
    assert colours[7].tolist() == colours[3].tolist()


@pytest.mark.parametrize("value", [0.0, 5.0, 1e12])
def test_depths_that_are_all_alike_have_a_colour(value):
    assert depth_colours(np.full((1, 2, 2), value), value, value)[0, 0, 0].tolist() == [
        253,
        231,
        37,
    ]


def test_each_class_has_a_colour_of_its_own_and_unjudged_pixels_are_grey():
    colours = class_colours(np.arange(-1, 21, dtype=np.int16).reshape(1, 1, 22), 21)[0, 0]
    assert colours[0].tolist() == [128, 128, 128]
    assert len(np.unique(colours, axis=0)) == 22


def test_a_card_has_a_column_for_each_kind_that_was_judged():
    truth = np.linspace(1, 5, 128, dtype=np.float32).reshape(2, 8, 8)
    arrays = {
        "depth_images": IMAGES,
        "depth_truth": truth,
        "depth_answers": truth[::-1],
        "raw_depth_answers": truth + 1,
        "segmentation_images": IMAGES,
        "segmentation_truth": np.zeros((2, 8, 8), dtype=np.int16),
        "segmentation_answers": np.ones((2, 8, 8), dtype=np.int16),
        "segmentation_names": np.array(["<b>wall</b>", "floor", "never seen"]),
    }
    depth, classes = dense_cards(arrays)
    assert depth.columns == ["image", "true", "trained", "raw patches"]
    assert len(depth.rows) == 2
    np.testing.assert_array_equal(pixels(depth.rows[0][1]), depth_colours(truth[:1], 1.0, 5.0)[0])
    np.testing.assert_array_equal(pixels(depth.rows[0][2]), depth_colours(truth[1:], 1.0, 5.0)[0])
    assert "near (1)" in depth.note
    assert "far (5)" in depth.note
    assert [name for name, _ in classes.legend] == ["<b>wall</b>", "floor"]
    assert classes.columns == ["image", "true", "trained"]


def test_without_maps_there_is_no_card_and_without_known_depths_one_of_grey():
    assert dense_cards({"shown_images": IMAGES}) == []
    unknown = np.full((2, 8, 8), np.nan, dtype=np.float32)
    (card,) = dense_cards({"depth_images": IMAGES, "depth_truth": unknown})
    assert (pixels(card.rows[0][1]) == 128).all()
