"""What to label first as a table, as JSON and as a page."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from nearfar.uses.features_file import Features
from nearfar.uses.page import Page, Shown, Strip
from nearfar.uses.pictures import pictures_of

_SHOWN = 200

_HOW = {
    "typicality": "the densest place of each of as many clusters",
    "k-centre": "each the farthest from all before it",
}


def columns(rows: Sequence[int], features: Features) -> dict[str, list[Any]]:
    """A line for each chosen example, in order."""
    table: dict[str, list[Any]] = {
        "name": [features.names[row] for row in rows],
        "row": list(rows),
    }
    if features.labels is not None:
        table["class"] = [features.class_of(row) for row in rows]
    if features.parts is not None:
        table["part"] = [features.parts[row] for row in rows]
    return table


def facts(rows: Sequence[int], features: Features) -> list[dict[str, Any]]:
    """The same in JSON's own types."""
    table = columns(rows, features)
    return [dict(zip(table, line, strict=True)) for line in zip(*table.values(), strict=True)]


def lead(rows: Sequence[int], features: Features, by: str) -> str:
    """What was chosen, in one sentence."""
    said = f"{len(rows):,} of {len(features):,} examples to label first: {_HOW[by]}."
    if features.labels is None:
        return said
    classes = {features.class_of(row) for row in range(len(features))} - {None}
    chosen = {features.class_of(row) for row in rows} - {None}
    return f"{said} They are of {len(chosen)} of {len(classes)} classes."


def page_of(
    rows: Sequence[int], features: Features, by: str, folder: Path | None, command: str
) -> Page:
    """The chosen examples.

    Args:
        rows: Chosen, in order.
        features: Of whom.
        by: How they were chosen.
        folder: Where the files lie now, or None.
        command: That made the page.
    """
    shown = rows[:_SHOWN]
    pictures, notes = pictures_of(features, shown, folder)
    cells = [
        Shown(str(features.names[row]), pictures.get(row), features.class_of(row) or "")
        for row in shown
    ]
    return Page(
        eyebrow="nearfar select",
        title="What to label first",
        summary=f"{len(features):,} examples by {features.features.shape[1]} features.",
        lead=lead(rows, features, by),
        notes=notes,
        strips_title="Chosen",
        strips_note="In the order in which to label them.",
        strips=[Strip(None, cells)],
        command=command,
        left_out=len(rows) - len(shown),
    )
