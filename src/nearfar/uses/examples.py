"""The examples that features are of, found where they came from by the names of the rows."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from nearfar.data.source import Part, Source, choose, joined
from nearfar.data.sources import load_source
from nearfar.data.specs import SourceSpec
from nearfar.spec import as_spec
from nearfar.uses.features_file import Features

_LOOKED_AT = 20
SIDE = "side"
"""In what a file of features says of its data: "second" where they are what examples are paired
with; of others it is absent."""


def parts_in_order(source: Source) -> dict[str, Part]:
    """The parts of a source by name; examples without a label among the others, as they stood.

    What has names is found by them, and stays as it is.
    """
    parts, first, second = source.parts, source.train, source.unlabelled
    if source.order is None or second is None or first.labels is None or first.names is not None:
        return parts
    labels = torch.cat([first.labels, torch.full((len(second),), -1)])
    together = replace(joined(first, second), labels=labels)
    del parts["unlabelled"]
    return parts | {"train": choose(together, source.order.argsort())}


def second_sides(source: Source) -> dict[str, Part]:
    """What the examples of each part of a source of pairs stand beside, each once, by its name."""
    return {
        name: part.partners.used().as_part()
        for name, part in parts_in_order(source).items()
        if part.partners is not None and len(part)
    }


def folder_of(features: Features, given: Path | None = None) -> Path | None:
    """The folder that the names of rows begin at; None where they are no files, or are gone.

    Args:
        features: Saved or just embedded.
        given: Where the files lie now; None looks where they lay.
    """
    place = given or recorded_folder(features)
    if place is None or not place.is_dir():
        return None
    looked_at = list(features.names[:_LOOKED_AT])
    return place if any(file_of(place, name) is not None for name in looked_at) else None


def recorded_folder(features: Features) -> Path | None:
    """Where the files of features lay when they were embedded; None of others."""
    data = _data(features)
    source = data.get("source")
    root = data.get("folder") or (source.get("root") if isinstance(source, dict) else None)
    return Path(root) if isinstance(root, str) else None


def file_of(place: Path, name: str) -> Path | None:
    """The file of a name below a folder; None where there is none, or the name leads out of it.

    Args:
        place: The folder.
        name: From a file of features, which anyone may have written.
    """
    path = place / name
    try:
        inside = path.resolve().is_relative_to(place.resolve())
        return path if inside and path.is_file() else None
    except (OSError, ValueError):
        return None


def examples_in_memory(features: Features, rows: Sequence[int]) -> dict[int, Tensor]:
    """Examples of a source that is loaded again, by row; those that are not found are left out.

    Args:
        features: Whose file says which source.
        rows: Which.

    Raises:
        NearfarError: The source cannot be loaded.
    """
    return {
        row: example
        for part, held in parts_of(features, rows)
        for row, example in zip(held, _loaded(part), strict=True)
    }


def parts_of(features: Features, rows: Sequence[int]) -> list[tuple[Part, list[int]]]:
    """The examples of some rows: for each part of the source those of it, and their rows.

    Args:
        features: Whose file says which source; of others there are none.
        rows: Which.

    Raises:
        NearfarError: The source cannot be loaded.
    """
    settings = _data(features).get("source")
    if not isinstance(settings, dict):
        return []
    source = load_source(as_spec(SourceSpec, settings))
    found = []
    sides = parts_in_order(source)
    if _data(features).get(SIDE) == "second":
        sides = second_sides(source)
    for name, part in sides.items():
        places = _places(part, name)
        held = [row for row in rows if features.names[row] in places]
        if held:
            wanted = torch.tensor([places[features.names[row]] for row in held])
            found.append((choose(part, wanted), held))
    return found


def _data(features: Features) -> Mapping[str, Any]:
    return {} if features.about is None else features.about.data


def _places(part: Part, name: str) -> dict[str, int]:
    names = part.names or [f"{name}/{row}" for row in range(len(part))]
    return {each: place for place, each in enumerate(names)}


def _loaded(part: Part) -> list[Tensor]:
    return [part.examples[place] for place in range(len(part))]
