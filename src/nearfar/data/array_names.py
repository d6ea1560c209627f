"""The arrays of an .npz file by what they are for, under the names that libraries give them."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from nearfar.errors import NearfarError, unknown_name

_PARTS = {"train": ("train",), "test": ("test",), "validation": ("val", "valid", "validation")}
_LABELS = ("labels", "label", "y", "target", "targets")
EXAMPLES = ("x", "data")
"""What examples of any kind are called, in lower case, beside the kind's own name."""


@dataclass(frozen=True)
class ArrayNames:
    """Which array is which.

    Attributes:
        held: Names in the file by what they are for: the kind of examples, `labels`, `test_` and
            that kind, `test_labels`.
        unread: Names of a validation part beside a test part.
    """

    held: dict[str, str]
    unread: tuple[str, ...]


def array_names(names: Iterable[str], what: str) -> ArrayNames:
    """Which array of a file is for what.

    Beside nearfar's own names those of Keras and scikit-learn are known, `x_train` and `y_test` for
    two, and those of MedMNIST, such as `train_images`. A validation part is the test part of a file
    that has no other.

    Args:
        names: Of all arrays.
        what: The examples are: images, series or vectors.

    Raises:
        SettingError: A name is none of these.
        NearfarError: Two are for the same, or there are no examples to learn from.
    """
    names = list(names)
    by_role: dict[tuple[str, str], str] = {}
    for name in names:
        role = _role_of(name, what)
        if role is None:
            raise unknown_name("array", name, (what, "labels", f"test_{what}", "test_labels"))
        if role in by_role:
            raise NearfarError(f"arrays {by_role[role]} and {name} are for the same: leave one out")
        by_role[role] = name
    if ("train", "examples") not in by_role:
        raise NearfarError(f"no array {what!r}; it holds {', '.join(names) or 'nothing'}")
    tested = "test" if ("test", "examples") in by_role else "validation"
    roles = {
        ("train", "examples"): what,
        ("train", "labels"): "labels",
        (tested, "examples"): f"test_{what}",
        (tested, "labels"): "test_labels",
    }
    held = {roles[role]: name for role, name in by_role.items() if role in roles}
    unread = tuple(name for role, name in by_role.items() if role not in roles)
    return ArrayNames(held, unread)


def examples_among(names: Collection[str]) -> str | None:
    """The examples to learn from, of whatever kind they are; None where no array is called so."""
    found = [name for name in names if _role_of(name, "images") == ("train", "examples")]
    return found[0] if len(found) == 1 else None


def _role_of(name: str, what: str) -> tuple[str, str] | None:
    """The part that an array is of, and whether it holds its examples or its labels."""
    words = name.lower().split("_")
    part = "train"
    for called, also in _PARTS.items():
        of_part = [word for word in words if word in also]
        if len(words) == 2 and len(of_part) == 1:
            part = called
            words.remove(of_part[0])
    if len(words) != 1:
        return None
    if words[0] in (what, *EXAMPLES):
        return part, "examples"
    return (part, "labels") if words[0] in _LABELS else None
