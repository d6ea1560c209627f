"""`nearfar select FEATURES --count N`: which examples of saved features to label first."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from nearfar.bounds import HIGHEST_SEED, check_range
from nearfar.cli.saved_features import Answer, FeaturesArguments, give, read_words

if TYPE_CHECKING:
    from nearfar.terminal import Terminal
    from nearfar.uses.features_file import Features

_PRINTED = 20


@dataclass(frozen=True)
class SelectArguments(FeaturesArguments):
    """Choose the examples whose labels tell most, where there are no labels yet."""

    count: int = 100
    """How many to choose; at least 1."""
    by: Literal["typicality", "k-centre"] = "typicality"
    """The densest place of each of as many clusters, for few labels; or what lies farthest from all
    that is chosen, for many."""
    seed: int = 0
    """Of the clusters."""


def run(words: Sequence[str]) -> None:
    """Runs `nearfar select` with the words after it."""
    arguments = read_words(SelectArguments, "select", words)
    check_range("--count", arguments.count, 1, 2**31 - 1)
    check_range("--seed", arguments.seed, 0, HIGHEST_SEED)

    from nearfar.terminal import shown
    from nearfar.uses.selection import select
    from nearfar.uses.selection_answers import columns, facts, lead, page_of

    def answer(features: "Features", console: "Terminal") -> Answer:
        with console.status("choosing"):
            rows = select(
                features.features, arguments.count, by=arguments.by, seed=arguments.seed
            ).tolist()
        said = lead(rows, features, arguments.by)
        names = [shown(str(features.names[row])) for row in rows[:_PRINTED]]
        more = [f"[dim]and {len(rows) - _PRINTED:,} more[/dim]"] if len(rows) > _PRINTED else []
        return Answer(
            [said, *names, *more],
            columns(rows, features),
            facts(rows, features),
            lambda command: page_of(rows, features, arguments.by, arguments.pictures, command),
        )

    give(arguments, "select", words, answer)
