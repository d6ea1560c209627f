import base64
from io import BytesIO

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from nearfar.report.pictures import contact_sheet, picture


def opened(uri):
    kind, data = uri.split(",", 1)
    assert kind in {"data:image/png;base64", "data:image/jpeg;base64"}
    return Image.open(BytesIO(base64.b64decode(data)))


def test_a_small_image_comes_back_pixel_by_pixel():
    image = np.random.default_rng(0).integers(0, 256, (8, 9, 3), dtype=np.uint8)
    np.testing.assert_array_equal(np.array(opened(picture(image))), image)
    np.testing.assert_array_equal(np.array(opened(picture(image[:, :, :1]))), image[:, :, 0])


@pytest.mark.parametrize("channels", [2, 4, 7])
def test_images_of_any_number_of_channels_are_shown(channels):
    image = np.full((8, 8, channels), 100, np.uint8)
    assert np.array(opened(picture(image))).reshape(64, -1).tolist() == (
        [[100]] * 64 if channels == 2 else [[100, 100, 100]] * 64
    )


def test_a_large_image_is_made_smaller_and_keeps_its_shape():
    assert opened(picture(np.zeros((400, 200, 3), np.uint8))).size == (48, 96)


@given(n=st.integers(1, 30), side=st.integers(1, 12))
def test_each_image_of_a_sheet_lies_where_the_page_looks_for_it(n, side):
    images = np.arange(1, n + 1, dtype=np.uint8)[:, None, None, None] * np.ones(
        (1, side, side, 1), np.uint8
    )
    sheet = contact_sheet(images)
    pixels = np.array(opened(sheet.uri))
    assert pixels.shape == (sheet.rows * side, sheet.columns * side)
    for row in range(n):
        down, across = divmod(row, sheet.columns)
        assert pixels[down * side, across * side] == row + 1


def test_many_photographs_stay_small():
    rng = np.random.default_rng(0)
    waves = np.cumsum(rng.normal(0, 4, (120, 96, 96, 3)), axis=1).clip(-100, 100) + 128
    assert len(contact_sheet(waves.astype(np.uint8)).uri) < 400_000
