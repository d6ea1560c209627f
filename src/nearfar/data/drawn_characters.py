"""Characters of fonts drawn in random colours on random grounds, turned and moved a little."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Int64, UInt8
from numpy import ndarray
from numpy.random import RandomState
from PIL import Image
from PIL.ImageFont import FreeTypeFont

from nearfar.data.font_faces import Face, Ink, ink_of, opened

_FINE = 2
"""Characters are drawn in pixels of half the size first."""
_HEIGHTS = (0.42, 0.62)
"""Height of the highest of a few characters, over the image's side."""
_DEGREES, _SHIFT, _WIDEST = 10.0, 0.06, 0.92
_CONTRAST = 0.3
"""Least difference in brightness of a character and what is behind it, of 1."""
_LUMA = np.array([0.299, 0.587, 0.114])
_INKS = 8
"""Colours that are drawn for an ink until one has the contrast."""
_AT_ONCE = 4096
_GRAINS = 5
"""Patches along a side of a blotched ground."""


def draw_characters(
    families: Sequence[Sequence[Face]],
    characters: str,
    count: int,
    *,
    size: int,
    textured: bool,
    seed: int,
) -> tuple[UInt8[ndarray, "count 3 size size"], Int64[ndarray, " count"]]:
    """Images of characters, of each character as many, give or take one.

    The family is drawn at random, then a face of it, so that a family of forty faces is seen as
    often as one of one.

    Args:
        families: The faces to draw with.
        characters: Each is a class.
        count: Number of images.
        size: Their side in pixels.
        textured: Grounds are plain, shaded, striped or blotched, each as often; else all plain.
        seed: Of everything that is drawn at random.

    Returns:
        RGB images, and the number of each one's character.
    """
    random = RandomState(seed)  # whose stream NumPy keeps as it is; Generator's may change
    labels = np.arange(count) % len(characters)
    family = random.randint(len(families), size=count)
    within = random.random_sample(count)
    faces = [
        families[each][int(part * len(families[each]))]
        for each, part in zip(family, within, strict=True)
    ]
    placing = random.random_sample((count, 4))
    coverage = np.zeros((count, size, size), np.uint8)
    # By face: each file is opened once.
    for face, rows in _by_face(faces).items():
        glyphs = _Glyphs(face, size * _FINE)
        for row in rows:
            coverage[row] = glyphs.placed(characters[labels[row]], placing[row])
    images = np.empty((count, 3, size, size), np.uint8)
    for first in range(0, count, _AT_ONCE):
        rows = slice(first, first + _AT_ONCE)
        images[rows] = _coloured(coverage[rows], random, textured)
    return images, labels.astype(np.int64)


def _by_face(faces: Sequence[Face]) -> dict[Face, list[int]]:
    rows: dict[Face, list[int]] = {}
    for row, face in enumerate(faces):
        rows.setdefault(face, []).append(row)
    return rows


