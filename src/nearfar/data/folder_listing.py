"""The image or sound files under a folder, and the classes that its sub-folders make."""

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from nearfar.data.file_paths import FilePaths
from nearfar.data.file_reading import shown
from nearfar.data.folder_parts import Layout, PartName, SearchName, find_layout, only_folder
from nearfar.data.folder_tree import FileKind, Folder, counted, many, some, walk
from nearfar.errors import NearfarError


@dataclass
class Listing:
    """Files in a fixed order.

    Attributes:
        files: Paths, sorted within their folder.
        labels: Name of the class of each file, or None where there are no classes.
        notes: What was passed over, and why.
        labelled_by: What gives the labels.
        search: Which of the two sets of a search it is; None where it is none. One that is not the
            first or second of its source's listings is that and nothing else.
    """

    files: Sequence[Path]
    labels: list[str] | None
    notes: list[str] = field(default_factory=list)
    labelled_by: str = "folders"
    search: SearchName | None = None


def list_parts(root: Path, kind: FileKind) -> tuple[list[Listing], list[str]]:
    """The training part and, where the folder has one, the test part, by class.

    Folders named as parts (`train`, `val`, `test` and their like) are these; of two parts to judge
    by, `test` is read and the other left out, so that nothing to judge by is learnt from. One
    without classes, as competitions give it, is left out where training has some. Otherwise
    every sub-folder with files, at any depth, is one class. Files that lie flat, or all in one
    sub-folder, have no labels. A folder that holds nothing but one other is looked into.

    Folders named `query` and `gallery`, or their like, are the two sets of a search; their classes
    may be other ones than those of `train`. Where there is no `train` beside them, the gallery is
    the training part and the queries are the test part.

    Args:
        root: The folder.
        kind: Which files are wanted.

    Returns:
        One or two listings, then two of a search that are no other part; and notes on what was read
        as what and what was left out.

    Raises:
        NearfarError: There is no file, some lie beside class folders, or it cannot be told what
            is a part and what a class.
    """
    top, notes = walk(root, kind)
    layout = find_layout(top, kind.name)
    notes += layout.notes
    if not layout.parts:
        listing = _by_class(layout.base, root, kind)
        listing.notes += _empty_folders(layout.base, root, kind)
        return [listing], notes
    train = _by_class(layout.parts["train"], root, kind)
    train.notes += _empty_folders(layout.parts["train"], root, kind)
    test_name, test, unlike = _test_part(layout, train, root, kind)
    notes += _told(layout, test_name, unlike, kind)
    listings = [train] if test is None else [train, test]
    labelled = all(listing.labels is not None for listing in listings)
    if layout.learns_from_gallery:
        if labelled and test is not None:
            _keep_findable(layout, train, test)
            train.search, test.search = "gallery", "query"
        gallery = layout.search["gallery"].name
        train.notes.append(
            f"there is no train/: the encoder learns from {gallery}/, which the queries search, "
            "and from no query"
        )
    if train.labels is not None and test is not None and test.labels is not None:
        test.notes += _uneven_classes(layout, train.labels, test.labels, test_name, root, kind)
    if layout.search and not layout.learns_from_gallery:
        listings += _search_listings(layout, root, kind, notes)
    return listings, notes


def _keep_findable(layout: Layout, gallery: Listing, queries: Listing) -> None:
    """Leave out queries that have nothing of their class to find.

    Raises:
        NearfarError: All are such.
    """
    asked, there = queries.labels or [], set(gallery.labels or ())
    rows = [row for row, label in enumerate(asked) if label in there]
    query, searched = layout.search["query"].name, layout.search["gallery"].name
    if not rows:
        raise NearfarError(
            f"{shown(layout.base.path)}: no class folder of {query}/ is in {searched}/, so that no "
            "query has anything to find: name classes alike in both"
        )
    if len(rows) < len(asked):
        strange = sorted(set(asked) - there)
        queries.notes.append(
            f"left out {len(asked) - len(rows)} of {query}/: {searched}/ has nothing of "
            f"{some(strange)}"
        )
    queries.files = FilePaths.of(queries.files).at(rows)
    queries.labels = [asked[row] for row in rows]


def _search_listings(layout: Layout, root: Path, kind: FileKind, notes: list[str]) -> list[Listing]:
    """The two sets of a search beside a training part; none where they have no classes."""
    gallery = _by_class(layout.search["gallery"], root, kind)
    known = frozenset(gallery.labels or ())
    queries = _by_class(layout.search["query"], root, kind, known=known)
    names = {"query": layout.search["query"].name, "gallery": layout.search["gallery"].name}
    if gallery.labels is None or queries.labels is None:
        flat = names["gallery" if gallery.labels is None else "query"]
        notes.append(
            f"left out {names['query']}/ and {names['gallery']}/: {flat}/ has fewer than two class "
            "folders, so it is not known what a query should find"
        )
        return []
    notes.append(
        f"retrieval: {names['query']}/ ({many(len(queries.files), kind.name)}) asks "
        f"{names['gallery']}/ ({many(len(gallery.files), kind.name)}); nothing is learnt from them"
    )
    if missing := sorted(set(queries.labels) - known):
        notes.append(f"{names['gallery']}/ has nothing of {some(missing)} of {names['query']}/")
    gallery.search, queries.search = "gallery", "query"
    return [gallery, queries]


