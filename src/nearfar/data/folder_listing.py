"""The image or sound files under a folder, and the classes that its sub-folders make."""

import os
from collections.abc import Sequence, Set
from dataclasses import dataclass, field
from pathlib import Path

from nearfar.data.file_reading import name_below, shown
from nearfar.data.image_files import SUFFIXES
from nearfar.data.labels import encode_labels
from nearfar.data.source import Examples, Part
from nearfar.errors import NearfarError


@dataclass
class Listing:
    """Files in a fixed order.

    Attributes:
        files: Paths, sorted within their folder.
        labels: Name of the class of each file, or None where there are no classes.
        notes: What was passed over, and why.
    """

    files: list[Path]
    labels: list[str] | None
    notes: list[str] = field(default_factory=list)


def list_images(folder: Path) -> Listing:
    """List images by class, as `list_files` does."""
    return list_files(folder, SUFFIXES, "image")


def list_files(folder: Path, suffixes: Set[str], kind: str) -> Listing:
    """List files by class: every sub-folder with files, at any depth, is one class.

    Files that lie flat, or all in one sub-folder, have no labels. Hidden files and folders and
    files of other suffixes are passed over, and so is a folder that was already read under
    another name, which ends loops of symbolic links.

    Args:
        folder: The folder to list.
        suffixes: Endings of the names, in lower case, by which the files are known.
        kind: What a file holds, for messages.

    Returns:
        Its files, in the order of their class and name.

    Raises:
        NearfarError: If there is no file, or if some lie beside the class folders.
    """
    files, linked_again = _walk(folder, suffixes)
    if not files:
        endings = " ".join(sorted(suffixes))
        raise NearfarError(f"{folder}: no {kind} in it (file names ending in {endings})")
    notes = [f"passed over {shown(path)}: a link to a folder already read" for path in linked_again]
    labels = [_class_of(path, folder) for path in files]
    classes = sorted({label for label in labels if label is not None})
    if None in labels and classes:
        stray = files[labels.index(None)]
        raise NearfarError(
            f"{folder}: {labels.count(None)} {kind}s lie beside the sub-folders, such as "
            f"{shown(Path(stray.name))} beside {classes[0]}: move them into a class or away"
        )
    if len(classes) == 1:
        notes.append(f"all {kind}s lie in one sub-folder, {classes[0]}: taken as having no labels")
    return Listing(files, [str(label) for label in labels] if len(classes) > 1 else None, notes)


def list_parts(root: Path, suffixes: Set[str], kind: str) -> tuple[list[Listing], list[str]]:
    """The training part and, where the folder has `train` and `test`, the test part.

    Args:
        root: The folder, itself one part or with folders for the parts.
        suffixes: As `list_files` takes them.
        kind: What a file holds, for messages.

    Returns:
        One or two listings, and notes on folders that were passed over.

    Raises:
        NearfarError: As `list_files`, or where one part has classes and the other has not.
    """
    folders = sorted(
        entry.name for entry in os.scandir(root) if is_folder(entry) and entry.name[0] != "."
    )
    if "train" not in folders or not ("test" in folders or folders == ["train"]):
        return [list_files(root, suffixes, kind)], []
    names = [name for name in ("train", "test") if name in folders]
    notes = [
        f"passed over {name}/: only train/ and test/ are read"
        for name in folders
        if name not in names
    ]
    listings = [list_files(root / name, suffixes, kind) for name in names]
    if len({listing.labels is None for listing in listings}) == 2:
        raise NearfarError(
            f"{root}: one of train/ and test/ has class sub-folders and the other has not; "
            "lay both out alike"
        )
    return listings, notes


def part_of(
    listing: Listing,
    rows: Sequence[int],
    examples: Examples,
    *,
    root: Path,
    classes: list[str] | None,
    kind: str,
) -> tuple[Part, list[str] | None]:
    """The part that the readable files of a listing make, and the classes of its folders.

    Args:
        listing: Of the part.
        rows: Places in the listing of the files that could be read.
        examples: What they hold, in the order of `rows`.
        root: Folder that names are given below.
        classes: Those of the training part, or None where this is it.
        kind: What a file holds, for messages.

    Returns:
        The part with the files' names, and its classes; without labels and classes where the
        listing has none.

    Raises:
        NearfarError: A folder is of no class of the training part.
    """
    names = [name_below(listing.files[row], root) for row in rows]
    if listing.labels is None:
        return Part(examples, None, names), None
    labels, classes = encode_labels(
        [listing.labels[row] for row in rows],
        len(rows),
        what=f"folders of {root}",
        classes=classes,
        examples=f"{kind}s",
    )
    return Part(examples, labels, names), classes


def _class_of(path: Path, folder: Path) -> str | None:
    """Name of the sub-folder that the file is under, or None where it lies flat."""
    below = path.parts[len(folder.parts) :]
    return shown(Path(below[0])) if len(below) > 1 else None


def _walk(folder: Path, suffixes: Set[str]) -> tuple[list[Path], list[Path]]:
    """All such files under a folder, depth first in order of name, and folders met twice."""
    files: list[Path] = []
    linked_again: list[Path] = []
    seen: set[tuple[int, int]] = set()
    waiting = [folder]
    while waiting:
        current = waiting.pop()
        try:
            status = current.stat()
            if (status.st_dev, status.st_ino) in seen:
                linked_again.append(current)
                continue
            seen.add((status.st_dev, status.st_ino))
            entries = sorted(os.scandir(current), key=lambda entry: entry.name)
        except OSError as error:
            raise NearfarError(f"{shown(current)}: cannot be read ({error.strerror})") from None
        visible = [entry for entry in entries if not entry.name.startswith(".")]
        waiting += [Path(entry.path) for entry in reversed(visible) if is_folder(entry)]
        files += [Path(entry.path) for entry in visible if _is_named(entry, suffixes)]
    return files, linked_again


def is_folder(entry: os.DirEntry) -> bool:
    """Whether an entry is a folder or a link to one; a link to itself is none."""
    return os.path.isdir(entry.path) if entry.is_symlink() else entry.is_dir()


def _is_named(entry: os.DirEntry, suffixes: Set[str]) -> bool:
    """Whether an entry has one of the suffixes and is a file, or a link that leads nowhere.

    A broken link is kept: it stands for a file that is missing, and reading it says so. Pipes
    and devices are not, whatever their name: opening them could wait for ever.
    """
    if Path(entry.name).suffix.lower() not in suffixes:
        return False
    if entry.is_symlink():
        return os.path.isfile(entry.path) or not os.path.exists(entry.path)
    return entry.is_file()
