"""A source from any folder of font files: their characters, drawn, by family for test."""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import PIL
import torch
from numpy import ndarray
from PIL import features

from nearfar.data.drawn_characters import draw_characters
from nearfar.data.folder_listing import list_all
from nearfar.data.folder_tree import many
from nearfar.data.font_faces import FONTS, Face, Faces, find_faces
from nearfar.data.font_specs import FontsSpec
from nearfar.data.made_arrays import keep_made, read_made
from nearfar.data.source import Part, Source
from nearfar.data.splits import stratified_split
from nearfar.paths import user_cache

_DRAWING = 1
"""Counts up where the same settings draw other images."""


def load_fonts(spec: FontsSpec) -> Source:
    """Draw the characters of every family of fonts; some families are kept for test.

    The drawings are kept in the user's cache, and found there for the same font files and settings,
    wherever the files lie.

    Returns:
        Training and test images, 3×size×size, whose families are all different.

    Raises:
        NearfarError: There are not two families of fonts that can be used.
    """
    root = spec.folder
    kept = user_cache() / "drawn-fonts" / f"{_key(spec, root)}.npz"
    drawn = _kept(kept, spec)
    if drawn is None:
        drawn = _draw(spec, find_faces(root, spec.all_characters))
        keep_made(kept, drawn)
    train, test = (
        Part(torch.from_numpy(drawn[part]), torch.from_numpy(drawn[f"{part}_labels"]))
        for part in ("train", "test")
    )
    notes = tuple(str(each) for each in drawn["notes"])
    return Source("fonts", train, test if len(test) else None, None, tuple(spec.drawn), notes)


def _draw(spec: FontsSpec, faces: Faces) -> dict[str, ndarray]:
    """Images and labels of both parts, and notes."""
    learnt, judged = parted(faces.families, spec.test_fraction)
    count = round(spec.examples * spec.test_fraction)
    drawn: dict[str, ndarray] = {}
    for seed, (part, families, images) in enumerate(
        (("train", learnt, spec.examples - count), ("test", judged, count))
    ):
        drawn[part], drawn[f"{part}_labels"] = draw_characters(
            families,
            spec.drawn,
            images,
            size=spec.image_size,
            textured=spec.grounds == "textured",
            seed=seed,
        )
    fonts = sum(map(len, faces.families))
    told = [f"{many(fonts, 'font')} of {len(faces.families)} families are drawn"]
    if len(judged):
        told[0] += f", {len(judged)} of them for test alone"
    return drawn | {"notes": np.array([*faces.notes, *told])}


def parted(
    families: Sequence[Sequence[Face]], test_fraction: float
) -> tuple[list[Sequence[Face]], list[Sequence[Face]]]:
    """The families to learn from and those for test, always the same.

    Args:
        families: All of them.
        test_fraction: Share of them that is for test.
    """
    learnt, judged = stratified_split(len(families), None, test_fraction)
    return [families[row] for row in learnt], [families[row] for row in judged]


def _key(spec: FontsSpec, root: Path) -> str:
    """The same for the same font files, settings and versions of what draws."""
    files = sorted(_checksum(path) for path in list_all(root, FONTS).files)
    settings = {
        name: getattr(spec, name)
        for name in ("characters", "only", "image_size", "examples", "test_fraction", "grounds")
    }
    versions = [_DRAWING, PIL.__version__, features.version("freetype2")]
    return hashlib.sha256(json.dumps([files, settings, versions]).encode()).hexdigest()[:32]


def _checksum(path: Path) -> str:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError:
        return "unreadable"


def _kept(file: Path, spec: FontsSpec) -> dict[str, ndarray] | None:
    """What was drawn before; None where there is none, or it is damaged."""
    drawn = read_made(file)
    if drawn is None:
        return None
    try:
        shape = (3, spec.image_size, spec.image_size)
        for part in ("train", "test"):
            images, labels = drawn[part], drawn[f"{part}_labels"]
            whole = images.dtype == np.uint8 and images.shape == (len(labels), *shape)
            if not (whole and labels.dtype == np.int64 and labels.ndim == 1):
                return None
        return drawn if drawn["notes"].dtype.kind == "U" else None
    except KeyError:
        return None
