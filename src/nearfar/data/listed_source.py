"""The source that the files of some listings make, each listing a part."""

from collections.abc import Callable, Container, Sequence
from dataclasses import replace
from pathlib import Path

import torch
from jaxtyping import Bool
from numpy import ndarray

from nearfar.data.file_paths import FilePaths
from nearfar.data.file_reading import FileReader
from nearfar.data.folder_listing import Listing
from nearfar.data.folder_parts import SearchName
from nearfar.data.folder_tree import FileKind, some
from nearfar.data.labels import encode_labels
from nearfar.data.missing_labels import (
    nothing_there,
    tell_nothing,
    told_apart,
    told_of,
    told_of_test,
)
from nearfar.data.source import Examples, Part, Search, Source
from nearfar.data.source_spec import OwnDataSpec
from nearfar.data.splits import split_with_note
from nearfar.errors import NearfarError


def source_of_parts(
    spec: OwnDataSpec,
    kind: FileKind,
    listings: Sequence[Listing],
    reader: FileReader,
    good: Container[Path] | None,
    read: Callable[[Listing, list[int]], tuple[Examples, list[int]]],
    notes: list[str],
) -> Source:
    """The source of the readable files of some listings, each a part: train, and perhaps test.

    Args:
        spec: Its name, and the share held out where there is no test part.
        kind: What a file holds.
        listings: Of the parts; what `list_parts` gives. Where a label is empty, the file has none:
            of the training part it is one of the unlabelled part, of the test part it is left out.
        reader: Keeps account of the files that cannot be read.
        good: The others, as far as is known; None where nothing is known of any.
        read: From a listing and the rows of such files, what they hold and the rows that it took.
        notes: What is to be said first.

    Raises:
        NearfarError: No file of a part can be read, or a folder is of no class of the training
            part.
    """
    parts: list[Part] = []
    classes: list[str] | None = None
    searched: dict[SearchName, Part] = {}
    apart = [listing for listing in listings[1:] if listing.search and not listings[0].search]
    names = sorted({name for listing in apart for name in listing.labels or ()})
    unlabelled: Part | None = None
    missing, bare = "no test part", False
    for listing in listings:
        rows = list(range(len(listing.files)))
        if good is not None:
            rows = [row for row, path in enumerate(listing.files) if path in good]
        examples, rows = read(listing, rows) if rows else (None, rows)
        if examples is None or not rows:
            which = listing.search or ("test" if parts else "train")
            raise NearfarError(
                f"{reader.root}: not one {kind.name} of the {which} part can be read"
            )
        notes += _lost_classes(listing, rows, kind)
        is_apart = any(listing is other for other in apart)
        part, known = _part_of(
            listing,
            rows,
            examples,
            root=reader.root,
            classes=names if is_apart else classes,
            kind=kind,
        )
        if listing.search is not None:
            searched[listing.search] = part
        if is_apart:
            continue
        there = _there(part)
        if parts and bare:
            part, known = replace(part, labels=None), None
        elif parts and there is not None:
            notes += told_of_test(there, f"{kind.name}s")
            missing = "no label in the test part"
            if not nothing_there(there):
                parts.append(told_apart(part, there).labelled)
            continue
        elif there is not None:
            assert part.labels is not None
            labels = part.labels[torch.from_numpy(there)]
            notes += told_of(there, labels, f"{kind.name}s")
            if tell_nothing(there, labels):
                part, known, bare = replace(part, labels=None), None, True
            else:
                part, unlabelled = _apart(part, there)
        parts.append(part)
        classes = known
    notes += reader.notes()
    train, test = parts[0], parts[1] if len(parts) > 1 else None
    if test is None:
        some = f"{kind.name}s" if unlabelled is None else f"labelled {kind.name}s"
        train, test, note = split_with_note(
            train, spec.test_fraction, missing=missing, examples=some
        )
        notes += note
    class_names = None if classes is None else tuple(classes)
    search = None
    if searched:
        search = Search(
            searched["query"], searched["gallery"], tuple(names) if apart else class_names or ()
        )
    return Source(spec.name, train, test, unlabelled, class_names, tuple(notes), search)


def _part_of(
    listing: Listing,
    rows: Sequence[int],
    examples: Examples,
    *,
    root: Path,
    classes: list[str] | None,
    kind: FileKind,
) -> tuple[Part, list[str] | None]:
    """The part that the readable files of a listing make, and the classes of its folders.

    Args:
        listing: Of the part.
        rows: Places in the listing of the files that could be read.
        examples: What they hold, in the order of `rows`.
        root: Folder that names are given below.
        classes: Those of the training part, or None where this is it.
        kind: What a file holds.

    Returns:
        The part with the files' names, and its classes; a label is −1 where the listing has an
        empty one. Without labels and classes where it has none, without classes where all are
        empty.

    Raises:
        NearfarError: A folder is of no class of the training part.
    """
    names = FilePaths.of(listing.files).at(rows).names_below(root)
    if listing.labels is None:
        return Part(examples, None, names, kind.modality), None
    labels = [listing.labels[row] for row in rows]
    present = sorted(set(labels) - {""})  # each class is looked at once, not once a file
    if not present:
        return Part(examples, torch.full((len(labels),), -1), names, kind.modality), None
    numbers, classes = encode_labels(
        present,
        len(present),
        what=f"{listing.labelled_by} of {root}",
        classes=classes,
        examples=f"{kind.name}s",
    )
    number_of = {"": -1, **dict(zip(present, numbers.tolist(), strict=True))}
    numbered = torch.tensor([number_of[name] for name in labels])
    return Part(examples, numbered, names, kind.modality), classes


def _there(part: Part) -> Bool[ndarray, " n"] | None:
    """Whether each example has a label; None where all have, or there are none."""
    there = None if part.labels is None else (part.labels >= 0).numpy()
    return None if there is None or there.all() else there


def _apart(part: Part, there: Bool[ndarray, " n"]) -> tuple[Part, Part]:
    """What has a label and what has none."""
    apart = told_apart(part, there)
    assert apart.unlabelled is not None
    return apart.labelled, replace(apart.unlabelled, labels=None)


def _lost_classes(listing: Listing, rows: Sequence[int], kind: FileKind) -> list[str]:
    """A note on classes of which not one file could be read.

    Args:
        listing: Of a part.
        rows: Places in the listing of the files that could be read.
        kind: What a file holds.
    """
    if listing.labels is None:
        return []
    lost = sorted(set(listing.labels) - {"", *(listing.labels[row] for row in rows)})
    return [f"not one {kind.name} can be read of {some(lost)}"] if lost else []
