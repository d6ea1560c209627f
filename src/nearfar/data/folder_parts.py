"""Which folders are the parts of a data set, by their names, and which are its classes."""

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from nearfar.data.file_reading import shown
from nearfar.data.folder_tree import Folder, many, some
from nearfar.errors import NearfarError

PartName = Literal["train", "val", "test"]
PARTS: tuple[PartName, ...] = ("train", "val", "test")

_WORDS: dict[str, PartName] = {
    "training": "train",
    "train": "train",
    "validation": "val",
    "valid": "val",
    "val": "val",
    "development": "val",
    "dev": "val",
    "testing": "test",
    "test": "test",
    "evaluation": "test",
    "eval": "test",
}
SearchName = Literal["query", "gallery"]
"""Of two sets, the one that asks and the one that is searched."""
_SEARCH: dict[str, SearchName] = {
    "queries": "query",
    "query": "query",
    "probes": "query",
    "probe": "query",
    "galleries": "gallery",
    "gallery": "gallery",
}
IMAGE_WORDS = frozenset(
    ("image", "images", "img", "imgs", "rgb", "color", "colour", "photo", "photos")
) | frozenset(("left", "leftimg8bit"))
DEPTH_WORDS = frozenset(("depth", "depths", "depthmap", "depthmaps"))
MASK_WORDS = frozenset(
    ("mask", "masks", "label", "labels", "annotation", "annotations")
) | frozenset(("seg", "segmentation", "segmentations"))
"""Folders of images, and of what is known of each of their pixels."""
_CLASSES_TOO = frozenset(("train", "training", "valid", "dev", "development"))
_BESIDE = (
    "sets?|data|datasets?|images?|imgs?|pictures?|pics|photos?|splits?|parts?|folders?|dirs?|files?"
    "|samples?|examples?|sounds?|audios?|wavs?|clips?|full|raw|original"
)
_KNOWN = re.compile(rf"(?:{_BESIDE})*({'|'.join(_WORDS)})(?:{_BESIDE}|\d)*")
_KNOWN_SEARCH = re.compile(rf"(?:{_BESIDE})*({'|'.join(_SEARCH)})(?:{_BESIDE}|\d)*")
_TOKEN = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])|\d+|[^\W\d_a-zA-Z]+")


def part_named(name: str) -> PartName | None:
    """The part that a name stands for by itself: `Train`, `val2017`, `test_set`, `images-dev`.

    Args:
        name: Of a folder; upper and lower case are alike.

    Returns:
        The part, or None where the name is of no part or has other words in it.
    """
    found = _KNOWN.fullmatch(re.sub(r"[\W_]", "", name.lower()))
    return _WORDS[found[1]] if found else None


def search_named(name: str) -> SearchName | None:
    """The set of a search that a name stands for by itself: `query`, `Gallery`, `probe_images`.

    Args:
        name: Of a folder; upper and lower case are alike.
    """
    found = _KNOWN_SEARCH.fullmatch(re.sub(r"[\W_]", "", name.lower()))
    return _SEARCH[found[1]] if found else None


def may_be_a_class(name: str) -> bool:
    """Whether the name of a part is a class's as likely: a train, a valid specimen."""
    return name.lower() in _CLASSES_TOO


def part_within(name: str) -> tuple[PartName, tuple[str, ...]] | None:
    """The part that one of the words of a name stands for, and the other words: `cats_train`.

    Returns:
        Part and other words, or None where no word, or more than one, is of a part.
    """
    tokens = [token.lower() for token in _TOKEN.findall(name)]
    parts = [token for token in tokens if token in _WORDS]
    if len(parts) != 1:
        return None
    return _WORDS[parts[0]], tuple(token for token in tokens if token not in _WORDS)


@dataclass
class Layout:
    """How a folder is laid out.

    Attributes:
        base: The folder that holds the classes or the parts: the given one, or one below it.
        parts: The folders of its parts by name, `train` among them; empty where it has none.
        notes: What was read as what, and what was not.
        search: Of two sets, of which one asks the other, each by name; empty where there are none.
            They are beside the parts; where nothing else is, the gallery is `train`, the queries
            are `test`.
    """

    base: Folder
    parts: dict[PartName, Folder]
    notes: list[str] = field(default_factory=list)
    search: dict[SearchName, Folder] = field(default_factory=dict)

    @property
    def learns_from_gallery(self) -> bool:
        """Whether the gallery is what is learnt from, for there is no other part."""
        return bool(self.search) and self.parts["train"] is self.search["gallery"]


