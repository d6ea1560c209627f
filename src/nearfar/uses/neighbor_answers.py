"""Neighbours as a table, as JSON and as a page."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from nearfar.outside_text import printable
from nearfar.uses.features_file import Features
from nearfar.uses.neighbors import Neighbors
from nearfar.uses.page import MOST_STRIPS, Page, Shown, Strip
from nearfar.uses.pictures import picture_of_file, pictures_of, words_of


def answers(
    queries: Features, bank: Features, found: Neighbors, most: int | None = None
) -> list[dict[str, Any]]:
    """Each query with its neighbours, in JSON's own types.

    Args:
        queries: Who asked.
        bank: What was looked among.
        found: What was found.
        most: How many queries; None for all.
    """
    words = words_of(bank, found.rows[:most].flatten().tolist())
    asked = words_of(queries, range(len(found.rows[:most])))
    listed = []
    for query, (rows, similarities) in enumerate(
        zip(found.rows[:most].tolist(), found.similarities[:most].tolist(), strict=True)
    ):
        near = [
            {"name": bank.names[row], "row": row, "similarity": round(similarity, 6)}
            | ({} if bank.labels is None else {"class": bank.class_of(row)})
            | ({"text": words[row]} if row in words else {})
            for row, similarity in zip(rows, similarities, strict=True)
        ]
        said = {"query_text": asked[query]} if query in asked else {}
        listed.append({"query": queries.names[query], **said, "neighbors": near})
    return listed


def columns(queries: Features, bank: Features, found: Neighbors) -> dict[str, list[Any]]:
    """A line for each query and neighbour."""
    k = found.rows.shape[1]
    rows = found.rows.flatten().tolist()
    table: dict[str, list[Any]] = {
        "query": [name for name in queries.names for _ in range(k)],
        "rank": list(range(1, k + 1)) * len(queries),
        "neighbor": [bank.names[row] for row in rows],
        "similarity": found.similarities.flatten().tolist(),
    }
    if bank.labels is not None:
        table["class"] = [bank.class_of(row) for row in rows]
    return table


def page_of(
    queries: Features,
    bank: Features,
    found: Neighbors,
    files: Sequence[Path | None],
    folder: Path | None,
    command: str,
    *,
    texts: bool = False,
) -> Page:
    """A gallery: each query beside its neighbours.

    Args:
        queries: Who asked.
        bank: What was looked among.
        found: What was found.
        files: Of each query its file, or None; empty where the bank asks.
        folder: Where the bank's files lie.
        command: That made the page.
        texts: Queries are texts, which are their own names where no file is known to hold them.
    """
    shown = found.rows[:MOST_STRIPS].tolist()
    own = queries is bank
    rows = [row for line in shown for row in line] + (list(range(len(shown))) if own else [])
    pictures, notes = pictures_of(bank, rows, folder)
    asked: dict[int, Any] = pictures
    if not own:
        of_files = [(place, file) for place, file in enumerate(files[: len(shown)]) if file]
        asked = {place: picture_of_file(file) for place, file in of_files}
        saved = [place for place in range(len(shown)) if place not in asked]
        if texts and queries.about is None:
            asked = {place: printable(str(queries.names[place])) for place in saved}
        elif saved:
            more, noted = pictures_of(queries, saved)
            asked, notes = asked | more, [*notes, *noted]
    strips = []
    for query, (line, similarities) in enumerate(
        zip(shown, found.similarities[:MOST_STRIPS].tolist(), strict=True)
    ):
        truth = queries.class_of(query)
        strips.append(
            Strip(
                Shown(str(queries.names[query]), asked.get(query), detail=truth or ""),
                [
                    Shown(
                        str(bank.names[row]),
                        pictures.get(row),
                        f"{similarity:.3f}",
                        _mark(truth, bank.class_of(row)),
                        bank.class_of(row) or "",
                    )
                    for row, similarity in zip(line, similarities, strict=True)
                ],
            )
        )
    return Page(
        eyebrow="nearfar neighbors",
        title="Nearest neighbours",
        summary=f"{len(queries):,} queries among {len(bank):,} examples, by the cosine of "
        f"{bank.features.shape[1]} dimensions; exact.",
        lead=_lead(queries, bank, found),
        notes=notes,
        strips_title="Queries and what lies nearest",
        strips_note="The query stands in front, then its neighbours, nearest first, with their "
        "cosine similarity."
        + (" ✓ same class, ✗ another class." if queries.labels is not None else ""),
        strips=strips,
        command=command,
        left_out=len(queries) - len(strips),
    )


def _mark(truth: str | None, other: str | None) -> str:
    if truth is None or other is None:
        return "unknown"
    return "right" if truth == other else "wrong"


def _lead(queries: Features, bank: Features, found: Neighbors) -> str:
    first = found.similarities[:, 0]
    said = f"The nearest neighbour has a cosine of {float(first.median()):.3f} in the median"
    if queries.labels is None or bank.labels is None:
        return f"{said}."
    classes = [
        (queries.class_of(query), bank.class_of(row))
        for query, row in enumerate(found.rows[:, 0].tolist())
    ]
    known = [truth == other for truth, other in classes if truth is not None and other is not None]
    if not known:
        return f"{said}."
    return f"{said}; {sum(known) / len(known):.1%} of them are of the query's own class."