def list_by_class(folder: Path, kind: FileKind) -> Listing:
    """List the files of one part by class.

    Args:
        folder: The folder of the part.
        kind: Which files are wanted.

    Returns:
        Its files, in the order of their class and name.

    Raises:
        NearfarError: If there is no file, or if some lie beside the class folders.
    """
    top, notes = walk(folder, kind)
    listing = _by_class(top, folder, kind)
    listing.notes = notes + listing.notes + _empty_folders(top, folder, kind)
    return listing


def list_all(folder: Path, kind: FileKind) -> Listing:
    """List every file at any depth, however the folder is laid out.

    Args:
        folder: The folder to list.
        kind: Which files are wanted.

    Raises:
        NearfarError: If there is no file.
    """
    top, notes = walk(folder, kind)
    return Listing(_some_files(top, kind), None, notes)


def _some_files(folder: Folder, kind: FileKind) -> FilePaths:
    """All its files, refused where there are none."""
    files = folder.all_files()
    if not files:
        left_out = counted(folder.all_left_out())
        raise NearfarError(
            f"{shown(folder.path)}: no {kind.name} in it ({kind.formats}), "
            + (f"only {left_out}" if left_out else "and no other file")
        )
    return files


def _by_class(
    folder: Folder, root: Path, kind: FileKind, *, known: frozenset[str] = frozenset()
) -> Listing:
    """The files of one part by class; one class alone is one only where its name is known."""
    while (inner := only_folder(folder)) is not None and _class_name(inner) not in known:
        folder = inner
    files = _some_files(folder, kind)
    classes = folder.filled()
    if not classes:
        return Listing(files, None)
    if folder.files:
        raise NearfarError(
            f"{shown(folder.path)}: {len(folder.files)} {kind.name}s lie beside the sub-folders, "
            f"such as {shown(Path(folder.files[0]))} beside {classes[0].name}: move them into "
            "a class or away"
        )
    labels = [name for each in classes for name in [_class_name(each)] * each.count()]
    if len(set(labels)) > 1 or labels[0] in known:
        return Listing(files, labels)
    where = shown(classes[0].path.relative_to(root))
    note = f"all {kind.name}s lie in one sub-folder, {where}: taken as having no labels"
    return Listing(files, None, [note])


def _class_name(folder: Folder) -> str:
    """The class of a folder; é as one character or as two is the same class."""
    return unicodedata.normalize("NFC", folder.name)


def _test_part(
    layout: Layout, train: Listing, root: Path, kind: FileKind
) -> tuple[PartName | None, Listing | None, dict[PartName, str]]:
    """The part to judge by: test, or val where there is no test with classes as in training.

    Returns:
        Its name and its listing, None where there is none, and why parts before it were passed by.
    """
    known = frozenset(train.labels or ())
    train_name = layout.parts["train"].name
    wanted: list[PartName] = ["test", "val"]
    candidates: list[PartName] = [name for name in wanted if name in layout.parts]
    unlike: dict[PartName, str] = {}
    for name in candidates:
        if not layout.parts[name].any_files() and name != candidates[-1]:
            continue
        listing = _by_class(layout.parts[name], root, kind, known=known)
        if (listing.labels is None) == (train.labels is None):
            return name, listing, unlike
        unlike[name] = (
            f"laid out unlike {train_name}/"
            if train.labels is None
            else f"it has none of the class folders of {train_name}/, so no labels"
        )
    if train.labels is None and unlike:
        test_name = layout.parts[candidates[0]].name
        raise NearfarError(
            f"{shown(layout.base.path)}: {test_name}/ has class sub-folders and {train_name}/ has "
            "not; lay both out alike, or move one away"
        )
    return None, None, unlike


def _told(
    layout: Layout, test_name: PartName | None, unlike: dict[PartName, str], kind: FileKind
) -> list[str]:
    """Notes on what was read as which part, and what was left out."""
    parts = layout.parts
    read = f"training part: {parts['train'].name}/"
    notes = []
    if test_name is not None:
        read += f"; test part: {parts[test_name].name}/"
        if test_name == "val":
            read += ", for there is no test folder" if "test" not in parts else ""
    for name, folder in parts.items():
        if name not in ("train", test_name):
            held = many(folder.count(), kind.name)
            why = f"{unlike[name]}; " if name in unlike else ""
            notes.append(
                f"left out {folder.name}/ ({held}): {why}neither learnt from nor judged by"
            )
    return [read, *notes]


def _uneven_classes(
    layout: Layout,
    train: list[str],
    test: list[str],
    test_name: PartName | None,
    root: Path,
    kind: FileKind,
) -> list[str]:
    """A note on classes that nothing is judged by; refuse those that nothing is learnt from."""
    assert test_name is not None
    train_folder, test_folder = layout.parts["train"].name, layout.parts[test_name].name
    learnt, judged = set(train), set(test)
    strange = sorted(judged - learnt)
    if strange:
        raise NearfarError(
            f"{shown(root)}: class {some(strange)} in {test_folder}/ is not among the "
            f"{len(learnt)} classes of {train_folder}/: a class must have training {kind.name}s"
        )
    missing = sorted(learnt - judged)
    if not missing:
        return []
    return [
        f"{len(missing)} of {len(learnt)} classes have nothing in {test_folder}/: {some(missing)}"
    ]


def _empty_folders(folder: Folder, root: Path, kind: FileKind) -> list[str]:
    """A note on sub-folders that hold no wanted file: classes that would vanish."""
    empty = [each for each in folder.folders if not each.any_files()]
    if not empty:
        return []
    named = [
        f"{shown(each.path.relative_to(root))}/ ({counted(each.all_left_out()) or 'empty'})"
        for each in empty
    ]
    return [f"no {kind.name} in {some(named)}: no class is made of it"]