def find_layout(top: Folder, kind: str) -> Layout:
    """Find the classes or the parts, also where they lie in a folder of their own below.

    Args:
        top: The tree of the given folder.
        kind: What a file holds, for messages.

    Raises:
        NearfarError: It cannot be told whether folders are parts or classes.
    """
    base = top
    while True:
        notes: list[str] = []
        search = _search_in(base.filled(), base)
        parts: dict[PartName, Folder] = _parts_in(base, list(search.values()), kind, notes)
        if not search and "test" in parts:
            # test/query and test/gallery.
            search = _search_in(parts["test"].filled(), parts["test"])
            if len(search) == len(parts["test"].filled()) > 0 and not parts["test"].files:
                del parts["test"]
            else:
                search = {}
        if search and not parts:
            parts = {"train": search["gallery"], "test": search["query"]}
        inner = None if parts else only_folder(base)
        if inner is None:
            break
        base = inner
    if base is not top and (parts or len(base.filled()) > 1):
        notes.insert(
            0, f"looked into {shown(base.path.relative_to(top.path))}/: all {kind}s lie in it"
        )
    if not parts:
        _refuse_parts_in_classes(base)
    for folder in parts.values() or [base]:
        _refuse_maps_as_classes(folder, base)
    return Layout(base, parts, notes, search)


def _search_in(filled: list[Folder], base: Folder) -> dict[SearchName, Folder]:
    """The two sets of a search among some folders; none unless both are there.

    Raises:
        NearfarError: Two folders are named as the same one.
    """
    named: list[tuple[SearchName | None, Folder]] = [
        (search_named(folder.name), folder) for folder in filled
    ]
    found: dict[SearchName, Folder] = {}
    for name, folder in named:
        if name is None or len({other for other, _ in named} - {None}) < 2:
            continue
        if name in found:
            raise NearfarError(
                f"{shown(base.path)}: {found[name].name}/ and {folder.name}/ are named as the same "
                "set of a search: put them together, or move one away"
            )
        found[name] = folder
    return found


def only_folder(folder: Folder) -> Folder | None:
    """The one sub-folder that wraps all else; None where there are files or several folders."""
    filled = folder.filled()
    if folder.files or len(filled) != 1 or filled[0].files:
        return None
    return filled[0]


def _parts_in(
    base: Folder, search: list[Folder], kind: str, notes: list[str]
) -> dict[PartName, Folder]:
    """The parts among the sub-folders of a folder; none where these are classes.

    Args:
        search: Sub-folders that are sets of a search, and neither parts nor classes.
    """
    filled = [folder for folder in base.filled() if folder not in search]
    named: list[tuple[PartName, Folder]] = []
    others: list[Folder] = []
    for folder in filled:
        part = part_named(folder.name)
        if part is None:
            others.append(folder)
        else:
            named.append((part, folder))
    if not search and (not named or (len(named) == 1 and others)):
        within = _parts_by_one_word(base, filled)
        if within:
            return within
    if search and others and not named:
        _pass_over(base, search, others, kind, notes)
    if not named:
        return {}
    if len(named) == 1 and others and not search:
        _refuse_unless_a_class(base, named[0], others, kind, notes)
        return {}
    if len(named) == 1 and named[0][0] != "train" and not search:
        return {}  # alone: as any other name
    parts = _one_of_each(base, named)
    # A part that is there and empty is told of when it is read; it must not become "no such part".
    empty = [folder for folder in base.folders if folder not in filled]
    for folder in empty:
        if (part := part_named(folder.name)) is not None:
            parts.setdefault(part, folder)
    if others:
        _pass_over(base, [*parts.values(), *search], others, kind, notes)
    return parts


