"""What the name of a folder says of the part of a data set that it holds."""

import re
from typing import Literal

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
_CLASSES_TOO = frozenset(("train", "training", "valid", "dev", "development"))
_BESIDE = (
    "sets?|data|datasets?|images?|imgs?|pictures?|pics|photos?|splits?|parts?|folders?|dirs?|files?"
    "|samples?|examples?|sounds?|audios?|wavs?|clips?|full|raw|original"
)
_KNOWN = re.compile(rf"(?:{_BESIDE})*({'|'.join(_WORDS)})(?:{_BESIDE}|\d)*")
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


def may_be_a_class(name: str) -> bool:
    """Whether the name of a part is a class's as likely: a train, a valid specimen.

    Args:
        name: For which `part_named` gives a part.
    """
    return name.lower() in _CLASSES_TOO


def part_within(name: str) -> tuple[PartName, tuple[str, ...]] | None:
    """The part that one of the words of a name stands for, and the other words: `cats_train`.

    Args:
        name: Of a folder.

    Returns:
        Part and other words, or None where no word, or more than one, is of a part.
    """
    tokens = [token.lower() for token in _TOKEN.findall(name)]
    parts = [token for token in tokens if token in _WORDS]
    if len(parts) != 1:
        return None
    return _WORDS[parts[0]], tuple(token for token in tokens if token not in _WORDS)
