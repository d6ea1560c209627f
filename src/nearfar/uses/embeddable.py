"""What is to be embedded: a source, a folder of images, one image or one text."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from nearfar.data.checked_when_read import CheckedWhenRead
from nearfar.data.image_files import pages_left_out, pillow_quiet, read_header, read_image
from nearfar.data.source import Part, Source
from nearfar.data.source_spec import Fit
from nearfar.data.tolerant_files import TolerantImages, all_images
from nearfar.encoders.saved_encoder import SavedEncoder
from nearfar.errors import NearfarError, SettingError
from nearfar.text_bytes import encoded
from nearfar.uses.examples import SIDE, parts_in_order, second_sides


@dataclass(frozen=True)
class Examples:
    """What is to be embedded.

    Attributes:
        parts: By name; one called "" is a part alone.
        class_names: Of the labels, or None.
        origin: Where they come from, as the file of features will say.
        fit: How images become squares, where they are files that may be unreadable.
        max_corrupt: Largest share of such files that may be unreadable.
        notes: What a person should know of them.
    """

    parts: Mapping[str, Part]
    class_names: tuple[str, ...] | None
    origin: Mapping[str, Any]
    fit: Fit = "crop"
    max_corrupt: float = 0.0
    notes: tuple[str, ...] = ()


def of_source(source: Source, settings: Mapping[str, Any], *, second: bool = False) -> Examples:
    """All parts of a source.

    Args:
        source: Loaded.
        settings: Of its spec, as JSON has them.
        second: Take what the examples are paired with, which are of a kind of their own.
    """
    if second:
        sides = second_sides(source)
        origin = {"source": dict(settings), SIDE: "second"}
        return Examples(sides, None, origin, notes=source.notes)
    held = {name: part for name, part in parts_in_order(source).items() if len(part)}
    class_names, search = source.class_names, source.search
    if search is not None and search.gallery is not source.train:
        # Its classes are numbered by themselves: behind the others, each name once.
        class_names = tuple(dict.fromkeys([*(class_names or ()), *search.class_names]))
        numbers = torch.tensor([class_names.index(name) for name in search.class_names])
        for name in held.keys() & {"query", "gallery"}:
            labels = held[name].labels
            assert labels is not None
            held[name] = replace(held[name], labels=numbers[labels])
    origin, limit, fit = {"source": dict(settings)}, 0.0, "crop"
    for name, part in held.items():
        # Its own features or none: what stands in for an image in training is another's.
        if isinstance(part.examples, CheckedWhenRead):
            held[name] = replace(part, examples=TolerantImages(part.examples.images))
            limit, fit = part.examples.account.max_corrupt, part.examples.images.fit
    return Examples(held, class_names, origin, fit, limit, source.notes)


def of_folder(
    encoder: SavedEncoder, root: Path, *, fit: Fit = "squash", max_corrupt: float = 0.01
) -> Examples:
    """Every image below a folder, however it is laid out, without labels.

    Args:
        encoder: Says to which shape images are brought.
        root: The folder.
        fit: How images become squares.
        max_corrupt: Largest share of images that may be unreadable; they are skipped.

    Raises:
        SettingError: The encoder takes neither grey nor RGB images.
        NearfarError: There is no image.
    """
    channels, side, _ = encoder.shape
    files, paths, notes = all_images(root, (channels, side, side), fit)
    names = paths.names_below(root)
    origin = {"folder": str(root.absolute()), "fit": fit}
    return Examples({"": Part(files, None, names)}, None, origin, fit, max_corrupt, tuple(notes))


def of_image(encoder: SavedEncoder, file: Path, *, fit: Fit = "squash") -> Examples:
    """One image file, read as `of_folder` reads those of a folder.

    Raises:
        SettingError: There is no such file.
        NearfarError: The file is no image.
    """
    if not file.is_file():
        raise SettingError(f"no such image: {file}")
    channels, side, _ = encoder.shape
    with pillow_quiet():
        pixels = torch.tensor(read_image(file, (channels, side, side), fit))
        notes = pages_left_out([read_header(file)])
    return Examples({"": Part(pixels[None], None, [str(file)])}, None, {}, notes=tuple(notes))


def of_text(encoder: SavedEncoder, text: str) -> Examples:
    """One text, which is its own name.

    Raises:
        NearfarError: There is nothing in it.
    """
    if not text.strip():
        raise NearfarError("an empty text has no neighbours: give some words")
    rows, cut = encoded([text], encoder.shape[0])
    note = f"a text is longer than the {encoder.shape[0]} bytes that the encoder takes: cut"
    part = Part(rows, None, [text], "texts")
    return Examples({"": part}, None, {}, notes=(note,) if cut else ())
