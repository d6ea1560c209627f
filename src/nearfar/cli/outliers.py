"""`nearfar outliers FEATURES`: examples of saved features that lie apart."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from nearfar.bounds import check_range
from nearfar.cli.saved_features import Answer, FeaturesArguments, give, read_words

if TYPE_CHECKING:
    from nearfar.terminal import Terminal
    from nearfar.uses.features_file import Features

_PRINTED = 10


@dataclass(frozen=True)
class OutliersArguments(FeaturesArguments):
    """List examples by how far apart they lie, the farthest first.

    Two scores are written of each: the distance from the k-th neighbour, and the local outlier
    factor, which asks whether neighbours lie closer together than the example to them.
    """

    by: Literal["distance", "factor"] = "distance"
    """What the list is ordered by."""
    k: int = 20
    """Which neighbour; groups of fewer that lie apart together are found too."""


def run(words: Sequence[str]) -> None:
    """Runs `nearfar outliers` with the words after it."""
    arguments = read_words(OutliersArguments, "outliers", words)
    check_range("--k", arguments.k, 1, 2**31 - 1)

    from nearfar.terminal import shown
    from nearfar.uses.outlier_answers import columns, facts, lead, page_of
    from nearfar.uses.outliers import find_outliers

    def answer(features: "Features", console: "Terminal") -> Answer:
        with console.status("measuring distances"):
            found = find_outliers(features.features, k=arguments.k, by=arguments.by)
        table = columns(found, features)
        lines = [lead(found, features)]
        for place in range(min(_PRINTED, len(features))):
            lines.append(
                f"{table['distance'][place]:>7.3f} {table['factor'][place]:>7.2f}  "
                f"{shown(str(table['name'][place]))}"
            )
        return Answer(
            lines,
            table,
            facts(found, features),
            lambda command: page_of(found, features, arguments.pictures, command),
        )

    give(arguments, "outliers", words, answer)