def _one_of_each(base: Folder, named: list[tuple[PartName, Folder]]) -> dict[PartName, Folder]:
    """The parts by name; refuse two of one name, and parts without one to learn from."""
    parts: dict[PartName, Folder] = {}
    for part, folder in named:
        if part in parts:
            raise NearfarError(
                f"{shown(base.path)}: {parts[part].name}/ and {folder.name}/ are named as the same "
                "part: put them together, or move one away"
            )
        parts[part] = folder
    parts = {part: parts[part] for part in PARTS if part in parts}
    if "train" not in parts:
        seen = " and ".join(f"{folder.name}/" for _, folder in named)
        raise NearfarError(
            f"{shown(base.path)}: {seen} {'are parts' if len(named) > 1 else 'is a part'} to judge "
            "by, and there is no train/ to learn from; name one folder with --data.root, or name "
            "one of them train"
        )
    return parts


def _parts_by_one_word(base: Folder, filled: list[Folder]) -> dict[PartName, Folder]:
    """Parts where every folder has a part's word in its name: cats_train and cats_test."""
    within = [part_within(folder.name) for folder in filled]
    found = [each for each in within if each is not None]
    if len(found) < len(filled) or len({part for part, _ in found}) < 2:
        return {}
    if len({rest for _, rest in found}) > 1:
        seen = some([f"{folder.name}/" for folder in filled])
        raise NearfarError(
            f"{shown(base.path)}: {seen} look like parts of several data sets: name them train, "
            "val and test, or give one data set's folder with --data.root"
        )
    return _one_of_each(base, [(part, filled[at]) for at, (part, _) in enumerate(found)])


def _refuse_unless_a_class(
    base: Folder, named: tuple[PartName, Folder], others: list[Folder], kind: str, notes: list[str]
) -> None:
    """One folder with the name of a part among others: a class where it looks like one."""
    part, folder = named
    beside = some([f"{other.name}/" for other in others])
    if folder.files and not folder.filled() and may_be_a_class(folder.name):
        notes.append(f"{folder.name}/ is read as a class, for {beside} lie beside it")
        return
    what = {"train": "training", "val": "validation", "test": "test"}[part]
    raise NearfarError(
        f"{shown(base.path)}: {folder.name}/ is named as a {what} part, and {beside} with {kind}s "
        "lie beside it: put both parts into folders train and test, or move one of the two away"
    )


def _pass_over(
    base: Folder,
    parts: list[Folder],
    others: list[Folder],
    kind: str,
    notes: list[str],
) -> None:
    """Folders beside parts are not read; refuse where they may be the classes."""
    read = " and ".join(f"{folder.name}/" for folder in parts)
    beside = some([f"{other.name}/" for other in others])
    if any(folder.files for folder in parts):
        raise NearfarError(
            f"{shown(base.path)}: {read} hold {kind}s without classes, and {beside} lie beside "
            "them: move what is no part away"
        )
    count = sum(other.count() for other in others)
    notes.append(f"passed over {beside} ({many(count, kind)}): only {read} are read")


def _refuse_parts_in_classes(base: Folder) -> None:
    """Refuse cat/train, cat/test, dog/train…: read as classes, test files would be learnt from."""
    for folder in base.filled():
        inside = [each.name for each in folder.filled() if part_named(each.name) is not None]
        if len({part_named(name) for name in inside}) > 1:
            seen = " and ".join(f"{name}/" for name in inside)
            turned = Path(inside[0]) / folder.name
            raise NearfarError(
                f"{shown(base.path)}: {folder.name}/ holds {seen}, parts inside a class: lay them "
                f"out the other way round, as {turned}/"
            )


def _refuse_maps_as_classes(folder: Folder, base: Folder) -> None:
    """Refuse images/ beside depth/ or masks/: an encoder would learn to tell images from maps."""
    names = {each.name.lower() for each in folder.filled()}
    maps = names & (DEPTH_WORDS | MASK_WORDS)
    if maps and names & IMAGE_WORDS and names <= IMAGE_WORDS | maps:
        seen = " and ".join(sorted(f"{each.name}/" for each in folder.filled()))
        raise NearfarError(
            f"{shown(folder.path)}: {seen} are images and maps of their pixels, not classes: read "
            f"them by --data dense-folder --data.root {shown(base.path)}, or move the maps away"
        )
