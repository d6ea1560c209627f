"""A source from WordNet's data files: what each gloss says, by the file of its authors."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from nearfar.data.source import Part, Partners, Source
from nearfar.data.splits import SPLIT_SEED, split_with_note
from nearfar.data.text_specs import WordNetSpec
from nearfar.data.texts import neighbours, rows_of, told_of_partners
from nearfar.errors import NearfarError

LEXICOGRAPHER_FILES = (
    *("adj.all", "adj.pert", "adv.all", "noun.Tops", "noun.act", "noun.animal", "noun.artifact"),
    *("noun.attribute", "noun.body", "noun.cognition", "noun.communication", "noun.event"),
    *("noun.feeling", "noun.food", "noun.group", "noun.location", "noun.motive", "noun.object"),
    *("noun.person", "noun.phenomenon", "noun.plant", "noun.possession", "noun.process"),
    *("noun.quantity", "noun.relation", "noun.shape", "noun.state", "noun.substance", "noun.time"),
    *("verb.body", "verb.change", "verb.cognition", "verb.communication", "verb.competition"),
    *("verb.consumption", "verb.contact", "verb.creation", "verb.emotion", "verb.motion"),
    *("verb.perception", "verb.possession", "verb.social", "verb.stative", "verb.weather"),
    "adj.ppl",
)
"""By their numbers, as lexnames(5WN) lists them: the classes."""

_FILES = ("data.noun", "data.verb", "data.adj", "data.adv")
_FAR = 1000
_RUN = 16
"""Glosses that stand together and are drawn together, so that they have neighbours."""


@dataclass(frozen=True)
class Gloss:
    """One meaning.

    Attributes:
        text: What it says, examples of use behind it.
        label: Number of its lexicographer file.
        words: That have this meaning.
        name: FILE:OFFSET, by which WordNet finds it.
    """

    text: str
    label: int
    words: str
    name: str


def read_glosses(file: Path) -> list[Gloss]:
    """The meanings of one data file of WordNet 3.0, in its order (wndb(5WN)).

    Raises:
        NearfarError: It is missing, or is no such file.
    """
    try:
        lines = file.read_bytes().decode("utf-8").splitlines()
    except OSError as error:
        raise NearfarError(f"{file}: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise NearfarError(f"{file}: not in UTF-8 (at byte {error.start})") from None
    # The licence stands first, each of its lines behind spaces.
    found = [
        _gloss(file, number, line)
        for number, line in enumerate(lines, 1)
        if line and not line.startswith("  ")
    ]
    if not found:
        raise NearfarError(f"{file}: there is no meaning in it: it is no data file of WordNet")
    return found


def _gloss(file: Path, number: int, line: str) -> Gloss:
    before, _, text = line.partition(" | ")
    fields = before.split(" ")
    try:
        label, count = int(fields[1]), int(fields[3], 16)
        words = [re.sub(r"\(\w+\)$", "", each) for each in fields[4 : 4 + 2 * count : 2]]
        if len(words) != count or not text.strip() or not 0 <= label < len(LEXICOGRAPHER_FILES):
            raise ValueError
    except (ValueError, IndexError):
        raise NearfarError(f"{file}: line {number} is none of a data file of WordNet 3.0") from None
    spaced = ", ".join(words).replace("_", " ")
    return Gloss(text.strip(), label, spaced, f"{file.name}:{fields[0]}")


def load_wordnet(spec: WordNetSpec) -> Source:
    """Read WordNet's glosses, or as many as are asked for.

    Returns:
        The source, held in memory; classes are the lexicographer files that any gloss drawn is of.

    Raises:
        NearfarError: A data file is missing or damaged.
    """
    by_file = [read_glosses(spec.folder / name) for name in _FILES]
    glosses = [each for held in by_file for each in held]
    stands = [
        place + number * _FAR
        for place, number in enumerate(number for number, held in enumerate(by_file) for _ in held)
    ]
    rows = _drawn(len(glosses), spec.examples)
    chosen = [glosses[row] for row in rows]
    notes = [f"{len(rows):,} of {len(glosses):,} glosses are drawn"]
    examples, cut = rows_of([each.text for each in chosen], spec.length, 2048)
    used = sorted({each.label for each in chosen})
    number_of = {label: number for number, label in enumerate(used)}
    labels = torch.tensor([number_of[each.label] for each in chosen])
    part = Part(examples, labels, [each.name for each in chosen], "texts")
    train, test, note = split_with_note(
        part, spec.test_fraction, missing="no test part", examples="glosses"
    )
    notes += cut + note
    assert train.names is not None
    row_of = {each.name: row for row, each in zip(rows, chosen, strict=True)}
    of_train = [row_of[name] for name in train.names]
    if spec.words:
        others, _ = rows_of([glosses[row].words for row in of_train], spec.length, 2048)
        partners = Partners(torch.arange(len(of_train))[:, None], others)
        notes += told_of_partners(partners, "the words that a gloss explains")
        train = replace(train, partners=partners)
    elif spec.neighbours:
        partners = neighbours(torch.tensor([stands[row] for row in of_train]), spec.neighbours)
        what = f"glosses up to {spec.neighbours} before or after in WordNet's files"
        notes += told_of_partners(partners, what)
        train = replace(train, partners=partners)
    names = tuple(LEXICOGRAPHER_FILES[label] for label in used)
    return Source(spec.name, train, test, None, names, tuple(notes))


def _drawn(count: int, wanted: int) -> Sequence[int]:
    """So many rows, ascending, in runs that stand together; always the same."""
    if wanted >= count:
        return range(count)
    # RandomState's stream is frozen by NumPy's compatibility policy; Generator's is not.
    order = np.random.RandomState(SPLIT_SEED).permutation(-(-count // _RUN))
    runs = order[: -(-wanted // _RUN) + 1]
    rows = np.concatenate([np.arange(run * _RUN, min(count, (run + 1) * _RUN)) for run in runs])
    return np.sort(rows[:wanted]).tolist()
