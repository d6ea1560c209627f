"""An account of the files of a source that could not be read."""

from collections.abc import Iterable, Sequence
from itertools import islice

from nearfar.errors import NearfarError

MOST_NAMED = 20


def named(faults: Iterable[tuple[str, str]], count: int) -> str:
    """The first unreadable files with their faults, and how many more there are.

    Args:
        faults: Name and fault of each, in order.
        count: How many there are.
    """
    first = [f"{name} ({fault})" for name, fault in islice(faults, MOST_NAMED)]
    more = count - len(first)
    return ", ".join(first) + (f" and {more} more" if more else "")


def too_many(where: str, count: int, total: int, kind: str, limit: float, which: str) -> str | None:
    """Why a source is refused: more than `limit` of all files, or all, are unreadable."""
    if not count or (count <= limit * total and count < total):
        return None
    return (
        f"{where}: {count} of {total} {kind}s cannot be read, over data.max_corrupt={limit:g}; "
        f"mend or remove them, or raise that share: {which}"
    )


class Faults:
    """Which files of a source were found unreadable when they were read, and why.

    What it holds does not depend on the order in which files are found, nor on how often. Worker
    processes hold copies, whose `news` the main process adds.

    Args:
        where: What the source was read from.
        total: Number of files that `max_corrupt` is a share of.
        kind: What a file holds, for messages.
        max_corrupt: Largest share of unreadable files.
        stands_in: What stands in for one, in words.
    """

    def __init__(
        self,
        where: str,
        *,
        total: int,
        kind: str,
        max_corrupt: float,
        stands_in: str = "another of the same class",
    ) -> None:
        self.where = where
        self.total = total
        self.kind = kind
        self.max_corrupt = max_corrupt
        self.stands_in = stands_in
        self._found: dict[str, str] = {}
        self._news: dict[str, str] = {}

    def __len__(self) -> int:
        """How many files were found."""
        return len(self._found)

    def add(self, faults: Iterable[Sequence[str]]) -> None:
        """Take in name and fault of files; of two faults of one file the later in the alphabet."""
        for name, fault in faults:
            if fault > self._found.get(name, ""):
                self._found[name] = self._news[name] = fault

    def news(self) -> list[tuple[str, str]]:
        """What was added since this was asked last."""
        news, self._news = self._news, {}
        return list(news.items())

    def all(self) -> list[tuple[str, str]]:
        """Name and fault of every file that was found, by name."""
        return sorted(self._found.items())

    def too_many(self) -> str | None:
        """Why the source is refused; None where no more than `max_corrupt` of it was found."""
        return too_many(
            self.where, len(self), self.total, self.kind, self.max_corrupt, self._named()
        )

    def refuse_too_many(self) -> None:
        """Refuse a source of too many unreadable files.

        Raises:
            NearfarError: More than `max_corrupt` of all files were found.
        """
        if told := self.too_many():
            raise NearfarError(told)

    def notes(self) -> list[str]:
        """What was found, by name."""
        if not self._found:
            return []
        return [
            f"{len(self)} of {self.total} {self.kind}s cannot be read, and {self.stands_in} stands "
            f"in for each: {self._named()}"
        ]

    def _named(self) -> str:
        return named(self.all(), len(self))
