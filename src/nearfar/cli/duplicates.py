"""`nearfar duplicates FEATURES`: groups of copies among the examples of saved features."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from nearfar.cli.saved_features import Answer, FeaturesArguments, give, read_words
from nearfar.errors import SettingError

if TYPE_CHECKING:
    from nearfar.terminal import Terminal
    from nearfar.uses.features_file import Features

_PRINTED = 10


@dataclass(frozen=True)
class DuplicatesArguments(FeaturesArguments):
    """Find copies: files with equal bytes, equal pixels or values, and what is nearly the same.

    Each group is a star: all of it are near to its first. Without a threshold, one is suggested
    from the distances of all nearest neighbours; the page shows them.
    """

    threshold: float | None = None
    """Largest distance of a copy, 1 − cosine; 0 to 2."""


def run(words: Sequence[str]) -> None:
    """Runs `nearfar duplicates` with the words after it."""
    arguments = read_words(DuplicatesArguments, "duplicates", words)
    if arguments.threshold is not None and not 0 <= arguments.threshold <= 2:
        raise SettingError(f"--threshold is {arguments.threshold:g}: it must be 0 to 2")

    from nearfar.terminal import shown
    from nearfar.uses.duplicate_answers import columns, facts, kinds_in_words, page_of
    from nearfar.uses.duplicates import find_duplicates
    from nearfar.uses.equal_examples import equal_examples
    from nearfar.uses.pictures import words_of

    def answer(features: "Features", console: "Terminal") -> Answer:
        with console.status("looking for copies"):
            found = find_duplicates(
                features.features,
                threshold=arguments.threshold,
                equal=lambda rows: equal_examples(features, rows, arguments.pictures),
            )
        lines = [kinds_in_words(found, features)]
        if found.suggestion is not None:
            lines.append(f"[dim]threshold {found.threshold:.3g}: {found.suggestion.reason}[/dim]")
        words = words_of(features, [group.rows[0] for group in found.groups[:_PRINTED]])
        for group in found.groups[:_PRINTED]:
            first, *others = (shown(features.names[row]) for row in group.rows)
            more = f" and {len(others) - 3:,} more" if len(others) > 3 else ""
            lines.append(f"{len(group.rows):>4}  {first} = {', '.join(others[:3])}{more}")
            if group.rows[0] in words:
                lines.append(f"[dim]      {shown(words[group.rows[0]])}[/dim]")
        return Answer(
            lines,
            columns(found, features),
            facts(found, features),
            lambda command: page_of(found, features, arguments.pictures, command),
        )

    give(arguments, "duplicates", words, answer)
