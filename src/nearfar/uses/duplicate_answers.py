"""Groups of copies as a table, as JSON and as a page."""

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

from nearfar.report.charts import frame
from nearfar.uses.copy_threshold import histogram
from nearfar.uses.duplicates import Duplicates, Group
from nearfar.uses.features_file import Features
from nearfar.uses.page import MOST_STRIPS, Chart, Page, Shown, Strip
from nearfar.uses.pictures import Sight, pictures_of

_IN_A_STRIP = 20
_WORDS = {"bytes": "equal files", "values": "equal examples", "near": "nearly equal"}
_EQUAL = {"images": "equal pixels"}
"""What equal examples of a kind are called, where that is not its own name."""


def _words_for(features: Features) -> dict[str, str]:
    """What each kind of copy is called."""
    if features.about is None:
        return _WORDS
    modality = features.about.modality
    return _WORDS | {"values": _EQUAL.get(modality, f"equal {modality}")}


def columns(found: Duplicates, features: Features) -> dict[str, list[Any]]:
    """A line for each example of each group."""
    table: dict[str, list[Any]] = {
        name: [] for name in ("group", "name", "keep", "copy", "distance")
    }
    if features.labels is not None:
        table["class"] = []
    if features.parts is not None:
        table["part"] = []
    for number, group in enumerate(found.groups, 1):
        kinds = ["", *group.kinds]
        for place, (row, distance) in enumerate(zip(group.rows, group.distances, strict=True)):
            table["group"].append(number)
            table["name"].append(features.names[row])
            table["keep"].append(place == 0)
            table["copy"].append(kinds[place])
            table["distance"].append(distance)
            if features.labels is not None:
                table["class"].append(features.class_of(row))
            if features.parts is not None:
                table["part"].append(features.parts[row])
    return table


def facts(found: Duplicates, features: Features) -> dict[str, Any]:
    """The same in JSON's own types."""
    return {
        "threshold": found.threshold,
        "reason": None if found.suggestion is None else found.suggestion.reason,
        "examples": len(features),
        "superfluous": found.superfluous,
        "across_parts": across_parts(found, features),
        "of_two_classes": of_two_classes(found, features),
        "groups": [
            [
                {"name": features.names[row], "distance": distance, "copy": kind}
                for row, distance, kind in zip(
                    group.rows, group.distances, ["", *group.kinds], strict=True
                )
            ]
            for group in found.groups
        ],
    }


def across_parts(found: Duplicates, features: Features) -> int:
    """Groups with examples of two parts: what is tested was learnt."""
    if features.parts is None:
        return 0
    return sum(len({features.parts[row] for row in group.rows}) > 1 for group in found.groups)


def of_two_classes(found: Duplicates, features: Features) -> int:
    """Groups whose copies carry different labels: one of them is wrong."""
    if features.labels is None:
        return 0
    return sum(len(_classes(group, features)) > 1 for group in found.groups)


def kinds_in_words(found: Duplicates, features: Features) -> str:
    """What was found, in one sentence."""
    if not found.groups:
        return f"No copies among {len(features):,} examples."
    counted = Counter(kind for group in found.groups for kind in group.kinds)
    words = _words_for(features)
    kinds = ", ".join(f"{counted[kind]:,} {words[kind]}" for kind in words if counted[kind])
    return (
        f"{found.superfluous:,} of {len(features):,} examples are copies of another "
        f"({kinds}), in {len(found.groups):,} groups."
    )


def page_of(found: Duplicates, features: Features, folder: Path | None, command: str) -> Page:
    """Groups with their pictures, and the distances that the threshold was read off.

    Args:
        found: What was found.
        features: Of whom.
        folder: Where the files lie now, or None.
        command: That made the page.
    """
    shown = found.groups[:MOST_STRIPS]
    rows = [row for group in shown for row in group.rows[: _IN_A_STRIP + 1]]
    pictures, notes = pictures_of(features, rows, folder)
    if found.cut:
        notes.append(f"{found.cut:,} examples have more copies than were looked for")
    more = []
    if leaks := across_parts(found, features):
        more.append(f"{leaks:,} groups have examples of two parts: what is judged was learnt from.")
    if wrong := of_two_classes(found, features):
        more.append(f"{wrong:,} groups carry two labels: at least one of each is wrong.")
    reason = "given by --threshold" if found.suggestion is None else found.suggestion.reason
    return Page(
        eyebrow="nearfar duplicates",
        title="Copies",
        summary=f"{len(features):,} examples, by the cosine of {features.features.shape[1]} "
        "features.",
        lead=kinds_in_words(found, features),
        more=more,
        notes=notes,
        charts=[
            Chart(
                "Distances of nearest neighbours",
                f"1 − cosine, on a logarithmic scale; what is equal stands on the left. Threshold "
                f"{found.threshold:.3g}: {reason}. The line is what a set without copies would "
                "look like, fitted to the upper half; move the threshold with --threshold.",
                _chart(found),
                f"histogram of distances, threshold at {found.threshold:.3g}",
            )
        ],
        strips_title="Groups",
        strips_note="In front the one that the others are near to, then its copies, nearest first, "
        "with their distance.",
        strips=[_strip(group, features, pictures) for group in shown],
        command=command,
        left_out=len(found.groups) - len(shown),
    )


def _strip(group: Group, features: Features, pictures: dict[int, Sight]) -> Strip:
    first, *others = group.rows
    own = features.class_of(first)
    cells = [
        Shown(
            str(features.names[row]),
            pictures.get(row),
            _words_for(features)[kind] if kind != "near" else f"{distance:.2g}",
            "wrong" if own is not None and features.class_of(row) not in (None, own) else "unknown",
            str(features.names[row]),
        )
        for row, distance, kind in zip(
            others[:_IN_A_STRIP], group.distances[1:], group.kinds, strict=False
        )
    ]
    left = len(others) - len(cells)
    text = f"{len(group.rows):,} alike" + (f", {left:,} of them not shown" if left else "")
    classes = _classes(group, features)
    if len(classes) > 1:
        text += f", of the classes {', '.join(sorted(classes))}"
    return Strip(Shown(str(features.names[first]), pictures.get(first)), cells, text)


def _classes(group: Group, features: Features) -> set[str]:
    return {name for row in group.rows if (name := features.class_of(row)) is not None}


def _chart(found: Duplicates) -> Any:
    edges, counts = histogram(found.nearest)
    middles, width = (edges[:-1] + edges[1:]) / 2, float(edges[1] - edges[0])
    figure = frame("1 − cosine of the nearest neighbour", "examples")
    figure.add_bar(
        x=middles,
        y=counts,
        width=width,
        name="examples",
        meta={"colour": "accent"},
        customdata=10**middles,
        hovertemplate="%{customdata:.2g}: %{y}<extra></extra>",
    )
    told = found.suggestion
    if told is not None and np.isfinite(told.shape):
        fine = np.linspace(edges[0], edges[-1], 300)
        figure.add_scatter(
            x=fine,
            y=width * told.density(10**fine),
            mode="lines",
            name="without copies",
            meta={"colour": "orange"},
            line={"dash": "dash"},
            hoverinfo="skip",
        )
    ticks = np.arange(np.ceil(edges[0]), np.floor(edges[-1]) + 1)
    figure.update_xaxes(tickvals=ticks, ticktext=[f"{10.0**tick:g}" for tick in ticks])
    if found.threshold > 0:
        figure.add_vline(
            x=float(np.log10(max(found.threshold, 10 ** float(edges[0])))),
            line={"dash": "dot", "width": 1.5},
            annotation_text="threshold",
        )
    return figure
