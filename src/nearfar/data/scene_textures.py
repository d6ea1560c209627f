"""Textures of rendered scenes: pictures of a folder, or noise of two colours."""

from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from numpy import ndarray
from numpy.random import RandomState

from nearfar.data.file_reading import UnreadableFileError
from nearfar.data.folder_listing import list_all
from nearfar.data.image_files import IMAGES, pillow_quiet, read_image
from nearfar.errors import NearfarError

SIDE = 32
"""Of a texture, in pixels."""
MOST = 400
"""Textures of all scenes together."""

Textures = UInt8[ndarray, "textures 32 32 3"]


def picture_textures(folder: Path) -> Textures:
    """Some of the pictures below a folder, always the same ones, cut to their centre squares.

    Raises:
        NearfarError: There are fewer than two that can be read.
    """
    files = sorted(list_all(folder, IMAGES).files)
    order = RandomState(0).permutation(len(files))
    read: list[ndarray] = []
    with pillow_quiet():
        for place in order:
            if len(read) == MOST:
                break
            try:
                read.append(read_image(files[place], (3, SIDE, SIDE)).transpose(1, 2, 0))
            except UnreadableFileError:
                continue
    if len(read) < 2:
        raise NearfarError(
            f"{folder}: textures need two pictures or more that can be read; --data.textures noise "
            "needs none"
        )
    return np.stack(read)


def noise_textures(count: int = MOST) -> Textures:
    """Blotches of several sizes, stripes and checks, each in two random colours.

    Args:
        count: How many; the first ones of a longer list are those of a shorter one.
    """
    random = RandomState(0)
    at = (np.arange(SIDE) + 0.5) / SIDE
    textures = np.empty((count, SIDE, SIDE, 3), np.uint8)
    for number in range(count):
        colours = random.random_sample((2, 3))
        angle, waves = random.uniform(0, np.pi), random.randint(1, 6)
        along = np.cos(angle) * at[None] + np.sin(angle) * at[:, None]
        blotches = np.zeros((SIDE, SIDE))
        for side, weight in ((4, 4.0), (8, 2.0), (16, 1.0)):
            grains = np.ones((SIDE // side, SIDE // side))
            blotches += weight / 7 * np.kron(random.random_sample((side, side)), grains)
        checks = (np.floor(at[None] * waves) + np.floor(at[:, None] * waves)) % 2
        kinds = (
            blotches,
            0.5 + 0.5 * np.sin(2 * np.pi * waves * along),
            checks,
            0.7 * checks + 0.3 * blotches,
        )
        share = kinds[random.randint(len(kinds))][..., None]
        textures[number] = np.rint(255 * (colours[0] * (1 - share) + colours[1] * share))
    return textures
