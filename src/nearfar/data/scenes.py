"""A source of rendered rooms: images, the depth and the kind of each pixel."""

import hashlib
import json

import numpy as np
import torch
from numpy import ndarray

from nearfar.data.dense_specs import ScenesSpec
from nearfar.data.made_arrays import keep_made, read_made
from nearfar.data.rendering import KINDS, draw_scenes, render
from nearfar.data.scene_textures import Textures, noise_textures, picture_textures
from nearfar.data.source import Part, Source
from nearfar.data.splits import stratified_split
from nearfar.paths import user_cache

_DRAWING = 1
"""Counts up where the same settings render other images."""
_TYPES = {"images": np.uint8, "depths": np.float16, "masks": np.uint8}


def load_scenes(spec: ScenesSpec) -> Source:
    """Render the scenes, those of training and of test with textures of their own.

    They are kept in the user's cache, and found there for the same textures and settings.

    Returns:
        Images 3×size×size, depths in metres, and masks of floor, ceiling, wall, ball and box.

    Raises:
        NearfarError: Fewer than two pictures for textures can be read.
    """
    pictures = spec.has_pictures
    textures = picture_textures(spec.folder) if pictures else noise_textures()
    kept = user_cache() / "rendered-scenes" / f"{_key(spec, textures)}.npz"
    made = _kept(kept, spec)
    if made is None:
        made = _made(spec, textures)
        keep_made(kept, made)
    train, test = (
        Part(
            torch.from_numpy(made[f"{part}_images"]),
            depths=torch.from_numpy(made[f"{part}_depths"]).float(),
            masks=torch.from_numpy(made[f"{part}_masks"]).to(torch.int16),
        )
        for part in ("train", "test")
    )
    note = f"scenes with textures of {len(textures)} " + (
        "pictures" if pictures else "patterns of noise: `make clipart` fetches pictures"
    )
    return Source(spec.name, train, test if len(test) else None, notes=(note,), mask_names=KINDS)


def _made(spec: ScenesSpec, textures: Textures) -> dict[str, ndarray]:
    learnt, judged = stratified_split(len(textures), None, spec.test_fraction)
    count = round(spec.examples * spec.test_fraction)
    made: dict[str, ndarray] = {}
    for seed, (part, rows, images) in enumerate(
        (("train", learnt, spec.examples - count), ("test", judged, count))
    ):
        own = textures[rows] if len(rows) else textures
        scenes = draw_scenes(images, len(own), most_solids=spec.solids, seed=seed)
        found = render(scenes, own, spec.image_size)
        made |= {f"{part}_{name}": each for name, each in zip(_TYPES, found, strict=True)}
    return made


def _key(spec: ScenesSpec, textures: Textures) -> str:
    """The same for the same textures, settings and versions of what renders."""
    names = ("image_size", "examples", "test_fraction", "solids")
    settings = {name: getattr(spec, name) for name in names}
    drawn = hashlib.sha256(textures.tobytes()).hexdigest()
    versions = [_DRAWING, np.__version__]
    return hashlib.sha256(json.dumps([drawn, settings, versions]).encode()).hexdigest()[:32]


def _kept(file, spec: ScenesSpec) -> dict[str, ndarray] | None:
    """What was rendered before; None where there is none, or it is damaged."""
    made = read_made(file)
    if made is None:
        return None
    test = round(spec.examples * spec.test_fraction)
    side = (spec.image_size, spec.image_size)
    for part, count in (("train", spec.examples - test), ("test", test)):
        for name, dtype in _TYPES.items():
            shape = (count, 3, *side) if name == "images" else (count, *side)
            each = made.get(f"{part}_{name}")
            if each is None or each.dtype != dtype or each.shape != shape:
                return None
    return made
