"""Scored pairs of glosses, by how near their meanings stand in WordNet's tree of nouns.

python -m tools.wordnet_pairs [FOLDER] [FILE.csv]

FOLDER holds WordNet's data files, ~/.cache/nearfar/wordnet where it is left out, as `make wordnet`
leaves it; FILE.csv is pairs.csv in it.

The score is Wu and Palmer's similarity (1994) of two meanings: with depth(m) the number of meanings
on the shortest way from the root, `entity`, to m, both counted, and c the deepest that stands above
both, 2 depth(c) / (steps from the one up to c + steps from the other + 2 depth(c)), 1 for one and
the same. It says how WordNet's authors filed two meanings. No reader has judged the pairs.
"""

import csv
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

from nearfar.data.wordnet import read_glosses
from nearfar.errors import NearfarError
from nearfar.paths import user_cache

PAIRS = 2000
SEED = 0
_UP = ("@", "@i")
"""Pointers to what a meaning is a kind of, or an instance of."""


@dataclass(frozen=True)
class Nouns:
    """Meanings of nouns, by the place in WordNet's file.

    Attributes:
        definitions: What each says, without examples of use.
        above: The meanings right above each; the root has none.
    """

    definitions: Mapping[str, str]
    above: Mapping[str, Sequence[str]]


def read_nouns(folder: Path) -> Nouns:
    """The nouns of a folder of WordNet's data files.

    Raises:
        NearfarError: The file is missing or damaged.
    """
    file = folder / "data.noun"
    definitions = {
        gloss.name.rpartition(":")[2]: gloss.text.partition('; "')[0]
        for gloss in read_glosses(file)
    }
    above = {}
    for line in file.read_text(encoding="utf-8").splitlines():
        if line and not line.startswith("  "):
            fields = line.partition(" | ")[0].split()
            first = 4 + 2 * int(fields[3], 16) + 1
            pointers = zip(fields[first::4], fields[first + 1 :: 4], strict=False)
            above[fields[0]] = [place for symbol, place in pointers if symbol in _UP]
    return Nouns(definitions, above)


class Tree:
    """Who stands above whom; a meaning may stand below several."""

    def __init__(self, above: Mapping[str, Sequence[str]]) -> None:
        self.above = above
        self.below: dict[str, list[str]] = {each: [] for each in above}
        for each, higher in above.items():
            for one in higher:
                self.below[one].append(each)
        roots = [each for each, higher in above.items() if not higher]
        self.depth = dict.fromkeys(roots, 1)
        for each in _in_order(roots, self.below):
            for lower in self.below[each]:
                self.depth.setdefault(lower, self.depth[each] + 1)
        self.all_below = cache(lambda each: sorted(_in_order([each], self.below)))

    def steps_up(self, meaning: str) -> dict[str, int]:
        """All meanings above one, itself with 0, by the fewest steps up to them."""
        steps = {meaning: 0}
        for each in _in_order([meaning], self.above):
            for higher in self.above[each]:
                steps.setdefault(higher, steps[each] + 1)
        return steps

    def similarity(self, one: str, other: str) -> float:
        """Wu and Palmer's; 0 where nothing stands above both."""
        first, second = self.steps_up(one), self.steps_up(other)
        shared = first.keys() & second.keys()
        if not shared:
            return 0.0
        deepest = max(self.depth[each] for each in shared)
        fewest = min(first[each] + second[each] for each in shared if self.depth[each] == deepest)
        return 2 * deepest / (fewest + 2 * deepest)


def _in_order(starts: Sequence[str], leads_to: Mapping[str, Sequence[str]]) -> list[str]:
    """All that can be reached, the nearest first."""
    found, seen = list(starts), set(starts)
    for each in found:  # grows while it is read
        for one in leads_to[each]:
            if one not in seen:
                seen.add(one)
                found.append(one)
    return found


def scored_pairs(nouns: Nouns, count: int = PAIRS) -> list[tuple[str, str, float]]:
    """Pairs of definitions with scores from low to high, always the same.

    One meaning is drawn, then how many steps to go up from it, and of all below that the other: of
    two drawn alone hardly any would be alike.

    Args:
        nouns: Of which.
        count: Pairs at most; small trees have fewer.
    """
    tree = Tree(nouns.above)
    # RandomState's stream is frozen by NumPy's compatibility policy; Generator's is not.
    draw = np.random.RandomState(SEED)
    meanings = sorted(tree.depth)
    pairs: dict[frozenset[str], tuple[str, str, float]] = {}
    for _ in range(20 * count):
        one = other = meanings[draw.randint(len(meanings))]
        for _ in range(draw.randint(tree.depth[one])):
            other = tree.above[other][draw.randint(len(tree.above[other]))]
        below = tree.all_below(other)
        other = below[draw.randint(len(below))]
        first, second = nouns.definitions[one], nouns.definitions[other]
        if first != second:
            score = round(tree.similarity(one, other), 4)
            pairs.setdefault(frozenset((one, other)), (first, second, score))
        if len(pairs) == count:
            break
    return list(pairs.values())


def write_pairs(folder: Path, file: Path) -> int:
    """Write the scored pairs of a folder of WordNet's data files; returns how many there are."""
    pairs = scored_pairs(read_nouns(folder))
    with file.open("w", encoding="utf-8", newline="") as out:
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow(("sentence1", "sentence2", "score"))
        writer.writerows(pairs)
    return len(pairs)


if __name__ == "__main__":
    if len(sys.argv) > 3 or "--help" in sys.argv:
        sys.exit(__doc__)
    given = [Path(each).expanduser() for each in sys.argv[1:]]
    folder = given[0] if given else user_cache() / "wordnet"
    file = given[1] if len(given) == 2 else folder / "pairs.csv"
    try:
        print(f"{write_pairs(folder, file)} scored pairs in {file}")
    except NearfarError as error:
        sys.exit(f"error: {error}")
