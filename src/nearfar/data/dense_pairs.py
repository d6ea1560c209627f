"""Which files of a folder are images, which are their depth maps and masks, and of which part."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from nearfar.data.dense_specs import DenseFolderSpec
from nearfar.data.file_reading import shown
from nearfar.data.folder_parts import (
    DEPTH_WORDS,
    IMAGE_WORDS,
    MASK_WORDS,
    PartName,
    part_named,
)
from nearfar.data.folder_tree import FileKind, some, walk
from nearfar.data.image_files import SUFFIXES
from nearfar.errors import NearfarError

MapKind = Literal["depth", "mask"]
Kind = Literal["image", MapKind]

_MAP_SUFFIXES = frozenset((".png", ".tif", ".tiff", ".bmp", ".pgm", ".pfm", ".npy", ".npz"))
FILES = FileKind(
    "image or map",
    "images beside PNG, TIFF, NPY or NPZ",
    SUFFIXES | _MAP_SUFFIXES,
    "images",
    lambda _: False,
)
_WORDS: dict[Kind, frozenset[str]] = {
    "image": IMAGE_WORDS,
    "depth": DEPTH_WORDS,
    "mask": MASK_WORDS,
}
_IN_WORDS: dict[MapKind, str] = {"depth": "depth map", "mask": "mask"}


@dataclass(frozen=True)
class Example:
    """An image with what is known of its pixels."""

    image: Path
    depth: Path | None
    mask: Path | None


def find_pairs(
    root: Path, spec: DenseFolderSpec
) -> tuple[dict[PartName | None, list[Example]], list[str]]:
    """The images below a folder by part, each with its maps; None: the folder has no parts.

    A map is known by the folder it lies in or by what its name ends in, and belongs to the image
    whose path is the same without that word: `images/a/1.jpg` and `depth/a/1.png`, or `1_rgb.png`
    and `1_depth.npy`. Folders named as parts (train, val, test and their like) are these.

    Args:
        root: The folder.
        spec: What folders or names of each kind are called.

    Raises:
        NearfarError: There are no maps, or an image or a map has no counterpart, or two.
    """
    top, notes = walk(root, FILES)
    words: dict[Kind, frozenset[str]] = {kind: _words(kind, spec) for kind in _WORDS}
    found: dict[Kind, dict[tuple[PartName | None, str], Path]] = {each: {} for each in _WORDS}
    for path in top.all_files():
        kind, key = _placed(path.relative_to(root), words)
        if path.suffix.lower() not in (SUFFIXES if kind == "image" else _MAP_SUFFIXES):
            continue
        if key in found[kind]:
            names = [shown(each.relative_to(root)) for each in (found[kind][key], path)]
            raise NearfarError(
                f"{shown(root)}: {names[0]} and {names[1]} are both the {kind} of one example: "
                "give each a name of its own"
            )
        found[kind][key] = path
    maps: dict[MapKind, Mapping[tuple[PartName | None, str], Path]] = {
        "depth": found["depth"],
        "mask": found["mask"],
    }
    if not any(maps.values()):
        raise NearfarError(
            f"{shown(root)}: no depth map and no mask is found: put them into folders depth or "
            "masks beside images, or end their names so (1.jpg and 1_depth.png), or name the "
            "folder or the ending by --data.depth-name or --data.mask-name"
        )
    for kind, of_kind in maps.items():
        if of_kind:
            _require_pairs(root, found["image"], of_kind, _IN_WORDS[kind])
    parts: dict[PartName | None, list[Example]] = {}
    for key, image in found["image"].items():
        example = Example(image, found["depth"].get(key), found["mask"].get(key))
        parts.setdefault(key[0], []).append(example)
    return parts, notes


def _words(kind: Kind, spec: DenseFolderSpec) -> frozenset[str]:
    given = {"image": spec.image_name, "depth": spec.depth_name, "mask": spec.mask_name}[kind]
    return _WORDS[kind] if given is None else frozenset((given.strip("._-/").lower(),))


def _placed(
    path: Path, words: Mapping[Kind, frozenset[str]]
) -> tuple[Kind, tuple[PartName | None, str]]:
    """What a file is, of which part, and by what it pairs with others."""
    folders, stem = list(path.parts[:-1]), path.stem
    kind = _folder_of_kind(folders, words)
    if kind is None:
        kind, stem = _ending(stem, words)
    elif (ending := _ending(stem, words))[0] == kind and ending[1] != stem:
        stem = ending[1]  # masks/1_mask.png pairs with images/1.jpg
    part = None
    for folder in folders:
        part = part_named(folder)
        if part is not None:
            folders.remove(folder)
            break
    return kind, (part, "/".join((*folders, stem)))


def _folder_of_kind(folders: list[str], words: Mapping[Kind, frozenset[str]]) -> Kind | None:
    """The kind that a folder's name says, which is taken out of the list."""
    for kind, names in words.items():
        for folder in folders:
            if folder.lower() in names:
                folders.remove(folder)
                return kind
    return None


def _ending(stem: str, words: Mapping[Kind, frozenset[str]]) -> tuple[Kind, str]:
    """The kind that the last word of a name says, and the name without it; else an image."""
    for kind, names in words.items():
        for name in names:
            found = re.fullmatch(rf"(.+)[._-]{re.escape(name)}", stem, re.IGNORECASE)
            if found:
                return kind, found[1]
    return "image", stem


def _require_pairs(
    root: Path,
    images: Mapping[tuple[PartName | None, str], Path],
    maps: Mapping[tuple[PartName | None, str], Path],
    what: str,
) -> None:
    alone = [_names(root, images, images.keys() - maps.keys())]
    alone.append(_names(root, maps, maps.keys() - images.keys()))
    told = [
        f"{len(names)} {kind}{'s' if len(names) > 1 else ''} without {other} ({some(names)})"
        for names, kind, other in zip(
            alone, ("image", what), (f"a {what}", "an image"), strict=True
        )
        if names
    ]
    if told:
        raise NearfarError(
            f"{shown(root)}: {' and '.join(told)}: an image and its {what} have the same name, in "
            "two folders or before their endings; add or remove what is alone"
        )


def _names(root: Path, files: Mapping[tuple[PartName | None, str], Path], keys: set) -> list[str]:
    return sorted(shown(files[key].relative_to(root)) for key in keys)


def in_order(examples: Sequence[Example]) -> list[Example]:
    """By the names of the images."""
    return sorted(examples, key=lambda each: each.image)