class _Glyphs:
    """The characters of a face as large as they are ever drawn, each made once."""

    def __init__(self, face: Face, side: int) -> None:
        self.side = side
        # Fonts fill their em by very different shares: what counts is how high a letter is.
        probe = opened(face.path, float(side))
        heights = [-ink[1][1] for each in "HX08" if (ink := ink_of(probe, each)) is not None]
        highest = max([1, *heights])
        self.font: FreeTypeFont = opened(face.path, max(1.0, side * _HEIGHTS[1] * side / highest))
        self.inks: dict[str, tuple[Ink, tuple[int, int]] | None] = {}

    def placed(self, character: str, draws: Float[ndarray, " 4"]) -> UInt8[ndarray, "size size"]:
        """The coverage of an image by the character: how high, how turned, and where it is.

        Args:
            character: One that the face has.
            draws: From 0 to 1 each: height, angle, and place to the right and downwards.
        """
        if character not in self.inks:
            self.inks[character] = ink_of(self.font, character)
        ink = self.inks[character]
        canvas = self.side
        if ink is None:  # so large or so small a glyph that it is none at this size
            return np.zeros((canvas // _FINE, canvas // _FINE), np.uint8)
        pixels, (_, top) = ink
        low, high = _HEIGHTS
        scale = (low + (high - low) * draws[0]) / high
        scale = min(scale, _WIDEST * canvas / max(pixels.shape))
        angle = np.deg2rad(_DEGREES * (2 * draws[1] - 1))
        right, down = (2 * draws[2:] - 1) * _SHIFT * canvas
        # The baseline lies where letters without a tail stand in the middle of the image.
        baseline = canvas / 2 + high * canvas * scale / 2
        middle = baseline + (top + pixels.shape[0] / 2) * scale
        from_y, from_x = pixels.shape[0] / 2, pixels.shape[1] / 2
        across = abs(np.cos(angle)) * from_x + abs(np.sin(angle)) * from_y
        upwards = abs(np.cos(angle)) * from_y + abs(np.sin(angle)) * from_x
        x = _inside(canvas / 2 + right, across * scale, canvas)
        y = _inside(middle + down, upwards * scale, canvas)
        cos, sin = np.cos(angle) / scale, np.sin(angle) / scale
        back = (cos, sin, from_x - cos * x - sin * y, -sin, cos, from_y + sin * x - cos * y)
        # A margin, so that its edges fade.
        source = Image.fromarray(np.pad(pixels, 1))
        back = (*back[:2], back[2] + 1, *back[3:5], back[5] + 1)
        drawn = source.transform(
            (canvas, canvas), Image.Transform.AFFINE, back, Image.Resampling.BILINEAR
        )
        return np.asarray(drawn.reduce(_FINE))


def _inside(place: float, half: float, side: int) -> float:
    """The place moved so that what reaches so far to both sides of it does not leave the image."""
    half = min(half, side / 2)
    return min(max(place, half), side - half)


def _coloured(
    coverage: UInt8[ndarray, "n size size"], random: RandomState, textured: bool
) -> UInt8[ndarray, "n 3 size size"]:
    """Coverages with an ink on a ground, and a little noise as of a camera."""
    count, size = len(coverage), coverage.shape[1]
    first = random.random_sample((count, 3))
    second = np.clip(first + random.uniform(-0.35, 0.35, (count, 3)), 0, 1)
    share = _shares(count, size, random, textured)[:, None]
    ground = first[:, :, None, None] * (1 - share) + second[:, :, None, None] * share
    ink = _inks(first, second if textured else first, random)[:, :, None, None]
    covered = coverage[:, None] / 255
    images = ground * (1 - covered) + ink * covered
    noise = random.uniform(0, 0.05, (count, 1, 1, 1)) * random.standard_normal(images.shape)
    return np.rint(np.clip(images + noise, 0, 1) * 255).astype(np.uint8)


def _inks(
    first: Float[ndarray, "n 3"], second: Float[ndarray, "n 3"], random: RandomState
) -> Float[ndarray, "n 3"]:
    """Colours that stand out from both colours of a ground: black or white where eight do not."""
    low = np.minimum(first @ _LUMA, second @ _LUMA)
    high = np.maximum(first @ _LUMA, second @ _LUMA)
    tried = random.random_sample((len(first), _INKS, 3))
    luma = tried @ _LUMA
    apart = np.maximum(low[:, None] - luma, luma - high[:, None]) >= _CONTRAST
    chosen = tried[np.arange(len(first)), apart.argmax(axis=1)]
    extreme = np.where(1 - high > low, 1.0, 0.0)[:, None] * np.ones(3)
    return np.where(np.any(apart, axis=1, keepdims=True), chosen, extreme)


def _shares(
    count: int, size: int, random: RandomState, textured: bool
) -> Float[ndarray, "n size size"]:
    """How much of each pixel of a ground is of its second colour."""
    if not textured:
        return np.zeros((count, size, size))
    kind = random.randint(4, size=count)
    angle = random.uniform(0, np.pi, count)[:, None, None]
    waves = random.uniform(1.5, 5, count)[:, None, None]
    phase = random.uniform(0, 2 * np.pi, count)[:, None, None]
    patches = random.random_sample((count, _GRAINS, _GRAINS))
    at = (np.arange(size) + 0.5) / size
    along = (at[None, None, :] - 0.5) * np.cos(angle) + (at[None, :, None] - 0.5) * np.sin(angle)
    shaded = along / np.sqrt(2) + 0.5
    striped = (np.sin(2 * np.pi * waves * along + phase) > 0).astype(float)
    blotched = _stretched(patches, size)
    plain = np.zeros_like(shaded)
    return np.choose(kind[:, None, None], [plain, shaded, striped, blotched])


def _stretched(patches: Float[ndarray, "n g g"], size: int) -> Float[ndarray, "n size size"]:
    """Patches brought to the size of the image, with smooth steps between them."""
    grains = patches.shape[1]
    at = np.linspace(0, grains - 1, size)
    low = np.minimum(at.astype(int), grains - 2)
    part = at - low
    weights = np.zeros((size, grains))
    weights[np.arange(size), low], weights[np.arange(size), low + 1] = 1 - part, part
    return weights @ patches @ weights.T
