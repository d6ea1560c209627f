"""Doubtful labels as a table, as JSON and as a page."""

from pathlib import Path
from typing import Any

from nearfar.uses.features_file import Features
from nearfar.uses.neighbors import Searchable
from nearfar.uses.page import MOST_STRIPS, Page, Shown, Strip, Table
from nearfar.uses.pictures import pictures_of
from nearfar.uses.suspects import Suspects

_NEIGHBORS = 8
_PAIRS = 12
"""Pairs of classes that the page lists."""


def columns(found: Suspects, features: Features) -> dict[str, list[Any]]:
    """A line for each suspect."""
    rows = found.rows.tolist()
    return {
        "name": [features.names[row] for row in rows],
        "row": rows,
        "label": [features.class_of(row) for row in rows],
        "proposed": [class_name(features, each) for each in found.proposed.tolist()],
        "margin": found.margins.tolist(),
    } | ({} if features.parts is None else {"part": [features.parts[row] for row in rows]})


def facts(found: Suspects, features: Features) -> dict[str, Any]:
    """The same in JSON's own types."""
    table = columns(found, features)
    return {
        "labels": _labelled(found),
        "estimated_wrong": found.estimated,
        "joint": found.joint.tolist(),
        "classes": [class_name(features, each) for each in range(len(found.joint))],
        "suspects": [
            dict(zip(table, line, strict=True)) for line in zip(*table.values(), strict=True)
        ],
    }


def class_name(features: Features, label: int) -> str:
    """What a class is called."""
    return str(label) if features.class_names is None else features.class_names[label]


def lead(found: Suspects) -> str:
    """What was found, in one sentence."""
    total = _labelled(found)
    share = found.estimated / total
    return (
        f"About {found.estimated:,.0f} of {total:,} labels look wrong ({share:.1%}), by the "
        f"confident count; {len(found.rows):,} are listed."
    )


def page_of(found: Suspects, features: Features, folder: Path | None, command: str) -> Page:
    """Suspects beside their neighbours, and which classes are taken for which.

    Args:
        found: What was found.
        features: Of whom.
        folder: Where the files lie now, or None.
        command: That made the page.
    """
    shown = found.rows[:MOST_STRIPS]
    units = Searchable(features.features)
    near = units.nearest(features.features[shown], _NEIGHBORS, itself=shown)
    rows = [*shown.tolist(), *near.rows.flatten().tolist()]
    pictures, notes = pictures_of(features, rows, folder)
    strips = []
    for row, proposed, margin, others in zip(
        shown.tolist(),
        found.proposed.tolist(),
        found.margins.tolist(),
        near.rows.tolist(),
        strict=False,
    ):
        label, likely = features.class_of(row), class_name(features, proposed)
        cells = [
            Shown(
                str(features.names[other]),
                pictures.get(other),
                features.class_of(other) or "no label",
                _mark(features.class_of(other), label),
            )
            for other in others
        ]
        first = Shown(str(features.names[row]), pictures.get(row), label or "", "wrong")
        text = f"{features.names[row]}: labelled {label}, likely {likely} (margin {margin:.2f})"
        strips.append(Strip(first, cells, text))
    return Page(
        eyebrow="nearfar suspects",
        title="Suspect labels",
        summary=f"{_labelled(found):,} labelled examples of {len(found.joint)} classes; "
        f"neighbours by the cosine of {features.features.shape[1]} features.",
        lead=lead(found),
        more=[
            "Labels that these features cannot tell apart are counted, too: the first of the list "
            "are the surest."
        ],
        notes=notes,
        tables=[_pairs(found, features)] if len(found.rows) else [],
        strips_title="The most doubtful first",
        strips_note="In front the example with its label, then its nearest neighbours with theirs. "
        "✓ the same label, ✗ another. A suspect is a question to a person, not an answer.",
        strips=strips,
        command=command,
        left_out=len(found.rows) - len(strips),
    )


def _mark(other: str | None, label: str | None) -> str:
    if other is None:
        return "unknown"
    return "right" if other == label else "wrong"


def _labelled(found: Suspects) -> int:
    return int((found.probabilities.sum(dim=1) > 0).sum())


def _pairs(found: Suspects, features: Features) -> Table:
    joint = found.joint.clone()
    joint.fill_diagonal_(0)
    count = len(joint)
    order = joint.flatten().argsort(descending=True)[:_PAIRS].tolist()
    cells = [(cell // count, cell % count, float(joint.flatten()[cell])) for cell in order]
    return Table(
        "Which classes are taken for which",
        "The confident count, scaled to the sizes of the classes: how many labels of a class are "
        "likely those of another.",
        ("Label", "Likely", "Labels", "Of this label"),
        [
            (
                class_name(features, label),
                class_name(features, other),
                f"{value:,.1f}",
                f"{value / max(float(found.joint[label].sum()), 1e-9):.1%}",
            )
            for label, other, value in cells
            if value > 0
        ],
    )
