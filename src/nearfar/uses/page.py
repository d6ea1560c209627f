"""What a use found as one self-contained HTML page, dark and light, with pictures."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import plotly.graph_objects as go

from nearfar.durable_files import write_durably
from nearfar.report.map_section import SMALL_IMAGE
from nearfar.report.page import render
from nearfar.report.pictures import picture

MOST_STRIPS = 60
"""Rows of pictures that a page shows; a table holds all."""


@dataclass(frozen=True)
class Shown:
    """One example.

    Attributes:
        name: What it is called.
        picture: `(height, width, channels)` uint8; of a text its words; or None.
        text: What stands below it.
        mark: "right" or "wrong" where it agrees or disagrees with what it stands beside.
        detail: A second line.
    """

    name: str
    picture: np.ndarray | str | None = None
    text: str = ""
    mark: str = "unknown"
    detail: str = ""


@dataclass(frozen=True)
class Strip:
    """One example and those that belong to it.

    Attributes:
        first: In front, larger; None where all are alike.
        others: Beside it.
        text: A line above them.
    """

    first: Shown | None
    others: Sequence[Shown]
    text: str = ""


@dataclass(frozen=True)
class Chart:
    """A chart with what it says.

    Attributes:
        title: Above it.
        note: Below the title.
        figure: Without colours, as those of a report.
        label: In words, for those who do not see it.
    """

    title: str
    note: str
    figure: go.Figure
    label: str


@dataclass(frozen=True)
class Table:
    """A small table.

    Attributes:
        title: Above it.
        note: Below the title.
        heads: Of the columns.
        rows: Text.
    """

    title: str
    note: str
    heads: Sequence[str]
    rows: Sequence[Sequence[str]]


@dataclass(frozen=True)
class Page:
    """All that a page shows.

    Attributes:
        eyebrow: Which command made it.
        title: What it is of.
        summary: In one sentence, from what it was made.
        lead: What was found, in one sentence.
        more: Further sentences.
        notes: What a person should know.
        charts: In order.
        tables: In order.
        strips_title: Above the pictures.
        strips_note: Below that title.
        strips: Rows of pictures.
        command: That made it.
        left_out: How many more there are that are not shown.
    """

    eyebrow: str
    title: str
    summary: str
    lead: str
    more: Sequence[str] = ()
    notes: Sequence[str] = ()
    charts: Sequence[Chart] = ()
    tables: Sequence[Table] = ()
    strips_title: str = ""
    strips_note: str = ""
    strips: Sequence[Strip] = ()
    command: str = ""
    left_out: int = 0


def write_page(page: Page, out: Path) -> None:
    """Write a page in one stroke.

    Args:
        page: What it shows.
        out: Its file.
    """
    small = [
        each.picture
        for strip in page.strips
        for each in (*([strip.first] if strip.first else []), *strip.others)
        if isinstance(each.picture, np.ndarray)
    ]
    text = render(
        "use.html",
        package="nearfar.uses",
        page=page,
        strips=[
            {
                "first": None if strip.first is None else _cell(strip.first),
                "others": [_cell(each) for each in strip.others],
                "text": strip.text,
            }
            for strip in page.strips
        ],
        texts=any(isinstance(each.picture, str) for strip in page.strips for each in strip.others),
        pixels=bool(small) and max(max(each.shape[:2]) for each in small) <= SMALL_IMAGE,
    )
    write_durably(out, text.encode(errors="backslashreplace"))


def _cell(shown: Shown) -> dict[str, str | None]:
    return {
        "uri": picture(shown.picture) if isinstance(shown.picture, np.ndarray) else None,
        "words": shown.picture if isinstance(shown.picture, str) else None,
        "name": shown.name,
        "text": shown.text,
        "mark": shown.mark,
        "detail": shown.detail,
    }
