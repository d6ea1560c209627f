"""The sets that are looked at, each made from training data alone: one part to fit, one to judge.

Neither holds an image of the test part, so that what is found here chooses sets and settings, and
the test part is still new to a study.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from numpy import ndarray
from torch import Tensor

from nearfar.data.drawn_characters import draw_characters
from nearfar.data.font_faces import find_faces
from nearfar.data.font_specs import FontsSpec
from nearfar.data.fonts import parted
from nearfar.data.source import choose
from nearfar.data.sources import load_source
from nearfar.data.specs import FolderSpec
from nearfar.data.splits import split_part
from nearfar.durable_files import make_folder, written_durably
from nearfar.errors import NearfarError
from nearfar.paths import user_cache
from nearfar.recipes.fonts import VIEWS
from nearfar.views.specs import SimCLRViewsSpec

JUDGED_SHARE = 0.25
"""Share of the training families, or images, that judge."""
_LEAST, _MOST = 100, 300
"""Pictures of a category of drawings: fewer are no class, and of more so many are drawn."""
_SEED = 0

LETTERS = replace(VIEWS, blur=0.5)
"""Views of letters (recipes/fonts.py), blurred as often as SimCLR's."""
DRAWINGS = SimCLRViewsSpec(crop_scale=(0.2, 1.0))


@dataclass(frozen=True)
class Places:
    """Where the files lie that sets are made of."""

    fonts: Path = user_cache() / "fonts"
    """Font files, as `make fonts` fetches them."""
    clipart: Path = user_cache() / "clipart"
    """Drawings, a folder a category, as `make clipart` fetches them."""


@dataclass(frozen=True)
class StudySet:
    """One set.

    Attributes:
        about: What it is, for the page.
        views: SimCLR's of it, which colour, blur and crops are taken from in turn.
        arrays: Images and labels to fit and to judge by, of so many images to fit at most.
    """

    about: str
    views: SimCLRViewsSpec
    arrays: Callable[[Places, int], dict[str, ndarray]]

    def made(self, file: Path, places: Places, images: int) -> Path:
        """The set's `.npz` file, made where it is not there.

        Args:
            file: Where it lies.
            places: Of the files that it is made of.
            images: To fit at most.
        """
        if not file.is_file():
            found = self.arrays(places, images)
            make_folder(file.parent)
            with written_durably(file) as opened:
                np.savez(opened, allow_pickle=False, **found)
        return file


def _fonts(
    characters: Literal[10, 26, 62], only: str | None = None
) -> Callable[[Places, int], dict[str, ndarray]]:
    """Characters drawn by training families, some of which judge."""

    def arrays(places: Places, images: int) -> dict[str, ndarray]:
        spec = FontsSpec(root=places.fonts, characters=characters, only=only)
        spec.require_root()
        faces = find_faces(spec.folder, spec.all_characters)
        training, _ = parted(faces.families, spec.test_fraction)
        fit, judge = parted(training, JUDGED_SHARE)
        found: dict[str, ndarray] = {}
        # Seeds that no part of the source is drawn with.
        for seed, (name, families, count) in enumerate(
            (("", fit, images), ("test_", judge, round(images * JUDGED_SHARE))), start=2
        ):
            drawn, labels = draw_characters(
                families,
                spec.drawn,
                count,
                size=spec.image_size,
                textured=spec.grounds == "textured",
                seed=seed,
            )
            found[f"{name}images"] = drawn.transpose(0, 2, 3, 1)
            found[f"{name}labels"] = labels
        return found

    return arrays


def _clipart(places: Places, images: int) -> dict[str, ndarray]:
    """Drawings of the larger categories, of each about as many."""
    spec = FolderSpec(root=places.clipart, image_size=32)
    spec.require_root()
    source = load_source(spec)
    train, names = source.train, source.class_names or ()
    assert train.labels is not None
    random = np.random.RandomState(_SEED)
    chosen: list[int] = []
    kept: list[int] = []
    for label, name in enumerate(names):
        rows = random.permutation(np.flatnonzero(train.labels.numpy() == label))
        if len(rows) >= _LEAST and name not in ("unsorted", "special"):
            chosen += rows[:_MOST].tolist()
            kept.append(label)
    if len(kept) < 2:
        raise NearfarError(f"{places.clipart}: fewer than two categories of {_LEAST} drawings")
    rows = np.array(sorted(random.permutation(chosen)[: round(images / (1 - JUDGED_SHARE))]))
    chosen_part = choose(train, torch.from_numpy(rows))
    fit, judge = split_part(chosen_part, JUDGED_SHARE)
    assert judge is not None
    found: dict[str, ndarray] = {}
    for name, part in (("", fit), ("test_", judge)):
        held = part.examples
        assert isinstance(held, Tensor)
        assert part.labels is not None
        found[f"{name}images"] = held.permute(0, 2, 3, 1).numpy()
        # The categories that are left, numbered from 0.
        found[f"{name}labels"] = np.searchsorted(kept, part.labels.numpy())
    return found


SETS: dict[str, StudySet] = {
    "fonts-62": StudySet("digits and letters", LETTERS, _fonts(62)),
    "clipart": StudySet(
        f"drawings by category, those of {_LEAST} or more, at most {_MOST} of each",
        DRAWINGS,
        _clipart,
    ),
    "fonts-26": StudySet("capitals", LETTERS, _fonts(26)),
    "fonts-10": StudySet("digits", LETTERS, _fonts(10)),
    "fonts-4": StudySet("A B C D", LETTERS, _fonts(26, "ABCD")),
    "fonts-2": StudySet("A B", LETTERS, _fonts(26, "AB")),
}
"""In the order in which they are measured."""


def without(views: SimCLRViewsSpec, what: str) -> SimCLRViewsSpec:
    """Views with one kind of change left out.

    Args:
        views: All of it.
        what: colour, blur or crops.
    """
    if what == "colour":
        return replace(views, jitter=0.0, grey=0.0)
    if what == "blur":
        return replace(views, blur=0.0)
    return replace(views, crop_scale=(1.0, 1.0), crop_ratio=(1.0, 1.0))
