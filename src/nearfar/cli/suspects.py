"""`nearfar suspects FEATURES`: labels of saved features that neighbours contradict."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from nearfar.bounds import HIGHEST_SEED, check_range
from nearfar.cli.saved_features import Answer, FeaturesArguments, give, read_words
from nearfar.errors import SettingError

if TYPE_CHECKING:
    from nearfar.terminal import Terminal
    from nearfar.uses.features_file import Features

_PRINTED = 10


@dataclass(frozen=True)
class SuspectsArguments(FeaturesArguments):
    """List labels that are likely wrong, the most doubtful first, and say how many are.

    Each example's neighbours in other folds vote on its class, and confident learning (Northcutt et
    al. 2021) counts whom the votes place firmly in another class than the label's.
    """

    k: int = 20
    """Neighbours that vote; at least 1."""
    temperature: float = 0.1
    """Of the vote; above 0."""
    seed: int = 0
    """Draws the folds."""


def run(words: Sequence[str]) -> None:
    """Runs `nearfar suspects` with the words after it."""
    arguments = read_words(SuspectsArguments, "suspects", words)
    check_range("--k", arguments.k, 1, 2**31 - 1)
    check_range("--temperature", arguments.temperature, 1e-4, 1e4)
    check_range("--seed", arguments.seed, 0, HIGHEST_SEED)

    from nearfar.terminal import shown
    from nearfar.uses.suspect_answers import columns, facts, lead, page_of
    from nearfar.uses.suspects import find_suspects

    def answer(features: "Features", console: "Terminal") -> Answer:
        if features.labels is None:
            raise SettingError(f"{arguments.features} holds no labels that could be wrong")
        with console.status("asking neighbours"):
            found = find_suspects(
                features.features,
                features.labels,
                k=arguments.k,
                temperature=arguments.temperature,
                seed=arguments.seed,
            )
        table = columns(found, features)
        lines = [lead(found)]
        for place in range(min(_PRINTED, len(found.rows))):
            name, label, proposed = (
                shown(str(table[each][place])) for each in ("name", "label", "proposed")
            )
            lines.append(f"{table['margin'][place]:>6.2f}  {name}: {label}, likely {proposed}")
        return Answer(
            lines,
            table,
            facts(found, features),
            lambda command: page_of(found, features, arguments.pictures, command),
        )

    give(arguments, "suspects", words, answer)
